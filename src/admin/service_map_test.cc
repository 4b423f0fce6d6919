#include "admin/service_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace penstock::admin {
namespace {

using testing::HasSubstr;
using testing::Not;

class ServiceMapTest : public testing::Test {
 protected:
  observe::Counter calls(const char* outcome) {
    return shard().counter("penstock_engine_requests_total", "h",
                           {{"engine", "gpu-a"}, {"model", "m"}, {"outcome", outcome}});
  }
  observe::Shard& shard() { return registry_.shard(0); }
  // Of the only engine.
  Edge edge(Time now) {
    for (const Edge& one : map_.draw(now).edges) {
      if (one.to == "engine:gpu-a") return one;
    }
    return {};
  }

  observe::Registry registry_{1};
  ServiceMap map_{registry_};
  const Time start_ = Clock::now();
};

TEST_F(ServiceMapTest, TellsOfTheLastMinuteAlone) {
  calls("success").add(100);
  map_.look(start_);
  EXPECT_EQ(edge(start_ + 10s).per_second, 0);  // what was before is no news
  calls("success").add(60);
  calls("timeout").add(20);
  calls("client_error").add(20);
  EXPECT_DOUBLE_EQ(edge(start_ + 10s).per_second, 10);
  EXPECT_DOUBLE_EQ(edge(start_ + 10s).errors_ratio, 0.2);
  for (Time at = start_ + 10s; at <= start_ + 70s; at += 10s) map_.look(at);
  EXPECT_EQ(edge(start_ + 70s).per_second, 0);
  EXPECT_NEAR(map_.draw(start_ + 70s).seconds, 60, 0.001);
}

TEST_F(ServiceMapTest, TellsHowLongItTook) {
  auto took = shard().histogram("penstock_engine_request_duration_seconds", "h",
                                std::array{.1, .2, .4}, {{"engine", "gpu-a"}, {"model", "m"}});
  took.observe(5);
  map_.look(start_);
  for (int i = 0; i < 50; ++i) took.observe(.05);
  for (int i = 0; i < 50; ++i) took.observe(.15);
  const Edge seen = edge(start_ + 5s);
  EXPECT_NEAR(*seen.mean_ms, 100, 1e-6);
  EXPECT_NEAR(*seen.p50_ms, 100, 1e-6);
  EXPECT_NEAR(*seen.p95_ms, 190, 1e-6);
  took.observe(7);
  took.observe(7);
  EXPECT_NEAR(*edge(start_ + 5s).p99_ms, 400, 1e-6);  // the last bound: it is longer than that
}

TEST_F(ServiceMapTest, KnowsOnlyWhatThereIs) {
  const ServiceMap::Drawn empty = map_.draw(start_);
  EXPECT_EQ(empty.nodes.size(), 2u);
  EXPECT_TRUE(empty.edges.empty());
  shard().counter("penstock_redis_errors_total", "h", {{"kind", "away"}}).add(3);
  shard().gauge("penstock_redis_up", "h", {}).set(0);
  const ServiceMap::Drawn map = map_.draw(start_);
  ASSERT_EQ(map.nodes.size(), 3u);
  EXPECT_EQ(map.nodes[2].id, "redis");
  EXPECT_EQ(map.nodes[2].healthy, false);
  EXPECT_EQ(map.edges[0].errors_ratio, 1);  // none was sent, and all failed
}

TEST_F(ServiceMapTest, IsDrawnForGraphviz) {
  calls("success").add(0);
  shard().gauge("penstock_engine_healthy", "h", {{"engine", "gpu-a"}}).set(0);
  shard()
      .counter("penstock_http_requests_total", "h",
               {{"route", "chat"}, {"method", "POST"}, {"code", "200"}})
      .add(0);
  map_.look(start_);
  std::string drawn = map_dot(map_.draw(start_ + 1s));
  EXPECT_THAT(drawn, HasSubstr("\"engine:gpu-a\" [label=\"gpu-a\", shape=box, fillcolor"));
  EXPECT_THAT(drawn, HasSubstr("\"gateway\" -> \"engine:gpu-a\" [label=\"m\\n0/s\""));
  EXPECT_THAT(drawn, Not(HasSubstr("\"clients\" ->")));
}

}  // namespace
}  // namespace penstock::admin
