// Content codings of bodies (RFC 9110 section 8.4.1), undone in bounded steps.
//
//   gzip       RFC 1952, one member           deflate    RFC 1950: zlib's format, not raw deflate
//
// A few bytes can become gigabytes. Nothing is held of what comes out: the caller gives the room,
// step by step, counts, and stops when it is too much. No step works on more than kStep bytes, so
// that a loop has time for others between two of them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace penstock::http {

enum class Coding : std::uint8_t { gzip, deflate };

// What a client is told that may be sent to us: the value of an Accept-Encoding field.
inline constexpr std::string_view kCodings = "gzip, deflate";

// The one coding that a Content-Encoding names, in any letter case; nothing if it is not known, or
// if it is a list of several.
std::optional<Coding> coding_of(std::string_view content_encoding);

class Inflater {
 public:
  static constexpr std::size_t kStep = 64 * 1024;

  enum class State : std::uint8_t {
    more,  // call again
    end,   // that was all of it, and its checksum is right
    bad,   // not this coding, cut short, or something stands behind its end
  };
  struct Step {
    State state = State::more;
    std::size_t produced = 0;  // bytes written to `out`
  };

  // `in`: the whole body as it was sent; it must outlive this.
  Inflater(Coding coding, std::string_view in);
  Inflater(Inflater&&) noexcept;
  Inflater& operator=(Inflater&&) noexcept;
  ~Inflater();

  // Goes on, with at most kStep bytes in and out. After `end` or `bad` it is not called again.
  // REQUIRES: room > 0.
  Step next(char* out, std::size_t room);

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
  std::string_view in_;  // what is left
};

}  // namespace penstock::http
