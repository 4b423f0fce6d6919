#include "redis/client.h"

#include <gtest/gtest.h>

#include "net/certificates_testing.h"
#include "redis/client_testing.h"

namespace penstock::redis {
namespace {

// ---- who may come in ---------------------------------------------------------------------------

TEST_F(ClientTest, SetsAndGets) {
  RedisServer server;
  const auto client = client_for(options_for(server.url()));
  run([&]() -> Task<void> {
    const std::string set = co_await ask(*client, "SET a some");
    const std::string got = co_await ask(*client, "GET a");
    const std::string none = co_await ask(*client, "GET b");
    const std::string wrong = co_await ask(*client, "INCR a");
    EXPECT_EQ(set + " " + got + " " + none, "OK some null");
    EXPECT_EQ(wrong, "error: Redis: ERR value is not an integer or out of range");
  });
  EXPECT_TRUE(client->available());
  EXPECT_EQ(client->trouble(), "");
  EXPECT_EQ(errors("refused"), 1);
}

TEST_F(ClientTest, IsNamedInTheServersList) {
  RedisServer server;
  Options options = options_for(server.url());
  options.name = "penstock-test";
  options.connections = 1;
  const auto client = client_for(options);
  run([&]() -> Task<void> {
    const std::string name = co_await ask(*client, "CLIENT GETNAME");
    EXPECT_EQ(name, "penstock-test");
  });
}

TEST_F(ClientTest, KnowsItsPassword) {
  RedisServer server({"--requirepass", "p@ss"}, {}, "p@ss");
  const auto good = client_for(options_for(server.url("redis://", ":p%40ss@")));
  const auto bad = client_for(options_for(server.url("redis://", ":other@")));
  Options options = options_for(server.url("redis://", ":other@"));
  options.password = "p@ss";
  const auto overridden = client_for(options);
  run([&]() -> Task<void> {
    const std::string set = co_await ask(*good, "SET a 1");
    EXPECT_EQ(set, "OK");
    const std::string got = co_await ask(*overridden, "GET a");
    EXPECT_EQ(got, "1");
    const bool away = co_await until([&] { return !bad->available(); });
    EXPECT_TRUE(away);
    EXPECT_EQ(bad->trouble().find("Redis: WRONGPASS"), 0u) << bad->trouble();
    EXPECT_EQ(bad->trouble().find("other"), std::string::npos);
  });
}

TEST_F(ClientTest, IsAnAclUserWithWhatItMayDo) {
  RedisServer server({"--user", "gateway", "on", ">secret", "~penstock:*", "+@all", "-flushall"});
  const auto client = client_for(options_for(server.url("redis://", "gateway:secret@")));
  run([&]() -> Task<void> {
    const std::string set = co_await ask(*client, "SET penstock:a 1");
    const std::string other = co_await ask(*client, "SET other 1");
    const std::string flush = co_await ask(*client, "FLUSHALL");
    const std::string who = co_await ask(*client, "ACL WHOAMI");
    EXPECT_EQ(set, "OK");
    EXPECT_EQ(other.find("error: Redis: NOPERM"), 0u) << other;
    EXPECT_EQ(flush.find("error: Redis: NOPERM"), 0u) << flush;
    EXPECT_EQ(who, "gateway");
  });
  EXPECT_TRUE(client->available());  // a refusal is an answer
}

TEST_F(ClientTest, SelectsItsDatabaseOnEachConnection) {
  RedisServer server;
  const auto third = client_for(options_for(server.url("redis://", "", "/3")));
  const auto first = client_for(options_for(server.url()));
  const auto none = client_for(options_for(server.url("redis://", "", "/99")));
  run([&]() -> Task<void> {
    const std::string set = co_await ask(*third, "SET a 3");
    const std::string there = co_await ask(*third, "GET a");
    const std::string elsewhere = co_await ask(*first, "GET a");
    EXPECT_EQ(set + " " + there + " " + elsewhere, "OK 3 null");
    const bool away = co_await until([&] { return !none->available(); });
    EXPECT_TRUE(away);
    EXPECT_EQ(none->trouble(), "Redis: ERR DB index is out of range");
  });
  EXPECT_EQ(server.ask({"SELECT", "3"}).text, "OK");
}

TEST_F(ClientTest, RefusesOptionsThatMeanNothing) {
  for (const std::vector<std::string>& urls :
       {std::vector<std::string>{}, {"redis://a", "rediss://b"}, {"http://a"}}) {
    Options options;
    options.urls = urls;
    const auto client = Client::make(loop_, options, Metrics(), log_);
    EXPECT_FALSE(client.ok());
  }
  Options options = options_for("rediss://a");
  options.ca = "/nowhere/ca.pem";
  const auto client = Client::make(loop_, options, Metrics(), log_);
  ASSERT_FALSE(client.ok());
  EXPECT_NE(client.error().detail.find("/nowhere/ca.pem"), std::string::npos);
}

// ---- TLS ---------------------------------------------------------------------------------------

class TlsClientTest : public ClientTest {
 protected:
  RedisServer::Arguments certificates(const char* alternatives) {
    const net::Authority::Files files = good_.issue(alternatives);
    return {"--tls-cert-file",    files.certificate, "--tls-key-file",     files.key,
            "--tls-ca-cert-file", good_.path(),      "--tls-auth-clients", "no"};
  }
  std::string trouble_with(const RedisServer& server, const std::string& ca) {
    Options options = options_for(server.url("rediss://"));
    options.ca = ca;
    options.connect_timeout = 500ms;
    const auto client = client_for(options);
    run([&]() -> Task<void> {
      const bool failed = co_await until([&] { return !client->trouble().empty(); });
      EXPECT_TRUE(failed);
      EXPECT_EQ(client->connections(), 0u);
    });
    return client->trouble();
  }
  net::Authority good_{"redis-authority"};
};

TEST_F(TlsClientTest, SpeaksTlsToWhomItTrusts) {
  RedisServer server({}, certificates("IP:127.0.0.1"));
  Options options = options_for(server.url("rediss://"));
  options.ca = good_.path();
  const auto client = client_for(options);
  const std::string large(1'000'000, 'x');
  run([&]() -> Task<void> {
    const std::string set = co_await ask(*client, "SET a " + large);
    const std::string got = co_await ask(*client, "GET a");
    EXPECT_EQ(set, "OK");
    EXPECT_EQ(got, large);
  });
}

TEST_F(TlsClientTest, RefusesAnotherAuthority) {
  RedisServer server({}, certificates("IP:127.0.0.1"));
  net::Authority other("redis-other");
  const std::string trouble = trouble_with(server, other.path());
  EXPECT_NE(trouble.find("certificate is not accepted"), std::string::npos) << trouble;
}

TEST_F(TlsClientTest, RefusesAnotherHost) {
  RedisServer server({}, certificates("DNS:other.example,IP:127.0.0.2"));
  const std::string trouble = trouble_with(server, good_.path());
  EXPECT_NE(trouble.find("certificate is not accepted: IP address mismatch"), std::string::npos)
      << trouble;
}

// Redis waits for the end of a command in what is none.
TEST_F(TlsClientTest, GivesUpInTimeWhereNoTlsIsSpoken) {
  RedisServer server;
  const std::string trouble = trouble_with(server, good_.path());
  EXPECT_EQ(trouble, "connect to Redis: no answer in time");
}

// ---- many at once ------------------------------------------------------------------------------

TEST_F(ClientTest, AnswersAThousandAtOnceEachWithItsOwn) {
  RedisServer server;
  const auto client = client_for(options_for(server.url()));
  int done = 0;
  const auto one = [&](int i) -> Task<void> {
    const std::string number = std::to_string(i);
    const std::string set = co_await ask(*client, "SET k" + number + " " + number);
    EXPECT_EQ(set, "OK");
    const std::string got = co_await ask(*client, "GET k" + number);
    EXPECT_EQ(got, number);
    ++done;
  };
  run([&]() -> Task<void> {
    const std::string ready = co_await ask(*client, "PING");
    EXPECT_EQ(ready, "PONG");
    for (int i = 0; i < 1000; ++i) loop_.spawn(one(i));
    const bool all = co_await until([&] { return done == 1000; });
    EXPECT_TRUE(all);
  });
}

TEST_F(ClientTest, SendsInOneWriteWhatIsReadyInOneTurn) {
  RedisServer server;
  Options options = options_for(server.url());
  options.connections = 1;
  const auto client = client_for(options);
  int done = 0;
  const auto one = [&]() -> Task<void> {
    const std::string pong = co_await ask(*client, "PING");
    done += pong == "PONG" ? 1 : 0;
  };
  const auto reads = [&] {
    const std::string stats = server.ask({"INFO", "stats"}).text;
    const std::size_t at = stats.find("total_reads_processed:");
    return at == std::string::npos ? 0 : std::stoi(stats.substr(at + 22));
  };
  run([&]() -> Task<void> {
    co_await one();
    const int before = reads();
    for (int i = 0; i < 100; ++i) loop_.spawn(one());
    const bool all = co_await until([&] { return done == 101; });
    EXPECT_TRUE(all);
    // Asking for the figure is a read of the server's too, or two.
    EXPECT_LE(reads() - before, 4);
  });
}

TEST_F(ClientTest, HeavyAnswersComeWhole) {
  RedisServer server;
  const auto client = client_for(options_for(server.url()));
  const std::string large(3'000'000, 'x');
  run([&]() -> Task<void> {
    const std::string set = co_await ask(*client, "SET a " + large);
    EXPECT_EQ(set, "OK");
    const std::string both = co_await ask(*client, "MGET a a");
    EXPECT_EQ(both.size(), 2 * large.size() + 1);
  });
}

TEST_F(ClientTest, TellsWithoutWaiting) {
  RedisServer server;
  Options options = options_for(server.url());
  options.connections = 1;
  const auto client = client_for(options);
  run([&]() -> Task<void> {
    const std::string ready = co_await ask(*client, "PING");
    EXPECT_EQ(ready, "PONG");
    const std::array<std::string_view, 3> words = {"SET", "told", "1"};
    client->tell(words);
    const std::string got = co_await ask(*client, "GET told");
    EXPECT_EQ(got, "1");
  });
}

TEST_F(ClientTest, EndsWithCallsUnderWay) {
  RedisServer server;
  auto client = client_for(options_for(server.url()));
  std::string answer;
  const auto one = [&]() -> Task<void> { answer = co_await ask(*client, "BLPOP none 10"); };
  run([&]() -> Task<void> {
    const std::string ready = co_await ask(*client, "PING");
    EXPECT_EQ(ready, "PONG");
    loop_.spawn(one());
    co_await turns();
    client.reset();
    const bool ended = co_await until([&] { return !answer.empty(); });
    EXPECT_TRUE(ended);
    EXPECT_EQ(answer, "error: the Redis client ends");
  });
}

// ---- scripts -----------------------------------------------------------------------------------

TEST_F(ClientTest, LoadsAScriptOnceHoweverManyMissIt) {
  RedisServer server;
  const auto client = client_for(options_for(server.url()));
  const Script script("return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1])}");
  int good = 0;
  int ended = 0;
  const auto one = [&]() -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 10s);
    const std::array<std::string_view, 1> keys = {"k"};
    const std::array<std::string_view, 1> arguments = {"v"};
    Result<Value> value = co_await client->eval(script, keys, arguments, deadline);
    good += shown(value).starts_with("k v ") ? 1 : 0;
    ++ended;
  };
  const auto loads = [&] {
    const std::string stats = server.ask({"INFO", "commandstats"}).text;
    const std::size_t at = stats.find("cmdstat_script|load:calls=");
    return at == std::string::npos ? 0 : std::stoi(stats.substr(at + 26));
  };
  run([&]() -> Task<void> {
    for (int i = 0; i < 50; ++i) loop_.spawn(one());
    bool all = co_await until([&] { return ended == 50; });
    EXPECT_TRUE(all);
    EXPECT_EQ(good, 50);
    EXPECT_EQ(loads(), 1);
    EXPECT_EQ(server.ask({"SCRIPT", "FLUSH"}).text, "OK");
    for (int i = 0; i < 50; ++i) loop_.spawn(one());
    all = co_await until([&] { return ended == 100; });
    EXPECT_TRUE(all);
    EXPECT_EQ(good, 100);
    EXPECT_EQ(loads(), 2);
  });
  EXPECT_EQ(server.ask({"GET", "k"}).text, "100");  // each once
}

}  // namespace
}  // namespace penstock::redis
