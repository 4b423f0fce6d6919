#include "app/help.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <optional>
#include <vector>

#include "app/exit_codes.h"
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
  if (dynamic_cast<const CLI::ExcludesError*>(&error) != nullptr) {
    const std::size_t at = what.find(" excludes ");
    if (at == std::string::npos) return what;
    return fmt::format("{} and {} cannot be given together", what.substr(0, at),
                       what.substr(at + 10));
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
  if (dynamic_cast<const CLI::ValidationError*>(&error) != nullptr) {
    // "--name: takes ..."; its values are visible already
    const std::size_t colon = what.find(": ");
    if (colon != std::string::npos && what.starts_with("--")) what.erase(colon, 1);
    return what;
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

std::string HelpText::make_usage(const CLI::App* app, std::string) const {
  return "\nUsage: " + usage_of(*app) + '\n';
}

std::string HelpText::make_subcommand(const CLI::App* sub) const {
  return two_columns(sub->get_name(), sub->get_description(), get_column_width());
}

std::string HelpText::make_option(const CLI::Option* option, bool) const {
  const OptionWords words = words_of(*option);
  std::string left = fmt::format("{}", fmt::join(words.names, ", "));
  if (!words.value.empty() && !option->get_positional()) left += " " + words.value;
  std::string right = words.about;
  if (!words.otherwise.empty()) right += " [" + words.otherwise + "]";
  if (!words.variable.empty()) right += " [variable " + words.variable + "]";
  return two_columns(std::move(left), right, get_column_width());
}

OptionWords words_of(const CLI::Option& option) {
  OptionWords words;
  words.about = option.get_description();
  words.variable = option.get_envname();
  words.repeats = option.get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll;
  if (option.get_positional()) {
    words.names = {option.get_name(true, false)};
    words.value = words.names.front();
    return words;
  }
  for (const std::string& name : option.get_snames()) words.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) words.names.push_back("--" + name);
  if (option.get_type_size() != 0) {
    words.value = option.get_type_name();
    words.otherwise = option.get_default_str();
  }
  return words;
}

std::string usage_of(const CLI::App& app) {
  std::string out = name_of(app);
  if (!app.get_subcommands({}).empty()) out += " COMMAND";
  out += " [OPTIONS]";
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_positional()) continue;
    const std::string name = option->get_name(true, false);
    out += option->get_required() ? " " + name : " [" + name + "]";
  }
  return out;
}

int print_page(std::string_view command, std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) {
    return kGood;
  }
  fmt::print(stderr, "{}: cannot write to standard output: {}\n", command, std::strerror(errno));
  return kFailed;
}

bool write_file(const std::string& path, std::string_view text) {
  std::FILE* const file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) return false;
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  return std::fclose(file) == 0 && written;
}

int bad_usage(std::string_view command, std::string_view what) {
  fmt::print(stderr, "{}: {}\n`{} --help` says what can be given.\n", command, what, command);
  return kBadUsage;
}

std::function<std::string(const std::string&)> whole_number(std::uint64_t least,
                                                            std::uint64_t most) {
  return [least, most](const std::string& text) -> std::string {
    std::uint64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [at, ec] = std::from_chars(text.data(), end, number);
    if (ec == std::errc() && at == end && number >= least && number <= most) return {};
    const std::string bounds = most == UINT64_MAX ? "" : fmt::format(" from {} to {}", least, most);
    return fmt::format("takes a whole number{}, not \"{}\"", bounds, visible(text));
  };
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
