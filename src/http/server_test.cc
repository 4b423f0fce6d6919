#include "http/server.h"

#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "base/sleep.h"

namespace penstock::http {
namespace {

using asio::ip::tcp;

// Echoes bodies. "/slow" is answered by a coroutine, "/stream" piece by piece, "/hang" never.
class Echo final : public Handler {
 public:
  bool answer_now(Request& request, Reply& reply) override {
    if (request.head.path == "/slow" || request.head.path == "/stream" ||
        request.head.path == "/hang" || request.head.path == "/flood") {
      return false;
    }
    if (request.head.path == "/many") ++many;
    if (request.head.path == "/other") many_before_other = many;
    reply.status(200);
    reply.field("x-path", request.head.path);
    reply.finish(request.body);
    return true;
  }

  Task<void> serve(Request& request, Reply& reply, Deadline& deadline) override {
    if (request.head.path == "/hang") {
      hanging.fetch_add(1);
      co_await sleep_until(Clock::now() + 60s, deadline);
      if (deadline.why() == Why::left) left.set_value();
      co_return;
    }
    co_await sleep_until(Clock::now() + 5ms, deadline);
    reply.status(200);
    if (request.head.path == "/slow") {
      reply.finish(request.body);
      co_return;
    }
    if (request.head.path == "/flood") {
      const std::string block(1 << 16, 'x');
      bool good = co_await reply.begin_stream();
      while (good) {
        good = co_await reply.write(block);
        flooded.fetch_add(1);
      }
      ended.set_value();
      co_return;
    }
    co_await reply.begin_stream();
    for (const char* piece : {"one ", "two ", "three"}) co_await reply.write(piece);
    co_await reply.end_stream();
  }

  void refuse(const BadMessage& bad, const RequestHead&, Reply& reply) override {
    reply.status(bad.status);
    reply.finish(bad.what);
  }

  std::atomic<int> hanging{0};
  std::atomic<int> flooded{0};
  int many = 0, many_before_other = 0;  // the loop's
  std::promise<void> left;
  std::promise<void> ended;
};

class ServerTest : public testing::Test {
 protected:
  void start(ServerLimits limits = {}) {
    listen(limits);
    thread_ = std::thread([this] { loop_.run(); });
  }

  void listen(ServerLimits limits = {}) {
    server_ =
        std::make_unique<Server>(loop_, echo_, limits, ServerMetrics(registry_.shard(0)), count_);
    const auto bound = server_->listen(tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    ASSERT_TRUE(bound);
    port_ = bound->port();
  }

  void TearDown() override {
    if (!thread_.joinable()) return;
    asio::post(loop_.executor(), [this] {
      server_->drain();
      server_->close_all();
      asio::post(loop_.executor(), [this] { loop_.stop(); });
    });
    thread_.join();
  }

  // A blocking client whose reads end after 5 s at the latest.
  class Client {
   public:
    explicit Client(std::uint16_t port) {
      fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(port);
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    }
    Client(Client&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    ~Client() { close(); }
    void close() {
      if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }
    void send(std::string_view text) {
      while (!text.empty()) {
        const ssize_t n = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
        if (n <= 0) return;
        text.remove_prefix(static_cast<std::size_t>(n));
      }
    }
    // Until the text contains `mark`, or the end ("" for until the end).
    std::string read(std::string_view mark) {
      std::string got;
      std::size_t searched = 0;
      while (mark.empty() || got.find(mark, searched) == std::string::npos) {
        searched = got.size() - std::min(got.size(), mark.size());
        pollfd wait{fd_, POLLIN, 0};
        if (::poll(&wait, 1, 5000) <= 0) return got + "<nothing came>";
        char buffer[4096];
        const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
        if (n < 0) return got + "<reset>";
        if (n == 0) return got + "<end>";
        got.append(buffer, static_cast<std::size_t>(n));
      }
      return got;
    }
    int fd() const { return fd_; }

   private:
    int fd_;
  };

  Client client() { return Client(port_); }
  static std::string post(const std::string& path, const std::string& body,
                          const std::string& fields = "") {
    return "POST " + path + " HTTP/1.1\r\nHost: a\r\n" + fields +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }

  observe::Registry registry_{1};
  ConnectionCount count_{0};
  Loop loop_;
  Echo echo_;
  std::unique_ptr<Server> server_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

TEST_F(ServerTest, AnswersOnOneConnectionAgainAndAgain) {
  start();
  Client c = client();
  for (int i = 0; i < 3; ++i) {
    c.send(post("/a", "hello" + std::to_string(i)));
    const std::string got = c.read("hello" + std::to_string(i));
    EXPECT_TRUE(got.starts_with("HTTP/1.1 200 OK\r\n")) << got;
    EXPECT_NE(got.find("content-length: 6\r\n"), std::string::npos);
    EXPECT_NE(got.find("\r\ndate: "), std::string::npos);
  }
}

TEST_F(ServerTest, ReadsARequestHoweverItIsCut) {
  start();
  const std::string text = post("/a", "0123456789");
  Client c = client();
  for (const char byte : text) c.send(std::string_view(&byte, 1));
  EXPECT_NE(c.read("0123456789").find("200 OK"), std::string::npos);
}

TEST_F(ServerTest, AnswersPipelinedRequestsInTheirOrder) {
  start();
  Client c = client();
  c.send(post("/slow", "first.") + post("/a", "second") + post("/slow", "third.") +
         post("/a", "fourth"));
  const std::string got = c.read("fourth");
  const auto at = [&](const char* word) { return got.find(word); };
  EXPECT_LT(at("first."), at("second"));
  EXPECT_LT(at("second"), at("third."));
  EXPECT_LT(at("third."), at("fourth"));
}

TEST_F(ServerTest, ManySlowRequestsPipelinedInOneGoAllComeBack) {
  start();
  Client c = client();
  std::string text;
  for (int i = 0; i < 200; ++i) text += post("/slow", "<" + std::to_string(i) + ">");
  text += post("/a", "the end");
  c.send(text);
  const std::string got = c.read("the end");
  std::size_t from = 0;
  for (int i = 0; i < 200; ++i) {
    from = got.find("<" + std::to_string(i) + ">", from);
    ASSERT_NE(from, std::string::npos) << i;
  }
}

TEST_F(ServerTest, ReadsLargeAndChunkedBodies) {
  start();
  const std::string large(3 * 1024 * 1024, 'b');
  Client c = client();
  std::thread sender([&] { c.send(post("/slow", large) + post("/a", "behind")); });
  std::string got = c.read("behind");
  sender.join();
  EXPECT_NE(got.find(large), std::string::npos);
  c.send(
      "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "6\r\nchunke\r\n7;x=y\r\nd body.\r\n0\r\nX-Trailer: z\r\n\r\n" +
      post("/a", "behind"));
  got = c.read("behind");
  EXPECT_NE(got.find("chunked body."), std::string::npos);
  EXPECT_EQ(got.find("x-trailer"), std::string::npos);
}

TEST_F(ServerTest, SaysContinueBeforeABodyThatWaitsForIt) {
  start();
  Client c = client();
  c.send("POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(c.read("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  c.send("hello");
  EXPECT_NE(c.read("hello").find("200 OK"), std::string::npos);
}

TEST_F(ServerTest, StreamsInChunksAndToHttp10UntilTheEnd) {
  start();
  Client c = client();
  c.send(post("/stream", ""));
  const std::string got = c.read("0\r\n\r\n");
  EXPECT_NE(got.find("transfer-encoding: chunked"), std::string::npos);
  EXPECT_NE(got.find("4\r\none \r\n"), std::string::npos);
  Client old = client();
  old.send("POST /stream HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(old.read("").ends_with("\r\n\r\none two three<end>"));
}

TEST_F(ServerTest, RefusesABadMessageAndClosesAfterTheAnswerWasRead) {
  start();
  Client c = client();
  // More than the socket buffers hold: without a lingering close this would be a reset.
  std::thread sender(
      [&] { c.send("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(1 << 20, 'a') + "\r\n\r\n"); });
  const std::string got = c.read("");
  sender.join();
  EXPECT_TRUE(got.starts_with("HTTP/1.1 431 ")) << got;
  EXPECT_NE(got.find("connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(got.ends_with("<end>"));
}

TEST_F(ServerTest, RefusesABodyOverTheBoundWhicheverWayItComes) {
  ServerLimits limits;
  limits.body_bytes = 1000;
  start(limits);
  Client c = client();
  c.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n");
  EXPECT_TRUE(c.read("").starts_with("HTTP/1.1 413 "));
  Client d = client();
  d.send("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" +
         std::string(1001, 'a'));
  EXPECT_TRUE(d.read("").starts_with("HTTP/1.1 413 "));
}

TEST_F(ServerTest, TellsTheHandlerThatTheClientLeft) {
  start();
  Client c = client();
  c.send(post("/hang", ""));
  while (echo_.hanging.load() == 0) std::this_thread::yield();
  c.close();
  EXPECT_EQ(echo_.left.get_future().wait_for(2s), std::future_status::ready);
}

TEST_F(ServerTest, HoldsTheHandlerBackWhileTheClientReadsNothingThenLetsGo) {
  ServerLimits limits;
  limits.write_stall = 300ms;
  start(limits);
  Client c = client();
  c.send(post("/flood", ""));
  EXPECT_EQ(echo_.ended.get_future().wait_for(5s), std::future_status::ready);
  EXPECT_LT(echo_.flooded.load(), 1000);  // what the socket buffers took, not more
}

TEST_F(ServerTest, CutsSlowHeadsAndBodies) {
  ServerLimits limits;
  limits.first_header = 100ms;
  limits.body = 100ms;
  start(limits);
  Client silent = client();
  Client half = client();
  half.send("GET / HTTP/1.1\r\nHost:");
  Client body = client();
  body.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
  EXPECT_TRUE(silent.read("").starts_with("HTTP/1.1 408 "));
  EXPECT_TRUE(half.read("").starts_with("HTTP/1.1 408 "));
  EXPECT_TRUE(body.read("").starts_with("HTTP/1.1 408 "));
}

TEST_F(ServerTest, ClosesAnIdleConnectionWithoutAWord) {
  ServerLimits limits;
  limits.idle = 100ms;
  start(limits);
  Client c = client();
  c.send(post("/a", "x"));
  const std::string got = c.read("");
  EXPECT_TRUE(got.ends_with("x<end>")) << got;
}

TEST_F(ServerTest, AConnectionThatWentColdStillAnswers) {
  start();
  Client c = client();
  c.send(post("/a", "warm"));
  c.read("warm");
  pollfd wait{c.fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&wait, 1, 1500), 0);  // long after its buffers were given back
  c.send(post("/a", "again"));
  EXPECT_NE(c.read("again").find("200 OK"), std::string::npos);
}

TEST_F(ServerTest, DrainsWithoutLosingWhatWasAsked) {
  start();
  Client idle = client();
  idle.send(post("/a", "x"));
  idle.read("x");
  Client busy = client();
  busy.send(post("/slow", "answered"));
  busy.send("");
  Client hanging = client();
  hanging.send(post("/hang", ""));
  while (echo_.hanging.load() == 0) std::this_thread::yield();
  asio::post(loop_.executor(), [this] { server_->drain(); });
  EXPECT_EQ(idle.read(""), "<end>");
  EXPECT_NE(busy.read("").find("answered"), std::string::npos);
  asio::post(loop_.executor(), [this] { server_->call_off(); });
  EXPECT_EQ(hanging.read(""), "<end>");
}

TEST_F(ServerTest, GivesOthersTheirTurnBetweenManyRequestsOfOne) {
  listen();
  // Both have sent before the loop looks: it comes to the one with many first.
  Client one = client();
  Client other = client();
  constexpr int kMany = 1500;
  std::string many;
  for (int i = 0; i < kMany; ++i) many += "GET /many HTTP/1.1\r\nHost: a\r\n\r\n";
  one.send(many);
  other.send("GET /other HTTP/1.1\r\nHost: a\r\n\r\n");
  thread_ = std::thread([this] { loop_.run(); });
  EXPECT_TRUE(other.read("x-path: /other").starts_with("HTTP/1.1 200"));
  one.send("GET /last HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_NE(one.read("x-path: /last").find("/many"), std::string::npos);
  EXPECT_EQ(echo_.many, kMany);  // and none of them was lost
  EXPECT_GT(echo_.many_before_other, 0);
  EXPECT_LT(echo_.many_before_other, kMany);
}

TEST_F(ServerTest, SetsNoDelayOnWhatItAccepts) {
  start();
  // Nagle's algorithm would hold the second write back until the first is acknowledged, which a
  // client's delayed ACK makes 40 ms: two pieces of a stream must come at once.
  Client c = client();
  const Time begun = Clock::now();
  for (int i = 0; i < 10; ++i) {
    c.send(post("/stream", ""));
    c.read("0\r\n\r\n");
  }
  EXPECT_LT(Clock::now() - begun, 10 * 40ms);
}

}  // namespace
}  // namespace penstock::http
