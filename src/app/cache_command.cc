#include "app/cache_command.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>

#include "app/client.h"
#include "app/exit_codes.h"
#include "app/help.h"
#include "app/shown.h"
#include "dialect/json.h"
#include "http/url.h"
#include "settings/values.h"

namespace penstock::app {
namespace {

constexpr const char* kName = "penstock cache";
constexpr Duration kPatience = 15s;
constexpr std::array<std::string_view, 7> kVerbs = {"stats", "list", "purge",   "warm",
                                                    "on",    "off",  "semantic"};
constexpr std::string_view kFeatures = "/admin/v1/features";
constexpr std::string_view kJson = "application/json";

struct Narrowed {
  std::string_view name;  // of the option, and of the API's member
  const std::optional<std::string>* value;
};
using Narrowing = std::array<Narrowed, 5>;

Narrowing narrowing(const CacheOptions& options) {
  return {{{"tag", &options.tag},
           {"model", &options.model},
           {"tenant", &options.tenant},
           {"key", &options.key},
           {"entry", &options.entry}}};
}

// What was answered, and cannot be read.
Error not_understood() {
  return said("it answers otherwise than an admin listener of this version");
}

std::uint64_t number(simdjson::simdjson_result<simdjson::dom::element> at) {
  std::uint64_t value = 0;
  return at.get(value) == simdjson::SUCCESS ? value : 0;
}

std::int64_t signed_number(simdjson::simdjson_result<simdjson::dom::element> at) {
  std::int64_t value = 0;
  return at.get(value) == simdjson::SUCCESS ? value : 0;
}

std::string text(simdjson::simdjson_result<simdjson::dom::element> at) {
  std::string_view value;
  return at.get(value) == simdjson::SUCCESS ? visible(value) : std::string();
}

std::string size_text(std::uint64_t bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string seconds_text(std::int64_t seconds) {
  if (seconds < 0) return "-" + seconds_text(-seconds);
  if (seconds < 120) return fmt::format("{}s", seconds);
  if (seconds < 120 * 60) return fmt::format("{}m", seconds / 60);
  if (seconds < 48 * 3600) return fmt::format("{}h", seconds / 3600);
  return fmt::format("{}d", seconds / 86400);
}

// ---- stats --------------------------------------------------------------------------------------

std::string share(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return "-";
  return fmt::format("{:.1f} %", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

// `redis`: there is such a level.
std::string switches_text(simdjson::dom::element features, bool redis = true) {
  std::string out;
  const auto one = [&](std::string_view name, std::string_view shown) {
    const auto feature = features["features"][name];
    bool enabled = false, set = false;
    if (feature["enabled"].get(enabled) != simdjson::SUCCESS) return;
    const bool forced = feature["set"].get(set) == simdjson::SUCCESS;
    out += fmt::format("{:<11} {}{}\n", shown, enabled ? "on" : "off",
                       forced ? ", set at run time" : "");
  };
  one("caching", "caching");
  if (redis) {
    one("redis_caching", "redis level");
  } else {
    out += fmt::format("{:<11} none (cache.redis.urls)\n", "redis level");
  }
  return out;
}

std::string stats_text(simdjson::dom::element stats, simdjson::dom::element features) {
  const std::uint64_t bytes = number(stats["bytes"]), capacity = number(stats["capacity"]);
  bool redis = true;
  const bool said = stats["redis"].get(redis) == simdjson::SUCCESS;
  std::string out = switches_text(features, redis || !said);
  out += fmt::format("in memory   {} answers, {} of {} ({}); {} made room for others\n",
                     number(stats["entries"]), size_text(bytes), size_text(capacity),
                     share(bytes, capacity), number(stats["evictions"]));
  if (const std::uint64_t alike = number(stats["semantic_entries"]); alike > 0) {
    out += fmt::format("semantic    {} questions\n", alike);
  }
  out += fmt::format("coalesced   {}\nbypassed    {}\nsaved       {} tokens\n",
                     number(stats["coalesced"]), number(stats["bypassed"]),
                     number(stats["saved_tokens"]));
  std::vector<std::vector<std::string>> rows = {
      {"LEVEL", "HIT", "STALE", "MISS", "ERROR", "HIT RATIO"}};
  std::uint64_t given = 0, asked = 0;
  for (const std::string_view level : {"memory", "redis", "semantic"}) {
    const auto counts = stats["requests"][level];
    const std::uint64_t hit = number(counts["hit"]), stale = number(counts["stale"]),
                        miss = number(counts["miss"]);
    const std::uint64_t looked = hit + stale + miss;
    if (level == "memory") asked = looked;
    given += hit + stale;
    rows.push_back({std::string(level), std::to_string(hit), std::to_string(stale),
                    std::to_string(miss), std::to_string(number(counts["error"])),
                    share(hit + stale, looked)});
  }
  // Every question looks into memory first.
  rows.push_back({"all", std::to_string(given), "", std::to_string(asked - std::min(asked, given)),
                  "", share(given, asked)});
  return out + "\n" + table_text(rows);
}

int stats(Client& client, const CacheOptions& options) {
  const Result<std::string> stats = client.get("/admin/v1/cache", kPatience);
  if (!stats) return client.failed(stats.error());
  if (options.format == "json") return print_page(kName, *stats + "\n");
  const Result<std::string> features = client.get(kFeatures, kPatience);
  if (!features) return client.failed(features.error());
  simdjson::dom::parser parser, other;
  simdjson::dom::element root, switches;
  if (parser.parse(*stats).get(root) != simdjson::SUCCESS ||
      other.parse(*features).get(switches) != simdjson::SUCCESS || !root.is_object()) {
    return client.failed(not_understood());
  }
  return print_page(kName, stats_text(root, switches));
}

// ---- list ---------------------------------------------------------------------------------------

int list(Client& client, const CacheOptions& options) {
  std::string target = "/admin/v1/cache/entries?limit=" + options.limit;
  for (const Narrowed& one : narrowing(options)) {
    if (*one.value) target += fmt::format("&{}={}", one.name, http::percent_encoded(**one.value));
  }
  const Result<std::string> body = client.get(target, kPatience);
  if (!body) return client.failed(body.error());
  if (options.format == "json") return print_page(kName, *body + "\n");
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  simdjson::dom::array entries;
  if (parser.parse(*body).get(root) != simdjson::SUCCESS ||
      root["entries"].get(entries) != simdjson::SUCCESS) {
    return client.failed(not_understood());
  }
  std::vector<std::vector<std::string>> rows = {
      {"MODEL", "SCOPE", "AGE", "FRESH", "SIZE", "TAGS", "ENTRY"}};
  for (const simdjson::dom::element entry : entries) {
    std::string tags;
    simdjson::dom::array list;
    if (entry["tags"].get(list) == simdjson::SUCCESS) {
      for (const simdjson::simdjson_result<simdjson::dom::element> tag : list) {
        tags += (tags.empty() ? "" : ",") + text(tag);
      }
    }
    const std::int64_t age = signed_number(entry["age_seconds"]);
    const std::int64_t fresh = signed_number(entry["fresh_seconds"]);
    const std::string scope = text(entry["scope"]);
    rows.push_back({text(entry["model"]), scope.empty() ? "shared" : scope, seconds_text(age),
                    fresh > 0 ? seconds_text(fresh) : "stale", size_text(number(entry["bytes"])),
                    tags.empty() ? "-" : tags, text(entry["entry"])});
  }
  bool more = false;
  if (root["more"].get(more) == simdjson::SUCCESS && more) {
    fmt::print(stderr, "There are more; --limit takes up to 1000.\n");
  }
  return print_page(kName, table_text(rows));
}

// ---- purge, on, off -----------------------------------------------------------------------------

Result<Client::Reply> change(Client& client, std::string_view method, std::string_view target,
                             const std::string& body) {
  Result<Client::Reply> reply = client.ask(method, target, body, kJson, kPatience);
  if (reply && reply->status >= 400) return said(message_of(reply->status, reply->body));
  return reply;
}

int purge(Client& client, const CacheOptions& options) {
  std::string body;
  dialect::JsonWriter json(body);
  json.begin_object();
  for (const Narrowed& one : narrowing(options)) {
    if (*one.value) json.member(one.name, **one.value);
  }
  if (options.all) json.member("all", true);
  json.end_object();
  const Result<Client::Reply> reply = change(client, "POST", "/admin/v1/cache/purge", body);
  if (!reply) return client.failed(reply.error());
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  bool told = false;
  if (parser.parse(reply->body).get(root) != simdjson::SUCCESS ||
      root["told"].get(told) != simdjson::SUCCESS) {
    return client.failed(not_understood());
  }
  const std::uint64_t erased = number(root["entries"]);
  const int printed = print_page(
      kName, options.format == "json" ? reply->body + "\n"
                                      : fmt::format("{} {} gone from this node's memory.\n", erased,
                                                    erased == 1 ? "answer is" : "answers are"));
  if (told) return printed;
  fmt::print(stderr,
             "{}: the other nodes could not be told: {}\n"
             "They are told as soon as Redis answers this node again, while it runs.\n",
             kName, text(root["reason"]));
  return kFailed;
}

int turn(Client& client, const CacheOptions& options) {
  const bool on = options.verb == "on";
  const std::string target =
      fmt::format("{}/{}", kFeatures, options.redis ? "redis_caching" : "caching");
  const Result<Client::Reply> reply =
      change(client, "PUT", target, on ? R"({"enabled":true})" : R"({"enabled":false})");
  if (!reply) return client.failed(reply.error());
  if (options.format == "json") return print_page(kName, reply->body + "\n");
  simdjson::dom::parser parser;
  simdjson::dom::element features;
  if (parser.parse(reply->body).get(features) != simdjson::SUCCESS) {
    return client.failed(not_understood());
  }
  return print_page(kName, switches_text(features) +
                               "On this node, until it is started again or told otherwise.\n");
}

// ---- the options --------------------------------------------------------------------------------

int check(const CacheOptions& options) {
  const std::string& verb = options.verb;
  if (std::find(kVerbs.begin(), kVerbs.end(), verb) == kVerbs.end()) {
    return bad_usage(kName, fmt::format("VERB cannot be \"{}\"; it can be {}", visible(verb),
                                        fmt::join(kVerbs, ", ")));
  }
  if (options.format != "table" && options.format != "json") {
    return bad_usage(
        kName, fmt::format("--format takes table or json, not \"{}\"", visible(options.format)));
  }
  std::size_t named = options.all ? 1 : 0;
  for (const Narrowed& one : narrowing(options)) {
    if (!*one.value) continue;
    ++named;
    const bool of_list = one.name != "key" && one.name != "entry";
    const bool of_warm = one.name == "model" || one.name == "tenant";
    const bool of_semantic = one.name == "model";
    if (verb != "purge" && !(verb == "list" && of_list) && !(verb == "warm" && of_warm) &&
        !(verb == "semantic" && of_semantic)) {
      return bad_usage(kName, fmt::format("`{}` takes no --{}", verb, one.name));
    }
    if ((*one.value)->empty()) return bad_usage(kName, fmt::format("--{} is empty", one.name));
  }
  if (options.all && verb != "purge") {
    return bad_usage(kName, fmt::format("`{}` takes no --all", verb));
  }
  if (options.redis && verb != "on" && verb != "off") {
    return bad_usage(kName, fmt::format("`{}` takes no --redis", verb));
  }
  const bool warms = verb == "warm";
  if (warms && options.file.empty() && !options.stop) return bad_usage(kName, "FILE is missing");
  const bool measures = verb == "semantic";
  if (measures && !options.model) {
    return bad_usage(kName, "`semantic` needs --model, the embedding model");
  }
  if (!options.file.empty() && !measures && (!warms || options.stop)) {
    return bad_usage(kName, fmt::format("`{}{}` takes no FILE", verb, warms ? " --stop" : ""));
  }
  if (options.stop && !warms) return bad_usage(kName, fmt::format("`{}` takes no --stop", verb));
  const auto rate = settings::parse_number(options.rate);
  if (!rate || *rate < 0 || *rate > 1e6) {
    return bad_usage(kName,
                     fmt::format("--rate takes questions a second up to 1000000, or 0 for no "
                                 "bound, not \"{}\"",
                                 visible(options.rate)));
  }
  if (verb == "purge" && named != 1) {
    return bad_usage(kName,
                     "`purge` takes one of --tag, --model, --tenant, --key, --entry and --all");
  }
  return kGood;
}

}  // namespace

void add_cache_options(CLI::App& app, CacheOptions& options) {
  app.footer(
      "Verbs:\n"
      "  stats  how much is kept, and how often it was of use\n"
      "  list   the answers in this node's memory\n"
      "  purge  forgets answers, on all nodes: those that one of the options below picks\n"
      "  warm   has the questions of FILE answered ahead: a line is a request as JSON, one of\n"
      "         OpenAI's Batch API, or a question in words for --model\n"
      "  on     turns the cache of this node on; with --redis its level in Redis alone\n"
      "  off    turns it off: no answer is lost, every question goes to an engine\n"
      "  semantic\n"
      "         how well the embedding model --model tells questions apart, at which threshold:\n"
      "         by the pairs of FILE, or by 384 that come with the program\n"
      "\n"
      "Examples:\n"
      "  penstock cache stats\n"
      "  penstock cache purge --tag prices\n"
      "  penstock cache warm questions.txt --model handbook --rate 20\n"
      "  penstock cache off --redis\n"
      "  penstock cache semantic --model small-embed\n");
  app.add_option("VERB", options.verb, "What to do")->required();
  app.add_option("FILE", options.file,
                 "Of `warm`: the questions; - for standard input. Of `semantic`: pairs of them");
  add_admin_options(app, options);
  const auto one = [&](const char* option, std::optional<std::string>& to, const char* type,
                       const char* about) {
    app.add_option_function<std::string>(
           option, [&to](const std::string& given) { to = given; }, about)
        ->type_name(type);
  };
  one("--tag", options.tag, "TAG", "Those that were tagged so (x-penstock-cache-tags)");
  one("--model", options.model, "NAME", "Those of a model");
  one("--tenant", options.tenant, "NAME", "Those of a tenant");
  one("--key", options.key, "ID", "Those kept for a key alone");
  one("--entry", options.entry, "HEX", "One, as `list` shows it");
  app.add_flag("--all", options.all, "All of them");
  app.add_option("--limit", options.limit, "Of `list`: at most so many")
      ->type_name("N")
      ->default_str("100")
      ->check(whole_number(1, 1000));
  app.add_option("--concurrency", options.concurrency, "Of `warm`: so many questions at a time")
      ->type_name("N")
      ->default_str("4")
      ->check(whole_number(1, 256));
  app.add_option("--rate", options.rate, "Of `warm`: so many a second; 0: as fast as they go")
      ->type_name("N")
      ->default_str("0");
  app.add_flag("--stop", options.stop, "Of `warm`: ends the one under way");
  app.add_option("--url", options.url, "Of `semantic`: the gateway itself")
      ->type_name("URL")
      ->capture_default_str();
  app.add_option("--api-key", options.api_key, "Of `semantic`: a key of its clients")
      ->type_name("KEY")
      ->envname("PENSTOCK_API_KEY");
  app.add_flag("--redis", options.redis, "Of `on` and `off`: the level in Redis alone");
  add_format_option(app, options.format);
}

int cache_command(const CacheOptions& options) {
  if (const int code = check(options); code != kGood) return code;
  int code = kGood;
  if (options.verb == "semantic") {
    const std::unique_ptr<Client> client =
        Client::make(kName, options.url, options.api_key, "--api-key", code);
    return client ? report_semantic_pairs(*client, options) : code;
  }
  const std::unique_ptr<Client> client =
      Client::make(kName, options.admin, options.token, "--token", code);
  if (!client) return code;
  if (options.verb == "stats") return stats(*client, options);
  if (options.verb == "list") return list(*client, options);
  if (options.verb == "purge") return purge(*client, options);
  if (options.verb == "warm") {
    return options.stop ? stop_warming(*client) : warm_cache(*client, options);
  }
  return turn(*client, options);
}

}  // namespace penstock::app
