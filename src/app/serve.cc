#include "app/serve.h"

#include <sys/resource.h>
#include <cstdlib>
#include <memory>

#include <csignal>
#include <cstdio>
#include <ctime>

#include "app/exit_codes.h"
#include "app/program.h"
#include "app/program_metrics.h"
#include "observe/process.h"
#include "profile/heap.h"
#include "settings/otel.h"
#include "settings/switches.h"

namespace penstock::app {
namespace {

// Sockets are files: the soft limit that a shell sets is for people, not for servers.
void raise_file_limit() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

sigset_t signals_of_ours() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  return set;
}

void print_problems(const settings::Problems& problems) {
  for (const settings::Problem& problem : problems) {
    std::fprintf(stderr, "%s\n", settings::to_string(problem).c_str());
  }
}

// Settings from the file, or the embedded ones. Null: the problems were printed.
settings::SettingsPtr read_settings(const ServeOptions& options,
                                    std::vector<std::string>& warnings) {
  const settings::Environment environment = settings::process_environment();
  if (!options.config.empty()) {
    auto loaded = settings::load_file(options.config, environment);
    if (loaded) {
      warnings = settings::switch_warnings(environment);
      for (std::string& one : settings::otel_warnings(environment))
        warnings.push_back(std::move(one));
      return *loaded;
    }
    print_problems(loaded.error().problems);
    return nullptr;
  }
  auto embedded = settings::embedded_defaults({options.docs, options.engine_url}, environment);
  if (!embedded) {
    print_problems(embedded.error());
    return nullptr;
  }
  warnings = embedded->warnings;
  return embedded->settings;
}

observe::LogOptions log_options(const settings::Logging& logging) {
  observe::LogOptions options;
  options.level = static_cast<observe::Level>(logging.level);
  options.format = static_cast<observe::LogFormat>(logging.format);
  return options;
}

}  // namespace

int serve_command(const ServeOptions& options) {
  std::vector<std::string> warnings;
  settings::SettingsPtr settings = read_settings(options, warnings);
  if (!settings) return kBadUsage;

  // Blocked in every thread: the main thread takes them one at a time.
  const sigset_t signals = signals_of_ours();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  raise_file_limit();

  if (settings->admin.profiling) profile::sample_heap();

  auto own_log = std::make_unique<observe::Log>(log_options(settings->logging));
  observe::Log& log = *own_log;
  for (const std::string& warning : warnings) log.warning(warning, {});
  const std::size_t workers = settings->listen.workers.value_or(observe::default_workers());
  observe::Registry registry(workers + 1, settings->metrics.max_label_values);
  registry.keep_exemplars(settings->metrics.exemplars);
  observe::watch_process(registry);
  watch_log(registry, log);

  auto own_program = std::make_unique<Program>(options, settings, log, registry);
  Program& program = *own_program;
  settings.reset();
  const Result<void> started = program.start();
  if (!started) {
    std::string reason = started.error().detail;
    if (started.error().kind == Kind::not_found && options.config.empty() && !options.docs) {
      reason += "; --docs DIR names one, --engine URL stands in front of an engine";
    }
    log.error("the gateway could not start", {{"reason", reason}});
    return kFailed;
  }
  for (;;) {
    int signal = 0;
    sigwait(&signals, &signal);
    if (signal == SIGHUP) {
      (void)program.reload();  // it logs what happened
      continue;
    }
    log.info(signal == SIGINT ? "SIGINT: ending" : "SIGTERM: ending", {});
    // A second signal while it waits means: now.
    const auto hurry = [&signals] {
      const timespec no_time{};
      const int more = sigtimedwait(&signals, nullptr, &no_time);
      return more == SIGTERM || more == SIGINT;
    };
    program.end(signal == SIGINT, hurry);
    if (program.ended_whole()) return kGood;
    // A thread is still within a library that the end of main() would take down: everything of ours
    // is ended and written, and the rest is the kernel's to clean up.
    own_program.reset();
    own_log.reset();
    std::_Exit(kGood);
  }
}

}  // namespace penstock::app
