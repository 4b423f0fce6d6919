#include "cache/flight.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

namespace penstock::cache {
namespace {

constexpr std::uint64_t kWindow = 1000;

// Loops on threads of their own.
struct Workers {
  explicit Workers(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      loops.push_back(std::make_unique<Loop>(i));
      threads.emplace_back([loop = loops.back().get()] { loop->run(); });
    }
  }
  ~Workers() {
    for (auto& loop : loops) loop->stop();
    for (auto& thread : threads) thread.join();
  }
  std::vector<std::unique_ptr<Loop>> loops;
  std::vector<std::thread> threads;
};

// From this thread, on that of the loop.
void spawn(Loop& loop, Task<void> task) {
  asio::post(loop.executor(),
             [&loop, work = std::move(task)]() mutable { loop.spawn(std::move(work)); });
}

struct Read {
  int status = 0;
  std::string body;
  std::optional<Error> error;
};

Task<void> read_all(std::unique_ptr<Reader> reader, Loop& loop, std::promise<Read>& to) {
  Read read;
  Deadline deadline(loop, Clock::now() + 20s);
  {
    Result<Flight::Head> head = co_await reader->head(deadline);
    if (head) {
      read.status = head->status;
    } else {
      read.error = std::move(head).error();
    }
    while (!read.error) {
      Result<std::string_view> piece = co_await reader->next(deadline);
      if (!piece) {
        read.error = std::move(piece).error();
        break;
      }
      if (piece->empty()) break;
      read.body += *piece;
    }
    reader.reset();
  }
  to.set_value(std::move(read));
}

Task<void> drive(FlightPtr flight, Loop& loop, int pieces, bool fail) {
  Deadline deadline(loop, Clock::now() + 20s);
  flight->drive(loop, [&deadline] { deadline.call_off(Why::left); });
  flight->head({200, "text/plain", {}, std::nullopt});
  for (int i = 0; i < pieces; ++i) {
    flight->append("<" + std::to_string(i) + ">");
    Result<void> room = co_await flight->room(deadline);
    if (!room) break;
  }
  if (fail) {
    flight->fail({Kind::broken, Source::engine, false, "it broke"});
  } else {
    flight->finish();
  }
}

std::string all(int pieces) {
  std::string text;
  for (int i = 0; i < pieces; ++i) text += "<" + std::to_string(i) + ">";
  return text;
}

TEST(Flight, OneIsTheLeaderAndAThousandOnTwoLoopsReadTheSame) {
  Workers workers(2);
  FlightTable table(kWindow);
  std::vector<std::promise<Read>> reads(1000);
  FlightPtr flight;
  int leaders = 0;
  for (std::size_t i = 0; i < reads.size(); ++i) {
    Loop& loop = *workers.loops[i % 2];
    FlightTable::Joined joined = table.join(Key{1}, loop);
    leaders += joined.leader ? 1 : 0;
    flight = joined.flight;
    spawn(loop, read_all(std::move(joined.reader), loop, reads[i]));
  }
  EXPECT_EQ(leaders, 1);
  spawn(*workers.loops[0], drive(flight, *workers.loops[0], 100, false));
  for (std::promise<Read>& read : reads) {
    const Read got = read.get_future().get();
    ASSERT_FALSE(got.error);
    ASSERT_EQ(got.body, all(100));
  }
  EXPECT_EQ(table.size(), 0u);
}

TEST(Flight, AFailureReachesEveryReader) {
  Workers workers(2);
  FlightTable table(kWindow);
  std::array<std::promise<Read>, 4> reads;
  FlightPtr flight;
  for (std::size_t i = 0; i < reads.size(); ++i) {
    Loop& loop = *workers.loops[i % 2];
    FlightTable::Joined joined = table.join(Key{1}, loop);
    flight = joined.flight;
    spawn(loop, read_all(std::move(joined.reader), loop, reads[i]));
  }
  spawn(*workers.loops[1], drive(flight, *workers.loops[1], 3, true));
  for (auto& read : reads) {
    const Read got = read.get_future().get();
    ASSERT_TRUE(got.error);
    EXPECT_EQ(got.error->kind, Kind::broken);
  }
  EXPECT_EQ(table.size(), 0u);
}

TEST(Flight, TellsTheDriverWhenTheLastReaderHasLeft) {
  Workers workers(1);
  Loop& loop = *workers.loops[0];
  FlightTable table(kWindow);
  FlightTable::Joined one = table.join(Key{1}, loop);
  FlightTable::Joined two = table.join(Key{1}, loop);
  EXPECT_FALSE(two.leader);
  std::promise<void> told;
  one.flight->drive(loop, [&told] { told.set_value(); });
  auto future = told.get_future();
  one.reader.reset();
  EXPECT_EQ(future.wait_for(50ms), std::future_status::timeout);
  two.reader.reset();
  EXPECT_EQ(future.wait_for(5s), std::future_status::ready);
  // Whoever asks now begins anew.
  EXPECT_TRUE(table.join(Key{1}, loop).leader);
}

TEST(Flight, ASlowReaderHoldsTheDriverBack) {
  Workers workers(2);
  FlightTable table(kWindow);
  Loop& driving = *workers.loops[0];
  Loop& reading = *workers.loops[1];
  FlightTable::Joined joined = table.join(Key{1}, reading);
  std::promise<void> ended;
  const auto much = [](FlightPtr flight, Loop& loop, std::promise<void>& end) -> Task<void> {
    Deadline deadline(loop, Clock::now() + 20s);
    flight->drive(loop, [] {});
    flight->head({});
    for (int i = 0; i < 100; ++i) {
      flight->append(std::string(100, 'x'));
      Result<void> room = co_await flight->room(deadline);
      if (!room) break;
    }
    flight->finish();
    end.set_value();
  };
  spawn(driving, much(joined.flight, driving, ended));
  auto future = ended.get_future();
  EXPECT_EQ(future.wait_for(100ms), std::future_status::timeout);
  // Its beginning may go at any time now: nobody can join it any more.
  EXPECT_TRUE(table.join(Key{1}, reading).leader);
  std::promise<Read> read;
  spawn(reading, read_all(std::move(joined.reader), reading, read));
  EXPECT_EQ(read.get_future().get().body.size(), 10000u);
  EXPECT_EQ(future.wait_for(5s), std::future_status::ready);
}

TEST(Flight, AloneIsJoinedByNobody) {
  Workers workers(1);
  Loop& loop = *workers.loops[0];
  FlightTable table(kWindow);
  const FlightTable::Joined one = table.alone(Key{1}, loop);
  const FlightTable::Joined two = table.alone(Key{1}, loop);
  EXPECT_TRUE(one.leader && two.leader);
  EXPECT_NE(one.flight, two.flight);
  EXPECT_EQ(table.size(), 0u);
}

}  // namespace
}  // namespace penstock::cache
