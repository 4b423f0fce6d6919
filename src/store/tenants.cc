#include "store/tenants.h"

#include <array>

#include "store/cells.h"

namespace penstock::store {
namespace {

#define PENSTOCK_TENANT_COLUMNS "name, limits, models, cache_scope, created_us, changed, deleted"
#define PENSTOCK_CHANGE "(SELECT value FROM counters WHERE name = 'changes')"

constexpr Statement kCreate = {
    "create_tenant",
    "INSERT INTO tenants (" PENSTOCK_TENANT_COLUMNS ") VALUES ($1, $2, $3, $4, $5, " PENSTOCK_CHANGE
    ", 0) ON CONFLICT (name) DO UPDATE SET limits = excluded.limits, models = excluded.models, "
    "cache_scope = excluded.cache_scope, created_us = excluded.created_us, changed = "
    "excluded.changed, deleted = 0 WHERE tenants.deleted <> 0"};
constexpr Statement kUpdate = {
    "update_tenant",
    "UPDATE tenants SET limits = $2, models = $3, cache_scope = $4, deleted = $5, "
    "changed = " PENSTOCK_CHANGE " WHERE name = $1 AND changed = $6 AND deleted = 0"};
// Only if this transaction has changed the tenant.
constexpr Statement kRevokeKeys = {
    "revoke_keys_of_tenant",
    "UPDATE api_keys SET revoked_us = $2, changed = " PENSTOCK_CHANGE
    " WHERE tenant = $1 AND revoked_us IS NULL AND EXISTS (SELECT 1 FROM tenants WHERE name = $1 "
    "AND changed = " PENSTOCK_CHANGE ")"};
constexpr Statement kNote = {
    "note_tenant",
    "INSERT INTO audit (id, time_us, who, action, object, detail, node) SELECT $1, $2, $3, $4, "
    "$5, $6, $7 WHERE EXISTS (SELECT 1 FROM tenants WHERE name = $8 AND "
    "changed = " PENSTOCK_CHANGE ")"};
constexpr Statement kOfName = {
    "tenant_of_name", "SELECT " PENSTOCK_TENANT_COLUMNS " FROM tenants WHERE name = $1", {}, true};
constexpr Statement kList = {"list_tenants",
                             "SELECT " PENSTOCK_TENANT_COLUMNS
                             " FROM tenants WHERE name > $1 AND deleted = 0 ORDER BY name LIMIT $2",
                             {},
                             true};
constexpr Statement kChanged = {
    "changed_tenants",
    "SELECT " PENSTOCK_TENANT_COLUMNS
    " FROM tenants WHERE changed >= $1 AND (changed > $1 OR name > $2) ORDER BY changed, name "
    "LIMIT $3",
    {},
    true};

#undef PENSTOCK_TENANT_COLUMNS
#undef PENSTOCK_CHANGE

TenantRow row_of(const Values& row) {
  return {text_of(row[0]),   text_of(row[1]),   text_of(row[2]),       text_of(row[3]),
          number_of(row[4]), number_of(row[5]), number_of(row[6]) != 0};
}

std::vector<TenantRow> rows_of(const Rows& rows) {
  std::vector<TenantRow> tenants;
  tenants.reserve(rows.rows.size());
  for (const Values& row : rows.rows) tenants.push_back(row_of(row));
  return tenants;
}

Step update_step(const TenantRow& tenant) {
  return {&kUpdate,
          {tenant.name, tenant.limits, tenant.models, tenant.cache_scope,
           std::int64_t{tenant.deleted ? 1 : 0}, tenant.changed}};
}

Step note_step(const Note& note, const std::string& name) {
  Values values = values_of(note);
  values.emplace_back(name);
  return {&kNote, std::move(values)};
}

// Does the steps behind the first; whether the second one changed a row.
Task<Result<bool>> change(Database& database, std::vector<Step> steps, Deadline& deadline) {
  Result<std::vector<Rows>> done = co_await database.transact(std::move(steps), nullptr, deadline);
  if (!done) co_return done.error();
  co_return done->size() > 1 && (*done)[1].changed > 0;
}

}  // namespace

Task<Result<bool>> create_tenant(Database& database, TenantRow tenant, Note note,
                                 Deadline& deadline) {
  std::vector<Step> steps;
  steps.push_back(Step{&kNextChange, {}});
  steps.push_back(
      Step{&kCreate,
           {tenant.name, tenant.limits, tenant.models, tenant.cache_scope, tenant.created_us}});
  steps.push_back(note_step(note, tenant.name));
  Result<bool> done = co_await change(database, std::move(steps), deadline);
  co_return done;
}

Task<Result<std::optional<TenantRow>>> tenant_of_name(Database& database, std::string name,
                                                      Deadline& deadline) {
  Values values;
  values.emplace_back(std::move(name));
  Result<Rows> rows = co_await database.write(kOfName, std::move(values), nullptr, deadline);
  if (!rows) co_return rows.error();
  std::optional<TenantRow> tenant;
  if (!rows->rows.empty()) tenant = row_of(rows->rows.front());
  co_return tenant;
}

Task<Result<std::vector<TenantRow>>> list_tenants(Database& database, std::string after,
                                                  std::int64_t limit, Deadline& deadline) {
  Values values = {std::move(after), limit};
  Result<Rows> rows = co_await database.write(kList, std::move(values), nullptr, deadline);
  if (!rows) co_return rows.error();
  co_return rows_of(*rows);
}

Task<Result<bool>> update_tenant(Database& database, TenantRow tenant, Note note,
                                 Deadline& deadline) {
  std::vector<Step> steps;
  steps.push_back(Step{&kNextChange, {}});
  steps.push_back(update_step(tenant));
  steps.push_back(note_step(note, tenant.name));
  Result<bool> done = co_await change(database, std::move(steps), deadline);
  co_return done;
}

Task<Result<bool>> delete_tenant(Database& database, TenantRow tenant, Note note,
                                 Deadline& deadline) {
  tenant.deleted = true;
  std::vector<Step> steps;
  steps.push_back(Step{&kNextChange, {}});
  steps.push_back(update_step(tenant));
  steps.push_back(Step{&kRevokeKeys, {tenant.name, note.time_us}});
  steps.push_back(note_step(note, tenant.name));
  Result<bool> done = co_await change(database, std::move(steps), deadline);
  co_return done;
}

Task<Result<std::vector<TenantRow>>> changed_tenants(Database& database, std::int64_t after,
                                                     std::string after_name, std::int64_t limit,
                                                     Deadline& deadline) {
  Values values = {after, std::move(after_name), limit};
  Result<Rows> rows = co_await database.write(kChanged, std::move(values), nullptr, deadline);
  if (!rows) co_return rows.error();
  co_return rows_of(*rows);
}

Part tenant_statements() {
  static constexpr std::array kAll = {&kCreate, &kUpdate, &kRevokeKeys, &kNote,
                                      &kOfName, &kList,   &kChanged};
  return kAll;
}

}  // namespace penstock::store
