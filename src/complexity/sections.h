// A message in its sections: what is asked, and what is only put beside it.
//
//   the words of a person ------------> asked: a short message whole; of a long one the first and
//                                       the last paragraph, where people say what they want
//   ``` blocks, lines that look like code or a log --> code
//   quotes of some length, "> " lines, paragraphs between --> pasted
#pragma once

#include <cstddef>
#include <string_view>

#include "complexity/words.h"

namespace penstock::complexity {

struct Sections {
  Counts asked;
  std::size_t asked_bytes = 0;
  std::size_t pasted_bytes = 0;
  std::size_t code_lines = 0;
  std::size_t items = 0;  // of lists, in what is asked or pasted
};

// Adds the sections of one text, of a few KiB.
void part(std::string_view text, const Words& words, Sections& sections);

}  // namespace penstock::complexity
