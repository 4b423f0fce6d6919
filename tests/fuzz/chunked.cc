// The chunked coding: however the bytes are cut on their way, there is one body and one end of it,
// the one that a plain reading of the whole gives (RFC 9112 section 7.1).
#include "http/chunked.h"

#include "check.h"

namespace penstock::fuzz {
namespace {

using http::ChunkedDecoder;
using State = ChunkedDecoder::State;

struct Decoded {
  State state = State::more;
  std::string body;
  std::size_t consumed = 0;
  bool operator==(const Decoded&) const = default;
};

// In pieces of the sizes that `piece()` gives.
template <class Piece>
Decoded decode(std::string_view text, const Piece& piece) {
  Decoded all;
  ChunkedDecoder decoder;
  while (all.consumed < text.size()) {
    const Bytes part(text.substr(all.consumed, piece()));
    for (std::size_t at = 0; at < part.size();) {
      const std::string_view rest = part.text().substr(at);
      const ChunkedDecoder::Step step = decoder.next(rest);
      FUZZ_CHECK(step.consumed <= rest.size());
      FUZZ_CHECK(step.data.size() <= step.consumed);
      if (!step.data.empty()) {
        FUZZ_CHECK(step.state == State::data);
        FUZZ_CHECK(step.data.data() + step.data.size() == rest.data() + step.consumed);
      }
      all.body += step.data;
      at += step.consumed;
      all.consumed += step.consumed;
      all.state = step.state;
      if (step.state == State::bad || step.state == State::end) return all;
      FUZZ_CHECK(step.consumed > 0, text);
      if (step.state == State::more) FUZZ_CHECK(at == part.size(), text);
    }
  }
  all.state = State::more;
  return all;
}

// ---- the plain reading -------------------------------------------------------------------------

int hex(char c) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const std::size_t at = kDigits.find(static_cast<char>(c >= 'A' && c <= 'F' ? c + 32 : c));
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

// A line up to its CR LF. `bad`: it has a control byte; a CR that nothing follows yet is none.
enum class Line : std::uint8_t { whole, more, bad };
Line take_line(std::string_view& text, std::string_view& line) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (text[i] == '\r') {
      if (i + 1 == text.size()) return Line::more;
      if (text[i + 1] != '\n') return Line::bad;
      line = text.substr(0, i);
      text.remove_prefix(i + 2);
      return Line::whole;
    }
    if ((byte < 0x20 && text[i] != '\t') || byte == 0x7f) return Line::bad;
  }
  return Line::more;
}

bool is_field(std::string_view line) {
  constexpr std::string_view kToken =
      "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const std::size_t colon = line.find_first_not_of(kToken);
  return colon != std::string_view::npos && colon > 0 && line[colon] == ':';
}

// All in one, and only of what is whole: `more` also stands for a fault that the rest would show.
Decoded read_plainly(const std::string_view text) {
  Decoded all;
  std::string_view rest = text;
  std::size_t extensions = 0;
  const auto is = [&](State state) {
    all.state = state;
    all.consumed = text.size() - rest.size();
    return all;
  };
  for (;;) {
    std::string_view line;
    if (const Line read = take_line(rest, line); read != Line::whole) {
      return is(read == Line::bad ? State::bad : State::more);
    }
    std::size_t digits = 0;
    std::uint64_t size = 0;
    while (digits < line.size() && hex(line[digits]) >= 0) {
      size = size * 16 + static_cast<std::uint64_t>(hex(line[digits++]));
    }
    if (digits == 0 || digits > 16) return is(State::bad);
    line.remove_prefix(digits);
    if (!line.empty() && line[0] != ';') return is(State::bad);
    if (!line.empty()) extensions += line.size() - 1;
    if (extensions > ChunkedDecoder::kExtensionBytes) return is(State::bad);
    if (size == 0) break;
    const std::string_view data = rest.substr(0, size);
    all.body += data;
    rest.remove_prefix(data.size());
    if (data.size() < size || rest.size() < 2) return is(State::more);
    if (!rest.starts_with("\r\n")) return is(State::bad);
    rest.remove_prefix(2);
  }
  for (std::size_t trailers = 0;;) {
    std::string_view line;
    if (const Line read = take_line(rest, line); read != Line::whole) {
      return is(read == Line::bad ? State::bad : State::more);
    }
    if (line.empty()) return is(State::end);
    if (!is_field(line)) return is(State::bad);
    trailers += line.size();
    if (trailers > ChunkedDecoder::kTrailerBytes) return is(State::bad);
  }
}

void check(std::string_view text) {
  const Decoded whole = decode(text, [] { return std::string_view::npos; });
  const Decoded single = decode(text, [] { return std::size_t{1}; });
  FUZZ_CHECK(whole == single, text, whole.body, single.body);
  for (int i = 0; i < 3; ++i) {
    Chance chance(std::to_string(i).append(text));
    const Decoded cut = decode(text, [&] { return 1 + chance.below(17); });
    FUZZ_CHECK(whole == cut, text, whole.body, cut.body);
  }

  const Decoded plain = read_plainly(text);
  FUZZ_CHECK((whole.state == State::end) == (plain.state == State::end), text);
  if (whole.state == State::end) {
    FUZZ_CHECK(whole == plain, text, whole.body, plain.body);
    // Only there is its end: nothing shorter has one, and what follows changes nothing.
    const std::string_view message = text.substr(0, whole.consumed);
    const auto at_once = [] { return std::string_view::npos; };
    for (std::size_t size = 0; size < message.size(); size += 1 + size / 64) {
      FUZZ_CHECK(decode(message.substr(0, size), at_once).state == State::more, text);
    }
    FUZZ_CHECK(decode(message.substr(0, message.size() - 1), at_once).state == State::more, text);
    FUZZ_CHECK(decode(std::string(message) + "0\r\n\r\n", at_once) == whole, text);
  }
  // What is refused early must not be what a plain reading goes on with to its end, nor the other
  // way round: all that may differ is that one of them still waits.
  if (plain.state == State::bad) FUZZ_CHECK(whole.state == State::bad, text);
}

// Any bytes, sent as chunks, are these bytes again.
void check_round_trip(std::string_view body) {
  body = body.substr(0, 1024);
  Chance chance(body);
  std::string coded;
  for (std::string_view rest = body; !rest.empty();) {
    const std::string_view part = rest.substr(0, 1 + chance.below(40));
    char size[40];
    std::snprintf(size, sizeof size, chance.one_in(2) ? "%zx%s\r\n" : "%05zX%s\r\n", part.size(),
                  chance.one_in(8) ? ";a=\"b\"" : "");
    coded += size;
    coded += part;
    coded += "\r\n";
    rest.remove_prefix(part.size());
  }
  coded += chance.one_in(2) ? "0\r\n\r\n" : "00\r\nx-trailer: 1\r\n\r\n";
  const Decoded back = decode(coded + "GET / HTTP/1.1\r\n", [&] { return 1 + chance.below(50); });
  FUZZ_CHECK(back.state == State::end, coded);
  FUZZ_CHECK(back.body == body, coded, back.body);
  FUZZ_CHECK(back.consumed == coded.size(), coded);
}

}  // namespace
}  // namespace penstock::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = penstock::fuzz::text_of(data, size);
  penstock::fuzz::check(text);
  penstock::fuzz::check_round_trip(text);
  return 0;
}
