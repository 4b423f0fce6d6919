#include "admin/words.h"

#include <fmt/chrono.h>

#include <cmath>

#include "settings/values.h"

namespace penstock::admin {
namespace {

constexpr std::string_view kNone = "none";
constexpr std::string_view kDefault = "default";
constexpr double kMostSpend = 1e9;  // in the currency: a billion, in billionths well below 2^63

Error expected(std::string what) { return {Kind::invalid, Source::client, false, std::move(what)}; }

void take_back(std::string_view name, access::KeyChange& change) {
  change.no_limits.emplace_back(name);
}

Limits& limits_of(access::KeyChange& change) {
  if (!change.limits) change.limits.emplace();
  return *change.limits;
}

Result<Quota> quota_of(std::string_view text) {
  if (text == kNone) return kUnlimited;
  const auto rate = settings::parse_rate(text);
  if (!rate) return expected("a rate such as 600/m (of /s, /m, /h or /d), none or default");
  return Quota{rate->count, rate->per};
}

Result<std::uint64_t> inflight_of(std::string_view text) {
  if (text == kNone) return kUnlimitedNumber;
  const auto number = settings::parse_integer(text);
  if (!number || *number > 1'000'000'000) return expected("a whole number, none or default");
  return *number;
}

Result<Nano> spend_of(std::string_view text) {
  if (text == kNone) return kUnlimitedSpend;
  const auto number = settings::parse_number(text);
  if (!number || *number > kMostSpend) {
    return expected("an amount of up to a billion such as 20 or 0.5, none or default");
  }
  return static_cast<Nano>(std::llround(*number * kNanoPerUnit));
}

std::string quota_text(const Quota& quota) {
  if (quota == kUnlimited) return std::string(kNone);
  const char* per = quota.per == 1s     ? "/s"
                    : quota.per == 1min ? "/m"
                    : quota.per == 1h   ? "/h"
                                        : "/d";
  return std::to_string(quota.count) + per;
}

// Exactly, as it was written: 1500000000 is "1.5".
std::string spend_text(Nano nano) {
  if (nano == kUnlimitedSpend) return std::string(kNone);
  constexpr Nano kUnit = 1'000'000'000;
  std::string text = fmt::format("{}.{:09}", nano / kUnit, nano % kUnit);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

std::optional<WallTime> date_of(std::string_view text) {
  std::tm parts{};
  const std::string whole(text);
  const char* const end =
      strptime(whole.c_str(), whole.size() == 10 ? "%Y-%m-%d" : "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (end == nullptr || *end != '\0' || whole.find('\0') != whole.npos) return std::nullopt;
  // strptime takes the 31st of any month: what is written back must be what was read.
  const std::time_t seconds = timegm(&parts);
  const WallTime time = std::chrono::system_clock::from_time_t(seconds);
  const std::string back = time_text(time);
  return back.starts_with(whole) ? std::optional(time) : std::nullopt;
}

void write_limits(dialect::JsonWriter& json, const Limits& limits) {
  json.key("limits").begin_object();
  for (const std::string_view name : {"requests", "tokens"}) {
    if (const auto text = limit_text(limits, name)) json.member(name, *text);
  }
  if (limits.inflight) {
    json.key("inflight");
    if (*limits.inflight == kUnlimitedNumber) {
      json.value(kNone);
    } else {
      json.value(*limits.inflight);
    }
  }
  if (limits.spend_day || limits.spend_month) {
    json.key("spend").begin_object();
    const auto one = [&](std::string_view name, const std::optional<Nano>& value) {
      if (!value) return;
      json.key(name);
      if (*value == kUnlimitedSpend) {
        json.value(kNone);
      } else {
        json.raw(spend_text(*value));
      }
    };
    one("day", limits.spend_day);
    one("month", limits.spend_month);
    json.end_object();
  }
  json.end_object();
}

void write_models(dialect::JsonWriter& json, const std::vector<std::string>& models) {
  json.key("models").begin_array();
  for (const std::string& model : models) json.value(model);
  json.end_array();
}

void write_scope(dialect::JsonWriter& json, const std::optional<CacheScope>& scope) {
  if (scope) {
    json.member("cache_scope", access::name_of(*scope));
  } else {
    json.member_null("cache_scope");
  }
}

void write_time(dialect::JsonWriter& json, std::string_view name,
                const std::optional<WallTime>& time) {
  if (time) {
    json.member(name, time_text(*time));
  } else {
    json.member_null(name);
  }
}

}  // namespace

Result<void> take_limit(std::string_view name, std::string_view text, access::KeyChange& change) {
  if (text == kDefault) {
    take_back(name, change);
    return {};
  }
  if (name == "requests" || name == "tokens") {
    const Result<Quota> quota = quota_of(text);
    if (!quota) return quota.error();
    (name == "requests" ? limits_of(change).requests : limits_of(change).tokens) = *quota;
  } else if (name == "inflight") {
    const Result<std::uint64_t> number = inflight_of(text);
    if (!number) return number.error();
    limits_of(change).inflight = *number;
  } else {
    const Result<Nano> spend = spend_of(text);
    if (!spend) return spend.error();
    (name == "spend_day" ? limits_of(change).spend_day : limits_of(change).spend_month) = *spend;
  }
  return {};
}

Result<void> take_priority(std::string_view text, access::KeyChange& change) {
  change.priority = access::priority_of(text);
  if (!change.priority) return expected("interactive or batch");
  return {};
}

Result<void> take_scope(std::string_view text, access::KeyChange& change) {
  const std::optional<CacheScope> scope = access::scope_of(text);
  if (!scope && text != kDefault) return expected("key, tenant, shared or default");
  change.scope = scope;
  return {};
}

Result<void> take_expiry(std::string_view text, WallTime now, access::KeyChange& change) {
  if (text == "never") {
    change.expires = std::optional<WallTime>();
    return {};
  }
  const auto duration = settings::parse_duration(text);
  std::optional<WallTime> at;
  if (duration) {
    at = now + std::chrono::duration_cast<WallTime::duration>(*duration);
  } else {
    at = date_of(text);
  }
  if (!at) return expected("a time from now such as 30d, a day such as 2027-01-31, or never");
  change.expires = at;
  return {};
}

std::optional<std::string> limit_text(const Limits& limits, std::string_view name) {
  const auto text = [](const auto& value, const auto& write) -> std::optional<std::string> {
    return value ? std::optional(write(*value)) : std::nullopt;
  };
  if (name == "requests") return text(limits.requests, quota_text);
  if (name == "tokens") return text(limits.tokens, quota_text);
  if (name == "spend_day") return text(limits.spend_day, spend_text);
  if (name == "spend_month") return text(limits.spend_month, spend_text);
  return text(limits.inflight, [](std::uint64_t number) {
    return number == kUnlimitedNumber ? std::string(kNone) : std::to_string(number);
  });
}

std::string time_text(WallTime time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

void write_key(dialect::JsonWriter& json, const access::Key& key, WallTime now) {
  json.begin_object().member("id", key.id).member("prefix", key.prefix);
  json.member("name", key.name).member("tenant", key.tenant);
  json.member("state", access::name_of(access::state_of(key, now)));
  write_models(json, key.models);
  write_limits(json, key.limits);
  json.member("priority", access::name_of(key.priority));
  write_scope(json, key.scope);
  write_time(json, "created", key.created);
  json.member("created_by", key.created_by);
  write_time(json, "expires", key.expires);
  write_time(json, "revoked", key.revoked);
  if (key.replaced_by) {
    json.member("replaced_by", *key.replaced_by);
  } else {
    json.member_null("replaced_by");
  }
  write_time(json, "grace_until", key.grace_until);
  json.end_object();
}

void write_tenant(dialect::JsonWriter& json, const access::Tenant& tenant) {
  json.begin_object().member("name", tenant.name);
  write_models(json, tenant.models);
  write_limits(json, tenant.limits);
  write_scope(json, tenant.scope);
  write_time(json, "created", tenant.created);
  json.end_object();
}

}  // namespace penstock::admin
