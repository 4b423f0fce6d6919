#include "access/office.h"

#include <algorithm>

#include "access/json.h"
#include "access/jwt.h"
#include "store/audit.h"

namespace penstock::access {
namespace {

constexpr int kTries = 5;  // of a change that others are making too
constexpr std::size_t kMostName = 100;
constexpr std::size_t kMostModels = 100;
constexpr std::size_t kMostModel = 256;
constexpr Duration kMostGrace = 24h * 90;

Error invalid(std::string what) { return {Kind::invalid, Source::client, false, std::move(what)}; }
Error not_found(std::string what) {
  return {Kind::not_found, Source::client, false, std::move(what)};
}
Error not_now(std::string what) { return {Kind::refused, Source::client, false, std::move(what)}; }

Error busy() {
  return {Kind::exhausted, Source::store, true, "others are changing it at the same time"};
}
Error no_key(const std::string& id) { return not_found("there is no key " + id); }
Error no_tenant(const std::string& name) { return not_found("there is no tenant " + name); }

bool plain(std::string_view text, std::size_t most) {
  return !text.empty() && text.size() <= most && std::none_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
}

Result<void> check(const KeyChange& change) {
  if (change.name && !plain(*change.name, kMostName)) {
    return invalid("the name must have 1 to 100 bytes and no control characters");
  }
  if (change.models) {
    if (change.models->size() > kMostModels) return invalid("there are more than 100 models");
    for (const std::string& model : *change.models) {
      if (!plain(model, kMostModel)) return invalid("a model's name must have 1 to 256 bytes");
    }
  }
  return {};
}

void apply(const KeyChange& change, Limits& limits) {
  const auto take = [](auto& to, const auto& from) {
    if (from) to = from;
  };
  if (change.limits) {
    take(limits.requests, change.limits->requests);
    take(limits.tokens, change.limits->tokens);
    take(limits.inflight, change.limits->inflight);
    take(limits.spend_day, change.limits->spend_day);
    take(limits.spend_month, change.limits->spend_month);
  }
  for (const std::string& name : change.no_limits) {
    if (name == "requests") limits.requests.reset();
    if (name == "tokens") limits.tokens.reset();
    if (name == "inflight") limits.inflight.reset();
    if (name == "spend_day") limits.spend_day.reset();
    if (name == "spend_month") limits.spend_month.reset();
  }
}

void apply(const KeyChange& change, Key& key) {
  if (change.name) key.name = *change.name;
  if (change.models) key.models = *change.models;
  if (change.priority) key.priority = *change.priority;
  if (change.scope) key.scope = *change.scope;
  if (change.expires) key.expires = *change.expires;
  apply(change, key.limits);
}

void apply(const KeyChange& change, Tenant& tenant) {
  if (change.models) tenant.models = *change.models;
  if (change.scope) tenant.scope = *change.scope;
  apply(change, tenant.limits);
}

// What is new, for the audit log.
std::string detail_of(const KeyChange& change, const std::string& tenant = {}) {
  std::string out = "{";
  const auto raw = [&](std::string_view name, const std::string& json) {
    if (out.size() > 1) out += ',';
    append_string(out, name);
    out += ':';
    out += json;
  };
  const auto text = [&](std::string_view name, std::string_view value) {
    std::string quoted;
    append_string(quoted, value);
    raw(name, quoted);
  };
  if (!tenant.empty()) text("tenant", tenant);
  if (change.name) text("name", *change.name);
  if (change.models) raw("models", models_to_json(*change.models));
  if (change.limits) raw("limits", limits_to_json(*change.limits));
  if (!change.no_limits.empty()) raw("no_limits", models_to_json(change.no_limits));
  if (change.priority) text("priority", name_of(*change.priority));
  if (change.scope) text("cache_scope", *change.scope ? name_of(**change.scope) : "");
  if (change.expires) {
    raw("expires_us", *change.expires ? std::to_string(to_us(**change.expires)) : "null");
  }
  return out + "}";
}

std::string bytes_of(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// The row of a new key, and the key itself.
Result<std::pair<store::KeyRow, std::string>> fresh_row(const Hasher& hasher, const Key& fields,
                                                        const std::string& who, WallTime now) {
  Result<std::string> secret = make_key();
  if (!secret) return secret.error();
  Result<std::string> id = make_key_id();
  if (!id) return id.error();
  store::KeyRow row;
  row.id = *std::move(id);
  row.prefix = prefix_of(*secret);
  row.digest = bytes_of(hasher.digest(*secret));
  row.tenant = fields.tenant;
  row.created_us = to_us(now);
  row.created_by = who;
  write(fields, row);
  return std::pair(std::move(row), *std::move(secret));
}

}  // namespace

Office::Office(store::Database& database, const std::string& secret,
               std::function<bool(std::string_view)> configured, std::function<void()> changed)
    : database_(database),
      hasher_(secret),
      configured_(std::move(configured)),
      changed_(std::move(changed)) {}

store::Note Office::note(const Actor& actor, std::string action, std::string object,
                         std::string detail, WallTime now) {
  const std::int64_t us = to_us(now);
  const Uuid id = make_uuid7(static_cast<std::uint64_t>(us / 1000), random_);
  return {std::string(text(id)), us,        actor.who, std::move(action), std::move(object),
          std::move(detail),     actor.node};
}

// ---- keys ---------------------------------------------------------------------------------------

Task<Result<NewKey>> Office::create_key(std::string tenant, KeyChange fields, Actor actor,
                                        WallTime now, Deadline& deadline) {
  if (!valid_tenant(tenant)) co_return invalid("a key belongs to a tenant");
  if (!fields.name) co_return invalid("a key needs a name");
  const Result<void> good = check(fields);
  if (!good) co_return good.error();
  Result<std::optional<store::TenantRow>> known =
      co_await store::tenant_of_name(database_, tenant, deadline);
  if (!known) co_return known.error();
  const bool there = known->has_value() ? !(*known)->deleted : configured_(tenant);
  if (!there) co_return no_tenant(tenant);

  Key key;
  key.tenant = tenant;
  apply(fields, key);
  Result<std::pair<store::KeyRow, std::string>> row = fresh_row(hasher_, key, actor.who, now);
  if (!row) co_return row.error();
  store::Note why = note(actor, "key.create", row->first.id, detail_of(fields, tenant), now);
  Result<bool> done = co_await store::create_key(database_, row->first, std::move(why), deadline);
  if (!done) co_return done.error();
  if (!*done) co_return no_tenant(tenant);
  changed();
  Result<Key> made = key_of(row->first);
  if (!made) co_return made.error();
  co_return NewKey{*std::move(made), std::move(row->second)};
}

Task<Result<Key>> Office::key(std::string id, Deadline& deadline) {
  Result<std::optional<store::KeyRow>> row = co_await store::key_of_id(database_, id, deadline);
  if (!row) co_return row.error();
  if (!*row) co_return no_key(id);
  co_return key_of(**row);
}

Task<Result<std::vector<Key>>> Office::keys(std::string tenant, std::string after,
                                            std::int64_t limit, Deadline& deadline) {
  Result<std::vector<store::KeyRow>> rows =
      co_await store::list_keys(database_, std::move(tenant), std::move(after), limit, deadline);
  if (!rows) co_return rows.error();
  std::vector<Key> keys;
  for (const store::KeyRow& row : *rows) {
    Result<Key> key = key_of(row);
    if (!key) co_return key.error();
    keys.push_back(*std::move(key));
  }
  co_return keys;
}

Task<Result<Key>> Office::update_key(std::string id, KeyChange change, Actor actor, WallTime now,
                                     Deadline& deadline) {
  const Result<void> good = check(change);
  if (!good) co_return good.error();
  for (int left = kTries; left > 0; --left) {
    Result<std::optional<store::KeyRow>> row = co_await store::key_of_id(database_, id, deadline);
    if (!row) co_return row.error();
    if (!*row) co_return no_key(id);
    Result<Key> key = key_of(**row);
    if (!key) co_return key.error();
    if (key->revoked) co_return not_now("the key " + id + " is revoked");
    apply(change, *key);
    write(*key, **row);
    store::Note why = note(actor, "key.update", id, detail_of(change), now);
    Result<bool> done = co_await store::update_key(database_, **row, std::move(why), deadline);
    if (!done) co_return done.error();
    if (*done) {
      changed();
      co_return key;
    }
  }
  co_return busy();
}

Task<Result<NewKey>> Office::rotate_key(std::string id, Duration grace, Actor actor, WallTime now,
                                        Deadline& deadline) {
  if (grace < Duration::zero() || grace > kMostGrace) {
    co_return invalid("the grace is a time of at most 90d");
  }
  for (int left = kTries; left > 0; --left) {
    Result<std::optional<store::KeyRow>> row = co_await store::key_of_id(database_, id, deadline);
    if (!row) co_return row.error();
    if (!*row) co_return no_key(id);
    Result<Key> key = key_of(**row);
    if (!key) co_return key.error();
    if (key->revoked) co_return not_now("the key " + id + " is revoked");
    if (key->replaced_by) {
      co_return not_now("the key " + id + " was rotated already, to " + *key->replaced_by);
    }
    if (state_of(*key, now) == KeyState::expired) {
      co_return not_now("the key " + id + " has expired");
    }
    Result<std::pair<store::KeyRow, std::string>> fresh = fresh_row(hasher_, *key, actor.who, now);
    if (!fresh) co_return fresh.error();
    key->replaced_by = fresh->first.id;
    key->grace_until = now + std::chrono::duration_cast<WallTime::duration>(grace);
    write(*key, **row);
    std::string detail = "{\"replaced_by\":\"" + fresh->first.id +
                         "\",\"grace_until_us\":" + std::to_string(to_us(*key->grace_until)) + "}";
    store::Note why = note(actor, "key.rotate", id, std::move(detail), now);
    Result<bool> done =
        co_await store::rotate_key(database_, **row, fresh->first, std::move(why), deadline);
    if (!done) co_return done.error();
    if (*done) {
      changed();
      Result<Key> made = key_of(fresh->first);
      if (!made) co_return made.error();
      co_return NewKey{*std::move(made), std::move(fresh->second)};
    }
  }
  co_return busy();
}

Task<Result<Key>> Office::revoke_key(std::string id, Actor actor, WallTime now,
                                     Deadline& deadline) {
  for (int left = kTries; left > 0; --left) {
    Result<std::optional<store::KeyRow>> row = co_await store::key_of_id(database_, id, deadline);
    if (!row) co_return row.error();
    if (!*row) co_return no_key(id);
    Result<Key> key = key_of(**row);
    if (!key) co_return key.error();
    if (key->revoked) co_return key;
    key->revoked = now;
    (*row)->revoked_us = to_us(now);
    store::Note why = note(actor, "key.revoke", id, "{}", now);
    Result<bool> done = co_await store::update_key(database_, **row, std::move(why), deadline);
    if (!done) co_return done.error();
    if (*done) {
      changed();
      co_return key;
    }
  }
  co_return busy();
}

// ---- tenants ------------------------------------------------------------------------------------

Task<Result<Tenant>> Office::create_tenant(std::string name, KeyChange fields, Actor actor,
                                           WallTime now, Deadline& deadline) {
  if (!valid_tenant(name)) {
    co_return invalid(
        "a tenant's name has 1 to 64 letters, digits and . _ @ -, and begins with a letter or "
        "digit");
  }
  const Result<void> good = check(fields);
  if (!good) co_return good.error();
  Tenant tenant;
  tenant.name = name;
  tenant.created = from_us(to_us(now));
  apply(fields, tenant);
  store::TenantRow row;
  row.name = name;
  row.created_us = to_us(now);
  write(tenant, row);
  store::Note why = note(actor, "tenant.create", name, detail_of(fields), now);
  Result<bool> done =
      co_await store::create_tenant(database_, std::move(row), std::move(why), deadline);
  if (!done) co_return done.error();
  if (!*done) co_return not_now("there is a tenant " + name + " already");
  changed();
  co_return tenant;
}

Task<Result<Tenant>> Office::tenant(std::string name, Deadline& deadline) {
  Result<std::optional<store::TenantRow>> row =
      co_await store::tenant_of_name(database_, name, deadline);
  if (!row) co_return row.error();
  if (!*row || (*row)->deleted) co_return no_tenant(name);
  co_return tenant_of(**row);
}

Task<Result<std::vector<Tenant>>> Office::tenants(std::string after, std::int64_t limit,
                                                  Deadline& deadline) {
  Result<std::vector<store::TenantRow>> rows =
      co_await store::list_tenants(database_, std::move(after), limit, deadline);
  if (!rows) co_return rows.error();
  std::vector<Tenant> tenants;
  for (const store::TenantRow& row : *rows) {
    Result<Tenant> tenant = tenant_of(row);
    if (!tenant) co_return tenant.error();
    tenants.push_back(*std::move(tenant));
  }
  co_return tenants;
}

Task<Result<Tenant>> Office::update_tenant(std::string name, KeyChange change, Actor actor,
                                           WallTime now, Deadline& deadline) {
  const Result<void> good = check(change);
  if (!good) co_return good.error();
  for (int left = kTries; left > 0; --left) {
    Result<std::optional<store::TenantRow>> row =
        co_await store::tenant_of_name(database_, name, deadline);
    if (!row) co_return row.error();
    if (!*row || (*row)->deleted) co_return no_tenant(name);
    Result<Tenant> tenant = tenant_of(**row);
    if (!tenant) co_return tenant.error();
    apply(change, *tenant);
    write(*tenant, **row);
    store::Note why = note(actor, "tenant.update", name, detail_of(change), now);
    Result<bool> done = co_await store::update_tenant(database_, **row, std::move(why), deadline);
    if (!done) co_return done.error();
    if (*done) {
      changed();
      co_return tenant;
    }
  }
  co_return busy();
}

Task<Result<Tenant>> Office::delete_tenant(std::string name, Actor actor, WallTime now,
                                           Deadline& deadline) {
  for (int left = kTries; left > 0; --left) {
    Result<std::optional<store::TenantRow>> row =
        co_await store::tenant_of_name(database_, name, deadline);
    if (!row) co_return row.error();
    if (!*row || (*row)->deleted) co_return no_tenant(name);
    Result<Tenant> tenant = tenant_of(**row);
    if (!tenant) co_return tenant.error();
    store::Note why = note(actor, "tenant.delete", name, "{}", now);
    Result<bool> done = co_await store::delete_tenant(database_, **row, std::move(why), deadline);
    if (!done) co_return done.error();
    if (*done) {
      changed();
      co_return tenant;
    }
  }
  co_return busy();
}

Task<Result<std::string>> secret_of(store::Database& database, Deadline& deadline) {
  Result<std::string> fresh = make_secret();
  if (!fresh) co_return fresh;
  Result<std::string> kept =
      co_await store::kept_secret(database, "secret", *std::move(fresh), deadline);
  co_return kept;
}

}  // namespace penstock::access
