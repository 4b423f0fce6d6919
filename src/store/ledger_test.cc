#include "store/ledger.h"

#include <gtest/gtest.h>

#include "store/ledger_testing.h"

namespace penstock::store {
namespace {

constexpr std::int64_t kNow = 1'796'000'000'000'000;  // a day in November 2026

WallTime wall(std::int64_t us) { return WallTime(std::chrono::microseconds(us)); }

// The real database, which can be taken away: then each call fails as that of one that cannot be
// reached does, or does its work and says that it has not.
class Unsteady final : public Database {
 public:
  explicit Unsteady(Database& real) : real_(real) {}
  Dialect dialect() const override { return real_.dialect(); }
  std::string_view name() const override { return real_.name(); }
  Task<Result<Rows>> read(const Statement& statement, Values values, Mark after,
                          Deadline& deadline) override {
    return real_.read(statement, std::move(values), std::move(after), deadline);
  }
  Task<Result<std::vector<Rows>>> transact(std::vector<Step> steps, Mark* here,
                                           Deadline& deadline) override {
    return real_.transact(std::move(steps), here, deadline);
  }
  Task<Result<void>> append_usage(std::vector<UsageRow> rows, Deadline& deadline) override {
    ++asked;
    for (const UsageRow& row : rows) {
      if (row.error == "poison") {
        co_return Error{Kind::refused, Source::store, false, "value out of range"};
      }
    }
    const Error away{Kind::unreachable, Source::store, true, "the store cannot be reached"};
    if (gone) co_return away;
    Result<void> done = co_await real_.append_usage(std::move(rows), deadline);
    if (answers_lost > 0 && done) {
      --answers_lost;
      co_return away;
    }
    co_return done;
  }
  std::vector<Health> health() const override { return real_.health(); }

  std::atomic<bool> gone{false};
  std::atomic<int> answers_lost{0};
  std::atomic<int> asked{0};

 private:
  Database& real_;
};

class LedgerTest : public testing::Test {
 protected:
  LedgerTest() : database_(place_.opened(registry_, log_)), unsteady_(*database_) {}

  LedgerOptions options(unsigned workers = 1) const {
    LedgerOptions options;
    options.folder = place_.spool();
    options.workers = workers;
    options.flush = 5ms;
    options.sync = 5ms;
    options.rows_bytes = 16 * 1024;
    options.sums_bytes = 8 * 1024;
    return options;
  }
  std::unique_ptr<Ledger> ledger(const LedgerOptions& options) {
    auto made = std::make_unique<Ledger>(options, unsteady_, registry_, log_);
    const Result<void> started = made->start();
    EXPECT_TRUE(started.ok()) << (started.ok() ? "" : started.error().detail);
    return made;
  }
  template <class Condition>
  static bool comes(const Condition& condition) {
    const Time until = Clock::now() + 20s;
    while (!condition()) {
      if (Clock::now() > until) return false;
      std::this_thread::yield();
    }
    return true;
  }
  Totals rows() { return totals(*database_, "miss"); }
  Totals hits() { return totals(*database_, "memory"); }
  double sum(const char* result) const {
    return registry_.sum("penstock_usage_records_total", {{"result", result}});
  }

  Place place_;
  observe::Registry registry_{1};
  observe::Log log_{{}};
  std::unique_ptr<Database> database_;
  Unsteady unsteady_;
  CallerPtr caller_ = a_caller("acme", "key_1");
};

TEST_F(LedgerTest, BringsRowsAndSumsIntoTheDatabaseOnce) {
  const auto ledger = this->ledger(options());
  Book& book = ledger->book(0);
  const Served* served = ledger->served("m", "e", "chat");
  EXPECT_EQ(served, ledger->served("m", "e", "chat"));
  EXPECT_NE(served, ledger->served("m", "e", "embeddings"));
  for (int i = 0; i < 500; ++i) {
    book.add(a_row(kNow + i));
    book.hit({caller_, served}, {10, 2, 0, 0}, 3, 50us, wall(kNow + i));
  }
  ASSERT_TRUE(comes([&] { return ledger->waiting() == 0; })) << "the second is long over";
  EXPECT_EQ((Totals{500, 500, 50'000, 10'000, 13'500'000, 500}), rows());
  const Totals hit = hits();
  EXPECT_EQ(500, hit.count);
  EXPECT_EQ(5000, hit.input);
  EXPECT_EQ(1500, hit.cost);
  EXPECT_LT(hit.rows, 500);  // the thread closes what is not of the machine's own second
  ledger->stop(Clock::now() + 10s);
  EXPECT_EQ(500u + static_cast<std::uint64_t>(hit.rows), ledger->written());
  EXPECT_EQ(ledger->written(), static_cast<std::uint64_t>(sum("written")));
  EXPECT_EQ(0u, place_.files(".spool"));
}

TEST_F(LedgerTest, SumsHitsBySecondAndKeyAndClosesThemAtTheEnd) {
  unsteady_.gone = true;
  const auto ledger = this->ledger(options());
  Book& book = ledger->book(0);
  const auto now = std::chrono::system_clock::now();
  const Served* one = ledger->served("m", "e", "chat");
  const Served* two = ledger->served("n", "e", "chat");
  const CallerPtr nobody;
  for (int i = 0; i < 100; ++i) {
    book.hit({caller_, one}, {1, 1, 0, 0}, 1, 1us, now);
    book.hit({caller_, two}, {1, 1, 0, 0}, 1, 1us, now);
    book.hit({nobody, one}, {1, 1, 0, 0}, 1, 1us, now);
    book.hit({caller_, one, Level::memory, 304}, {1, 1, 0, 0}, 1, 1us, now);
    book.hit({caller_, one, Level::coalesced}, {1, 1, 0, 0}, 1, 1us, now);
  }
  EXPECT_LE(5u, ledger->waiting());  // more, if the second ended in the middle
  EXPECT_GE(10u, ledger->waiting());
  unsteady_.gone = false;
  ledger->stop(Clock::now() + 10s);
  EXPECT_EQ(0u, ledger->waiting());
  EXPECT_EQ(400, hits().count);
  EXPECT_EQ(100, totals(*database_, "coalesced").count);
}

TEST_F(LedgerTest, HoldsManyKeysAtATime) {
  const auto ledger = this->ledger(options());
  Book& book = ledger->book(0);
  const Served* served = ledger->served("m", "e", "chat");
  std::vector<CallerPtr> callers;
  for (int i = 0; i < 5000; ++i) {
    callers.push_back(a_caller("t" + std::to_string(i), "k"));
  }
  for (int round = 0; round < 3; ++round) {
    for (const CallerPtr& caller : callers) {
      book.hit({caller, served}, {1, 1, 0, 0}, 1, 1us, std::chrono::system_clock::now());
    }
  }
  ledger->stop(Clock::now() + 10s);
  EXPECT_EQ(15'000, hits().count);
  EXPECT_EQ(0u, ledger->dropped());
  EXPECT_EQ(1, callers.front().use_count()) << "nobody holds a caller for longer than its sum";
}

TEST_F(LedgerTest, KeepsRowsWhileTheStoreIsAwayAndDropsTheNewest) {
  unsteady_.gone = true;
  LedgerOptions few = options();
  few.queue = 300;
  const auto ledger = this->ledger(few);
  for (int i = 0; i < 400; ++i) ledger->book(0).add(a_row(kNow + i));
  ledger->book(0).hit({caller_, ledger->served("m", "e", "chat")}, {}, 0, 1us, wall(kNow));
  EXPECT_EQ(300u, ledger->waiting());
  EXPECT_EQ(101u, ledger->dropped());
  EXPECT_EQ(101, sum("dropped"));
  EXPECT_EQ(300, registry_.sum("penstock_usage_queue_records"));
  unsteady_.gone = false;
  ASSERT_TRUE(comes([&] { return ledger->waiting() == 0; }));
  EXPECT_EQ(300, rows().rows);
  ledger->book(0).add(a_row(kNow + 1000));
  ledger->stop(Clock::now() + 10s);
  EXPECT_EQ(301, rows().rows);
}

TEST_F(LedgerTest, CountsOnceWhereTheAnswerWasLost) {
  unsteady_.answers_lost = 3;
  const auto ledger = this->ledger(options());
  for (int i = 0; i < 100; ++i) ledger->book(0).add(a_row(kNow + i));
  ledger->stop(Clock::now() + 20s);
  EXPECT_EQ(0, unsteady_.answers_lost);
  EXPECT_EQ(100, rows().rows);
  EXPECT_EQ(100u, ledger->written());
}

TEST_F(LedgerTest, LeavesRowsInItsFilesForTheNextStartWithOtherWorkers) {
  unsteady_.gone = true;
  const Served* served = nullptr;
  {
    const auto ledger = this->ledger(options(3));
    served = ledger->served("m", "e", "chat");
    for (unsigned worker = 0; worker < 3; ++worker) {
      for (int i = 0; i < 100; ++i) ledger->book(worker).add(a_row(kNow + i));
      ledger->book(worker).hit({caller_, served}, {1, 1, 0, 0}, 1, 1us, wall(kNow));
    }
    ledger->stop(Clock::now());
    EXPECT_EQ(303u, ledger->waiting());
  }
  EXPECT_GE(place_.files(".spool"), 6u);
  unsteady_.gone = false;
  const auto ledger = this->ledger(options(1));
  ledger->book(0).add(a_row(kNow + 200));
  ASSERT_TRUE(comes([&] { return ledger->waiting() == 0; }));
  ledger->stop(Clock::now() + 10s);
  EXPECT_EQ(301, rows().rows);
  EXPECT_EQ(3, hits().count);
  EXPECT_EQ(303u, ledger->replayed());
  EXPECT_EQ(1u, ledger->written());
  EXPECT_EQ(303, sum("replayed"));
  EXPECT_EQ(0u, place_.files(".spool"));
}

TEST_F(LedgerTest, SetsAsideWhatItCannotRead) {
  unsteady_.gone = true;
  {
    const auto ledger = this->ledger(options());
    for (int i = 0; i < 20; ++i) ledger->book(0).add(a_row(kNow + i));
    ledger->stop(Clock::now());
  }
  for (const auto& one : std::filesystem::directory_iterator(place_.spool())) {
    if (one.path().extension() != ".spool") continue;
    std::fstream file(one.path(), std::ios::in | std::ios::out | std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(file), {}};
    const std::size_t at = bytes.find("acme");
    if (at == std::string::npos) continue;
    file.seekp(static_cast<std::streamoff>(at));
    file.write("ACME", 4);  // the first row's check fails
  }
  const auto write = [&](const char* name, const std::string& bytes) {
    std::ofstream(place_.spool() + "/" + name, std::ios::binary) << bytes;
  };
  write("0-noise.spool", std::string(5000, 'n'));
  write("0-empty.spool", "");
  auto newer = Segment::create(place_.spool() + "/0-newer.spool", 4096, 1, 1);
  ASSERT_TRUE(newer.ok());
  std::string bytes((*newer)->bytes());
  bytes[8] = 9;
  write("0-newer.spool", bytes);

  unsteady_.gone = false;
  const auto ledger = this->ledger(options());
  ledger->stop(Clock::now() + 10s);
  EXPECT_EQ(19, rows().rows);
  EXPECT_EQ(0u, place_.files(".spool"));
  EXPECT_EQ(3u, place_.files(".spool.damaged"));
  EXPECT_EQ(3u, log_.messages(observe::Level::error));
}

TEST_F(LedgerTest, SetsAsideARowThatTheStoreRefusesAndWritesTheOthers) {
  const auto ledger = this->ledger(options());
  for (int i = 0; i < 100; ++i) {
    UsageRow row = a_row(kNow + i);
    if (i == 37 || i == 38) row.error = "poison";
    ledger->book(0).add(row);
  }
  ledger->stop(Clock::now() + 10s);
  EXPECT_EQ(98, rows().rows);
  EXPECT_EQ(98u, ledger->written());
  EXPECT_EQ(2u, ledger->dropped());
  EXPECT_EQ(0u, ledger->waiting());
  EXPECT_EQ(1u, place_.files(".refused"));
}

TEST_F(LedgerTest, WorksBesideAnotherInTheSameFolder) {
  const auto first = ledger(options());
  Ledger second(options(), unsteady_, registry_, log_);
  EXPECT_TRUE(second.start().ok());
}

TEST(SpoolFolders, StandBesideTheDatabase) {
  EXPECT_EQ("./penstock.db-spool", spool_folder("sqlite:./penstock.db"));
  EXPECT_EQ("./penstock-spool", spool_folder("postgresql://user@host/db"));
}

}  // namespace
}  // namespace penstock::store
