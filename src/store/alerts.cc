#include "store/alerts.h"

#include <array>

#include "store/cells.h"

namespace penstock::store {
namespace {

constexpr Statement kWrite = {
    "write_alerts",
    "INSERT INTO alerts AS a (fingerprint, begin_us, end_us, group_key, name, severity, labels, "
    "annotations, seen_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (fingerprint, "
    "begin_us) DO UPDATE SET end_us = CASE WHEN a.end_us IS NULL THEN excluded.end_us ELSE "
    "a.end_us "
    "END, annotations = excluded.annotations, seen_us = excluded.seen_us",
    {},
    false,
    true};
// Two halves, so that each has its index.
constexpr Statement kList = {
    "list_alerts",
    "SELECT fingerprint, begin_us, end_us, group_key, name, severity, labels, annotations, seen_us "
    "FROM alerts WHERE end_us IS NULL UNION ALL SELECT fingerprint, begin_us, end_us, group_key, "
    "name, severity, labels, annotations, seen_us FROM alerts WHERE end_us >= $1 ORDER BY 2 DESC "
    "LIMIT $2",
    {},
    true};
constexpr Statement kForget = {
    "forget_alerts", "DELETE FROM alerts WHERE end_us < $1", {}, false, true};

}  // namespace

Task<Result<void>> write_alerts(Database& database, std::vector<Alert> alerts, Deadline& deadline) {
  std::vector<Step> steps;
  steps.reserve(alerts.size());
  for (Alert& one : alerts) {
    steps.push_back(Step{&kWrite,
                         {std::move(one.fingerprint), one.begin_us, value_of(one.end_us),
                          std::move(one.group), std::move(one.name), std::move(one.severity),
                          std::move(one.labels), std::move(one.annotations), one.seen_us}});
  }
  if (steps.empty()) co_return Result<void>();
  Result<std::vector<Rows>> done = co_await database.transact(std::move(steps), nullptr, deadline);
  if (!done) co_return std::move(done).error();
  co_return Result<void>();
}

Task<Result<std::vector<Alert>>> list_alerts(Database& database, std::int64_t since_us,
                                             std::int64_t most, Deadline& deadline) {
  Values values = {since_us, most};
  Result<Rows> rows = co_await database.read(kList, std::move(values), Mark(), deadline);
  if (!rows) co_return std::move(rows).error();
  std::vector<Alert> out;
  out.reserve(rows->rows.size());
  for (const Values& row : rows->rows) {
    out.push_back({text_of(row[0]), number_of(row[1]), number_or_nothing(row[2]), text_of(row[3]),
                   text_of(row[4]), text_of(row[5]), text_of(row[6]), text_of(row[7]),
                   number_of(row[8])});
  }
  co_return out;
}

Task<Result<void>> forget_alerts(Database& database, std::int64_t before_us, Deadline& deadline) {
  Values values = {before_us};
  Result<Rows> done = co_await database.write(kForget, std::move(values), nullptr, deadline);
  if (!done) co_return std::move(done).error();
  co_return Result<void>();
}

Part alert_statements() {
  static constexpr std::array kAll = {&kWrite, &kList, &kForget};
  return kAll;
}

}  // namespace penstock::store
