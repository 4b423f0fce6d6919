#include "app/help.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "app/shown.h"
#include "settings/text.h"

namespace penstock::app {
namespace {

// `left` and beside it, from `column` on, `right`, broken between words.
std::string two_columns(std::string left, std::string_view right, std::size_t column) {
  std::string out;
  std::string line = "  " + std::move(left);
  if (line.size() + 2 > column) {
    out += line + '\n';
    line.clear();
  }
  line.resize(column, ' ');
  bool empty = true;
  while (!right.empty()) {
    const std::size_t end = std::min(right.find_first_of(" \n"), right.size());
    const std::string_view word = right.substr(0, end);
    right.remove_prefix(std::min(end + 1, right.size()));
    if (!empty && line.size() + 1 + word.size() > kHelpWidth) {
      out += line + '\n';
      line.assign(column, ' ');
      empty = true;
    }
    if (!empty) line += ' ';
    line += word;
    empty = false;
  }
  return out + line + '\n';
}

// The command that was given, or the program itself.
const CLI::App& at_fault(const CLI::App& cli) {
  const std::vector<CLI::App*> given = cli.get_subcommands();
  return given.empty() || !cli.remaining().empty() ? cli : *given.front();
}

std::string name_of(const CLI::App& app) {
  return app.get_parent() == nullptr ? app.get_name()
                                     : name_of(*app.get_parent()) + " " + app.get_name();
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& names) {
  const std::vector<std::string_view> candidates(names.begin(), names.end());
  const std::optional<std::string_view> near = settings::nearest(word, candidates);
  return near ? fmt::format("; did you mean {}?", *near) : "";
}

std::vector<std::string> options_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::string unknown_option(const CLI::App& app, std::string_view word) {
  word = word.substr(0, word.find('='));
  if (app.get_parent() == nullptr) {
    std::string owners;
    for (const CLI::App* command : app.get_subcommands({})) {
      const std::vector<std::string> names = options_of(*command);
      if (std::find(names.begin(), names.end(), word) == names.end() || word == "--help") continue;
      owners += fmt::format("{}`{} {}`", owners.empty() ? "" : ", ", name_of(*command), word);
    }
    if (!owners.empty()) {
      return fmt::format("the option {} belongs behind a command: {}", word, owners);
    }
  }
  return fmt::format("unknown option {}{}", visible(word), did_you_mean(word, options_of(app)));
}

std::string unexpected(const CLI::App& app, const std::string& word) {
  if (word.size() > 1 && word.front() == '-') return unknown_option(app, word);
  return fmt::format("\"{}\" is one word too many{}", visible(word),
                     app.get_name() == "ask" ? "; put the question in quotes" : "");
}

// CLI11's own words, made plain where they are not.
std::string reworded(const CLI::App& app, const CLI::ParseError& error) {
  std::string what = error.what();
  constexpr std::string_view kConversion = "Could not convert: ";
  if (what.starts_with(kConversion)) {
    what.erase(0, kConversion.size());
    const std::size_t equals = what.find(" = ");
    if (equals == std::string::npos) return what;
    return fmt::format("{} cannot be \"{}\"", what.substr(0, equals),
                       visible(what.substr(equals + 3)));
  }
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    const CLI::Option* const option = app.get_option_no_throw(what.substr(0, what.find(':')));
    if (option == nullptr) return what;
    if (option->count() > 1) {
      return fmt::format("{} is given {} times; it can be given once", option->get_name(),
                         option->count());
    }
    if (option->empty()) {
      return fmt::format("{} needs a value: {} {}", option->get_name(), option->get_name(),
                         option->get_type_name());
    }
  }
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
    for (const CLI::Option* option : app.get_options()) {
      if (option->get_required() && option->empty()) return option->get_name() + " is missing";
    }
  }
  return visible(what);
}

std::string with_advice(const CLI::App& app, const std::string& what) {
  const std::string name = name_of(app);
  return fmt::format("{}: {}\n`{} --help` says what can be given.\n", name, what, name);
}

}  // namespace

HelpText::HelpText() {
  column_width(28);
  label("Subcommands", "Commands");
  label("Positionals", "Arguments");
}

std::string HelpText::make_usage(const CLI::App* app, std::string name) const {
  std::string out = "\nUsage: " + name;
  if (!app->get_subcommands({}).empty()) out += " COMMAND";
  out += " [OPTIONS]";
  for (const CLI::Option* option : app->get_options()) {
    if (option->get_positional()) out += " " + make_option_usage(option);
  }
  return out + '\n';
}

std::string HelpText::make_subcommand(const CLI::App* sub) const {
  return two_columns(sub->get_name(), sub->get_description(), get_column_width());
}

std::string HelpText::make_option(const CLI::Option* option, bool is_positional) const {
  std::string left;
  if (is_positional) {
    left = option->get_name(true, false);
  } else {
    for (const std::string& name : option->get_snames()) left += "-" + name + ", ";
    for (const std::string& name : option->get_lnames()) left += "--" + name + ", ";
    left.resize(left.size() - 2);
    if (option->get_type_size() != 0) left += " " + option->get_type_name();
  }
  std::string right = option->get_description();
  if (option->get_type_size() != 0 && !option->get_default_str().empty()) {
    right += " [" + option->get_default_str() + "]";
  }
  if (!option->get_envname().empty()) right += " [variable " + option->get_envname() + "]";
  return two_columns(std::move(left), right, get_column_width());
}

std::string explain(const CLI::App& cli, const CLI::ParseError& error) {
  const CLI::App& app = at_fault(cli);
  const std::vector<std::string> extras = app.remaining();
  if (extras.empty()) return with_advice(app, reworded(app, error));
  const std::string& word = extras.front();
  if (&app == &cli && !word.starts_with('-')) return no_such_command(cli, word);
  return with_advice(app, unexpected(app, word));
}

std::string no_such_command(const CLI::App& cli, std::string_view word) {
  std::vector<std::string> names;
  for (const CLI::App* command : cli.get_subcommands({})) names.push_back(command->get_name());
  const std::string near = did_you_mean(word, names);
  return with_advice(
      cli,
      fmt::format("unknown command \"{}\"{}", visible(word),
                  near.empty() ? fmt::format("; there are {}", fmt::join(names, ", ")) : near));
}

}  // namespace penstock::app
