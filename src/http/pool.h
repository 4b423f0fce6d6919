// Keep-alive connections to one origin, of one loop.
//
//   take ──> [line, first come first served] ──> idle, latest used first ──> Lease
//                                          └──> connect ───────────────────────┘
//   Lease::keep ──> idle            Lease's end without keep ──> closed
//
// The latest used is used again first, so that the others can end. At most `max` are open; who
// comes then waits in line, under its deadline. A connection that was closed meanwhile, or on
// which anything has come, is never given out.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/signal.h"
#include "http/url.h"
#include "net/addresses.h"
#include "net/transport.h"
#include "observe/metrics.h"

namespace penstock::http {

struct PoolOptions {
  Url origin;
  std::shared_ptr<net::TlsClient> tls;  // for https
  std::size_t max = 256;
  Duration idle = 60s;
  Duration connect_timeout = 2s;  // names, TCP and TLS together
  std::size_t line = 4096;        // who comes when so many wait is refused at once
};

struct PoolMetrics {
  PoolMetrics() = default;  // counts nothing
  PoolMetrics(observe::Shard& shard, const std::string& engine);
  observe::Histogram connect;
  observe::Gauge open, idle;
};

class Pool {
 public:
  // REQUIRES: options.max > 0; options.tls where the origin is https.
  Pool(Loop& loop, PoolOptions options, PoolMetrics metrics,
       net::Addresses::Lookup lookup = net::Addresses::system_lookup);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  // REQUIRES: no lease, no take under way.
  ~Pool() = default;

  const Url& origin() const { return options_.origin; }
  std::size_t open() const { return open_; }  // lent, connecting and idle
  std::size_t idle() const { return idle_.size(); }

  // A connection on loan. Unless it is kept it is closed at the lease's end.
  class Lease {
   public:
    Lease(Lease&& other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)),
          transport_(std::move(other.transport_)),
          reused_(other.reused_) {}
    Lease& operator=(Lease&&) = delete;
    ~Lease();

    net::Transport& operator*() { return *transport_; }
    net::Transport* operator->() { return transport_.get(); }
    bool reused() const { return reused_; }
    // The exchange ended cleanly: the connection may serve another. The lease is empty then.
    void keep();

   private:
    friend class Pool;
    explicit Lease(Pool& pool) : pool_(&pool) { ++pool_->open_; }
    Lease(Pool& pool, std::unique_ptr<net::Transport> idle)
        : pool_(&pool), transport_(std::move(idle)), reused_(true) {}

    Pool* pool_;
    std::unique_ptr<net::Transport> transport_;  // empty while it is being connected
    bool reused_ = false;
  };

  // `fresh`: a new connection even if one idles.
  Task<Result<Lease>> take(Deadline& deadline, bool fresh = false);

  // Read buffers, used again: an idle connection holds none.
  static constexpr std::size_t kBufferBytes = 16 * 1024;
  Buffer take_buffer();
  void give_buffer(Buffer buffer);

 private:
  struct Idle {
    std::unique_ptr<net::Transport> transport;
    Time since;
  };
  // A place in the line, left however the wait ends.
  struct Place {
    explicit Place(Pool& of);
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place();
    Pool& pool;
    Signal signal;
  };
  class Sweeper final : public Alarm {
   public:
    explicit Sweeper(Pool& pool) : pool_(pool) {}

   private:
    void ring(Time now) override { pool_.sweep(now); }
    Pool& pool_;
  };

  bool available() const { return !idle_.empty() || open_ < options_.max; }
  Task<Result<void>> wait_in_line(Deadline& deadline);
  Task<Result<Lease>> connect(Deadline& deadline);
  void drop_idle(std::size_t index);
  void changed();
  void sweep(Time now);

  Loop& loop_;
  const PoolOptions options_;
  PoolMetrics metrics_;
  net::Addresses addresses_;
  std::vector<Idle> idle_;  // latest last
  std::size_t open_ = 0;
  std::deque<Place*> line_;
  Sweeper sweeper_{*this};
  std::vector<Buffer> buffers_;
};

}  // namespace penstock::http
