// PostgreSQL as the store: one loop on one thread, with every connection of this node.
//
//   verb, on any loop ── post ──> store loop: a task ── pool of the primary ──> answer
//                                               └────── pool of a replica that is near enough
//   watch: each 500 ms the primary's LSN and how far each replica is behind it; each 2 s this
//   node's
//          place among the live ones, from which its share of the connections follows
//
// One loop and not a pool a worker: the node's share means the same with any number of workers, and
// what comes here is cold (ADR 16).
#pragma once

#include <deque>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "store/call.h"
#include "store/database.h"
#include "store/meters.h"
#include "store/postgres_pool.h"

namespace penstock::store {

class PostgresDatabase final : public Database {
 public:
  static Result<std::unique_ptr<Database>> open(const Options& options, observe::Registry& registry,
                                                observe::Log& log);
  ~PostgresDatabase() override;

  Dialect dialect() const override { return Dialect::postgres; }
  std::string_view name() const override { return name_; }
  Task<Result<Rows>> read(const Statement& statement, Values values, Mark after,
                          Deadline& deadline) override;
  Task<Result<std::vector<Rows>>> transact(std::vector<Step> steps, Mark* here,
                                           Deadline& deadline) override;
  Task<Result<void>> append_usage(std::vector<UsageRow> rows, Deadline& deadline) override;
  std::vector<Health> health() const override;

 private:
  struct Answer {
    std::vector<Rows> rows;
    std::string mark;
  };
  using Outcome = Result<PostgresConnection::Answer, PostgresFailure>;
  struct Replica {
    std::unique_ptr<PostgresPool> pool;
    bool watched = true;  // the share has room for it
    bool good = false;
  };
  // Where the primary had come to, and when.
  struct Passed {
    Time at;
    std::uint64_t lsn;
  };

  PostgresDatabase(const Options& options, PostgresUrl primary, std::vector<PostgresUrl> replicas,
                   observe::Registry& registry, observe::Log& log);
  template <class T, class Serve>
  void post(const CallPtr<T>& call, Serve serve);

  // Tasks of the store loop.
  Task<void> serve_read(Step step, Mark after, PromisePtr<Rows> promise);
  Task<void> serve_steps(std::vector<Step> steps, bool mark, PromisePtr<Answer> promise);
  Task<void> serve_usage(std::vector<UsageRow> rows, PromisePtr<void> promise);
  Task<Outcome> once(PostgresPool& pool, PostgresConnection::Ask ask, bool probe,
                     Deadline& deadline);
  Task<Outcome> on_primary(PostgresConnection::Ask ask, bool repeatable, Deadline& deadline);
  Task<Result<void, PostgresFailure>> append_once(const std::string& data, std::int64_t batch,
                                                  Time until, Deadline& deadline);
  Task<Result<void>> make_months(const std::vector<UsageRow>& rows, Time until, Deadline& deadline);
  void settle(PostgresPool& pool, PostgresPool::Lease& lease, const PostgresFailure& failure);
  Replica* pick();

  // postgres_watch.cc
  Task<void> watch_primary();
  Task<void> watch_replica(std::size_t index);
  Task<void> beat();
  void take_share(unsigned share);
  std::optional<Duration> lag_of(std::uint64_t lsn, Time now) const;
  Task<void> say_goodbye();

  const Options options_;
  const std::string name_;
  const std::string node_id_;
  observe::Log& log_;
  Meters meters_;
  std::shared_ptr<Gauges> gauges_;
  std::atomic<unsigned> jobs_{0};
  std::atomic<unsigned> waiting_{0};
  std::atomic<unsigned> share_{1};
  std::atomic<bool> ending_{false};

  std::unique_ptr<Loop> loop_;
  std::unique_ptr<PostgresPool> primary_;
  std::vector<Replica> replicas_;
  std::size_t next_replica_ = 0;
  std::deque<Passed> passed_;
  std::set<std::int64_t> months_;  // whose partitions are there
  Random random_;
  std::thread thread_;
};

}  // namespace penstock::store
