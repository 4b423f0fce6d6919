#include "app/completion.h"

#include <fmt/format.h>

#include "app/help.h"

namespace penstock::app {
namespace {

// How the script begins: where in the line are we? bash cuts words at `=` and `:` too.
constexpr std::string_view kBegin =
    R"(# Completion of penstock for bash, written by `penstock completion bash`.

_penstock() {
  local cur=${COMP_WORDS[COMP_CWORD]} option='' command='' options='' once='' words='' kind='' i
  COMPREPLY=()
  if [[ $cur == = ]]; then
    cur='' option=${COMP_WORDS[COMP_CWORD - 1]}
  elif ((COMP_CWORD >= 2)) && [[ ${COMP_WORDS[COMP_CWORD - 1]} == = ]]; then
    option=${COMP_WORDS[COMP_CWORD - 2]}
  elif ((COMP_CWORD >= 1)); then
    option=${COMP_WORDS[COMP_CWORD - 1]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ ${COMP_WORDS[i]} != -* ]]; then
      command=${COMP_WORDS[i]}
      break
    fi
  done
  case $command in
)";

// How it ends: `options` are those of the command, `once` those that nobody gives twice; `kind` and
// `words` are what the value or the argument can be.
constexpr std::string_view kEnd = R"(  esac
  case $kind in
    none) return ;;
    file)
      mapfile -t COMPREPLY < <(compgen -f -- "$cur")
      compopt -o filenames 2>/dev/null || :
      return
      ;;
    dir)
      mapfile -t COMPREPLY < <(compgen -d -- "$cur")
      compopt -o filenames 2>/dev/null || :
      return
      ;;
  esac
  if [[ $cur == -* ]]; then
    words=''
    for option in $options; do
      for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} == "$option" && " $once " == *" $option "* ]] && continue 2
      done
      words+=" $option"
    done
  elif [[ $kind == argument-file ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    compopt -o filenames 2>/dev/null || :
    return
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _penstock penstock
)";

std::string_view kind_of(std::string_view value) {
  return value == "FILE" ? "file" : value == "DIR" ? "dir" : "none";
}

// The branch of a command; of the program itself where `label` is empty.
std::string branch(const CommandLine& line, const CLI::App& app, std::string_view label) {
  std::vector<std::string> names;
  std::vector<std::string> once;
  std::string values;
  std::string argument;
  for (const CLI::Option* option : app.get_options()) {
    const OptionWords words = words_of(*option);
    const auto choices = line.choices.find(option);
    const std::string list = choices == line.choices.end()
                                 ? std::string()
                                 : fmt::format("{}", fmt::join(choices->second, " "));
    if (option->get_positional()) {
      if (!argument.empty()) continue;  // the first one is what can be offered
      argument = fmt::format("      words='{}' kind={}\n", list,
                             kind_of(words.value) == "file" ? "argument-file" : "argument");
      continue;
    }
    names.insert(names.end(), words.names.begin(), words.names.end());
    if (!words.repeats) once.insert(once.end(), words.names.begin(), words.names.end());
    if (words.value.empty()) continue;
    values += fmt::format("        {}) ", fmt::join(words.names, " | "));
    values += list.empty() ? fmt::format("kind={} ;;\n", kind_of(words.value))
                           : fmt::format("words='{}' kind=words ;;\n", list);
  }
  std::vector<std::string> commands;
  for (const CLI::App* command : app.get_subcommands({})) commands.push_back(command->get_name());
  if (!commands.empty()) {
    argument = fmt::format("      words='{}' kind=argument\n", fmt::join(commands, " "));
  }

  std::string out = label.empty() ? "    '')\n" : fmt::format("    {})\n", label);
  out += fmt::format("      options='{}'\n", fmt::join(names, " "));
  out += fmt::format("      once='{}'\n", fmt::join(once, " "));
  out += argument;
  if (!values.empty()) out += "      case $option in\n" + values + "      esac\n";
  return out + "      ;;\n";
}

}  // namespace

std::string bash_completion(const CommandLine& line) {
  std::string out(kBegin);
  out += branch(line, line.app, {});
  for (const CLI::App* command : line.app.get_subcommands({})) {
    out += branch(line, *command, command->get_name());
  }
  return out += kEnd;
}

}  // namespace penstock::app
