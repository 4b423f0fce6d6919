// SQLite as the store: one thread writes, a few read beside it.
//
//   write, transact, append_usage ──> [queue] ──> writer: BEGIN ─ a savepoint each ─ COMMIT
//   read ───────────────────────────> [queue] ──> readers, each with a connection of its own
//
// What is queued while a batch is written is the next batch: one commit, and with the ledger's rows
// one sync of the disk, for all of it. The log (WAL) is kept under 64 MiB: emptied when it is long,
// and where a reader holds it, nothing more is written until it has gone.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "store/call.h"
#include "store/database.h"
#include "store/meters.h"
#include "store/sqlite_file.h"

namespace penstock::store {

class SqliteDatabase final : public Database {
 public:
  static Result<std::unique_ptr<Database>> open(const Options& options, std::string path,
                                                observe::Registry& registry, observe::Log& log);
  ~SqliteDatabase() override;

  Dialect dialect() const override { return Dialect::sqlite; }
  std::string_view name() const override { return path_; }
  Task<Result<Rows>> read(const Statement& statement, Values values, Mark after,
                          Deadline& deadline) override;
  Task<Result<std::vector<Rows>>> transact(std::vector<Step> steps, Mark* here,
                                           Deadline& deadline) override;
  Task<Result<void>> append_usage(std::vector<UsageRow> rows, Deadline& deadline) override;
  std::vector<Health> health() const override;

 private:
  struct Read {
    Step step;
    CallPtr<Rows> call;
    Time queued;
  };
  // A piece of a batch. `run` works on the writer's connection, within a savepoint; `finish` is
  // told once, when all is committed or why it is not.
  struct Write {
    std::function<Result<void>(SqliteFile&)> run;
    std::function<void(const Error*)> finish;
    std::function<bool()> left;
    bool ledger = false;  // synced to the disk before it is answered
  };

  SqliteDatabase(const Options& options, std::string path, observe::Registry& registry,
                 observe::Log& log);
  template <class Job>
  bool put(std::deque<Job>& queue, std::condition_variable& bell, Job job);
  Error full() const;

  void read_on(SqliteFile& file);
  void write_on(SqliteFile& file);
  void write_batch(SqliteFile& file, std::vector<Write>& batch);
  Result<void> begin(SqliteFile& file);
  std::optional<Error> make_room(SqliteFile& file);
  void note(const std::optional<Error>& fault);

  const std::string path_;
  const bool record_text_;
  observe::Log& log_;
  Meters meters_;
  std::shared_ptr<Gauges> gauges_;
  std::atomic<bool> stop_{false};

  mutable std::mutex mutex_;  // of what follows
  std::condition_variable read_bell_, write_bell_;
  std::deque<Read> reads_;
  std::deque<Write> writes_;
  bool up_ = true;
  std::string reason_;  // why not
  unsigned busy_ = 0;

  std::unique_ptr<SqliteFile> writer_;
  std::vector<std::unique_ptr<SqliteFile>> readers_;
  std::vector<std::thread> threads_;
};

}  // namespace penstock::store
