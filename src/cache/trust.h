// Whether what lies in memory is still what the other nodes have.
//
// Two vouch for it, both connections to Redis that tell of changes: the one that the answer was
// read or written through, and the one that the purges were read through. While one of them is
// gone, the answer may have been changed or purged elsewhere: Redis is asked before it is given.
// Alone, without a Redis, there is nobody to disagree.
#pragma once

#include <atomic>
#include <limits>
#include <memory>

#include "cache/entry.h"
#include "redis/vouchers.h"

namespace penstock::cache {

class Trust {
 public:
  Trust() : vouchers_(std::make_shared<redis::Vouchers>()) {}
  Trust(const Trust&) = delete;
  Trust& operator=(const Trust&) = delete;

  bool in(const Entry& entry) const {
    const redis::Vouch purges = purges_.load(std::memory_order_acquire);
    if (purges == kAlone) return true;
    const redis::Vouch by = entry.vouched.by();
    return vouchers_->good(purges) && (by == 0 || vouchers_->good(by));
  }

  // Who vouches for the purges; 0: nobody just now.
  void purges(redis::Vouch vouch) { purges_.store(vouch, std::memory_order_release); }
  bool purges_known() const {
    const redis::Vouch purges = purges_.load(std::memory_order_acquire);
    return purges == kAlone || vouchers_->good(purges);
  }
  void alone() { purges(kAlone); }

  const std::shared_ptr<redis::Vouchers>& vouchers() const { return vouchers_; }

 private:
  static constexpr redis::Vouch kAlone = std::numeric_limits<redis::Vouch>::max();
  std::shared_ptr<redis::Vouchers> vouchers_;
  std::atomic<redis::Vouch> purges_{kAlone};
};

}  // namespace penstock::cache
