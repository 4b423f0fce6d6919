// A question in gzip or deflate: its bytes as they were meant, within the same limit as a plain
// one's.

#include <algorithm>

#include "dialect/refusal.h"
#include "exchange/refusals.h"
#include "gateway/exchange.h"
#include "http/inflate.h"
#include "settings/values.h"

namespace penstock::gateway {
namespace {

using State = http::Inflater::State;

// What is decoded in one go; a longer body is measured first.
constexpr std::size_t kShort = http::Inflater::kStep;

Refusal too_large(settings::Bytes limit) {
  return refusal(Reason::request_too_large,
                 "The decoded body is larger than listen.limits.body_bytes (" +
                     settings::to_text(limit) + ").");
}

Refusal damaged(http::Coding coding) {
  return refusal(Reason::invalid_content_encoding,
                 coding == http::Coding::gzip ? "The body is not one whole member of gzip."
                                              : "The body is not one whole stream of zlib.");
}

}  // namespace

// A body that becomes too large, or is damaged, has cost no memory: what comes out is counted in
// one small buffer and thrown away, and only what is whole and within the limit is decoded again,
// into a buffer of its size. Most questions are short and need no second time.
Task<std::optional<Refusal>> Gateway::decode(Exchange& x, http::Coding coding) {
  if (x.request.body.empty()) co_return std::nullopt;
  const std::uint64_t limit = x.settings().listen.limits.body_bytes.count;

  http::Inflater inflater(coding, x.request.body);
  Buffer first(kShort);
  std::uint64_t size = 0;
  std::size_t kept = 0;  // of `first`; begins anew where it is full
  for (;;) {
    if (kept == kShort) kept = 0;
    const http::Inflater::Step step = inflater.next(first.data() + kept, kShort - kept);
    kept += step.produced;
    size += step.produced;
    if (size > limit) {
      metrics_.invalid(x.question.endpoint, Invalid::size);
      co_return too_large({limit});
    }
    if (step.state == State::bad) {
      metrics_.invalid(x.question.endpoint, Invalid::json);
      co_return damaged(coding);
    }
    if (step.state == State::end) break;
    co_await decoding_.next();
    if (x.deadline.over()) co_return dialect::refusal_of(x.deadline.error("decoding the body"));
  }
  if (size <= kShort) {
    x.decoded = std::move(first);
  } else {
    x.decoded = Buffer(static_cast<std::size_t>(size));
    inflater = http::Inflater(coding, x.request.body);
    for (std::uint64_t at = 0; at < size;) {
      const http::Inflater::Step step =
          inflater.next(x.decoded.data() + at, static_cast<std::size_t>(size - at));
      if (step.state == State::bad) co_return damaged(coding);
      at += step.produced;
      co_await decoding_.next();
      if (x.deadline.over()) co_return dialect::refusal_of(x.deadline.error("decoding the body"));
    }
  }
  x.question.body = {x.decoded.data(), static_cast<std::size_t>(size)};
  co_return std::nullopt;
}

}  // namespace penstock::gateway
