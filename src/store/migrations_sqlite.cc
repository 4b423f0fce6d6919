#include <array>

#include "store/migrations.h"

namespace penstock::store {
namespace {

constexpr std::array<std::string_view, 20> kFirst = {
    "CREATE TABLE usage (time_us INTEGER NOT NULL, id TEXT NOT NULL, tenant TEXT NOT NULL, key "
    "TEXT "
    "NOT NULL, model TEXT NOT NULL, engine TEXT NOT NULL, route TEXT NOT NULL, status INTEGER NOT "
    "NULL, cache TEXT NOT NULL, count INTEGER NOT NULL, tokens_input INTEGER NOT NULL, "
    "tokens_output "
    "INTEGER NOT NULL, tokens_cached_input INTEGER NOT NULL, tokens_reasoning INTEGER NOT NULL, "
    "cost_nano INTEGER NOT NULL, complexity REAL, duration_us INTEGER NOT NULL, engine_us INTEGER "
    "NOT "
    "NULL, first_token_us INTEGER, session TEXT NOT NULL, request_id TEXT NOT NULL, trace_id TEXT "
    "NOT "
    "NULL, error TEXT NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL, PRIMARY KEY "
    "(time_us, "
    "id)) WITHOUT ROWID",
    "CREATE INDEX usage_tenant ON usage (tenant, time_us)",
    "CREATE INDEX usage_key ON usage (key, time_us)",
    // Hits are summed and have none.
    "CREATE INDEX usage_request ON usage (request_id) WHERE request_id <> ''",
    "CREATE TABLE usage_days (day INTEGER NOT NULL, tenant TEXT NOT NULL, key TEXT NOT NULL, model "
    "TEXT NOT NULL, engine TEXT NOT NULL, route TEXT NOT NULL, status INTEGER NOT NULL, cache TEXT "
    "NOT "
    "NULL, count INTEGER NOT NULL, errors INTEGER NOT NULL, tokens_input INTEGER NOT NULL, "
    "tokens_output INTEGER NOT NULL, tokens_cached_input INTEGER NOT NULL, tokens_reasoning "
    "INTEGER "
    "NOT NULL, cost_nano INTEGER NOT NULL, duration_us INTEGER NOT NULL, engine_us INTEGER NOT "
    "NULL, "
    "first_token_us INTEGER NOT NULL, first_tokens INTEGER NOT NULL, PRIMARY KEY (day, tenant, "
    "key, "
    "model, engine, route, status, cache)) WITHOUT ROWID",
    "CREATE INDEX usage_days_tenant ON usage_days (tenant, day)",
    "CREATE INDEX usage_days_key ON usage_days (key, day)",
    "CREATE TABLE api_keys (id TEXT PRIMARY KEY, prefix TEXT NOT NULL, digest BLOB NOT NULL "
    "UNIQUE, "
    "name TEXT NOT NULL, tenant TEXT NOT NULL, models TEXT NOT NULL, limits TEXT NOT NULL, "
    "priority "
    "TEXT NOT NULL, cache_scope TEXT NOT NULL, created_us INTEGER NOT NULL, expires_us INTEGER, "
    "revoked_us INTEGER, replaced_by TEXT, grace_until_us INTEGER, created_by TEXT NOT NULL, "
    "changed "
    "INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX api_keys_changed ON api_keys (changed)",
    "CREATE INDEX api_keys_tenant ON api_keys (tenant, id)",
    "CREATE TABLE tenants (name TEXT PRIMARY KEY, limits TEXT NOT NULL, models TEXT NOT NULL, "
    "cache_scope TEXT NOT NULL, created_us INTEGER NOT NULL, changed INTEGER NOT NULL, deleted "
    "INTEGER "
    "NOT NULL) WITHOUT ROWID",
    "CREATE INDEX tenants_changed ON tenants (changed)",
    "CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT INTO counters (name, value) VALUES ('changes', 0)",
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE audit (id TEXT PRIMARY KEY, time_us INTEGER NOT NULL, who TEXT NOT NULL, action "
    "TEXT "
    "NOT NULL, object TEXT NOT NULL, detail TEXT NOT NULL, node TEXT NOT NULL) WITHOUT ROWID",
    "CREATE INDEX audit_time ON audit (time_us, id)",
    "CREATE TABLE feedback (id TEXT PRIMARY KEY, time_us INTEGER NOT NULL, request_id TEXT NOT "
    "NULL, "
    "tenant TEXT NOT NULL, key TEXT NOT NULL, rating TEXT NOT NULL, comment TEXT NOT NULL, model "
    "TEXT "
    "NOT NULL) WITHOUT ROWID",
    "CREATE INDEX feedback_time ON feedback (time_us, id)",
    "CREATE TABLE nodes (id TEXT PRIMARY KEY, name TEXT NOT NULL, seen_us INTEGER NOT NULL, "
    "connections INTEGER NOT NULL, version TEXT NOT NULL) WITHOUT ROWID",
};

constexpr std::array<std::string_view, 3> kSecond = {
    "CREATE TABLE popular_questions (key TEXT PRIMARY KEY, seen_us INTEGER NOT NULL, asked INTEGER "
    "NOT NULL, "
    "tenant TEXT NOT NULL, scope TEXT NOT NULL, path TEXT NOT NULL, tags TEXT NOT NULL, body TEXT "
    "NOT NULL)",
    "CREATE INDEX popular_asked ON popular_questions (asked)",
    "CREATE INDEX popular_seen ON popular_questions (seen_us)",
};

constexpr std::array<std::string_view, 1> kThird = {
    "CREATE TABLE budget_minutes (minute INTEGER NOT NULL, measure TEXT NOT NULL, source TEXT NOT "
    "NULL, good "
    "INTEGER NOT NULL, total INTEGER NOT NULL, PRIMARY KEY (minute, measure, source)) WITHOUT "
    "ROWID",
};

constexpr std::array<std::string_view, 3> kFourth = {
    "CREATE TABLE alerts (fingerprint TEXT NOT NULL, begin_us INTEGER NOT NULL, end_us INTEGER, "
    "group_key "
    "TEXT NOT NULL, name TEXT NOT NULL, severity TEXT NOT NULL, labels TEXT NOT NULL, annotations "
    "TEXT "
    "NOT NULL, seen_us INTEGER NOT NULL, PRIMARY KEY (fingerprint, begin_us)) WITHOUT ROWID",
    "CREATE INDEX alerts_end ON alerts (end_us)",
    "CREATE INDEX alerts_open ON alerts (begin_us) WHERE end_us IS NULL",
};

}  // namespace

std::span<const std::string_view> first_version_of_sqlite() { return kFirst; }
std::span<const std::string_view> second_version_of_sqlite() { return kSecond; }
std::span<const std::string_view> third_version_of_sqlite() { return kThird; }
std::span<const std::string_view> fourth_version_of_sqlite() { return kFourth; }

}  // namespace penstock::store
