#include "engine/vitals.h"

namespace penstock::engine {

bool Streak::see(bool good) {
  in_a_row_ = good == last_ ? in_a_row_ + 1 : 1;
  last_ = good;
  const Verdict before = verdict_;
  if (good && (verdict_ == Verdict::unknown || in_a_row_ >= healthy_after_)) {
    verdict_ = Verdict::healthy;
  } else if (!good && in_a_row_ >= unhealthy_after_) {
    verdict_ = Verdict::unhealthy;
  }
  return verdict_ != before;
}

void Vitals::judge(bool healthy, std::string why) {
  {
    const std::lock_guard lock(mutex_);
    why_ = std::move(why);
  }
  usable_.store(healthy, std::memory_order_relaxed);
}

std::string Vitals::why() const {
  const std::lock_guard lock(mutex_);
  return why_;
}

}  // namespace penstock::engine
