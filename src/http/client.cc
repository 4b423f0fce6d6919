#include "http/client.h"

#include <algorithm>

namespace penstock::http {
namespace {

constexpr HeadLimits kEngineHead{64 * 1024, 16 * 1024, 200};
constexpr int kMostInterim = 100;
constexpr std::size_t kBulkBytes = 64 * 1024;
constexpr unsigned kInARow = 16;  // pieces, before others have their turn

Error broken(std::string detail) {
  return {Kind::broken, Source::engine, false, std::move(detail)};
}

// A record of TLS, most likely its alert at bytes that are none.
bool begins_tls(std::string_view bytes) {
  return bytes.size() >= 2 && bytes[0] >= 0x14 && bytes[0] <= 0x17 && bytes[1] == 3;
}

}  // namespace

ClientAnswer::ClientAnswer(Pool& pool, Pool::Lease lease)
    : pool_(&pool), lease_(std::move(lease)), buffer_(pool.take_buffer()) {}

ClientAnswer::~ClientAnswer() { pool_->give_buffer(std::move(buffer_)); }

// Reads more, behind what is not consumed. 0 at the stream's end.
std::optional<Result<std::size_t>> ClientAnswer::fill() {
  if (begin_ == end_) begin_ = end_ = 0;
  if (buffer_.data() == nullptr) buffer_ = pool_->take_buffer();
  if (end_ == buffer_.capacity()) {
    buffer_.resize(buffer_.capacity() * 2, end_);  // a large head; bodies are consumed first
  }
  const std::size_t room = buffer_.capacity() - end_;
  std::optional<Result<std::size_t>> got = (*lease_)->read(buffer_.data() + end_, room);
  if (got && *got) {
    end_ += **got;
    any_ = any_ || **got > 0;
    bulk_ = **got == room;
  }
  return got;
}

Task<Result<void>> ClientAnswer::read_head(bool to_head, Deadline& deadline) {
  for (int interim = 0; interim <= kMostInterim;) {
    if (begin_ < end_) {
      const Parsed parsed =
          parse_response(buffer_.data() + begin_, end_ - begin_, kEngineHead, head_);
      if (parsed.progress == Progress::bad) {
        if (begins_tls({buffer_.data() + begin_, end_ - begin_})) {
          co_return broken("it answers in TLS: is its url https?");
        }
        co_return broken("the engine's answer is malformed: " + std::string(parsed.bad.what));
      }
      if (parsed.progress == Progress::done) {
        begin_ += parsed.length;
        if (head_.status == 101) co_return broken("the engine changed the protocol unasked");
        if (head_.status < 200) {
          ++interim;
          continue;
        }
        framing_ = judge_response(head_, to_head);
        if (framing_.bad) {
          co_return broken("the engine's answer is malformed: " + std::string(framing_.bad->what));
        }
        left_ = framing_.length;
        if (framing_.end == BodyEnd::none) end();
        co_return Result<void>();
      }
    }
    std::optional<Result<std::size_t>> got = fill();
    if (!got) {
      Result<void> ready = co_await (*lease_)->readable(deadline);
      if (!ready) co_return ready;
      continue;
    }
    if (!*got) co_return std::move(*got).error();
    if (**got == 0) {
      co_return broken(any_ ? "the engine closed the connection within its answer's head"
                            : "the engine closed the connection without an answer");
    }
  }
  co_return broken("the engine sent too many interim answers");
}

Error ClientAnswer::cut(std::string detail) {
  lease_.reset();
  return broken(std::move(detail));
}

// Of what was read, at most so many bytes. The connection goes back with the last piece of a
// known length; the buffer stays until the next call.
std::string_view ClientAnswer::take(std::size_t most) {
  const std::string_view piece(buffer_.data() + begin_, std::min(most, end_ - begin_));
  begin_ += piece.size();
  if (framing_.end == BodyEnd::length) {
    left_ -= piece.size();
    if (left_ == 0) end();
  }
  return piece;
}

// All bytes of the body that have come, put together where the first of them lie. Empty: more
// must be read, or the body has ended (there is no lease then).
Result<std::string_view> ClientAnswer::take_chunks() {
  char* piece = nullptr;
  std::size_t size = 0;
  while (begin_ < end_) {
    const ChunkedDecoder::Step step = chunks_.next({buffer_.data() + begin_, end_ - begin_});
    if (step.state == ChunkedDecoder::State::bad) {
      // What came before it is good, and is given first: the decoder says the same again.
      if (size > 0) break;
      return cut("the engine's chunked body is malformed");
    }
    if (step.state == ChunkedDecoder::State::data) {
      char* const data = buffer_.data() + begin_ + step.consumed - step.data.size();
      if (piece == nullptr) piece = data;
      if (piece + size != data) std::memmove(piece + size, data, step.data.size());
      size += step.data.size();
    }
    begin_ += step.consumed;
    if (step.state == ChunkedDecoder::State::end) {
      end();
      break;
    }
  }
  return std::string_view(piece, size);
}

std::optional<Result<std::string_view>> ClientAnswer::poll() {
  while (lease_) {
    if (begin_ == end_) {
      if (in_a_row_ == kInARow) return std::nullopt;
      if (bulk_ && buffer_.capacity() < kBulkBytes) {
        Buffer larger(kBulkBytes);
        std::swap(buffer_, larger);
        pool_->give_buffer(std::move(larger));
      }
      std::optional<Result<std::size_t>> got = fill();
      if (!got) return std::nullopt;
      ++in_a_row_;
      if (!*got) {
        lease_.reset();
        return std::move(*got).error();
      }
      if (**got == 0) {
        lease_.reset();
        if (framing_.end == BodyEnd::close) break;
        return broken("the engine's answer was cut short");
      }
    }
    if (framing_.end == BodyEnd::chunked) {
      Result<std::string_view> piece = take_chunks();
      if (!piece || !piece->empty()) return piece;
      continue;
    }
    const std::uint64_t most = framing_.end == BodyEnd::length ? left_ : end_ - begin_;
    return take(static_cast<std::size_t>(std::min<std::uint64_t>(most, end_ - begin_)));
  }
  return std::string_view();
}

Task<Result<void>> ClientAnswer::wait(Deadline& deadline) {
  const bool turn_is_over = in_a_row_ == kInARow;
  in_a_row_ = 0;
  if (turn_is_over) return turn(deadline);
  // While nothing comes the buffer serves others: one that was just used is still in the
  // processor's cache, and a thousand streams that wait hold none.
  if (begin_ == end_ && buffer_.capacity() == Pool::kBufferBytes) {
    pool_->give_buffer(std::move(buffer_));
    buffer_ = Buffer();
  }
  return (*lease_)->readable(deadline);
}

// An engine that sends faster than it is read must not keep the loop to itself.
Task<Result<void>> ClientAnswer::turn(Deadline& deadline) {
  co_await deadline.loop().turn();
  if (deadline.over()) co_return deadline.error("read", Source::engine);
  co_return Result<void>();
}

Task<Result<std::string_view>> ClientAnswer::next(Deadline& deadline) {
  for (;;) {
    std::optional<Result<std::string_view>> piece = poll();
    if (piece) co_return *std::move(piece);
    Result<void> ready = co_await wait(deadline);
    if (ready) continue;
    lease_.reset();
    co_return std::move(ready).error();
  }
}

Task<Result<bool>> ClientAnswer::gather(std::string& out, std::size_t most, Deadline& deadline) {
  const bool known = framing_.end == BodyEnd::length && left_ < most;
  if (known) out.reserve(out.size() + static_cast<std::size_t>(left_));
  while (lease_ && out.size() < most) {
    if (known && begin_ == end_) {
      // The rest is read where it belongs, and not a byte more.
      const std::size_t had = out.size();
      const auto left = static_cast<std::size_t>(left_);
      out.resize(had + left);
      for (std::size_t at = 0; at < left;) {
        Result<std::size_t> got = std::size_t{0};
        std::optional<Result<std::size_t>> read = (*lease_)->read(out.data() + had + at, left - at);
        if (read) {
          got = *std::move(read);
        } else {
          Result<void> ready = co_await wait(deadline);
          if (ready) continue;
          got = std::move(ready).error();
        }
        if (got && *got > 0) {
          at += *got;
          continue;
        }
        out.resize(had + at);
        if (got) co_return cut("the engine's answer was cut short");
        lease_.reset();
        co_return std::move(got).error();
      }
      left_ = 0;
      end();
      break;
    }
    Result<std::string_view> piece = co_await next(deadline);
    if (!piece) co_return std::move(piece).error();
    out += *piece;
  }
  co_return !lease_;
}

void ClientAnswer::end() {
  // Bytes behind an answer belong to nobody: they must not become the next one's.
  if (framing_.keep_alive && whole_ && begin_ == end_) lease_->keep();
  lease_.reset();
}

Task<Result<ClientAnswer>> exchange(Pool& pool, std::span<const std::string_view> request,
                                    bool to_head, Deadline& deadline) {
  for (bool again = false;; again = true) {
    Result<Pool::Lease> lease = co_await pool.take(deadline, again);
    if (!lease) co_return std::move(lease).error();
    const bool reused = lease->reused();
    ClientAnswer answer(pool, *std::move(lease));
    net::Transport& transport = **answer.lease_;
    Result<void> sent = co_await transport.write(request, deadline);
    // An engine may refuse a request before it has read all of it.
    const bool refused = !sent && sent.error().kind == Kind::broken;
    Result<void> read = Result<void>();
    if (sent || refused) {
      answer.whole_ = sent.ok();
      read = co_await answer.read_head(to_head, deadline);
      if (read) co_return answer;
    }
    const bool of_read = sent || (refused && deadline.over());
    Error error = of_read ? std::move(read).error() : std::move(sent).error();
    const bool stale = reused && !answer.any_ && error.kind == Kind::broken;
    if (!stale || again) co_return error;
  }
}

}  // namespace penstock::http
