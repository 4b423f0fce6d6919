// What is known of one engine's health: by checks that ask it in the background (watch.h), and by
// how its calls end. Shared by all threads.
//
//   checks:  unknown ──unhealthy_after bad──> unhealthy ──healthy_after good──> healthy ...
//   calls:   ejection.consecutive failures in a row ──> suspect ──one answer──> not
//
// An engine is healthy unless either says otherwise. Only checks make it unusable: calls fail for
// reasons that are not the engine's too, and where nothing else is left it goes on being asked.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace penstock::engine {

// Turns single good and bad answers into a verdict. Not shared.
class Streak {
 public:
  Streak(std::uint32_t healthy_after, std::uint32_t unhealthy_after)
      : healthy_after_(healthy_after), unhealthy_after_(unhealthy_after) {}

  // True if the verdict has changed. The first good answer is enough while nothing is known.
  bool see(bool good);
  bool healthy() const { return verdict_ != Verdict::unhealthy; }

 private:
  enum class Verdict : std::uint8_t { unknown, healthy, unhealthy };
  const std::uint32_t healthy_after_, unhealthy_after_;
  Verdict verdict_ = Verdict::unknown;
  bool last_ = true;
  std::uint32_t in_a_row_ = 0;
};

class Vitals {
 public:
  explicit Vitals(std::uint32_t most_failures) : most_failures_(most_failures) {}

  // ---- how a call ended
  void answered() {
    if (failures_.load(std::memory_order_relaxed) != 0) {
      failures_.store(0, std::memory_order_relaxed);
    }
  }
  void failed() { failures_.fetch_add(1, std::memory_order_relaxed); }
  std::uint32_t failures() const { return failures_.load(std::memory_order_relaxed); }

  // ---- what a check saw
  void checked(bool good) {
    (good ? good_checks_ : bad_checks_).fetch_add(1, std::memory_order_relaxed);
  }
  std::uint64_t checks(bool good) const { return good ? good_checks_ : bad_checks_; }
  // The checks' verdict; `why` of a bad one, without a word of where the engine is.
  void judge(bool healthy, std::string why);
  std::string why() const;

  // Whether it may be asked.
  bool usable() const { return usable_.load(std::memory_order_relaxed); }
  bool healthy() const { return usable() && failures() < most_failures_.load(); }

  void set_most_failures(std::uint32_t most) { most_failures_ = most; }

 private:
  std::atomic<std::uint32_t> failures_{0};  // in a row
  std::atomic<std::uint32_t> most_failures_;
  std::atomic<bool> usable_{true};
  std::atomic<std::uint64_t> good_checks_{0}, bad_checks_{0};
  mutable std::mutex mutex_;  // of why_
  std::string why_;
};

using VitalsPtr = std::shared_ptr<Vitals>;

}  // namespace penstock::engine
