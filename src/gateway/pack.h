// Kept answers as clients take them: compressed once, in the background, and sent as they are.
//
//   a hit ── the packed form is there? ── yes ──> sent as it is
//            no ── small enough? compressed at once, fast ──> sent
//            └───> Packer: compressed densely on a thread of its own ──> put beside the answer
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "cache/memory.h"
#include "http/compress.h"

namespace penstock::gateway {

// What takes no longer than a few hundred microseconds on a worker's loop.
inline constexpr std::size_t kPackedAtOnce = 128 * 1024;

// The form of a kept answer in a content coding, with the head that says so.
cache::Prepared packed_form(const cache::Entry& entry, http::Packing packing,
                            std::string_view packed);

// One a process.
class Packer {
 public:
  // Must outlive it.
  explicit Packer(cache::MemoryCache& cache) : cache_(cache) {}
  Packer(const Packer&) = delete;
  Packer& operator=(const Packer&) = delete;
  ~Packer();

  // From any thread. Not done where too much waits already: a later hit asks again.
  void push(cache::EntryPtr entry, http::Packing packing);

 private:
  using Name = std::pair<cache::Key, http::Packing>;
  struct Order {
    cache::EntryPtr entry;
    http::Packing packing;
  };
  static constexpr std::size_t kMost = 256;

  void run();
  void pack(const Order& order);

  cache::MemoryCache& cache_;
  std::mutex mutex_;  // of everything below
  std::condition_variable more_;
  std::deque<Order> orders_;
  std::set<Name> pending_;
  bool ending_ = false;
  std::thread thread_;  // from the first order on
};

}  // namespace penstock::gateway
