#include "complexity/complexity.h"

#include <algorithm>
#include <cmath>

#include "complexity/reading.h"
#include "complexity/sections.h"
#include "complexity/words.h"
#include "dialect/scalar.h"

namespace penstock::complexity {
namespace {

constexpr std::size_t kHead = 2048;  // bytes of a long message that are read, from its beginning
constexpr std::size_t kTail = 1024;  // and to its end
constexpr std::size_t kSystem = 600;

// The curves: how surely it is more than simple, and how surely complex (weights.cc).
constexpr float kBias = -3.390F;
constexpr float kHalf = 1.665F;

float logistic(float z) { return 1 / (1 + std::exp(-z)); }
float grown(double value) { return static_cast<float>(std::log2(1 + value)); }
float few(std::uint32_t count) { return std::sqrt(static_cast<float>(std::min(count, 6U))); }

std::uint32_t sum(const Counts& counts, std::initializer_list<Sign> signs) {
  std::uint32_t sum = 0;
  for (const Sign sign : signs) sum += counts.signs[static_cast<std::size_t>(sign)];
  return sum;
}

std::uint32_t hard(const Counts& counts) {
  return sum(counts,
             {Sign::prove, Sign::design, Sign::deep, Sign::systems, Sign::expert, Sign::deep_math});
}

// How many of these signs there are at all.
float kinds(const Counts& counts) {
  float kinds = 0;
  for (const Sign sign :
       {Sign::prove, Sign::design, Sign::deep, Sign::systems, Sign::expert, Sign::deep_math}) {
    if (counts.signs[static_cast<std::size_t>(sign)] > 0) ++kinds;
  }
  return kinds;
}

}  // namespace

std::string_view name_of(Class kind) {
  constexpr std::array<std::string_view, kClasses> kNames = {"simple", "moderate", "complex"};
  return kNames[static_cast<std::size_t>(kind)];
}

Class class_of(float score) {
  if (score < 1.0F / 3) return Class::simple;
  return score < 2.0F / 3 ? Class::moderate : Class::complex;
}

struct Analyser::Scratch {
  Words words;
  std::array<char, kHead + kTail + 64> text;

  // The beginning and the end of a text as it is written, unescaped.
  std::string_view plain(std::string_view raw, std::size_t head, std::size_t tail) {
    char* out = text.data();
    const auto put = [&](std::string_view piece) {
      out = dialect::unescape(piece.data(), piece.data() + piece.size(), out).end;
    };
    if (raw.size() <= head + tail) {
      put(raw);
    } else {
      put(raw.substr(0, head));
      if (tail > 0) {
        *out++ = '\n';
        *out++ = '\n';
        std::size_t from = raw.size() - tail;
        std::size_t slashes = 0;  // an odd number: it would begin within an escape
        while (slashes < from && raw[from - 1 - slashes] == '\\') ++slashes;
        put(raw.substr(from + slashes % 2));
      }
    }
    return {text.data(), static_cast<std::size_t>(out - text.data())};
  }
};

Analyser::Analyser() : scratch_(std::make_unique<Scratch>()) {}
Analyser::Analyser(Analyser&&) noexcept = default;
Analyser& Analyser::operator=(Analyser&&) noexcept = default;
Analyser::~Analyser() = default;

std::optional<Complexity> Analyser::judge(Endpoint endpoint, std::string_view body) {
  Reading reading;
  if (!read(endpoint, body, reading)) return std::nullopt;
  Scratch& scratch = *scratch_;
  Sections sections;
  std::size_t bytes = reading.last_bytes;
  for (std::size_t i = 0; i < reading.last_parts; ++i) {
    const std::string_view raw = reading.last[i];
    const std::size_t head = kHead / reading.last_parts;
    const std::size_t tail = kTail / reading.last_parts;
    const std::string_view text = scratch.plain(raw, head, tail);
    if (raw.size() <= head + tail) bytes -= raw.size() - text.size();  // however it is escaped
    part(text, scratch.words, sections);
  }
  Counts system;
  scratch.words.scan(scratch.plain(reading.system, kSystem, 0), system);

  const Counts& asked = sections.asked;
  std::size_t at = 0;
  const auto put = [&](float value) { features_[at++] = value; };
  put(grown(asked.words));
  put(grown(static_cast<double>(bytes) / 100));
  put(grown(static_cast<double>(sections.pasted_bytes) / 100));
  put(static_cast<float>(std::min(asked.questions, 4U)));
  put(grown(asked.commas));
  put(grown(asked.numbers));
  put(asked.words == 0
          ? 0
          : 10 * static_cast<float>(asked.long_words) / static_cast<float>(asked.words + 3));
  put(grown(asked.maths));
  put(grown(asked.sentences));
  put(grown(asked.longest));
  put(grown(static_cast<double>(sections.code_lines)));
  put(grown(static_cast<double>(sections.items)));
  for (const std::uint32_t count : asked.signs) put(few(count));
  put(grown(reading.turns - 1));
  put(grown(reading.tools));
  put(few(sum(system, {Sign::brief, Sign::small_task})));
  put(few(hard(system)));
  put(few(hard(asked)) * grown(asked.words));
  put(kinds(asked));
  put(few(sum(asked, {Sign::brief, Sign::fact, Sign::small_task, Sign::social})) /
      std::max(1.0F, grown(asked.words)));
  put(few(sum(asked, {Sign::make, Sign::work, Sign::explain, Sign::wh})) * grown(asked.commas));

  const bool light = sum(asked, {Sign::brief, Sign::fact, Sign::small_task, Sign::social}) > 0;
  const bool task = sum(asked, {Sign::explain, Sign::make, Sign::work, Sign::fault}) > 0;
  put(task && !light ? 1 : 0);
  float z = kBias;
  for (std::size_t i = 0; i < kFeatures; ++i) z += features_[i] * weights()[i].weight;
  const float score = std::round(50 * (logistic(z + kHalf) + logistic(z - kHalf))) / 100;
  return Complexity{score, class_of(score)};
}

}  // namespace penstock::complexity
