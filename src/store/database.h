// What the program asks of its database, whichever it is: SQLite or PostgreSQL.
//
//   worker's loop ──┐                     ┌─ SQLite: one writer's thread, readers beside it
//   admin's loop ───┼── Database ── post ─┤
//   a thread (wait) ┘      ^              └─ PostgreSQL: the store loop, one pool a node
//                          └── the answer comes back to the loop that asked (call.h)
//
// The verbs may be awaited on any loop. Only cold work comes here: a request with a known key asks
// the database nothing. Every statement of the program is a constant in one table (statements.h);
// values are bound and never pasted into a text.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/deadline.h"
#include "base/result.h"
#include "base/task.h"
#include "exchange/usage_row.h"
#include "observe/log.h"
#include "observe/metrics.h"

namespace penstock::store {

struct Blob {
  std::string bytes;
  friend bool operator==(const Blob&, const Blob&) = default;
};
// Nothing (NULL), a whole number, a real one, text, bytes. Text that is not UTF-8, or holds a NUL,
// is kept with U+FFFD in the place of what no database takes.
using Value = std::variant<std::monostate, std::int64_t, double, std::string, Blob>;
using Values = std::vector<Value>;

struct Rows {
  std::vector<Values> rows;
  std::uint64_t changed = 0;  // by an INSERT, UPDATE or DELETE
};

// A constant: its address is its identity. Both databases take $1, $2 ...; `sqlite` only where the
// text must differ there.
struct Statement {
  std::string_view
      name;  // the operation of penstock_db_query_duration_seconds, and the prepared statement's
  std::string_view sql;
  std::string_view sqlite = {};
  bool reads = false;  // changes nothing: may be tried again, and asked of a replica
  bool again = false;  // a write that does the same when it is done twice: may be tried again
  bool once = false;   // not worth keeping prepared: migrations
};

struct Step {
  const Statement* statement;
  Values values;
};

// Where a write has come to (PostgreSQL: the LSN), for reads that must see it. Empty: no matter.
struct Mark {
  std::string lsn;
};

enum class Dialect : std::uint8_t { sqlite, postgres };
enum class Role : std::uint8_t { primary, replica };

// How one of the servers is, as it was last seen.
struct Health {
  std::string name;  // "db-a:5432/penstock" or the file; never with a password
  Role role = Role::primary;
  bool up = false;
  std::optional<Duration> lag;  // of a replica
  bool used = false;            // a replica that lags too much is up and not used
  unsigned connections = 0;     // open now, idle and busy
  unsigned idle = 0;
  std::string reason;  // why it is not up, or not used
};

// Errors have Source::store, and name the store without its password.
//   unreachable  no connection: nothing was done                     retry
//   timeout      the deadline passed; what was written may be there  retry
//   exhausted    the pool, the queue or the disk is full             retry
//   broken       the connection ended: what was written may be there never
//   cancelled    the program ends                                    retry
//   refused      the database said no: a constraint                  never
//   invalid      a value that the database does not take             never
//   internal     a fault of ours or of the file: a statement that is wrong, a corrupt database
class Database {
 public:
  Database() = default;
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  // What was queued is written before, within a second; who waits for an answer gets an error.
  virtual ~Database() = default;

  virtual Dialect dialect() const = 0;
  virtual std::string_view name() const = 0;  // as in Health

  // A replica may answer, unless it has not come to `after` yet.
  virtual Task<Result<Rows>> read(const Statement& statement, Values values, Mark after,
                                  Deadline& deadline) = 0;
  // On the primary, in a transaction of its own; reads that must not be stale may come here too.
  // `here` may be null; it must outlive the task.
  Task<Result<Rows>> write(const Statement& statement, Values values, Mark* here,
                           Deadline& deadline);
  // All the steps or none, in order; one answer a step.
  virtual Task<Result<std::vector<Rows>>> transact(std::vector<Step> steps, Mark* here,
                                                   Deadline& deadline) = 0;
  // All or none, each row once by (time_us, id) however often it is given: to be called again, with
  // the same rows, after any error. REQUIRES: at most kMostUsageRows, and kMostUsageText of text.
  virtual Task<Result<void>> append_usage(std::vector<UsageRow> rows, Deadline& deadline) = 0;

  // The primary first. Any thread.
  virtual std::vector<Health> health() const = 0;
};
inline constexpr std::size_t kMostUsageRows = 20'000;
inline constexpr std::size_t kMostUsageText = 8 * 1024 * 1024;  // bytes of questions and answers

struct Options {
  std::string url = "sqlite:./penstock.db";  // or postgresql://user:password@host,host/database?...
  std::vector<std::string> replicas;         // URLs of PostgreSQL
  Duration max_lag = 2s;
  std::optional<std::uint32_t> pool_max;  // of this node; nothing: its share of pool_total
  std::uint32_t pool_total = 48;          // over all live nodes, replicas included
  Duration pool_idle = 60s;
  Duration acquire_timeout = 1s;
  Duration usage_keep = 95 * 24h;
  bool record_text = false;  // questions and answers of usage rows are kept
  std::string node;          // the name of this node in `nodes`; empty: the host's
};

// An error: the URL means nothing, or the file of SQLite cannot be used, which it names. A
// PostgreSQL that cannot be reached is tried again and again. Starts the store's threads. The
// registry and the log must outlive the Database.
Result<std::unique_ptr<Database>> open(const Options& options, observe::Registry& registry,
                                       observe::Log& log);

// Brings the tables to this program's version; how many steps were applied. Any number of nodes may
// do it at once. An error if the database is newer than the program.
Task<Result<int>> migrate(Database& database, Deadline& deadline);

// For threads without a loop, as commands and tests are: runs one for as long as the answer takes.
//
//   Result<Rows> rows = wait(5s, [&](Deadline& d) { return database.read(kKeys, {}, {}, d); });
template <class Ask>
auto wait(Duration limit, const Ask& ask);

// ---- below: how `wait` does it -----------------------------------------------------------------

namespace detail {
template <class T>
Task<void> keep(Loop& loop, Task<T> task, std::optional<T>& to) {
  T result = co_await task;
  to.emplace(std::move(result));
  loop.stop();
}
template <class T>
T wait(Loop& loop, Task<T> task) {
  std::optional<T> result;
  loop.spawn(keep(loop, std::move(task), result));
  if (!result) loop.run();
  return *std::move(result);
}
}  // namespace detail

template <class Ask>
auto wait(Duration limit, const Ask& ask) {
  Loop loop;
  Deadline deadline(loop, limit == Duration::max() ? Time::max() : Clock::now() + limit);
  return detail::wait(loop, ask(deadline));
}

}  // namespace penstock::store
