// Which questions are asked most, so that they can be warmed at the next start.
//
//   a worker ──Pace: all, or one in sixteen──> Popular ──take, now and then──> store/popular.h
//
// Counted are questions whose answers may be kept. There is room for so many; where it is full, one
// that was asked seldom leaves.
#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/uuid.h"
#include "cache/key.h"
#include "store/popular.h"

namespace penstock::gateway {

class Popular {
 public:
  static constexpr std::size_t kMostBody = 64 * 1024;          // of a question that is counted
  static constexpr std::size_t kMostBytes = 64 * 1024 * 1024;  // of all
  static constexpr std::size_t kRoom = 1024;                   // and four times what is told

  // `most`: how many are told.
  explicit Popular(std::size_t most) : most_(most), room_(kRoom + 4 * most) {}
  Popular(const Popular&) = delete;
  Popular& operator=(const Popular&) = delete;

  struct Asked {
    const cache::Key& key;
    std::string_view path;
    std::string_view body;
    std::string_view tenant;
    std::string_view scope;
    std::span<const std::string> tags;
  };
  // Any thread.
  void count(const Asked& asked, std::uint64_t times);

  std::size_t most() const { return most_; }
  // Those that were asked most, with how often since they were taken last; none that was not.
  std::vector<store::PopularQuestion> take();
  // What could not be written down: it is taken again.
  void give_back(const std::vector<store::PopularQuestion>& taken);

  // How many of what is asked a worker counts: all while that is little, one in so many, for so
  // many, where it is more. Belongs to its loop.
  class Pace {
   public:
    static constexpr std::uint32_t kAll = 1000;  // a second
    static constexpr std::uint32_t kOneIn = 16;
    // How often this one counts; mostly 0 or 1.
    std::uint32_t weight(Time now) {
      if (now - begun_ >= 1s) {
        begun_ = now;
        counted_ = 0;
      }
      if (counted_ < kAll) {
        ++counted_;
        return 1;
      }
      return ++passed_ % kOneIn == 0 ? kOneIn : 0;
    }

   private:
    Time begun_{};
    std::uint32_t counted_ = 0;
    std::uint32_t passed_ = 0;
  };

 private:
  struct KeyHash {
    std::size_t operator()(const cache::Key& key) const;
  };
  struct Question {
    std::string path, body, tenant, scope, tags;
    std::uint64_t asked = 0;
    std::uint64_t told = 0;
    std::size_t place = 0;  // in order_
    std::size_t bytes() const {
      return path.size() + body.size() + tenant.size() + scope.size() + tags.size();
    }
  };
  void make_room(std::size_t bytes);
  void erase(const cache::Key& key);

  const std::size_t most_;
  const std::size_t room_;
  std::mutex mutex_;
  std::unordered_map<cache::Key, Question, KeyHash> questions_;
  std::vector<cache::Key> order_;  // of all, any order: from which some are drawn
  std::size_t bytes_ = 0;
  Random random_;
};

}  // namespace penstock::gateway
