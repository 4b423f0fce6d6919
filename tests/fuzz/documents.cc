// The documents: a text is cut into passages, a question becomes a query of SQLite's.
//
//   question LF text
//
// What must hold: no passage is without a word, too large, or cut within a character; no word of
// the text is lost; no question is a syntax error, and a passage is found by what is in it.
#include <algorithm>

#include "check.h"
#include "engine/passages.h"
#include "engine/sqlite.h"
#include "json_reference.h"

namespace penstock::fuzz {
namespace {

using engine::Database;
using engine::Passage;
using engine::Statement;

// Code in one piece, the fences around it, and what a paragraph may add.
constexpr std::size_t kMostPassage = 8000;

// Letters and digits: what cutting may neither lose nor add nor move.
std::string letters(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
      out += c;
  }
  return out;
}

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::vector<Passage> check_cutting(std::string_view text) {
  const std::vector<Passage> passages = engine::cut_into_passages(text, "file.md");
  std::string all;
  for (const Passage& passage : passages) {
    FUZZ_CHECK(!letters(passage.text).empty(), text, passage.text);
    FUZZ_CHECK(!passage.heading.empty(), text);
    FUZZ_CHECK(is_utf8(passage.text) && is_utf8(passage.heading), text, passage.text);
    FUZZ_CHECK(passage.text.size() <= kMostPassage, text, passage.text);
    FUZZ_CHECK(!has(passage.heading, "\n"), text, passage.heading);
    all += passage.text;
  }
  if (!has(text, "<!--") && !has(text, "#") && !has(text, "```") && !has(text, "~~~")) {
    FUZZ_CHECK(letters(all) == letters(text), text, all);
  }
  // Files of other systems say the same.
  if (!has(text, "\r")) {
    std::string other;
    for (const char c : text) other += c == '\n' ? std::string("\r\n") : std::string(1, c);
    const std::vector<Passage> same = engine::cut_into_passages(other, "file.md");
    FUZZ_CHECK(same.size() == passages.size(), text);
    for (std::size_t i = 0; i < same.size(); ++i) {
      FUZZ_CHECK(same[i].text == passages[i].text, text, passages[i].text, same[i].text);
      FUZZ_CHECK(same[i].heading == passages[i].heading, text);
    }
  }
  return passages;
}

// As the library has it.
class Index {
 public:
  Index()
      : database_(*Database::open(":memory:")),
        made_(database_.run("CREATE VIRTUAL TABLE passage USING fts5(heading, text, "
                            "tokenize='porter unicode61');")),
        insert_(*database_.prepare("INSERT INTO passage (rowid, heading, text) VALUES (?, ?, ?)")),
        remove_(*database_.prepare("DELETE FROM passage")),
        search_(
            *database_.prepare("SELECT rowid FROM passage WHERE passage MATCH ? ORDER BY rank")) {
    FUZZ_CHECK(made_.ok());
  }

  void fill(const std::vector<Passage>& passages) {
    FUZZ_CHECK(remove_.step().ok());
    std::int64_t row = 0;
    for (const Passage& passage : passages) {
      insert_.bind(1, ++row).bind(2, passage.heading).bind(3, passage.text);
      FUZZ_CHECK(insert_.step().ok(), passage.text);
    }
  }

  std::vector<std::int64_t> find(const std::vector<std::string>& words) {
    std::vector<std::int64_t> rows;
    const std::string query = engine::fts_query(words);
    search_.bind(1, query);
    for (;;) {
      const Result<bool> row = search_.step();
      FUZZ_CHECK(row.ok(), query, row.ok() ? "" : row.error().detail);
      if (!*row) return rows;
      rows.push_back(search_.number(0));
    }
  }

 private:
  Database database_;
  Result<void> made_;
  Statement insert_;
  Statement remove_;
  Statement search_;
};

bool ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

void check_question(std::string_view question, const std::vector<Passage>& passages) {
  static Index index;
  index.fill(passages);
  const std::vector<std::string> words = engine::words_of(question);
  FUZZ_CHECK(words.size() <= 32, question);
  for (auto word = words.begin(); word != words.end(); ++word) {
    FUZZ_CHECK(!word->empty() && std::find(words.begin(), word, *word) == word, question);
    FUZZ_CHECK(word->find_first_of("\"' *():ABCDEFGHIJKLMNOPQRSTUVWXYZ") == std::string::npos,
               *word);
  }
  FUZZ_CHECK(words.empty() == (letters(question).empty() && !has(question, "_")), question);
  if (!words.empty()) index.find(words);
  for (const Passage& passage : passages) {
    const double cover = engine::coverage(words, {passage.heading, passage.text});
    FUZZ_CHECK(cover >= 0 && cover <= 1, question);
  }

  // What stands in a passage finds it.
  std::int64_t row = 0;
  for (const Passage& passage : passages) {
    ++row;
    const std::vector<std::string> own = engine::words_of(passage.text);
    if (own.empty() || !ascii(own.front()) || letters(own.front()).empty()) continue;
    FUZZ_CHECK(engine::coverage({own.front()}, {passage.text}) == 1.0, own.front());
    const auto rows = index.find({own.front()});
    FUZZ_CHECK(std::find(rows.begin(), rows.end(), row) != rows.end(), passage.text, own.front());
    if (row == 4) break;
  }
}

}  // namespace
}  // namespace penstock::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = penstock::fuzz::text_of(data, size);
  const std::size_t end = std::min(input.find('\n'), input.size());
  const std::string_view text = input.substr(std::min(end + 1, input.size()));
  // A file that is no text is not taken up.
  const bool good = penstock::fuzz::is_utf8(text) && text.find('\0') == std::string_view::npos;
  penstock::fuzz::check_question(
      input.substr(0, end),
      good ? penstock::fuzz::check_cutting(text) : std::vector<penstock::engine::Passage>());
  return 0;
}
