#include "app/complexity_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "app/shown.h"
#include "base/buffer.h"
#include "dialect/cursor.h"
#include "dialect/json.h"

namespace penstock::app {
namespace {

using complexity::kClasses;

constexpr std::size_t kReasons = 3;      // of a row
constexpr std::size_t kThresholds = 64;  // of the length, that are tried

std::optional<complexity::Class> class_named(std::string_view name) {
  for (std::size_t i = 0; i < kClasses; ++i) {
    const auto kind = static_cast<complexity::Class>(i);
    if (complexity::name_of(kind) == name) return kind;
  }
  return std::nullopt;
}

// What a line has: the body, and of what kind it is.
struct Line {
  std::string_view body;
  Endpoint endpoint = Endpoint::other;
  std::optional<std::string> label;
  std::optional<std::string> split;
};

bool read_line(std::string_view text, Line& line) {
  dialect::Cursor json(text);
  std::string_view request;
  dialect::Members members(json);
  while (members.next()) {
    if (members.name() == "messages") line.endpoint = Endpoint::chat;
    if (members.name() == "prompt") line.endpoint = Endpoint::completions;
    if (members.name() == "request") {
      request = json.skip();
    } else if (members.name() == "label") {
      line.label = json.string();
    } else if (members.name() == "split") {
      line.split = json.string();
    } else {
      json.skip();
    }
  }
  if (!json.ok() || !json.at_end()) return false;
  line.body = text;
  if (request.empty() || line.endpoint != Endpoint::other) return line.endpoint != Endpoint::other;
  return read_line(request, line);
}

// By what they added, the largest first; what added nothing is left out.
struct Added {
  std::string_view name;
  float value;
  float weight;
  float added() const { return value * weight; }
};
std::vector<Added> reasons_of(const complexity::Features& features) {
  std::vector<Added> reasons;
  for (std::size_t i = 0; i < features.size(); ++i) {
    const complexity::Weight& weight = complexity::weights()[i];
    if (features[i] != 0) reasons.push_back({weight.name, features[i], weight.weight});
  }
  std::stable_sort(reasons.begin(), reasons.end(), [](const Added& a, const Added& b) {
    return std::abs(a.added()) > std::abs(b.added());
  });
  return reasons;
}

std::string score_text(const ScoredQuestion& question) {
  return question.complexity ? fmt::format("{:.2f}", question.complexity->score) : "-";
}
std::string_view class_text(const ScoredQuestion& question) {
  return question.complexity ? complexity::name_of(question.complexity->kind) : "-";
}

void write(dialect::JsonWriter& json, const ScoredQuestion& question) {
  json.begin_object();
  if (question.line > 0) json.member("line", question.line);
  if (question.complexity) {
    json.member("score", complexity::exact(question.complexity->score));
    json.member("class", complexity::name_of(question.complexity->kind));
  } else {
    json.member_null("score").member_null("class");
  }
  if (question.label) json.member("label", complexity::name_of(*question.label));
  if (!question.split.empty()) json.member("split", question.split);
  json.key("features").begin_object();
  for (const Added& reason : reasons_of(question.features)) {
    json.key(reason.name).begin_object();
    json.member("value", std::round(static_cast<double>(reason.value) * 1000) / 1000);
    json.member("adds", std::round(static_cast<double>(reason.added()) * 1000) / 1000);
    json.end_object();
  }
  json.end_object();
  json.end_object();
}

std::uint32_t total(const Confusion& confusion) {
  std::uint32_t total = 0;
  for (const auto& row : confusion) {
    for (const std::uint32_t count : row) total += count;
  }
  return total;
}

std::uint32_t agreed(const Confusion& confusion) {
  std::uint32_t agreed = 0;
  for (std::size_t i = 0; i < kClasses; ++i) agreed += confusion[i][i];
  return agreed;
}

// The best that the length alone can do.
void judge_by_length(std::span<const ScoredQuestion* const> questions, Agreement& agreement) {
  std::vector<float> lengths;
  for (const ScoredQuestion* one : questions) lengths.push_back(one->features[1]);
  std::vector<float> sorted = lengths;
  std::sort(sorted.begin(), sorted.end());
  const std::size_t step = std::max<std::size_t>(1, sorted.size() / kThresholds);
  for (std::size_t low = 0; low < sorted.size(); low += step) {
    for (std::size_t high = low; high < sorted.size(); high += step) {
      Confusion confusion{};
      for (std::size_t i = 0; i < lengths.size(); ++i) {
        const std::size_t said = lengths[i] >= sorted[high]  ? 2U
                                 : lengths[i] >= sorted[low] ? 1U
                                                             : 0U;
        ++confusion[static_cast<std::size_t>(*questions[i]->label)][said];
      }
      agreement.length_linear = std::max(agreement.length_linear, weighted_kappa(confusion, 1));
      agreement.length_quadratic =
          std::max(agreement.length_quadratic, weighted_kappa(confusion, 2));
    }
  }
}

std::string show(const Agreement& agreement) {
  std::vector<std::vector<std::string>> rows = {{"LABEL", "SIMPLE", "MODERATE", "COMPLEX"}};
  for (std::size_t i = 0; i < kClasses; ++i) {
    std::vector<std::string> row = {
        std::string(complexity::name_of(static_cast<complexity::Class>(i)))};
    for (const std::uint32_t count : agreement.confusion[i]) row.push_back(std::to_string(count));
    rows.push_back(std::move(row));
  }
  const std::uint32_t all = total(agreement.confusion);
  return fmt::format(
      "{}{}{} questions; rows are labels, columns what the score says\n\n{}\n"
      "agreement          {:.2f}\n"
      "kappa, quadratic   {:.3f}   by length alone, at best {:.3f}\n"
      "kappa, linear      {:.3f}   by length alone, at best {:.3f}\n",
      visible(agreement.split), agreement.split.empty() ? "" : ": ", all, table_text(rows),
      static_cast<double>(agreed(agreement.confusion)) / std::max(all, 1U), agreement.quadratic,
      agreement.length_quadratic, agreement.linear, agreement.length_linear);
}

void write(dialect::JsonWriter& json, const Agreement& agreement) {
  const auto rounded = [](double value) { return std::round(value * 1000) / 1000; };
  json.begin_object();
  json.member("split", agreement.split).member("questions", total(agreement.confusion));
  json.key("confusion").begin_array();
  for (const auto& row : agreement.confusion) {
    json.begin_array();
    for (const std::uint32_t count : row) json.value(count);
    json.end_array();
  }
  json.end_array();
  json.member("kappa_quadratic", rounded(agreement.quadratic));
  json.member("kappa_linear", rounded(agreement.linear));
  json.member("length_kappa_quadratic", rounded(agreement.length_quadratic));
  json.member("length_kappa_linear", rounded(agreement.length_linear));
  json.end_object();
}

}  // namespace

Result<std::vector<ScoredQuestion>> score_lines(std::string_view lines) {
  std::vector<ScoredQuestion> questions;
  complexity::Analyser analyser;
  for (std::size_t number = 1; !lines.empty(); ++number) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    const std::string_view text = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 1, lines.size()));
    if (text.find_first_not_of(" \t\r") == text.npos) continue;
    const auto wrong = [&](std::string_view what) {
      return Error{Kind::invalid, Source::client, false, fmt::format("line {} {}", number, what)};
    };
    Line line;
    if (!read_line(text, line)) return wrong("is no request with messages or a prompt");
    ScoredQuestion question;
    question.line = number;
    question.complexity = analyser.judge(line.endpoint, line.body);
    if (question.complexity) question.features = analyser.features();
    if (line.label) {
      question.label = class_named(*line.label);
      if (!question.label) return wrong("has a label other than simple, moderate and complex");
    }
    question.split = line.split.value_or("");
    questions.push_back(std::move(question));
  }
  return questions;
}

ScoredQuestion score_question(std::string_view text) {
  std::string body = R"({"prompt":)";
  dialect::write_string(body, text);
  body += '}';
  complexity::Analyser analyser;
  ScoredQuestion question;
  question.complexity = analyser.judge(Endpoint::completions, body);
  if (question.complexity) question.features = analyser.features();
  return question;
}

double weighted_kappa(const Confusion& confusion, int power) {
  std::array<double, kClasses> rows{};
  std::array<double, kClasses> columns{};
  double all = 0;
  for (std::size_t i = 0; i < kClasses; ++i) {
    for (std::size_t j = 0; j < kClasses; ++j) {
      rows[i] += confusion[i][j];
      columns[j] += confusion[i][j];
      all += confusion[i][j];
    }
  }
  double observed = 0;
  double expected = 0;
  for (std::size_t i = 0; i < kClasses; ++i) {
    for (std::size_t j = 0; j < kClasses; ++j) {
      const double weight =
          std::pow(std::abs(static_cast<double>(i) - static_cast<double>(j)), power);
      observed += weight * confusion[i][j];
      expected += weight * rows[i] * columns[j] / std::max(all, 1.0);
    }
  }
  return expected == 0 ? 0 : 1 - observed / expected;
}

std::vector<Agreement> agreements(std::span<const ScoredQuestion> questions) {
  std::vector<Agreement> all;
  std::vector<std::vector<const ScoredQuestion*>> of;
  for (const ScoredQuestion& question : questions) {
    if (!question.label || !question.complexity) continue;
    std::size_t at = 0;
    while (at < all.size() && all[at].split != question.split) ++at;
    if (at == all.size()) {
      all.push_back({.split = question.split});
      of.emplace_back();
    }
    ++all[at].confusion[static_cast<std::size_t>(*question.label)]
                       [static_cast<std::size_t>(question.complexity->kind)];
    of[at].push_back(&question);
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].linear = weighted_kappa(all[i].confusion, 1);
    all[i].quadratic = weighted_kappa(all[i].confusion, 2);
    judge_by_length(of[i], all[i]);
  }
  return all;
}

std::string show_score(const ScoredQuestion& question, bool as_json) {
  if (as_json) {
    std::string out;
    dialect::JsonWriter json(out);
    write(json, question);
    return out + "\n";
  }
  std::vector<std::vector<std::string>> rows = {{"FEATURE", "VALUE", "WEIGHT", "ADDS"}};
  for (const Added& reason : reasons_of(question.features)) {
    rows.push_back({std::string(reason.name), fmt::format("{:.2f}", reason.value),
                    fmt::format("{:+.3f}", reason.weight), fmt::format("{:+.2f}", reason.added())});
  }
  return fmt::format("{} {}\n\n{}", score_text(question), class_text(question), table_text(rows));
}

std::string show_scores(std::span<const ScoredQuestion> questions, bool as_json) {
  const std::vector<Agreement> judged = agreements(questions);
  if (as_json) {
    std::string out;
    dialect::JsonWriter json(out);
    json.begin_object().key("questions").begin_array();
    for (const ScoredQuestion& question : questions) write(json, question);
    json.end_array();
    json.key("agreements").begin_array();
    for (const Agreement& agreement : judged) write(json, agreement);
    json.end_array().end_object();
    return out + "\n";
  }
  std::string out;
  if (!judged.empty()) {
    for (const Agreement& agreement : judged) out += (out.empty() ? "" : "\n") + show(agreement);
    return out;
  }
  std::vector<std::vector<std::string>> rows = {{"LINE", "SCORE", "CLASS", "MOST OF IT"}};
  for (const ScoredQuestion& question : questions) {
    std::string most;
    for (const Added& reason : reasons_of(question.features)) {
      if (std::ranges::count(most, ',') + 1 == std::ptrdiff_t{kReasons}) break;
      most += fmt::format("{}{} {:+.2f}", most.empty() ? "" : ", ", reason.name, reason.added());
    }
    rows.push_back({std::to_string(question.line), score_text(question),
                    std::string(class_text(question)), most});
  }
  return table_text(rows);
}

}  // namespace penstock::app
