#include "store/postgres_database.h"

#include <algorithm>

#include "base/sleep.h"
#include "store/postgres_copy.h"
#include "store/postgres_statements.h"

namespace penstock::store {
namespace {

constexpr unsigned kMostJobs = 10'000;
constexpr int kTries = 4;
constexpr Duration kBetweenTries = 50ms;
// The server ends a statement at its deadline and says so; that is waited for, so that a slow
// statement is told from a server that is no more.
constexpr Duration kGrace = 500ms;

// Of SQLSTATE: what a server says when it is away, full, busy or wrongly asked. "timeout": nothing.
constexpr std::array<std::string_view, 10> kClasses = {"08", "22", "23", "25", "40",
                                                       "42", "53", "55", "57", "timeout"};

Time with_grace(Time until) { return until == Time::max() ? until : until + kGrace; }

}  // namespace

Result<std::unique_ptr<Database>> PostgresDatabase::open(const Options& options,
                                                         observe::Registry& registry,
                                                         observe::Log& log) {
  Result<PostgresUrl> primary = parse_postgres_url(options.url);
  if (!primary) return primary.error();
  std::vector<PostgresUrl> replicas;
  for (const std::string& url : options.replicas) {
    Result<PostgresUrl> replica = parse_postgres_url(url);
    if (!replica) return replica.error();
    replicas.push_back(*std::move(replica));
  }
  return std::unique_ptr<Database>(
      new PostgresDatabase(options, *std::move(primary), std::move(replicas), registry, log));
}

PostgresDatabase::PostgresDatabase(const Options& options, PostgresUrl primary,
                                   std::vector<PostgresUrl> replicas, observe::Registry& registry,
                                   observe::Log& log)
    : options_(options),
      name_(primary.name),
      node_id_([] {
        Random random;
        const auto now = std::chrono::system_clock::now().time_since_epoch();
        const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
        return std::string(text(make_uuid7(static_cast<std::uint64_t>(ms), random)));
      }()),
      log_(log),
      meters_(registry, kClasses),
      gauges_(std::make_shared<Gauges>()),
      loop_(std::make_unique<Loop>()) {
  primary_ = std::make_unique<PostgresPool>(
      *loop_,
      PostgresPoolOptions{std::move(primary), Role::primary, options.pool_idle,
                          options.acquire_timeout},
      meters_, log_);
  std::vector<std::string> names;
  for (PostgresUrl& url : replicas) {
    names.push_back(url.name);
    replicas_.push_back(Replica{std::make_unique<PostgresPool>(
        *loop_,
        PostgresPoolOptions{std::move(url), Role::replica, options.pool_idle,
                            options.acquire_timeout},
        meters_, log_)});
  }
  take_share(1);
  gauges_->health = [this] { return health(); };
  gauges_->connections_max = [this] { return static_cast<double>(share_.load()); };
  gauges_->pending = [this] { return static_cast<double>(waiting_.load()); };
  show(registry, gauges_, names);
  thread_ = std::thread([this] {
    loop_->spawn(watch_primary());
    for (std::size_t i = 0; i < replicas_.size(); ++i) loop_->spawn(watch_replica(i));
    loop_->run();
  });
}

PostgresDatabase::~PostgresDatabase() {
  ending_ = true;
  hide(gauges_);
  asio::post(loop_->executor(), [this] { loop_->spawn(say_goodbye()); });
  thread_.join();
  primary_->close();
  for (Replica& replica : replicas_) replica.pool->close();
  loop_.reset();  // what is under way ends here, and gives its connections back
}

// ---- the verbs, on the loop that asks ----------------------------------------------------------

template <class T, class Serve>
void PostgresDatabase::post(const CallPtr<T>& call, Serve serve) {
  if (ending_ || jobs_ >= kMostJobs) {
    call->finish(Error{Kind::exhausted, Source::store, true,
                       "the database " + name_ + ": too much waits for it already"});
    return;
  }
  const Error ending = {Kind::cancelled, Source::store, true,
                        "the database " + name_ + ": the program ends"};
  asio::post(loop_->executor(), [serve = std::move(serve), promise = std::make_shared<Promise<T>>(
                                                               call, jobs_, ending)]() mutable {
    serve(std::move(promise));
  });
}

Task<Result<Rows>> PostgresDatabase::read(const Statement& statement, Values values, Mark after,
                                          Deadline& deadline) {
  if (deadline.over()) co_return deadline.error("the store", Source::store);
  const auto call = std::make_shared<Call<Rows>>(deadline);
  post(call, [this, step = Step{&statement, std::move(values)},
              after = std::move(after)](PromisePtr<Rows> promise) mutable {
    loop_->spawn(serve_read(std::move(step), std::move(after), std::move(promise)));
  });
  Result<Rows> answer = co_await Call<Rows>::wait(call, deadline);
  co_return answer;
}

Task<Result<std::vector<Rows>>> PostgresDatabase::transact(std::vector<Step> steps, Mark* here,
                                                           Deadline& deadline) {
  if (deadline.over()) co_return deadline.error("the store", Source::store);
  const auto call = std::make_shared<Call<Answer>>(deadline);
  post(call, [this, mark = here != nullptr,
              steps = std::move(steps)](PromisePtr<Answer> promise) mutable {
    loop_->spawn(serve_steps(std::move(steps), mark, std::move(promise)));
  });
  Result<Answer> answer = co_await Call<Answer>::wait(call, deadline);
  if (!answer) co_return answer.error();
  if (here != nullptr) here->lsn = std::move(answer->mark);
  co_return std::move(answer->rows);
}

Task<Result<void>> PostgresDatabase::append_usage(std::vector<UsageRow> rows, Deadline& deadline) {
  if (rows.empty()) co_return Result<void>();
  if (deadline.over()) co_return deadline.error("the store", Source::store);
  const auto call = std::make_shared<Call<void>>(deadline);
  post(call, [this, rows = std::move(rows)](PromisePtr<void> promise) mutable {
    loop_->spawn(serve_usage(std::move(rows), std::move(promise)));
  });
  Result<void> answer = co_await Call<void>::wait(call, deadline);
  co_return answer;
}

std::vector<Health> PostgresDatabase::health() const {
  std::vector<Health> all;
  all.push_back(primary_->seen());
  for (const Replica& replica : replicas_) all.push_back(replica.pool->seen());
  return all;
}

// ---- tasks of the store loop -------------------------------------------------------------------

Task<void> PostgresDatabase::serve_read(Step step, Mark after, PromisePtr<Rows> promise) {
  Deadline deadline(*loop_, with_grace(promise->until()));
  std::vector<Step> steps;
  steps.push_back(std::move(step));
  PostgresConnection::Ask ask;
  ask.steps = &steps;
  ask.until = promise->until();
  if (Replica* const replica = pick()) {
    ask.after = after.lsn;
    Outcome outcome = co_await once(*replica->pool, ask, false, deadline);
    if (outcome && !outcome->behind) {
      promise->keep(std::move(outcome->rows.front()));
      co_return;
    }
    // A fault of the statement is the same everywhere, but for what the replica does not have yet:
    // a table or a column that was made on the primary just now (class 42).
    if (!outcome && !outcome.error().error.retry && !outcome.error().state.starts_with("42")) {
      promise->keep(outcome.error().error);
      co_return;
    }
    ask.after = {};
  }
  Outcome outcome = co_await on_primary(ask, true, deadline);
  if (outcome) {
    promise->keep(std::move(outcome->rows.front()));
  } else {
    promise->keep(outcome.error().error);
  }
}

Task<void> PostgresDatabase::serve_steps(std::vector<Step> steps, bool mark,
                                         PromisePtr<Answer> promise) {
  Deadline deadline(*loop_, with_grace(promise->until()));
  PostgresConnection::Ask ask;
  ask.steps = &steps;
  ask.mark = mark;
  ask.until = promise->until();
  const bool repeatable = std::all_of(steps.begin(), steps.end(), [](const Step& one) {
    return one.statement->reads || one.statement->again;
  });
  Outcome outcome = co_await on_primary(ask, repeatable, deadline);
  if (outcome) {
    promise->keep(Answer{std::move(outcome->rows), std::move(outcome->mark)});
  } else {
    promise->keep(outcome.error().error);
  }
}

// Whoever is good, in turn.
PostgresDatabase::Replica* PostgresDatabase::pick() {
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    Replica& one = replicas_[next_replica_++ % replicas_.size()];
    if (one.good && one.watched && !one.pool->away()) return &one;
  }
  return nullptr;
}

// What a failure says of the connection and of the server.
void PostgresDatabase::settle(PostgresPool& pool, PostgresPool::Lease& lease,
                              const PostgresFailure& failure) {
  meters_.failed(failure.state.empty() ? (failure.silent ? "timeout" : "08")
                                       : std::string_view(failure.state).substr(0, 2));
  if (failure.state == "26000" || failure.state == "42P05") pool.forget_names();
  if (failure.state == "25006" || failure.state == "55000") pool.drop();
  if (!failure.broken) {
    lease.keep();
  } else if (failure.silent) {
    pool.gone(failure.error.detail);
  }
}

Task<PostgresDatabase::Outcome> PostgresDatabase::once(PostgresPool& pool,
                                                       PostgresConnection::Ask ask, bool probe,
                                                       Deadline& deadline) {
  ++waiting_;
  Result<PostgresPool::Lease> lease = co_await pool.take(probe, deadline);
  --waiting_;
  if (!lease) {
    PostgresFailure failure;
    failure.error = lease.error();
    failure.sure = true;
    co_return Outcome(std::move(failure));
  }
  const Time began = Clock::now();
  ask.named = pool.named_statements();
  Outcome outcome = co_await (*lease)->ask(ask, deadline);
  meters_.asked(ask.steps->back().statement->name, Clock::now() - began);
  if (outcome) {
    lease->keep();
  } else {
    settle(pool, *lease, outcome.error());
  }
  co_return outcome;
}

Task<PostgresDatabase::Outcome> PostgresDatabase::on_primary(PostgresConnection::Ask ask,
                                                             bool repeatable, Deadline& deadline) {
  for (int tries = 1;; ++tries) {
    Outcome outcome = co_await once(*primary_, ask, false, deadline);
    if (outcome) co_return outcome;
    PostgresFailure& failure = outcome.error();
    if (failure.again && !failure.sure && !repeatable) {
      failure.error.kind = Kind::broken;
      failure.error.retry = false;
      failure.error.detail += ": whether it was written is not known";
    }
    const bool again = failure.again && (failure.sure || repeatable) && tries < kTries &&
                       !deadline.over() && Clock::now() < ask.until;
    if (!again) co_return outcome;
    co_await sleep_until(Clock::now() + kBetweenTries, deadline);
  }
}

// ---- usage -------------------------------------------------------------------------------------

Task<void> PostgresDatabase::serve_usage(std::vector<UsageRow> rows, PromisePtr<void> promise) {
  Deadline deadline(*loop_, with_grace(promise->until()));
  const Time until = promise->until();
  const auto batch = static_cast<std::int64_t>(random_.next() >> 1U);
  const std::string data = copy_of(rows, batch, options_.record_text);
  for (int tries = 1;; ++tries) {
    Result<void> months = co_await make_months(rows, until, deadline);
    if (!months) {
      promise->keep(months.error());
      co_return;
    }
    Result<void, PostgresFailure> done = co_await append_once(data, batch, until, deadline);
    if (done) break;
    const PostgresFailure& failure = done.error();
    const bool no_month = failure.state == "23514";  // retired since
    if (no_month) months_.clear();
    const bool again =
        (failure.again || no_month) && tries < kTries && !deadline.over() && Clock::now() < until;
    if (!again) {
      Error error = failure.error;
      promise->keep(std::move(error));
      co_return;
    }
    co_await sleep_until(Clock::now() + kBetweenTries, deadline);
  }
  promise->keep(Result<void>());
}

Task<Result<void>> PostgresDatabase::make_months(const std::vector<UsageRow>& rows, Time until,
                                                 Deadline& deadline) {
  std::vector<std::int64_t> missing;
  std::int64_t last = -1;
  for (const UsageRow& row : rows) {
    const std::int64_t month = month_of(row.time_us);
    if (month == last) continue;
    last = month;
    if (!months_.contains(month) &&
        std::find(missing.begin(), missing.end(), month) == missing.end()) {
      missing.push_back(month);
    }
  }
  for (const std::int64_t month : missing) {
    std::vector<Step> steps;
    steps.push_back(Step{&kMakeMonth, {month}});
    PostgresConnection::Ask ask;
    ask.steps = &steps;
    ask.until = until;
    Outcome made = co_await on_primary(ask, true, deadline);
    if (!made) co_return made.error().error;
    months_.insert(month);
  }
  co_return Result<void>();
}

Task<Result<void, PostgresFailure>> PostgresDatabase::append_once(const std::string& data,
                                                                  std::int64_t batch, Time until,
                                                                  Deadline& deadline) {
  using Out = Result<void, PostgresFailure>;
  ++waiting_;
  Result<PostgresPool::Lease> lease = co_await primary_->take(false, deadline);
  --waiting_;
  if (!lease) {
    PostgresFailure failure;
    failure.error = lease.error();
    co_return Out(std::move(failure));
  }
  const Time began = Clock::now();
  Step move{&kMoveUsage, {batch}};
  Out done = co_await (*lease)->append(kCopyUsage, data, std::move(move), until, deadline);
  meters_.asked("append_usage", Clock::now() - began);
  if (done) {
    lease->keep();
  } else {
    settle(*primary_, *lease, done.error());
  }
  co_return done;
}

}  // namespace penstock::store
