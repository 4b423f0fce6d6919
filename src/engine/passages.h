// Cuts a document into passages: pieces that can be quoted and still make sense.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::engine {

struct Passage {
  std::string heading;  // "Guide > Switches > The cache"; the file's name where there is none
  std::string text;     // Markdown as it stands in the file
};

// Paragraphs under one heading go together up to some 700 bytes, with code and diagrams up to
// 1,500; longer paragraphs are cut at their sentences, code over 4,000 bytes between its lines.
// HTML comments, and what has no word in it, are left out. REQUIRES: `text` is UTF-8.
std::vector<Passage> cut_into_passages(std::string_view text, std::string_view file_name);

// The words of a question that say what it is about: lower case, without the most common ones,
// at most 32, none twice. All of its words where only common ones are left.
std::vector<std::string> words_of(std::string_view question);

// An FTS5 query that finds any of the words. The words cannot change its meaning.
std::string fts_query(const std::vector<std::string>& words);

// The share of the words that stand in any of the texts, by their beginnings (the index knows
// stems).
double coverage(const std::vector<std::string>& words,
                std::initializer_list<std::string_view> texts);

}  // namespace penstock::engine
