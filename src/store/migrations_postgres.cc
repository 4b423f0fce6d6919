// PostgreSQL's tables. `usage` is partitioned by month of UTC; functions make and retire its
// partitions, so that no name of a table is ever pasted into a text here.
#include <array>

#include "store/migrations.h"

namespace penstock::store {
namespace {

// The columns of a usage row; `usage_staging` has them too.
#define PENSTOCK_USAGE_COLUMNS                                                                    \
  "time_us bigint NOT NULL, id uuid NOT NULL, tenant text NOT NULL, key text NOT NULL, model "    \
  "text "                                                                                         \
  "NOT NULL, engine text NOT NULL, route text NOT NULL, status integer NOT NULL, cache text NOT " \
  "NULL, count bigint NOT NULL, tokens_input bigint NOT NULL, tokens_output bigint NOT NULL, "    \
  "tokens_cached_input bigint NOT NULL, tokens_reasoning bigint NOT NULL, cost_nano bigint NOT "  \
  "NULL, complexity double precision, duration_us bigint NOT NULL, engine_us bigint NOT NULL, "   \
  "first_token_us bigint, session text NOT NULL, request_id text NOT NULL, trace_id text NOT "    \
  "NULL, error text NOT NULL, question text NOT NULL, answer text NOT NULL"

constexpr std::array<std::string_view, 24> kFirst = {
    "CREATE TABLE usage (" PENSTOCK_USAGE_COLUMNS
    ", PRIMARY KEY (time_us, id)) PARTITION BY RANGE (time_us)",
    "CREATE INDEX usage_tenant ON usage (tenant, time_us)",
    "CREATE INDEX usage_key ON usage (key, time_us)",
    // Hits are summed and have none.
    "CREATE INDEX usage_request ON usage (request_id) WHERE request_id <> ''",
    // Rows on their way into `usage`. Unlogged: what a crash loses here is given again.
    "CREATE UNLOGGED TABLE usage_staging (batch bigint NOT NULL, " PENSTOCK_USAGE_COLUMNS ")",
    "CREATE INDEX usage_staging_batch ON usage_staging (batch)",
    "CREATE TABLE usage_days (day bigint NOT NULL, tenant text NOT NULL, key text NOT NULL, model "
    "text NOT NULL, engine text NOT NULL, route text NOT NULL, status integer NOT NULL, cache text "
    "NOT NULL, count bigint NOT NULL, errors bigint NOT NULL, tokens_input bigint NOT NULL, "
    "tokens_output bigint NOT NULL, tokens_cached_input bigint NOT NULL, tokens_reasoning bigint "
    "NOT NULL, cost_nano bigint NOT NULL, duration_us bigint NOT NULL, engine_us bigint NOT NULL, "
    "first_token_us bigint NOT NULL, first_tokens bigint NOT NULL, PRIMARY KEY (day, tenant, key, "
    "model, engine, route, status, cache))",
    "CREATE INDEX usage_days_tenant ON usage_days (tenant, day)",
    "CREATE INDEX usage_days_key ON usage_days (key, day)",
    // The partition of the month that a time is in. Attached, so that who writes is not held up.
    R"(CREATE FUNCTION usage_month(at_us bigint) RETURNS boolean LANGUAGE plpgsql
  SET lock_timeout = '5s' AS $$
DECLARE
  month timestamp := date_trunc('month', to_timestamp(at_us / 1000000) AT TIME ZONE 'UTC');
  part text := 'usage_' || to_char(month, 'YYYYMM');
  from_us bigint := extract(epoch FROM month)::bigint * 1000000;
  to_us bigint := extract(epoch FROM month + interval '1 month')::bigint * 1000000;
BEGIN
  IF to_regclass(part) IS NOT NULL THEN RETURN false; END IF;
  PERFORM pg_advisory_xact_lock(7018116241);
  -- Asked of the catalogue itself: to_regclass remembers that there was none a moment ago.
  IF EXISTS (SELECT FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
             WHERE inhparent = 'usage'::regclass AND relname = part) THEN RETURN false; END IF;
  EXECUTE format('CREATE TABLE %I (LIKE usage INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part);
  EXECUTE format('ALTER TABLE usage ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
                 part, from_us, to_us);
  RETURN true;
END $$)",
    // Sums the oldest partition that ended before a time into usage_days and drops it; how many
    // rows it had, nothing where there is none. Rows that are being written to it are waited for.
    R"(CREATE FUNCTION usage_retire(before_us bigint) RETURNS bigint LANGUAGE plpgsql
  SET lock_timeout = '5s' AS $$
DECLARE
  part text;
  had bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(7018116241);
  SELECT c.relname INTO part FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'usage'::regclass AND c.relname ~ '^usage_[0-9]{6}$'
      AND extract(epoch FROM to_date(right(c.relname, 6), 'YYYYMM') + interval '1 month')::bigint
          * 1000000 <= before_us
    ORDER BY c.relname LIMIT 1;
  IF part IS NULL THEN RETURN NULL; END IF;
  EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', part);
  EXECUTE format($sum$
    INSERT INTO usage_days AS d
    SELECT time_us / 86400000000, tenant, key, model, engine, route, status, cache, sum(count),
           coalesce(sum(count) FILTER (WHERE error <> ''), 0), sum(tokens_input),
           sum(tokens_output), sum(tokens_cached_input), sum(tokens_reasoning), sum(cost_nano),
           sum(duration_us), sum(engine_us), coalesce(sum(first_token_us), 0),
           coalesce(sum(count) FILTER (WHERE first_token_us IS NOT NULL), 0)
    FROM %I GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
    ON CONFLICT (day, tenant, key, model, engine, route, status, cache) DO UPDATE SET
      count = d.count + excluded.count, errors = d.errors + excluded.errors,
      tokens_input = d.tokens_input + excluded.tokens_input,
      tokens_output = d.tokens_output + excluded.tokens_output,
      tokens_cached_input = d.tokens_cached_input + excluded.tokens_cached_input,
      tokens_reasoning = d.tokens_reasoning + excluded.tokens_reasoning,
      cost_nano = d.cost_nano + excluded.cost_nano,
      duration_us = d.duration_us + excluded.duration_us,
      engine_us = d.engine_us + excluded.engine_us,
      first_token_us = d.first_token_us + excluded.first_token_us,
      first_tokens = d.first_tokens + excluded.first_tokens$sum$, part);
  EXECUTE format('SELECT count(*) FROM %I', part) INTO had;
  EXECUTE format('ALTER TABLE usage DETACH PARTITION %I', part);
  EXECUTE format('DROP TABLE %I', part);
  RETURN had;
END $$)",
    "CREATE TABLE api_keys (id text PRIMARY KEY, prefix text NOT NULL, digest bytea NOT NULL "
    "UNIQUE, "
    "name text NOT NULL, tenant text NOT NULL, models text NOT NULL, limits text NOT NULL, "
    "priority "
    "text NOT NULL, cache_scope text NOT NULL, created_us bigint NOT NULL, expires_us bigint, "
    "revoked_us bigint, replaced_by text, grace_until_us bigint, created_by text NOT NULL, changed "
    "bigint NOT NULL)",
    "CREATE INDEX api_keys_changed ON api_keys (changed)",
    "CREATE INDEX api_keys_tenant ON api_keys (tenant, id)",
    "CREATE TABLE tenants (name text PRIMARY KEY, limits text NOT NULL, models text NOT NULL, "
    "cache_scope text NOT NULL, created_us bigint NOT NULL, changed bigint NOT NULL, deleted "
    "bigint "
    "NOT NULL)",
    "CREATE INDEX tenants_changed ON tenants (changed)",
    "CREATE TABLE counters (name text PRIMARY KEY, value bigint NOT NULL)",
    "INSERT INTO counters (name, value) VALUES ('changes', 0)",
    "CREATE TABLE meta (name text PRIMARY KEY, value bytea NOT NULL)",
    "CREATE TABLE audit (id text PRIMARY KEY, time_us bigint NOT NULL, who text NOT NULL, action "
    "text "
    "NOT NULL, object text NOT NULL, detail text NOT NULL, node text NOT NULL)",
    "CREATE INDEX audit_time ON audit (time_us, id)",
    "CREATE TABLE feedback (id text PRIMARY KEY, time_us bigint NOT NULL, request_id text NOT "
    "NULL, "
    "tenant text NOT NULL, key text NOT NULL, rating text NOT NULL, comment text NOT NULL, model "
    "text "
    "NOT NULL)",
    "CREATE INDEX feedback_time ON feedback (time_us, id)",
    "CREATE TABLE nodes (id text PRIMARY KEY, name text NOT NULL, seen_us bigint NOT NULL, "
    "connections bigint NOT NULL, version text NOT NULL)",
};

#undef PENSTOCK_USAGE_COLUMNS

constexpr std::array<std::string_view, 3> kSecond = {
    "CREATE TABLE popular_questions (key text PRIMARY KEY, seen_us bigint NOT NULL, asked bigint "
    "NOT NULL, "
    "tenant text NOT NULL, scope text NOT NULL, path text NOT NULL, tags text NOT NULL, body text "
    "NOT NULL)",
    "CREATE INDEX popular_asked ON popular_questions (asked)",
    "CREATE INDEX popular_seen ON popular_questions (seen_us)",
};

constexpr std::array<std::string_view, 1> kThird = {
    "CREATE TABLE budget_minutes (minute bigint NOT NULL, measure text NOT NULL, source text NOT "
    "NULL, good "
    "bigint NOT NULL, total bigint NOT NULL, PRIMARY KEY (minute, measure, source))",
};

constexpr std::array<std::string_view, 3> kFourth = {
    "CREATE TABLE alerts (fingerprint text NOT NULL, begin_us bigint NOT NULL, end_us bigint, "
    "group_key "
    "text NOT NULL, name text NOT NULL, severity text NOT NULL, labels text NOT NULL, annotations "
    "text "
    "NOT NULL, seen_us bigint NOT NULL, PRIMARY KEY (fingerprint, begin_us))",
    "CREATE INDEX alerts_end ON alerts (end_us)",
    "CREATE INDEX alerts_open ON alerts (begin_us) WHERE end_us IS NULL",
};

}  // namespace

std::span<const std::string_view> first_version_of_postgres() { return kFirst; }
std::span<const std::string_view> second_version_of_postgres() { return kSecond; }
std::span<const std::string_view> third_version_of_postgres() { return kThird; }
std::span<const std::string_view> fourth_version_of_postgres() { return kFourth; }

}  // namespace penstock::store
