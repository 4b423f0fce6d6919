#include "trace/exporter.h"

#include <gmock/gmock.h>

namespace penstock::trace {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// What came to a backend, by the names of the spans.
class Sent final : public Backend {
 public:
  bool send(std::span<const ExportSpan> spans) override {
    const std::lock_guard lock(mutex_);
    spans_.insert(spans_.end(), spans.begin(), spans.end());
    return true;
  }
  std::vector<ExportSpan> of(std::string_view name) {
    const std::lock_guard lock(mutex_);
    std::vector<ExportSpan> found;
    for (const ExportSpan& span : spans_) {
      if (span.name == name) found.push_back(span);
    }
    return found;
  }

 private:
  std::mutex mutex_;
  std::vector<ExportSpan> spans_;
};

constexpr TraceId kA{1, 2};
constexpr TraceId kB{3, 4};

Finished request(const TraceId& trace, SpanId span) {
  Finished one;
  one.seen.context = {trace, span, true};
  one.seen.method = "POST";
  one.seen.route = "/v1/chat/completions";
  return one;
}

Flush flush(std::vector<TraceId> requests, std::string_view error = {}) {
  Flush one;
  one.rows = 7;
  one.error = error;
  one.requests = std::move(requests);
  return one;
}

class ExporterTest : public ::testing::Test {
 protected:
  ExporterTest() : sent_(std::make_shared<Sent>()) {
    options_.delay = 1h;  // what is added is sent at the end
    options_.make = [sent = sent_]() -> Result<std::shared_ptr<Backend>> {
      return std::shared_ptr<Backend>(sent);
    };
    options_.failed = [](const Error&) {};
  }
  // All that was added has been sent.
  std::vector<ExportSpan> flushes(Exporter& exporter) {
    EXPECT_TRUE(exporter.stop(10s));
    return sent_->of("penstock.usage.flush");
  }

  Exporter::Options options_;
  std::shared_ptr<Sent> sent_;
};

TEST_F(ExporterTest, AWriteOfRowsLinksToItsRequests) {
  Exporter exporter(options_);
  exporter.add(request(kA, 5));
  exporter.add(request(kA, 6));  // two of one trace
  exporter.add(request(kB, 7));
  exporter.add(flush({kA, kB, TraceId{8, 9}}));  // the last is of none that is exported
  const std::vector<ExportSpan> told = flushes(exporter);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_THAT(told[0].links, UnorderedElementsAre(Context{kA, 5, true}, Context{kA, 6, true},
                                                  Context{kB, 7, true}));
  EXPECT_TRUE(told[0].context);
  EXPECT_EQ(told[0].parent, 0u);
  EXPECT_FALSE(told[0].error);
}

TEST_F(ExporterTest, ARequestMayEndBehindItsRow) {
  options_.delay = 10ms;
  options_.batch = 1;
  Exporter exporter(options_);
  exporter.add(flush({kA}));
  exporter.add(request(kA, 5));
  const std::vector<ExportSpan> told = flushes(exporter);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_THAT(told[0].links, ElementsAre(Context{kA, 5, true}));
}

TEST_F(ExporterTest, AWriteWhoseRequestsNobodyKeepsIsToldOfWhereItFailed) {
  Exporter exporter(options_);
  exporter.add(flush({kA}));
  exporter.add(flush({}));
  exporter.add(flush({kB}, "unreachable"));
  const std::vector<ExportSpan> told = flushes(exporter);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_TRUE(told[0].error);
  EXPECT_EQ(told[0].message, "unreachable");
  EXPECT_THAT(told[0].links, IsEmpty());
}

TEST_F(ExporterTest, WhatIsWrittenAgainHasItsLinksAgain) {
  Exporter exporter(options_);
  exporter.add(request(kA, 5));
  exporter.add(flush({kA}, "unreachable"));
  exporter.add(flush({kA}));
  exporter.add(flush({kA}));  // another node's row of the same trace
  const std::vector<ExportSpan> told = flushes(exporter);
  ASSERT_EQ(told.size(), 2u);
  for (const ExportSpan& one : told) EXPECT_THAT(one.links, ElementsAre(Context{kA, 5, true}));
}

TEST_F(ExporterTest, TextsBeyondWhatMayWaitAreLeftOut) {
  int asked = 0;
  options_.batch = 1000;  // none is taken before the end
  options_.messages = [&](const Texts& texts) {
    ++asked;
    return Messages{texts.question, texts.answer};
  };
  Exporter exporter(options_);
  constexpr int kRequests = 600;  // of 64 KiB each: more than the 32 MiB that may wait
  for (int i = 0; i < kRequests; ++i) {
    Finished one = request(kA, static_cast<SpanId>(i + 1));
    auto texts = std::make_shared<Texts>();
    texts->ask(Endpoint::chat, std::string(Texts::kMost, 'q'));
    one.texts = std::move(texts);
    exporter.add(std::move(one));
  }
  EXPECT_TRUE(exporter.stop(10s));
  EXPECT_EQ(exporter.exported() + exporter.dropped(), kRequests);
  EXPECT_EQ(asked, 512);
}

TEST(TextsTest, OfALongOneThereIsNothing) {
  Texts texts;
  texts.ask(Endpoint::chat, std::string(Texts::kMost + 1, 'q'));
  EXPECT_EQ(texts.question, "");
  texts.add_answer(std::string(Texts::kMost, 'a'));
  EXPECT_EQ(texts.answer.size(), Texts::kMost);
  texts.add_answer("b");
  texts.add_answer("c");
  EXPECT_EQ(texts.answer, "");
}

}  // namespace
}  // namespace penstock::trace
