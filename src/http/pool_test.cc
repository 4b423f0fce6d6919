#include "http/pool.h"

#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/resource.h>

#include "http/client_testing.h"
#include "net/addresses.h"

namespace penstock::http {
namespace {

using net::Addresses;
using net::Endpoints;

class PoolTest : public LoopTest {
 protected:
  PoolOptions options(std::uint16_t port, const std::string& host = "127.0.0.1") {
    PoolOptions made;
    made.origin = {false, host, port, ""};
    made.max = 2;
    return made;
  }

  // A look-up that gives these, once each time `answer` is called.
  Addresses::Lookup lookup_of(Endpoints endpoints) {
    return [endpoints](Loop& loop, const std::string&, std::uint16_t, Addresses::Found found) {
      asio::post(loop.executor(), [=] { found({}, endpoints); });
    };
  }

  static asio::ip::tcp::endpoint at(std::uint16_t port) {
    return {asio::ip::address_v4::loopback(), port};
  }
};

TEST_F(PoolTest, ConnectsWithoutDelay) {
  FakeEngine engine([](Wire& wire) { wire.ended(); });
  Pool pool(loop_, options(engine.port()), PoolMetrics());
  run([&]() -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 5s);
    Result<Pool::Lease> lease = co_await pool.take(deadline);
    EXPECT_TRUE(lease.ok());
    if (!lease) co_return;
    int value = 0;
    socklen_t size = sizeof value;
    ::getsockopt((*lease)->handle(), IPPROTO_TCP, TCP_NODELAY, &value, &size);
    EXPECT_NE(value, 0);
    value = 0;
    ::getsockopt((*lease)->handle(), SOL_SOCKET, SO_KEEPALIVE, &value, &size);
    EXPECT_NE(value, 0);
  });
}

TEST_F(PoolTest, WaitsForAFileDescriptorInsteadOfGivingUp) {
  FakeEngine engine([](Wire& wire) { wire.ended(); });
  Pool pool(loop_, options(engine.port()), PoolMetrics());
  run([&]() -> Task<void> {
    rlimit usual{};
    ::getrlimit(RLIMIT_NOFILE, &usual);
    const int next = ::dup(0);  // the lowest that is free
    ::close(next);
    const rlimit none{static_cast<rlim_t>(next), usual.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
    SteadyTimer later(loop_.executor(), 50ms);
    later.async_wait([usual](boost::system::error_code) { ::setrlimit(RLIMIT_NOFILE, &usual); });
    Deadline deadline(loop_, Clock::now() + 5s);
    Result<Pool::Lease> lease = co_await pool.take(deadline);
    EXPECT_TRUE(lease.ok());

    PoolOptions impatient = options(engine.port());
    impatient.connect_timeout = 100ms;
    Pool other(loop_, impatient, PoolMetrics());
    ::setrlimit(RLIMIT_NOFILE, &none);
    Result<Pool::Lease> another = co_await other.take(deadline);
    ::setrlimit(RLIMIT_NOFILE, &usual);
    EXPECT_FALSE(another.ok());
    EXPECT_EQ(another.error().kind, Kind::unreachable);
  });
}

TEST_F(PoolTest, GivesTheLatestUsedAgain) {
  FakeEngine engine([](Wire& wire) { wire.ended(); });
  Pool pool(loop_, options(engine.port()), PoolMetrics());
  run([&]() -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 5s);
    Result<Pool::Lease> first = co_await pool.take(deadline);
    Result<Pool::Lease> second = co_await pool.take(deadline);
    EXPECT_TRUE(first.ok() && second.ok());
    const int one = (*first)->handle();
    first->keep();
    second->keep();
    EXPECT_EQ(pool.idle(), 2u);
    Result<Pool::Lease> third = co_await pool.take(deadline);
    EXPECT_TRUE(third->reused());
    EXPECT_NE((*third)->handle(), one);
    Result<Pool::Lease> fourth = co_await pool.take(deadline);
    EXPECT_EQ((*fourth)->handle(), one);
  });
  EXPECT_TRUE(engine.reached(2));
  EXPECT_EQ(pool.open(), 0u);
}

TEST_F(PoolTest, AFreshConnectionTakesAnIdleOnesPlace) {
  FakeEngine engine([](Wire& wire) { wire.ended(); });
  PoolOptions made = options(engine.port());
  made.max = 1;
  Pool pool(loop_, made, PoolMetrics());
  run([&]() -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 5s);
    Result<Pool::Lease> first = co_await pool.take(deadline);
    first->keep();
    Result<Pool::Lease> second = co_await pool.take(deadline, true);
    EXPECT_TRUE(second.ok() && !second->reused());
    EXPECT_EQ(pool.open(), 1u);
  });
  EXPECT_TRUE(engine.reached(2));
}

TEST_F(PoolTest, ServesWhoWaitsInTheOrderTheyCame) {
  FakeEngine engine([](Wire& wire) { wire.ended(); });
  Pool pool(loop_, options(engine.port()), PoolMetrics());
  std::vector<int> order;
  std::vector<std::optional<Pool::Lease>> held(7);
  const auto taker = [&](int number) -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 5s);
    Result<Pool::Lease> lease = co_await pool.take(deadline);
    EXPECT_TRUE(lease.ok());
    order.push_back(number);
    if (lease) held[static_cast<std::size_t>(number)].emplace(*std::move(lease));
  };
  run([&]() -> Task<void> {
    co_await taker(0);
    co_await taker(1);
    for (int i = 2; i < 6; ++i) loop_.spawn(taker(i));
    co_await turns();
    EXPECT_EQ(order.size(), 2u);
    held[0]->keep();
    held[1]->keep();        // two free at once: two are served
    loop_.spawn(taker(6));  // comes late: goes behind
    for (int i = 2; i < 6; ++i) {
      while (!held[static_cast<std::size_t>(i)]) co_await turns(1);
      if (i != 5) {
        held[static_cast<std::size_t>(i)]->keep();
      } else {
        held[static_cast<std::size_t>(i)].reset();
      }
    }
    while (!held[6]) co_await turns(1);
    EXPECT_LE(pool.open(), 2u);
    held.clear();
  });
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6}));
}

TEST_F(PoolTest, WhoWaitsTooLongIsRefusedAndWhoLeftIsForgotten) {
  FakeEngine engine([](Wire& wire) { wire.ended(); });
  PoolOptions made = options(engine.port());
  made.max = 1;
  made.line = 2;
  Pool pool(loop_, made, PoolMetrics());
  std::vector<Kind> kinds;
  const auto taker = [&](Deadline& deadline) -> Task<void> {
    Result<Pool::Lease> lease = co_await pool.take(deadline);
    EXPECT_FALSE(lease.ok());
    if (!lease) kinds.push_back(lease.error().kind);
  };
  Deadline late(loop_, Clock::now() + 30ms);
  Deadline left(loop_, Time::max());
  Deadline third(loop_, Time::max());
  run([&]() -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 5s);
    Result<Pool::Lease> lease = co_await pool.take(deadline);
    loop_.spawn(taker(left));
    loop_.spawn(taker(late));
    co_await turns();
    co_await taker(third);  // the line is full
    left.call_off(Why::left);
    while (kinds.size() < 3) co_await turns(1);
  });
  EXPECT_EQ(kinds, (std::vector<Kind>{Kind::exhausted, Kind::cancelled, Kind::exhausted}));
  EXPECT_EQ(pool.open(), 0u);
}

TEST_F(PoolTest, ClosesWhatIdlesTooLong) {
  std::promise<bool> seen;
  FakeEngine engine([&](Wire& wire) {
    seen.set_value(wire.ended());
    asio::post(loop_.executor(), [this] { loop_.stop(); });
  });
  PoolOptions made = options(engine.port());
  made.idle = 20ms;
  Pool pool(loop_, made, PoolMetrics());
  Time kept;
  run([&]() -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 5s);
    Result<Pool::Lease> lease = co_await pool.take(deadline);
    kept = Clock::now();
    lease->keep();
  });
  EXPECT_EQ(pool.idle(), 1u);
  loop_.io().restart();
  loop_.run();
  EXPECT_TRUE(seen.get_future().get());
  EXPECT_GE(Clock::now() - kept, 20ms);
  EXPECT_EQ(pool.open(), 0u);
}

TEST_F(PoolTest, SaysThatNobodyListens) {
  std::uint16_t port = 0;
  {
    FakeEngine engine([](Wire&) {});
    port = engine.port();
  }
  Pool pool(loop_, options(port), PoolMetrics());
  run([&]() -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 5s);
    Result<Pool::Lease> lease = co_await pool.take(deadline);
    EXPECT_FALSE(lease.ok());
    EXPECT_EQ(lease.error().kind, Kind::unreachable);
    EXPECT_EQ(lease.error().source, Source::engine);
    EXPECT_TRUE(lease.error().retry);
    EXPECT_NE(lease.error().detail.find("refused"), std::string::npos) << lease.error().detail;
  });
  EXPECT_EQ(pool.open(), 0u);
}

TEST_F(PoolTest, GivesUpAConnectionThatDoesNotComeInTime) {
  const Blackhole hole;
  PoolOptions made = options(hole.port());
  made.connect_timeout = 50ms;
  Pool pool(loop_, made, PoolMetrics());
  run([&]() -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 5s);
    const Time begun = Clock::now();
    Result<Pool::Lease> lease = co_await pool.take(deadline);
    EXPECT_FALSE(lease.ok());
    EXPECT_EQ(lease.error().kind, Kind::unreachable);
    EXPECT_TRUE(lease.error().retry);
    EXPECT_GE(Clock::now() - begun, 50ms);

    Deadline shorter(loop_, Clock::now() + 20ms);
    Result<Pool::Lease> again = co_await pool.take(shorter);
    EXPECT_EQ(again.error().kind, Kind::timeout);

    Deadline left(loop_, Time::max());
    asio::post(loop_.executor(), [&] { left.call_off(Why::left); });
    Result<Pool::Lease> third = co_await pool.take(left);
    EXPECT_EQ(third.error().kind, Kind::cancelled);
  });
  EXPECT_EQ(pool.open(), 0u);
}

TEST_F(PoolTest, TriesTheNextAddressAndRemembersWhichAnswered) {
  const Blackhole hole;
  FakeEngine engine([](Wire& wire) { wire.ended(); });
  PoolOptions made = options(80, "engine.test");
  made.connect_timeout = 200ms;
  Pool pool(loop_, made, PoolMetrics(), lookup_of({at(hole.port()), at(engine.port())}));
  run([&]() -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 5s);
    Time begun = Clock::now();
    Result<Pool::Lease> first = co_await pool.take(deadline);
    EXPECT_TRUE(first.ok());
    EXPECT_GE(Clock::now() - begun, 100ms);  // the first address's share
    begun = Clock::now();
    Result<Pool::Lease> second = co_await pool.take(deadline);
    EXPECT_TRUE(second.ok());
    EXPECT_LT(Clock::now() - begun, 100ms);
  });
}

TEST_F(PoolTest, CountsItsConnections) {
  observe::Registry registry(1);
  FakeEngine engine([](Wire& wire) { wire.ended(); });
  Pool pool(loop_, options(engine.port()), PoolMetrics(registry.shard(0), "a"));
  const auto count = [&](std::string state) {
    return registry.sum("penstock_engine_connections", {{"state", std::move(state)}});
  };
  run([&]() -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 5s);
    Result<Pool::Lease> lease = co_await pool.take(deadline);
    EXPECT_EQ(count("open"), 1);
    EXPECT_EQ(count("idle"), 0);
    lease->keep();
    EXPECT_EQ(count("idle"), 1);
  });
  std::string text;
  registry.render(text, observe::Format::text);
  EXPECT_NE(text.find("penstock_engine_connect_duration_seconds_count{engine=\"a\"} 1"),
            std::string::npos)
      << text;
}

TEST_F(PoolTest, KeepsItsBuffersAndOnlyThose) {
  Pool pool(loop_, options(80), PoolMetrics());
  Buffer buffer = pool.take_buffer();
  const char* const where = buffer.data();
  EXPECT_EQ(buffer.capacity(), Pool::kBufferBytes);
  pool.give_buffer(std::move(buffer));
  pool.give_buffer(std::move(buffer));  // was moved from: there is none
  pool.give_buffer(Buffer(64));
  EXPECT_EQ(pool.take_buffer().data(), where);
  EXPECT_NE(pool.take_buffer().data(), nullptr);
}

}  // namespace
}  // namespace penstock::http
