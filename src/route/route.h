// Where a question goes: a model's name -> a Plan.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "exchange/exchange.h"
#include "settings/settings.h"

namespace penstock::route {

// One model as it is configured, or as its engine offers it.
struct Plan {
  std::size_t engine = 0;      // index into Settings::engines
  std::string model;           // the name that metrics and the cache know: resolved, no alias
  std::string upstream_model;  // what the engine calls it
  std::size_t metrics = 0;     // index of the (engine, model) pair: see Table::pairs
};

// Immutable; made once from settings and shared by nobody: each worker has its own.
class Table {
 public:
  explicit Table(const settings::Settings& settings);

  // The plan for a model by name or alias. A name that no model has goes to the engine that
  // takes every name ("*"), if there is one; else the refusal says which names there are.
  Result<Plan, Refusal> plan(std::string_view model) const;
  // For what names no model (a file upload): the only engine that takes such requests.
  Result<Plan, Refusal> plan_without_model() const;

  struct Pair {
    std::size_t engine;
    std::string model;  // as a label: a configured name, or "other"
  };
  // Every (engine, model) that a plan can name; a plan's `metrics` is an index into it.
  const std::vector<Pair>& pairs() const { return pairs_; }
  // The configured names in their order, each with its aliases behind it; without "*".
  const std::vector<std::string>& names() const { return names_; }
  // The engine behind "*".
  std::optional<std::size_t> wildcard() const { return wildcard_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };

  std::unordered_map<std::string, Plan, Hash, std::equal_to<>> plans_;
  std::vector<Pair> pairs_;
  std::vector<std::string> names_;
  std::optional<std::size_t> wildcard_;
  std::size_t wildcard_pair_ = 0;
  std::optional<std::size_t> only_remote_;
  std::size_t only_remote_pair_ = 0;
};

}  // namespace penstock::route
