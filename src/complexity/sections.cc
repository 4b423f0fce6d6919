#include "complexity/sections.h"

#include <algorithm>
#include <array>

namespace penstock::complexity {
namespace {

constexpr std::size_t kWhole = 700;      // bytes of prose that are all taken for the question
constexpr std::size_t kParagraph = 900;  // of a long paragraph, from where it begins or ends
constexpr std::size_t kQuote = 60;

std::string_view trimmed(std::string_view line) {
  while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
  while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) line.remove_suffix(1);
  return line;
}

bool digit(char c) { return c >= '0' && c <= '9'; }

// Where marks_of() has to look twice.
constexpr std::array<bool, 256> kMarks = [] {
  std::array<bool, 256> marks{};
  for (const char c : std::string_view(";|?(-:<#=")) marks[static_cast<unsigned char>(c)] = true;
  return marks;
}();

struct Marks {
  bool code = false;      // "();", "=>", "->", " = ", " == ", "::", "</", "#include"
  bool question = false;  // "? "
  std::size_t parts = 0;  // semicolons and bars
};

Marks marks_of(std::string_view text) {
  Marks marks;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (!kMarks[static_cast<unsigned char>(c)]) continue;
    const std::string_view rest = text.substr(i);
    switch (c) {
      case ';':
      case '|': ++marks.parts; break;
      case '?': marks.question = marks.question || rest.starts_with("? "); break;
      case '(': marks.code = marks.code || rest.starts_with("();"); break;
      case '-': marks.code = marks.code || rest.starts_with("->"); break;
      case ':': marks.code = marks.code || rest.starts_with("::"); break;
      case '<': marks.code = marks.code || rest.starts_with("</"); break;
      case '#': marks.code = marks.code || rest.starts_with("#include"); break;
      case '=':
        marks.code =
            marks.code || rest.starts_with("=>") ||
            (i > 0 && text[i - 1] == ' ' && (rest.starts_with("= ") || rest.starts_with("== ")));
        break;
      default: break;
    }
  }
  return marks;
}

// By its marks, in whatever language it is.
bool looks_like_code(std::string_view line, std::string_view text) {
  if (text.empty()) return false;
  const char last = text.back();
  if (last == ';' || last == '{' || last == '}' || last == '\\') return true;
  if (line.starts_with("    ") || line.starts_with('\t')) return true;
  const Marks marks = marks_of(text);
  if (marks.parts >= 3) return true;
  // A sentence may have an arrow or a formula in it.
  if (last != '.' && last != '?' && last != '!' && last != ',' && !marks.question) {
    if (marks.code || text.starts_with("def ") || text.starts_with("import ")) return true;
  }
  // "2025-06-02 04:00:01" and "[12:03:55]": a log.
  const std::string_view stamp = text.front() == '[' ? text.substr(1) : text;
  if (stamp.size() > 10 && digit(stamp[0]) && digit(stamp[1]) &&
      (stamp[2] == ':' || (stamp[4] == '-' && stamp[7] == '-'))) {
    return true;
  }
  return false;
}

bool is_item(std::string_view text) {
  if (text.size() < 3) return false;
  if ((text[0] == '-' || text[0] == '*') && text[1] == ' ') return true;
  return digit(text[0]) && (text[1] == '.' || text[1] == ')' || (digit(text[1]) && text[2] == '.'));
}

// Finds quotes of some length. Looks for each closing sign at most once in vain.
class Quotes {
 public:
  explicit Quotes(std::string_view text) : text_(text) {}

  // The end of a quote that begins at `at` and is long, or npos.
  std::size_t end_of(std::size_t at) {
    for (Kind& kind : kinds_) {
      if (kind.none || !text_.substr(at).starts_with(kind.open)) continue;
      const std::size_t end = text_.find(kind.close, at + kind.open.size());
      kind.none = end == text_.npos;
      if (!kind.none && end - at >= kQuote) return end + kind.close.size();
      break;
    }
    return text_.npos;
  }

 private:
  struct Kind {
    std::string_view open;
    std::string_view close;
    bool none = false;  // there is no closing one any more
  };

  std::string_view text_;
  std::array<Kind, 4> kinds_ = {
      {{"\"", "\""}, {"\u201c", "\u201d"}, {"\u201e", "\u201c"}, {"\u00ab", "\u00bb"}}};
};

// What a person says, less what he quotes.
void ask(std::string_view text, const Words& words, Sections& sections) {
  const auto has = [&](char c) { return text.find(c) != text.npos; };
  if (!has('"') && !has('\xe2') && !has('\xc2')) {  // no quote can begin, as in most texts
    words.scan(text, sections.asked);
    sections.asked_bytes += text.size();
    return;
  }
  Quotes quotes(text);
  std::size_t from = 0;
  const auto take = [&](std::size_t to) {
    words.scan(text.substr(from, to - from), sections.asked);
    sections.asked_bytes += to - from;
  };
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto c = static_cast<unsigned char>(text[at]);
    if (c != '"' && c != 0xe2 && c != 0xc2) continue;
    const std::size_t end = quotes.end_of(at);
    if (end == text.npos) continue;
    take(at);
    sections.pasted_bytes += end - at;
    from = end;
    at = end - 1;
  }
  take(text.size());
}

class Paragraphs {
 public:
  Paragraphs(std::string_view text, const Words& words, Sections& sections)
      : text_(text), words_(words), sections_(sections) {}

  void run() {
    std::size_t at = 0;
    while (at < text_.size()) {
      const std::size_t end = std::min(text_.find('\n', at), text_.size());
      line(at, end);
      at = end + 1;
    }
    close();
    if (first_.empty()) return;
    const std::size_t prose = prose_;
    if (prose <= kWhole) {
      ask(first_, words_, sections_);
      for (std::size_t i = 0; i < between_count_; ++i) ask(between_[i], words_, sections_);
      ask(last_, words_, sections_);
      return;
    }
    const std::size_t before = sections_.asked_bytes;
    if (last_.empty() && first_.size() > 2 * kParagraph) {
      last_ = first_.substr(first_.size() - kParagraph);
    }
    ask(first_.substr(0, kParagraph), words_, sections_);
    ask(last_.substr(last_.size() - std::min(last_.size(), kParagraph)), words_, sections_);
    const std::size_t asked = sections_.asked_bytes - before;
    sections_.pasted_bytes += prose - std::min(prose, asked);
  }

 private:
  void line(std::size_t from, std::size_t to) {
    const std::string_view line = text_.substr(from, to - from);
    const std::string_view text = trimmed(line);
    if (text.starts_with("```")) {
      close();
      fenced_ = !fenced_;
      return;
    }
    if (fenced_ || looks_like_code(line, text)) {
      close();
      if (!text.empty()) ++sections_.code_lines;
      return;
    }
    if (text.starts_with('>')) {
      close();
      sections_.pasted_bytes += text.size();
      return;
    }
    if (text.empty() || text.find_first_not_of("-=_*#") == text.npos) return close();
    if (is_item(text)) ++sections_.items;
    if (begin_ == text_.npos) begin_ = from;
    end_ = to;
  }

  void close() {
    if (begin_ == text_.npos) return;
    const std::string_view paragraph = text_.substr(begin_, end_ - begin_);
    begin_ = text_.npos;
    prose_ += paragraph.size();
    if (first_.empty()) {
      first_ = paragraph;
      return;
    }
    if (!last_.empty() && between_count_ < between_.size()) between_[between_count_++] = last_;
    last_ = paragraph;
  }

  const std::string_view text_;
  const Words& words_;
  Sections& sections_;
  bool fenced_ = false;
  std::size_t begin_ = std::string_view::npos;
  std::size_t end_ = 0;
  std::size_t prose_ = 0;
  std::string_view first_;
  std::string_view last_;
  std::array<std::string_view, 16> between_;
  std::size_t between_count_ = 0;
};

}  // namespace

void part(std::string_view text, const Words& words, Sections& sections) {
  Paragraphs(text, words, sections).run();
}

}  // namespace penstock::complexity
