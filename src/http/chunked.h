// The chunked transfer coding (RFC 9112 section 7.1), decoded as the bytes come.
//
//   1a;name=value CRLF  <26 bytes> CRLF   ...   0 CRLF  trailer: x CRLF  CRLF
//
// Yields views into the input: nothing is copied, nothing allocated. Extensions are skipped and
// trailers dropped, both within a bound; everything else that is not in the grammar is refused.
#pragma once

#include <cstdint>
#include <string_view>

namespace penstock::http {

class ChunkedDecoder {
 public:
  static constexpr std::size_t kExtensionBytes = 1024;  // of a whole message
  static constexpr std::size_t kTrailerBytes = 8 * 1024;

  enum class State : std::uint8_t {
    data,  // `data` holds bytes of the body; call again with what is left
    more,  // all was consumed: more must come
    end,   // the body has ended; what is behind `consumed` belongs to the next message
    bad,   // not in the grammar, or over a bound
  };
  struct Step {
    std::size_t consumed = 0;
    std::string_view data;
    State state = State::more;
  };

  // Goes on with the next bytes. After `end` or `bad` it is not called again.
  Step next(std::string_view in);

 private:
  enum class At : std::uint8_t {
    size_first,  // at least one digit must come
    size,
    extension,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer_begin,
    trailer_name,
    trailer,
    trailer_lf,
    end_lf,
    failed,
  };

  At at_ = At::size_first;
  int digits_ = 0;
  std::uint64_t left_ = 0;  // of the present chunk
  std::size_t extension_bytes_ = 0;
  std::size_t trailer_bytes_ = 0;
};

}  // namespace penstock::http
