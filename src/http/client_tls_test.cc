#include <gtest/gtest.h>

#include "http/client.h"
#include "http/client_testing.h"
#include "net/certificates_testing.h"
#include "net/transport.h"

namespace penstock::http {
namespace {

using net::Addresses;
using net::Authority;
using net::Context;
using net::TlsClient;

constexpr std::string_view kAsk = "GET / HTTP/1.1\r\nhost: e\r\n\r\n";
constexpr std::string_view kHello = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

class TlsTest : public LoopTest {
 protected:
  struct Outcome {
    std::string body;
    std::optional<Error> error;
  };

  std::unique_ptr<Pool> pool_for(const FakeEngine& engine, const std::string& host,
                                 const std::string& ca) {
    Result<std::shared_ptr<TlsClient>> tls = TlsClient::make(ca, "http/1.1");
    EXPECT_TRUE(tls.ok());
    PoolOptions options;
    options.origin = {true, host, engine.port(), ""};
    options.tls = *tls;
    const std::uint16_t port = engine.port();
    const auto lookup = [port](Loop& loop, const std::string&, std::uint16_t,
                               Addresses::Found found) {
      asio::post(loop.executor(), [=] { found({}, {{asio::ip::address_v4::loopback(), port}}); });
    };
    return std::make_unique<Pool>(loop_, options, PoolMetrics(), lookup);
  }

  Task<void> ask(Pool& pool, std::string_view request, Outcome& outcome) {
    Deadline deadline(loop_, Clock::now() + 5s);
    const std::array<std::string_view, 2> pieces = {request.substr(0, 10), request.substr(10)};
    Result<ClientAnswer> answer = co_await exchange(pool, pieces, false, deadline);
    if (!answer) {
      outcome.error = std::move(answer).error();
      co_return;
    }
    Result<bool> whole = co_await answer->gather(outcome.body, 100 << 20, deadline);
    if (!whole) outcome.error = std::move(whole).error();
  }

  Outcome ask(Pool& pool, std::string_view request = kAsk) {
    Outcome outcome;
    run([&]() -> Task<void> { co_await ask(pool, request, outcome); });
    return outcome;
  }

  // Asks an engine that has this certificate by this name, trusting the authority in `ca`.
  Outcome ask_once(const Context& context, const std::string& host, const std::string& ca) {
    FakeEngine engine(
        [](Wire& wire) {
          wire.head();
          wire.send(kHello);
        },
        context.get());
    const std::unique_ptr<Pool> pool = pool_for(engine, host, ca);
    Outcome outcome = ask(*pool);
    EXPECT_EQ(pool->open(), pool->idle());
    return outcome;
  }

  const Authority good_{"good"};
};

TEST_F(TlsTest, BelievesItsAuthority) {
  const Context context = good_.serve("DNS:engine.test,IP:127.0.0.1");
  EXPECT_EQ(ask_once(context, "engine.test", good_.path()).body, "hello");
  EXPECT_EQ(ask_once(context, "127.0.0.1", good_.path()).body, "hello");
}

TEST_F(TlsTest, RefusesWhatItsAuthorityDidNotSignOrNotForThisHostOrNotForNow) {
  const Authority other("other");
  const Context context = good_.serve("DNS:engine.test,DNS:*.pool.test");
  const auto refused = [&](const Outcome& outcome, std::string_view why) {
    ASSERT_TRUE(outcome.error) << why;
    EXPECT_EQ(outcome.error->kind, Kind::unreachable);
    EXPECT_EQ(outcome.error->source, Source::engine);
    EXPECT_NE(outcome.error->detail.find("certificate"), std::string::npos);
    EXPECT_NE(outcome.error->detail.find(why), std::string::npos) << outcome.error->detail;
  };
  refused(ask_once(context, "engine.test", other.path()), "unable to get local issuer");
  refused(ask_once(context, "engine.test", ""), "unable to get local issuer");
  refused(ask_once(context, "engine2.test", good_.path()), "hostname mismatch");
  refused(ask_once(context, "127.0.0.1", good_.path()), "IP address mismatch");
  refused(ask_once(context, "a.b.pool.test", good_.path()), "hostname mismatch");
  EXPECT_EQ(ask_once(context, "a.pool.test", good_.path()).body, "hello");
  refused(ask_once(good_.serve("DNS:engine.test", -7200), "engine.test", good_.path()), "expired");
}

TEST_F(TlsTest, RefusesOldProtocolsAndPlainEngines) {
  const Context context = good_.serve("DNS:engine.test");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_VERSION);
  SSL_CTX_set_max_proto_version(context.get(), TLS1_1_VERSION);
  SSL_CTX_set_security_level(context.get(), 0);
  Outcome outcome = ask_once(context, "engine.test", good_.path());
  EXPECT_TRUE(outcome.error && outcome.error->kind == Kind::unreachable);

  FakeEngine plain([](Wire& wire) {
    wire.send("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
    wire.ended();
  });
  const std::unique_ptr<Pool> pool = pool_for(plain, "engine.test", good_.path());
  outcome = ask(*pool);
  EXPECT_TRUE(outcome.error && outcome.error->kind == Kind::unreachable);
  EXPECT_NE(outcome.error->detail.find("if it speaks no TLS, its url is http"), std::string::npos)
      << outcome.error->detail;
}

TEST_F(TlsTest, SaysWhoItWantsAndWhatItSpeaks) {
  const Context context = good_.serve("DNS:engine.test");
  struct Seen {
    std::string protocols;
    std::string name;
    std::string version;
  } seen;
  SSL_CTX_set_alpn_select_cb(
      context.get(),
      [](SSL*, const unsigned char** out, unsigned char* size, const unsigned char* in,
         unsigned length, void* to) {
        static_cast<Seen*>(to)->protocols.assign(reinterpret_cast<const char*>(in), length);
        *out = in + 1;
        *size = in[0];
        return SSL_TLSEXT_ERR_OK;
      },
      &seen);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    SSL_CTX_set_max_proto_version(context.get(), version);
    FakeEngine engine(
        [&](Wire& wire) {
          seen.name = SSL_get_servername(wire.tls(), TLSEXT_NAMETYPE_host_name);
          seen.version = SSL_get_version(wire.tls());
          wire.head();
          wire.send(kHello);
        },
        context.get());
    const std::unique_ptr<Pool> pool = pool_for(engine, "engine.test", good_.path());
    EXPECT_EQ(ask(*pool).body, "hello");
    EXPECT_EQ(seen.name, "engine.test");
    EXPECT_EQ(seen.version, version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
    EXPECT_EQ(seen.protocols, "\x08http/1.1");
  }
}

TEST_F(TlsTest, UsesAConnectionAgainAndCarriesLargeBodiesBothWays) {
  const Context context = good_.serve("DNS:engine.test");
  const std::string body(5'000'000, 'q');
  FakeEngine engine(
      [&](Wire& wire) {
        for (;;) {
          const std::string request = wire.request();
          if (request.empty()) return;
          const std::string answer = request.substr(request.find("\r\n\r\n") + 4);
          wire.send("HTTP/1.1 200 OK\r\ncontent-length: " + std::to_string(answer.size()) +
                    "\r\n\r\n" + answer);
        }
      },
      context.get());
  const std::unique_ptr<Pool> pool = pool_for(engine, "engine.test", good_.path());
  for (const std::size_t size :
       {std::size_t{1}, std::size_t{20'000}, body.size(), std::size_t{7}}) {
    const std::string request = "POST / HTTP/1.1\r\ncontent-length: " + std::to_string(size) +
                                "\r\n\r\n" + body.substr(0, size);
    const Outcome outcome = ask(*pool, request);
    EXPECT_FALSE(outcome.error) << outcome.error->detail;
    EXPECT_TRUE(outcome.body == body.substr(0, size)) << size;
  }
  EXPECT_EQ(engine.connections(), 1);
}

TEST_F(TlsTest, SmallPiecesOfARequestMakeOneRecord) {
  const Context context = good_.serve("DNS:engine.test");
  std::string first;
  FakeEngine engine(
      [&](Wire& wire) {
        std::array<char, 1024> piece;
        const int n = SSL_read(wire.tls(), piece.data(), piece.size());
        first.assign(piece.data(), static_cast<std::size_t>(std::max(n, 0)));
        wire.send(kHello);
      },
      context.get());
  const std::unique_ptr<Pool> pool = pool_for(engine, "engine.test", good_.path());
  EXPECT_EQ(ask(*pool).body, "hello");
  EXPECT_EQ(first, kAsk);
}

// The second record is decrypted, or about to be, when the first is given out: an idle socket
// alone does not show it.
TEST_F(TlsTest, BytesBehindAnAnswerNeverReachTheNextExchange) {
  const Context context = good_.serve("DNS:engine.test");
  FakeEngine engine(
      [](Wire& wire) {
        wire.head();
        wire.send(kHello);
        if (wire.number() == 0) wire.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil");
        wire.ended();
      },
      context.get());
  const std::unique_ptr<Pool> pool = pool_for(engine, "engine.test", good_.path());
  run([&]() -> Task<void> {
    Deadline deadline(loop_, Clock::now() + 5s);
    Result<Pool::Lease> lease = co_await pool->take(deadline);
    EXPECT_TRUE(lease.ok());
    if (!lease) co_return;
    const std::array<std::string_view, 1> request = {kAsk};
    Result<void> sent = co_await (*lease)->write(request, deadline);
    EXPECT_TRUE(sent.ok());
    std::string answer(kHello.size(), ' ');
    for (std::size_t at = 0; at < answer.size();) {
      const auto got = (*lease)->read(answer.data() + at, answer.size() - at);
      if (got && (!*got || **got == 0)) break;
      if (got) {
        at += **got;
        continue;
      }
      Result<void> ready = co_await (*lease)->readable(deadline);
      if (!ready) break;
    }
    EXPECT_EQ(answer, kHello);
    while ((*lease)->quiet()) co_await turns(1);  // ends when the rest has come
    lease->keep();
  });
  EXPECT_EQ(pool->idle(), 1u);
  EXPECT_EQ(ask(*pool).body, "hello");
  EXPECT_EQ(engine.connections(), 2);
}

TEST_F(TlsTest, AStreamCutWithoutItsClosingAlertIsBroken) {
  const Context context = good_.serve("DNS:engine.test");
  for (const bool alert : {true, false}) {
    FakeEngine engine(
        [&](Wire& wire) {
          wire.head();
          wire.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
          if (!alert) SSL_set_quiet_shutdown(wire.tls(), 1);
        },
        context.get());
    const std::unique_ptr<Pool> pool = pool_for(engine, "engine.test", good_.path());
    const Outcome outcome = ask(*pool);
    EXPECT_EQ(outcome.body, "until the end");
    EXPECT_EQ(outcome.error.has_value(), !alert);
    if (outcome.error) {
      EXPECT_EQ(outcome.error->kind, Kind::broken);
    }
  }
}

TEST_F(TlsTest, AHandshakeThatDoesNotComeEndsInTime) {
  FakeEngine engine([](Wire& wire) { wire.ended(); });
  Result<std::shared_ptr<TlsClient>> tls = TlsClient::make(good_.path(), "http/1.1");
  PoolOptions options;
  options.origin = {true, "127.0.0.1", engine.port(), ""};
  options.tls = *tls;
  options.connect_timeout = 50ms;
  Pool pool(loop_, options, PoolMetrics());
  const Outcome outcome = ask(pool);
  EXPECT_EQ(outcome.error->kind, Kind::unreachable);
  run([&]() -> Task<void> {
    Deadline left(loop_, Time::max());
    asio::post(loop_.executor(), [&] { left.call_off(Why::left); });
    Result<Pool::Lease> lease = co_await pool.take(left);
    EXPECT_EQ(lease.error().kind, Kind::cancelled);
  });
  EXPECT_EQ(pool.open(), 0u);
}

}  // namespace
}  // namespace penstock::http
