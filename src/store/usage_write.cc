#include "store/usage_write.h"

namespace penstock::store {
namespace {

constexpr Statement kInsert = {
    "append_usage",
    "INSERT INTO usage (time_us, id, tenant, key, model, engine, route, status, cache, count, "
    "tokens_input, tokens_output, tokens_cached_input, tokens_reasoning, cost_nano, complexity, "
    "duration_us, engine_us, first_token_us, session, request_id, trace_id, error, question, "
    "answer) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, "
    "$20, $21, $22, $23, $24, $25) ON CONFLICT DO NOTHING"};
constexpr std::array kStatements = {&kInsert};

std::int64_t whole(std::uint64_t number) { return static_cast<std::int64_t>(number); }

template <class T>
Value optional(const std::optional<T>& value) {
  return value ? Value(*value) : Value();
}

}  // namespace

UsageValues usage_values(const UsageRow& row, bool text) {
  return {row.time_us,
          std::string(penstock::text(row.id)),
          row.tenant,
          row.key,
          row.model,
          row.engine,
          row.route,
          std::int64_t{row.status},
          row.cache,
          whole(row.count),
          whole(row.tokens.input),
          whole(row.tokens.output),
          whole(row.tokens.cached_input),
          whole(row.tokens.reasoning),
          row.cost,
          optional(row.complexity),
          row.duration_us,
          row.engine_us,
          optional(row.first_token_us),
          row.session,
          row.request_id,
          row.trace_id,
          row.error,
          text ? row.question : std::string(),
          text ? row.answer : std::string()};
}

Result<void> insert_usage(SqliteFile& file, const std::vector<UsageRow>& rows, bool text) {
  for (const UsageRow& row : rows) {
    const UsageValues values = usage_values(row, text);
    Result<void> done = file.run_kept(kInsert, values);
    if (!done) return done;
  }
  return {};
}

Part usage_write_statements() { return kStatements; }

}  // namespace penstock::store
