#include "store/sqlite_database.h"

#include <algorithm>

#include "base/give_way.h"
#include "store/usage_write.h"

namespace penstock::store {
namespace {

constexpr std::size_t kReaders = 2;
constexpr std::size_t kMostQueued = 10'000;
constexpr std::size_t kMostInBatch = 256;
// Pages of 4 KiB. One batch is at most kMostUsageRows, which stays under the rest to 64 MiB.
constexpr int kPassive = 1'000;  // moved on beside the readers
constexpr int kEmpty = 2'000;    // emptied, for which readers are waited for
constexpr int kNoMore = 6'000;   // nothing is written while a reader holds so much
constexpr Duration kWaitToEmpty = 50ms;
constexpr Duration kLockPatience = 5s;

constexpr Statement kSavepoint = {"savepoint", "SAVEPOINT piece"};
constexpr Statement kRelease = {"savepoint", "RELEASE piece"};

}  // namespace

Result<std::unique_ptr<Database>> SqliteDatabase::open(const Options& options, std::string path,
                                                       observe::Registry& registry,
                                                       observe::Log& log) {
  std::unique_ptr<SqliteDatabase> made(new SqliteDatabase(options, std::move(path), registry, log));
  Result<std::unique_ptr<SqliteFile>> writer =
      SqliteFile::open(made->path_, true, made->meters_, made->stop_);
  if (!writer) return writer.error();
  made->writer_ = *std::move(writer);
  for (std::size_t i = 0; i < kReaders; ++i) {
    Result<std::unique_ptr<SqliteFile>> reader =
        SqliteFile::open(made->path_, false, made->meters_, made->stop_);
    if (!reader) return reader.error();
    made->readers_.push_back(*std::move(reader));
  }
  SqliteDatabase& database = *made;
  database.threads_.emplace_back([&database] {
    give_way();
    database.write_on(*database.writer_);
  });
  for (const auto& reader : database.readers_) {
    database.threads_.emplace_back([&database, &file = *reader] { database.read_on(file); });
  }
  return std::unique_ptr<Database>(std::move(made));
}

SqliteDatabase::SqliteDatabase(const Options& options, std::string path,
                               observe::Registry& registry, observe::Log& log)
    : path_(std::move(path)),
      record_text_(options.record_text),
      log_(log),
      meters_(registry, SqliteFile::kFaultNames),
      gauges_(std::make_shared<Gauges>()) {
  gauges_->health = [this] { return health(); };
  gauges_->connections_max = [] { return 1.0 + kReaders; };
  gauges_->pending = [this] {
    const std::lock_guard lock(mutex_);
    return static_cast<double>(reads_.size() + writes_.size());
  };
  show(registry, gauges_, {});
}

SqliteDatabase::~SqliteDatabase() {
  hide(gauges_);
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  read_bell_.notify_all();
  write_bell_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

// ---- the verbs, on the loop that asks ----------------------------------------------------------

template <class Job>
bool SqliteDatabase::put(std::deque<Job>& queue, std::condition_variable& bell, Job job) {
  {
    const std::lock_guard lock(mutex_);
    if (stop_ || queue.size() >= kMostQueued) return false;
    queue.push_back(std::move(job));
  }
  bell.notify_one();
  return true;
}

Error SqliteDatabase::full() const {
  return {Kind::exhausted, Source::store, true,
          "the database " + path_ + ": too much waits for it already"};
}

Task<Result<Rows>> SqliteDatabase::read(const Statement& statement, Values values, Mark,
                                        Deadline& deadline) {
  if (deadline.over()) co_return deadline.error("the store", Source::store);
  const auto call = std::make_shared<Call<Rows>>(deadline);
  if (!put(reads_, read_bell_, Read{{&statement, std::move(values)}, call, Clock::now()})) {
    co_return full();
  }
  Result<Rows> answer = co_await Call<Rows>::wait(call, deadline);
  co_return answer;
}

Task<Result<std::vector<Rows>>> SqliteDatabase::transact(std::vector<Step> steps, Mark* here,
                                                         Deadline& deadline) {
  if (deadline.over()) co_return deadline.error("the store", Source::store);
  if (here != nullptr) here->lsn.clear();
  const auto call = std::make_shared<Call<std::vector<Rows>>>(deadline);
  const auto answers = std::make_shared<std::vector<Rows>>();
  Write job;
  job.run = [steps = std::move(steps), answers](SqliteFile& file) -> Result<void> {
    answers->clear();
    for (const Step& step : steps) {
      Result<Rows> rows = file.ask(*step.statement, step.values, Time::max());
      if (!rows) return rows.error();
      answers->push_back(*std::move(rows));
    }
    return {};
  };
  job.finish = [call, answers](const Error* error) {
    if (error != nullptr) {
      call->finish(*error);
    } else {
      call->finish(std::move(*answers));
    }
  };
  job.left = [call] { return call->left(); };
  if (!put(writes_, write_bell_, std::move(job))) co_return full();
  Result<std::vector<Rows>> answer = co_await Call<std::vector<Rows>>::wait(call, deadline);
  co_return answer;
}

Task<Result<void>> SqliteDatabase::append_usage(std::vector<UsageRow> rows, Deadline& deadline) {
  if (deadline.over()) co_return deadline.error("the store", Source::store);
  const auto call = std::make_shared<Call<void>>(deadline);
  Write job;
  job.run = [rows = std::move(rows), text = record_text_, this](SqliteFile& file) {
    const Time began = Clock::now();
    Result<void> done = insert_usage(file, rows, text);
    meters_.asked("append_usage", Clock::now() - began);
    return done;
  };
  job.finish = [call](const Error* error) {
    call->finish(error != nullptr ? Result<void>(*error) : Result<void>());
  };
  job.left = [call] { return call->left(); };
  job.ledger = true;
  if (!put(writes_, write_bell_, std::move(job))) co_return full();
  Result<void> answer = co_await Call<void>::wait(call, deadline);
  co_return answer;
}

std::vector<Health> SqliteDatabase::health() const {
  const std::lock_guard lock(mutex_);
  Health one;
  one.name = path_;
  one.up = up_;
  one.used = up_;
  one.connections = 1 + kReaders;
  one.idle = one.connections - busy_;
  one.reason = reason_;
  return {one};
}

// ---- the threads -------------------------------------------------------------------------------

void SqliteDatabase::read_on(SqliteFile& file) {
  for (;;) {
    std::unique_lock lock(mutex_);
    read_bell_.wait(lock, [this] { return stop_ || !reads_.empty(); });
    if (reads_.empty()) return;
    Read job = std::move(reads_.front());
    reads_.pop_front();
    if (stop_) {
      lock.unlock();
      job.call->finish(full());
      continue;
    }
    ++busy_;
    lock.unlock();
    const Time now = Clock::now();
    meters_.waited(Role::primary, now - job.queued);
    if (job.call->left() || now >= job.call->until()) {
      meters_.pool_timed_out(Role::primary);
    } else {
      job.call->finish(file.ask(*job.step.statement, job.step.values, job.call->until()));
    }
    lock.lock();
    --busy_;
  }
}

void SqliteDatabase::write_on(SqliteFile& file) {
  for (;;) {
    std::vector<Write> batch;
    {
      std::unique_lock lock(mutex_);
      write_bell_.wait(lock, [this] { return stop_ || !writes_.empty(); });
      if (writes_.empty()) return;
      while (!writes_.empty() && batch.size() < kMostInBatch) {
        batch.push_back(std::move(writes_.front()));
        writes_.pop_front();
        if (batch.back().ledger) break;  // long: nobody waits behind it for nothing
      }
      ++busy_;
    }
    // Who has left was told that it may not be there; then it is not.
    std::erase_if(batch, [](const Write& job) { return job.left(); });
    if (!batch.empty()) write_batch(file, batch);
    const std::lock_guard lock(mutex_);
    --busy_;
  }
}

// Another program may hold the lock for long: it is tried again while somebody waits.
Result<void> SqliteDatabase::begin(SqliteFile& file) {
  file.wait_for_locks(kLockPatience);
  return file.run("BEGIN IMMEDIATE");
}

void SqliteDatabase::write_batch(SqliteFile& file, std::vector<Write>& batch) {
  const auto fail_all = [&](const Error& error) {
    for (const Write& job : batch) job.finish(&error);
    note(error);
  };
  if (const std::optional<Error> held = make_room(file)) return fail_all(*held);
  const bool ledger =
      std::any_of(batch.begin(), batch.end(), [](const Write& job) { return job.ledger; });
  Result<void> set = file.run(ledger ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
  if (!set) return fail_all(set.error());
  Result<void> begun = begin(file);
  if (!begun) return fail_all(begun.error());

  std::vector<std::optional<Error>> errors(batch.size());
  for (std::size_t i = 0; i < batch.size(); ++i) {
    Result<Rows> saved = file.ask(kSavepoint, {}, Time::max());
    Result<void> done = saved ? batch[i].run(file) : Result<void>(saved.error());
    if (done) {
      Result<Rows> released = file.ask(kRelease, {}, Time::max());
      if (!released) done = released.error();
    }
    if (done) continue;
    errors[i] = done.error();
    // A full disk ends the whole transaction by itself.
    if (!file.in_transaction()) return fail_all(*errors[i]);
    Result<void> back = file.run("ROLLBACK TO piece; RELEASE piece");
    if (!back) {
      (void)file.run("ROLLBACK");
      return fail_all(back.error());
    }
  }
  Result<void> committed = file.run("COMMIT");
  if (!committed) {
    if (file.in_transaction()) (void)file.run("ROLLBACK");
    return fail_all(committed.error());
  }
  for (std::size_t i = 0; i < batch.size(); ++i) {
    batch[i].finish(errors[i] ? &*errors[i] : nullptr);
  }
  note(std::nullopt);
  if (file.log_pages() >= kPassive) file.checkpoint(false);
}

// Empties the log when it is long. An Error: a reader holds it, and there is no room for more.
std::optional<Error> SqliteDatabase::make_room(SqliteFile& file) {
  if (file.log_pages() < kEmpty) return std::nullopt;
  file.wait_for_locks(kWaitToEmpty);
  if (file.checkpoint(true) || file.log_pages() < kNoMore) return std::nullopt;
  file.wait_for_locks(kLockPatience);
  if (file.checkpoint(true)) return std::nullopt;
  return Error{Kind::exhausted, Source::store, true,
               "the database " + path_ +
                   ": its log is full, because another program has been reading for long"};
}

// What health() tells, and the log once: what a piece is refused for is its own affair.
void SqliteDatabase::note(const std::optional<Error>& fault) {
  bool before = true;
  {
    const std::lock_guard lock(mutex_);
    before = up_;
    up_ = !fault;
    reason_ = fault ? fault->detail : std::string();
  }
  if (fault && before) {
    log_.warning("the database cannot be written", {{"reason", fault->detail}});
  } else if (!fault && !before) {
    log_.info("the database can be written again", {{"database", path_}});
  }
}

}  // namespace penstock::store
