// One exchange with an engine over HTTP/1.1: a request out, an answer in, piece by piece.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "http/chunked.h"
#include "http/head.h"
#include "http/pool.h"

namespace penstock::http {

// The answer to one request. Nothing is read ahead of next(): that is the back-pressure. It must
// not outlive its pool.
class ClientAnswer {
 public:
  ClientAnswer(Pool& pool, Pool::Lease lease);
  ClientAnswer(ClientAnswer&&) noexcept = default;
  ClientAnswer& operator=(ClientAnswer&&) = delete;
  ~ClientAnswer();

  // Valid until the first next().
  const ResponseHead& head() const { return head_; }
  const Framing& framing() const { return framing_; }

  // The body's next bytes, valid until the next call; empty at its proper end, after which the
  // connection has gone back to its pool. An Error (broken) if the body is cut short or malformed.
  Task<Result<std::string_view>> next(Deadline& deadline);

 private:
  friend Task<Result<ClientAnswer>> exchange(Pool& pool, std::span<const std::string_view> request,
                                             bool to_head, Deadline& deadline);
  Task<Result<void>> read_head(bool to_head, Deadline& deadline);
  Task<Result<std::size_t>> fill(Deadline& deadline);
  void end();

  Pool* pool_;
  std::optional<Pool::Lease> lease_;
  Buffer buffer_;
  std::size_t begin_ = 0;  // of what is not consumed
  std::size_t end_ = 0;
  ResponseHead head_;
  Framing framing_;
  ChunkedDecoder chunks_;
  std::uint64_t left_ = 0;
  bool any_ = false;  // a byte of the answer has come
};

// Sends a request, its head and body in up to eight pieces, and reads the answer's head. A pooled
// connection that ends before any byte of the answer had been closed by the engine meanwhile: the
// request is sent once more, over a new one.
Task<Result<ClientAnswer>> exchange(Pool& pool, std::span<const std::string_view> request,
                                    bool to_head, Deadline& deadline);

}  // namespace penstock::http
