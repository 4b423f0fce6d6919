#include "app/profile_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "app/client.h"
#include "app/exit_codes.h"
#include "app/help.h"
#include "app/shown.h"
#include "profile/flame.h"

namespace penstock::app {
namespace {

constexpr const char* kName = "penstock profile";
constexpr Duration kPatience = 15s;  // beyond the time that is looked at
constexpr std::size_t kShown = 15;   // functions

// "pprof", "svg" or "folded"; empty: the ending says nothing.
std::string format_of(const ProfileOptions& options) {
  if (!options.format.empty()) return options.format;
  const std::string& out = options.out;
  if (out.ends_with(".svg")) return "svg";
  if (out.ends_with(".pb.gz") || out.ends_with(".pprof")) return "pprof";
  return out.ends_with(".folded") || out.ends_with(".txt") ? "folded" : "";
}

std::string percent(std::int64_t part, std::int64_t whole) {
  return fmt::format("{:.1f} %", 100 * static_cast<double>(part) / static_cast<double>(whole));
}

// Without the long ones of a template's arguments: a line of the table is for one look.
std::string in_short(const std::string& name) {
  constexpr std::size_t kMost = 30;
  std::string out;
  std::size_t from = 0;
  int depth = 0;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const std::string_view before = std::string_view(name).substr(0, i);
    const bool opens =
        name[i] == '<' && !before.ends_with("operator") && !before.ends_with("operator<");
    const bool closes = name[i] == '>' && depth > 0 && !before.ends_with('-');
    if (opens && depth == 0) from = i;
    if (opens) ++depth;
    if (depth == 0) out += name[i];
    if (closes) --depth;
    if (closes && depth == 0) out += i - from > kMost ? "<..>" : name.substr(from, i + 1 - from);
  }
  return depth == 0 ? out : name;
}

std::string table_of(const profile::Stacks& stacks, const std::string& unit,
                     const ProfileOptions& options) {
  std::int64_t whole = 0;
  for (const auto& [names, count] : stacks) whole += count;
  if (whole == 0) {
    return options.heap ? "No memory in use was sampled yet.\n"
                        : "The gateway used no processor time in which it was looked at.\n";
  }
  std::string out;
  if (options.heap) {
    out = fmt::format("About {} in use.\n\n", profile::amount_text(whole, unit));
  } else {
    out = fmt::format("{} of processor time in {} s: {:.2f} cores.\n\n",
                      profile::amount_text(whole, unit), options.seconds,
                      static_cast<double>(whole) / 1e9 / std::stod(options.seconds));
  }
  std::vector<std::vector<std::string>> rows = {{"OWN", "", "WITH CALLS", "", "FUNCTION"}};
  for (const profile::Hot& hot : profile::hottest(stacks)) {
    if (rows.size() > kShown || hot.own == 0) break;
    rows.push_back({profile::amount_text(hot.own, unit), percent(hot.own, whole),
                    profile::amount_text(hot.whole, unit), percent(hot.whole, whole),
                    visible(in_short(hot.name))});
  }
  return out + table_text(rows);
}

int seconds_of(const ProfileOptions& options) {
  int seconds = 0;
  std::from_chars(options.seconds.data(), options.seconds.data() + options.seconds.size(), seconds);
  return seconds;
}

}  // namespace

void add_profile_options(CLI::App& app, ProfileOptions& options) {
  app.footer(
      "Without --out the functions that use most are listed. FILE is a flame graph where it ends\n"
      "in .svg (for a browser: click to zoom), a profile for pprof, Pyroscope or Parca where it\n"
      "ends in .pb.gz, and folded stacks for flamegraph.pl or speedscope where in .folded.\n"
      "One CPU profile is taken at a time.\n"
      "\n"
      "Examples:\n"
      "  penstock profile\n"
      "  penstock profile --seconds 10 --out flame.svg\n"
      "  penstock profile --heap --out heap.pb.gz\n"
      "Exit codes: 0 it was taken, 1 the gateway cannot be reached or refuses, or the file cannot\n"
      "be written, 2 an option means nothing.\n");
  app.add_option_function<std::string>(
         "--seconds",
         [&options](const std::string& given) {
           options.seconds = given;
           options.seconds_given = true;
         },
         "Of the CPU: how long it is looked at")
      ->type_name("N")
      ->default_str("10")
      ->check(whole_number(1, 60));
  app.add_flag("--heap", options.heap, "The memory in use, and not the CPU");
  app.add_option("--out", options.out, "Where it is written, and by its ending as what")
      ->type_name("FILE");
  app.add_option("--format", options.format, "What FILE is: svg, pprof or folded")
      ->type_name("FORMAT");
  add_admin_options(app, options);
}

int profile_command(const ProfileOptions& options) {
  if (options.heap && options.seconds_given) {
    return bad_usage(kName, "--seconds is for the CPU, without --heap");
  }
  const std::string format = format_of(options);
  if (!options.format.empty() && options.out.empty()) {
    return bad_usage(kName, "--format is for a file: give --out");
  }
  if (format != "svg" && format != "pprof" && format != "folded" && !options.out.empty()) {
    return bad_usage(kName, options.format.empty()
                                ? "--out ends in .svg, .pb.gz or .folded, or give --format"
                                : "--format is svg, pprof or folded");
  }
  int code = kGood;
  const std::unique_ptr<Client> client =
      Client::make(kName, options.admin, options.token, "--token", code);
  if (!client) return code;
  const int seconds = seconds_of(options);
  // The picture and the table are made here, out of the same stacks.
  const std::string target =
      fmt::format("/debug/pprof/{}format={}",
                  options.heap ? "heap?" : fmt::format("profile?seconds={}&", seconds),
                  format == "pprof" ? "pprof" : "folded");
  const Result<std::string> answer =
      client->get(target, kPatience + std::chrono::seconds(options.heap ? 0 : seconds));
  if (!answer) return client->failed(answer.error());

  std::string file = *answer, shown;
  if (format != "pprof") {
    const Result<profile::Stacks> stacks = profile::read_folded(*answer);
    if (!stacks) {
      return client->failed(said("it answers otherwise than an admin listener of this version"));
    }
    const std::string unit = options.heap ? "bytes" : "ns";
    shown = table_of(*stacks, unit, options);
    if (format == "svg") {
      file =
          profile::flame_svg(*stacks, {options.heap ? "Memory in use by penstock"
                                                    : fmt::format("CPU of penstock, {} s", seconds),
                                       unit});
    }
  }
  if (!options.out.empty()) {
    if (!write_file(options.out, file)) {
      fmt::print(stderr, "{}: cannot write {}: {}\n", kName, options.out, std::strerror(errno));
      return kFailed;
    }
    shown += fmt::format("{}{} has {}.\n", shown.empty() ? "" : "\n", options.out,
                         format == "svg"     ? "the flame graph: open it in a browser"
                         : format == "pprof" ? "the profile"
                                             : "the folded stacks");
  }
  return print_page(kName, shown);
}

}  // namespace penstock::app
