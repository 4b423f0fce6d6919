// How much work a right answer takes, by the question alone: a score and a class, in microseconds.
//
//   body --one look over its JSON--> the last question, what was said before, tools, pictures
//        --paragraphs--> what is asked | code | what is pasted --words, marks--> features
//        --weights (weights.cc)--> score 0 .. 1 --two thresholds--> simple | moderate | complex
//
// A logistic model over features that were made by hand; the weights come from 200 labelled
// questions. Method, figures and limits: docs/complexity.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "exchange/exchange.h"

namespace penstock::complexity {

enum class Class : std::uint8_t { simple, moderate, complex };
inline constexpr std::size_t kClasses = 3;
std::string_view name_of(Class kind);

struct Complexity {
  float score = 0;  // 0 to 1, in hundredths
  Class kind = Class::simple;
  friend bool operator==(const Complexity&, const Complexity&) = default;
};

// By thirds: below 1/3, from 2/3 on, and between.
Class class_of(float score);

// Of a score, of which they are a whole number but for its last bits.
constexpr int hundredths(float score) { return static_cast<int>(score * 100 + 0.25F); }
// For where more digits are shown: 0.42, and not 0.41999998.
constexpr double exact(float score) { return hundredths(score) / 100.0; }

inline constexpr std::size_t kFeatures = 40;
using Features = std::array<float, kFeatures>;

struct Weight {
  std::string_view name;
  float weight;  // of the feature's value, before the logistic curves
};
const std::array<Weight, kFeatures>& weights();

// One a worker; allocates nothing but when it is made. Of the last message the first 2 KiB and the
// last 1 KiB are read as text, of the system's message 600 bytes; the rest of the body is only
// passed over (complexity_bench.cc: figures).
class Analyser {
 public:
  Analyser();
  Analyser(Analyser&&) noexcept;
  Analyser& operator=(Analyser&&) noexcept;
  ~Analyser();

  // Of a chat or a completion; nothing for other endpoints, and where nobody asks anything.
  // REQUIRES: the body is one that dialect::QuestionReader found nothing to say against. Of
  // another it makes a score that says nothing, or none.
  std::optional<Complexity> judge(Endpoint endpoint, std::string_view body);

  // What made the last score.
  const Features& features() const { return features_; }

 private:
  struct Scratch;
  std::unique_ptr<Scratch> scratch_;
  Features features_{};
};

}  // namespace penstock::complexity
