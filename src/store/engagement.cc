#include "store/engagement.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <map>

#include "store/cells.h"

namespace penstock::store {
namespace {

constexpr std::int64_t kDay = 86'400'000'000;
constexpr std::int64_t kAll = INT64_MAX;  // in the place of a day: all times are in its first

// $1, $2: from, to; $3: how long a group is; $4: a tenant, or NULL.
#define PENSTOCK_GROUPED "SELECT time_us / CAST($3 AS bigint) AS grouped"
#define PENSTOCK_WITHIN                                                                        \
  "WHERE time_us >= $1 AND time_us < $2 AND (CAST($4 AS text) IS NULL OR tenant = CAST($4 AS " \
  "text))"

constexpr Statement kCounts = {
    "engagement_counts",
    PENSTOCK_GROUPED
    ", sum(count), sum(CASE WHEN session <> '' THEN count ELSE 0 END), "
    "sum(CASE WHEN status = 499 THEN count ELSE 0 END) FROM usage " PENSTOCK_WITHIN " GROUP BY 1",
    {},
    true};
constexpr Statement kUsers = {
    "engagement_users",
    "SELECT grouped, count(*) FROM (SELECT DISTINCT time_us / CAST($3 AS bigint) AS grouped, "
    "tenant, key FROM usage " PENSTOCK_WITHIN " AND (key <> '' OR tenant <> '')) AS one GROUP BY 1",
    {},
    true};
constexpr Statement kSessions = {
    "engagement_sessions",
    "SELECT grouped, count(*) FROM (SELECT DISTINCT time_us / CAST($3 AS bigint) AS grouped, "
    "tenant, session FROM usage " PENSTOCK_WITHIN " AND session <> '') AS one GROUP BY 1",
    {},
    true};
constexpr Statement kSaid = {
    "engagement_feedback",
    PENSTOCK_GROUPED
    ", sum(CASE WHEN rating = 'up' THEN 1 ELSE 0 END), sum(CASE WHEN rating = 'down' THEN 1 ELSE 0 "
    "END) FROM feedback " PENSTOCK_WITHIN " GROUP BY 1",
    {},
    true};

#undef PENSTOCK_GROUPED
#undef PENSTOCK_WITHIN

using ByGroup = std::map<std::int64_t, EngagementSums>;

// PostgreSQL's sums of whole numbers may come as text or as real ones.
std::uint64_t count_of(const Value& value) {
  if (const auto* const real = std::get_if<double>(&value)) {
    return static_cast<std::uint64_t>(std::max(*real, 0.0));
  }
  return static_cast<std::uint64_t>(std::max<std::int64_t>(number_of(value), 0));
}

Task<Result<void>> fill(Database& database, EngagementQuestion question, std::int64_t length,
                        ByGroup& into, Deadline& deadline) {
  const Values values = {question.from_us, question.to_us, length, value_of(question.tenant)};
  Result<Rows> counts = co_await database.read(kCounts, values, Mark(), deadline);
  if (!counts) co_return std::move(counts).error();
  Result<Rows> users = co_await database.read(kUsers, values, Mark(), deadline);
  if (!users) co_return std::move(users).error();
  Result<Rows> sessions = co_await database.read(kSessions, values, Mark(), deadline);
  if (!sessions) co_return std::move(sessions).error();
  Result<Rows> said = co_await database.read(kSaid, values, Mark(), deadline);
  if (!said) co_return std::move(said).error();
  for (const Values& row : counts->rows) {
    EngagementSums& sums = into[number_of(row[0])];
    sums.questions = count_of(row[1]);
    sums.in_sessions = count_of(row[2]);
    sums.abandoned = count_of(row[3]);
  }
  for (const Values& row : users->rows) into[number_of(row[0])].users = count_of(row[1]);
  for (const Values& row : sessions->rows) into[number_of(row[0])].sessions = count_of(row[1]);
  for (const Values& row : said->rows) {
    into[number_of(row[0])].up = count_of(row[1]);
    into[number_of(row[0])].down = count_of(row[2]);
  }
  co_return Result<void>();
}

std::string day_text(std::int64_t day) {
  using namespace std::chrono;
  const year_month_day date{sys_days{days{day}}};
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

}  // namespace

Task<Result<std::vector<EngagementSums>>> engagement(Database& database,
                                                     EngagementQuestion question,
                                                     Deadline& deadline) {
  ByGroup whole;
  ByGroup days;
  Result<void> all = co_await fill(database, question, kAll, whole, deadline);
  if (!all) co_return std::move(all).error();
  Result<void> each = co_await fill(database, question, kDay, days, deadline);
  if (!each) co_return std::move(each).error();
  std::vector<EngagementSums> out = {whole[0]};
  for (auto& [day, sums] : days) {
    sums.day = day_text(day);
    out.push_back(std::move(sums));
  }
  co_return out;
}

Part engagement_statements() {
  static constexpr std::array kStatements = {&kCounts, &kUsers, &kSessions, &kSaid};
  return kStatements;
}

}  // namespace penstock::store
