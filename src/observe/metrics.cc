#include "observe/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace penstock::observe {
namespace {

constexpr std::string_view kOther = "other";

// Whether a label's values come from the configuration, so that there may be any number of them.
bool open_set(std::string_view label) {
  return label == "engine" || label == "model" || label == "tenant";
}

void append_escaped(std::string& out, std::string_view text, bool quotes) {
  for (const char c : text) {
    switch (c) {
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '"': out += quotes ? "\\\"" : "\""; break;
      default: out += c;
    }
  }
}

void append_value(std::string& out, double value) {
  if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
  } else if (std::isnan(value)) {
    out += "NaN";
  } else {
    fmt::format_to(std::back_inserter(out), "{}", value);
  }
}

void append_labels(std::string& out, const Labels& labels, std::string_view bound) {
  if (labels.empty() && bound.empty()) return;
  char before = '{';
  for (const auto& [name, value] : labels) {
    out += before;
    out += name;
    out += "=\"";
    append_escaped(out, value, true);
    out += '"';
    before = ',';
  }
  if (!bound.empty()) {
    out += before;
    out += "le=\"";
    out += bound;
    out += '"';
  }
  out += '}';
}

std::string_view name_of(Type type) {
  switch (type) {
    case Type::counter: return "counter";
    case Type::gauge: return "gauge";
    case Type::histogram: break;
  }
  return "histogram";
}

std::string bound_text(double bound, Format format) {
  // OpenMetrics wants canonical numbers: a float has a point.
  std::string text = fmt::format("{}", bound);
  if (format == Format::openmetrics && text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

}  // namespace

struct Registry::Series {
  Labels labels;
  std::vector<std::unique_ptr<Cell[]>> cells;   // by shard; null where it was never asked for
  std::function<std::optional<double>()> read;  // instead of cells

  // Nothing: it is not shown.
  std::optional<double> value() const { return read ? read() : sum(0); }

  double sum(std::size_t cell) const {
    double total = 0;
    for (const auto& shard : cells) {
      if (shard) total += shard[cell].get();
    }
    return total;
  }
};

struct Registry::Family {
  Type type;
  std::string name;
  std::string help;
  std::vector<double> bounds;
  std::vector<std::unique_ptr<Series>> series;

  std::size_t cell_count() const { return type == Type::histogram ? bounds.size() + 2 : 1; }
  // One more than the cells: the count is the sum of the buckets.
  std::size_t lines() const { return type == Type::histogram ? bounds.size() + 3 : 1; }
};

Registry::Registry(std::size_t shards, std::size_t max_label_values)
    : max_label_values_(max_label_values) {
  for (std::size_t i = 0; i < shards; ++i) shards_.push_back(Shard(*this, i));
  watch(Type::counter, "penstock_metrics_overflow_total",
        "Label values beyond metrics.max_label_values, counted as other.", {},
        [this] { return static_cast<double>(overflow_.load(std::memory_order_relaxed)); });
  watch(Type::gauge, "penstock_metrics_series",
        "Series exposed; a histogram has one for each bucket, its sum and its count.", {},
        [this] { return static_cast<double>(lines_.load(std::memory_order_relaxed)); });
}

Registry::~Registry() = default;

Registry::Family& Registry::family(Type type, std::string_view name, std::string_view help,
                                   std::span<const double> bounds) {
  const auto at = std::lower_bound(
      families_.begin(), families_.end(), name,
      [](const auto& known, std::string_view wanted) { return known->name < wanted; });
  if (at != families_.end() && (*at)->name == name) return **at;
  auto made = std::make_unique<Family>();
  made->type = type;
  made->name = name;
  made->help = help;
  made->bounds.assign(bounds.begin(), bounds.end());
  return **families_.insert(at, std::move(made));
}

// A label's value that is new where there are too many already.
std::string* Registry::full_label(const Family& in, Labels& labels) const {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (!open_set(labels[i].first)) continue;
    std::vector<std::string_view> values;
    bool known = labels[i].second == kOther;
    for (const auto& series : in.series) {
      const std::string& value = series->labels[i].second;
      known |= value == labels[i].second;
      if (value == kOther) continue;  // takes no place of those that have one
      if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
    }
    if (!known && values.size() >= max_label_values_) return &labels[i].second;
  }
  return nullptr;
}

Cell* Registry::cells(std::size_t shard, Type type, std::string_view name, std::string_view help,
                      std::span<const double> bounds, const Labels& wanted) {
  const std::lock_guard lock(mutex_);
  Family& in = family(type, name, help, bounds);
  const auto find = [&](const Labels& labels) {
    return std::find_if(in.series.begin(), in.series.end(),
                        [&](const auto& series) { return series->labels == labels; });
  };
  Labels labels = wanted;
  auto at = find(labels);
  if (at == in.series.end()) {
    while (std::string* full = full_label(in, labels)) {
      *full = kOther;
      overflow_.fetch_add(1, std::memory_order_relaxed);
    }
    at = find(labels);
  }
  if (at == in.series.end()) {
    auto made = std::make_unique<Series>();
    made->labels = std::move(labels);
    made->cells.resize(shards_.size());
    in.series.push_back(std::move(made));
    lines_.fetch_add(in.lines(), std::memory_order_relaxed);
    at = in.series.end() - 1;
  }
  std::unique_ptr<Cell[]>& cells = (*at)->cells[shard];
  if (!cells) cells = std::make_unique<Cell[]>(in.cell_count());
  return cells.get();
}

Counter Shard::counter(std::string_view name, std::string_view help, const Labels& labels) {
  return Counter(registry_.cells(index_, Type::counter, name, help, {}, labels));
}

Gauge Shard::gauge(std::string_view name, std::string_view help, const Labels& labels) {
  return Gauge(registry_.cells(index_, Type::gauge, name, help, {}, labels));
}

Histogram Shard::histogram(std::string_view name, std::string_view help,
                           std::span<const double> bounds, const Labels& labels) {
  Cell* cells = registry_.cells(index_, Type::histogram, name, help, bounds, labels);
  const std::lock_guard lock(registry_.mutex_);
  // The family's own copy of the bounds lives as long as the registry.
  return Histogram(registry_.family(Type::histogram, name, help, bounds).bounds, cells);
}

void Registry::watch(Type type, std::string_view name, std::string_view help, Labels labels,
                     std::function<std::optional<double>()> read) {
  const std::lock_guard lock(mutex_);
  Family& in = family(type, name, help, {});
  if (full_label(in, labels) != nullptr) {
    overflow_.fetch_add(1, std::memory_order_relaxed);
    return;  // there is no sense in one value for all others
  }
  auto made = std::make_unique<Series>();
  made->labels = std::move(labels);
  made->read = std::move(read);
  in.series.push_back(std::move(made));
  lines_.fetch_add(in.lines(), std::memory_order_relaxed);
}

void Registry::render(std::string& out, Format format) const {
  const std::lock_guard lock(mutex_);
  for (const auto& family : families_) {
    std::string_view name = family->name;
    // In OpenMetrics the family is named without the suffix that its samples have.
    if (format == Format::openmetrics && family->type == Type::counter) {
      name.remove_suffix(name.ends_with("_total") ? 6 : 0);
    }
    out += "# HELP ";
    out += name;
    out += ' ';
    append_escaped(out, family->help, format == Format::openmetrics);
    out += "\n# TYPE ";
    out += name;
    out += ' ';
    out += name_of(family->type);
    out += '\n';
    for (const auto& series : family->series) {
      if (family->type != Type::histogram) {
        const std::optional<double> value = series->value();
        if (!value) continue;
        out += family->name;
        append_labels(out, series->labels, {});
        out += ' ';
        append_value(out, *value);
        out += '\n';
        continue;
      }
      double count = 0;
      for (std::size_t i = 0; i <= family->bounds.size(); ++i) {
        count += series->sum(i);
        out += family->name;
        out += "_bucket";
        append_labels(out, series->labels,
                      i == family->bounds.size() ? "+Inf" : bound_text(family->bounds[i], format));
        out += ' ';
        append_value(out, count);
        out += '\n';
      }
      out += family->name;
      out += "_sum";
      append_labels(out, series->labels, {});
      out += ' ';
      append_value(out, series->sum(family->bounds.size() + 1));
      out += '\n';
      out += family->name;
      out += "_count";
      append_labels(out, series->labels, {});
      out += ' ';
      append_value(out, count);
      out += '\n';
    }
  }
  if (format == Format::openmetrics) out += "# EOF\n";
}

double Registry::sum(std::string_view name, const Labels& labels) const {
  const std::lock_guard lock(mutex_);
  double total = 0;
  for (const auto& family : families_) {
    if (family->name != name || family->type == Type::histogram) continue;
    for (const auto& series : family->series) {
      const bool wanted = std::all_of(labels.begin(), labels.end(), [&](const auto& label) {
        return std::find(series->labels.begin(), series->labels.end(), label) !=
               series->labels.end();
      });
      if (wanted) total += series->value().value_or(0);
    }
  }
  return total;
}

std::string Registry::catalogue() const {
  const std::lock_guard lock(mutex_);
  std::string out = "| metric | type | labels | what it says |\n|---|---|---|---|\n";
  for (const auto& family : families_) {
    std::string labels;
    if (!family->series.empty()) {
      for (const auto& label : family->series.front()->labels) {
        if (!labels.empty()) labels += ", ";
        labels += label.first;
      }
    }
    fmt::format_to(std::back_inserter(out), "| `{}` | {} | {} | {} |\n", family->name,
                   name_of(family->type), labels, family->help);
  }
  return out;
}

std::string_view content_type(Format format) {
  return format == Format::openmetrics
             ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
             : "text/plain; version=0.0.4; charset=utf-8";
}

}  // namespace penstock::observe
