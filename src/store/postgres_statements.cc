#include "store/postgres_statements.h"

namespace penstock::store {

#define PENSTOCK_USAGE_COLUMNS                                                                 \
  "time_us, id, tenant, key, model, engine, route, status, cache, count, tokens_input, "       \
  "tokens_output, tokens_cached_input, tokens_reasoning, cost_nano, complexity, duration_us, " \
  "engine_us, first_token_us, session, request_id, trace_id, error, question, answer"

constexpr Statement kMakeMonth = {"make_month", "SELECT usage_month($1)", {}, false, true};
constexpr Statement kRetireMonth = {"retire_month", "SELECT usage_retire($1)", {}, false, true};
constexpr Statement kCopyUsage = {"append_usage",
                                  "COPY usage_staging (batch, " PENSTOCK_USAGE_COLUMNS
                                  ") FROM STDIN (FORMAT binary)"};
constexpr Statement kMoveUsage = {
    "append_usage",
    "WITH moved AS (DELETE FROM usage_staging WHERE batch = $1 RETURNING *) "
    "INSERT INTO usage (" PENSTOCK_USAGE_COLUMNS ") SELECT " PENSTOCK_USAGE_COLUMNS
    " FROM moved ON CONFLICT DO NOTHING"};

// One node at a time looks at the others and takes its share of what they leave.
constexpr Statement kBeatLock = {
    "beat", "SELECT pg_advisory_xact_lock(7018116242)", {}, false, true};
// $4: how many are open here now; $5: the total; $6: at most so many here. A new node has one; then
// an equal part, but never more than the others leave: they give theirs back within a beat.
constexpr Statement kBeat = {
    "beat",
    "WITH clock AS (SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) AS "
    "now), "
    "others AS (SELECT count(*) AS live, coalesce(sum(connections), 0) AS taken FROM nodes, clock "
    "WHERE id <> $1 AND seen_us > now - 10000000), "
    "fair AS (SELECT greatest(1, least(CAST($6 AS bigint), (CAST($5 AS bigint) - least(2, CAST($5 "
    "AS "
    "bigint) / 8)) / (live + 1), CAST($5 AS bigint) - taken)) AS share FROM others) "
    "INSERT INTO nodes AS n (id, name, seen_us, connections, version) "
    "SELECT $1, $2, now, 1, $3 FROM clock "
    "ON CONFLICT (id) DO UPDATE SET seen_us = excluded.seen_us, "
    "connections = greatest((SELECT share FROM fair), CAST($4 AS bigint)) "
    "RETURNING CASE WHEN xmax = 0 THEN 1 ELSE (SELECT share FROM fair) END, "
    "(SELECT live + 1 FROM others)",
    {},
    false,
    true};
constexpr Statement kForgetNodes = {
    "beat",
    "DELETE FROM nodes WHERE seen_us < CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS "
    "bigint) - 3600000000",
    {},
    false,
    true};
constexpr Statement kGoodbye = {"beat", "DELETE FROM nodes WHERE id = $1", {}, false, true};
constexpr Statement kPrimaryLsn = {"look", "SELECT CAST(pg_current_wal_lsn() AS text)", {}, true};
constexpr Statement kReplicaLsn = {
    "look",
    "SELECT CAST(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE "
    "pg_current_wal_lsn() END AS text)",
    {},
    true};

namespace {
constexpr std::array kStatements = {&kMakeMonth,   &kRetireMonth, &kMoveUsage,  &kBeatLock,  &kBeat,
                                    &kForgetNodes, &kGoodbye,     &kPrimaryLsn, &kReplicaLsn};
}  // namespace

#undef PENSTOCK_USAGE_COLUMNS

Part postgres_statements() { return kStatements; }

std::int64_t month_of(std::int64_t time_us) {
  using namespace std::chrono;
  const sys_days day = floor<days>(sys_time<microseconds>(microseconds(time_us)));
  const year_month_day date(day);
  const sys_days first = date.year() / date.month() / 1;
  return duration_cast<microseconds>(first.time_since_epoch()).count();
}

}  // namespace penstock::store
