// An answer that is kept, ready to be sent again.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cache/key.h"
#include "exchange/exchange.h"
#include "exchange/served.h"
#include "redis/vouchers.h"

namespace penstock::cache {

// What malloc takes for so many bytes: eight more, in sixteens, at least two of them; and an eighth
// for the holes that it is left with between blocks of different sizes, as they come and go.
// Without that a cache of mixed answers took 15 % more than it may (docs/cache-benchmarks.md).
constexpr std::size_t block_of(std::size_t bytes) {
  const std::size_t block = std::max<std::size_t>(32, (bytes + 8 + 15) / 16 * 16);
  return block + block / 8;
}
// Of a text beside the string itself: none for what it holds within itself.
inline std::size_t block_of(const std::string& text) {
  return text.capacity() < sizeof(std::string) / 2 ? 0 : block_of(text.capacity() + 1);
}

// A status line with its fields (each with its CR LF, the empty line left out), and the body.
class Prepared {
 public:
  Prepared() = default;
  Prepared(std::string_view head, std::string_view body) : head_size_(head.size()) {
    text_.reserve(head.size() + body.size());
    text_.append(head).append(body);
  }
  bool empty() const { return text_.empty(); }
  std::string_view head() const { return std::string_view(text_).substr(0, head_size_); }
  std::string_view body() const { return std::string_view(text_).substr(head_size_); }
  std::size_t bytes() const { return block_of(text_); }

 private:
  // One behind the other, as they are sent: one place in memory.
  std::string text_;
  std::size_t head_size_ = 0;
};

// The forms that one answer is asked for in. A form that was never asked for is empty.
enum class Form : std::uint8_t { plain, stream, stream_with_usage };

// How often an entry was hit since eviction last looked: 0 to 3 (S3-FIFO). Counted by whoever
// reads, without a lock; a lost count does no harm.
class Heat {
 public:
  Heat() = default;
  Heat(const Heat&) {}  // a copy begins cold
  Heat& operator=(const Heat&) = delete;
  void hit() {
    const std::uint8_t seen = value_.load(std::memory_order_relaxed);
    if (seen < 3) value_.store(static_cast<std::uint8_t>(seen + 1), std::memory_order_relaxed);
  }
  std::uint8_t get() const { return value_.load(std::memory_order_relaxed); }
  void cool() {
    const std::uint8_t seen = value_.load(std::memory_order_relaxed);
    if (seen > 0) value_.store(static_cast<std::uint8_t>(seen - 1), std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint8_t> value_{0};
};

// A vouch that is never good: it may be in Redis, and nobody tells of changes.
inline constexpr redis::Vouch kNobody = std::numeric_limits<redis::Vouch>::max();

// Which of Redis's connections tells when the same answer changes there. An answer that nobody
// vouches for any more may have been changed or purged: Redis is asked before it is given again.
class Vouched {
 public:
  Vouched() = default;
  Vouched(const Vouched& other) : by_(other.by()) {}
  Vouched& operator=(const Vouched&) = delete;
  redis::Vouch by() const { return by_.load(std::memory_order_relaxed); }
  void set(redis::Vouch vouch) { by_.store(vouch, std::memory_order_relaxed); }

 private:
  std::atomic<redis::Vouch> by_{0};  // 0: it is not in Redis
};

// The plain form in content codings, by http::Packing.
struct Packed {
  static constexpr std::size_t kCodings = 3;
  std::array<Prepared, kCodings> by;     // empty: not compressed yet
  std::array<bool, kCodings> useless{};  // it would be no smaller
  std::size_t bytes() const {
    std::size_t bytes = block_of(sizeof *this + 16);
    for (const Prepared& form : by) bytes += form.bytes();
    return bytes;
  }
};

// Immutable once stored, but for its heat and who vouches for it.
struct Entry {
  Key key{};
  std::string scope;  // whose it is; checked again on every read
  std::string model;
  std::string engine;
  std::vector<std::string> tags;
  const Served* served = nullptr;  // what the ledger calls it
  Usage usage;
  int status = 200;
  Time stored{};
  Time expires{};           // not fresh from then on
  Time early{};             // before it: from here on it may be worth another call (XFetch)
  Time kept{};              // of no use to anybody from then on
  Duration made{};          // how long the engine took
  Duration first_token{};   // of it, to a stream's first piece; 0: not known
  std::uint64_t purge = 0;  // the last purge that was known when it was asked for
  bool shared = false;      // read from Redis, not made here
  Prepared plain;
  Prepared stream;
  Prepared stream_with_usage;
  std::shared_ptr<const Packed> packed;  // null: none yet
  mutable Heat heat;
  mutable Vouched vouched;

  std::size_t bytes() const {
    constexpr std::size_t kCounts = 16;  // of the shared pointer, in the same block
    std::size_t bytes = block_of(sizeof *this + kCounts) + block_of(scope) + block_of(model) +
                        block_of(engine) + plain.bytes() + stream.bytes() +
                        stream_with_usage.bytes();
    if (packed) bytes += packed->bytes();
    if (!tags.empty()) bytes += block_of(tags.capacity() * sizeof(std::string));
    for (const std::string& tag : tags) bytes += block_of(tag);
    return bytes;
  }
};

using EntryPtr = std::shared_ptr<const Entry>;

}  // namespace penstock::cache
