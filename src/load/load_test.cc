#include "load/load.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <list>
#include <mutex>
#include <set>
#include <thread>

namespace penstock::load {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kAnswer =
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-penstock-cache: hit\r\n\r\n{}";
const std::string kStreamHead =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const std::string kEvent = "14\r\ndata: {\"text\":\"a\"}\n\n\r\n";
const std::string kDone = "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";

struct Reply {
  std::string bytes;
  bool close = false;
};

// A server with a thread a connection, which answers what it is told to.
class SmallServer {
 public:
  using Answer = std::function<Reply(const std::string& request)>;

  explicit SmallServer(Answer answer) : answer_(std::move(answer)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* raw = static_cast<sockaddr*>(static_cast<void*>(&address));
    EXPECT_EQ(bind(listener_, raw, size), 0);
    EXPECT_EQ(listen(listener_, 1024), 0);
    getsockname(listener_, raw, &size);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  SmallServer(const SmallServer&) = delete;
  SmallServer& operator=(const SmallServer&) = delete;
  ~SmallServer() {
    shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    for (auto& [fd, thread] : connections_) {
      shutdown(fd, SHUT_RDWR);
      thread.join();
      close(fd);
    }
    close(listener_);
  }

  Options options() const {
    Options options;
    options.url = "http://127.0.0.1:" + std::to_string(port_);
    options.connections = 4;
    options.duration = 150ms;
    options.warmup = 0ms;
    return options;
  }
  std::size_t connections() const { return connections_.size(); }

 private:
  void accept_all() {
    for (;;) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      connections_.emplace_back(fd, std::thread([this, fd] { serve(fd); }));
    }
  }

  void serve(int fd) const {
    std::string input;
    char buffer[16 * 1024];
    for (;;) {
      const std::size_t head = input.find("\r\n\r\n");
      const std::size_t length = input.find("content-length: ");
      if (head != std::string::npos && length != std::string::npos) {
        const std::size_t total = head + 4 + std::stoul(input.substr(length + 16, 20));
        if (input.size() >= total) {
          const Reply reply = answer_(input.substr(0, total));
          input.erase(0, total);
          send(fd, reply.bytes.data(), reply.bytes.size(), MSG_NOSIGNAL);
          if (reply.close) shutdown(fd, SHUT_RDWR);
          continue;
        }
      }
      const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
      if (n <= 0) return;
      input.append(buffer, static_cast<std::size_t>(n));
    }
  }

  Answer answer_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::thread acceptor_;
  std::list<std::pair<int, std::thread>> connections_;  // the acceptor's until it has ended
};

std::uint64_t failures(const Report& report, Failed why) {
  return report.counts.failures[static_cast<std::size_t>(why)];
}

TEST(Load, AClosedLoopCountsWhatTheServerSaw) {
  std::atomic<std::uint64_t> seen = 0;
  SmallServer server([&](const std::string&) {
    ++seen;
    return Reply{kAnswer};
  });
  Options options = server.options();
  options.threads = 2;
  Result<Report> report = run(options, {});
  ASSERT_TRUE(report) << report.error().detail;
  const Counts& counts = report->counts;
  EXPECT_GT(counts.answers, 0u);
  EXPECT_EQ(counts.failed(), 0u);
  EXPECT_EQ(counts.status[200], counts.answers);
  EXPECT_EQ(counts.latency.count(), counts.answers);
  ASSERT_EQ(counts.cache.size(), 1u);
  EXPECT_EQ(counts.cache[0].first, "hit");
  EXPECT_EQ(counts.cache[0].second, counts.answers);
  EXPECT_LE(counts.answers, seen);
  EXPECT_LE(seen, counts.answers + report->in_flight);
  EXPECT_EQ(counts.bytes_in, counts.answers * kAnswer.size());
}

TEST(Load, AnOpenLoopAsksExactlyAsOftenAsItShould) {
  std::atomic<std::uint64_t> seen = 0;
  SmallServer server([&](const std::string&) {
    ++seen;
    return Reply{kAnswer};
  });
  Options options = server.options();
  options.rate = 1000;
  options.warmup = 50ms;
  Result<Report> report = run(options, {});
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_EQ(report->counts.answers, 150u);
  EXPECT_EQ(report->counts.late.count(), 150u);
  EXPECT_EQ(seen, 200u);
}

TEST(Load, AServerThatStallsIsSeenToHaveDelayedEveryQuestionOfThatTime) {
  std::atomic<int> number = 0;
  SmallServer server([&](const std::string&) {
    if (++number == 5) poll(nullptr, 0, 100);  // the stall, in ms
    return Reply{kAnswer};
  });
  Options options = server.options();
  options.rate = 1000;
  options.connections = 1;
  Result<Report> report = run(options, {});
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_EQ(report->counts.answers, 150u);
  // About a hundred were due in the stall and waited 50 ms on average: the median of all shows it.
  EXPECT_GT(report->counts.latency.percentile(60), 20ms);
  EXPECT_GT(report->counts.latency.max(), 90ms);
}

TEST(Load, StreamsAreCountedByEventAndToken) {
  SmallServer server([](const std::string& request) {
    EXPECT_THAT(request, HasSubstr("\"stream\":true"));
    return Reply{kStreamHead + kEvent + kEvent + kEvent + kDone};
  });
  Options options = server.options();
  options.stream = true;
  Result<Report> report = run(options, {});
  ASSERT_TRUE(report) << report.error().detail;
  const Counts& counts = report->counts;
  EXPECT_GT(counts.streams, 0u);
  EXPECT_EQ(counts.failed(), 0u);
  EXPECT_EQ(counts.streams, counts.answers);
  EXPECT_EQ(counts.events, counts.answers * 3);
  EXPECT_EQ(counts.first_token.count(), counts.answers);
  EXPECT_EQ(counts.gap.count(), counts.answers * 2);
}

TEST(Load, AStreamThatBreaksOffOrCarriesAnErrorHasFailed) {
  const struct {
    Reply reply;
    Failed why;
  } kCases[] = {
      {{kStreamHead + kEvent, true}, Failed::truncated},
      {{kStreamHead + kEvent + "0\r\n\r\n"}, Failed::truncated},
      {{kStreamHead + kEvent + "21\r\ndata: {\"error\":{\"message\":\"x\"}}\n\n\r\n0\r\n\r\n"},
       Failed::in_stream},
      {{kAnswer}, Failed::malformed},
      {{kStreamHead + "zz\r\n"}, Failed::malformed},
      {{"", true}, Failed::closed},
      {{kStreamHead + kEvent + kDone + "more"}, Failed::malformed},
  };
  for (const auto& [reply, why] : kCases) {
    SmallServer server([&reply = reply](const std::string&) { return reply; });
    Options options = server.options();
    options.stream = true;
    options.duration = 50ms;
    Result<Report> report = run(options, {});
    ASSERT_TRUE(report) << report.error().detail;
    EXPECT_EQ(report->counts.answers, 0u) << label_of(why);
    EXPECT_GT(failures(*report, why), 0u) << label_of(why);
    EXPECT_EQ(report->counts.failed(), failures(*report, why)) << label_of(why);
  }
}

TEST(Load, AnErrorStatusHasFailedAndIsCountedAsSuch) {
  SmallServer server([](const std::string&) {
    return Reply{"HTTP/1.1 503 Unavailable\r\ncontent-length: 5\r\nconnection: close\r\n\r\nnever",
                 true};
  });
  Result<Report> report = run(server.options(), {});
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_GT(report->counts.status[503], 0u);
  EXPECT_EQ(report->counts.failed(), report->counts.status[503]);
  EXPECT_EQ(report->counts.refused_alike(), 503);
  EXPECT_EQ(report->counts.refusal, "never");
}

TEST(Load, ARefusedAnswerIsOneRequestAndNotTwo) {
  Counts counts;
  counts.answers = 160;
  counts.status[200] = 142;
  counts.status[429] = 18;
  counts.failures[static_cast<std::size_t>(Failed::closed)] = 40;
  EXPECT_EQ(counts.failed(), 58u);
  EXPECT_EQ(counts.ended(), 200u);
  EXPECT_EQ(counts.refused_alike(), 0);
}

TEST(Load, AnAnswerThatDoesNotComeTimesOut) {
  SmallServer server([](const std::string&) { return Reply{}; });
  Options options = server.options();
  options.rate = 100;
  options.connections = 2;
  options.timeout = 100ms;
  Result<Report> report = run(options, {});
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_EQ(report->counts.answers, 0u);
  EXPECT_GT(failures(*report, Failed::timeout), 0u);
  // What found no free connection is not forgotten.
  EXPECT_EQ(report->counts.failed(), 15u);
}

TEST(Load, UniqueQuestionsAreUniqueAcrossThreads) {
  std::mutex mutex;
  std::set<std::string> seen;
  std::uint64_t asked = 0;
  SmallServer server([&](const std::string& request) {
    const std::lock_guard lock(mutex);
    seen.insert(request);
    ++asked;
    return Reply{kAnswer};
  });
  Options options = server.options();
  options.unique = true;
  options.threads = 3;
  Result<Report> report = run(options, {});
  ASSERT_TRUE(report) << report.error().detail;
  const std::lock_guard lock(mutex);
  EXPECT_GT(asked, 3u);
  EXPECT_EQ(seen.size(), asked);
}

TEST(Load, ABodyLargerThanTheSocketsBufferArrivesWhole) {
  std::atomic<bool> whole = true;
  SmallServer server([&](const std::string& request) {
    if (!request.ends_with(R"("}],"temperature":0})")) whole = false;
    return Reply{kAnswer};
  });
  Options options = server.options();
  options.body_bytes = 8 << 20;
  options.rate = 20;
  Result<Report> report = run(options, {});
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_EQ(report->counts.answers, 3u);
  EXPECT_EQ(report->counts.failed(), 0u);
  EXPECT_TRUE(whole);
}

TEST(Load, HundredsOfConnectionsAreAllUsed) {
  std::stop_source stop;
  std::mutex mutex;
  std::set<std::thread::id> asked;  // the server has a thread a connection
  SmallServer server([&](const std::string&) {
    const std::lock_guard lock(mutex);
    asked.insert(std::this_thread::get_id());
    if (asked.size() == 300) stop.request_stop();
    return Reply{kAnswer};
  });
  Options options = server.options();
  options.connections = 300;
  options.duration = 60s;
  Result<Report> report = run(options, stop.get_token());
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_EQ(report->counts.failed(), 0u);
  const std::lock_guard lock(mutex);
  EXPECT_EQ(asked.size(), 300u);
}

TEST(Load, ARunEndsEarlyWhenItIsStopped) {
  std::stop_source stop;
  SmallServer server([&](const std::string&) {
    stop.request_stop();
    return Reply{kAnswer};
  });
  Options options = server.options();
  options.duration = 1h;
  Result<Report> report = run(options, stop.get_token());
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_TRUE(report->cut_short);
}

TEST(Load, WhatMakesNoSenseIsRefusedBeforeAnythingIsSent) {
  const auto kind = [](auto change) {
    Options options;
    options.url = "http://127.0.0.1:1";
    change(options);
    Result<Report> report = run(options, {});
    EXPECT_FALSE(report);
    return report ? Kind::internal : report.error().kind;
  };
  EXPECT_EQ(kind([](Options& o) { o.connections = 0; }), Kind::invalid);
  EXPECT_EQ(kind([](Options& o) { o.threads = 65; }), Kind::invalid);
  EXPECT_EQ(kind([](Options& o) { o.questions = 0; }), Kind::invalid);
  EXPECT_EQ(kind([](Options& o) { o.duration = 0s; }), Kind::invalid);
  EXPECT_EQ(kind([](Options& o) { o.file = "/nowhere.txt"; }), Kind::invalid);
  EXPECT_EQ(kind([](Options& o) { o.url = "ftp://x"; }), Kind::invalid);
  EXPECT_EQ(kind([](Options& o) { o.url = "http://192.0.2.1"; }), Kind::invalid);
  EXPECT_EQ(kind([](Options&) {}), Kind::unreachable);
}

TEST(Load, WhereNothingCameTheTableShowsNoTimes) {
  Report report;
  report.measured = 10s;
  report.counts.failures[static_cast<std::size_t>(Failed::closed)] = 3;
  report.counts.late.record(7us, 3);
  Options options;
  options.connections = 1;
  const std::string closed = to_table(report, options);
  EXPECT_THAT(closed, HasSubstr("1 connection, 1 thread,"));
  EXPECT_THAT(closed, HasSubstr("No whole answer came"));
  EXPECT_THAT(closed, Not(HasSubstr("p50")));
  options.rate = 1;
  const std::string open = to_table(report, options);
  EXPECT_THAT(open, HasSubstr("sent late"));
  EXPECT_THAT(open, Not(HasSubstr(" 0 us")));
}

TEST(Load, TheTableAndTheJsonSayTheSame) {
  Report report;
  report.measured = 10s;
  report.counts.answers = 1'234'567;
  report.counts.status[200] = 1'234'560;
  report.counts.status[429] = 7;
  report.counts.failures[static_cast<std::size_t>(Failed::timeout)] = 3;
  for (int i = 0; i < 3; ++i) report.counts.cache_result("hit");
  report.counts.cache_result("miss");
  report.counts.latency.record(1500us);
  const std::string table = to_table(report, {});
  EXPECT_THAT(table, HasSubstr("1,234,567 · 123456.7/s · 10 failed"));
  EXPECT_THAT(table, HasSubstr("429: 7"));
  EXPECT_THAT(table, HasSubstr("timeout: 3"));
  EXPECT_THAT(table, HasSubstr("1.50 ms"));
  const std::string json = to_json(report, {});
  EXPECT_THAT(json, HasSubstr(R"("answers":1234567)"));
  EXPECT_THAT(json, HasSubstr(R"("answers_per_second":123456.7)"));
  EXPECT_THAT(json, HasSubstr(R"("failed":10)"));
  EXPECT_THAT(json, HasSubstr(R"("status":{"200":1234560,"429":7})"));
  EXPECT_THAT(json, HasSubstr(R"("cache":{"hit":3,"miss":1})"));
  EXPECT_THAT(json, HasSubstr(R"("p99":1500)"));
}

}  // namespace
}  // namespace penstock::load
