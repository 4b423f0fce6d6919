// One connection to a file of SQLite (3.40), for one thread: prepared statements by the address of
// their constant, values bound by number, faults as Errors that tell full, busy and corrupt apart.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/database.h"
#include "store/meters.h"

struct sqlite3;
struct sqlite3_stmt;

namespace penstock::store {

class SqliteFile {
 public:
  // What the faults are called that are counted.
  static constexpr std::array<std::string_view, 11> kFaultNames = {
      "full",     "busy",      "locked",     "memory",  "io",   "open",
      "readonly", "interrupt", "constraint", "corrupt", "other"};

  // `stop`: a wait for another's lock ends at once. Both must outlive the connection.
  static Result<std::unique_ptr<SqliteFile>> open(const std::string& path, bool writes,
                                                  Meters& meters, const std::atomic<bool>& stop);
  SqliteFile(const SqliteFile&) = delete;
  SqliteFile& operator=(const SqliteFile&) = delete;
  ~SqliteFile();

  // Text of ours without values: BEGIN, PRAGMA.
  Result<void> run(const char* sql);
  // `until`: a statement that reads is given up then.
  Result<Rows> ask(const Statement& statement, const Values& values, Time until);

  // For one of many rows: no answer, and not measured one by one.
  Result<void> run_kept(const Statement& statement, std::span<const Value> values);

  bool in_transaction() const;
  // Another's lock is waited for so long; a part of it that is left over is the next wait's.
  void wait_for_locks(Duration at_most) { patience_ = at_most; }

  // Pages in the log that are not yet in the file, as of the last commit of this connection.
  int log_pages() const { return log_pages_; }
  // Moves what the log holds into the file. `whole`: also empties the log, if within
  // `wait_for_locks` no reader needs it. False: somebody needed it.
  bool checkpoint(bool whole);

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
    void operator()(sqlite3_stmt* handle) const;
  };
  SqliteFile(std::string path, Meters& meters, const std::atomic<bool>& stop)
      : path_(std::move(path)), meters_(meters), stop_(stop) {}
  struct Prepared {
    std::unique_ptr<sqlite3_stmt, Close> handle;
    std::vector<int> places;  // of $1, $2 ...: SQLite counts as they first stand; 0: it has none
  };
  Error failed(int code);
  Result<const Prepared*> prepared(const Statement& statement);
  Result<Prepared> prepare(const Statement& statement);
  Result<void> bind(const Prepared& prepared, std::span<const Value> values);

  static int on_busy(void* self, int tries);
  static int on_progress(void* self);
  static int on_commit(void* self, sqlite3* handle, const char* name, int pages);

  const std::string path_;
  Meters& meters_;
  const std::atomic<bool>& stop_;
  Duration patience_ = 5s;
  Time busy_since_ = Time::max();
  Time until_ = Time::max();
  int log_pages_ = 0;
  std::unique_ptr<sqlite3, Close> handle_;
  std::unordered_map<const Statement*, Prepared> kept_;  // ends before the handle
};

}  // namespace penstock::store
