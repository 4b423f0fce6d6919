#include "store/keys.h"

#include <array>

#include "store/cells.h"

namespace penstock::store {
namespace {

#define PENSTOCK_KEY_COLUMNS                                                              \
  "id, prefix, digest, name, tenant, models, limits, priority, cache_scope, created_us, " \
  "expires_us, revoked_us, replaced_by, grace_until_us, created_by, changed"
#define PENSTOCK_CHANGE "(SELECT value FROM counters WHERE name = 'changes')"

constexpr Statement kCreate = {
    "create_key",
    "INSERT INTO api_keys (" PENSTOCK_KEY_COLUMNS
    ") SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, " PENSTOCK_CHANGE
    " WHERE NOT EXISTS (SELECT 1 FROM tenants WHERE name = $5 AND deleted <> 0)"};
// The new one of a rotation: only if the old one was changed just now.
constexpr Statement kReplace = {
    "replace_key",
    "INSERT INTO api_keys (" PENSTOCK_KEY_COLUMNS
    ") SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, " PENSTOCK_CHANGE
    " WHERE EXISTS (SELECT 1 FROM api_keys WHERE id = $16 AND changed = " PENSTOCK_CHANGE ")"};
constexpr Statement kUpdate = {
    "update_key",
    "UPDATE api_keys SET name = $2, models = $3, limits = $4, priority = $5, cache_scope = $6, "
    "expires_us = $7, revoked_us = $8, replaced_by = $9, grace_until_us = $10, "
    "changed = " PENSTOCK_CHANGE " WHERE id = $1 AND changed = $11"};
// Only if this transaction has changed the key.
constexpr Statement kNote = {
    "note_key",
    "INSERT INTO audit (id, time_us, who, action, object, detail, node) SELECT $1, $2, $3, $4, "
    "$5, $6, $7 WHERE EXISTS (SELECT 1 FROM api_keys WHERE id = $8 AND "
    "changed = " PENSTOCK_CHANGE ")"};
// A row even where there is no such key.
constexpr Statement kFind = {
    "find_key",
    "SELECT c.value, k.id, k.prefix, k.digest, k.name, k.tenant, k.models, k.limits, k.priority, "
    "k.cache_scope, k.created_us, k.expires_us, k.revoked_us, k.replaced_by, k.grace_until_us, "
    "k.created_by, k.changed FROM counters c LEFT JOIN api_keys k ON k.digest = $1 WHERE "
    "c.name = 'changes'",
    {},
    true};
constexpr Statement kOfId = {
    "key_of_id", "SELECT " PENSTOCK_KEY_COLUMNS " FROM api_keys WHERE id = $1", {}, true};
constexpr Statement kList = {"list_keys",
                             "SELECT " PENSTOCK_KEY_COLUMNS
                             " FROM api_keys WHERE id > $1 ORDER BY id LIMIT $2",
                             {},
                             true};
constexpr Statement kListTenant = {
    "list_keys_of_tenant",
    "SELECT " PENSTOCK_KEY_COLUMNS
    " FROM api_keys WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3",
    {},
    true};
constexpr Statement kLast = {
    "last_change", "SELECT value FROM counters WHERE name = 'changes'", {}, true};
constexpr Statement kChanged = {
    "changed_keys",
    "SELECT " PENSTOCK_KEY_COLUMNS
    " FROM api_keys WHERE changed >= $1 AND (changed > $1 OR id > $2) ORDER BY changed, id "
    "LIMIT $3",
    {},
    true};

#undef PENSTOCK_KEY_COLUMNS
#undef PENSTOCK_CHANGE

constexpr std::size_t kColumns = 16;

KeyRow row_of(const Values& row, std::size_t first = 0) {
  const auto cell = [&](std::size_t index) -> const Value& { return row[first + index]; };
  KeyRow key;
  key.id = text_of(cell(0));
  key.prefix = text_of(cell(1));
  key.digest = text_of(cell(2));
  key.name = text_of(cell(3));
  key.tenant = text_of(cell(4));
  key.models = text_of(cell(5));
  key.limits = text_of(cell(6));
  key.priority = text_of(cell(7));
  key.cache_scope = text_of(cell(8));
  key.created_us = number_of(cell(9));
  key.expires_us = number_or_nothing(cell(10));
  key.revoked_us = number_or_nothing(cell(11));
  if (!std::holds_alternative<std::monostate>(cell(12))) key.replaced_by = text_of(cell(12));
  key.grace_until_us = number_or_nothing(cell(13));
  key.created_by = text_of(cell(14));
  key.changed = number_of(cell(15));
  return key;
}

std::vector<KeyRow> rows_of(const Rows& rows) {
  std::vector<KeyRow> keys;
  keys.reserve(rows.rows.size());
  for (const Values& row : rows.rows) keys.push_back(row_of(row));
  return keys;
}

// All columns but `changed`, in their order.
Values values_of(const KeyRow& key) {
  return {key.id,
          key.prefix,
          Blob{key.digest},
          key.name,
          key.tenant,
          key.models,
          key.limits,
          key.priority,
          key.cache_scope,
          key.created_us,
          value_of(key.expires_us),
          value_of(key.revoked_us),
          value_of(key.replaced_by),
          value_of(key.grace_until_us),
          key.created_by};
}

Step update_step(const KeyRow& key) {
  return {&kUpdate,
          {key.id, key.name, key.models, key.limits, key.priority, key.cache_scope,
           value_of(key.expires_us), value_of(key.revoked_us), value_of(key.replaced_by),
           value_of(key.grace_until_us), key.changed}};
}

Step note_step(const Note& note, const std::string& id) {
  Values values = values_of(note);
  values.emplace_back(id);
  return {&kNote, std::move(values)};
}

// Does the steps behind the first; whether the second one changed a row.
Task<Result<bool>> change(Database& database, std::vector<Step> steps, Deadline& deadline) {
  Result<std::vector<Rows>> done = co_await database.transact(std::move(steps), nullptr, deadline);
  if (!done) co_return done.error();
  co_return done->size() > 1 && (*done)[1].changed > 0;
}

}  // namespace

Task<Result<bool>> create_key(Database& database, KeyRow key, Note note, Deadline& deadline) {
  std::vector<Step> steps;
  steps.push_back(Step{&kNextChange, {}});
  steps.push_back(Step{&kCreate, values_of(key)});
  steps.push_back(note_step(note, key.id));
  Result<bool> done = co_await change(database, std::move(steps), deadline);
  co_return done;
}

Task<Result<FoundKey>> find_key(Database& database, std::string digest, bool primary,
                                Deadline& deadline) {
  Values values;
  values.emplace_back(Blob{std::move(digest)});
  Result<Rows> rows = Rows();
  if (primary) {
    rows = co_await database.write(kFind, std::move(values), nullptr, deadline);
  } else {
    rows = co_await database.read(kFind, std::move(values), Mark(), deadline);
  }
  if (!rows) co_return rows.error();
  if (rows->rows.empty() || rows->rows.front().size() != kColumns + 1) {
    co_return Error{Kind::internal, Source::store, false,
                    "the database " + std::string(database.name()) +
                        " has no counter of changes: its tables are not whole"};
  }
  const Values& row = rows->rows.front();
  FoundKey found;
  found.changes = number_of(row[0]);
  if (!std::holds_alternative<std::monostate>(row[1])) found.key = row_of(row, 1);
  co_return found;
}

Task<Result<std::optional<KeyRow>>> key_of_id(Database& database, std::string id,
                                              Deadline& deadline) {
  Values values;
  values.emplace_back(std::move(id));
  Result<Rows> rows = co_await database.write(kOfId, std::move(values), nullptr, deadline);
  if (!rows) co_return rows.error();
  std::optional<KeyRow> key;
  if (!rows->rows.empty()) key = row_of(rows->rows.front());
  co_return key;
}

Task<Result<std::vector<KeyRow>>> list_keys(Database& database, std::string tenant,
                                            std::string after, std::int64_t limit,
                                            Deadline& deadline) {
  Values values;
  if (!tenant.empty()) values.emplace_back(tenant);
  values.emplace_back(std::move(after));
  values.emplace_back(limit);
  const Statement& statement = tenant.empty() ? kList : kListTenant;
  Result<Rows> rows = co_await database.write(statement, std::move(values), nullptr, deadline);
  if (!rows) co_return rows.error();
  co_return rows_of(*rows);
}

Task<Result<bool>> update_key(Database& database, KeyRow key, Note note, Deadline& deadline) {
  std::vector<Step> steps;
  steps.push_back(Step{&kNextChange, {}});
  steps.push_back(update_step(key));
  steps.push_back(note_step(note, key.id));
  Result<bool> done = co_await change(database, std::move(steps), deadline);
  co_return done;
}

Task<Result<bool>> rotate_key(Database& database, KeyRow old, KeyRow fresh, Note note,
                              Deadline& deadline) {
  std::vector<Step> steps;
  steps.push_back(Step{&kNextChange, {}});
  steps.push_back(update_step(old));
  Values values = values_of(fresh);
  values.emplace_back(old.id);
  steps.push_back(Step{&kReplace, std::move(values)});
  steps.push_back(note_step(note, old.id));
  Result<bool> done = co_await change(database, std::move(steps), deadline);
  co_return done;
}

Task<Result<std::int64_t>> last_change(Database& database, Deadline& deadline) {
  Result<Rows> rows = co_await database.write(kLast, Values(), nullptr, deadline);
  if (!rows) co_return rows.error();
  if (rows->rows.empty()) {
    co_return Error{Kind::internal, Source::store, false,
                    "the database " + std::string(database.name()) +
                        " has no counter of changes: its tables are not whole"};
  }
  co_return number_of(rows->rows.front().front());
}

Task<Result<std::vector<KeyRow>>> changed_keys(Database& database, std::int64_t after,
                                               std::string after_id, std::int64_t limit,
                                               Deadline& deadline) {
  Values values = {after, std::move(after_id), limit};
  Result<Rows> rows = co_await database.write(kChanged, std::move(values), nullptr, deadline);
  if (!rows) co_return rows.error();
  co_return rows_of(*rows);
}

Part key_statements() {
  static constexpr std::array kAll = {&kCreate, &kReplace, &kUpdate,     &kNote, &kFind,
                                      &kOfId,   &kList,    &kListTenant, &kLast, &kChanged};
  return kAll;
}

}  // namespace penstock::store
