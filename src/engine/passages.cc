#include "engine/passages.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace penstock::engine {
namespace {

constexpr std::size_t kTarget = 700;  // bytes: what one reads at a glance
constexpr std::size_t kMost = 1500;   // a paragraph over this is cut
constexpr std::size_t kMostWords = 32;
constexpr std::size_t kStem = 5;  // as many letters tell most words apart

constexpr std::array<std::string_view, 76> kCommon = {
    "a",     "about",  "all",  "am",    "an",     "and",   "any",  "are",  "as",   "at",   "be",
    "but",   "by",     "can",  "could", "did",    "do",    "does", "for",  "from", "get",  "give",
    "had",   "has",    "have", "how",   "i",      "if",    "in",   "into", "is",   "it",   "its",
    "know",  "like",   "make", "me",    "my",     "need",  "no",   "not",  "of",   "on",   "or",
    "our",   "please", "say",  "shall", "should", "so",    "some", "tell", "than", "that", "the",
    "their", "them",   "then", "there", "these",  "they",  "this", "to",   "us",   "use",  "want",
    "was",   "we",     "what", "when",  "where",  "which", "who",  "why",  "with", "you"};

bool word_byte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         byte >= 0x80;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t' || text.front() == '\n')) {
    text.remove_prefix(1);
  }
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\n')) {
    text.remove_suffix(1);
  }
  return text;
}

// "## The cache ##" -> level 2, "The cache"; level 0 is no heading.
std::size_t heading_level(std::string_view line, std::string_view& title) {
  std::size_t level = 0;
  while (level < line.size() && line[level] == '#') ++level;
  if (level == 0 || level > 6 || level >= line.size() || line[level] != ' ') return 0;
  title = trim(line.substr(level));
  while (!title.empty() && title.back() == '#') title.remove_suffix(1);
  title = trim(title);
  return level;
}

bool fence(std::string_view line) {
  while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
  return line.starts_with("```") || line.starts_with("~~~");
}

class Cutter {
 public:
  explicit Cutter(std::string_view file_name) : file_name_(file_name) {}

  void line(std::string_view text) {
    if (fence(text)) in_code_ = !in_code_;
    std::string_view title;
    const std::size_t level = in_code_ ? 0 : heading_level(text, title);
    if (level > 0) {
      end_paragraph();
      end_passage();
      path_.resize(std::min(path_.size(), level - 1));
      path_.resize(level - 1);  // levels left out are empty
      path_.emplace_back(title);
      return;
    }
    if (!in_code_ && trim(text).empty()) return end_paragraph();
    paragraph_ += text;
    paragraph_ += '\n';
    if (!in_code_ && paragraph_.size() > kMost) end_paragraph();
  }

  std::vector<Passage> end() {
    end_paragraph();
    end_passage();
    return std::move(passages_);
  }

 private:
  void end_paragraph() {
    const std::string_view text = trim(paragraph_);
    if (!text.empty()) {
      if (!passage_.empty() && passage_.size() + text.size() > kTarget) end_passage();
      if (text.size() > kMost && !text.starts_with("```") && !text.starts_with("~~~")) {
        cut_long(text);
      } else {
        if (!passage_.empty()) passage_ += "\n\n";
        passage_ += text;
      }
    }
    paragraph_.clear();
  }

  // At the ends of sentences, else between words, else between characters.
  void cut_long(std::string_view text) {
    while (text.size() > kMost) {
      std::size_t at = text.rfind(". ", kTarget);
      if (at == std::string_view::npos || at < kTarget / 3) at = text.rfind(' ', kTarget);
      if (at == std::string_view::npos || at < kTarget / 3) {
        at = kTarget;
        while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) --at;
        --at;
      }
      passage_ = trim(text.substr(0, at + 1));
      end_passage();
      text = trim(text.substr(at + 1));
    }
    passage_ = text;
  }

  void end_passage() {
    if (passage_.empty()) return;
    std::string heading;
    for (const std::string& name : path_) {
      if (name.empty()) continue;
      if (!heading.empty()) heading += " > ";
      heading += name;
    }
    if (heading.empty()) heading = file_name_;
    passages_.push_back({std::move(heading), std::move(passage_)});
    passage_.clear();
  }

  std::string_view file_name_;
  std::vector<std::string> path_;
  std::string paragraph_;
  std::string passage_;
  bool in_code_ = false;
  std::vector<Passage> passages_;
};

// Calls for each word of the text, in lower case.
template <class Use>
void each_word(std::string_view text, const Use& use) {
  std::string word;
  for (const char c : text) {
    if (word_byte(c)) {
      word += lower(c);
    } else if (!word.empty()) {
      use(word);
      word.clear();
    }
  }
  if (!word.empty()) use(word);
}

}  // namespace

std::vector<Passage> cut_into_passages(std::string_view text, std::string_view file_name) {
  Cutter cutter(file_name);
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    cutter.line(line);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return cutter.end();
}

std::vector<std::string> words_of(std::string_view question) {
  std::vector<std::string> all;
  std::vector<std::string> telling;
  const auto add = [](std::vector<std::string>& list, const std::string& word) {
    if (list.size() < kMostWords && std::find(list.begin(), list.end(), word) == list.end()) {
      list.push_back(word);
    }
  };
  each_word(question, [&](const std::string& word) {
    add(all, word);
    if (std::find(kCommon.begin(), kCommon.end(), word) == kCommon.end()) add(telling, word);
  });
  return telling.empty() ? all : telling;
}

std::string fts_query(const std::vector<std::string>& words) {
  std::string query;
  for (const std::string& word : words) {
    if (!query.empty()) query += " OR ";
    query += '"';
    query += word;  // letters, digits and bytes over 0x7f only: no quote to escape
    query += '"';
  }
  return query;
}

double coverage(const std::vector<std::string>& words, const Passage& passage) {
  if (words.empty()) return 0;
  std::vector<bool> found(words.size());
  const auto look = [&](const std::string& there) {
    for (std::size_t i = 0; i < words.size(); ++i) {
      const std::string& word = words[i];
      const std::size_t stem = std::min({kStem, word.size(), there.size()});
      const bool similar = word.size() <= 3 || there.size() <= 3
                               ? there == word
                               : there.compare(0, stem, word, 0, stem) == 0;
      if (similar) found[i] = true;
    }
  };
  each_word(passage.heading, look);
  each_word(passage.text, look);
  return static_cast<double>(std::count(found.begin(), found.end(), true)) /
         static_cast<double>(words.size());
}

}  // namespace penstock::engine
