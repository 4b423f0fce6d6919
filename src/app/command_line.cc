#include "app/command_line.h"

#include "app/exit_codes.h"
#include "app/help.h"
#include "exchange/refusals.h"

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
    "\n";

constexpr const char* kRunning = "To run it";
constexpr const char* kLetting = "Who may ask";
constexpr const char* kTrying = "To try it";
constexpr const char* kReading = "To read about it";

std::string exit_codes() {
  std::string text = "Exit codes:";
  for (const ExitCode& one : kExitCodes) {
    text += fmt::format("{} {} {}", one.code == 0 ? "" : ",", one.code, one.in_short);
  }
  return text + ".\n";
}

}  // namespace

CommandLine::CommandLine() : app(kAbout, "penstock") {
  app.set_version_flag("--version", "penstock " PENSTOCK_VERSION, "Prints the version");
  app.set_help_flag("-h,--help", "Prints this help");
  app.require_subcommand(0, 1);  // none is told in our own words
  app.formatter(std::make_shared<HelpText>());

  add_serve();
  check = add(kRunning, "check",
              "Reads a configuration and prints every error with its line, and what was expected.");
  check->footer(
      "Example: penstock check penstock.yaml\n"
      "Exit codes: 0 it is good, 2 it is not, or cannot be read.\n");
  check->add_option("FILE", file, "The configuration")->required();
  ask = add(kRunning, "ask",
            "Asks a gateway, streams the answer, then says where it came from and how fast.");
  add_ask_options(*ask, ask_options);
  add_access();
  add_usage();
  add_cache();
  add_trace();
  add_profile();
  add_budgets();
  engine = add(kTrying, "engine",
               "Runs a simulated engine: an OpenAI-compatible server for tests and load tests.");
  add_engine_options(*engine, engine_options);
  load = add(kTrying, "load",
             "Sends load to a gateway or an engine and says what came back, and how fast.");
  add_load_options(*load, load_options);
  complexity = add(kTrying, "complexity", "Says how complex questions are, and why it says so.");
  add_complexity_options(*complexity, complexity_options);
  choices[complexity->get_option("--format")] = {"table", "json"};
  add_words();
  app.footer(kExamples + exit_codes());  // last: commands inherit the footer of their birth
}

CLI::App* CommandLine::add(const char* group, const char* name, const char* about) {
  CLI::App* const command = app.add_subcommand(name, about);
  command->group(group);
  return command;
}

void CommandLine::add_serve() {
  serve = add(kRunning, "serve",
              "Runs the gateway until SIGTERM or SIGINT; SIGHUP reads the configuration again.");
  serve->footer(
      "Without --config it starts on embedded defaults and the variables OPENAI_API_KEY (that\n"
      "vendor, all its models), OPENAI_BASE_URL (another one with that key) and PORT. SIGHUP "
      "reads\n"
      "the file again: all of it or, if anything is wrong, nothing.\n"
      "\n"
      "Examples:\n"
      "  penstock serve --docs ~/notes\n"
      "  penstock serve --engine http://127.0.0.1:8000/v1\n"
      "  penstock serve --config penstock.yaml\n");
  serve
      ->add_option("--config", serve_options.config,
                   "The configuration; `penstock settings` lists all it can say")
      ->type_name("FILE");
  serve
      ->add_option_function<std::string>(
          "--docs", [this](const std::string& folder) { serve_options.docs = folder; },
          "Answer out of this folder of Markdown and text (model `handbook`)")
      ->type_name("DIR");
  serve
      ->add_option_function<std::string>(
          "--engine", [this](const std::string& url) { serve_options.engine_url = url; },
          "An OpenAI-compatible engine, all its models")
      ->type_name("URL");
}

// The commands on the database.
void CommandLine::add_access() {
  const auto choice = [this](CLI::App* command, const char* option,
                             std::vector<std::string> words) {
    choices[command->get_option(option)] = std::move(words);
  };
  keys = add(kLetting, "keys", "Makes, lists, changes, rotates and revokes the keys of clients.");
  add_keys_options(*keys, keys_options);
  choice(keys, "VERB", {"create", "list", "show", "update", "rotate", "revoke"});
  choice(keys, "--priority", {"interactive", "batch"});
  choice(keys, "--cache-scope", {"key", "tenant", "shared", "default"});
  choice(keys, "--format", {"table", "json"});
  tenants = add(kLetting, "tenants", "Makes, lists, changes and deletes tenants.");
  add_tenants_options(*tenants, tenants_options);
  choice(tenants, "VERB", {"create", "list", "show", "update", "delete"});
  choice(tenants, "--cache-scope", {"key", "tenant", "shared", "default"});
  choice(tenants, "--format", {"table", "json"});
  migrate = add(kLetting, "migrate",
                "Brings the tables of the database to this version; `serve` does it too.");
  migrate->footer(
      "Any number of nodes may do it at once. A database of a newer version is left alone.\n"
      "\n"
      "Example: penstock migrate --config penstock.yaml\n");
  add_store_options(*migrate, migrate_options);
}

void CommandLine::add_usage() {
  usage =
      add(kRunning, "usage", "Says what was used: requests, tokens and cost, by what you like.");
  add_usage_options(*usage, usage_options);
  choices[usage->get_option("WHAT")] = {"engagement"};
  choices[usage->get_option("--route")] = {"chat", "completions", "embeddings", "models", "other"};
  choices[usage->get_option("--cache")] = {"memory",    "redis", "semantic",
                                           "coalesced", "miss",  "bypass"};
  choices[usage->get_option("--format")] = {"table", "csv", "json"};
}

void CommandLine::add_cache() {
  cache = add(kRunning, "cache", "Shows what a running gateway keeps; purges it, turns it off.");
  add_cache_options(*cache, cache_options);
  choices[cache->get_option("VERB")] = {"stats", "list", "purge", "warm", "on", "off", "semantic"};
  choices[cache->get_option("--format")] = {"table", "json"};
}

void CommandLine::add_trace() {
  trace = add(kRunning, "trace",
              "Shows the last requests of a running gateway, and one of them step by step.");
  add_trace_options(*trace, trace_options);
  choices[trace->get_option("--format")] = {"table", "json"};
}

void CommandLine::add_profile() {
  profile =
      add(kRunning, "profile", "Shows where a running gateway's processor time or memory goes.");
  add_profile_options(*profile, profile_options);
  choices[profile->get_option("--format")] = {"svg", "pprof", "folded"};
}

void CommandLine::add_budgets() {
  budgets = add(kRunning, "budgets",
                "Says what was promised, what was measured of it, and what may still be missed.");
  add_budgets_options(*budgets, budgets_options);
  choices[budgets->get_option("--window")] = {"5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d"};
  choices[budgets->get_option("--format")] = {"table", "json"};
  rules = add(kRunning, "rules", "Prints what Prometheus is to watch of the budgets.");
  add_rules_options(*rules, rules_options);
}

// The commands that only print.
void CommandLine::add_words() {
  settings = add(kReading, "settings", "Prints what a configuration can say.");
  settings->footer(
      "Examples:\n"
      "  penstock settings | less\n"
      "  penstock settings --schema > penstock.schema.json\n");
  settings->add_flag("--schema", schema, "As a JSON Schema, for editors");

  metrics = add(kReading, "metrics", "Prints what the metrics are called, and what they say.");
  metrics->footer(
      "Examples:\n"
      "  penstock metrics | less\n"
      "  curl http://127.0.0.1:8081/metrics           what a running gateway has counted\n");

  errors = add(kReading, "errors", "Says what an error means and what helps, or prints them all.");
  errors->footer(
      "Examples:\n"
      "  penstock errors model_not_found     what a client was told\n"
      "  penstock errors | less              all, those of the operator too\n");
  CLI::Option* const which =
      errors->add_option("CODE", code, "The `code` of an answer that was an error");
  for (const ReasonFacts& reason : reasons()) choices[which].emplace_back(reason.code);

  completion = add(kReading, "completion", "Prints what lets a shell complete command lines.");
  completion->footer(
      "Examples:\n"
      "  source <(penstock completion bash)       for this shell\n"
      "  penstock completion bash > ~/.local/share/bash-completion/completions/penstock\n");
  choices[completion->add_option("SHELL", shell, "The shell: bash")->required()] = {"bash"};

  man = add(kReading, "man", "Prints the man page.");
  man->footer(
      "Examples:\n"
      "  penstock man | man -l -\n"
      "  penstock man > ~/.local/share/man/man1/penstock.1\n");

  help = add(kReading, "help", "Prints this help, or that of a command.");
  CLI::Option* const topics = help->add_option("COMMAND", topic, "The command");
  for (const CLI::App* command : app.get_subcommands({})) {
    choices[topics].push_back(command->get_name());
  }
}

}  // namespace penstock::app
