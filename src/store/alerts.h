// Alerts that Alertmanager told of: one row an alert and beginning, however often it is told, and
// by however many. What is made of them: admin/incidents.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "store/database.h"
#include "store/statements.h"

namespace penstock::store {

struct Alert {
  std::string fingerprint;  // of its labels, by Alertmanager
  std::int64_t begin_us = 0;
  std::optional<std::int64_t> end_us;  // nothing: it still fires, as far as is known
  std::string group;                   // Alertmanager's groupKey
  std::string name;
  std::string severity;
  std::string labels;        // JSON
  std::string annotations;   // JSON
  std::int64_t seen_us = 0;  // when it was told of last
};
inline constexpr std::size_t kMostAlerts = 500;  // in one call of write_alerts

// What is told again is brought up to date; one that has ended stays so.
Task<Result<void>> write_alerts(Database& database, std::vector<Alert> alerts, Deadline& deadline);

// Those that fired at some time from `since_us` on, the one that began last first.
Task<Result<std::vector<Alert>>> list_alerts(Database& database, std::int64_t since_us,
                                             std::int64_t most, Deadline& deadline);

Task<Result<void>> forget_alerts(Database& database, std::int64_t before_us, Deadline& deadline);

Part alert_statements();

}  // namespace penstock::store
