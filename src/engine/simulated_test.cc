#include "engine/simulated.h"

#include <gtest/gtest.h>

#include "base/sleep.h"

namespace penstock::engine {
namespace {

class SimulatedTest : public testing::Test {
 protected:
  SimulatedTest() {
    options_.behaviour.first_token = Duration{};
    options_.behaviour.tokens_per_second = 0;
    options_.behaviour.slots = 2;
    options_.behaviour.queue = 1;
  }

  std::shared_ptr<SimulatedEngine> engine() {
    return std::make_shared<SimulatedEngine>(
        options_,
        std::make_shared<SimulatedHall>(options_.behaviour.slots, options_.behaviour.queue));
  }

  static std::string body(int number) {
    return R"({"model":"m","messages":[{"role":"user","content":")" + std::to_string(number) +
           R"("}]})";
  }

  // One answer; of a stream all its bytes. `left` is called off when the loop turns first.
  Result<Answer> ask(SimulatedEngine& engine, const std::string& text, bool stream = false,
                     Duration patience = 10s) {
    std::optional<Result<Answer>> result;
    const auto whole = [](SimulatedEngine* from, const std::string* asked, bool streamed,
                          Duration limit, Loop* loop,
                          std::optional<Result<Answer>>* to) -> Task<void> {
      Question question;
      question.endpoint = Endpoint::chat;
      question.body = *asked;
      question.model = "m";
      question.stream = streamed;
      const Call call{question, "m", {}, "id", false};
      {
        Deadline deadline(*loop, Clock::now() + limit);
        Result<Answer> answer = co_await from->call(call, deadline);
        while (answer && answer->rest) {
          Result<std::string_view> piece = co_await answer->rest->next(deadline);
          if (!piece) {
            answer = std::move(piece).error();
            break;
          }
          if (piece->empty()) {
            answer->rest.reset();
          } else {
            answer->body += *piece;
          }
        }
        to->emplace(std::move(answer));
      }
      loop->stop();
    };
    loop_.io().restart();
    loop_.spawn(whole(&engine, &text, stream, patience, &loop_, &result));
    loop_.run();
    return *std::move(result);
  }

  SimulatedOptions options_;
  Loop loop_;
};

std::string content(const std::string& answer) {
  const std::size_t at = answer.find("\"content\":\"");
  return answer.substr(at, answer.find('"', at + 11) - at);
}

TEST_F(SimulatedTest, GivesTheSameAnswerToTheSameQuestionAndSeed) {
  const auto one = engine();
  const auto two = engine();
  const auto first = ask(*one, body(1));
  const auto again = ask(*two, body(1));
  const auto other = ask(*one, body(2));
  ASSERT_TRUE(first && again && other);
  EXPECT_EQ(content(first->body), content(again->body));
  EXPECT_NE(content(first->body), content(other->body));
  options_.behaviour.seed = 99;
  const auto seeded = ask(*engine(), body(1));
  EXPECT_NE(content(first->body), content(seeded->body));
}

TEST_F(SimulatedTest, StreamsToItsEnd) {
  const auto answer = ask(*engine(), body(1), true);
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->event_stream());
  EXPECT_TRUE(answer->body.ends_with("data: [DONE]\n\n"));
  EXPECT_NE(answer->body.find("\"finish_reason\":\"stop\""), std::string::npos);
}

TEST_F(SimulatedTest, FailsAsOftenAsItIsTold) {
  options_.behaviour.errors = 0.2;
  options_.behaviour.rate_limited = 0.1;
  options_.behaviour.disconnects = 0.1;
  const auto one = engine();
  int errors = 0;
  int limited = 0;
  int broken = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto answer = ask(*one, body(i));
    if (!answer) {
      EXPECT_EQ(answer.error().kind, Kind::broken);
      ++broken;
      continue;
    }
    errors += answer->status == 500 ? 1 : 0;
    limited += answer->status == 429 ? 1 : 0;
  }
  EXPECT_NEAR(errors, 200, 50);
  EXPECT_NEAR(limited, 100, 40);
  EXPECT_NEAR(broken, 100, 40);
}

TEST_F(SimulatedTest, AStallIsEndedByTheDeadline) {
  options_.behaviour.stalls = 1;
  for (const bool stream : {false, true}) {
    const auto answer = ask(*engine(), body(1), stream, 50ms);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().kind, Kind::timeout);
  }
}

TEST_F(SimulatedTest, TakesItsTime) {
  options_.behaviour.first_token = 30ms;
  options_.behaviour.first_token_sigma = 0;
  options_.behaviour.tokens = 10;
  options_.behaviour.tokens_per_second = 200;
  const Time begun = Clock::now();
  const auto answer = ask(*engine(), body(1), true);
  ASSERT_TRUE(answer);
  EXPECT_GE(Clock::now() - begun, 30ms + 4 * 5ms);
}

TEST(SimulatedHall, SeatsInOrderAndRefusesWhenTheQueueIsFull) {
  Loop loop;
  SimulatedHall hall(1, 1);
  std::vector<std::string> seen;
  const auto guest = [](SimulatedHall* in, Loop* on, std::vector<std::string>* log,
                        std::string name) -> Task<void> {
    Deadline deadline(*on, Clock::now() + 5s);
    Result<SimulatedHall::Seat> seat = co_await in->enter(deadline);
    log->push_back(name + (seat ? " sits" : " refused"));
    if (!seat) co_return;
    co_await sleep_until(Clock::now() + 10ms, deadline);
    if (name == "b") on->stop();
  };
  for (const char* name : {"a", "b", "c"}) {
    loop.spawn(guest(&hall, &loop, &seen, name));
  }
  loop.run();
  EXPECT_EQ(seen, (std::vector<std::string>{"a sits", "c refused", "b sits"}));
}

}  // namespace
}  // namespace penstock::engine
