#include "app/semantic_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "app/shown.h"
#include "cache/semantic.h"
#include "dialect/cursor.h"
#include "dialect/json.h"

namespace penstock::app {
namespace {

constexpr std::size_t kTexts = 64;  // in one call
constexpr int kFirst = 80;          // hundredths
constexpr int kLast = 99;

std::optional<SemanticPair> pair_of(std::string_view line) {
  dialect::Cursor json(line);
  std::optional<std::string> a;
  std::optional<std::string> b;
  std::string_view same;
  dialect::Members members(json);
  while (members.next()) {
    if (members.name() == "a") {
      a = json.string();
    } else if (members.name() == "b") {
      b = json.string();
    } else if (members.name() == "same") {
      same = json.skip();
    } else {
      json.skip();
    }
  }
  if (!json.ok() || !json.at_end() || !a || !b || (same != "true" && same != "false")) {
    return std::nullopt;
  }
  return SemanticPair{*std::move(a), *std::move(b), same == "true"};
}

struct Judged {
  const SemanticPair* pair;
  float similarity;
};

Result<std::vector<Judged>> judge(std::span<const SemanticPair> pairs, const EmbedTexts& embed) {
  std::vector<Judged> judged;
  for (std::size_t i = 0; i < pairs.size(); i += kTexts / 2) {
    const auto some = pairs.subspan(i, std::min(kTexts / 2, pairs.size() - i));
    std::vector<std::string> texts;
    for (const SemanticPair& pair : some) {
      texts.push_back(pair.a);
      texts.push_back(pair.b);
    }
    Result<std::vector<std::vector<float>>> vectors = embed(texts);
    if (!vectors) return std::move(vectors).error();
    if (vectors->size() != texts.size()) {
      return Error{Kind::broken, Source::engine, false, "a vector is missing"};
    }
    for (std::size_t j = 0; j < some.size(); ++j) {
      std::vector<float>& a = (*vectors)[2 * j];
      std::vector<float>& b = (*vectors)[2 * j + 1];
      if (a.size() != b.size() || !cache::normalise(a) || !cache::normalise(b)) {
        return Error{Kind::broken, Source::engine, false, "a vector has no direction"};
      }
      judged.push_back({&some[j], std::inner_product(a.begin(), a.end(), b.begin(), 0.0F)});
    }
  }
  return judged;
}

std::string share(std::size_t part, std::size_t whole) {
  if (whole == 0) return "-";
  return fmt::format("{:.1f}%", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

struct Row {
  float threshold = 0;
  std::size_t good = 0;  // hits that mean the same
  std::size_t bad = 0;
};

std::string text_of(std::size_t pairs, std::size_t same, const std::vector<Row>& rows,
                    const std::vector<Judged>& others) {
  std::string out = fmt::format("{} pairs, of which {} mean the same\n\n", pairs, same);
  out += fmt::format("{:<10} {:>9} {:>10} {:>10} {:>8}\n", "THRESHOLD", "TRUE HITS", "FALSE HITS",
                     "PRECISION", "RECALL");
  for (const Row& row : rows) {
    out += fmt::format("{:<10.2f} {:>9} {:>10} {:>10} {:>8}\n", row.threshold, row.good, row.bad,
                       share(row.good, row.good + row.bad), share(row.good, same));
  }
  if (!others.empty()) out += "\nMost alike of those that do not mean the same:\n";
  for (const Judged& one : others) {
    out += fmt::format("{:.3f}  {}\n       {}\n", one.similarity, visible(one.pair->a),
                       visible(one.pair->b));
  }
  return out;
}

std::string json_of(std::size_t pairs, std::size_t same, const std::vector<Row>& rows,
                    const std::vector<Judged>& others) {
  std::string out;
  dialect::JsonWriter json(out);
  json.begin_object();
  json.member("pairs", static_cast<std::uint64_t>(pairs));
  json.member("same", static_cast<std::uint64_t>(same));
  json.key("thresholds").begin_array();
  for (const Row& row : rows) {
    json.begin_object();
    json.member("threshold", std::round(static_cast<double>(row.threshold) * 100) / 100);
    json.member("true_hits", static_cast<std::uint64_t>(row.good));
    json.member("false_hits", static_cast<std::uint64_t>(row.bad));
    json.end_object();
  }
  json.end_array();
  json.key("most_alike").begin_array();
  for (const Judged& one : others) {
    json.begin_object();
    json.member("similarity", std::round(static_cast<double>(one.similarity) * 1000) / 1000);
    json.member("a", one.pair->a).member("b", one.pair->b);
    json.end_object();
  }
  json.end_array();
  json.end_object();
  return out + "\n";
}

}  // namespace

Result<std::vector<SemanticPair>> read_semantic_pairs(std::string_view lines) {
  std::vector<SemanticPair> pairs;
  for (std::size_t number = 1; !lines.empty(); ++number) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 1, lines.size()));
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    std::optional<SemanticPair> pair = pair_of(line);
    if (!pair) {
      return Error{Kind::invalid, Source::client, false,
                   fmt::format("line {} is not {{\"a\": TEXT, \"b\": TEXT, \"same\": true or "
                               "false}}",
                               number)};
    }
    pairs.push_back(*std::move(pair));
  }
  return pairs;
}

Result<std::string> report_semantic(std::span<const SemanticPair> pairs, const EmbedTexts& embed,
                                    bool as_json, std::size_t worst) {
  Result<std::vector<Judged>> judged = judge(pairs, embed);
  if (!judged) return std::move(judged).error();
  const auto same = static_cast<std::size_t>(
      std::count_if(pairs.begin(), pairs.end(), [](const auto& pair) { return pair.same; }));
  std::vector<Row> rows;
  for (int hundredths = kFirst; hundredths <= kLast; ++hundredths) {
    Row row;
    row.threshold = static_cast<float>(hundredths) / 100;
    for (const Judged& one : *judged) {
      if (one.similarity < row.threshold) continue;
      ++(one.pair->same ? row.good : row.bad);
    }
    rows.push_back(row);
  }
  std::vector<Judged> others;
  std::copy_if(judged->begin(), judged->end(), std::back_inserter(others),
               [](const Judged& one) { return !one.pair->same; });
  std::stable_sort(others.begin(), others.end(),
                   [](const Judged& a, const Judged& b) { return a.similarity > b.similarity; });
  others.resize(std::min(others.size(), worst));
  return as_json ? json_of(pairs.size(), same, rows, others)
                 : text_of(pairs.size(), same, rows, others);
}

}  // namespace penstock::app
