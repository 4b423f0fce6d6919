#include "http/client.h"

#include <algorithm>

namespace penstock::http {
namespace {

constexpr HeadLimits kEngineHead{64 * 1024, 16 * 1024, 200};
constexpr int kMostInterim = 100;

Error broken(std::string detail) {
  return {Kind::broken, Source::engine, false, std::move(detail)};
}

}  // namespace

ClientAnswer::ClientAnswer(Pool& pool, Pool::Lease lease)
    : pool_(&pool), lease_(std::move(lease)), buffer_(pool.take_buffer()) {}

ClientAnswer::~ClientAnswer() {
  if (buffer_.capacity() > 0) pool_->give_buffer(std::move(buffer_));
}

// Reads more, behind what is not consumed. 0 at the stream's end.
Task<Result<std::size_t>> ClientAnswer::fill(Deadline& deadline) {
  if (begin_ == end_) begin_ = end_ = 0;
  if (end_ == buffer_.capacity()) {
    buffer_.resize(buffer_.capacity() * 2, end_);  // a large head; bodies are consumed first
  }
  Result<std::size_t> got =
      co_await (*lease_)->read(buffer_.data() + end_, buffer_.capacity() - end_, deadline);
  if (got) {
    end_ += *got;
    any_ = any_ || *got > 0;
  }
  co_return got;
}

Task<Result<void>> ClientAnswer::read_head(bool to_head, Deadline& deadline) {
  for (int heads = 0; heads <= kMostInterim;) {
    if (begin_ < end_) {
      const Parsed parsed =
          parse_response(buffer_.data() + begin_, end_ - begin_, kEngineHead, head_);
      if (parsed.progress == Progress::bad) co_return broken(std::string(parsed.bad.what));
      if (parsed.progress == Progress::done) {
        begin_ += parsed.length;
        if (head_.status >= 200) {
          framing_ = judge_response(head_, to_head);
          if (framing_.bad) co_return broken(std::string(framing_.bad->what));
          left_ = framing_.length;
          if (framing_.end == BodyEnd::none) end();
          co_return Result<void>();
        }
        ++heads;
        continue;
      }
    }
    Result<std::size_t> got = co_await fill(deadline);
    if (!got) co_return std::move(got).error();
    if (*got == 0) co_return broken("the engine closed the connection without an answer");
  }
  co_return broken("the engine sent too many interim answers");
}

Task<Result<std::string_view>> ClientAnswer::next(Deadline& deadline) {
  while (lease_) {
    if (begin_ == end_) {
      Result<std::size_t> got = co_await fill(deadline);
      if (!got) co_return std::move(got).error();
      if (*got == 0) {
        lease_.reset();
        if (framing_.end == BodyEnd::close) co_return std::string_view();
        co_return broken("the engine's answer was cut short");
      }
    }
    const std::string_view have(buffer_.data() + begin_, end_ - begin_);
    if (framing_.end == BodyEnd::close) {
      begin_ = end_;
      co_return have;
    }
    if (framing_.end == BodyEnd::length) {
      const auto taken = static_cast<std::size_t>(std::min<std::uint64_t>(left_, have.size()));
      begin_ += taken;
      left_ -= taken;
      // The connection goes back with the last piece; the buffer stays until the next call.
      if (left_ == 0) end();
      co_return have.substr(0, taken);
    }
    const ChunkedDecoder::Step step = chunks_.next(have);
    begin_ += step.consumed;
    if (step.state == ChunkedDecoder::State::bad) {
      lease_.reset();
      co_return broken("the engine's chunked body is malformed");
    }
    if (step.state == ChunkedDecoder::State::data) co_return step.data;
    if (step.state == ChunkedDecoder::State::end) end();
  }
  co_return std::string_view();
}

void ClientAnswer::end() {
  // Bytes behind an answer belong to nobody: they must not become the next one's.
  if (framing_.keep_alive && begin_ == end_) lease_->keep();
  lease_.reset();
}

Task<Result<ClientAnswer>> exchange(Pool& pool, std::span<const std::string_view> request,
                                    bool to_head, Deadline& deadline) {
  for (bool again = false;; again = true) {
    Result<Pool::Lease> lease = co_await pool.take(deadline, again);
    if (!lease) co_return std::move(lease).error();
    const bool reused = lease->reused();
    ClientAnswer answer(pool, *std::move(lease));
    Result<void> done = co_await (*answer.lease_)->write(request, deadline);
    if (done) done = co_await answer.read_head(to_head, deadline);
    if (done) co_return answer;
    const bool stale = reused && !answer.any_ && done.error().kind == Kind::broken;
    if (!stale || again) co_return std::move(done).error();
  }
}

}  // namespace penstock::http
