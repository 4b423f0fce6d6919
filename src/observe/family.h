// What a registry is made of; for metrics.cc, render.cc and catalogue.cc alone.
//
//   Family ── bounds, and how they are written in each format
//     └── Series ── its labels as they are written, and for each shard a block of cells:
//                   one; or of a histogram a count for each bucket and +Inf, then the sum
#pragma once

#include <unordered_map>
#include <unordered_set>

#include "observe/metrics.h"

namespace penstock::observe {

// Whether a label's values come from the configuration, so that there may be any number of them.
inline bool open_set(std::string_view label) {
  return label == "engine" || label == "model" || label == "tenant";
}

struct Registry::Series {
  Labels labels;
  std::string text;                            // `engine="a",model="b"`
  std::vector<std::unique_ptr<Cell[]>> cells;  // by shard; null where it was never asked for
  std::vector<std::unique_ptr<ExemplarCell[]>> exemplars;  // likewise; by bucket
  std::function<std::optional<double>()> read;             // instead of cells
  std::optional<double> shown;                             // while it is rendered: what was read

  // Nothing: it is not shown.
  std::optional<double> value() const { return read ? read() : sum(0); }

  double sum(std::size_t cell) const {
    double total = 0;
    for (const auto& shard : cells) {
      if (shard) total += shard[cell].get();
    }
    return total;
  }

  // The latest of all shards.
  std::optional<Exemplar> exemplar(std::size_t bucket) const {
    std::optional<Exemplar> latest;
    for (const auto& shard : exemplars) {
      if (!shard) continue;
      const std::optional<Exemplar> seen = shard[bucket].get();
      if (seen && (!latest || seen->unix_seconds > latest->unix_seconds)) latest = seen;
    }
    return latest;
  }
};

struct Registry::Family {
  Type type = Type::counter;
  std::string name;
  std::string help;
  std::vector<double> bounds;
  std::array<std::vector<std::string>, 2> bound_texts;  // by format, +Inf included
  std::vector<std::unique_ptr<Series>> series;
  std::unordered_map<std::string, Series*> by_text;
  std::vector<std::unordered_set<std::string>> values;  // of each label that is an open set

  std::size_t cell_count() const { return type == Type::histogram ? bounds.size() + 2 : 1; }
  // One more than the cells: the count is the sum of the buckets.
  std::size_t lines() const { return type == Type::histogram ? bounds.size() + 3 : 1; }
};

std::string_view name_of(Type type);
void append_escaped(std::string& out, std::string_view text, bool quotes);
// `engine="a",model="b"`
std::string text_of(const Labels& labels);

}  // namespace penstock::observe
