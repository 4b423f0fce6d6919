// Whatever ends the process, wherever it is: what was recorded is counted once.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <thread>

#include "store/ledger_testing.h"

namespace penstock::store {
namespace {

constexpr unsigned kThreads = 3;

// What each thread of the child has done, in memory that outlives it.
struct Tally {
  std::atomic<std::uint64_t> begun{0};
  std::atomic<std::uint64_t> recorded{0};
};
struct Tallies {
  std::array<Tally, kThreads> rows;
  std::array<Tally, kThreads> hits;
};

std::uint64_t sum(const std::array<Tally, kThreads>& of, std::atomic<std::uint64_t> Tally::*what) {
  std::uint64_t all = 0;
  for (const Tally& one : of) all += one.*what;
  return all;
}

LedgerOptions options_in(const Place& place, unsigned workers) {
  LedgerOptions options;
  options.folder = place.spool();
  options.workers = workers;
  options.flush = 3ms;
  options.sync = 2ms;
  options.rows_bytes = 64 * 1024;
  options.sums_bytes = 16 * 1024;
  options.queue = 10'000'000;
  return options;
}

// Records rows and hits in several threads, as fast as it can, until it is killed.
[[noreturn]] void run_child(const Place& place, Tallies& tallies, int ready) {
  observe::Registry registry(1);
  observe::Log log({});
  const auto database = place.opened(registry, log);
  Ledger ledger(options_in(place, kThreads), *database, registry, log);
  if (!ledger.start()) _exit(1);
  const Served* served = ledger.served("m", "e", "chat");
  std::vector<std::thread> threads;
  for (unsigned number = 0; number < kThreads; ++number) {
    threads.emplace_back([&, number] {
      Book& book = ledger.book(number);
      const CallerPtr caller = a_caller("acme", "key_" + std::to_string(number));
      Tally& rows = tallies.rows[number];
      Tally& hits = tallies.hits[number];
      for (std::uint64_t i = 1;; ++i) {
        const auto now = std::chrono::system_clock::now();
        if (i % 64 == 0) {
          rows.begun.fetch_add(1);
          book.add(a_row(now.time_since_epoch() / 1us));
          rows.recorded.fetch_add(1);
        }
        // Seconds go by quickly here, so that sums are closed all the time.
        const auto at = now + std::chrono::seconds(i / 500);
        hits.begun.fetch_add(1);
        book.hit({caller, served}, {3, 2, 0, 0}, 5, 1us, at);
        hits.recorded.fetch_add(1);
      }
    });
  }
  static_cast<void>(write(ready, "r", 1));
  for (;;) pause();
}

class Killed : public testing::TestWithParam<int> {};

TEST_P(Killed, CountsWhatWasRecordedOnce) {
  const Place place;
  void* const memory =
      mmap(nullptr, sizeof(Tallies), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(MAP_FAILED, memory);
  auto& tallies = *new (memory) Tallies;
  std::array<int, 2> ready{};
  ASSERT_EQ(0, pipe2(ready.data(), O_CLOEXEC));
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) run_child(place, tallies, ready[1]);
  close(ready[1]);
  char byte = 0;
  ASSERT_EQ(1, read(ready[0], &byte, 1));
  close(ready[0]);
  // At any moment: of the first rows, of a flush, of a new segment.
  Random random(static_cast<std::uint64_t>(GetParam()));
  const std::uint64_t enough = random.next() % (std::uint64_t{1} << (random.next() % 20));
  while (sum(tallies.hits, &Tally::recorded) < enough) std::this_thread::yield();
  ASSERT_EQ(0, kill(child, SIGKILL));
  int status = 0;
  ASSERT_EQ(child, waitpid(child, &status, 0));
  ASSERT_TRUE(WIFSIGNALED(status));

  observe::Registry registry(1);
  observe::Log log({});
  const auto database = place.opened(registry, log);
  ASSERT_NE(nullptr, database);
  const auto replay = [&] {
    Ledger ledger(options_in(place, 1), *database, registry, log);
    const Result<void> started = ledger.start();
    ASSERT_TRUE(started.ok()) << started.error().detail;
    ledger.stop(Clock::now() + 60s);
    EXPECT_EQ(0u, ledger.waiting());
    EXPECT_EQ(0u, ledger.dropped());
  };
  // What lies there is replayed twice: a copy of it after it has been.
  const std::string copy = place.folder() + "/copy";
  std::filesystem::copy(place.spool(), copy);
  replay();
  const Totals rows = totals(*database, "miss");
  const Totals hits = totals(*database, "memory");
  const auto between = [](std::uint64_t recorded, std::int64_t counted, std::uint64_t begun) {
    EXPECT_LE(recorded, static_cast<std::uint64_t>(counted));
    EXPECT_LE(static_cast<std::uint64_t>(counted), begun);
  };
  between(sum(tallies.rows, &Tally::recorded), rows.count, sum(tallies.rows, &Tally::begun));
  between(sum(tallies.hits, &Tally::recorded), hits.count, sum(tallies.hits, &Tally::begun));
  EXPECT_EQ(rows.rows, rows.count);
  EXPECT_EQ(rows.rows, rows.ids);
  EXPECT_EQ(100 * rows.rows, rows.input);
  EXPECT_EQ(hits.rows, hits.ids);
  EXPECT_EQ(3 * hits.count, hits.input);  // no hit is half in
  EXPECT_EQ(2 * hits.count, hits.output);
  EXPECT_EQ(5 * hits.count, hits.cost);
  EXPECT_EQ(0u, log.messages(observe::Level::error));

  for (const auto& one : std::filesystem::directory_iterator(copy)) {
    std::filesystem::copy(one.path(), place.spool(),
                          std::filesystem::copy_options::overwrite_existing);
  }
  replay();
  EXPECT_EQ(rows, totals(*database, "miss"));
  EXPECT_EQ(hits, totals(*database, "memory"));
  munmap(memory, sizeof(Tallies));
}

INSTANTIATE_TEST_SUITE_P(AtSomeMoment, Killed, testing::Range(1, 11));

// A disk of 8 MiB that is full: in a namespace of its own, which only root can have.
TEST(FullDisk, IsCountedAndServed) {
  const Place place;
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  constexpr int kNotAllowed = 77;
  if (child == 0) {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      _exit(kNotAllowed);
    std::filesystem::create_directory(place.spool());
    if (mount("none", place.spool().c_str(), "tmpfs", 0, "size=8m") != 0) _exit(kNotAllowed);
    observe::Registry registry(1);
    observe::Log log({});
    const auto database = place.opened(registry, log);
    // Nothing goes into the database until the disk is full.
    LedgerOptions options = options_in(place, 1);
    options.rows_bytes = 1024 * 1024;
    options.sums_bytes = 256 * 1024;
    options.memory = 4 * 1024 * 1024;
    options.flush = 3s;
    Ledger ledger(options, *database, registry, log);
    if (!ledger.start()) _exit(2);
    std::uint64_t added = 0;
    while (ledger.dropped() == 0) ledger.book(0).add(a_row(static_cast<std::int64_t>(++added)));
    // Over 8 MiB of files and 4 MiB in memory, in whole segments.
    const std::uint64_t bytes = added * encoded_size(a_row(1));
    if (bytes < 9 * 1024 * 1024 || bytes > 13 * 1024 * 1024) _exit(3);
    ledger.stop(Clock::now() + 60s);
    if (ledger.written() != added - 1 || ledger.dropped() != 1 || ledger.waiting() != 0) _exit(4);
    if (totals(*database, "miss").rows != static_cast<std::int64_t>(added - 1)) _exit(5);
    if (log.messages(observe::Level::warn) == 0) _exit(6);
    if (log.messages(observe::Level::error) == 0) _exit(7);
    if (place.files(".spool") != 0) _exit(8);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(child, waitpid(child, &status, 0));
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  if (WEXITSTATUS(status) == kNotAllowed) GTEST_SKIP() << "no mount namespace to be had";
  EXPECT_EQ(0, WEXITSTATUS(status));
}

}  // namespace
}  // namespace penstock::store
