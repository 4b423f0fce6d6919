#include "gateway/gateway.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <thread>

#include "gateway/passthrough.h"
#include "gateway/recorder.h"

// Every allocation of this test program is counted while a test asks for it. The sanitizers bring
// allocators of their own, which must stay whole.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PENSTOCK_COUNTS 0
#else
#define PENSTOCK_COUNTS 1
#endif

namespace {
std::atomic<bool> counting{false};
std::atomic<std::size_t> allocations{0};

#if PENSTOCK_COUNTS
void* counted(std::size_t size) {
  if (counting.load(std::memory_order_relaxed)) {
    allocations.fetch_add(1, std::memory_order_relaxed);
  }
  if (void* const memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
#endif
}  // namespace

#if PENSTOCK_COUNTS

void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
#endif

namespace penstock::gateway {
namespace {

constexpr const char* kSettings = R"(
engines:
  - name: sim
    kind: simulated
    simulated: {first_token: 0s, tokens_per_second: 1000000, tokens: 50, slots: 1000}
models: [{name: m, engines: [sim]}]
)";

std::string request(const std::string& body) {
  return "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
         "User-Agent: test/1.0\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string question(int number, const char* more = R"("temperature":0)") {
  return R"({"model":"m",)" + std::string(more) +
         R"(,"messages":[{"role":"user","content":"Question )" + std::to_string(number) +
         R"( about the gates, which is long enough to be one that somebody might ask."}]})";
}

// A whole gateway on one loop, and a client's socket that allocates nothing.
class GatewayTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto parsed =
        settings::parse(kSettings, "test.yaml", [](const std::string&) { return std::nullopt; });
    ASSERT_TRUE(parsed);
    settings_ = *parsed;
    house_ = std::make_unique<House>(*settings_, registry_, log_);
    ASSERT_TRUE(house_->engines.open(*settings_));
    gateway_ = std::make_unique<Gateway>(loop_, *house_, settings_);
    server_ = std::make_unique<http::Server>(loop_, *gateway_, http::ServerLimits{},
                                             http::ServerMetrics(registry_.shard(0)),
                                             house_->connections);
    const auto bound =
        server_->listen(asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    ASSERT_TRUE(bound);
    thread_ = std::thread([this] { loop_.run(); });
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    ASSERT_EQ(::connect(fd_, bound->data(), static_cast<socklen_t>(bound->size())), 0);
  }

  void TearDown() override {
    ::close(fd_);
    asio::post(loop_.executor(), [this] {
      server_->drain();
      server_->close_all();
      asio::post(loop_.executor(), [this] { loop_.stop(); });
    });
    thread_.join();
  }

  // Sends and reads one answer; returns its head.
  std::string_view ask(std::string_view text) {
    EXPECT_EQ(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
    std::size_t got = 0;
    for (;;) {
      pollfd wait{fd_, POLLIN, 0};
      if (::poll(&wait, 1, 5000) <= 0) return {};
      const ssize_t n = ::recv(fd_, answer_.data() + got, answer_.size() - got, 0);
      if (n <= 0) return {};
      got += static_cast<std::size_t>(n);
      const std::string_view so_far(answer_.data(), got);
      const std::size_t head = so_far.find("\r\n\r\n");
      const std::size_t at = so_far.find("content-length: ");
      if (head == std::string_view::npos || at == std::string_view::npos) continue;
      const std::size_t length = std::strtoul(so_far.data() + at + 16, nullptr, 10);
      if (got >= head + 4 + length) return so_far.substr(0, head);
    }
  }

  std::FILE* null_ = std::fopen("/dev/null", "w");
  observe::Log log_{{observe::Level::error, observe::LogFormat::json, null_}};
  observe::Registry registry_{2};
  settings::SettingsPtr settings_;
  Loop loop_;
  std::unique_ptr<House> house_;
  std::unique_ptr<Gateway> gateway_;
  std::unique_ptr<http::Server> server_;
  std::thread thread_;
  int fd_ = -1;
  std::array<char, 64 * 1024> answer_{};
};

TEST_F(GatewayTest, AHotHitAllocatesNothing) {
  const std::string text = request(question(1));
  EXPECT_NE(ask(text).find("x-penstock-cache: miss"), std::string_view::npos);
  for (int i = 0; i < 20; ++i) ask(text);  // pools and buffers reach their sizes
  allocations = 0;
  counting = true;
  bool hits = true;
  for (int i = 0; i < 1000; ++i) {
    hits = hits && ask(text).find("x-penstock-cache: hit; level=memory") != std::string_view::npos;
  }
  counting = false;
  EXPECT_TRUE(hits);
  EXPECT_EQ(allocations.load(), 0u);
}

TEST_F(GatewayTest, AMissAllocatesAStatedNumberOfBlocks) {
  std::vector<std::string> texts;
  for (int i = 0; i < 1100; ++i) texts.push_back(request(question(i, R"("temperature":1)")));
  for (int i = 0; i < 100; ++i) ask(texts[static_cast<std::size_t>(i)]);
  allocations = 0;
  counting = true;
  for (std::size_t i = 100; i < texts.size(); ++i) ask(texts[i]);
  counting = false;
  // The simulated engine's own answer is among them; two are of the trace: its steps, and its id in
  // the ledger's row.
  EXPECT_LE(allocations.load() / 1000, 29u);
  RecordProperty("allocations_per_miss", static_cast<int>(allocations.load() / 1000));
}

TEST_F(GatewayTest, TheSameQuestionInOtherWordsOfJsonIsAHit) {
  EXPECT_NE(ask(request(question(7))).find("miss"), std::string_view::npos);
  const std::string other =
      R"( { "messages" : [{"content":"Question 7 about the gates, which is long enough to be one that )"
      R"(somebody m\u0069ght ask.","role":"user"}], "temperature":0.0, "model":"m", "user":"x" })";
  EXPECT_NE(ask(request(other)).find("hit; level=memory"), std::string_view::npos);
}

TEST_F(GatewayTest, NewSettingsMakeKnownBytesBeReadAgain) {
  const std::string text = request(question(3));
  for (int i = 0; i < 3; ++i) ask(text);
  const double before = registry_.sum("penstock_cache_requests_total", {{"result", "hit"}});
  asio::post(loop_.executor(), [this] { gateway_->load(settings_, 2); });
  EXPECT_NE(ask(text).find("hit"), std::string_view::npos);
  EXPECT_EQ(registry_.sum("penstock_cache_requests_total", {{"result", "hit"}}), before + 1);
}

TEST_F(GatewayTest, SamplesToolsAndWhatTheClientForbidsAreNotKept) {
  const auto reason = [&](const char* more, const char* header = "") {
    std::string text = request(question(9, more));
    text.insert(text.find("User-Agent"), header);
    const std::string_view head = ask(text);
    const std::size_t at = head.find("x-penstock-cache: ");
    return std::string(head.substr(at + 18, head.find("\r\n", at) - at - 18));
  };
  EXPECT_EQ(reason(R"("top_p":1)"), "bypass; reason=sampled");
  EXPECT_EQ(reason(R"("seed":4)"), "miss");
  EXPECT_EQ(reason(R"("seed":4)"), "hit; level=memory");
  EXPECT_EQ(reason(R"("seed":4)", "Cache-Control: no-store\r\n"), "bypass; reason=no-store");
  EXPECT_EQ(reason(R"("temperature":0,"tools":[{"type":"function"}])"), "miss");
  EXPECT_EQ(reason(R"("temperature":0,"store":true)"), "bypass; reason=no-store");
}

TEST(Passthrough, FindsTheModelOfAForm) {
  const std::string type = "multipart/form-data; boundary=\"xyz\"";
  const std::string body =
      "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"model\"\r\n\r\n"
      "name=\"model\"\r\n--xyz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n"
      "whisper-1\r\n--xyz--\r\n";
  EXPECT_EQ(multipart_field(type, body, "model"), "whisper-1");
  EXPECT_EQ(multipart_field(type, body, "language"), "");
  for (std::size_t n = 0; n < body.size() - 20; ++n) {
    EXPECT_NE(multipart_field(type, body.substr(0, n), "model"), "whisper-1") << n;
  }
  EXPECT_EQ(multipart_field("multipart/form-data", body, "model"), "");
}

TEST(Passthrough, FindsTheModelOfAFormHoweverItsNameIsWritten) {
  const std::string type = "Multipart/Form-Data; charset=utf-8; Boundary=xyz";
  const auto model = [&](const std::string& disposition) {
    return std::string(multipart_field(
        type, "--xyz\r\nX-A: b\r\n" + disposition + "\r\n\r\nm\r\n--xyz--\r\n", "model"));
  };
  EXPECT_EQ(model("Content-Disposition: form-data; name=model"), "m");
  EXPECT_EQ(model("content-disposition: form-data;NAME=\"model\""), "m");
  EXPECT_EQ(model("CONTENT-DISPOSITION: form-data; a=\"; name=x\"; Name=model ; b"), "m");
  EXPECT_EQ(model("Content-Disposition: form-data; name=models"), "");
  EXPECT_EQ(model("Content-Disposition: form-data; xname=model"), "");
  EXPECT_EQ(model("Content-Disposition: form-data; a=\"; name=model\""), "");
  EXPECT_EQ(model("Content-Disposition: form-data; name=\"model"), "");
  EXPECT_EQ(model("Content-Disposition: form-data; name=model; filename=a"), "");
  EXPECT_EQ(model("Content-Disposition: form-data; name=model; FileName*=UTF-8''a"), "");
  EXPECT_EQ(model("X-Other: form-data; name=model"), "");
}

TEST(Passthrough, PutsAnotherNameIntoAForm) {
  Question question;
  question.content_type = "multipart/form-data; boundary=xyz";
  const std::string head = "--xyz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n";
  const std::string body = head + "small\r\n--xyz--\r\n";
  question.body = body;
  question.model = "small";
  EXPECT_EQ(form_with_model(question, "org/large"), head + "org/large\r\n--xyz--\r\n");
  EXPECT_EQ(form_with_model(question, "small"), std::nullopt);
  question.content_type = "application/json";
  EXPECT_EQ(form_with_model(question, "org/large"), std::nullopt);
}

TEST(Passthrough, KnowsTheCodingOfABody) {
  const auto coding = [](std::vector<std::string_view> encodings) {
    http::RequestHead head;
    for (const std::string_view encoding : encodings) {
      head.fields.push_back({"content-encoding", encoding});
    }
    return body_coding(head);
  };
  EXPECT_EQ(*coding({}), std::nullopt);
  EXPECT_EQ(*coding({""}), std::nullopt);
  EXPECT_EQ(*coding({"Identity"}), std::nullopt);
  EXPECT_EQ(*coding({"GZIP"}), http::Coding::gzip);
  EXPECT_EQ(*coding({"", "identity", "deflate"}), http::Coding::deflate);

  const Refusal brotli = coding({"br"}).error();
  EXPECT_EQ(brotli.status, 415);
  EXPECT_EQ(brotli.message,
            "The body's content-encoding is br; it may be one of gzip, deflate, or none.");
  EXPECT_EQ(brotli.accept_encoding, "gzip, deflate");
  EXPECT_EQ(coding({"gzip, gzip"}).error().status, 415);
  for (const Refusal& other : {coding({"\x1b[31m"}).error(), coding({"gzip", "gzip"}).error()}) {
    EXPECT_EQ(other.message,
              "The body's content-encoding is not known; it may be one of gzip, deflate, or none.");
  }
}

TEST(Passthrough, KnowsJsonByItsType) {
  EXPECT_TRUE(is_json("application/json"));
  EXPECT_TRUE(is_json("Application/JSON; charset=utf-8"));
  EXPECT_TRUE(is_json("application/vnd.api+json"));
  EXPECT_FALSE(is_json("text/plain"));
  EXPECT_FALSE(is_json(""));
}

TEST(RequestId, IsTakenFromTheClientOnlyIfItIsHarmless) {
  EXPECT_TRUE(usable_request_id("abc-123"));
  EXPECT_FALSE(usable_request_id(""));
  EXPECT_FALSE(usable_request_id("a b"));
  EXPECT_FALSE(usable_request_id("a\x1b[31m"));
  EXPECT_FALSE(usable_request_id(std::string(129, 'a')));
}

}  // namespace
}  // namespace penstock::gateway
