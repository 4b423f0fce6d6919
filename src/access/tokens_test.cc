#include "access/tokens.h"

#include <gtest/gtest.h>

#include "access/jwt_testing.h"
#include "access/office.h"
#include "access/testing.h"
#include "http/client_testing.h"

namespace penstock::access {
namespace {

const WallTime kNow{std::chrono::seconds(1'800'000'000)};

// A place where keys are fetched, whose answer changes.
class Source {
 public:
  explicit Source(std::string body) : body_(std::move(body)) {}

  std::string url() const { return "http://127.0.0.1:" + std::to_string(engine_.port()) + "/jwks"; }
  std::uint16_t port() const { return engine_.port(); }
  int fetches() const { return fetches_; }
  void answer(std::string body, std::string status = "200 OK", std::string fields = "") {
    const std::lock_guard lock(mutex_);
    body_ = std::move(body);
    status_ = std::move(status);
    fields_ = std::move(fields);
  }
  std::string asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  void serve(http::Wire& wire) {
    for (;;) {
      std::string head = wire.head();
      if (head.empty()) return;
      std::string text;
      {
        const std::lock_guard lock(mutex_);
        asked_ = std::move(head);
        text = "HTTP/1.1 " + status_ + "\r\n" + fields_ +
               "content-length: " + std::to_string(body_.size()) + "\r\n\r\n" + body_;
      }
      ++fetches_;
      if (!wire.send(text)) return;
    }
  }

  mutable std::mutex mutex_;
  std::string body_;
  std::string status_ = "200 OK";
  std::string fields_;
  std::string asked_;
  std::atomic<int> fetches_{0};
  http::FakeEngine engine_{[this](http::Wire& wire) { serve(wire); }};
};

class TokensTest : public DatabaseTest {
 protected:
  TokensTest() {
    KeyBookOptions options;
    options.secret = "secret";
    options.poll = 5ms;
    book_ = std::make_unique<KeyBook>(options, *database_, registry_, log_);
    book_->start();
    EXPECT_TRUE(within_reason([&] { return book_->ready(); }));
  }
  // Whoever asks ends before whoever is asked.
  ~TokensTest() override {
    tokens_.reset();
    source_.reset();
    book_.reset();
  }

  Source& serve(std::string body) {
    source_ = std::make_unique<Source>(std::move(body));
    return *source_;
  }

  void open(const std::string& url, Duration at_most_each = 10s, Duration refresh = 5min) {
    TokensOptions options;
    options.rules = JwtRules{"https://id.example", "penstock"};
    options.jwks_url = url;
    options.at_most_each = at_most_each;
    options.refresh = refresh;
    auto made = Tokens::make(options, *book_, registry_, log_);
    ASSERT_TRUE(made.ok()) << made.error().detail;
    tokens_ = *std::move(made);
    tokens_->start();
  }
  static std::string claims(Duration left = 1h, const std::string& tenant = "acme") {
    return R"({"iss":"https://id.example","aud":["penstock"],"sub":"ada","tenant":")" + tenant +
           R"(","exp":)" + std::to_string(seconds(kNow + left)) + "}";
  }
  Result<CallerPtr, Refused> find(const std::string& token, WallTime now = kNow) {
    return store::wait(5s, [&](Deadline& d) { return tokens_->find(token, now, d); });
  }

  std::unique_ptr<KeyBook> book_;
  std::unique_ptr<Source> source_;
  std::unique_ptr<Tokens> tokens_;
  SigningKey first_{"first", Algorithm::es256};
  SigningKey second_{"second", Algorithm::eddsa};
};

TEST_F(TokensTest, AVerifiedTokenIsKnownUntilItsEnd) {
  Source& source = serve(jwks_of({first_.jwk()}));
  open(source.url());
  const std::string token = first_.sign(claims());
  EXPECT_EQ(tokens_->known(token, kNow), nullptr);
  const auto caller = find(token);  // waits for the first fetch
  ASSERT_TRUE(caller.ok()) << caller.error().detail;
  EXPECT_EQ((*caller)->tenant, "acme");
  EXPECT_EQ((*caller)->key, "ada");
  EXPECT_EQ((*caller)->cache_scope, "t:acme");
  EXPECT_EQ(tokens_->known(token, kNow), *caller);
  EXPECT_EQ(tokens_->known(token, kNow + 1h + 59s), *caller);
  EXPECT_EQ(tokens_->known(token, kNow + 1h + 60s), nullptr);
  EXPECT_EQ(find(token, kNow + 1h + 60s).error().why, Refused::Why::expired);
  EXPECT_TRUE(source.asked().starts_with("GET /jwks HTTP/1.1\r\n"));
}

TEST_F(TokensTest, AKeyThatIsNewAtTheSourceIsFetchedOnce) {
  Source& source = serve(jwks_of({first_.jwk()}));
  open(source.url(), 50ms);
  ASSERT_TRUE(find(first_.sign(claims())).ok());
  source.answer(jwks_of({first_.jwk(), second_.jwk()}));
  EXPECT_TRUE(within_reason([&] { return find(second_.sign(claims())).ok(); }));
  EXPECT_TRUE(find(first_.sign(claims())).ok());
}

TEST_F(TokensTest, UnknownKeysDoNotMakeItFetchMoreOftenThanAllowed) {
  Source& source = serve(jwks_of({first_.jwk()}));
  open(source.url(), 1h);
  ASSERT_TRUE(find(first_.sign(claims())).ok());
  const int before = source.fetches();
  for (int i = 0; i < 20; ++i) {
    const SigningKey stranger("stranger-" + std::to_string(i), Algorithm::eddsa);
    EXPECT_EQ(find(stranger.sign(claims())).error().why, Refused::Why::unknown);
  }
  EXPECT_EQ(source.fetches(), before);
}

TEST_F(TokensTest, AKeyThatIsTakenBackEndsItsTokens) {
  Source& source = serve(jwks_of({first_.jwk(), second_.jwk()}));
  open(source.url(), 5ms, 20ms);
  const std::string token = first_.sign(claims());
  ASSERT_TRUE(find(token).ok());
  source.answer(jwks_of({second_.jwk()}));
  EXPECT_TRUE(within_reason([&] { return tokens_->known(token, kNow) == nullptr; }));
  EXPECT_EQ(find(token).error().why, Refused::Why::unknown);
}

TEST_F(TokensTest, WhileTheSourceIsAwayTheOldKeysStay) {
  Source& source = serve(jwks_of({first_.jwk()}));
  open(source.url(), 5ms, 5ms);
  ASSERT_TRUE(find(first_.sign(claims())).ok());
  for (const auto& [status, body, fields] :
       {std::tuple<std::string, std::string, std::string>{"500 No", "", ""},
        {"200 OK", "not JSON", ""},
        {"200 OK", R"({"keys":[]})", ""},
        {"200 OK", std::string(300 * 1024, ' '), ""},
        {"302 Found", "", "location: /other\r\n"}}) {
    source.answer(body, status, fields);
    const int before = source.fetches();
    ASSERT_TRUE(within_reason([&] { return source.fetches() > before + 1; })) << status;
    EXPECT_TRUE(find(first_.sign(claims(2h))).ok()) << status << body.size();
    EXPECT_TRUE(source.asked().starts_with("GET /jwks ")) << status;
  }
}

TEST_F(TokensTest, WithoutAnyKeysNobodyIsLetInAndItIsNotTheirFault) {
  Source& source = serve("");
  source.answer("", "503 Away");
  open(source.url());
  EXPECT_EQ(find(first_.sign(claims())).error().why, Refused::Why::error);
  EXPECT_EQ(find("").error().why, Refused::Why::missing);
  EXPECT_EQ(find("pk_abc").error().why, Refused::Why::malformed);
}

TEST_F(TokensTest, KeysComeOverHttpsOrFromThisMachine) {
  for (const char* url : {"http://id.example/jwks", "http://10.0.0.1/jwks", "ftp://x", "",
                          "http://127.0.0.1.example/jwks"}) {
    TokensOptions options;
    options.jwks_url = url;
    EXPECT_FALSE(Tokens::make(options, *book_, registry_, log_).ok()) << url;
  }
  for (const char* url : {"https://id.example/jwks", "http://localhost:1/jwks", "http://[::1]/j"}) {
    TokensOptions options;
    options.jwks_url = url;
    EXPECT_TRUE(Tokens::make(options, *book_, registry_, log_).ok()) << url;
  }
}

TEST_F(TokensTest, WhatIsSaidOfATenantHoldsForItsTokens) {
  Source& source = serve(jwks_of({first_.jwk()}));
  open(source.url());
  const std::string token = first_.sign(claims());
  ASSERT_TRUE(find(token).ok());
  Office office(*database_, "secret", [](std::string_view) { return false; });
  KeyChange fields;
  fields.models = {"small"};
  fields.scope = CacheScope::key;
  const Actor actor{"user ada", "here"};
  ASSERT_TRUE(store::wait(5s, [&](Deadline& d) {
                return office.create_tenant("acme", fields, actor, kNow, d);
              }).ok());
  EXPECT_TRUE(within_reason([&] { return tokens_->known(token, kNow) == nullptr; }));
  const auto caller = find(token);
  ASSERT_TRUE(caller.ok());
  EXPECT_EQ((*caller)->tenant_models, std::vector<std::string>{"small"});
  EXPECT_EQ((*caller)->cache_scope, "k:acme:ada");
  ASSERT_TRUE(store::wait(5s, [&](Deadline& d) {
                return office.delete_tenant("acme", actor, kNow, d);
              }).ok());
  EXPECT_TRUE(within_reason([&] {
    const auto now = find(token);
    return !now.ok() && now.error().why == Refused::Why::revoked;
  }));
}

}  // namespace
}  // namespace penstock::access
