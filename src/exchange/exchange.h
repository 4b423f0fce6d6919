// The nouns of one exchange: what was asked, by whom, where it goes, what came back. No logic.
//
//   Question --(route)--> Plan --(engine)--> Answer          or, at any step, a Refusal
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/deadline.h"
#include "base/loop.h"
#include "base/result.h"

namespace penstock {

// The endpoints that the gateway understands; every other /v1/* passes through.
enum class Endpoint : std::uint8_t { chat, completions, embeddings, models, other };

// Half-open byte range of a body; empty means "is not there".
struct Range {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool empty() const { return begin == end; }
};

// A request as far as the gateway reads it. The body goes on to the engine as it came but for
// the places named here.
struct Question {
  Endpoint endpoint = Endpoint::other;
  std::string_view method;        // "POST"
  std::string_view target;        // "/v1/chat/completions?x=y", as parsed once by http
  std::string_view content_type;  // of the body, as sent
  std::string_view body;          // followed by at least 64 readable bytes (simdjson's padding)

  std::string model;  // unescaped
  std::string user;   // whom the client says it asks for; empty: it does not say
  Range model_at;     // the value with its quotes, in body
  bool stream = false;
  bool include_usage = false;  // stream_options.include_usage was true
  Range stream_options_at;     // the value, in body
  std::size_t members_at = 0;  // where a member can be inserted: behind the outermost "{"
  bool repeatable = false;     // temperature 0 or a seed, or an embedding: the same answer again
  bool tools = false;          // tools or functions are offered
  bool stored = false;         // store: true or previous_response_id: has effects or a past
  std::optional<std::uint32_t> max_tokens;
  // The parameters in their canonical form (reliability: cache safety), without model, stream,
  // stream_options, user and metadata. Filled only where asked for.
  std::string canonical;
};

// A refusal is an answer, not an error: what the client is told, in OpenAI's terms.
struct Refusal {
  int status = 400;
  std::string_view type = "invalid_request_error";
  std::string message;
  std::string param;                 // empty is null
  std::string_view code;             // empty is null
  std::string_view allow;            // of a 405: the methods that it takes
  std::string_view accept_encoding;  // of a 415: the content codings that it takes
  std::string_view authenticate;     // of a 401: how to (RFC 9110 section 11.6.1)
  std::optional<Duration> retry_after;
  bool final = false;  // to ask again cannot mend it, whatever the status says
  bool close = false;  // the connection cannot go on: its framing is in doubt
};

struct Usage {
  std::uint64_t input = 0;
  std::uint64_t output = 0;
  std::uint64_t cached_input = 0;
  std::uint64_t reasoning = 0;
};

// Bytes that arrive bit by bit. Pulled: whoever does not pull holds the sender back.
//
// Taking what is there and waiting for more are two verbs, so that a stream of many small pieces
// that passes through several flows waits in one coroutine, and not in one for each of them.
class Flow {
 public:
  virtual ~Flow() = default;
  // The bytes that have come, valid until the next call; empty at the proper end; nothing where it
  // must be waited for. After an error or the end nothing is called again. Destroying a Flow before
  // its end cancels what produces it.
  virtual std::optional<Result<std::string_view>> poll() = 0;
  // Waits until poll() is worth another try. An Error is the flow's own end.
  virtual Task<Result<void>> wait(Deadline& deadline) = 0;
  // The next bytes, waited for.
  Task<Result<std::string_view>> next(Deadline& deadline);
};

inline Task<Result<std::string_view>> Flow::next(Deadline& deadline) {
  for (;;) {
    std::optional<Result<std::string_view>> piece = poll();
    if (piece) co_return *std::move(piece);
    Result<void> ready = co_await wait(deadline);
    if (!ready) co_return std::move(ready).error();
  }
}

struct HeaderView {
  std::string_view name;  // lower case
  std::string_view value;
};

struct Header {
  std::string name;  // lower case
  std::string value;
};

// What an engine answered. A body is whole in `body`, or comes by `rest` (then `body` is empty).
struct Answer {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<Header> headers;  // end-to-end fields worth passing on, e.g. retry-after
  std::string body;
  std::unique_ptr<Flow> rest;
  std::optional<std::uint64_t> length;  // of `rest`, where it is known
  bool event_stream() const { return content_type.starts_with("text/event-stream"); }
};

}  // namespace penstock
