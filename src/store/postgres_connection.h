// One connection to PostgreSQL, by libpq 15, on a loop.
//
//   ask:    [set_config] [prepare, step]... Sync [mark] Sync      in one trip (pipeline mode)
//   append: BEGIN, COPY ... | INSERT ... | COMMIT                  (COPY knows no pipeline)
//
// What stands before the first Sync is one transaction: all of it or nothing. Each statement is
// bounded by `statement_timeout` on the server too, so that what nobody waits for ends there.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/deadline.h"
#include "base/loop.h"
#include "store/postgres_values.h"

namespace penstock::store {

// How to connect to one address.
struct PostgresTarget {
  std::vector<std::pair<std::string, std::string>> options;
  std::string name;  // of the database, for errors
};

class PostgresConnection final : private Poller::Socket {
 public:
  static Task<Result<std::unique_ptr<PostgresConnection>>> open(PostgresTarget target,
                                                                Deadline& deadline);
  PostgresConnection(const PostgresConnection&) = delete;
  PostgresConnection& operator=(const PostgresConnection&) = delete;
  ~PostgresConnection() override;

  struct Ask {
    const std::vector<Step>* steps = nullptr;
    bool named = true;       // prepared statements keep their names; not behind a pooler
    std::string_view after;  // of a replica: an LSN that it must have come to
    bool mark = false;       // where the write has come to is wanted
    Time until = Time::max();
  };
  struct Answer {
    std::vector<Rows> rows;
    bool behind = false;  // `after` has not come here yet: there are no rows
    std::string mark;
  };
  Task<Result<Answer, PostgresFailure>> ask(Ask ask, Deadline& deadline);

  // COPY of `data`, then the step that moves it, in one transaction.
  Task<Result<void, PostgresFailure>> append(const Statement& copy, const std::string& data,
                                             Step move, Time until, Deadline& deadline);

  // An idle connection that may be used again: nothing has come on it.
  bool quiet();

  Time used{};              // last, of an idle one
  unsigned generation = 0;  // of the pool, see there

 private:
  enum class Part : std::uint8_t { timeout, check, prepare, step, sync, mark };
  struct Sent {
    Part part;
    std::size_t step = 0;
    std::string prepares{};  // the name
  };
  struct Finish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };

  PostgresConnection(Loop& loop, PostgresTarget target) : loop_(loop), target_(std::move(target)) {}

  void on_event(bool readable, bool writable, bool hung_up) override;
  Task<Result<void>> wait(short events, Deadline& deadline);
  Task<Result<void, PostgresFailure>> flush(Deadline& deadline);
  // The next answer; a null one ends those of a statement.
  Task<Result<PostgresResult, PostgresFailure>> next(Deadline& deadline);
  Task<Result<void, PostgresFailure>> end_of_statement(Deadline& deadline);
  bool send_all(const Ask& ask, std::vector<Sent>& sent);
  bool send(const Step& step, bool named, std::size_t index, std::vector<Sent>& sent);
  PostgresFailure broken() const { return broken_connection(handle_.get(), target_.name); }
  PostgresFailure silent(Deadline& deadline) const;

  Loop& loop_;
  const PostgresTarget target_;
  bool watched_ = false;
  Waiter waiter_;
  std::unique_ptr<PGconn, Finish> handle_;
  std::unordered_set<std::string> prepared_;
};

}  // namespace penstock::store
