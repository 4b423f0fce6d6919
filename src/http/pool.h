// Keep-alive connections to one origin, of one loop.
//
// The latest used is used again first, so that the others can end. At most `max` are open; who
// comes then waits in line, under its deadline. A connection that was closed meanwhile, or on
// which anything has come, is never given out.
#pragma once

#include <deque>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/signal.h"
#include "http/transport.h"
#include "observe/metrics.h"

namespace penstock::http {

struct PoolOptions {
  Url origin;
  std::shared_ptr<TlsClient> tls;  // for https
  std::size_t max = 256;
  Duration idle = 60s;
  Duration connect_timeout = 2s;
};

struct PoolMetrics {
  PoolMetrics() = default;  // counts nothing
  PoolMetrics(observe::Shard& shard, const std::string& engine);
  observe::Histogram connect;
  observe::Gauge open, idle;
};

class Pool {
 public:
  Pool(Loop& loop, PoolOptions options, PoolMetrics metrics);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool();

  const Url& origin() const { return options_.origin; }

  // A connection on loan. Unless it is kept it is closed at the lease's end.
  class Lease {
   public:
    Lease(Pool& pool, std::unique_ptr<Transport> transport, bool reused)
        : pool_(&pool), transport_(std::move(transport)), reused_(reused) {}
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&&) = delete;
    ~Lease();

    Transport& operator*() { return *transport_; }
    Transport* operator->() { return transport_.get(); }
    bool reused() const { return reused_; }
    // The exchange ended cleanly: the connection may serve another.
    void keep();

   private:
    Pool* pool_;
    std::unique_ptr<Transport> transport_;
    bool reused_;
  };

  // `fresh`: a new connection even if one idles.
  Task<Result<Lease>> take(Deadline& deadline, bool fresh = false);

  // Read buffers, used again: an idle connection holds none.
  Buffer take_buffer();
  void give_buffer(Buffer buffer);

 private:
  struct Idle {
    std::unique_ptr<Transport> transport;
    Time since;
  };
  class Sweeper final : public Alarm {
   public:
    explicit Sweeper(Pool& pool) : pool_(pool) {}
    void ring(Time now) override { pool_.sweep(now); }

   private:
    Pool& pool_;
  };

  Task<Result<std::unique_ptr<Transport>>> connect(Deadline& deadline);
  Task<Result<std::vector<asio::ip::tcp::endpoint>>> resolve(Deadline& deadline);
  void released();
  void sweep(Time now);
  void count();

  Loop& loop_;
  const PoolOptions options_;
  PoolMetrics metrics_;
  std::vector<Idle> idle_;  // latest last
  std::size_t open_ = 0;    // lent and idle
  std::deque<Signal*> line_;
  Sweeper sweeper_{*this};
  std::vector<asio::ip::tcp::endpoint> addresses_;  // the last good ones
  Time resolved_{};
  std::vector<Buffer> buffers_;
};

}  // namespace penstock::http
