#include "net/addresses.h"

#include <gtest/gtest.h>

#include "base/loop_testing.h"

namespace penstock::net {
namespace {

class AddressesTest : public LoopTest {
 protected:
  // Look-ups wait here until a test answers them.
  Addresses::Lookup held() {
    return [this](Loop&, const std::string&, std::uint16_t, Addresses::Found found) {
      asked.push_back(std::move(found));
    };
  }
  std::vector<Addresses::Found> asked;
  const Endpoints one = {{asio::ip::make_address("192.0.2.1"), 80}};
  const Endpoints two = {{asio::ip::make_address("192.0.2.2"), 80},
                         {asio::ip::make_address("192.0.2.1"), 80}};
  const boost::system::error_code away = asio::error::host_not_found_try_again;
};

TEST_F(AddressesTest, AreNotLookedUpWhereTheHostIsOne) {
  Addresses addresses(loop_, "::1", 8000, held());
  run([&]() -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 5s);
    addresses.doubt();
    Result<Endpoints> got = co_await addresses.get(deadline);
    EXPECT_EQ(*got, (Endpoints{{asio::ip::make_address("::1"), 8000}}));
  });
  EXPECT_TRUE(asked.empty());
}

TEST_F(AddressesTest, AreLookedUpOnceForAllWhoWait) {
  Addresses addresses(loop_, "engine.test", 80, held());
  int done = 0;
  const auto asker = [&]() -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 5s);
    Result<Endpoints> got = co_await addresses.get(deadline);
    EXPECT_TRUE(got.ok() && *got == one);
    ++done;
  };
  run([&]() -> Task<void> {
    for (int i = 0; i < 3; ++i) loop_.spawn(asker());
    co_await turns();
    EXPECT_EQ(asked.size(), 1u);
    EXPECT_EQ(done, 0);
    asked[0]({}, one);
    while (done < 3) co_await turns(1);
    co_await asker();  // still fresh
    EXPECT_EQ(asked.size(), 1u);
  });
}

TEST_F(AddressesTest, ALookUpThatHangsHoldsNobodyBeyondTheDeadline) {
  auto addresses = std::make_unique<Addresses>(loop_, "engine.test", 80, held());
  run([&]() -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 20ms);
    Result<Endpoints> got = co_await addresses->get(deadline);
    EXPECT_EQ(got.error().kind, Kind::timeout);
  });
  addresses.reset();
  asked[0]({}, one);  // comes when nobody is there any more
}

TEST_F(AddressesTest, TheLastGoodOnesServeWhileTheNameServerIsAway) {
  Addresses addresses(loop_, "engine.test", 80, held());
  run([&]() -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 5s);
    asio::post(loop_.executor(), [this] { asked[0](away, {}); });
    Result<Endpoints> got = co_await addresses.get(deadline);
    EXPECT_EQ(got.error().kind, Kind::unreachable);
    EXPECT_NE(got.error().detail.find("engine.test"), std::string::npos);

    asio::post(loop_.executor(), [this] { asked[1]({}, one); });
    got = co_await addresses.get(deadline);
    EXPECT_EQ(*got, one);

    addresses.doubt();
    asio::post(loop_.executor(), [this] { asked[2](away, {}); });
    got = co_await addresses.get(deadline);
    EXPECT_EQ(*got, one);

    addresses.doubt();  // and a look-up that hangs
    const Time begun = Clock::now();
    got = co_await addresses.get(deadline);
    EXPECT_EQ(*got, one);
    EXPECT_GE(Clock::now() - begun, Addresses::kPatience);
    EXPECT_EQ(asked.size(), 4u);

    asked[3]({}, two);  // it came at last; what answered before stays in front
    got = co_await addresses.get(deadline);
    EXPECT_EQ(*got, (Endpoints{two[1], two[0]}));
    addresses.good(two[0]);
    got = co_await addresses.get(deadline);
    EXPECT_EQ(*got, two);
  });
}

TEST_F(AddressesTest, AskTheSystem) {
  Addresses addresses(loop_, "localhost", 8000);
  Addresses nobody(loop_, "nobody.invalid", 8000);
  run([&]() -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 30s);
    Result<Endpoints> got = co_await addresses.get(deadline);
    EXPECT_TRUE(got.ok());
    for (const auto& endpoint : *got) {
      EXPECT_TRUE(endpoint.address().is_loopback());
      EXPECT_EQ(endpoint.port(), 8000);
    }
    Result<Endpoints> none = co_await nobody.get(deadline);
    EXPECT_FALSE(none.ok());
  });
}

}  // namespace
}  // namespace penstock::net
