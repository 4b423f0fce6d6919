#include "http/client.h"

#include <gtest/gtest.h>

#include "http/client_testing.h"

namespace penstock::http {
namespace {

constexpr std::string_view kAsk = "POST /v1/x HTTP/1.1\r\nhost: e\r\ncontent-length: 2\r\n\r\nhi";
constexpr std::string_view kHello = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

struct Got {
  int status = 0;
  std::string body;
  std::vector<std::string> pieces;
  BodyEnd end = BodyEnd::none;
  std::optional<Error> error;
  bool broken() const { return error && error->kind == Kind::broken; }
};

class ClientTest : public LoopTest {
 protected:
  Pool& pool_for(std::uint16_t port, std::size_t max = 8) {
    PoolOptions options;
    options.origin = {false, "127.0.0.1", port, ""};
    options.max = max;
    pool_ = std::make_unique<Pool>(loop_, options, PoolMetrics());
    return *pool_;
  }

  // One whole exchange.
  Task<Got> ask(Pool& pool, std::string_view request = kAsk, Duration within = 5s) {
    Deadline deadline(loop_, Clock::now() + within);
    Got got = co_await ask_under(pool, request, deadline);
    co_return got;
  }

  Task<Got> ask_under(Pool& pool, std::string_view request, Deadline& deadline) {
    Got got;
    const std::array<std::string_view, 1> pieces = {request};
    Result<ClientAnswer> answer =
        co_await exchange(pool, pieces, request.starts_with("HEAD"), deadline);
    if (!answer) {
      got.error = std::move(answer).error();
      co_return got;
    }
    got.status = answer->head().status;
    got.end = answer->framing().end;
    for (;;) {
      Result<std::string_view> piece = co_await answer->next(deadline);
      if (!piece) {
        got.error = std::move(piece).error();
        break;
      }
      if (piece->empty()) break;
      got.body += *piece;
      got.pieces.emplace_back(*piece);
    }
    co_return got;
  }

  // What comes of one request to an engine that answers it so and then ends the connection.
  Got answered_with(std::string answer, std::string_view request = kAsk) {
    FakeEngine engine([&](Wire& wire) {
      wire.request();
      wire.send(answer);
    });
    Pool& pool = pool_for(engine.port());
    Got got;
    run([&]() -> Task<void> { got = co_await ask(pool, request); });
    return got;
  }

  std::unique_ptr<Pool> pool_;
};

// ---- answers -----------------------------------------------------------------------------------

TEST_F(ClientTest, SendsARequestInPiecesAndReadsTheAnswer) {
  std::string seen;
  FakeEngine engine([&](Wire& wire) {
    seen = wire.request();
    wire.send(kHello);
    wire.ended();
  });
  Pool& pool = pool_for(engine.port());
  run([&]() -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 5s);
    const std::array<std::string_view, 4> pieces = {"POST / HTTP/1.1\r\ncontent-length: 6\r\n\r\n",
                                                    "ab", "", "cdef"};
    Result<ClientAnswer> answer = co_await exchange(pool, pieces, false, deadline);
    EXPECT_TRUE(answer.ok());
    if (!answer) co_return;
    EXPECT_EQ(answer->head().status, 200);
    EXPECT_EQ(answer->framing().length, 5u);
    std::string body;
    Result<bool> whole = co_await answer->gather(body, 100, deadline);
    EXPECT_TRUE(whole.ok() && *whole);
    EXPECT_EQ(body, "hello");
  });
  EXPECT_EQ(seen, "POST / HTTP/1.1\r\ncontent-length: 6\r\n\r\nabcdef");
  EXPECT_EQ(pool.idle(), 1u);
  pool_.reset();
}

TEST_F(ClientTest, ReadsTheSameWhereverTheAnswerIsCut) {
  const std::vector<std::string> answers = {
      "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nT: x\r\n\r\n"};
  for (const std::string& answer : answers) {
    FakeEngine engine([&](Wire& wire) {
      for (std::size_t cut = 1; cut < answer.size(); ++cut) {
        if (wire.request().empty()) return;
        wire.send(answer.substr(0, cut));
        settle();
        wire.send(answer.substr(cut));
      }
      wire.ended();
    });
    Pool& pool = pool_for(engine.port());
    for (std::size_t cut = 1; cut < answer.size(); ++cut) {
      Got got;
      run([&]() -> Task<void> { got = co_await ask(pool); });
      EXPECT_FALSE(got.error) << cut << ": " << got.error->detail;
      EXPECT_EQ(got.body, "hello world") << cut;
    }
    EXPECT_EQ(engine.connections(), 1);
    pool_.reset();
  }
}

TEST_F(ClientTest, SaysWhereAnAnswerWasCutShort) {
  const std::string known = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell";
  const std::string chunked =
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r";
  for (const std::string& answer : {known, chunked}) {
    for (std::size_t size = 0; size <= answer.size(); ++size) {
      const Got got = answered_with(answer.substr(0, size));
      EXPECT_TRUE(got.broken()) << size;
      EXPECT_EQ(got.error->source, Source::engine);
    }
  }
}

TEST_F(ClientTest, ReadsUntilTheEndWhereTheAnswerSaysNothingElse) {
  const Got got = answered_with("HTTP/1.0 200 OK\r\n\r\nall of it");
  EXPECT_FALSE(got.error);
  EXPECT_EQ(got.body, "all of it");
  EXPECT_EQ(got.end, BodyEnd::close);
  EXPECT_EQ(pool_->idle(), 0u);
}

TEST_F(ClientTest, PutsChunksThatCameTogetherIntoOnePiece) {
  const Got got = answered_with(
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n1;e\r\nd\r\nA\r\nefghijklmn\r\n0\r\n\r\n");
  EXPECT_EQ(got.pieces, std::vector<std::string>{"abcdefghijklmn"});
}

TEST_F(ClientTest, GivesWhatCameBeforeABadChunkThenSaysSo) {
  const Got got =
      answered_with("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nXX\r\n");
  EXPECT_EQ(got.body, "abc");
  EXPECT_TRUE(got.broken());
}

TEST_F(ClientTest, RefusesAnswersWithMoreThanOneMeaning) {
  for (const std::string head :
       {"transfer-encoding: chunked\r\ncontent-length: 5", "content-length: 5\r\ncontent-length: 5",
        "content-length: 5, 5", "content-length: +5", "transfer-encoding: gzip",
        "transfer-encoding: chunked, identity", "x : 1\r\ncontent-length: 5",
        "x: a\x01b\r\ncontent-length: 5", "content-length: 5\r\n folded"}) {
    const Got got = answered_with("HTTP/1.1 200 OK\r\n" + head + "\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    EXPECT_TRUE(got.broken()) << head;
    EXPECT_EQ(pool_->open(), 0u);
  }
  EXPECT_TRUE(answered_with("HTTP/1.1 200 OK\r\nx: " + std::string(70'000, 'a')).broken());
  EXPECT_TRUE(answered_with("SSH-2.0-OpenSSH_9.2\r\n\r\n").broken());
}

TEST_F(ClientTest, TellsAnEngineThatSpeaksTlsByItsAlert) {
  const Got got = answered_with(std::string("\x15\x03\x01\x00\x02\x02\x46", 7));
  ASSERT_TRUE(got.broken());
  EXPECT_EQ(got.error->detail, "it answers in TLS: is its url https?");
}

TEST_F(ClientTest, SkipsInterimAnswersUpToABound) {
  std::string many;
  for (int i = 0; i < 100; ++i) many += "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
  EXPECT_EQ(answered_with(many + std::string(kHello)).body, "hello");
  EXPECT_TRUE(answered_with(many + "HTTP/1.1 100 Continue\r\n\r\n" + std::string(kHello)).broken());
  EXPECT_TRUE(answered_with("HTTP/1.1 101 Switching Protocols\r\n\r\n").broken());
}

TEST_F(ClientTest, AnswersWithoutABodyEndAtTheirHead) {
  std::atomic<int> asked{0};
  FakeEngine engine([&](Wire& wire) {
    for (const std::string_view answer : {"HTTP/1.1 204 No Content\r\n\r\n",
                                          "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n",
                                          "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
                                          "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"}) {
      wire.head();
      ++asked;
      wire.send(answer);
    }
    wire.ended();
  });
  Pool& pool = pool_for(engine.port());
  const std::string_view get = "GET / HTTP/1.1\r\nhost: e\r\n\r\n";
  const std::string_view head = "HEAD / HTTP/1.1\r\nhost: e\r\n\r\n";
  for (const auto& [request, status] : {std::pair{get, 204}, {get, 304}, {get, 200}, {head, 200}}) {
    Got got;
    run([&]() -> Task<void> { got = co_await ask(pool, request); });
    EXPECT_FALSE(got.error);
    EXPECT_EQ(got.status, status);
    EXPECT_EQ(got.body, "");
  }
  EXPECT_EQ(engine.connections(), 1);
  EXPECT_EQ(asked, 4);
  pool_.reset();
}

TEST_F(ClientTest, ReadsWhatTheEngineSaidBeforeItStoppedReading) {
  FakeEngine engine([](Wire& wire) {
    wire.head();
    wire.send("HTTP/1.1 413 Content Too Large\r\ncontent-length: 4\r\n\r\nbig!");
  });
  Pool& pool = pool_for(engine.port());
  const std::string request =
      "POST / HTTP/1.1\r\ncontent-length: 67108864\r\n\r\n" + std::string(64 << 20, 'x');
  Got got;
  run([&]() -> Task<void> { got = co_await ask(pool, request); });
  EXPECT_EQ(got.status, 413);
  EXPECT_EQ(got.body, "big!");
  EXPECT_EQ(pool.open(), 0u);
}

TEST_F(ClientTest, GathersLargeAnswersWholeAndStopsAtTheBound) {
  const std::string body(3'000'000, 'b');
  FakeEngine engine([&](Wire& wire) {
    while (!wire.request().empty()) {
      wire.send("HTTP/1.1 200 OK\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n");
      wire.send(body);
    }
  });
  Pool& pool = pool_for(engine.port());
  run([&]() -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 5s);
    const std::array<std::string_view, 1> pieces = {kAsk};
    for (const std::size_t most : {body.size() * 2, body.size(), std::size_t{1000}}) {
      Result<ClientAnswer> answer = co_await exchange(pool, pieces, false, deadline);
      EXPECT_TRUE(answer.ok());
      if (!answer) co_return;
      std::string got;
      Result<bool> whole = co_await answer->gather(got, most, deadline);
      EXPECT_TRUE(whole.ok());
      EXPECT_EQ(*whole, most >= body.size());
      EXPECT_LE(got.size(), std::max(body.size(), most + 65536));
      while (!*whole) whole = co_await answer->gather(got, got.size() + 100'000, deadline);
      EXPECT_TRUE(got == body);
    }
  });
  EXPECT_EQ(engine.connections(), 1);
  pool_.reset();
}

TEST_F(ClientTest, AStreamArrivesEventByEvent) {
  constexpr int kEvents = 1000;
  FakeEngine engine([&](Wire& wire) {
    wire.request();
    wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    for (int i = 0; i < kEvents; ++i) {
      wire.send("9\r\ndata: " + std::to_string(100 + i % 900) + "\r\n");
      settle();
    }
    wire.send("0\r\n\r\n");
    wire.ended();
  });
  Pool& pool = pool_for(engine.port());
  Got got;
  run([&]() -> Task<void> { got = co_await ask(pool); });
  EXPECT_FALSE(got.error);
  EXPECT_EQ(got.pieces.size(), kEvents);
  EXPECT_EQ(pool.idle(), 1u);
  pool_.reset();
}

TEST_F(ClientTest, ReadsNothingUnlessPulled) {
  std::atomic<bool> stuck{false};
  FakeEngine engine([&](Wire& wire) {
    wire.request();
    wire.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n");
    const std::string block(1 << 20, 'x');
    const timeval patience{0, 300'000};
    ::setsockopt(wire.fd(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    int blocks = 0;
    while (blocks < 900 && wire.send(block)) ++blocks;
    stuck = blocks < 64;
    asio::post(loop_.executor(), [this] { loop_.stop(); });
  });
  Pool& pool = pool_for(engine.port());
  std::optional<ClientAnswer> held;
  const auto ask = [](Loop& loop, Pool& of, std::optional<ClientAnswer>& out) -> Task<void> {
    Deadline deadline(loop, Clock::now() + 5s);
    const std::array<std::string_view, 1> pieces = {kAsk};
    Result<ClientAnswer> answer = co_await exchange(of, pieces, false, deadline);
    if (answer) out.emplace(*std::move(answer));
  };
  loop_.spawn(ask(loop_, pool, held));
  loop_.run();
  EXPECT_TRUE(held.has_value());
  EXPECT_TRUE(stuck);
}

// ---- connections -------------------------------------------------------------------------------

TEST_F(ClientTest, BytesBehindAnAnswerNeverReachTheNextExchange) {
  for (const std::string answer :
       {"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n"}) {
    for (const bool later : {false, true}) {
      FakeEngine engine([&](Wire& wire) {
        wire.request();
        if (wire.number() > 0) {
          wire.send(kHello);
        } else if (!later) {
          wire.send(answer + "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil");
        } else {
          wire.send(answer);
          settle();
          wire.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil");
          asio::post(loop_.executor(), [this] { loop_.stop(); });
        }
        wire.ended();
      });
      Pool& pool = pool_for(engine.port());
      Got first;
      run([&]() -> Task<void> { first = co_await ask(pool); });
      EXPECT_FALSE(first.error);
      EXPECT_EQ(pool.idle(), later ? 1u : 0u);
      if (later) {
        loop_.io().restart();
        loop_.run();  // until the engine has sent the rest
      }
      Got second;
      run([&]() -> Task<void> { second = co_await ask(pool); });
      EXPECT_EQ(second.body, "hello");
      EXPECT_EQ(engine.connections(), 2);
      pool_.reset();
    }
  }
}

TEST_F(ClientTest, AnAnswerThatClosesIsNotFollowedOnItsConnection) {
  FakeEngine engine([](Wire& wire) {
    wire.request();
    wire.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
    wire.ended();
  });
  Pool& pool = pool_for(engine.port());
  for (int i = 0; i < 2; ++i) {
    run([&]() -> Task<void> {
      const Got got = co_await ask(pool);
      EXPECT_EQ(got.body, "ok");
    });
    EXPECT_EQ(pool.open(), 0u);
  }
  EXPECT_EQ(engine.connections(), 2);
}

TEST_F(ClientTest, AConnectionResetBeforeItsSecondAnswerIsReplacedOnce) {
  for (const bool always : {false, true}) {
    std::atomic<int> requests{0};
    FakeEngine engine([&](Wire& wire) {
      if (wire.request().empty()) return;
      ++requests;
      if (always && wire.number() > 0) return wire.reset();
      wire.send(kHello);
      if (wire.request().empty()) return;
      ++requests;
      wire.reset();
    });
    Pool& pool = pool_for(engine.port());
    Got got;
    run([&]() -> Task<void> { got = co_await ask(pool); });
    EXPECT_EQ(got.body, "hello");
    run([&]() -> Task<void> { got = co_await ask(pool); });
    EXPECT_EQ(got.broken(), always);
    EXPECT_EQ(got.body, always ? "" : "hello");
    EXPECT_EQ(requests, 3);
    EXPECT_EQ(engine.connections(), 2);
    pool_.reset();
  }
}

TEST_F(ClientTest, NothingIsRepeatedOnceAByteOfTheAnswerCame) {
  std::atomic<int> requests{0};
  FakeEngine engine([&](Wire& wire) {
    wire.request();
    ++requests;
    wire.send(kHello);
    wire.request();
    ++requests;
    wire.send("H");
    settle();
    wire.reset();
  });
  Pool& pool = pool_for(engine.port());
  Got got;
  run([&]() -> Task<void> { got = co_await ask(pool); });
  run([&]() -> Task<void> { got = co_await ask(pool); });
  EXPECT_TRUE(got.broken());
  EXPECT_EQ(requests, 2);
  EXPECT_EQ(engine.connections(), 1);
}

TEST_F(ClientTest, NothingIsRepeatedOnAConnectionOfItsOwn) {
  FakeEngine engine([](Wire& wire) {
    wire.request();
    wire.reset();
  });
  Pool& pool = pool_for(engine.port());
  Got got;
  run([&]() -> Task<void> { got = co_await ask(pool); });
  EXPECT_TRUE(got.broken());
  EXPECT_FALSE(got.error->retry);
  EXPECT_EQ(engine.connections(), 1);
}

TEST_F(ClientTest, AConnectionClosedWhileIdleIsNotTried) {
  std::promise<void> closed;
  FakeEngine engine([&](Wire& wire) {
    wire.request();
    wire.send(kHello);
    if (wire.number() > 0) return;
    settle();
    wire.close();
    closed.set_value();
    asio::post(loop_.executor(), [this] { loop_.stop(); });
  });
  Pool& pool = pool_for(engine.port());
  run([&]() -> Task<void> {
    const Got got = co_await ask(pool);
    EXPECT_EQ(got.body, "hello");
  });
  EXPECT_EQ(pool.idle(), 1u);
  loop_.io().restart();
  loop_.run();
  closed.get_future().wait();
  run([&]() -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 5s);
    Result<Pool::Lease> lease = co_await pool.take(deadline);
    EXPECT_TRUE(lease.ok() && !lease->reused());
  });
  EXPECT_TRUE(engine.reached(2));
}

// ---- time and clients that leave ---------------------------------------------------------------

// Where an exchange can be when it has to end.
enum class Phase : std::uint8_t { line, send, head, body };

class EndsIn : public ClientTest, public testing::WithParamInterface<Phase> {
 protected:
  // Runs an exchange into the phase, in which `end` is called with its deadline (or its time
  // comes); returns what came of it once the engine has seen the connection's end.
  Got ends(Duration within, const std::function<void(Deadline&)>& end) {
    std::promise<bool> seen;
    Deadline deadline(loop_, Time::max());
    const auto reached = [&] {
      if (!end) return;
      settle();
      asio::post(loop_.executor(), [&] { end(deadline); });
    };
    FakeEngine engine([&](Wire& wire) {
      switch (GetParam()) {
        case Phase::line: reached(); break;
        case Phase::send:
          wire.head();
          reached();
          break;
        case Phase::head:
          wire.request();
          wire.send("HTTP/1.1 200");
          reached();
          break;
        case Phase::body:
          wire.request();
          wire.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel");
          reached();
          break;
      }
      seen.set_value(wire.ended());
    });
    Pool& pool = pool_for(engine.port(), 1);
    std::string request(kAsk);
    if (GetParam() == Phase::send) {
      request = "POST / HTTP/1.1\r\ncontent-length: 67108864\r\n\r\n" + std::string(64 << 20, 'x');
    }
    Got got;
    deadline.move(Clock::now() + within);
    run([&]() -> Task<void> {
      std::optional<Pool::Lease> other;
      if (GetParam() == Phase::line) {
        Deadline own(loop_, Clock::now() + 5s);
        Result<Pool::Lease> taken = co_await pool.take(own);
        if (taken) other.emplace(*std::move(taken));
      }
      got = co_await ask_under(pool, request, deadline);
    });
    EXPECT_EQ(pool.open(), 0u);
    EXPECT_TRUE(seen.get_future().get());
    return got;
  }
};

TEST_P(EndsIn, TheTimeIsUp) {
  const Got got = ends(100ms, nullptr);
  EXPECT_TRUE(got.error);
  EXPECT_EQ(got.error->kind, GetParam() == Phase::line ? Kind::exhausted : Kind::timeout);
  EXPECT_EQ(got.error->source, Source::engine);
}

TEST_P(EndsIn, TheClientLeft) {
  const Got got = ends(5s, [](Deadline& deadline) { deadline.call_off(Why::left); });
  EXPECT_TRUE(got.error);
  EXPECT_EQ(got.error->kind, Kind::cancelled);
  EXPECT_EQ(got.error->source, Source::client);
}

std::string phase_name(const testing::TestParamInfo<Phase>& info) {
  constexpr std::array kNames = {"Line", "Send", "Head", "Body"};
  return kNames[static_cast<std::size_t>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Client, EndsIn,
                         testing::Values(Phase::line, Phase::send, Phase::head, Phase::body),
                         phase_name);

TEST_F(ClientTest, AnAnswerLetGoEndsItsConnection) {
  std::promise<bool> seen;
  FakeEngine engine([&](Wire& wire) {
    wire.request();
    wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n");
    seen.set_value(wire.ended());
  });
  Pool& pool = pool_for(engine.port());
  run([&]() -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 5s);
    const std::array<std::string_view, 1> pieces = {kAsk};
    Result<ClientAnswer> answer = co_await exchange(pool, pieces, false, deadline);
    Result<std::string_view> piece = co_await answer->next(deadline);
    EXPECT_EQ(*piece, "abc");
  });
  EXPECT_TRUE(seen.get_future().get());
  EXPECT_EQ(pool.open(), 0u);
}

TEST_F(ClientTest, ADeadlineThatIsOverSendsNothing) {
  FakeEngine engine([](Wire& wire) { wire.ended(); });
  Pool& pool = pool_for(engine.port());
  run([&]() -> Task<void> {
    Deadline deadline(loop_, Time::max());
    deadline.call_off(Why::draining);
    const Got got = co_await ask_under(pool, kAsk, deadline);
    EXPECT_EQ(got.error->kind, Kind::cancelled);
  });
  EXPECT_EQ(engine.connections(), 0);
}

}  // namespace
}  // namespace penstock::http
