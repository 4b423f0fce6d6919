// The command line.

#include <CLI/CLI.hpp>
#include <iostream>

#include "app/commands.h"
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
    "  penstock serve                               answers out of ./docs, on 127.0.0.1:8080\n"
    "  penstock serve --engine http://HOST:8000/v1  in front of an engine, with all its models\n"
    "  penstock serve --config penstock.yaml        as configured\n"
    "  penstock ask \"How do I begin?\"               asks the running gateway\n"
    "\n"
    "Exit codes: 0 it went well, 1 it failed, 2 the command line or the configuration is wrong.\n";

int run(int argc, char** argv) {
  CLI::App cli{kAbout, "penstock"};
  cli.footer(kExamples);
  cli.set_version_flag("--version", "penstock " PENSTOCK_VERSION);
  cli.require_subcommand(1);
  cli.get_formatter()->column_width(34);

  ServeOptions serve;
  std::string docs;
  std::string engine_url;
  CLI::App* const serve_cli = cli.add_subcommand(
      "serve",
      "Runs the gateway until SIGTERM or SIGINT. SIGHUP reads the configuration again:\n"
      "all or nothing. Without --config it starts on embedded defaults and the variables\n"
      "OPENAI_API_KEY (that vendor, all its models) and PORT.");
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
  check->add_option("FILE", file, "The configuration")->required();

  bool schema = false;
  CLI::App* const settings = cli.add_subcommand("settings", "Prints what a configuration can say.");
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

  try {
    cli.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return cli.exit(error) == 0 ? kGood : kBadUsage;
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
  return penstock::app::run(argc, argv);
}
