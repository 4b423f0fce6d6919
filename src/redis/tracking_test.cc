// What a level above may believe of what it read: until a key changes, or the connection is lost.
#include "redis/tracking.h"

#include <gtest/gtest.h>

#include <atomic>

#include "redis/client.h"
#include "redis/client_testing.h"
#include "redis/fake_server_testing.h"

namespace penstock::redis {
namespace {

class TrackingTest : public ClientTest {
 protected:
  Options tracked(const std::string& url) {
    Options options = options_for(url);
    options.connections = 1;
    options.tracking = true;
    options.vouchers = vouchers_;
    options.changed = [this](std::string_view key, Vouch) { changed_.emplace_back(key); };
    return options;
  }
  // `lines`: commands parted by "; ". The values, parted by commas; the rest is in read_.
  Task<std::string> read(Client& client, std::string lines, std::string key) {
    Result<Read> read = co_await read_lines(client, std::move(lines), std::move(key));
    if (!read) co_return "error: " + read.error().detail;
    std::string text;
    for (const Value& value : read->values) {
      text += (&value == read->values.data() ? "" : ",") + shown(Result<Value>(value));
    }
    read_ = *std::move(read);
    co_return text;
  }
  bool heard(const std::string& key) const {
    return std::find(changed_.begin(), changed_.end(), key) != changed_.end();
  }

  std::shared_ptr<Vouchers> vouchers_ = std::make_shared<Vouchers>();
  std::vector<std::string> changed_;
  Read read_;
};

TEST_F(TrackingTest, AChangeByAnotherIsToldOnce) {
  RedisServer server;
  const auto client = client_for(tracked(server.url()));
  EXPECT_EQ(server.ask({"SET", "k", "one"}).text, "OK");
  run([&]() -> Task<void> {
    std::string got = co_await read(*client, "GET k", "k");
    EXPECT_EQ(got, "one");
    EXPECT_TRUE(vouchers_->good(read_.vouch));
    EXPECT_FALSE(read_.changed);
    EXPECT_EQ(server.ask({"SET", "other", "1"}).text, "OK");
    EXPECT_EQ(server.ask({"SET", "k", "two"}).text, "OK");
    const bool told = co_await until([&] { return heard("k"); });
    EXPECT_TRUE(told);
    EXPECT_TRUE(vouchers_->good(read_.vouch));
    got = co_await read(*client, "GET k", "k");
    EXPECT_EQ(got, "two");
    EXPECT_FALSE(read_.changed);
  });
  EXPECT_EQ(changed_, std::vector<std::string>{"k"});
}

TEST_F(TrackingTest, WhatExpiresIsToldToo) {
  RedisServer server;
  const auto client = client_for(tracked(server.url()));
  EXPECT_EQ(server.ask({"SET", "k", "one", "PX", "50"}).text, "OK");
  run([&]() -> Task<void> {
    const std::string got = co_await read(*client, "GET k", "k");
    EXPECT_EQ(got, "one");
    const bool told = co_await until([&] { return heard("k"); });
    EXPECT_TRUE(told);
  });
}

TEST_F(TrackingTest, AFlushTakesBackWhatWasVouchedFor) {
  RedisServer server;
  const auto client = client_for(tracked(server.url()));
  run([&]() -> Task<void> {
    std::string got = co_await read(*client, "GET k", "k");
    EXPECT_EQ(got, "null");
    const Vouch before = read_.vouch;
    EXPECT_EQ(server.ask({"FLUSHALL"}).text, "OK");
    const bool told = co_await until([&] { return heard(""); });
    EXPECT_TRUE(told);
    EXPECT_FALSE(vouchers_->good(before));
    got = co_await read(*client, "GET k", "k");
    EXPECT_TRUE(vouchers_->good(read_.vouch));
    EXPECT_EQ(client->connections(), 1u);
  });
}

TEST_F(TrackingTest, ALostConnectionVouchesForNothing) {
  RedisServer server;
  const auto client = client_for(tracked(server.url()));
  run([&]() -> Task<void> {
    std::string got = co_await read(*client, "GET k", "k");
    const Vouch before = read_.vouch;
    EXPECT_TRUE(vouchers_->good(before));
    const Time killed = Clock::now();
    EXPECT_EQ(server.ask({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"}).integer, 1);
    const bool gone = co_await until([&] { return !vouchers_->good(before); });
    EXPECT_TRUE(gone);
    const bool back = co_await until([&] { return client->connections() == 1; });
    EXPECT_TRUE(back);
    EXPECT_LT(Clock::now() - killed, 2s);
    EXPECT_FALSE(vouchers_->good(before));
    got = co_await read(*client, "GET k", "k");
    EXPECT_TRUE(vouchers_->good(read_.vouch));
  });
}

TEST_F(TrackingTest, ALossWhileAFetchIsUnderWayIsItsError) {
  RedisServer server;
  const auto client = client_for(tracked(server.url()));
  std::string got;
  Vouch before = 0;
  bool good = true;
  const auto fetch = [&]() -> Task<void> {
    const std::string answer = co_await read(*client, "GET k; BLPOP none 10", "k");
    good = vouchers_->good(before);
    got = answer;
  };
  run([&]() -> Task<void> {
    const std::string none = co_await read(*client, "GET k", "k");
    EXPECT_EQ(none, "null");
    before = read_.vouch;
    loop_.spawn(fetch());
    const bool blocked = co_await until([&] {
      return server.ask({"INFO", "clients"}).text.find("blocked_clients:1") != std::string::npos;
    });
    EXPECT_TRUE(blocked);
    EXPECT_EQ(server.ask({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"}).integer, 1);
    const bool ended = co_await until([&] { return !got.empty(); });
    EXPECT_TRUE(ended);
    EXPECT_FALSE(good);
    EXPECT_EQ(got, "error: Redis closed the connection");
  });
}

TEST_F(TrackingTest, AChangeWhileAFetchIsUnderWayIsSeenByIt) {
  RedisServer server;
  const auto client = client_for(tracked(server.url()));
  std::string got;
  const auto fetch = [&]() -> Task<void> {
    const std::string answer = co_await read(*client, "GET k; BLPOP gate 10", "k");
    got = answer;
  };
  EXPECT_EQ(server.ask({"SET", "k", "one"}).text, "OK");
  run([&]() -> Task<void> {
    loop_.spawn(fetch());
    const bool blocked = co_await until([&] {
      return server.ask({"INFO", "clients"}).text.find("blocked_clients:1") != std::string::npos;
    });
    EXPECT_TRUE(blocked);
    EXPECT_EQ(server.ask({"SET", "k", "two"}).text, "OK");
    EXPECT_EQ(server.ask({"RPUSH", "gate", "open"}).integer, 1);
    const bool ended = co_await until([&] { return !got.empty(); });
    EXPECT_TRUE(ended);
    EXPECT_EQ(got, "one,gate open");
    EXPECT_TRUE(read_.changed);
    EXPECT_TRUE(vouchers_->good(read_.vouch));
  });
}

// Both are read from the socket and taken in before the one who waits goes on.
TEST_F(TrackingTest, AnInvalidationInTheAnswersOwnSegmentIsSeen) {
  const std::string answer = "$3\r\nold\r\n";
  const std::string push = ">2\r\n$10\r\ninvalidate\r\n";
  std::atomic<int> gets{0};
  FakeServer server([&](const FakeServer::Line& line) -> std::optional<std::string> {
    if (line[0] != "GET") return std::nullopt;
    switch (gets++) {
      case 0: return answer + push + "*2\r\n$1\r\nx\r\n$1\r\nk\r\n";
      case 1: return answer + push + "*1\r\n$1\r\nx\r\n";
      case 2: return answer + push + "_\r\n";
      default: return push + "*1\r\n$1\r\nk\r\n" + answer;  // of an earlier read
    }
  });
  const auto client = client_for(tracked(server.url()));
  run([&]() -> Task<void> {
    const auto fetch = [&]() -> Task<bool> {
      const std::string got = co_await read(*client, "GET k", "k");
      EXPECT_EQ(got, "old");
      co_return read_.changed;
    };
    const bool its_own = co_await fetch();
    EXPECT_TRUE(its_own);
    EXPECT_TRUE(vouchers_->good(read_.vouch));
    const bool anothers = co_await fetch();
    EXPECT_FALSE(anothers);
    const bool all = co_await fetch();
    EXPECT_TRUE(all);
    EXPECT_FALSE(vouchers_->good(read_.vouch));
    const bool before = co_await fetch();
    EXPECT_TRUE(before);
  });
  EXPECT_EQ(changed_, (std::vector<std::string>{"x", "k", "x", "", "k"}));
}

// ---- as a cache writes: SET and GETRANGE in one go ----------------------------------------------

TEST_F(TrackingTest, WhatWasWrittenByOneselfIsTrackedByReadingItsBegin) {
  RedisServer server;
  const auto client = client_for(tracked(server.url()));
  run([&]() -> Task<void> {
    std::string got = co_await read(*client, "GET k", "k");
    EXPECT_EQ(got, "null");
    got = co_await read(*client, "SET k mine-and-more-of-it PX 60000; GETRANGE k 0 15", "k");
    EXPECT_EQ(got, "OK,mine-and-more-of");
    EXPECT_FALSE(read_.changed);
    got = co_await read(*client, "SET k again-mine PX 60000; GETRANGE k 0 15", "k");
    EXPECT_FALSE(read_.changed);
    co_await turns();
    EXPECT_TRUE(changed_.empty());
    EXPECT_EQ(server.ask({"SET", "k", "theirs"}).text, "OK");
    const bool told = co_await until([&] { return heard("k"); });
    EXPECT_TRUE(told);
  });
}

// Why the GETRANGE is there.
TEST_F(TrackingTest, RedisForgetsAKeyThatItsReaderWrites) {
  RedisServer server;
  const auto client = client_for(tracked(server.url()));
  run([&]() -> Task<void> {
    std::string got = co_await read(*client, "GET k", "k");
    got = co_await read(*client, "SET k mine", "k");
    EXPECT_EQ(server.ask({"SET", "k", "theirs"}).text, "OK");
    got = co_await read(*client, "GET k", "k");
    EXPECT_EQ(got, "theirs");
    EXPECT_FALSE(heard("k"));
  });
}

TEST_F(TrackingTest, AnothersValueBetweenTheTwoIsSeen) {
  RedisServer server;
  const auto client = client_for(tracked(server.url()));
  std::string got;
  const auto write = [&]() -> Task<void> {
    const std::string answer =
        co_await read(*client, "SET k mine PX 60000; BLPOP gate 10; GETRANGE k 0 15", "k");
    got = answer;
  };
  run([&]() -> Task<void> {
    loop_.spawn(write());
    const bool blocked = co_await until([&] {
      return server.ask({"INFO", "clients"}).text.find("blocked_clients:1") != std::string::npos;
    });
    EXPECT_TRUE(blocked);
    EXPECT_EQ(server.ask({"SET", "k", "theirs"}).text, "OK");
    EXPECT_EQ(server.ask({"RPUSH", "gate", "open"}).integer, 1);
    const bool ended = co_await until([&] { return !got.empty(); });
    EXPECT_TRUE(ended);
    EXPECT_EQ(got, "OK,gate open,theirs");
    EXPECT_EQ(server.ask({"SET", "k", "again"}).text, "OK");
    const bool told = co_await until([&] { return heard("k"); });
    EXPECT_TRUE(told);
  });
}

TEST_F(TrackingTest, AFullServerWritesNothingAndIsReadOn) {
  RedisServer server({"--maxmemory-policy", "noeviction"});
  const auto client = client_for(tracked(server.url()));
  EXPECT_EQ(server.ask({"SET", "k", "kept"}).text, "OK");
  EXPECT_EQ(server.ask({"CONFIG", "SET", "maxmemory", "1"}).text, "OK");
  run([&]() -> Task<void> {
    for (int i = 0; i < 10; ++i) {
      std::string got = co_await read(*client, "SET k new; GETRANGE k 0 15", "k");
      EXPECT_EQ(got.find("error: Redis: OOM"), 0u) << got;
      got = co_await read(*client, "GET k", "k");
      EXPECT_EQ(got, "kept");
    }
    EXPECT_TRUE(client->available());
  });
}

// ---- connections -------------------------------------------------------------------------------

TEST_F(TrackingTest, AnIdleLinkThatIsDeadIsNoticed) {
  RedisServer server;
  const auto client = client_for(tracked(server.url()));
  run([&]() -> Task<void> {
    const std::string got = co_await read(*client, "GET k", "k");
    EXPECT_EQ(got, "null");
    server.stop();
    const Time stopped = Clock::now();
    const bool gone = co_await until([&] { return !vouchers_->good(read_.vouch); });
    EXPECT_TRUE(gone);
    EXPECT_LT(Clock::now() - stopped, 4s);
    server.go_on();
    const bool back = co_await until_answered(*client, "PING", "PONG");
    EXPECT_TRUE(back);
  });
  EXPECT_EQ(errors("timeout"), 1);
}

TEST_F(TrackingTest, AnIdleLinkThatLivesStays) {
  RedisServer server;
  const auto client = client_for(tracked(server.url()));
  run([&]() -> Task<void> {
    const std::string got = co_await read(*client, "GET k", "k");
    EXPECT_EQ(got, "null");
    const Vouch before = read_.vouch;
    const auto pings = [&] {
      const std::string stats = server.ask({"INFO", "commandstats"}).text;
      const std::size_t at = stats.find("cmdstat_ping:calls=");
      return at == std::string::npos ? 0 : std::stoi(stats.substr(at + 19));
    };
    const int begun = pings();
    const bool pinged = co_await until([&] { return pings() == begun + 2; });
    EXPECT_TRUE(pinged);
    EXPECT_TRUE(vouchers_->good(before));
  });
}

TEST_F(TrackingTest, ACommandBehindAPingDoesNotHaveThePingsTime) {
  RedisServer server;
  Options options = tracked(server.url());
  options.timeout = 50ms;
  const auto client = client_for(options);
  run([&]() -> Task<void> {
    const bool good = co_await until_answered(*client, "PING", "PONG");
    EXPECT_TRUE(good);
    server.stop();
    // Beside the pings, one a second.
    for (int i = 0; i < 30 && client->connections() == 1; ++i) {
      const Time begun = Clock::now();
      const std::string late = co_await ask(*client, "GET k");
      EXPECT_EQ(late.find("error: "), 0u) << late;
      EXPECT_LT(Clock::now() - begun, 400ms);
    }
    server.go_on();
  });
}

TEST_F(TrackingTest, OneThatMayNotTrackIsToldTheCure) {
  RedisServer server({"--user", "gateway", "on", ">secret", "~*", "+@all", "-client|tracking"});
  const auto client = client_for(tracked(server.url("redis://", "gateway:secret@")));
  run([&]() -> Task<void> {
    const bool told = co_await until([&] { return !client->trouble().empty(); });
    EXPECT_TRUE(told);
    EXPECT_EQ(client->connections(), 0u);
  });
  EXPECT_NE(client->trouble().find("+client|tracking"), std::string::npos) << client->trouble();
  EXPECT_NE(client->trouble().find("cache.redis.tracking: false"), std::string::npos);
}

TEST_F(TrackingTest, WithoutItNobodyVouches) {
  RedisServer server;
  const auto client = client_for(options_for(server.url()));
  EXPECT_EQ(server.ask({"SET", "k", "one"}).text, "OK");
  run([&]() -> Task<void> {
    const std::string got = co_await read(*client, "GET k; INCR k; GET none", "k");
    EXPECT_EQ(got, "one,ERR value is not an integer or out of range,null");
    EXPECT_EQ(read_.vouch, 0u);
  });
  Options options = options_for(server.url());
  options.tracking = true;
  EXPECT_FALSE(Client::make(loop_, options, Metrics(), log_).ok());
}

TEST_F(TrackingTest, TheEndOfTheClientTakesItsVouchesBack) {
  RedisServer server;
  auto client = client_for(tracked(server.url()));
  run([&]() -> Task<void> {
    const std::string got = co_await read(*client, "GET k", "k");
    EXPECT_TRUE(vouchers_->good(read_.vouch));
    client.reset();
    EXPECT_FALSE(vouchers_->good(read_.vouch));
  });
}

}  // namespace
}  // namespace penstock::redis
