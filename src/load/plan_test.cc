#include "load/plan.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <set>

#include "load/load.h"

namespace penstock::load {
namespace {

constexpr Time kStart{1000s};
const Target kTarget{"127.0.0.1", "8080", "/v1/chat/completions"};

std::string whole(const Request& request) {
  return std::string(request.front) + std::string(request.tail);
}
std::string body_of(const std::string& request) {
  return request.substr(request.find("\r\n\r\n") + 4);
}

// A file that is gone at the end of the test.
class TempFile {
 public:
  TempFile(std::string_view ending, std::string_view text) {
    std::string name = "/tmp/penstock_plan_XXXXXX" + std::string(ending);
    const int fd = mkstemps(name.data(), static_cast<int>(ending.size()));
    EXPECT_GE(fd, 0);
    EXPECT_EQ(write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    close(fd);
    path_ = name;
  }
  ~TempFile() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(Zipf, RanksAreAskedInProportionToTheirPower) {
  constexpr std::uint32_t kRanks = 1000;
  constexpr int kDraws = 2'000'000;
  for (const double exponent : {0.0, 0.9, 1.2}) {
    const Zipf zipf(kRanks, exponent);
    Random random(3);
    std::vector<int> count(kRanks);
    for (int i = 0; i < kDraws; ++i) ++count[zipf.pick(random)];
    double sum = 0;
    for (std::uint32_t k = 1; k <= kRanks; ++k) sum += std::pow(k, -exponent);
    for (const std::uint32_t k : {1u, 2u, 10u, 100u, 1000u}) {
      const double expected = std::pow(k, -exponent) / sum * kDraws;
      EXPECT_NEAR(count[k - 1], expected, 5 * std::sqrt(expected)) << exponent << " rank " << k;
    }
  }
}

TEST(Zipf, TheSameSeedAsksTheSameQuestions) {
  const Zipf zipf(100, 0.9);
  Random one(5);
  Random other(5);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(zipf.pick(one), zipf.pick(other));
}

TEST(Zipf, OneQuestionIsAlwaysAsked) {
  const Zipf zipf(1, 0.9);
  Random random(1);
  EXPECT_EQ(zipf.pick(random), 0u);
}

TEST(Schedule, TheThreadsTogetherSendAtAConstantRateWithoutDrift) {
  Schedule first(kStart, 300, 0, 2);
  Schedule second(kStart, 300, 1, 2);
  for (int i = 0; i < 300'000; i += 2) {
    EXPECT_EQ(first.next(), kStart + Duration(std::llround(i * 1e9 / 300)));
    EXPECT_EQ(second.next(), kStart + Duration(std::llround((i + 1) * 1e9 / 300)));
    first.advance();
    second.advance();
  }
  EXPECT_EQ(first.next(), kStart + 1000s);
}

TEST(Schedule, WhatIsOverdueStaysDueAtItsOwnTime) {
  Schedule schedule(kStart, 1000, 0, 1);
  const Time stalled_until = kStart + 1s;
  int due = 0;
  while (schedule.next() < stalled_until) {
    EXPECT_EQ(schedule.next(), kStart + due * 1ms);
    ++due;
    schedule.advance();
  }
  EXPECT_EQ(due, 1000);
}

TEST(Target, AUrlIsTakenApart) {
  Result<Target> target = parse_target("http://localhost:9000");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->host, "localhost");
  EXPECT_EQ(target->port, "9000");
  EXPECT_EQ(target->path, "/v1/chat/completions");
  target = parse_target("http://[::1]/ai/v1/");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->host, "[::1]");
  EXPECT_EQ(target->port, "80");
  EXPECT_EQ(target->path, "/ai/v1/chat/completions");
}

TEST(Target, WhatIsNoUrlIsRefused) {
  for (const char* url :
       {"", "localhost:80", "https://a", "http://", "http://:80", "http://a:x",
        "http://a:", "http://u@a", "http://a/?x", "http://a/ b", "http://a\r\nb"}) {
    EXPECT_FALSE(parse_target(url)) << url;
  }
}

TEST(Plan, ARequestHasTheSizeThatWasAskedForAndSaysSo) {
  for (const std::size_t bytes : {std::size_t{400}, std::size_t{1024}, std::size_t{16} * 1024,
                                  std::size_t{16} * 1024 + 1, std::size_t{1024} * 1024}) {
    Options options;
    options.body_bytes = bytes;
    options.questions = 3;
    Result<Plan> plan = Plan::make(options, kTarget);
    ASSERT_TRUE(plan);
    std::set<std::string> bodies;
    for (std::uint32_t i = 0; i < 3; ++i) {
      const std::string request = whole(plan->request(i));
      EXPECT_NE(request.find("content-length: " + std::to_string(bytes) + "\r\n"),
                std::string::npos);
      const std::string body = body_of(request);
      EXPECT_EQ(body.size(), bytes);
      EXPECT_TRUE(
          body.starts_with(R"({"model":"handbook","messages":[{"role":"user","content":")"));
      EXPECT_TRUE(body.ends_with(R"("}],"temperature":0})"));
      bodies.insert(body);
    }
    EXPECT_EQ(bodies.size(), 3u);
  }
}

TEST(Plan, LargeBodiesShareTheirBytes) {
  Options options;
  options.body_bytes = 1 << 20;
  options.questions = 1000;
  Result<Plan> plan = Plan::make(options, kTarget);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->request(0).tail.data(), plan->request(999).tail.data());
  EXPECT_LT(plan->request(0).front.size(), 1024u);
}

TEST(Plan, UniqueQuestionsDifferInTheirNumberAlone) {
  Options options;
  options.unique = true;
  options.stream = true;
  Result<Plan> plan = Plan::make(options, kTarget);
  ASSERT_TRUE(plan);
  std::string scratch;
  const std::string one = whole(plan->unique(41, scratch));
  const std::string other = whole(plan->unique(1234567890123, scratch));
  EXPECT_NE(one.find("Question 0000000000000041 "), std::string::npos);
  EXPECT_NE(other.find("Question 0001234567890123 "), std::string::npos);
  EXPECT_EQ(one.size(), other.size());
  EXPECT_TRUE(one.ends_with(R"("temperature":0,"stream":true})"));
}

TEST(Plan, HeadersAreSentAlongButNoneOfItsOwn) {
  Options options;
  options.headers = {"Authorization: Bearer x", "x-empty:"};
  Result<Plan> plan = Plan::make(options, kTarget);
  ASSERT_TRUE(plan);
  const std::string request = whole(plan->request(0));
  EXPECT_NE(request.find("\r\nauthorization: Bearer x\r\nx-empty: \r\n"), std::string::npos);
  for (const char* bad :
       {"no colon", ": x", "a b: c", "content-length: 1", "Host: a", "a: b\r\nc: d"}) {
    options.headers = {bad};
    EXPECT_FALSE(Plan::make(options, kTarget)) << bad;
  }
}

TEST(Plan, QuestionsComeFromATextFile) {
  const TempFile file(".txt", "What is a \"valve\"?\r\n\n  \nAnd\ta pipe?\n");
  Options options;
  options.file = file.path();
  Result<Plan> plan = Plan::make(options, kTarget);
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan->size(), 2u);
  EXPECT_NE(whole(plan->request(0)).find(R"("content":"What is a \"valve\"?")"), std::string::npos);
  EXPECT_NE(whole(plan->request(1)).find(R"("content":"And\u0009a pipe?")"), std::string::npos);
}

TEST(Plan, QuestionsComeFromJsonLinesOfThreeKinds) {
  const TempFile file(".jsonl",
                      "\"Why?\"\n{\"id\":1,\"question\":\"How\\n?\"}\n"
                      "{\"model\":\"m\",\"messages\":[]}\n");
  Options options;
  options.file = file.path();
  Result<Plan> plan = Plan::make(options, kTarget);
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan->size(), 3u);
  EXPECT_NE(whole(plan->request(0)).find(R"("content":"Why?")"), std::string::npos);
  EXPECT_NE(whole(plan->request(1)).find(R"("content":"How\u000a?")"), std::string::npos);
  EXPECT_EQ(body_of(whole(plan->request(2))), R"({"model":"m","messages":[]})");
}

TEST(Plan, ALineThatIsNoQuestionIsNamed) {
  const TempFile file(".jsonl", "\"Why?\"\n{\"x\":1}\n");
  Options options;
  options.file = file.path();
  Result<Plan> plan = Plan::make(options, kTarget);
  ASSERT_FALSE(plan);
  EXPECT_NE(plan.error().detail.find(".jsonl:2: "), std::string::npos) << plan.error().detail;
}

}  // namespace
}  // namespace penstock::load
