// How complex questions are, for `penstock complexity`: each with the features that made its
// score; and, where it is known how complex they are (docs/complexity/questions.jsonl), how well
// the scores agree with it.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "complexity/complexity.h"

namespace penstock::app {

struct ScoredQuestion {
  std::size_t line = 0;
  std::optional<complexity::Complexity> complexity;  // nothing: nobody asks anything
  complexity::Features features{};
  std::string split;                       // of the labelled ones: "tune", "unseen"
  std::optional<complexity::Class> label;  // what people say
};

// One a line: a body of chat or completions, or {"request": BODY, "label": CLASS, "split": NAME},
// the last two if you like. An Error names the line.
Result<std::vector<ScoredQuestion>> score_lines(std::string_view lines);
// A question that stands alone.
ScoredQuestion score_question(std::string_view text);

// Of those that have a label; rows are labels, columns what the scores say.
using Confusion = std::array<std::array<std::uint32_t, complexity::kClasses>, complexity::kClasses>;

// Cohen's kappa with weights |i - j| ^ power: 1 is full agreement, 0 what chance gives.
// (Cohen, "Weighted kappa", Psychological Bulletin 70, 1968.)
double weighted_kappa(const Confusion& confusion, int power);

struct Agreement {
  std::string split;
  Confusion confusion{};
  double linear = 0;
  double quadratic = 0;
  // The same by the length of the last message alone, with the two thresholds that are best for
  // these very questions.
  double length_linear = 0;
  double length_quadratic = 0;
};
// For each split, in the order in which they come.
std::vector<Agreement> agreements(std::span<const ScoredQuestion> questions);

// Everything of one question.
std::string show_score(const ScoredQuestion& question, bool as_json);
// A row for each; where there are labels only how well they agree.
std::string show_scores(std::span<const ScoredQuestion> questions, bool as_json);

}  // namespace penstock::app
