// The file of settings: any bytes give settings, or problems that an operator can find in the file.
#include "settings/settings.h"

#include <algorithm>

#include "check.h"
#include "settings/expand.h"
#include "settings/text.h"

namespace penstock::fuzz {
namespace {

using namespace settings;  // NOLINT(google-build-using-namespace): all of it is looked at

constexpr std::string_view kSecret = "swordfish-7c1f9";

std::optional<std::string> variable(const std::string& name) {
  if (name == "SECRET") return std::string(kSecret);
  if (name == "HOST") return "127.0.0.1";
  if (name == "NUMBER") return "12";
  if (name == "EMPTY") return "";
  if (name == "BAD") return "\xff";
  return std::nullopt;
}

bool shows_well(std::string_view text) {
  return !first_bad_byte(text) && text.find_first_of("\r\n\t") == std::string_view::npos;
}

void check_problem(const Problem& problem, std::string_view yaml,
                   const std::vector<std::string_view>& lines) {
  FUZZ_CHECK(!problem.message.empty(), yaml);
  FUZZ_CHECK(problem.file == "f" && problem.line >= 1 && problem.column >= 1, yaml,
             to_string(problem));
  // In the file: at a character of a line, or where one could be added.
  FUZZ_CHECK(problem.line <= lines.size(), yaml, to_string(problem));
  const std::string_view line = lines[problem.line - 1];
  FUZZ_CHECK(problem.column <= characters(line) + 1, yaml, to_string(problem));
  const std::string told = to_string(problem);
  FUZZ_CHECK(shows_well(told), yaml, told);
  FUZZ_CHECK(told.size() < 4096, yaml, told);
  // What a variable holds may be a secret.
  if (yaml.find("fish") == std::string_view::npos) {
    FUZZ_CHECK(told.find("swordfish") == std::string::npos, yaml, told);
  }
}

void check_problems(const Problems& problems, std::string_view yaml) {
  FUZZ_CHECK(!problems.empty() && problems.size() <= 201, yaml);
  std::string_view text = yaml;
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  std::vector<std::string_view> lines;
  for (;;) {
    const std::size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  for (const Problem& problem : problems) check_problem(problem, yaml, lines);
  FUZZ_CHECK(std::is_sorted(problems.begin(), problems.end(),
                            [](const Problem& a, const Problem& b) {
                              return a.line != b.line ? a.line < b.line : a.column < b.column;
                            }),
             yaml);
}

void check_file(std::string_view yaml) {
  const auto parsed = parse(yaml, "f", variable);
  if (!parsed) {
    check_problems(parsed.error(), yaml);
    return;
  }
  const Settings& settings = **parsed;
  FUZZ_CHECK(!settings.engines.empty() && !settings.models.empty(), yaml);

  // As it is shown it is a file again, with the same meaning but for its secrets.
  const std::string shown = describe(settings);
  FUZZ_CHECK(!first_bad_byte(shown), yaml, shown);
  const auto read = parse(shown, "f", variable);
  FUZZ_CHECK(read.ok(), yaml, shown, read ? "" : to_string(read.error().front()));
  FUZZ_CHECK(describe(**read) == shown, yaml, shown, describe(**read));
}

void check_expansion(std::string_view text) {
  if (text.find("${file:") != std::string_view::npos) return;  // files are not the input's
  const auto expanded = expand(text, variable);
  if (text.find("${") == std::string_view::npos) {
    FUZZ_CHECK(expanded && expanded->text == text && !expanded->from_outside, text);
  }
  if (!expanded) {
    FUZZ_CHECK(!expanded.error().reason.empty(), text);
    return;
  }
  if (expanded->text.find(kSecret) != std::string::npos &&
      text.find(kSecret) == std::string_view::npos) {
    FUZZ_CHECK(expanded->from_outside, text, expanded->text);
  }
  // Escaped, it is itself.
  std::string escaped;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 2) == "${") escaped += '$';
    escaped += text[i];
  }
  const auto back = expand(escaped, variable);
  if (text.find("$${") == std::string_view::npos) {
    FUZZ_CHECK(back && back->text == text && !back->from_outside, text, escaped);
  }
}

}  // namespace
}  // namespace penstock::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = penstock::fuzz::text_of(data, size);
  // Files that a value names are the machine's: a device there is not a finding.
  if (text.find("file:") == std::string_view::npos) penstock::fuzz::check_file(text);
  penstock::fuzz::check_expansion(text);
  return 0;
}
