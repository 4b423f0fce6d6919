// What a registry holds, for the reference.

#include <algorithm>

#include "observe/family.h"

namespace penstock::observe {

std::vector<Registry::Entry> Registry::catalogue() const {
  const std::lock_guard lock(mutex_);
  std::vector<Entry> all;
  for (const auto& family : families_) {
    Entry& entry = all.emplace_back();
    entry.name = family->name;
    entry.type = family->type;
    entry.help = family->help;
    entry.bounds = family->bounds;
    for (const auto& series : family->series) {
      for (std::size_t i = 0; i < series->labels.size(); ++i) {
        const auto& [label, value] = series->labels[i];
        if (entry.labels.size() <= i) entry.labels.emplace_back(label, std::vector<std::string>());
        std::vector<std::string>& values = entry.labels[i].second;
        if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
      }
    }
  }
  return all;
}

std::vector<Registry::Reading> Registry::readings(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  std::vector<Reading> all;
  for (const auto& family : families_) {
    if (family->name != name) continue;
    for (const auto& series : family->series) {
      Reading reading;
      reading.labels = series->labels;
      if (family->type == Type::histogram) {
        const std::size_t buckets = family->bounds.size() + 1;
        for (std::size_t i = 0; i < buckets; ++i) {
          reading.buckets.push_back(series->sum(i));
          reading.value += reading.buckets.back();
        }
        reading.sum = series->sum(buckets);
      } else {
        const std::optional<double> value = series->value();
        if (!value) continue;
        reading.value = *value;
      }
      all.push_back(std::move(reading));
    }
  }
  return all;
}

std::vector<double> Registry::bounds(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  for (const auto& family : families_) {
    if (family->name == name) return family->bounds;
  }
  return {};
}

}  // namespace penstock::observe
