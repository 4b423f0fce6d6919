#include "app/trace_command.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <CLI/CLI.hpp>

#include "app/client.h"
#include "app/exit_codes.h"
#include "app/help.h"
#include "app/shown.h"
#include "http/url.h"
#include "settings/values.h"

namespace penstock::app {
namespace {

constexpr const char* kName = "penstock trace";
constexpr Duration kPatience = 15s;
constexpr std::string_view kTraces = "/admin/v1/traces";
constexpr std::size_t kBar = 40;  // characters

using Element = simdjson::simdjson_result<simdjson::dom::element>;

Error not_understood() {
  return said("it answers otherwise than an admin listener of this version");
}

std::string text(Element at) {
  std::string_view value;
  return at.get(value) == simdjson::SUCCESS ? visible(value) : std::string();
}

double number(Element at) {
  double value = 0;
  return at.get(value) == simdjson::SUCCESS ? value : 0;
}

bool truth(Element at) {
  bool value = false;
  return at.get(value) == simdjson::SUCCESS && value;
}

std::string milliseconds(double ms) {
  return ms < 10 ? fmt::format("{:.2f} ms", ms) : fmt::format("{:.1f} ms", ms);
}

// "hit, memory", "miss"
std::string cache_text(simdjson::dom::element seen) {
  const std::string result = text(seen["cache"]), level = text(seen["level"]);
  if (result.empty()) return "-";
  return level.empty() ? result : result + ", " + level;
}

std::string or_dash(const std::string& text) { return text.empty() ? "-" : text; }

std::optional<std::string> list_text(simdjson::dom::element answer) {
  simdjson::dom::array traces;
  if (answer["traces"].get(traces) != simdjson::SUCCESS) return std::nullopt;
  if (traces.size() == 0) return "No request yet, or none such.\n";
  std::vector<std::vector<std::string>> rows = {
      {"TIME", "STATUS", "TOOK", "CACHE", "MODEL", "ENGINE", "ERROR", "REQUEST"}};
  for (simdjson::dom::element seen : traces) {
    rows.push_back({text(seen["time"]), fmt::format("{:.0f}", number(seen["status"])),
                    milliseconds(number(seen["duration_ms"])), cache_text(seen),
                    or_dash(text(seen["model"])), or_dash(text(seen["engine"])),
                    or_dash(text(seen["error"])), text(seen["request_id"])});
  }
  return table_text(rows);
}

// ---- the waterfall ------------------------------------------------------------------------------

struct Bar {
  double begin = 0;  // of the whole, 0 to 1
  double end = 0;
  double first = -1;  // where the first token came; below 0: nowhere
};

// "=" until the first token, "#" otherwise; at least one character.
std::string drawn(const Bar& bar) {
  const auto at = [](double share) {
    return static_cast<std::size_t>(std::clamp(share, 0.0, 1.0) * static_cast<double>(kBar));
  };
  std::string line(kBar, ' ');
  const std::size_t begin = std::min(at(bar.begin), kBar - 1);
  const std::size_t end = std::clamp(at(bar.end), begin + 1, kBar);
  const std::size_t first = bar.first < 0 ? begin : std::clamp(at(bar.first), begin, end);
  for (std::size_t i = begin; i < end; ++i) line[i] = i < first ? '=' : '#';
  return line;
}

// What is known of a step beside its time.
std::string remarks(simdjson::dom::element span) {
  std::string out;
  const auto add = [&](const std::string& more) {
    if (more.empty()) return;
    if (!out.empty()) out += ", ";
    out += more;
  };
  add(text(span["level"]));
  add(text(span["engine"]));
  if (const double attempt = number(span["attempt"]); attempt > 0) {
    add(fmt::format("attempt {:.0f}", attempt + 1));
  }
  const std::string result = text(span["result"]), error = text(span["error"]);
  add(result);
  if (const double status = number(span["status"]); status > 0) add(fmt::format("{:.0f}", status));
  if (error != result) add(error);
  if (const double first = number(span["first_token_ms"]); first > 0) {
    add("first token after " + milliseconds(first));
  }
  if (const std::string linked = text(span["linked_trace_id"]); !linked.empty()) {
    add("see trace " + linked);
  }
  bool ended = true;
  if (span["ended"].get(ended) == simdjson::SUCCESS && !ended) add("given up");
  return out;
}

void add_lines(std::string& out, simdjson::dom::array spans, double whole) {
  struct Row {
    std::string name, took, bar, more;
  };
  std::vector<Row> rows;
  std::size_t name_width = 0, took_width = 0;
  for (simdjson::dom::element span : spans) {
    const double begin = number(span["begin_ms"]), took = number(span["duration_ms"]);
    const double first = number(span["first_token_ms"]);
    Bar bar;
    if (whole > 0) {
      bar = {begin / whole, (begin + took) / whole, first > 0 ? (begin + first) / whole : -1};
    }
    const auto depth = static_cast<std::size_t>(std::clamp(number(span["depth"]), 0.0, 20.0));
    rows.push_back({std::string(2 * depth, ' ') + text(span["name"]), milliseconds(took),
                    drawn(bar), (truth(span["failed"]) ? "FAILED " : "") + remarks(span)});
    name_width = std::max(name_width, rows.back().name.size());
    took_width = std::max(took_width, rows.back().took.size());
  }
  for (const Row& row : rows) {
    std::string line = fmt::format("{:<{}}  {:>{}}  |{}|  {}", row.name, name_width, row.took,
                                   took_width, row.bar, row.more);
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  }
}

std::string failure_text(simdjson::dom::element failure) {
  std::string way;
  simdjson::dom::array passed;
  if (failure["passed_through"].get(passed) == simdjson::SUCCESS) {
    for (simdjson::dom::element one : passed) {
      std::string_view name;
      if (one.get(name) != simdjson::SUCCESS) continue;
      way += (way.empty() ? ", and passed through " : ", ") + visible(name);
    }
  }
  return fmt::format("The error began in {}: {}{}.\n", text(failure["began_in"]),
                     or_dash(text(failure["error"])), way);
}

// "POST to gpu-a", "penstock.cache.lookup"
std::string slowest(simdjson::dom::element trace, simdjson::dom::array spans) {
  const std::string name = text(trace["bottleneck"]["name"]);
  const auto place = static_cast<std::size_t>(number(trace["bottleneck"]["span"]));
  if (place == 0) return "the gateway itself, or waiting for the client";
  const std::string engine = text(spans.at(place)["engine"]);
  return engine.empty() ? name : name + " to " + engine;
}

std::optional<std::string> waterfall(simdjson::dom::element trace) {
  simdjson::dom::array spans;
  if (trace["spans"].get(spans) != simdjson::SUCCESS || spans.size() == 0) return std::nullopt;
  const double whole = number(trace["duration_ms"]);
  std::string out =
      fmt::format("request  {}\ntrace    {}{}\n", text(trace["request_id"]),
                  text(trace["trace_id"]), truth(trace["exported"]) ? ", exported" : "");
  out += fmt::format("begin    {}\n", text(trace["time"]));
  out += fmt::format("model    {}\nengine   {}\ncache    {}\n", or_dash(text(trace["model"])),
                     or_dash(text(trace["engine"])), cache_text(trace));
  const std::string error = text(trace["error"]);
  out += fmt::format("status   {:.0f}{}\n", number(trace["status"]),
                     error.empty() ? "" : ", " + error);
  out +=
      fmt::format("took     {}: {} waiting for engines, {} in the gateway and with the client\n\n",
                  milliseconds(whole), milliseconds(number(trace["engine_ms"])),
                  milliseconds(number(trace["gateway_ms"])));
  add_lines(out, spans, whole);
  out += fmt::format("\nMost of the time went into {}: {} ({:.0f} %).\n", slowest(trace, spans),
                     milliseconds(number(trace["bottleneck"]["own_ms"])),
                     100 * number(trace["bottleneck"]["share"]));
  simdjson::dom::element failure;
  if (trace["failure"].get(failure) == simdjson::SUCCESS && !failure.is_null()) {
    out += failure_text(failure);
  }
  return out;
}

std::string target_of(const TraceOptions& options) {
  if (!options.id.empty()) {
    return std::string(kTraces) + '/' + http::percent_encoded(options.id);
  }
  std::string target = std::string(kTraces) + "?limit=" + options.limit;
  if (options.failed) target += "&failed=true";
  if (options.slow) target += "&slow=" + http::percent_encoded(*options.slow);
  return target;
}

}  // namespace

std::optional<std::string> waterfall(const std::string& json) {
  simdjson::dom::parser parser;
  simdjson::dom::element trace;
  if (parser.parse(json).get(trace) != simdjson::SUCCESS) return std::nullopt;
  return waterfall(trace);
}

void add_trace_options(CLI::App& app, TraceOptions& options) {
  app.footer(
      "Without ID the last requests are listed, the newest first. With the id that an answer has\n"
      "in its `x-request-id`, or that of a trace, one is shown step by step: where its time went,\n"
      "and where its error began. The gateway keeps the last `tracing.ring` requests for this;\n"
      "no backend is needed.\n"
      "\n"
      "Examples:\n"
      "  penstock trace\n"
      "  penstock trace --failed\n"
      "  penstock trace --slow 500ms --limit 5\n"
      "  penstock trace 019ab3c4-7d10-7b62-9f3e-0a1b2c3d4e5f\n"
      "Exit codes: 0 it is shown, 1 the gateway cannot be reached or has no such request, 2 an\n"
      "option means nothing.\n");
  app.add_option("ID", options.id, "A request's or a trace's");
  app.add_flag("--failed", options.failed, "Of the list: those that were refused or failed");
  app.add_option_function<std::string>(
         "--slow", [&options](const std::string& given) { options.slow = given; },
         "Of the list: those that took at least so long")
      ->type_name("TIME");
  app.add_option("--limit", options.limit, "Of the list: at most so many")
      ->type_name("N")
      ->default_str("20")
      ->check(whole_number(1, 1000));
  add_admin_options(app, options);
  add_format_option(app, options.format);
}

int trace_command(const TraceOptions& options) {
  if (options.format != "table" && options.format != "json") {
    return bad_usage(kName, "--format is table or json");
  }
  if (options.slow && !settings::parse_duration(*options.slow)) {
    return bad_usage(kName, "--slow is a time such as 250ms");
  }
  if (!options.id.empty() && (options.failed || options.slow)) {
    return bad_usage(kName, "--failed and --slow are for the list, without ID");
  }
  int code = kGood;
  const std::unique_ptr<Client> client =
      Client::make(kName, options.admin, options.token, "--token", code);
  if (!client) return code;
  const Result<std::string> answer = client->get(target_of(options), kPatience);
  if (!answer) return client->failed(answer.error());
  if (options.format == "json") return print_page(kName, *answer + '\n');
  std::optional<std::string> shown;
  if (options.id.empty()) {
    simdjson::dom::parser parser;
    simdjson::dom::element list;
    if (parser.parse(*answer).get(list) == simdjson::SUCCESS) shown = list_text(list);
  } else {
    shown = waterfall(*answer);
  }
  if (!shown) return client->failed(not_understood());
  return print_page(kName, *shown);
}

}  // namespace penstock::app
