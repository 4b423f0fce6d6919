// The ledger of a node: every request is in the database once, whatever ends in between.
//
//   worker ── Book ──> spool (mapped files) ── the ledger's thread, each `flush` ──> Database
//                         ^ fdatasync each 100 ms        append_usage, then the spool goes on
//   start(): what an earlier run left is taken first, however it ended
//
// A row is in the spool before its request's answer ends; it leaves the spool when the database has
// it. Between the two it may be given to the database several times, which counts it once by its
// time and id. While the database is away the spool grows, up to its bounds.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/loop.h"
#include "observe/log.h"
#include "observe/metrics.h"
#include "store/book.h"
#include "store/database.h"

namespace penstock::store {

// Rows that were given to the database together.
struct Written {
  std::chrono::system_clock::time_point begin;
  Duration took{};
  std::size_t rows = 0;
  const Error* error = nullptr;        // null: it has them; else they are given again
  std::vector<std::string> trace_ids;  // of those that have one, as in the rows
};

struct LedgerOptions {
  std::string folder;
  unsigned workers = 1;
  std::uint64_t queue = 100'000;                  // records that may wait
  std::uint64_t queue_bytes = 256 * 1024 * 1024;  // and what they may take on the disk, at least
  std::uint64_t memory = 32 * 1024 * 1024;        // and in memory, while there is no disk
  Duration flush = 200ms;
  Duration sync = 100ms;
  std::size_t rows_bytes = 2 * 1024 * 1024;  // of one file
  std::size_t sums_bytes = 1024 * 1024;
  std::function<void(const Written& written)> written = {};  // on the ledger's thread
};

// The folder of a store: "<file>-spool" beside an SQLite file, else "./penstock-spool".
std::string spool_folder(std::string_view store_url);

class Ledger {
 public:
  // The database, the registry and the log must outlive it.
  // What a ledger counts, without one: for the reference of metrics.
  static void declare(observe::Registry& registry);

  Ledger(LedgerOptions options, Database& database, observe::Registry& registry, observe::Log& log);
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;
  ~Ledger();  // as stop, with a second at most

  Book& book(unsigned worker) { return *books_[worker]; }
  // What answered, to name in hits. Any thread; not on a request's way.
  const Served* served(std::string_view model, std::string_view engine, std::string_view route);

  // An error names the folder: it cannot be made, or another process has it. That the database is
  // away is none.
  Result<void> start();
  // Writes what there is, until `until`; what is left then waits in its files for the next start.
  // REQUIRES: nothing is recorded any more.
  void stop(Time until);

  // Any thread.
  std::uint64_t waiting() const { return folder_.counts()->records; }
  std::uint64_t written() const;
  std::uint64_t replayed() const;
  std::uint64_t dropped() const;

 private:
  struct Counts;
  struct Batch;
  class Left;

  Task<void> write_on(Deadline& until);
  Task<void> sync_on(Deadline& until);
  Task<Result<void>> put(std::size_t from, std::size_t to, Deadline& until);
  Task<Result<void>> append(std::size_t from, std::size_t to, Deadline& until);
  void collect_left();
  void collect();
  std::size_t take(std::string_view bytes, std::size_t from, std::size_t to, std::size_t& reached);
  void settle();
  void leave_out(std::size_t which);
  void refuse(std::size_t which, std::string_view why);
  void damaged(const std::string& path, std::string_view what);
  void sync();
  void look();
  void ended();
  static void show(observe::Registry& registry, const std::weak_ptr<const Counts>& of);

  const LedgerOptions options_;
  Database& database_;
  observe::Log& log_;
  SpoolFolder folder_;
  std::vector<std::unique_ptr<Book>> books_;
  std::shared_ptr<Counts> counts_;  // the metrics' too
  std::mutex served_mutex_;
  std::deque<Served> served_;

  // The thread's.
  Loop loop_;
  Deadline until_;
  Deadline pause_;
  Deadline syncs_;
  int coroutines_ = 0;
  bool stopping_ = false;
  bool away_ = false;
  bool in_memory_ = false;
  std::uint64_t dropped_said_ = 0;
  Time say_dropped_at_{};
  bool stopped_ = false;  // its thread has ended: what is still to be said is said now
  Random random_;
  std::deque<std::string> left_;
  std::unique_ptr<Left> reading_;
  std::unique_ptr<Batch> batch_;
  std::thread thread_;
};

}  // namespace penstock::store
