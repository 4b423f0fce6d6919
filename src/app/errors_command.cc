// `penstock errors [CODE]`: every error with cause and cure. What it prints is docs/errors.md.

#include <fmt/format.h>

#include <algorithm>

#include "app/commands.h"
#include "app/exit_codes.h"
#include "app/help.h"
#include "app/shown.h"
#include "app/troubles.h"
#include "exchange/refusals.h"
#include "settings/text.h"

namespace penstock::app {
namespace {

constexpr std::size_t kWidth = 100;

constexpr std::string_view kHead = R"(# Errors

Written by `penstock errors`; `penstock errors CODE` says what is here of one code. In the messages
`<word>` stands for what differs from one to the other.

## For clients

An answer that is an error has OpenAI's object, with all four members, whatever went wrong and
whoever is to blame:

```json
{"error": {"message": "The model `m` does not exist; GET /v1/models lists those that do.",
           "type": "invalid_request_error", "param": "model", "code": "model_not_found"}}
```

`code` says what it is, `param` which parameter of the request (or null). The field `x-request-id`
is in the gateway's log too. What an engine refuses itself passes through with its own status and
words; where it lacks a member of the object the gateway adds it. A stream that fails in the middle
ends with an event that holds such an object, and without `[DONE]`.

)";

// Prose in lines of at most kWidth.
std::string wrapped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    while (line.size() > kWidth) {
      std::size_t cut = line.rfind(' ', kWidth);
      if (cut == std::string_view::npos) cut = std::min(line.find(' '), line.size());
      out += line.substr(0, cut);
      out += '\n';
      line.remove_prefix(std::min(line.size(), cut + 1));
    }
    out += line;
    out += '\n';
  }
  return out;
}

std::string entry(std::string_view title, std::string_view messages, std::string_view cause,
                  std::string_view cure) {
  return fmt::format("### {}\n\n```text\n{}\n```\n\n{}\n{}\n", title, messages,
                     wrapped(fmt::format("**Cause**: {}", cause)),
                     wrapped(fmt::format("**Cure**: {}", cure)));
}

std::string entry(const ReasonFacts& facts) {
  return entry(fmt::format("{} `{}`", facts.status, facts.code), facts.messages, facts.cause,
               facts.cure);
}

std::string page() {
  std::string out(kHead);
  out += "| status | `code` | `type` |\n|---|---|---|\n";
  for (const ReasonFacts& facts : reasons()) {
    out += fmt::format("| {} | `{}` | `{}` |\n", facts.status, facts.code, facts.type);
  }
  out += '\n';
  for (const ReasonFacts& facts : reasons()) out += entry(facts);
  for (const TroubleGroup& group : trouble_groups()) {
    out += fmt::format("## For operators: {}\n\n{}\n", group.title, wrapped(group.about));
    for (const Trouble& trouble : group.troubles) {
      out += entry(trouble.title, trouble.messages, trouble.cause, trouble.cure);
    }
  }
  out += "## Exit codes\n\n| code | meaning |\n|---|---|\n";
  for (const ExitCode& one : kExitCodes) out += fmt::format("| {} | {} |\n", one.code, one.meaning);
  out += '\n';
  out += wrapped(
      "A command that a signal ends has the shell's 128 and the signal's number: 130 for `ask` at "
      "Ctrl-C, 141 for one whose reader has gone (`penstock settings | head`).");
  return out;
}

}  // namespace

int errors_command(const std::string& code) {
  constexpr const char* kName = "penstock errors";
  if (code.empty()) return print_page(kName, page());
  std::vector<std::string_view> codes;
  for (const ReasonFacts& facts : reasons()) {
    if (facts.code == code) return print_page(kName, entry(facts));
    codes.push_back(facts.code);
  }
  const auto near = settings::nearest(code, codes);
  return bad_usage(kName, fmt::format("there is no code \"{}\"{}", visible(code),
                                      near ? fmt::format("; did you mean {}?", *near) : ""));
}

}  // namespace penstock::app
