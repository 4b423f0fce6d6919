#include "app/man.h"

#include <fmt/format.h>

#include "app/exit_codes.h"
#include "app/help.h"

namespace penstock::app {
namespace {

constexpr std::string_view kDate = "2026-11-25";  // of the last change of what only stands here

struct Entry {
  std::string_view name;
  std::string_view text;
};

constexpr std::array kVariables = {
    Entry{"OPENAI_API_KEY",
          "`serve` without `--config` and `--engine` stands in front of OpenAI with this key."},
    Entry{"OPENAI_BASE_URL",
          "With OPENAI_API_KEY: another vendor than OpenAI, as its SDKs take it."},
    Entry{"PORT", "`serve` without `--config` listens on this port of 127.0.0.1."},
    Entry{"CACHING_ENABLED",
          "`false` turns the cache of answers off, whatever the configuration says."},
    Entry{"PROMETHEUS_METRICS_ENABLED",
          "`false` turns the metrics off, whatever the configuration says."},
    Entry{"TMPDIR", "Where the index of a folder of documents is kept while the program runs."},
    Entry{"SSL_CERT_FILE, SSL_CERT_DIR",
          "The authorities to believe of engines behind `https`, in place of the system's."},
};

constexpr std::array kFiles = {
    Entry{"./docs", "The documents that `serve` answers out of without `--config` and `--docs`."},
    Entry{"penstock.yaml",
          "What examples call a configuration. None is looked for: `--config` names it."},
};

constexpr std::array kSignals = {
    Entry{"SIGTERM",
          "`serve` drains: it is no longer ready at once, takes no new connections after "
          "`listen.limits.drain_delay`, lets what runs finish within `listen.limits.drain`, and "
          "ends with 0. A second one leaves the delay out. `engine` ends with 0."},
    Entry{"SIGINT",
          "The same without the delay. `load` ends early and tells what was measured until then; "
          "a second one ends it at once."},
    Entry{"SIGHUP",
          "`serve` reads its configuration again: all of it or, if anything is wrong, "
          "nothing."},
};

// A text as roff takes it, every character as it is.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '\\': out += "\\e"; break;
      case '-': out += "\\-"; break;
      case '\'': out += "\\(aq"; break;
      case '`': out += "\\(ga"; break;
      case '^': out += "\\(ha"; break;
      case '~': out += "\\(ti"; break;
      default: out += c;
    }
  }
  // A line that begins so would be a request.
  if (out.starts_with('.')) out.insert(0, "\\&");
  return out;
}

// In lines of at most 80 columns, as who reads the source likes it; roff joins them again.
std::string in_lines(std::string_view text) {
  std::string out;
  std::size_t column = 0;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    const bool first = column == 0;
    if (!first && column + 1 + word.size() > 80) {
      out += '\n';
      if (word.starts_with('.')) out += "\\&";
      column = 0;
    } else if (!first) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  return out + '\n';
}

// Prose: what stands in backticks is bold.
std::string prose(std::string_view text) {
  std::string out;
  bool bold = false;
  std::string run;
  const auto flush = [&] {
    if (run.empty()) return;
    out += bold ? "\\fB" + escaped(run) + "\\fR" : escaped(run);
    run.clear();
  };
  for (const char c : text) {
    if (c == '`') {
      flush();
      bold = !bold;
    } else {
      run += c;
    }
  }
  flush();
  return in_lines(out);
}

std::string section(std::string_view name) { return fmt::format(".SH {}\n", name); }

std::string tagged(std::string_view tag, std::string_view text) {
  return fmt::format(".TP\n\\fB{}\\fR\n{}", escaped(tag), prose(text));
}

template <class Entries>
std::string list(std::string_view name, const Entries& entries) {
  std::string out = section(name);
  for (const Entry& entry : entries) out += tagged(entry.name, entry.text);
  return out;
}

std::string usage(const CLI::App& app) {
  const std::string whole = usage_of(app);
  const std::size_t end = whole.find(" [");
  const std::string_view rest = std::string_view(whole).substr(end);
  std::string out = "\\fB" + escaped(std::string_view(whole).substr(0, end)) + "\\fR";
  return out + "\\fI" + escaped(rest) + "\\fR";
}

// `-h, --help` is told once, for all.
bool told_once(const CLI::Option& option) { return option.check_lname("help"); }

std::string option_entry(const CommandLine& line, const CLI::Option& option) {
  const OptionWords words = words_of(option);
  std::string tag;
  if (option.get_positional()) {
    tag = "\\fI" + escaped(words.names.front()) + "\\fR";
  } else {
    for (const std::string& name : words.names) {
      tag += (tag.empty() ? "\\fB" : ", \\fB") + escaped(name) + "\\fR";
    }
    if (!words.value.empty()) tag += " \\fI" + escaped(words.value) + "\\fR";
  }
  std::string text = words.about + ".";
  if (!words.otherwise.empty()) text += fmt::format(" Default: {}.", words.otherwise);
  if (!words.variable.empty())
    text += fmt::format(" The variable `{}` gives it too.", words.variable);
  const auto choices = line.choices.find(&option);
  if (choices != line.choices.end() && choices->second.size() > 1 && choices->second.size() < 16) {
    text += fmt::format(" One of `{}`.", fmt::join(choices->second, "`, `"));
  }
  return fmt::format(".TP\n{}\n{}", tag, prose(text));
}

// A footer of the help: paragraphs, and lines that are indented, which stay as they are.
std::string footer(std::string_view text) {
  std::string out;
  std::string paragraph;
  bool example = false;
  const auto end_paragraph = [&] {
    if (!paragraph.empty()) out += ".PP\n" + prose(paragraph);
    paragraph.clear();
  };
  const auto end_example = [&] {
    if (example) out += ".EE\n.RE\n";
    example = false;
  };
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.starts_with("  ")) {
      end_paragraph();
      if (!example) out += ".PP\n.RS 4\n.EX\n";
      example = true;
      out += escaped(line.substr(2)) + '\n';
      continue;
    }
    end_example();
    // A sentence of its own: a line that begins with a word and a colon.
    if (line.empty() || line.starts_with("Exit codes:")) end_paragraph();
    if (!line.empty()) paragraph += (paragraph.empty() ? "" : " ") + std::string(line);
  }
  end_example();
  end_paragraph();
  return out;
}

std::string command(const CommandLine& line, const CLI::App& app) {
  std::string out = fmt::format(".SS {}\n", usage(app));
  out += prose(app.get_description());
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) out += option_entry(line, *option);
  }
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_positional() && !told_once(*option)) out += option_entry(line, *option);
  }
  return out + footer(app.get_footer());
}

std::string variables(const CommandLine& line) {
  std::string out;
  for (const CLI::App* app : line.app.get_subcommands({})) {
    for (const CLI::Option* option : app->get_options()) {
      const OptionWords words = words_of(*option);
      if (words.variable.empty()) continue;
      out +=
          tagged(words.variable, fmt::format("`{}` of `{}`.", words.names.back(), app->get_name()));
    }
  }
  return list("ENVIRONMENT", kVariables) + out +
         tagged("any other",
                "A configuration reads those that it names as `${NAME}` or `${NAME:-default}`.");
}

std::string exit_status() {
  std::string out = section("EXIT STATUS");
  for (const ExitCode& one : kExitCodes) {
    std::string meaning(one.meaning);
    meaning.front() = static_cast<char>(meaning.front() - 'a' + 'A');
    out += tagged(std::to_string(one.code), meaning + ".");
  }
  return out;
}

// The first steps stand in the help's own footer, ahead of the exit codes.
std::string examples(const CommandLine& line) {
  const std::string text = line.app.get_footer();
  const std::size_t begin = text.find('\n') + 1;
  const std::string blocks =
      footer(std::string_view(text).substr(begin, text.find("\n\n") - begin));
  return section("EXAMPLES") + blocks.substr(blocks.find('\n') + 1);  // without the first .PP
}

}  // namespace

std::string man_page(const CommandLine& line) {
  std::string out = ".\\\" Written by `penstock man`.\n";
  out +=
      fmt::format(".TH PENSTOCK 1 {} \"penstock {}\" \"User Commands\"\n", kDate, PENSTOCK_VERSION);
  out += ".nh\n.ad l\n";  // names of commands and settings are not to be cut
  out += section("NAME") + "penstock \\- gateway for AI engines\n" + section("SYNOPSIS");
  bool first = true;
  for (const CLI::App* app : line.app.get_subcommands({})) {
    if (!first) out += ".br\n";
    out += usage(*app) + '\n';
    first = false;
  }
  out += section("DESCRIPTION");
  std::string about = line.app.get_description();
  std::replace(about.begin(), about.end(), '\n', ' ');
  out += prose(about);
  out += ".PP\n" + prose(
                       "Clients talk to 127.0.0.1:8080, the operator's listener (metrics, health, "
                       "admin API, a status page) is on 127.0.0.1:8081, unless configured "
                       "otherwise. All that a configuration can say is printed by `penstock "
                       "settings`, all errors with cause and cure by `penstock errors`.");
  out += section("OPTIONS");
  for (const CLI::Option* option : line.app.get_options()) {
    if (!told_once(*option)) out += option_entry(line, *option);
  }
  out += ".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\n" +
         prose("Prints the help, behind a command its own.");
  out += section("COMMANDS");
  for (const CLI::App* app : line.app.get_subcommands({})) out += command(line, *app);
  out += variables(line) + list("FILES", kFiles) + list("SIGNALS", kSignals) + exit_status();
  out += examples(line) + section("SEE ALSO") + "\\fBcurl\\fR(1)\n";
  return out;
}

}  // namespace penstock::app
