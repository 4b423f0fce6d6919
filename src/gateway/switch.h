// What an operator turns off and on while the program runs, and what is said once.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace penstock::gateway {

// A rollback switch: the admin API's word wins over the settings'. Any thread.
class Switch {
 public:
  bool on(bool configured) const {
    const int forced = forced_.load(std::memory_order_relaxed);
    return forced == kOpen ? configured : forced == 1;
  }
  // Nothing: as it is configured.
  void force(std::optional<bool> on) {
    forced_.store(on ? (*on ? 1 : 0) : kOpen, std::memory_order_relaxed);
  }
  std::optional<bool> forced() const {
    const int forced = forced_.load(std::memory_order_relaxed);
    return forced == kOpen ? std::nullopt : std::optional(forced == 1);
  }

 private:
  static constexpr int kOpen = -1;
  std::atomic<int> forced_{kOpen};
};

// Whether something is said for the first time. Names must be few: configured ones.
class Once {
 public:
  bool first(std::string_view what, std::string_view why) {
    const std::lock_guard lock(mutex_);
    const auto known = said_.find(what);
    if (known == said_.end()) {
      said_[std::string(what)].emplace(why);
      return true;
    }
    if (known->second.contains(why)) return false;
    return known->second.emplace(why).second;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::set<std::string, std::less<>>, std::less<>> said_;
};

}  // namespace penstock::gateway
