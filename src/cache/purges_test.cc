// What is purged, and what is not, by numbers; the log in a real Redis.
#include "cache/purges.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <thread>

#include "redis/server_testing.h"

namespace penstock::cache {
namespace {

const std::vector<std::string> kNoTags;

Subject subject(const Key& key, std::string_view scope, std::string_view model,
                const std::vector<std::string>& tags = kNoTags) {
  return {key, scope, model, tags};
}

TEST(PurgeBook, CoversWhatIsOlderAndMeant) {
  const Key key{1, 2, 3};
  const std::vector<std::string> tags = {"prices", "de"};
  PurgeBook book;
  EXPECT_FALSE(book.covers(subject(key, "t:acme", "m", tags), 0));
  book.add({PurgeOf::tag, "prices"}, 10);
  EXPECT_TRUE(book.covers(subject(key, "t:acme", "m", tags), 9));
  EXPECT_FALSE(book.covers(subject(key, "t:acme", "m", tags), 10));
  EXPECT_FALSE(book.covers(subject(key, "t:acme", "m"), 9));
  book.add({PurgeOf::model, "m"}, 20);
  EXPECT_TRUE(book.covers(subject(key, "", "m"), 19));
  EXPECT_FALSE(book.covers(subject(key, "", "n"), 19));
  book.add({PurgeOf::entry, hex(key)}, 30);
  EXPECT_TRUE(book.covers(subject(key, "", "n"), 29));
  EXPECT_FALSE(book.covers(subject(Key{}, "", "n"), 29));
  book.add({PurgeOf::all, ""}, 40);
  EXPECT_TRUE(book.covers(subject(Key{}, "", "n"), 39));
  EXPECT_EQ(book.known(), 40u);
}

TEST(PurgeBook, TellsTenantsAndKeysApart) {
  const Key key{};
  PurgeBook book;
  book.add({PurgeOf::tenant, "acme"}, 10);
  EXPECT_TRUE(book.covers(subject(key, "t:acme", "m"), 1));
  EXPECT_TRUE(book.covers(subject(key, "k:acme:key_1", "m"), 1));
  EXPECT_FALSE(book.covers(subject(key, "t:acme2", "m"), 1));
  EXPECT_FALSE(book.covers(subject(key, "k:acm:e", "m"), 1));
  EXPECT_FALSE(book.covers(subject(key, "", "m"), 1));
  PurgeBook keys;
  keys.add({PurgeOf::key, "key_1"}, 10);
  EXPECT_TRUE(keys.covers(subject(key, "k:acme:key_1", "m"), 1));
  EXPECT_FALSE(keys.covers(subject(key, "k:acme:akey_1", "m"), 1));
  EXPECT_FALSE(keys.covers(subject(key, "t:key_1", "m"), 1));
}

TEST(PurgeBook, OfThingsThatItKnowsNoMoreItIsOnTheSafeSide) {
  const Key key{};
  PurgeBook book;
  for (std::uint64_t i = 1; i <= PurgeBook::kMost + 5; ++i) {
    book.add({PurgeOf::tag, std::to_string(i)}, i);
  }
  EXPECT_TRUE(book.covers(subject(key, "", "m"), 4));
  EXPECT_FALSE(book.covers(subject(key, "", "m"), 5));
  book.forget_before(100);
  EXPECT_TRUE(book.covers(subject(key, "", "m"), 99));
  EXPECT_FALSE(book.covers(subject(key, "", "m"), 100));
}

TEST(PurgeBook, APurgeThatIsMadeAgainMovesUp) {
  const Key key{};
  const std::vector<std::string> tags = {"a"};
  PurgeBook book;
  book.add({PurgeOf::tag, "a"}, 10);
  book.add({PurgeOf::tag, "b"}, 20);
  book.add({PurgeOf::tag, "a"}, 30);
  book.add({PurgeOf::tag, "a"}, 15);  // heard late
  EXPECT_TRUE(book.covers(subject(key, "", "m", tags), 29));
  EXPECT_FALSE(book.covers(subject(key, "", "m", tags), 30));
}

// A node: a loop on a thread of its own, with memory, and a tracked client.
class Node {
 public:
  explicit Node(const std::string& url)
      : log_(observe::LogOptions{observe::Level::error}),
        memory_({.trust = &trust_}),
        purges_(loop_, book_, memory_, trust_, log_) {
    redis::Options options;
    options.urls = {url};
    options.timeout = 5s;
    options.connections = 2;
    options.tracking = true;
    options.vouchers = trust_.vouchers();
    options.changed = [this](std::string_view key, redis::Vouch) { purges_.changed(key); };
    client_ = *redis::Client::make(loop_, options, redis::Metrics(), log_);
    trust_.purges(0);
    thread_ = std::thread([this] {
      loop_.spawn(keep());
      loop_.run();
    });
  }
  ~Node() {
    asio::post(loop_.executor(), [this] { until_.call_off(Why::draining); });
    thread_.join();
  }

  Purged purge(Purge purge) {
    Loop loop;
    Purged purged;
    const auto ask = [](Purges& purges, Purge what, Loop& on, Purged& to) -> Task<void> {
      Deadline deadline(on, Clock::now() + 10s);
      Result<Purged> done = co_await purges.purge(std::move(what), deadline);
      EXPECT_TRUE(done) << (done ? "" : done.error().detail);
      if (done) to = *std::move(done);
      on.stop();
    };
    loop.spawn(ask(purges_, std::move(purge), loop, purged));
    loop.run();
    return purged;
  }
  const PurgeBook& book() const { return book_; }
  bool knows() const { return trust_.purges_known(); }

 private:
  Task<void> keep() {
    co_await purges_.keep(*client_, until_);
    client_.reset();
    asio::post(loop_.executor(), [this] { loop_.stop(); });
  }

  observe::Log log_;
  Trust trust_;
  PurgeBook book_;
  MemoryCache memory_;
  Loop loop_;
  Deadline until_{loop_, Time::max()};
  Purges purges_;
  std::unique_ptr<redis::Client> client_;
  std::thread thread_;
};

// Redis is tried again up to some seconds after it is back.
bool soon(const std::function<bool()>& done) {
  const Time end = Clock::now() + 40s;
  while (!done()) {
    if (Clock::now() > end) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

TEST(Purges, OneNodesPurgeIsAllNodes) {
  redis::RedisServer server;
  Node a(server.url()), b(server.url());
  const Key key{};
  ASSERT_TRUE(soon([&] { return a.knows() && b.knows(); }));
  const std::uint64_t before = b.book().known();
  EXPECT_TRUE(a.purge({PurgeOf::model, "m"}).told);
  ASSERT_TRUE(soon([&] { return b.book().known() > before && b.knows(); }));
  EXPECT_TRUE(b.book().covers(subject(key, "", "m"), before));
  EXPECT_EQ(a.book().known(), b.book().known());
  EXPECT_TRUE(b.purge({PurgeOf::tag, "x"}).told);
  ASSERT_TRUE(soon([&] { return a.book().known() == b.book().known(); }));
}

TEST(Purges, NodesThatPurgeAtOnceHearOfEachOther) {
  constexpr int kThreads = 4, kEach = 50;
  redis::RedisServer server;
  Node a(server.url()), b(server.url());
  ASSERT_TRUE(soon([&] { return a.knows() && b.knows(); }));
  const auto name = [](int thread, int i) { return fmt::format("{} {}", thread, i); };
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      Node& node = thread % 2 == 0 ? a : b;
      for (int i = 0; i < kEach; ++i) node.purge({PurgeOf::model, name(thread, i)});
    });
  }
  for (std::thread& thread : threads) thread.join();
  const Key key{};
  const auto all_known = [&](const Node& node) {
    for (int thread = 0; thread < kThreads; ++thread) {
      for (int i = 0; i < kEach; ++i) {
        if (!node.book().covers(subject(key, "", name(thread, i)), 0)) return false;
      }
    }
    return true;
  };
  EXPECT_TRUE(soon([&] { return all_known(a) && all_known(b); }));
}

TEST(Purges, WhatCouldNotBeToldIsToldWhenRedisIsBack) {
  redis::RedisServer server;
  Node a(server.url()), b(server.url());
  ASSERT_TRUE(soon([&] { return a.knows() && b.knows(); }));
  server.kill();
  ASSERT_TRUE(soon([&] { return !a.knows() && !b.knows(); }));
  EXPECT_FALSE(a.purge({PurgeOf::model, "m"}).told);
  server.start();
  const Key key{};
  ASSERT_TRUE(soon([&] { return b.book().covers(subject(key, "", "m"), 0); }));
  EXPECT_TRUE(soon([&] { return a.knows() && b.knows(); }));
}

TEST(Purges, TheLogKeepsItsLengthAndSaysWhatIsGone) {
  redis::RedisServer server;
  for (int i = 0; i < 20; ++i) {
    server.ask(
        {"ZADD", std::string(Purges::kLog), std::to_string(i + 1), "tag\n" + std::to_string(i)});
  }
  server.ask({"ZADD", std::string(Purges::kLog), "7", "floor"});
  Node node(server.url());
  ASSERT_TRUE(soon([&] { return node.knows(); }));
  const Key key{};
  EXPECT_TRUE(node.book().covers(subject(key, "", "m"), 6));
  EXPECT_FALSE(node.book().covers(subject(key, "", "m"), 7));
}

}  // namespace
}  // namespace penstock::cache
