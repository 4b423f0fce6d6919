#include "engine/passages.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace penstock::engine {
namespace {

constexpr std::size_t kTarget = 700;  // bytes: what one reads at a glance
constexpr std::size_t kMost = 1500;   // a paragraph over this is cut
constexpr std::size_t kMostCode = 4000;
constexpr std::size_t kMostWords = 32;
constexpr std::size_t kStem = 5;  // as many letters tell most words apart

constexpr std::array<std::string_view, 106> kCommon = {
    "a",      "about", "all",   "also",  "am",     "an",   "and",   "any",   "are",   "as",
    "at",     "be",    "been",  "being", "but",    "by",   "can",   "could", "d",     "did",
    "didn",   "do",    "does",  "doesn", "don",    "for",  "from",  "get",   "give",  "had",
    "has",    "have",  "he",    "her",   "his",    "how",  "i",     "if",    "in",    "into",
    "is",     "isn",   "it",    "its",   "just",   "know", "like",  "ll",    "m",     "make",
    "me",     "mean",  "means", "mine",  "must",   "my",   "need",  "no",    "not",   "of",
    "on",     "only",  "or",    "our",   "please", "re",   "s",     "say",   "shall", "she",
    "should", "so",    "some",  "t",     "tell",   "than", "that",  "the",   "their", "them",
    "then",   "there", "these", "they",  "this",   "to",   "us",    "use",   "ve",    "very",
    "want",   "was",   "we",    "were",  "what",   "when", "where", "which", "who",   "why",
    "will",   "with",  "would", "you",   "your",   "yours"};

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

bool blank(std::string_view line) { return trim(line).empty(); }

bool indented(std::string_view line) { return line.starts_with("    ") || line.starts_with('\t'); }

// Without blank lines around it; the first line keeps its indent.
std::string_view trim_lines(std::string_view text) {
  for (std::size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    if (!blank(text.substr(0, end))) break;
    text.remove_prefix(end + 1);
  }
  while (!text.empty() && blank(text.substr(text.size() - 1))) text.remove_suffix(1);
  return text;
}

bool has_word(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return c != '_' && word_byte(c); });
}

// The longest beginning of at most `size` bytes that ends between two characters.
std::string_view whole_characters(std::string_view text, std::size_t size) {
  if (size >= text.size()) return text;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  return text.substr(0, size);
}

// Follows the lines of a document in and out of fenced code (CommonMark 4.5, any indent).
class Fence {
 public:
  // True: the line is code, or begins or ends it.
  bool feed(std::string_view line) {
    std::string_view text = trim(line);
    const char mark = text.empty() ? '\0' : text.front();
    std::size_t length = 0;
    if (mark == '`' || mark == '~') {
      while (length < text.size() && text[length] == mark) ++length;
    }
    if (open()) {
      if (mark == mark_ && length >= length_ && length == text.size()) mark_ = '\0';
      return true;
    }
    if (length < 3) return false;
    if (mark == '`' && text.find('`', length) != std::string_view::npos) return false;
    mark_ = mark;
    length_ = length;
    return true;
  }

  bool open() const { return mark_ != '\0'; }
  std::string end() const { return std::string(length_, mark_); }

 private:
  char mark_ = '\0';
  std::size_t length_ = 0;
};

template <class Use>
void each_line(std::string_view text, const Use& use) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    use(line);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
}

// What an author hides from readers is no answer: comments go, except in code. One that never
// ends is text.
std::string without_comments(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  Fence fence;
  bool inside = false;
  const std::size_t last_end = text.rfind("-->");
  each_line(text, [&](std::string_view line) {
    const bool code = !inside && (fence.feed(line) || indented(line));
    while (!code && !line.empty()) {
      if (inside) {
        const std::size_t end = line.find("-->");
        if (end == std::string_view::npos) break;
        inside = false;
        line.remove_prefix(end + 3);
        continue;
      }
      const std::size_t begin = line.find("<!--");
      const std::string_view before = line.substr(0, begin);
      out += before;
      line.remove_prefix(before.size());
      if (begin == std::string_view::npos) break;
      const auto at = static_cast<std::size_t>(line.data() - text.data());
      const bool quoted = std::count(before.begin(), before.end(), '`') % 2 == 1;
      if (quoted || last_end == std::string_view::npos || at > last_end) {
        out += line.substr(0, 4);
      } else {
        inside = true;
      }
      line.remove_prefix(4);
    }
    if (code) out += line;
    if (!inside || !blank(line)) out += '\n';
  });
  return out;
}

// Puts blocks (paragraphs, pieces of code) together to passages.
class Cutter {
 public:
  explicit Cutter(std::string_view file_name) : file_name_(file_name) {}

  void line(std::string_view text) {
    const bool was_open = fence_.open();
    if (fence_.feed(text)) {
      if (!was_open) begin_code(text);
      code_line(text);
      if (!fence_.open()) end_block();
      return;
    }
    if (blank(text)) {
      // Within indented code it may be a part of it.
      if (!is_code_) end_block();
      ++blanks_;
      return;
    }
    if (is_code_ && indented(text)) {
      block_.append(std::min(blanks_, kMostBlanks), '\n');
      blanks_ = 0;
      return code_line(text);
    }
    if (is_code_) end_block();
    std::string_view title;
    if (const std::size_t level = heading_level(text, title); level > 0) {
      end_block();
      end_passage();
      path_.resize(level - 1);  // levels left out are empty
      path_.emplace_back(title);
      return;
    }
    if (block_.empty() && indented(text)) {
      begin_code({});
      return code_line(text);
    }
    if (block_.empty()) begin_block();
    block_ += text;
    block_ += '\n';
    if (block_.size() > kMost) end_block();
  }

  std::vector<Passage> end() {
    end_block();
    end_passage();
    return std::move(passages_);
  }

 private:
  void begin_block() {
    apart_ = blanks_ > 0;
    blanks_ = 0;
  }

  // `fence`: the line that begins it; empty: it is indented.
  void begin_code(std::string_view fence) {
    end_block();
    begin_block();
    is_code_ = true;
    opening_ = whole_characters(fence, kTarget);
  }

  // Code that is too long to quote is cut between lines, each piece in a fence of its own.
  void code_line(std::string_view text) {
    while (!text.empty() && block_.size() + text.size() > kMostCode) {
      if (block_.size() > opening_.size() + 1) {
        if (!opening_.empty()) block_ += fence_.end() + '\n';
        add_block();
        block_ = opening_;
        if (!opening_.empty()) block_ += '\n';
        continue;
      }
      // One endless line.
      const std::string_view piece = whole_characters(text, kMostCode / 2);
      block_ += piece;
      block_ += '\n';
      text.remove_prefix(piece.size());
    }
    block_ += text;
    block_ += '\n';
  }

  void end_block() {
    add_block();
    is_code_ = false;
    opening_.clear();
  }

  void add_block() {
    const std::string_view text = trim_lines(block_);
    if (!text.empty()) {
      const std::size_t most = is_code_ ? kMost : kTarget;  // code belongs to what explains it
      if (!passage_.empty() && passage_.size() + text.size() > most) end_passage();
      if (text.size() > kMost && !is_code_) {
        cut_long(text);
      } else {
        if (!passage_.empty()) passage_ += apart_ ? "\n\n" : "\n";
        passage_ += text;
      }
    }
    block_.clear();
  }

  // At the ends of sentences, else between words, else between characters; a table between rows.
  void cut_long(std::string_view text) {
    end_passage();
    while (text.size() > kMost) {
      std::size_t at = text.rfind(text.starts_with('|') ? "\n" : ". ", kTarget);
      if (at == std::string_view::npos || at < kTarget / 3) at = text.rfind(' ', kTarget);
      if (at == std::string_view::npos || at < kTarget / 3) {
        at = whole_characters(text, kTarget).size() - 1;
      }
      passage_ = trim(text.substr(0, at + 1));
      end_passage();
      text = trim(text.substr(at + 1));
    }
    passage_ = text;
  }

  void end_passage() {
    if (has_word(passage_)) {
      std::string heading;
      for (const std::string& name : path_) {
        if (name.empty()) continue;
        if (!heading.empty()) heading += " > ";
        heading += name;
      }
      if (heading.empty()) heading = file_name_;
      passages_.push_back({std::move(heading), std::move(passage_)});
    }
    passage_.clear();
  }

  static constexpr std::size_t kMostBlanks = 3;

  const std::string_view file_name_;
  std::vector<std::string> path_;  // the headings above
  Fence fence_;
  std::string block_;
  bool is_code_ = false;    // block_
  std::string opening_;     // of block_'s fence
  std::size_t blanks_ = 0;  // lines, before what comes next
  bool apart_ = false;      // block_: blank lines stand before it
  std::string passage_;
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
  std::string visible;
  if (text.find("<!--") != std::string_view::npos) text = visible = without_comments(text);
  Cutter cutter(file_name);
  each_line(text, [&](std::string_view line) { cutter.line(line); });
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

double coverage(const std::vector<std::string>& words,
                std::initializer_list<std::string_view> texts) {
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
  for (const std::string_view text : texts) each_word(text, look);
  return static_cast<double>(std::count(found.begin(), found.end(), true)) /
         static_cast<double>(words.size());
}

}  // namespace penstock::engine
