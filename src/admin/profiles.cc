// Profiles of the running program, where pprof's users look for them: /debug/pprof and /pprof.
#include <charconv>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "admin/body.h"
#include "admin/desk.h"
#include "admin/guard.h"
#include "base/sleep.h"
#include "exchange/refusals.h"
#include "profile/cpu.h"
#include "profile/flame.h"
#include "profile/heap.h"
#include "profile/pprof.h"

namespace penstock::admin {
namespace {

constexpr int kSeconds = 30;  // as Go's programs do
constexpr int kMostSeconds = 60;
constexpr Duration kCollect = 200ms;

Refusal not_valid(std::string_view param, std::string_view expected) {
  return refusal(Reason::invalid_value, fmt::format("Invalid '{}': expected {}.", param, expected),
                 std::string(param));
}

Result<std::string, Refusal> format_of(const Query& query) {
  const auto given = query.find("format");
  const std::string format = given == query.end() ? "pprof" : given->second;
  if (format == "pprof" || format == "svg" || format == "folded") return format;
  return not_valid("format", "pprof, svg or folded");
}

Result<int, Refusal> seconds_of(const Query& query) {
  const auto given = query.find("seconds");
  if (given == query.end()) return kSeconds;
  const std::string& text = given->second;
  int seconds = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (code != std::errc() || end != text.data() + text.size() || seconds < 1 ||
      seconds > kMostSeconds) {
    return not_valid("seconds", fmt::format("a whole number from 1 to {}", kMostSeconds));
  }
  return seconds;
}

Refusal profiling_off() {
  return refusal(Reason::profiling_off, "Profiles are turned off: by admin.profiling.");
}

// The command line, its words with a NUL between, as pprof wants it. What an operator may have
// hidden in a URL is not told.
std::string command_line() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), {});
  if (text.ends_with('\0')) text.pop_back();
  return without_passwords(std::move(text));
}

// "num_symbols: 1", then a line for each of the addresses, which have a plus between.
std::string symbol_lines(std::string_view addresses) {
  constexpr std::size_t kMost = 10'000;
  std::string out = "num_symbols: 1\n";
  if (addresses.empty()) return out;
  const profile::Symbols symbols;
  for (std::size_t count = 0; !addresses.empty() && count < kMost; ++count) {
    const std::size_t plus = std::min(addresses.find('+'), addresses.size());
    std::string_view word = addresses.substr(0, plus);
    addresses.remove_prefix(std::min(plus + 1, addresses.size()));
    if (word.starts_with("0x")) word.remove_prefix(2);
    profile::Address address = 0;
    const char* const end = word.data() + word.size();
    const auto [at, code] = std::from_chars(word.data(), end, address, 16);
    if (word.empty() || at != end || code != std::errc()) continue;
    out += fmt::format("{:#x} {}\n", address, symbols.at(address).name);
  }
  return out;
}

}  // namespace

std::vector<Admin::Desk::Served> Admin::Desk::profile_routes() {
  constexpr std::string_view kMedia = "application/octet-stream image/svg+xml text/plain";
  constexpr std::string_view kInvalid = "A parameter is not known, or its value makes no sense.";
  std::vector<Served> all;
  const auto add = [&](std::string_view cpu, std::string_view heap, std::string_view cmdline,
                       std::string_view symbol) {
    all.push_back(
        {{.method = "GET",
          .path = cpu,
          .summary = "Where processor time goes, looked at for some seconds (30, up to 60).",
          .answers = "A profile for pprof, a flame graph (format=svg), or folded stacks.",
          .media = kMedia,
          .schema = "Text",
          .failure = "409",
          .failure_says = "One is being taken already.",
          .query = "format seconds"},
         nullptr,
         &Desk::cpu_profile});
    all.push_back({{.method = "GET",
                    .path = heap,
                    .summary = "What memory is in use, and what was allocated, by where.",
                    .answers = "A profile for pprof, a flame graph (format=svg), or folded stacks.",
                    .media = kMedia,
                    .schema = "Text",
                    .failure = "400",
                    .failure_says = kInvalid,
                    .query = "debug format gc"},
                   &Desk::heap_profile});
    all.push_back({{.method = "GET",
                    .path = cmdline,
                    .summary = "The program's command line, for pprof.",
                    .answers = "Its words, with a NUL between.",
                    .media = "text/plain",
                    .schema = "Text"},
                   &Desk::profiled_command_line});
    all.push_back({{.method = "GET",
                    .path = symbol,
                    .summary = "The names of addresses, for pprof: ?0x1234+0x5678.",
                    .answers = "A line for each.",
                    .media = "text/plain",
                    .schema = "Text"},
                   &Desk::symbols});
    all.push_back({{.method = "POST",
                    .path = symbol,
                    .summary = "The same, of addresses in the body.",
                    .answers = "A line for each.",
                    .media = "text/plain",
                    .schema = "Text"},
                   nullptr,
                   &Desk::symbols_of_body});
  };
  add("/debug/pprof/profile", "/debug/pprof/heap", "/debug/pprof/cmdline", "/debug/pprof/symbol");
  add("/pprof/profile", "/pprof/heap", "/pprof/cmdline", "/pprof/symbol");
  return all;
}

bool Admin::Desk::profiling() const { return program_.settings()->admin.profiling; }

void Admin::Desk::give_profile(http::Reply& reply, const profile::Profile& profile,
                               std::string_view format, const std::string& title) {
  const profile::Symbols symbols;
  const auto plain = [&](std::string_view type) {
    begin(reply, 200, type);
    reply.field("cache-control", "no-store");
    reply.field("x-content-type-options", "nosniff");
  };
  if (format == "pprof") {
    plain("application/octet-stream");
    reply.field("content-disposition", "attachment; filename=\"penstock.pb.gz\"");
    return reply.finish(profile::pprof(profile, symbols));
  }
  const std::string lines = profile::folded(profile, symbols);
  if (format == "folded") {
    plain("text/plain; charset=utf-8");
    return reply.finish(lines);
  }
  const Result<profile::Stacks> stacks = profile::read_folded(lines);
  const std::string& unit = profile.measures[profile.shown].unit;
  plain("image/svg+xml");
  reply.field("content-security-policy",
              "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'");
  reply.finish(profile::flame_svg(*stacks, {title, unit == "nanoseconds" ? "ns" : unit}));
}

// GET /debug/pprof/profile
Task<void> Admin::Desk::cpu_profile(http::Request& request, http::Reply& reply,
                                    Deadline& deadline) {
  const std::string id = request_id_;
  if (!profiling()) co_return refuse_with(reply, profiling_off());
  const Result<Query, Refusal> query = read_query(request.head.query, "format seconds");
  if (!query) co_return refuse_with(reply, query.error());
  const Result<int, Refusal> seconds = seconds_of(*query);
  if (!seconds) co_return refuse_with(reply, seconds.error());
  const Result<std::string, Refusal> format = format_of(*query);
  if (!format) co_return refuse_with(reply, format.error());
  Result<profile::CpuSampler> sampler = profile::CpuSampler::begin();
  if (!sampler) {
    const bool taken = sampler.error().kind == Kind::exhausted;
    co_return refuse_with(
        reply, taken ? refusal(Reason::conflict, "A CPU profile is being taken already.")
                     : refusal(Reason::internal_error,
                               "No CPU profile can be taken: " + sampler.error().detail + "."));
  }
  log_change(request, reply, "CPU profile", true);
  const Time end = Clock::now() + std::chrono::seconds(*seconds);
  while (Clock::now() < end && !deadline.over()) {
    co_await sleep_until(std::min(end, Clock::now() + kCollect), deadline);
    sampler->collect();
  }
  const profile::Profile profile = sampler->end();
  if (reply.client_left()) co_return;
  request_id_ = id;  // others were answered meanwhile
  give_profile(reply, profile, *format, fmt::format("CPU of penstock, {} s", *seconds));
}

// GET /debug/pprof/heap
void Admin::Desk::heap_profile(http::Request& request, http::Reply& reply) {
  if (!profiling()) return refuse_with(reply, profiling_off());
  // What Go's tools ask for besides means nothing here: nothing is collected.
  const Result<Query, Refusal> query = read_query(request.head.query, "debug format gc");
  if (!query) return refuse_with(reply, query.error());
  const Result<std::string, Refusal> format = format_of(*query);
  if (!format) return refuse_with(reply, format.error());
  const Result<profile::Profile> profile = profile::heap_profile();
  if (!profile) {
    return refuse_with(reply, refusal(Reason::profiling_off, "There is no profile of the heap: " +
                                                                 profile.error().detail + "."));
  }
  log_change(request, reply, "heap profile", true);
  give_profile(reply, *profile, *format, "Memory in use by penstock");
}

void Admin::Desk::profiled_command_line(http::Request&, http::Reply& reply) {
  if (!profiling()) return refuse_with(reply, profiling_off());
  begin(reply, 200, "text/plain; charset=utf-8");
  reply.field("cache-control", "no-store");
  reply.field("x-content-type-options", "nosniff");
  reply.finish(command_line());
}

void Admin::Desk::give_symbols(http::Reply& reply, std::string_view addresses) {
  if (!profiling()) return refuse_with(reply, profiling_off());
  begin(reply, 200, "text/plain; charset=utf-8");
  reply.field("cache-control", "no-store");
  reply.finish(symbol_lines(addresses));
}

void Admin::Desk::symbols(http::Request& request, http::Reply& reply) {
  give_symbols(reply, request.head.query);
}

Task<void> Admin::Desk::symbols_of_body(http::Request& request, http::Reply& reply, Deadline&) {
  give_symbols(reply, request.body);
  co_return;
}

}  // namespace penstock::admin
