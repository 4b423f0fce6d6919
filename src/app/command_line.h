// The program's command line: every command and option, with its help, in one description. The
// parser, the help, the completion (completion.h) and the man page (man.h) all come from it.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <vector>

#include "app/access_command.h"
#include "app/budgets_command.h"
#include "app/cache_command.h"
#include "app/commands.h"
#include "app/profile_command.h"
#include "app/serve.h"
#include "app/trace_command.h"
#include "app/usage_command.h"

namespace penstock::app {

struct CommandLine {
  CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  CLI::App app;
  CLI::App* serve = nullptr;
  CLI::App* check = nullptr;
  CLI::App* ask = nullptr;
  CLI::App* keys = nullptr;
  CLI::App* tenants = nullptr;
  CLI::App* migrate = nullptr;
  CLI::App* usage = nullptr;
  CLI::App* cache = nullptr;
  CLI::App* complexity = nullptr;
  CLI::App* trace = nullptr;
  CLI::App* profile = nullptr;
  CLI::App* budgets = nullptr;
  CLI::App* rules = nullptr;
  CLI::App* engine = nullptr;
  CLI::App* load = nullptr;
  CLI::App* settings = nullptr;
  CLI::App* metrics = nullptr;
  CLI::App* errors = nullptr;
  CLI::App* help = nullptr;
  CLI::App* man = nullptr;
  CLI::App* completion = nullptr;

  // What was given.
  ServeOptions serve_options;
  std::string file;  // of `check`
  bool schema = false;
  std::string code;   // of `errors`
  std::string topic;  // of `help`
  std::string shell;  // of `completion`
  AskOptions ask_options;
  KeysOptions keys_options;
  TenantsOptions tenants_options;
  StoreChoice migrate_options;
  UsageOptions usage_options;
  CacheOptions cache_options;
  ComplexityOptions complexity_options;
  TraceOptions trace_options;
  ProfileOptions profile_options;
  BudgetsOptions budgets_options;
  RulesOptions rules_options;
  EngineOptions engine_options;
  load::Options load_options;

  // What an option or an argument can be, where that is a few words.
  std::map<const CLI::Option*, std::vector<std::string>> choices;

 private:
  void add_serve();
  void add_usage();
  void add_cache();
  void add_trace();
  void add_profile();
  void add_budgets();
  void add_access();
  void add_words();
  CLI::App* add(const char* group, const char* name, const char* about);
};

}  // namespace penstock::app
