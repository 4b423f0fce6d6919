// The keys of clients in the database: rows as they are kept. What they mean is access' (access/).
//
// Each change has a number of its own, the next of all changes of keys and tenants; the row bears
// it. So a node learns what is new by asking for the rows above the number it has seen, and an
// update names the number that it read: whoever was slower learns it and nothing is overwritten.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "store/audit.h"
#include "store/database.h"
#include "store/statements.h"

namespace penstock::store {

struct KeyRow {
  std::string id;
  std::string prefix;
  std::string digest;  // 32 bytes
  std::string name;
  std::string tenant;
  std::string models;       // JSON: an array of names; empty array: all
  std::string limits;       // JSON
  std::string priority;     // "interactive", "batch"
  std::string cache_scope;  // "key", "tenant", "shared"; "": the tenant's
  std::int64_t created_us = 0;
  std::optional<std::int64_t> expires_us;
  std::optional<std::int64_t> revoked_us;
  std::optional<std::string> replaced_by;  // the key that it was rotated to
  std::optional<std::int64_t> grace_until_us;
  std::string created_by;
  std::int64_t changed = 0;
};

// Whether it was created: not where the tenant was deleted.
Task<Result<bool>> create_key(Database& database, KeyRow key, Note note, Deadline& deadline);

// The key of a digest, and up to which change the answer knows of everything.
struct FoundKey {
  std::int64_t changes = 0;
  std::optional<KeyRow> key;
};
// `primary`: not from a replica.
Task<Result<FoundKey>> find_key(Database& database, std::string digest, bool primary,
                                Deadline& deadline);
Task<Result<std::optional<KeyRow>>> key_of_id(Database& database, std::string id,
                                              Deadline& deadline);
// By id, those behind `after`; of one tenant, or of all where it is empty. From the primary: who
// has just created one looks for it.
Task<Result<std::vector<KeyRow>>> list_keys(Database& database, std::string tenant,
                                            std::string after, std::int64_t limit,
                                            Deadline& deadline);

// Writes all that can change. False: it was changed since `key.changed`, or is no more.
Task<Result<bool>> update_key(Database& database, KeyRow key, Note note, Deadline& deadline);
// Both or none: the old one as with update_key, and the new one.
Task<Result<bool>> rotate_key(Database& database, KeyRow old, KeyRow fresh, Note note,
                              Deadline& deadline);

// The number of the last change.
Task<Result<std::int64_t>> last_change(Database& database, Deadline& deadline);
// What was changed behind (after, after_id), in order; from the primary.
Task<Result<std::vector<KeyRow>>> changed_keys(Database& database, std::int64_t after,
                                               std::string after_id, std::int64_t limit,
                                               Deadline& deadline);

Part key_statements();

}  // namespace penstock::store
