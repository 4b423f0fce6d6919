#include "store/postgres_connection.h"

#include <poll.h>

namespace penstock::store {
namespace {

// In one implicit transaction with what follows, and for it alone.
constexpr Statement kTimeout = {"timeout", "SELECT set_config('statement_timeout', $1, true)"};
constexpr Statement kCheck = {"check", "SELECT pg_last_wal_replay_lsn() >= CAST($1 AS pg_lsn)"};
constexpr Statement kMark = {"mark", "SELECT CAST(pg_current_wal_insert_lsn() AS text)"};

// Of its text too: another version of the program, through the same pooler, means another thing.
std::string prepared_name(const Statement& statement) {
  std::uint64_t hash = 14695981039346656037U;  // FNV-1a
  for (const char c : statement.sql) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  }
  return fmt::format("{}_{:016x}", statement.name, hash);
}

// Milliseconds as statement_timeout takes them; 0 is without end.
std::int64_t timeout_ms(Time until) {
  if (until == Time::max()) return 0;
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
  return std::max<std::int64_t>(left, 1);
}

bool fine(const PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

}  // namespace

Task<Result<std::unique_ptr<PostgresConnection>>> PostgresConnection::open(PostgresTarget target,
                                                                           Deadline& deadline) {
  std::unique_ptr<PostgresConnection> made(
      new PostgresConnection(deadline.loop(), std::move(target)));
  PostgresConnection& self = *made;
  std::vector<const char*> names;
  std::vector<const char*> values;
  for (const auto& [name, value] : self.target_.options) {
    names.push_back(name.c_str());
    values.push_back(value.c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  self.handle_.reset(PQconnectStartParams(names.data(), values.data(), 0));
  PGconn* const handle = self.handle_.get();
  if (handle == nullptr || PQstatus(handle) == CONNECTION_BAD) co_return self.broken().error;
  PQsetNoticeProcessor(
      handle, [](void*, const char*) {}, nullptr);

  PostgresPollingStatusType status = PGRES_POLLING_WRITING;
  while (status != PGRES_POLLING_OK) {
    // Each step of libpq may have closed the socket and opened another of the same number: the
    // poller takes it anew, or has it still.
    if (self.loop_.poller().add(PQsocket(handle), self)) self.watched_ = true;
    const short events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    Result<void> ready = co_await self.wait(events, deadline);
    if (!ready) {
      co_return Error{Kind::unreachable, Source::store, true,
                      "the database " + self.target_.name + ": no connection within its time"};
    }
    status = PQconnectPoll(handle);
    if (status == PGRES_POLLING_FAILED) co_return self.broken().error;
  }
  if (self.loop_.poller().add(PQsocket(handle), self)) self.watched_ = true;
  if (PQsetnonblocking(handle, 1) != 0) co_return self.broken().error;
  self.used = Clock::now();
  co_return std::move(made);
}

PostgresConnection::~PostgresConnection() {
  if (watched_) loop_.poller().remove(PQsocket(handle_.get()), *this);
}

void PostgresConnection::on_event(bool, bool, bool) { loop_.resume_soon(waiter_); }

// Asks the kernel each time: libpq reads as much as it likes, so that what was told once says
// nothing of what is there now.
Task<Result<void>> PostgresConnection::wait(short events, Deadline& deadline) {
  for (;;) {
    pollfd at{PQsocket(handle_.get()), events, 0};
    if (::poll(&at, 1, 0) != 0) co_return Result<void>();
    if (deadline.over()) co_return deadline.error("the database", Source::store);
    const auto interrupt = [this] { loop_.resume_soon(waiter_); };
    Deadline::Wait waiting(deadline, interrupt);
    co_await waiter_;
  }
}

PostgresFailure PostgresConnection::silent(Deadline& deadline) const {
  PostgresFailure out;
  out.error = deadline.error("the database " + target_.name, Source::store);
  out.error.retry = true;
  out.broken = true;
  out.silent = true;
  return out;
}

Task<Result<void, PostgresFailure>> PostgresConnection::flush(Deadline& deadline) {
  for (;;) {
    const int left = PQflush(handle_.get());
    if (left == 0) co_return Result<void, PostgresFailure>();
    if (left < 0) co_return broken();
    Result<void> ready = co_await wait(POLLIN | POLLOUT, deadline);
    if (!ready) co_return silent(deadline);
    // The server may wait for us to read before it takes more.
    if (PQconsumeInput(handle_.get()) == 0) co_return broken();
  }
}

Task<Result<PostgresResult, PostgresFailure>> PostgresConnection::next(Deadline& deadline) {
  while (PQisBusy(handle_.get()) != 0) {
    Result<void> ready = co_await wait(POLLIN, deadline);
    if (!ready) co_return silent(deadline);
    if (PQconsumeInput(handle_.get()) == 0) co_return broken();
  }
  co_return PostgresResult(PQgetResult(handle_.get()));
}

bool PostgresConnection::send(const Step& step, bool named, std::size_t index,
                              std::vector<Sent>& sent) {
  PGconn* const handle = handle_.get();
  const Statement& statement = *step.statement;
  const Parameters values(step.values);
  if (!named || statement.once) {
    sent.push_back(Sent{Part::step, index, {}});
    return PQsendQueryParams(handle, statement.sql.data(), values.count(), nullptr, values.texts(),
                             values.lengths(), values.formats(), 0) != 0;
  }
  const std::string name = prepared_name(statement);
  if (!prepared_.contains(name)) {
    sent.push_back(Sent{Part::prepare, index, name});
    if (PQsendPrepare(handle, name.c_str(), statement.sql.data(), 0, nullptr) == 0) return false;
    prepared_.insert(name);  // taken back where it fails
  }
  sent.push_back(Sent{Part::step, index, {}});
  return PQsendQueryPrepared(handle, name.c_str(), values.count(), values.texts(), values.lengths(),
                             values.formats(), 0) != 0;
}

bool PostgresConnection::send_all(const Ask& ask, std::vector<Sent>& sent) {
  PGconn* const handle = handle_.get();
  const auto own = [&](const Statement& statement, Values values, Part part) {
    const std::size_t before = sent.size();
    const bool done = send(Step{&statement, std::move(values)}, ask.named, 0, sent);
    for (std::size_t i = before; i < sent.size(); ++i) {
      if (sent[i].part == Part::step) sent[i].part = part;
    }
    return done;
  };
  if (PQenterPipelineMode(handle) == 0) return false;
  if (!own(kTimeout, {std::to_string(timeout_ms(ask.until))}, Part::timeout)) return false;
  if (!ask.after.empty() && !own(kCheck, {std::string(ask.after)}, Part::check)) return false;
  for (std::size_t i = 0; i < ask.steps->size(); ++i) {
    if (!send((*ask.steps)[i], ask.named, i, sent)) return false;
  }
  if (PQpipelineSync(handle) == 0) return false;
  sent.push_back(Sent{Part::sync, 0, {}});
  if (ask.mark) {
    if (!own(kMark, {}, Part::mark) || PQpipelineSync(handle) == 0) return false;
    sent.push_back(Sent{Part::sync, 0, {}});
  }
  return true;
}

Task<Result<PostgresConnection::Answer, PostgresFailure>> PostgresConnection::ask(
    Ask ask, Deadline& deadline) {
  using Out = Result<Answer, PostgresFailure>;
  std::vector<Sent> sent;
  if (!send_all(ask, sent)) co_return Out(broken());
  Result<void, PostgresFailure> flushed = co_await flush(deadline);
  if (!flushed) co_return Out(flushed.error());

  Answer answer;
  std::optional<PostgresFailure> failure;
  std::size_t done = 0;    // steps that were answered
  bool committed = false;  // the first Sync was
  const std::size_t steps = ask.steps->size();
  for (const Sent& one : sent) {
    Result<PostgresResult, PostgresFailure> got = co_await next(deadline);
    if (!got) {
      if (!failure) co_return Out(got.error());
      failure->broken = true;
      co_return Out(*failure);
    }
    const PGresult* const result = got->get();
    const ExecStatusType status = PQresultStatus(result);
    if (one.part == Part::sync) {
      if (status == PGRES_PIPELINE_SYNC) {
        committed = true;
        continue;
      }
      // The commit itself failed, or the connection ended with it.
      if (!failure) failure = failure_of(result, target_.name);
      failure->broken = true;
      failure->sure = !committed && done < steps;
      co_return Out(*failure);
    }
    if (fine(result)) {
      if (one.part == Part::step) {
        answer.rows.push_back(rows_of(result));
        ++done;
      } else if (one.part == Part::check) {
        answer.behind = PQgetisnull(result, 0, 0) != 0 || PQgetvalue(result, 0, 0)[0] != 't';
      } else if (one.part == Part::mark) {
        answer.mark = PQgetvalue(result, 0, 0);
      }
    } else {
      if (one.part == Part::prepare) prepared_.erase(one.prepares);  // others stay, also after this
      // Not to know where the write has come to is no reason to fail.
      if (!failure && !committed) {
        failure = failure_of(result, target_.name);
        failure->sure = done < steps;
      }
    }
    if (PQstatus(handle_.get()) == CONNECTION_BAD) {
      if (!failure) failure = broken();
      failure->broken = true;
      co_return Out(*failure);
    }
    Result<void, PostgresFailure> ended = co_await end_of_statement(deadline);
    if (!ended) {
      if (!failure) failure = ended.error();
      failure->broken = true;
      co_return Out(*failure);
    }
  }
  if (PQexitPipelineMode(handle_.get()) == 0 && !failure) failure = broken();
  if (failure) co_return Out(*failure);
  co_return Out(std::move(answer));
}

Task<Result<void, PostgresFailure>> PostgresConnection::end_of_statement(Deadline& deadline) {
  for (;;) {
    Result<PostgresResult, PostgresFailure> got = co_await next(deadline);
    if (!got) co_return got.error();
    if (*got == nullptr) co_return Result<void, PostgresFailure>();
  }
}

Task<Result<void, PostgresFailure>> PostgresConnection::append(const Statement& copy,
                                                               const std::string& data, Step move,
                                                               Time until, Deadline& deadline) {
  using Out = Result<void, PostgresFailure>;
  PGconn* const handle = handle_.get();
  // Numbers of ours alone are in this text. The server ends what takes longer.
  const std::string begin =
      fmt::format("BEGIN; SET LOCAL statement_timeout = {}; {}", timeout_ms(until), copy.sql);
  if (PQsendQuery(handle, begin.c_str()) == 0) co_return Out(broken());
  for (;;) {
    Result<void, PostgresFailure> flushed = co_await flush(deadline);
    if (!flushed) co_return flushed;
    Result<PostgresResult, PostgresFailure> got = co_await next(deadline);
    if (!got) co_return Out(got.error());
    if (PQresultStatus(got->get()) == PGRES_COPY_IN) break;
    if (*got == nullptr || !fine(got->get())) {
      PostgresFailure failure = *got ? failure_of(got->get(), target_.name) : broken();
      failure.broken = true;  // in the middle of a transaction
      co_return Out(std::move(failure));
    }
  }
  constexpr std::size_t kPiece = 64 * 1024;
  for (std::size_t at = 0; at < data.size();) {
    const std::size_t size = std::min(kPiece, data.size() - at);
    const int put = PQputCopyData(handle, data.data() + at, static_cast<int>(size));
    if (put < 0) co_return Out(broken());
    if (put > 0) at += size;
    Result<void, PostgresFailure> flushed = co_await flush(deadline);
    if (!flushed) co_return flushed;
  }
  if (PQputCopyEnd(handle, nullptr) < 0) co_return Out(broken());
  // The answer to the COPY, then the statement that moves the rows, then the commit.
  for (int stage = 0; stage < 3; ++stage) {
    if (stage == 1) {
      const Parameters values(move.values);
      if (PQsendQueryParams(handle, move.statement->sql.data(), values.count(), nullptr,
                            values.texts(), values.lengths(), values.formats(), 0) == 0) {
        co_return Out(broken());
      }
    } else if (stage == 2 && PQsendQuery(handle, "COMMIT") == 0) {
      co_return Out(broken());
    }
    Result<void, PostgresFailure> flushed = co_await flush(deadline);
    if (!flushed) co_return flushed;
    Result<PostgresResult, PostgresFailure> got = co_await next(deadline);
    if (!got) co_return Out(got.error());
    if (*got == nullptr || !fine(got->get())) {
      PostgresFailure failure = *got ? failure_of(got->get(), target_.name) : broken();
      failure.broken = true;
      co_return Out(std::move(failure));
    }
    // A transaction that failed answers COMMIT with ROLLBACK.
    if (stage == 2 && std::string_view(PQcmdStatus(got->get())) != "COMMIT") {
      PostgresFailure failure = broken();
      failure.error.detail = "the database " + target_.name + ": the commit was rolled back";
      co_return Out(std::move(failure));
    }
    Result<void, PostgresFailure> ended = co_await end_of_statement(deadline);
    if (!ended) co_return ended;
  }
  co_return Out();
}

bool PostgresConnection::quiet() {
  if (PQstatus(handle_.get()) != CONNECTION_OK) return false;
  for (;;) {
    pollfd at{PQsocket(handle_.get()), POLLIN, 0};
    if (::poll(&at, 1, 0) == 0) return true;
    // A parameter that changed, or the server's last words and its end.
    if (PQconsumeInput(handle_.get()) == 0) return false;
  }
}

}  // namespace penstock::store
