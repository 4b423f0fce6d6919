#include "trace/context.h"

#include <gtest/gtest.h>

namespace penstock::trace {
namespace {

constexpr std::string_view kField = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(Context, ReadsAndWritesTheField) {
  const auto context = parse_traceparent(kField);
  ASSERT_TRUE(context);
  EXPECT_EQ(context->trace.high, 0x4bf92f3577b34da6);
  EXPECT_EQ(context->trace.low, 0xa3ce929d0e0e4736);
  EXPECT_EQ(context->span, 0x00f067aa0ba902b7u);
  EXPECT_TRUE(context->sampled);
  EXPECT_EQ(text(traceparent(*context)), kField);
  EXPECT_EQ(text(text_of(context->trace)), "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(text(text_of(context->span)), "00f067aa0ba902b7");
}

TEST(Context, KnowsOnlyTheSampledFlag) {
  const std::string other = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-fe";
  const auto context = parse_traceparent(other);
  ASSERT_TRUE(context);
  EXPECT_FALSE(context->sampled);
  EXPECT_TRUE(text(traceparent(*context)).ends_with("-00"));
}

TEST(Context, TakesWhatALaterVersionAdds) {
  EXPECT_TRUE(parse_traceparent("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
  EXPECT_TRUE(parse_traceparent("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what"));
  EXPECT_FALSE(parse_traceparent("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what"));
}

TEST(Context, RefusesWhatIsNone) {
  for (const std::string_view bad : {
           "",
           "00",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011",
           "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
           "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
           "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
           "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
           "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
           " 0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
       }) {
    EXPECT_FALSE(parse_traceparent(bad)) << bad;
  }
}

TEST(Context, MakesIdsThatAreNeverNone) {
  Random random(1);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(new_trace_id(random));
    EXPECT_NE(new_span_id(random), 0u);
  }
}

}  // namespace
}  // namespace penstock::trace
