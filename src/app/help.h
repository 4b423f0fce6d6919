// How the command line explains itself: help in two columns, and errors that name the cure.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

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

// What is wrong with a command line that could not be parsed, and where to read on; ends in LF.
std::string explain(const CLI::App& cli, const CLI::ParseError& error);

// The same of a command that there is not.
std::string no_such_command(const CLI::App& cli, std::string_view word);

}  // namespace penstock::app
