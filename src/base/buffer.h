// Raw bytes with a capacity: what sockets read into. Not zeroed, moved but never copied.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>

namespace penstock {

class Buffer {
 public:
  // Every buffer is followed by this many readable bytes, so that a parser that reads in blocks
  // (simdjson) may look past the end.
  static constexpr std::size_t kPadding = 64;

  Buffer() = default;
  explicit Buffer(std::size_t capacity)
      : bytes_(new char[capacity + kPadding]), capacity_(capacity) {
    std::memset(bytes_.get() + capacity, 0, kPadding);
  }

  Buffer(Buffer&& other) noexcept
      : bytes_(std::move(other.bytes_)), capacity_(std::exchange(other.capacity_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    bytes_ = std::move(other.bytes_);
    capacity_ = std::exchange(other.capacity_, 0);
    return *this;
  }

  char* data() { return bytes_.get(); }
  const char* data() const { return bytes_.get(); }
  std::size_t capacity() const { return capacity_; }

  // A larger (or smaller) one that begins with this one's first `keep` bytes.
  // REQUIRES: keep <= capacity() and keep <= capacity.
  void resize(std::size_t capacity, std::size_t keep) {
    Buffer other(capacity);
    if (keep > 0) std::memcpy(other.data(), data(), keep);
    *this = std::move(other);
  }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t capacity_ = 0;
};

}  // namespace penstock
