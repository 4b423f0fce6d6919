// How the command line explains itself: help in two columns, and errors that name the cure.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::app {

// Lines of at most kHelpWidth columns; of an option only what its user needs.
inline constexpr std::size_t kHelpWidth = 100;

class HelpText final : public CLI::Formatter {
 public:
  HelpText();

  std::string make_usage(const CLI::App* app, std::string name) const override;
  std::string make_footer(const CLI::App* app) const override { return app->get_footer(); }
  std::string make_subcommand(const CLI::App* sub) const override;
  std::string make_option(const CLI::Option* option, bool is_positional) const override;
};

// An option as its user sees it: what help, completion and the man page are written from.
struct OptionWords {
  std::vector<std::string> names;  // "-h", "--help"; of an argument its one name
  std::string value;               // "FILE", "HOST:PORT"; empty: it takes none
  std::string about;               // a sentence without its full stop
  std::string otherwise;           // what it is if it is not given
  std::string variable;            // of the environment, that gives it too
  bool repeats = false;            // it may be given again
};
OptionWords words_of(const CLI::Option& option);

// "penstock serve [OPTIONS]"
std::string usage_of(const CLI::App& app);

// Writes a page to standard output; where that fails says so, and returns the exit code.
int print_page(std::string_view command, std::string_view text);
// Whole, or false and errno says why.
bool write_file(const std::string& path, std::string_view text);

// Says on standard error what is wrong with a command's options, and where to read on; the exit
// code.
int bad_usage(std::string_view command, std::string_view what);

// For CLI11: a check that a value is a whole number within these bounds; what it says fits
// explain().
std::function<std::string(const std::string&)> whole_number(std::uint64_t least = 0,
                                                            std::uint64_t most = UINT64_MAX);

// What is wrong with a command line that could not be parsed, and where to read on; ends in LF.
std::string explain(const CLI::App& cli, const CLI::ParseError& error);

// The same of a command that there is not.
std::string no_such_command(const CLI::App& cli, std::string_view word);

}  // namespace penstock::app
