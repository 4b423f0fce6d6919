// The heads of HTTP/1.1 messages: a strict parser, and the judge of where a body ends.
//
//   POST /v1/chat/completions HTTP/1.1 CRLF      the start line
//   host: gpu.example CRLF                       fields; their names are lowered in place
//   content-length: 411 CRLF
//   CRLF                                         the head's end
//
// One meaning or none: what two programs could read differently (RFC 9112 sections 2.2, 5, 6.3
// and 11.2) is refused, never repaired. Nothing is copied or allocated: views point into the
// caller's buffer.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace penstock::http {

struct Field {
  std::string_view name;   // lower case
  std::string_view value;  // without the white space around it
};

struct HeadLimits {
  std::size_t bytes = 32 * 1024;      // of the whole head
  std::size_t line_bytes = 8 * 1024;  // of one line
  std::size_t fields = 100;
};

// Which bound a message is over; who knows the settings can name it.
enum class Limit : std::uint8_t { none, head, headers, line, body, head_time, body_time };

// Why a message is refused. For a request `status` is the answer's; an engine's broken head is
// a 502 whatever stands here. The text is a literal and holds nothing of the message.
struct BadMessage {
  int status = 400;
  std::string_view what;
  Limit limit = Limit::none;
  bool of_nothing = false;  // not a byte of a message has come
};

struct RequestHead {
  std::string_view method;
  std::string_view target;  // as sent
  std::string_view path;    // what routing and authorisation read; no dot segments
  std::string_view query;   // behind the "?", or empty
  std::string_view host;    // the one Host field, or the target's where it is absolute
  int minor = 1;            // HTTP/1.minor
  std::vector<Field> fields;

  std::string_view find(std::string_view lower_case_name) const;  // the first, or empty
};

struct ResponseHead {
  int status = 0;
  int minor = 1;
  std::vector<Field> fields;

  std::string_view find(std::string_view lower_case_name) const;
};

enum class Progress : std::uint8_t { more, done, bad };

// What a parser says of the bytes so far.
struct Parsed {
  Progress progress = Progress::more;
  std::size_t length = 0;  // done: bytes of the head with its empty line
  BadMessage bad;
};

// Parses the head at the beginning of [data, data + size). Lowers field names in place. `head` is
// overwritten and keeps its capacity; it is valid only after `done`. With `more` call again from
// the beginning when more has come: heads nearly always come whole. Empty lines before a request
// line are not accepted (RFC 9112 section 2.2 lets us).
Parsed parse_request(char* data, std::size_t size, const HeadLimits& limits, RequestHead& head);
Parsed parse_response(char* data, std::size_t size, const HeadLimits& limits, ResponseHead& head);

// How a message's body ends.
enum class BodyEnd : std::uint8_t { none, length, chunked, close };

struct Framing {
  BodyEnd end = BodyEnd::none;
  std::uint64_t length = 0;
  bool keep_alive = true;        // by version and Connection; what comes after must allow it too
  bool expect_continue = false;  // requests only
  std::optional<BadMessage> bad;
};

// RFC 9112 section 6.3, decided over the raw fields.
Framing judge_request(const RequestHead& head);
// `to_head`: the request was a HEAD, its answer has no body.
Framing judge_response(const ResponseHead& head, bool to_head);

// True if the comma-separated list holds the token, case-insensitively.
bool list_has(std::string_view list, std::string_view lower_case_token);
// Hop-by-hop fields (RFC 9110 section 7.6.1), which are never forwarded.
bool hop_by_hop(std::string_view lower_case_name);
bool equal_lower(std::string_view any_case, std::string_view lower_case);

}  // namespace penstock::http
