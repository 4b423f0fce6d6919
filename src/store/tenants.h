// The tenants in the database: rows as they are kept. Changes have numbers, as those of keys.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "store/audit.h"
#include "store/database.h"
#include "store/statements.h"

namespace penstock::store {

struct TenantRow {
  std::string name;
  std::string limits;       // JSON
  std::string models;       // JSON: an array of names; empty array: all
  std::string cache_scope;  // "key", "tenant", "shared"; "": as configured
  std::int64_t created_us = 0;
  std::int64_t changed = 0;
  bool deleted = false;  // the row stays, so that nodes learn of it
};

// False: there is one of this name. One that was deleted is made anew.
Task<Result<bool>> create_tenant(Database& database, TenantRow tenant, Note note,
                                 Deadline& deadline);
// Deleted ones too.
Task<Result<std::optional<TenantRow>>> tenant_of_name(Database& database, std::string name,
                                                      Deadline& deadline);
// By name, those behind `after`; without the deleted.
Task<Result<std::vector<TenantRow>>> list_tenants(Database& database, std::string after,
                                                  std::int64_t limit, Deadline& deadline);
// False: it was changed since `tenant.changed`, or is no more.
Task<Result<bool>> update_tenant(Database& database, TenantRow tenant, Note note,
                                 Deadline& deadline);
// With it all its keys are revoked. False as above.
Task<Result<bool>> delete_tenant(Database& database, TenantRow tenant, Note note,
                                 Deadline& deadline);
// What was changed behind (after, after_name), in order; deleted ones too; from the primary.
Task<Result<std::vector<TenantRow>>> changed_tenants(Database& database, std::int64_t after,
                                                     std::string after_name, std::int64_t limit,
                                                     Deadline& deadline);

Part tenant_statements();

}  // namespace penstock::store
