// What an operator does with keys and tenants: makes them, changes them, takes them back. The
// command line and the admin API are two doors to it.
//
// Every change is one transaction with its row in the audit log. A change is made of what was read;
// if somebody else was faster it is made again of what is there now.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "access/key.h"
#include "access/records.h"
#include "base/deadline.h"
#include "base/result.h"
#include "base/uuid.h"
#include "store/database.h"

namespace penstock::access {

// Who does it, for the audit log.
struct Actor {
  std::string who;   // "admin token from 127.0.0.1:5555", "user root"
  std::string node;  // the host's name
};

// A change of some fields. An optional that is set changes its field; "inner" nothing takes the
// field back.
struct KeyChange {
  std::optional<std::string> name;
  std::optional<std::vector<std::string>> models;
  std::optional<Limits> limits;        // those that are set in it
  std::vector<std::string> no_limits;  // those that are taken back: "requests" ... "spend_month"
  std::optional<Priority> priority;
  std::optional<std::optional<CacheScope>> scope;
  std::optional<std::optional<WallTime>> expires;
};

struct NewKey {
  Key key;
  std::string secret;  // the key itself: to be shown once
};

// Belongs to one thread.
class Office {
 public:
  // `configured`: whether a tenant stands in the configuration. `changed` is called after each
  // change. The database must outlive it.
  Office(store::Database& database, const std::string& secret,
         std::function<bool(std::string_view)> configured, std::function<void()> changed = {});

  // ---- keys: a Kind::not_found names the key or tenant; Kind::refused says why not ----
  Task<Result<NewKey>> create_key(std::string tenant, KeyChange fields, Actor actor, WallTime now,
                                  Deadline& deadline);
  Task<Result<Key>> key(std::string id, Deadline& deadline);
  // By id, behind `after`; at most `limit`.
  Task<Result<std::vector<Key>>> keys(std::string tenant, std::string after, std::int64_t limit,
                                      Deadline& deadline);
  Task<Result<Key>> update_key(std::string id, KeyChange change, Actor actor, WallTime now,
                               Deadline& deadline);
  // A new key in the place of the old one, which is good for `grace` yet.
  Task<Result<NewKey>> rotate_key(std::string id, Duration grace, Actor actor, WallTime now,
                                  Deadline& deadline);
  // Revoking one that is revoked does nothing.
  Task<Result<Key>> revoke_key(std::string id, Actor actor, WallTime now, Deadline& deadline);

  // ---- tenants; of the fields `name`, `priority` and `expires` are not theirs ----
  Task<Result<Tenant>> create_tenant(std::string name, KeyChange fields, Actor actor, WallTime now,
                                     Deadline& deadline);
  Task<Result<Tenant>> tenant(std::string name, Deadline& deadline);
  Task<Result<std::vector<Tenant>>> tenants(std::string after, std::int64_t limit,
                                            Deadline& deadline);
  Task<Result<Tenant>> update_tenant(std::string name, KeyChange change, Actor actor, WallTime now,
                                     Deadline& deadline);
  // Its keys are revoked with it.
  Task<Result<Tenant>> delete_tenant(std::string name, Actor actor, WallTime now,
                                     Deadline& deadline);

  store::Database& database() { return database_; }

 private:
  store::Note note(const Actor& actor, std::string action, std::string object, std::string detail,
                   WallTime now);
  void changed() const {
    if (changed_) changed_();
  }

  store::Database& database_;
  const Hasher hasher_;
  const std::function<bool(std::string_view)> configured_;
  const std::function<void()> changed_;
  Random random_;
};

// The secret that the pepper is made of where none is configured: the database keeps it, the same
// for all nodes.
Task<Result<std::string>> secret_of(store::Database& database, Deadline& deadline);

}  // namespace penstock::access
