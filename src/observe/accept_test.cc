#include <gtest/gtest.h>

#include "observe/metrics.h"

namespace penstock::observe {
namespace {

TEST(ChooseFormat, TakesOpenMetricsWhereItIsWantedMore) {
  for (const char* accept : {
           "application/openmetrics-text",
           "Application/OpenMetrics-Text; Version=1.0.0; charset=utf-8",
           "application/openmetrics-text;version=\"1.0.0\";q=0.1",
           "application/openmetrics-text, text/plain;q=0.9",
           "text/plain;q=0.5 , application/openmetrics-text ; q=0.6",
           "application/openmetrics-text;q=0.6,*/*;q=0.5",
           "application/*",
           // Prometheus 2 and 3.
           "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
           "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
           "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
           "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;"
           "escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
       }) {
    EXPECT_EQ(choose_format(accept), Format::openmetrics) << accept;
  }
}

TEST(ChooseFormat, TakesTextElse) {
  for (const char* accept : {
           "",
           " ",
           ",,;",
           "*/*",
           "text/plain",
           "text/html,*/*;q=0.8",
           "application/json",
           "application/openmetrics-text;q=0",  // was taken for a wish once
           "application/openmetrics-text; Q=0.000, */*",
           "application/openmetrics-text, text/plain",
           "application/openmetrics-text, */*",
           "application/openmetrics-text;q=0.3, text/*;q=0.4",
           "application/openmetrics-text;version=2.0.0",
           "application/openmetrics-text;q=x",
           "application/openmetrics-text;q=2",
           "application/openmetrics-text-not",
           "application/*;q=1, application/openmetrics-text;q=0",
       }) {
    EXPECT_EQ(choose_format(accept), Format::text) << accept;
  }
}

}  // namespace
}  // namespace penstock::observe
