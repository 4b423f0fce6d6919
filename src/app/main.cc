// The command line.

#include <CLI/CLI.hpp>
#include <iostream>

#include "app/commands.h"
#include "app/help.h"
#include "app/serve.h"
#include "observe/process.h"

namespace penstock::app {
namespace {

constexpr const char* kAbout =
    "Penstock stands between your applications and your AI engines.\n"
    "It speaks the OpenAI API, answers what it has answered before from its cache,\n"
    "and shows what it does.";

constexpr const char* kExamples =
    "First steps:\n"
    "  penstock serve                                      answers out of ./docs\n"
    "  penstock serve --engine http://127.0.0.1:8000/v1    stands in front of an engine\n"
    "  penstock serve --config penstock.yaml               as configured\n"
    "  penstock ask \"What happens when an engine fails?\"   asks the running gateway\n"
    "\n"
    "Exit codes: 0 it went well, 1 it failed, 2 the command line or the configuration is wrong.\n";

// `penstock help [COMMAND]`
int print_help(const CLI::App& cli, const std::string& topic) {
  if (topic.empty()) {
    std::cout << cli.get_formatter()->make_help(&cli, cli.get_name(), CLI::AppFormatMode::Normal);
    return kGood;
  }
  for (const CLI::App* command : cli.get_subcommands({})) {
    if (command->get_name() != topic) continue;
    std::cout << command->help(cli.get_name());
    return kGood;
  }
  std::cerr << no_such_command(cli, topic);
  return kBadUsage;
}

int run(int argc, char** argv) {
  CLI::App cli{kAbout, "penstock"};
  cli.set_version_flag("--version", "penstock " PENSTOCK_VERSION, "Prints the version");
  cli.set_help_flag("-h,--help", "Prints this help");
  cli.require_subcommand(0, 1);  // none is told in our own words
  cli.formatter(std::make_shared<HelpText>());

  ServeOptions serve;
  std::string docs;
  std::string engine_url;
  CLI::App* const serve_cli = cli.add_subcommand(
      "serve", "Runs the gateway until SIGTERM or SIGINT; SIGHUP reads the configuration again.");
  serve_cli->footer(
      "Without --config it starts on embedded defaults and the variables OPENAI_API_KEY (that\n"
      "vendor, all its models), OPENAI_BASE_URL (another one with that key) and PORT. SIGHUP "
      "reads\n"
      "the file again: all of it or, if anything is wrong, nothing.\n"
      "\n"
      "Examples:\n"
      "  penstock serve --docs ~/notes\n"
      "  penstock serve --engine http://127.0.0.1:8000/v1\n"
      "  penstock serve --config penstock.yaml\n");
  serve_cli
      ->add_option("--config", serve.config,
                   "The configuration; `penstock settings` lists "
                   "all it can say")
      ->type_name("FILE");
  serve_cli
      ->add_option("--docs", docs,
                   "Answer out of this folder of Markdown and text (model "
                   "`handbook`)")
      ->type_name("DIR");
  serve_cli->add_option("--engine", engine_url, "An OpenAI-compatible engine, all its models")
      ->type_name("URL");

  std::string file;
  CLI::App* const check = cli.add_subcommand(
      "check",
      "Reads a configuration and prints every error with its line, and what was expected.");
  check->footer(
      "Example: penstock check penstock.yaml\n"
      "Exit codes: 0 it is good, 2 it is not, or cannot be read.\n");
  check->add_option("FILE", file, "The configuration")->required();

  bool schema = false;
  CLI::App* const settings = cli.add_subcommand("settings", "Prints what a configuration can say.");
  settings->footer(
      "Examples:\n"
      "  penstock settings | less\n"
      "  penstock settings --schema > penstock.schema.json\n");
  settings->add_flag("--schema", schema, "As a JSON Schema, for editors");

  AskOptions ask;
  CLI::App* const ask_cli = cli.add_subcommand(
      "ask", "Asks a gateway, streams the answer, then says where it came from and how fast.");
  add_ask_options(*ask_cli, ask);

  EngineOptions engine;
  CLI::App* const engine_cli = cli.add_subcommand(
      "engine", "Runs a simulated engine: an OpenAI-compatible server for tests and load tests.");
  add_engine_options(*engine_cli, engine);

  load::Options load;
  CLI::App* const load_cli = cli.add_subcommand(
      "load", "Sends load to a gateway or an engine and says what came back, and how fast.");
  add_load_options(*load_cli, load);

  std::string topic;
  CLI::App* const help = cli.add_subcommand("help", "Prints this help, or that of a command.");
  help->add_option("COMMAND", topic, "The command");
  cli.footer(kExamples);  // last: commands inherit the footer that is there when they are made

  try {
    cli.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return cli.exit(error);  // --help, --version
    std::cerr << explain(cli, error);
    return kBadUsage;
  }
  if (help->parsed()) return print_help(cli, topic);
  if (cli.get_subcommands().empty()) {
    std::cerr << cli.help();
    return kBadUsage;
  }
  if (!docs.empty()) serve.docs = docs;
  if (!engine_url.empty()) serve.engine_url = engine_url;
  if (serve_cli->parsed() && !serve.config.empty() && (serve.docs || serve.engine_url)) {
    std::cerr << "penstock: --docs and --engine are for a start without --config\n";
    return kBadUsage;
  }

  if (check->parsed()) return check_command(file, stdout, stderr);
  if (settings->parsed()) return settings_command(schema);
  if (ask_cli->parsed()) return ask_command(ask);
  if (engine_cli->parsed()) return engine_command(engine);
  if (load_cli->parsed()) return load_command(load);
  return serve_command(serve);
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
    return 1;
  }
}
