#include "access/records.h"

#include <charconv>

#include "access/json.h"

namespace penstock::access {
namespace {

using simdjson::dom::element;
using simdjson::dom::object;

constexpr std::string_view kNone = "none";

Error unreadable(std::string what) {
  return {Kind::internal, Source::store, false, std::move(what)};
}

// Arrays are read as members of an object, which the strict reader takes.
Result<std::vector<std::string>> models_from_json(std::string_view json) {
  StrictJson reader;
  const std::string wrapped = "{\"m\":" + std::string(json) + "}";
  const Result<object> root = reader.read(wrapped);
  simdjson::dom::array array;
  if (!root || root->size() != 1 || root->at_key("m").get(array) != simdjson::SUCCESS) {
    return unreadable("its models are no array");
  }
  std::vector<std::string> models;
  for (const element one : array) {
    std::string_view text;
    if (one.get(text) != simdjson::SUCCESS) return unreadable("its models are no names");
    models.emplace_back(text);
  }
  return models;
}

bool is_none(element value) {
  std::string_view text;
  return value.get(text) == simdjson::SUCCESS && text == kNone;
}

bool read_quota(element value, std::optional<Quota>& out) {
  if (is_none(value)) {
    out = kUnlimited;
    return true;
  }
  simdjson::dom::array pair;
  if (value.get(pair) != simdjson::SUCCESS || pair.size() != 2) return false;
  std::uint64_t count = 0;
  std::uint64_t per_us = 0;
  if (pair.at(0).get(count) != simdjson::SUCCESS || pair.at(1).get(per_us) != simdjson::SUCCESS ||
      per_us == 0 || per_us > 366ull * 24 * 3600 * 1'000'000) {
    return false;
  }
  out = Quota{count, std::chrono::microseconds(per_us)};
  return true;
}

template <class Number>
bool read_number(element value, Number unlimited, std::optional<Number>& out) {
  if (is_none(value)) {
    out = unlimited;
    return true;
  }
  std::uint64_t number = 0;
  if (value.get(number) != simdjson::SUCCESS || number > static_cast<std::uint64_t>(unlimited)) {
    return false;
  }
  out = static_cast<Number>(number);
  return true;
}

std::optional<WallTime> time_of(const std::optional<std::int64_t>& us) {
  return us ? std::optional(from_us(*us)) : std::nullopt;
}
std::optional<std::int64_t> us_of(const std::optional<WallTime>& time) {
  return time ? std::optional(to_us(*time)) : std::nullopt;
}

}  // namespace

std::int64_t to_us(WallTime time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

WallTime from_us(std::int64_t us) { return WallTime(std::chrono::microseconds(us)); }

std::string_view name_of(CacheScope scope) {
  switch (scope) {
    case CacheScope::key: return "key";
    case CacheScope::tenant: return "tenant";
    case CacheScope::shared: break;
  }
  return "shared";
}

std::string_view name_of(Priority priority) {
  return priority == Priority::batch ? "batch" : "interactive";
}

std::optional<CacheScope> scope_of(std::string_view name) {
  for (const CacheScope one : {CacheScope::key, CacheScope::tenant, CacheScope::shared}) {
    if (name == name_of(one)) return one;
  }
  return std::nullopt;
}

std::optional<Priority> priority_of(std::string_view name) {
  for (const Priority one : {Priority::interactive, Priority::batch}) {
    if (name == name_of(one)) return one;
  }
  return std::nullopt;
}

std::string_view name_of(KeyState state) {
  switch (state) {
    case KeyState::good: return "good";
    case KeyState::expired: return "expired";
    case KeyState::revoked: return "revoked";
    case KeyState::replaced: break;
  }
  return "replaced";
}

KeyState state_of(const Key& key, WallTime now) {
  if (key.revoked) return KeyState::revoked;
  if (key.expires && now >= *key.expires) return KeyState::expired;
  if (key.replaced_by && (!key.grace_until || now >= *key.grace_until)) return KeyState::replaced;
  return KeyState::good;
}

std::optional<WallTime> end_of(const Key& key) {
  if (!key.replaced_by || !key.grace_until) return key.expires;
  return key.expires ? std::min(*key.expires, *key.grace_until) : key.grace_until;
}

std::string models_to_json(const std::vector<std::string>& models) {
  std::string out = "[";
  for (const std::string& model : models) {
    if (out.size() > 1) out += ',';
    append_string(out, model);
  }
  return out + "]";
}

std::string limits_to_json(const Limits& limits) {
  std::string out = "{";
  const auto member = [&](std::string_view name, const std::string& json) {
    out += fmt::format("{}\"{}\":{}", out.size() > 1 ? "," : "", name, json);
  };
  const auto quota = [&](std::string_view name, const std::optional<Quota>& value) {
    if (!value) return;
    const auto per = std::chrono::duration_cast<std::chrono::microseconds>(value->per).count();
    member(name, *value == kUnlimited ? "\"none\"" : fmt::format("[{},{}]", value->count, per));
  };
  quota("requests", limits.requests);
  quota("tokens", limits.tokens);
  if (limits.inflight) {
    member("inflight",
           *limits.inflight == kUnlimitedNumber ? "\"none\"" : std::to_string(*limits.inflight));
  }
  const auto spend = [&](std::string_view name, const std::optional<Nano>& value) {
    if (value) member(name, *value == kUnlimitedSpend ? "\"none\"" : std::to_string(*value));
  };
  spend("spend_day", limits.spend_day);
  spend("spend_month", limits.spend_month);
  return out + "}";
}

Result<Limits> limits_from_json(std::string_view json) {
  StrictJson reader;
  const Result<object> root = reader.read(json);
  if (!root) return unreadable("its limits are no JSON object");
  Limits limits;
  for (const auto member : *root) {
    const bool good =
        member.key == "requests"    ? read_quota(member.value, limits.requests)
        : member.key == "tokens"    ? read_quota(member.value, limits.tokens)
        : member.key == "inflight"  ? read_number(member.value, kUnlimitedNumber, limits.inflight)
        : member.key == "spend_day" ? read_number(member.value, kUnlimitedSpend, limits.spend_day)
        : member.key == "spend_month"
            ? read_number(member.value, kUnlimitedSpend, limits.spend_month)
            : false;
    if (!good) {
      return unreadable("its limit \"" + std::string(member.key) + "\" cannot be read");
    }
  }
  return limits;
}

Result<Key> key_of(const store::KeyRow& row) {
  Key key;
  key.id = row.id;
  key.prefix = row.prefix;
  key.name = row.name;
  key.tenant = row.tenant;
  Result<std::vector<std::string>> models = models_from_json(row.models);
  if (!models) return unreadable("the key " + row.id + ": " + models.error().detail);
  key.models = *std::move(models);
  Result<Limits> limits = limits_from_json(row.limits);
  if (!limits) return unreadable("the key " + row.id + ": " + limits.error().detail);
  key.limits = *limits;
  const auto priority = priority_of(row.priority);
  if (!priority) return unreadable("the key " + row.id + ": its priority is unknown");
  key.priority = *priority;
  key.scope = scope_of(row.cache_scope);
  if (!key.scope && !row.cache_scope.empty()) {
    return unreadable("the key " + row.id + ": its cache scope is unknown");
  }
  key.created = from_us(row.created_us);
  key.expires = time_of(row.expires_us);
  key.revoked = time_of(row.revoked_us);
  key.replaced_by = row.replaced_by;
  key.grace_until = time_of(row.grace_until_us);
  key.created_by = row.created_by;
  return key;
}

Result<Tenant> tenant_of(const store::TenantRow& row) {
  Tenant tenant;
  tenant.name = row.name;
  Result<std::vector<std::string>> models = models_from_json(row.models);
  if (!models) return unreadable("the tenant " + row.name + ": " + models.error().detail);
  tenant.models = *std::move(models);
  Result<Limits> limits = limits_from_json(row.limits);
  if (!limits) return unreadable("the tenant " + row.name + ": " + limits.error().detail);
  tenant.limits = *limits;
  tenant.scope = scope_of(row.cache_scope);
  if (!tenant.scope && !row.cache_scope.empty()) {
    return unreadable("the tenant " + row.name + ": its cache scope is unknown");
  }
  tenant.created = from_us(row.created_us);
  return tenant;
}

void write(const Key& key, store::KeyRow& row) {
  row.name = key.name;
  row.models = models_to_json(key.models);
  row.limits = limits_to_json(key.limits);
  row.priority = name_of(key.priority);
  row.cache_scope = key.scope ? name_of(*key.scope) : std::string_view();
  row.expires_us = us_of(key.expires);
  row.revoked_us = us_of(key.revoked);
  row.replaced_by = key.replaced_by;
  row.grace_until_us = us_of(key.grace_until);
}

void write(const Tenant& tenant, store::TenantRow& row) {
  row.limits = limits_to_json(tenant.limits);
  row.models = models_to_json(tenant.models);
  row.cache_scope = tenant.scope ? name_of(*tenant.scope) : std::string_view();
}

void compose(Caller& caller, const Tenant* tenant, std::optional<CacheScope> own,
             CacheScope otherwise) {
  caller.tenant_models = tenant != nullptr ? tenant->models : std::vector<std::string>();
  caller.tenant_limits = tenant != nullptr ? tenant->limits : Limits();
  caller.scope = otherwise;
  if (tenant != nullptr && tenant->scope) caller.scope = *tenant->scope;
  if (own) caller.scope = *own;
  caller.cache_scope = cache_scope_of(caller.scope, caller.tenant, caller.key);
}

CallerPtr caller_of(const Key& key, const Tenant* tenant, CacheScope otherwise) {
  auto caller = std::make_shared<Caller>();
  caller->tenant = key.tenant;
  caller->key = key.id;
  caller->key_name = key.name;
  caller->models = key.models;
  caller->priority = key.priority;
  caller->limits = key.limits;
  caller->expires = end_of(key);
  compose(*caller, tenant, key.scope, otherwise);
  return caller;
}

}  // namespace penstock::access
