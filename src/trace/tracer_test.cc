#include "trace/tracer.h"

#include <gtest/gtest.h>

#include <thread>

namespace penstock::trace {
namespace {

constexpr std::string_view kCaller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
constexpr std::string_view kUnsampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

bool all(const Seen&) { return true; }

class TracerTest : public ::testing::Test {
 protected:
  TracerTest() {
    tracer.exporter = [this](Finished&& one) { exported.push_back(std::move(one)); };
    rules.exporting = true;
  }
  Seen begun(std::string_view traceparent = {}) {
    Seen seen;
    tracer.begin(seen, traceparent, rules, random, now);
    return seen;
  }
  void end(Seen& seen) {
    std::vector<Span> spans(2);
    tracer.end(seen, spans, rules.slow);
  }

  Tracer tracer{4};
  Rules rules;
  Random random{1};
  Time now = Time(1h);
  std::vector<Finished> exported;
};

TEST_F(TracerTest, ACallersTraceGoesOn) {
  const Seen seen = begun(kCaller);
  EXPECT_EQ(text(text_of(seen.context.trace)), kCaller.substr(3, 32));
  EXPECT_EQ(seen.parent, 0x00f067aa0ba902b7u);
  EXPECT_NE(seen.context.span, seen.parent);
  EXPECT_TRUE(seen.context.sampled);
  EXPECT_FALSE(begun(kUnsampled).context.sampled);
  rules.follow_parent = false;
  EXPECT_TRUE(begun(kUnsampled).context.sampled);
}

TEST_F(TracerTest, OrIsLinkedOrIgnored) {
  rules.incoming = Incoming::link;
  const Seen linked = begun(kCaller);
  EXPECT_EQ(linked.parent, 0u);
  EXPECT_EQ(linked.link, parse_traceparent(kCaller));
  EXPECT_NE(linked.context.trace, linked.link.trace);
  rules.incoming = Incoming::ignore;
  EXPECT_FALSE(begun(kCaller).link);
  EXPECT_EQ(begun(kCaller).parent, 0u);
}

TEST_F(TracerTest, TakesAllUpToTenASecond) {
  int taken = 0;
  for (int i = 0; i < 100; ++i) taken += begun().context.sampled ? 1 : 0;
  EXPECT_EQ(taken, 10);
  // In ten more seconds of ten thousand requests: ten each.
  for (int i = 0; i < 10000; ++i) {
    now += 1ms;
    taken += begun().context.sampled ? 1 : 0;
  }
  EXPECT_NEAR(taken, 110, 1);
  now += 1h;
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(begun().context.sampled);
    now += 1s;
  }
}

TEST_F(TracerTest, TakesAShareByTheIdAlone) {
  rules.share = 0.25;
  int taken = 0;
  for (int i = 0; i < 10000; ++i) taken += begun().context.sampled ? 1 : 0;
  EXPECT_NEAR(taken, 2500, 200);
  rules.share = 0;
  EXPECT_FALSE(begun().context.sampled);
  rules.share = 1;
  EXPECT_TRUE(begun().context.sampled);
}

TEST_F(TracerTest, ExportsWhatIsSampledFailedOrSlow) {
  rules.share = 0;
  Seen plain = begun();
  plain.status = 404;
  end(plain);
  Seen left = begun();
  left.status = 499;
  end(left);
  EXPECT_TRUE(exported.empty());
  Seen bad = begun();
  bad.status = 502;
  end(bad);
  Seen broken = begun();
  broken.status = 200;
  broken.error = "engine_error";
  end(broken);
  Seen slow = begun();
  slow.status = 200;
  slow.took = rules.slow;
  end(slow);
  ASSERT_EQ(exported.size(), 3u);
  EXPECT_EQ(exported[0].spans.size(), 2u);
  EXPECT_TRUE(exported[0].seen.kept);
}

TEST_F(TracerTest, WithoutABackendNothingIsSampledAndTheCallersWordGoesOn) {
  rules.exporting = false;
  EXPECT_FALSE(begun().context.sampled);
  EXPECT_TRUE(begun(kCaller).context.sampled);
}

TEST_F(TracerTest, TheRingHasTheLastOfAll) {
  for (int i = 0; i < 10; ++i) {
    Seen seen = begun();
    seen.request_id = "request-" + std::to_string(i);
    seen.status = 200;
    end(seen);
  }
  const std::vector<Finished> last = tracer.ring().last(100, all);
  ASSERT_EQ(last.size(), 4u);
  EXPECT_EQ(last[0].seen.request_id.view(), "request-9");
  EXPECT_EQ(last[3].seen.request_id.view(), "request-6");
  EXPECT_EQ(last[0].spans.size(), 2u);
  EXPECT_EQ(tracer.ring().last(2, all).size(), 2u);
  EXPECT_FALSE(tracer.ring().find("request-1"));
  const auto found = tracer.ring().find("request-7");
  ASSERT_TRUE(found);
  const auto by_trace = tracer.ring().find(text(text_of(found->seen.context.trace)));
  ASSERT_TRUE(by_trace);
  EXPECT_EQ(by_trace->seen.request_id.view(), "request-7");
}

TEST_F(TracerTest, TheRingIsWrittenAndReadAtOnce) {
  tracer.exporter = nullptr;
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      Random own(t);
      for (int i = 0; i < 20000; ++i) {
        Seen seen;
        tracer.begin(seen, {}, rules, own, now);
        seen.request_id = "0123456789";
        std::vector<Span> spans(1 + t);
        tracer.end(seen, spans, 1s);
      }
    });
  }
  for (int i = 0; i < 2000; ++i) {
    for (const Finished& one : tracer.ring().last(4, all)) {
      EXPECT_EQ(one.seen.request_id.view(), "0123456789");
      EXPECT_GE(one.spans.size(), 1u);
    }
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Trace, IsToldOnceTheLastHasLetGo) {
  Tracer tracer(4);
  Random random(1);
  {
    auto mine = std::make_shared<Trace>();
    mine->begin(tracer, {}, {}, random, Time(1s));
    mine->seen.request_id = "a";
    const auto place = mine->step(Step::attempt, kRoot, "POST", Time(1s));
    const auto inner = mine->step(Step::redis, place, "GET", Time(1s));
    mine->end(inner, Time(2s), "hit");
    mine->end(place, Time(3s), "timeout", "timeout");
    mine->end(place, Time(9s), "success");  // once
    const std::shared_ptr<Trace> call = mine;
    mine.reset();
    EXPECT_TRUE(tracer.ring().last(1, all).empty());
  }
  const auto found = tracer.ring().find("a");
  ASSERT_TRUE(found);
  ASSERT_EQ(found->spans.size(), 2u);
  EXPECT_EQ(found->spans[0].end, Time(3s));
  EXPECT_EQ(found->spans[0].status, Status::error);
  EXPECT_EQ(found->spans[1].parent, 0);
  EXPECT_EQ(found->spans[1].result, "hit");
}

TEST(Trace, TellsWhoIsAskedWhoseTraceItIs) {
  Tracer tracer(4);
  Random random(1);
  Rules rules;
  rules.exporting = true;
  rules.share = 1;
  Trace exported;
  exported.begin(tracer, rules, kCaller, random, Time(1s));
  const auto place = exported.step(Step::attempt, kRoot, "POST", Time(1s));
  const auto told = exported.outgoing(place);
  ASSERT_TRUE(told);
  EXPECT_EQ(told->span, exported.at(place)->id);
  EXPECT_EQ(told->trace, parse_traceparent(kCaller)->trace);
  EXPECT_TRUE(told->sampled);
  // A caller's context passes as it came where nobody would ever see our span.
  rules.exporting = false;
  Trace seen_here;
  seen_here.begin(tracer, rules, kCaller, random, Time(1s));
  EXPECT_EQ(seen_here.outgoing(seen_here.step(Step::attempt, kRoot, "POST", Time(1s))),
            parse_traceparent(kCaller));
  rules.propagate = false;
  Trace alone;
  alone.begin(tracer, rules, kCaller, random, Time(1s));
  EXPECT_FALSE(alone.outgoing(kRoot));
}

TEST(Trace, SeesNothingUntilItBegins) {
  Trace trace;
  EXPECT_EQ(trace.step(Step::redis, kRoot, "GET", Time()), kRoot);
  trace.end(kRoot, Time());
  EXPECT_EQ(trace.at(kRoot), nullptr);
}

TEST(Name, IsCutToWhatFits) {
  Name<4> name;
  EXPECT_TRUE(name.empty());
  name = "abcdef";
  EXPECT_EQ(name.view(), "abcd");
  name = "";
  EXPECT_TRUE(name.empty());
}

}  // namespace
}  // namespace penstock::trace
