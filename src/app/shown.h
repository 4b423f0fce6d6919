// What an engine or a gateway said, as a person may see it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace penstock::app {

// Makes control bytes visible (ESC becomes \x1b), so that what an engine says can neither colour,
// move, retitle nor fill the clipboard of the terminal it is shown on. Newline and tab stay, and so
// does UTF-8, wherever it is cut; C1 controls (U+0080 to U+009F) and bytes that are no UTF-8 do
// not.
class Visible {
 public:
  // The text of one more piece; a character whose end is still to come is kept back.
  std::string feed(std::string_view piece);
  // What was kept back and is no character.
  std::string end();

 private:
  std::string held_;
};

// All of a text at once.
std::string visible(std::string_view text);

// The message of an OpenAI error object, or of what vLLM and FastAPI say instead; empty if the
// JSON holds none, visible() otherwise.
std::string error_message(std::string_view json);

// Rows in columns as wide as what stands in them; the last is as it is. The first row is the head.
std::string table_text(const std::vector<std::vector<std::string>>& rows);

}  // namespace penstock::app
