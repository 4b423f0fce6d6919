// The connections of this node to one server (or to the hosts of one URL, of which one is primary).
//
//   take ──> idle, latest used first ──> Lease ── keep ──> idle
//     └────> [line] <── connector (a task of the pool's own) ──┘      └─ end ──> closed
//
// Connecting is never an asker's own affair: it goes on when the asker has left. A server that does
// not answer makes the pool "away": everybody who waits, and whoever comes, is told so at once,
// until the watch's probe gets a connection again. So nothing queues up behind a dead server.
//
// Belongs to the store loop, but for `seen()`.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/signal.h"
#include "observe/log.h"
#include "store/database.h"
#include "store/meters.h"
#include "store/postgres_connection.h"
#include "store/postgres_url.h"

namespace penstock::store {

struct PostgresPoolOptions {
  PostgresUrl url;
  Role role = Role::primary;
  Duration idle = 60s;
  Duration acquire_timeout = 1s;
};

class PostgresPool {
 public:
  PostgresPool(Loop& loop, PostgresPoolOptions options, Meters& meters, observe::Log& log);
  PostgresPool(const PostgresPool&) = delete;
  PostgresPool& operator=(const PostgresPool&) = delete;

  class Lease {
   public:
    Lease(Lease&& other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)), connection_(std::move(other.connection_)) {}
    Lease& operator=(Lease&&) = delete;
    ~Lease();

    PostgresConnection& operator*() { return *connection_; }
    PostgresConnection* operator->() { return connection_.get(); }
    // Nothing is under way on it: it may serve another. The lease is empty then.
    void keep();

   private:
    friend class PostgresPool;
    Lease(PostgresPool& pool, std::unique_ptr<PostgresConnection> connection)
        : pool_(&pool), connection_(std::move(connection)) {}
    PostgresPool* pool_;
    std::unique_ptr<PostgresConnection> connection_;
  };

  // `probe`: also where the server is away.
  Task<Result<Lease>> take(bool probe, Deadline& deadline);

  // How many may be open; more than that are closed as they come back.
  void allow(unsigned most);
  unsigned open() const { return open_; }
  std::size_t waiting() const { return line_.size(); }

  // Those that are open serve nobody more: they lead to what is the primary no more.
  void drop();
  // No answer came, or no connection: away until a probe succeeds.
  void gone(const std::string& reason);
  void there();
  bool away() const { return away_; }
  // Closes what was idle for too long.
  void sweep(Time now);
  // At the end: everything idle, now.
  void close();

  const std::string& name() const { return options_.url.name; }
  bool named_statements() const { return named_; }
  // A pooler gives each transaction another server: names of statements mean nothing to it.
  void forget_names();

  // What health() shows. Any thread.
  Health seen() const;
  void lags(std::optional<Duration> lag, bool used, std::string reason);

 private:
  Task<void> connect();
  Task<Result<std::unique_ptr<PostgresConnection>>> connect_anywhere(Deadline& deadline);
  Task<Result<std::unique_ptr<PostgresConnection>>> connect_to(std::size_t host,
                                                               Deadline& deadline);
  Task<Result<std::vector<std::string>>> look_up(const PostgresUrl::Host& host, Deadline& deadline);
  void wake_line();
  void wake_all();
  void publish();

  Loop& loop_;
  const PostgresPoolOptions options_;
  Meters& meters_;
  observe::Log& log_;
  std::vector<std::unique_ptr<PostgresConnection>> idle_;
  std::deque<Signal*> line_;
  unsigned most_ = 1;
  unsigned open_ = 0;  // idle, lent and connecting
  unsigned connecting_ = 0;
  unsigned generation_ = 0;
  unsigned failures_ = 0;
  std::size_t host_ = 0;  // the last that was good
  bool away_ = false;
  bool named_ = true;
  std::string reason_;
  std::map<std::string, std::vector<std::string>> addresses_;  // the last good ones

  mutable std::mutex mutex_;  // of health_
  Health health_;
};

}  // namespace penstock::store
