// `penstock load`
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>

#include "app/commands.h"
#include "app/exit_codes.h"
#include "app/help.h"
#include "app/shown.h"
#include "settings/values.h"

namespace penstock::app {
namespace {

// What an interrupt may touch; a handler has no other way to reach it.
std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void on_interrupt(int) { interrupted.store(true, std::memory_order_relaxed); }

// Turns an interrupt into a request to stop, for as long as it lives.
class Interrupts {
 public:
  explicit Interrupts(std::stop_source& stop)
      : watcher_([this, &stop](const std::stop_token& ended) {
          while (!ended.stop_requested()) {
            if (interrupted.load(std::memory_order_relaxed)) stop.request_stop();
            std::unique_lock lock(mutex_);
            changed_.wait_for(lock, ended, 50ms, [] { return false; });
          }
        }) {
    interrupted = false;
    struct sigaction action {};
    action.sa_handler = &on_interrupt;
    // Once: a second interrupt ends the program the usual way.
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(SIGINT, &action, &before_);
  }
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;
  ~Interrupts() { sigaction(SIGINT, &before_, nullptr); }

 private:
  struct sigaction before_ {};
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::jthread watcher_;
};

// As CLI11 has it: the option's name, a colon, what is wrong.
CLI::ValidationError not_a(const char* name, std::string_view what, const std::string& text) {
  return CLI::ValidationError(name, fmt::format("takes {}, not \"{}\"", what, visible(text)));
}

// An option that is a time as everywhere else: 250ms, 10s, 5m.
void add_time(CLI::App& app, const char* name, Duration& into, const char* help) {
  app.add_option_function<std::string>(
         name,
         [&into, name](const std::string& text) {
           const auto time = settings::parse_duration(text);
           if (!time) throw not_a(name, "a time such as 250ms, 10s, 5m", text);
           into = *time;
         },
         help)
      ->type_name("TIME")
      ->default_str(settings::to_text(into));
}

// A size in bytes, or as everywhere else: 100KiB, 10MiB.
void add_size(CLI::App& app, const char* name, std::size_t& into, const char* help) {
  app.add_option_function<std::string>(
         name,
         [&into, name](const std::string& text) {
           const bool bare = text.find_first_not_of("0123456789") == std::string::npos;
           const auto size = settings::parse_size(bare && text != "0" ? text + "B" : text);
           if (!size) throw not_a(name, "a size such as 400, 100KiB", text);
           into = static_cast<std::size_t>(size->count);
         },
         help)
      ->type_name("SIZE")
      ->default_str(std::to_string(into));
}

// In load::Options a rate of 0 means none; who writes one wants something else.
std::string check_rate(const std::string& text) {
  double rate = 0;
  const char* const end = text.data() + text.size();
  const auto [at, ec] = std::from_chars(text.data(), end, rate);
  if (ec == std::errc() && at == end && rate > 0 && rate <= 1e9) return {};
  return fmt::format(
      "takes a rate above 0, at most 1e9, not \"{}\"; without --rate the loop is closed",
      visible(text));
}

std::string readable_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"),
                                                             &std::fclose);
  if (file && (std::fgetc(file.get()) != EOF || std::ferror(file.get()) == 0)) return {};
  return fmt::format("\"{}\" cannot be read: {}", visible(path), std::strerror(errno));
}

}  // namespace

void add_load_options(CLI::App& app, load::Options& options) {
  app.footer(
      "Examples:\n"
      "  penstock load --connections 64 --duration 30s      how much can it do?\n"
      "  penstock load --rate 1000 --connections 500        how fast is it at 1,000 questions/s?\n"
      "  penstock load --stream --connections 2000 --model gpt-4o-mini\n"
      "  penstock load --url http://127.0.0.1:9000 --model simulated --unique --json load.json\n"
      "\n"
      "Without --rate each connection asks again as soon as it is answered (closed loop). With\n"
      "it, questions come at that rate whatever the server does, and latency counts from when a\n"
      "question was meant to be sent, so a server that stalls cannot hide it (open loop).\n"
      "Exit codes: 0 all answered, 1 some request failed, 2 an option means nothing.\n");

  app.add_option("--url", options.url, "The server; http only")
      ->type_name("URL")
      ->capture_default_str();
  app.add_option("--model", options.model, "Which model is asked")
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--connections", options.connections,
                 "Connections; in an open loop the most there may be")
      ->type_name("N")
      ->check(whole_number(), "")
      ->capture_default_str();
  app.add_option("--rate", options.rate, "Questions a second, constantly: an open loop")
      ->type_name("N")
      ->check(&check_rate, "");
  app.add_flag("--stream", options.stream, "Ask for streamed answers; measures first tokens, gaps");
  add_time(app, "--duration", options.duration, "How long is measured");
  add_time(app, "--warmup", options.warmup, "How long before that is not");
  add_time(app, "--timeout", options.timeout, "How long one answer may take, its stream included");

  app.add_option("--questions", options.questions, "How many different questions are made up")
      ->type_name("N")
      ->check(whole_number(), "")
      ->capture_default_str();
  app.add_option("--zipf", options.zipf,
                 "How unequally they are asked: the n-th 1/n^ZIPF as often as the first; 0 equally")
      ->type_name("ZIPF")
      ->capture_default_str();
  app.add_flag("--unique", options.unique,
               "No question twice: what a cache cannot answer; not with --questions")
      ->excludes("--questions");
  app.add_option("--file", options.file,
                 "Questions from a file, one a line: text, or .jsonl with strings, objects with "
                 "`question`, or whole request bodies; not with --questions or --unique")
      ->type_name("FILE")
      ->check(&readable_file, "")
      ->excludes("--questions", "--unique");
  add_size(app, "--body-bytes", options.body_bytes, "Size of a made-up request's body");

  app.add_option("--header", options.headers,
                 "A field to send along, such as 'authorization: Bearer X'; may be given again")
      ->type_name("FIELD")
      ->take_all();
  app.add_option("--threads", options.threads, "Cores to use")
      ->type_name("N")
      ->check(whole_number(), "")
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Repeats the same order of questions")
      ->type_name("N")
      ->check(whole_number(), "")
      ->capture_default_str();
  app.add_option("--json", options.json, "Writes the figures to this file; - is standard output")
      ->type_name("FILE");
  app.add_flag("--allow-remote", options.allow_remote,
               "Allows a server that is not on this machine: only ever your own");
}

int load_command(const load::Options& options) {
  load::Options wanted = options;
  wanted.progress = isatty(STDERR_FILENO) == 1;
  std::stop_source stop;
  const auto report = [&] {
    const Interrupts interrupts(stop);
    return load::run(wanted, stop.get_token());
  }();
  if (!report) {
    const Error& error = report.error();
    if (error.kind == Kind::invalid) return bad_usage("penstock load", error.detail);
    fmt::print(stderr, "penstock load: {}{}\n", error.detail,
               error.kind == Kind::unreachable ? kNobodyThere : "");
    return kFailed;
  }

  const bool json_out = options.json == "-";
  fmt::print(json_out ? stderr : stdout, "{}", load::to_table(*report, options));
  if (json_out) fmt::print("{}", load::to_json(*report, options));
  std::fflush(stdout);  // before what is said of it on standard error
  if (!options.json.empty() && !json_out &&
      !write_file(options.json, load::to_json(*report, options))) {
    fmt::print(stderr, "penstock load: --json \"{}\" cannot be written: {}\n",
               visible(options.json), std::strerror(errno));
    return kFailed;
  }
  if (report->cut_short) {
    fmt::print(stderr,
               "penstock load: stopped early, after {:.1f} of {:.1f} s that were to be measured\n",
               std::chrono::duration<double>(report->measured).count(),
               std::chrono::duration<double>(options.duration).count());
  }
  const std::uint64_t failed = report->counts.failed();
  if (failed > 0) {
    const std::uint64_t ended = report->counts.ended();
    fmt::print(stderr, "penstock load: {} of {} request{} failed\n", failed, ended,
               ended == 1 ? "" : "s");
    if (const int status = report->counts.refused_alike(); status != 0) {
      const std::string message = error_message(report->counts.refusal);
      fmt::print(
          stderr, "penstock load: every answer was {}{}{}{}\n", status, message.empty() ? "" : ": ",
          message,
          status == 404 && options.file.empty()
              ? fmt::format("\nAsked was the model {}; --model names another.", options.model)
              : "");
    }
    return kFailed;
  }
  if (report->counts.answers == 0) {
    fmt::print(stderr, "penstock load: nothing was answered in that time\n");
    return kFailed;
  }
  return kGood;
}

}  // namespace penstock::app
