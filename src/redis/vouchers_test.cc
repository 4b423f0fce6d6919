#include "redis/vouchers.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <thread>

namespace penstock::redis {
namespace {

TEST(Vouchers, AVouchIsGoodUntilItIsWithdrawn) {
  const auto vouchers = std::make_unique<Vouchers>();
  EXPECT_FALSE(vouchers->good(0));
  const Vouch one = vouchers->issue();
  const Vouch two = vouchers->issue();
  EXPECT_TRUE(vouchers->good(one));
  vouchers->withdraw(one);
  vouchers->withdraw(one);
  vouchers->withdraw(0);
  EXPECT_FALSE(vouchers->good(one));
  EXPECT_TRUE(vouchers->good(two));
}

TEST(Vouchers, OneThatWasWithdrawnNeverComesBack) {
  const auto vouchers = std::make_unique<Vouchers>();
  std::set<Vouch> seen;
  for (int i = 0; i < 100'000; ++i) {
    const Vouch vouch = vouchers->issue();
    EXPECT_TRUE(seen.insert(vouch).second);
    vouchers->withdraw(vouch);
  }
}

TEST(Vouchers, WhereNoPlaceIsLeftNobodyVouches) {
  const auto vouchers = std::make_unique<Vouchers>();
  Vouch last = 0;
  for (std::size_t i = 0; i < Vouchers::kPlaces; ++i) EXPECT_NE(last = vouchers->issue(), 0u);
  EXPECT_EQ(vouchers->issue(), 0u);
  vouchers->withdraw(last);
  EXPECT_NE(vouchers->issue(), 0u);
}

TEST(Vouchers, ThreadsAgree) {
  const auto vouchers = std::make_unique<Vouchers>();
  std::atomic<Vouch> shown{0};
  std::atomic<bool> done{false};
  std::thread owner([&] {
    for (int i = 0; i < 10'000; ++i) {
      const Vouch vouch = vouchers->issue();
      shown = vouch;
      vouchers->withdraw(vouch);
    }
    done = true;
  });
  Vouch bad = 0;
  while (!done) {
    const Vouch vouch = shown;
    if (!vouchers->good(vouch)) bad = vouch;
    EXPECT_FALSE(bad != 0 && vouchers->good(bad));
  }
  owner.join();
}

}  // namespace
}  // namespace penstock::redis
