// What happened: alerts that belong together, and what was changed shortly before.
#pragma once

#include <string>
#include <vector>

#include "store/alerts.h"

namespace penstock::admin {

// Alerts of one of Alertmanager's groups that fired at the same time, or with at most five minutes
// between.
struct Incident {
  std::int64_t begin_us = 0;
  std::optional<std::int64_t> end_us;  // nothing: it is not over
  std::string severity;                // the worst of its alerts'
  std::string name;                    // of its alerts, with ", " between
  std::vector<store::Alert> alerts;    // by their beginning
};

// The one that began last first.
std::vector<Incident> incidents_of(std::vector<store::Alert> alerts);

}  // namespace penstock::admin
