// One exchange with an engine over HTTP/1.1: a request out, an answer in, piece by piece.
//
//   exchange() ──> head ──> poll(), wait(), poll() ... ──> end: the connection goes back to its
//   pool
//
// A connection goes back only after an answer that ended where its head said and behind which
// nothing had come. Whatever else happens, it is closed.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "http/chunked.h"
#include "http/head.h"
#include "http/pool.h"

namespace penstock::http {

// The answer to one request. Nothing is read ahead of poll(): that is the back-pressure. It must
// not outlive its pool.
class ClientAnswer {
 public:
  ClientAnswer(ClientAnswer&&) noexcept = default;
  ClientAnswer& operator=(ClientAnswer&&) = delete;
  ~ClientAnswer();

  // Valid until the first call below.
  const ResponseHead& head() const { return head_; }
  // A body that ends with the connection (BodyEnd::close) may have been cut: nobody can tell.
  const Framing& framing() const { return framing_; }

  // The body's bytes as a Flow gives them (exchange.h). An Error (broken) if the body is cut short
  // or malformed. What has come in several chunks is given as one.
  std::optional<Result<std::string_view>> poll();
  Task<Result<void>> wait(Deadline& deadline);
  Task<Result<std::string_view>> next(Deadline& deadline);

  // Appends the body to `out` until it ends (true) or `out` holds `most` bytes or more (false:
  // the rest is still to be had).
  Task<Result<bool>> gather(std::string& out, std::size_t most, Deadline& deadline);

 private:
  friend Task<Result<ClientAnswer>> exchange(Pool& pool, std::span<const std::string_view> request,
                                             bool to_head, Deadline& deadline);
  ClientAnswer(Pool& pool, Pool::Lease lease);
  Task<Result<void>> read_head(bool to_head, Deadline& deadline);
  std::optional<Result<std::size_t>> fill();
  Task<Result<void>> turn(Deadline& deadline);
  Result<std::string_view> take_chunks();
  std::string_view take(std::size_t most);
  Error cut(std::string detail);
  void end();

  Pool* pool_;
  std::optional<Pool::Lease> lease_;  // until the answer's end
  Buffer buffer_;
  std::size_t begin_ = 0;  // of what is not consumed
  std::size_t end_ = 0;
  ResponseHead head_;
  Framing framing_;
  ChunkedDecoder chunks_;
  std::uint64_t left_ = 0;  // of a body whose length is known
  bool whole_ = true;       // the request was sent to its end
  bool any_ = false;        // a byte of the answer has come
  bool bulk_ = false;       // the last read filled the buffer
  unsigned in_a_row_ = 0;   // pieces read without waiting
};

// Sends a request, its head and body in up to eight pieces, in one call of the kernel where it
// takes them, and reads the answer's head. `to_head`: the request is a HEAD. What the pieces view
// must live until the task ends.
//
// A pooled connection that ends before any byte of the answer was closed by the engine meanwhile:
// the request is then sent once more, over a new one. Nothing else is repeated here.
Task<Result<ClientAnswer>> exchange(Pool& pool, std::span<const std::string_view> request,
                                    bool to_head, Deadline& deadline);

}  // namespace penstock::http
