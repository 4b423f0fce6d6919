// `penstock complexity`: how complex questions are, and why it is said.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iterator>

#include "app/admin_options.h"
#include "app/commands.h"
#include "app/complexity_report.h"
#include "app/exit_codes.h"
#include "app/help.h"
#include "app/shown.h"

namespace penstock::app {
namespace {

constexpr const char* kName = "penstock complexity";

}  // namespace

int complexity_command(const ComplexityOptions& options) {
  if (options.format != "table" && options.format != "json") {
    return bad_usage(kName, fmt::format("--format cannot be \"{}\"; it can be table or json",
                                        visible(options.format)));
  }
  const bool as_json = options.format == "json";
  if (options.file.empty() != options.question.has_value()) {
    return bad_usage(kName, "give a FILE, or a question with --question");
  }
  if (options.question) {
    return print_page(kName, show_score(score_question(*options.question), as_json));
  }
  std::ifstream file(options.file);
  const std::string lines(std::istreambuf_iterator<char>(file), {});
  if (lines.empty()) {
    return bad_usage(kName, fmt::format("{} cannot be read, or is empty", visible(options.file)));
  }
  const Result<std::vector<ScoredQuestion>> questions = score_lines(lines);
  if (!questions) {
    return bad_usage(kName, fmt::format("{}: {}", visible(options.file), questions.error().detail));
  }
  return print_page(kName, show_scores(*questions, as_json));
}

void add_complexity_options(CLI::App& app, ComplexityOptions& options) {
  app.footer(
      "A line of FILE is a request as clients send it, or {\"request\": REQUEST, \"label\": "
      "CLASS}.\n"
      "Where there are labels it says how well the scores agree with them.\n"
      "\n"
      "Examples:\n"
      "  penstock complexity --question \"Prove that there is no largest prime.\"\n"
      "  penstock complexity requests.jsonl\n"
      "  penstock complexity docs/complexity/questions.jsonl\n");
  app.add_option("FILE", options.file, "Requests, one a line");
  app.add_option("--question", options.question, "One question, with all that made its score")
      ->type_name("TEXT");
  add_format_option(app, options.format);
}

}  // namespace penstock::app
