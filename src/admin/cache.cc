// The cache, for the admin API: what is purged, and the switches that roll it back.
#include <algorithm>
#include <array>

#include "access/json.h"
#include "admin/desk.h"
#include "admin/records.h"
#include "dialect/json.h"
#include "exchange/refusals.h"
#include "settings/values.h"

namespace penstock::admin {
namespace {

using Answer = RecordsRoom::Answer;

constexpr std::size_t kMostName = 256;
constexpr std::size_t kKeyDigits = 64;

Answer refused(Refusal refusal) {
  return {refusal.status, {}, "application/json", std::move(refusal)};
}

Refusal not_valid(std::string param, const std::string& expected) {
  std::string message = "Invalid '" + param + "': expected " + expected + ".";
  return refusal(Reason::invalid_value, std::move(message), std::move(param));
}

Refusal not_json(const Error& error) {
  return refusal(Reason::invalid_json, "The body is not valid JSON: " + error.detail + ".");
}

std::string shown(std::string_view name) { return std::string(name.substr(0, 64)); }

bool is_entry(std::string_view name) {
  return name.size() == kKeyDigits && name.find_first_not_of("0123456789abcdef") == name.npos;
}

// {"tag": "prices"} or {"all": true}: one thing, so that nobody purges more than was meant.
Result<cache::Purge, Refusal> read_purge(std::string_view body) {
  constexpr std::string_view kOne =
      "one of tag, model, tenant, key and entry with a name, or all: true";
  access::StrictJson json;
  const auto object = json.read(body);
  if (!object) return not_json(object.error());
  std::optional<cache::Purge> purge;
  for (const auto [name, value] : *object) {
    const std::optional<cache::PurgeOf> what = cache::purge_of(name);
    if (!what) {
      return refusal(Reason::unknown_member, "There is no member '" + shown(name) + "' here.",
                     shown(name));
    }
    if (purge) return not_valid(shown(name), std::string(kOne) + ", not several");
    purge.emplace(cache::Purge{*what, {}});
    if (*what == cache::PurgeOf::all) {
      bool all = false;
      if (value.get_bool().get(all) != simdjson::SUCCESS || !all) return not_valid("all", "true");
      continue;
    }
    std::string_view text;
    if (value.get_string().get(text) != simdjson::SUCCESS || text.empty() ||
        text.size() > kMostName) {
      return not_valid(shown(name), "a name of up to 256 bytes");
    }
    if (*what == cache::PurgeOf::entry && !is_entry(text)) {
      return not_valid("entry",
                       "64 hexadecimal digits, as `GET /admin/v1/cache/entries` shows them");
    }
    purge->name = text;
  }
  if (!purge) {
    return refusal(Reason::missing_required_parameter,
                   "Missing required parameter: " + std::string(kOne) + ".");
  }
  return *std::move(purge);
}

}  // namespace

Task<Answer> RecordsRoom::purge(Ask ask, Deadline& deadline) {
  Result<cache::Purge, Refusal> purge = read_purge(ask.body);
  if (!purge) co_return refused(purge.error());
  if (house_.purger == nullptr) {
    co_return refused(refusal(Reason::store_unavailable, "The gateway is still starting."));
  }
  const std::string what(cache::name_of(purge->what));
  const std::string name = purge->name;
  Result<cache::Purged> done = co_await house_.purger->purge(*std::move(purge), deadline);
  if (!done) co_return failed(done.error());
  std::string detail;
  {
    dialect::JsonWriter json(detail);
    json.begin_object().member("what", what).member("name", name);
    json.member("entries", done->erased).end_object();
  }
  co_await write_down(ask, "cache.purge", name.empty() ? what : name, detail, deadline);
  std::string out;
  dialect::JsonWriter json(out);
  json.begin_object().key("purged").begin_object();
  json.member("what", what).member("name", name).end_object();
  json.member("entries", done->erased).member("told", done->told);
  if (done->reason.empty()) {
    json.member_null("reason");
  } else {
    json.member("reason", done->reason);
  }
  json.end_object();
  co_return Answer{200, std::move(out), "application/json", std::nullopt};
}

// ---- what there is ------------------------------------------------------------------------------

void Admin::Desk::cache(http::Request&, http::Reply& reply) {
  const auto stats = house_.cache.stats();
  scratch_.clear();
  dialect::JsonWriter json(scratch_);
  json.begin_object().member("entries", stats.entries).member("bytes", stats.bytes);
  json.member("capacity", stats.capacity).member("evictions", stats.evictions);
  json.member("redis", house_.redis.has_value());
  json.member("semantic_entries", house_.semantic.stats().entries);
  json.key("requests").begin_object();
  for (const std::string_view level : {"memory", "redis", "semantic"}) {
    json.key(level).begin_object();
    for (const std::string_view result : {"hit", "stale", "miss", "error"}) {
      json.member(result, static_cast<std::uint64_t>(registry_.sum(
                              "penstock_cache_requests_total",
                              {{"level", std::string(level)}, {"result", std::string(result)}})));
    }
    json.end_object();
  }
  json.end_object();
  json.member("coalesced",
              static_cast<std::uint64_t>(registry_.sum("penstock_cache_coalesced_requests_total")));
  json.member("bypassed", static_cast<std::uint64_t>(registry_.sum("penstock_cache_requests_total",
                                                                   {{"result", "bypass"}})));
  json.member("saved_tokens",
              static_cast<std::uint64_t>(registry_.sum("penstock_cache_saved_tokens_total")));
  json.member("invalidations",
              static_cast<std::uint64_t>(registry_.sum("penstock_cache_invalidations_total")));
  json.end_object();
  this->json(reply, 200, scratch_);
}

Task<Answer> RecordsRoom::list_entries(Ask ask, Deadline&) {
  constexpr std::uint64_t kEntries = 100;
  constexpr std::uint64_t kMostEntries = 1000;
  const auto value = [&](std::string_view name) {
    const auto found = ask.query.find(name);
    return found == ask.query.end() ? std::string() : found->second;
  };
  std::uint64_t limit = kEntries;
  if (const std::string given = value("limit"); !given.empty()) {
    const auto number = settings::parse_integer(given);
    if (!number || *number == 0 || *number > kMostEntries) {
      co_return refused(not_valid("limit", "a whole number from 1 to 1000"));
    }
    limit = *number;
  }
  const std::string tag = value("tag"), model = value("model"), tenant = value("tenant");
  const Time now = Clock::now();
  const auto seconds = [](Duration duration) {
    return std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  };
  std::string out;
  dialect::JsonWriter json(out);
  json.begin_object().key("entries").begin_array();
  bool more = false;
  house_.cache.each([&](const cache::Entry& entry) {
    if (!tag.empty() && std::find(entry.tags.begin(), entry.tags.end(), tag) == entry.tags.end()) {
      return true;
    }
    if (!model.empty() && entry.model != model) return true;
    if (!tenant.empty() && !cache::of_tenant(entry.scope, tenant)) return true;
    if (limit-- == 0) {
      more = true;
      return false;
    }
    json.begin_object().member("entry", cache::hex(entry.key)).member("model", entry.model);
    json.member("engine", entry.engine).member("scope", entry.scope);
    json.key("tags").begin_array();
    for (const std::string& one : entry.tags) json.value(one);
    json.end_array();
    json.member("status", entry.status).member("age_seconds", seconds(now - entry.stored));
    json.member("fresh_seconds", seconds(entry.expires - now));
    json.member("bytes", static_cast<std::uint64_t>(entry.bytes()));
    json.member("shared", entry.shared).end_object();
    return true;
  });
  json.end_array().member("more", more).end_object();
  co_return Answer{200, std::move(out), "application/json", std::nullopt};
}

// ---- switches -----------------------------------------------------------------------------------

namespace {

struct Feature {
  std::string_view name;
  gateway::Switch gateway::House::*forced;
  bool settings::Features::*configured;
};
constexpr std::array<Feature, 4> kFeatures = {{
    {"caching", &gateway::House::caching, &settings::Features::caching},
    {"redis_caching", &gateway::House::redis_caching, &settings::Features::redis_caching},
    {"prometheus_metrics", &gateway::House::prometheus_metrics,
     &settings::Features::prometheus_metrics},
    {"opentelemetry_tracing", &gateway::House::tracing, &settings::Features::opentelemetry_tracing},
}};

void write_features(dialect::JsonWriter& json, const gateway::House& house,
                    const settings::Settings& settings) {
  json.begin_object().key("features").begin_object();
  for (const Feature& feature : kFeatures) {
    const bool configured = settings.features.*feature.configured;
    const gateway::Switch& one = house.*feature.forced;
    json.key(feature.name).begin_object();
    json.member("enabled", one.on(configured)).member("configured", configured);
    if (const std::optional<bool> forced = one.forced()) {
      json.member("set", *forced);
    } else {
      json.member_null("set");
    }
    json.end_object();
  }
  json.end_object().end_object();
}

}  // namespace

Task<Answer> RecordsRoom::show_features(Ask, Deadline&) {
  std::string out;
  dialect::JsonWriter json(out);
  write_features(json, house_, *program_.settings());
  co_return Answer{200, std::move(out), "application/json", std::nullopt};
}

// {"enabled": false}; null: as it is configured.
Task<Answer> RecordsRoom::set_feature(Ask ask, Deadline& deadline) {
  const auto* const feature = std::find_if(kFeatures.begin(), kFeatures.end(),
                                           [&](const Feature& f) { return f.name == ask.object; });
  if (feature == kFeatures.end()) {
    co_return refused(refusal(Reason::not_found,
                              "There is no switch `" + shown(ask.object) +
                                  "`; there are caching, redis_caching, prometheus_metrics and "
                                  "opentelemetry_tracing."));
  }
  std::optional<std::optional<bool>> wanted;
  {
    access::StrictJson json;
    const auto object = json.read(ask.body);
    if (!object) co_return refused(not_json(object.error()));
    for (const auto [name, value] : *object) {
      if (name != "enabled") {
        co_return refused(refusal(Reason::unknown_member,
                                  "There is no member '" + shown(name) + "' here.", shown(name)));
      }
      bool on = false;
      if (value.is_null()) {
        wanted.emplace(std::nullopt);
      } else if (value.get_bool().get(on) == simdjson::SUCCESS) {
        wanted.emplace(on);
      } else {
        co_return refused(not_valid("enabled", "true, false, or null: as it is configured"));
      }
    }
  }
  if (!wanted) {
    co_return refused(refusal(Reason::missing_required_parameter,
                              "Missing required parameter: 'enabled'.", "enabled"));
  }
  (house_.*feature->forced).force(*wanted);
  const settings::SettingsPtr settings = program_.settings();
  house_.obey(settings->features);
  const std::string_view word = !*wanted ? "null" : **wanted ? "true" : "false";
  co_await write_down(ask, "feature.set", std::string(feature->name),
                      "{\"enabled\":" + std::string(word) + "}", deadline);
  std::string out;
  dialect::JsonWriter json(out);
  write_features(json, house_, *settings);
  co_return Answer{200, std::move(out), "application/json", std::nullopt};
}

}  // namespace penstock::admin
