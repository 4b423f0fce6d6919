// `penstock keys`, `penstock tenants`, `penstock migrate`: who may ask what, kept in the database.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/store_access.h"

namespace penstock::app {

// The fields of a key or tenant, as they were written; nothing: not given.
struct FieldOptions {
  std::optional<std::string> models, requests, tokens, inflight, spend_day, spend_month, priority,
      cache_scope, expires, name;
};

struct KeysOptions {
  std::string verb;
  std::string id;
  std::string tenant;
  std::optional<std::string> grace;
  std::string format = "table";
  FieldOptions fields;
  StoreChoice where;
};

struct TenantsOptions {
  std::string verb;
  std::string name;
  std::string format = "table";
  FieldOptions fields;
  StoreChoice where;
};

// The new key of `create` and `rotate` is written to standard output, alone, and what else there is
// to say to standard error. 1 where the database is away or something is not there, 2 where an
// option means nothing.
int keys_command(const KeysOptions& options);
void add_keys_options(CLI::App& app, KeysOptions& options);

int tenants_command(const TenantsOptions& options);
void add_tenants_options(CLI::App& app, TenantsOptions& options);

int migrate_command(const StoreChoice& where);

}  // namespace penstock::app
