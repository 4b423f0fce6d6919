// The program: reads the command line and runs the command that it names.

#include <iostream>

#include "app/command_line.h"
#include "app/completion.h"
#include "app/exit_codes.h"
#include "app/help.h"
#include "app/man.h"
#include "app/serve.h"
#include "app/shown.h"
#include "observe/process.h"

namespace penstock::app {
namespace {

// `penstock help [COMMAND]`
int help_command(const CLI::App& cli, const std::string& topic) {
  if (topic.empty()) {  // cli.help() would be that of the command that was given: `help`
    return print_page("penstock help", cli.get_formatter()->make_help(&cli, cli.get_name(),
                                                                      CLI::AppFormatMode::Normal));
  }
  for (const CLI::App* command : cli.get_subcommands({})) {
    if (command->get_name() == topic) return print_page("penstock help", command->help());
  }
  std::cerr << no_such_command(cli, topic);
  return kBadUsage;
}

// `penstock completion SHELL`
int completion_command(const CommandLine& line) {
  if (line.shell != "bash") {
    return bad_usage("penstock completion",
                     fmt::format("SHELL cannot be \"{}\"; it can be bash", visible(line.shell)));
  }
  return print_page("penstock completion", bash_completion(line));
}

int serve_checked(const ServeOptions& options) {
  constexpr const char* kName = "penstock serve";
  if (!options.config.empty() && (options.docs || options.engine_url)) {
    return bad_usage(kName, "--docs and --engine are for a start without --config");
  }
  if (options.docs && options.docs->empty()) return bad_usage(kName, "--docs is empty");
  if (options.engine_url && options.engine_url->empty()) {
    return bad_usage(kName, "--engine is empty");
  }
  return serve_command(options);
}

int run(int argc, char** argv) {
  CommandLine line;
  CLI::App& cli = line.app;
  try {
    cli.parse(argc, argv);
  } catch (const CLI::CallForVersion& version) {
    return print_page("penstock", std::string(version.what()) + '\n');
  } catch (const CLI::CallForHelp&) {
    return print_page("penstock", cli.help());
  } catch (const CLI::ParseError& error) {
    std::cerr << explain(cli, error);
    return kBadUsage;
  }
  if (cli.get_subcommands().empty()) {
    std::cerr << cli.help();
    return kBadUsage;
  }
  if (line.serve->parsed()) return serve_checked(line.serve_options);
  if (line.check->parsed()) return check_command(line.file, stdout, stderr);
  if (line.ask->parsed()) return ask_command(line.ask_options);
  if (line.keys->parsed()) return keys_command(line.keys_options);
  if (line.tenants->parsed()) return tenants_command(line.tenants_options);
  if (line.migrate->parsed()) return migrate_command(line.migrate_options);
  if (line.usage->parsed()) return usage_command(line.usage_options);
  if (line.cache->parsed()) return cache_command(line.cache_options);
  if (line.complexity->parsed()) return complexity_command(line.complexity_options);
  if (line.budgets->parsed()) return budgets_command(line.budgets_options);
  if (line.rules->parsed()) return rules_command(line.rules_options);
  if (line.trace->parsed()) return trace_command(line.trace_options);
  if (line.profile->parsed()) return profile_command(line.profile_options);
  if (line.engine->parsed()) return engine_command(line.engine_options);
  if (line.load->parsed()) return load_command(line.load_options);
  if (line.settings->parsed()) return settings_command(line.schema);
  if (line.metrics->parsed()) return metrics_command();
  if (line.errors->parsed()) return errors_command(line.code);
  if (line.completion->parsed()) return completion_command(line);
  if (line.man->parsed()) return print_page("penstock man", man_page(line));
  return help_command(cli, line.topic);
}

}  // namespace
}  // namespace penstock::app

int main(int argc, char** argv) {
  penstock::observe::set_up_allocator();
  try {
    return penstock::app::run(argc, argv);
  } catch (const std::exception& error) {  // only at start: no descriptors, no thread to be had
    std::cerr << "penstock: cannot start: " << error.what()
              << "; are there enough file descriptors (ulimit -n)?\n";
    return penstock::app::kFailed;
  }
}
