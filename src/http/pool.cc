#include "http/pool.h"

#include <algorithm>

namespace penstock::http {
namespace {

constexpr Duration kResolveAgain = 10s;
constexpr std::size_t kBufferBytes = 8 * 1024;
constexpr std::size_t kSpareBuffers = 64;

using Resolver = asio::ip::basic_resolver<asio::ip::tcp, Executor>;

}  // namespace

PoolMetrics::PoolMetrics(observe::Shard& shard, const std::string& engine)
    : connect(shard.histogram("penstock_engine_connect_duration_seconds",
                              "Time to connect to an engine, TLS included.", observe::kFast,
                              {{"engine", engine}})),
      open(shard.gauge("penstock_engine_connections", "Connections to engines.",
                       {{"engine", engine}, {"state", "open"}})),
      idle(shard.gauge("penstock_engine_connections", "Connections to engines.",
                       {{"engine", engine}, {"state", "idle"}})) {}

Pool::Pool(Loop& loop, PoolOptions options, PoolMetrics metrics)
    : loop_(loop), options_(std::move(options)), metrics_(metrics) {}

Pool::~Pool() = default;

// ---- leases ------------------------------------------------------------------------------------

Pool::Lease::Lease(Lease&& other) noexcept
    : pool_(other.pool_), transport_(std::move(other.transport_)), reused_(other.reused_) {}

Pool::Lease::~Lease() {
  if (!transport_) return;
  transport_->close();
  --pool_->open_;
  pool_->released();
}

void Pool::Lease::keep() {
  pool_->idle_.push_back({std::move(transport_), Clock::now()});
  if (pool_->sweeper_.at() == Time::max()) {
    pool_->loop_.set(pool_->sweeper_, Clock::now() + pool_->options_.idle);
  }
  pool_->released();
}

void Pool::released() {
  count();
  if (!line_.empty()) line_.front()->wake();
}

void Pool::count() {
  metrics_.open.set(static_cast<double>(open_));
  metrics_.idle.set(static_cast<double>(idle_.size()));
}

void Pool::sweep(Time now) {
  while (!idle_.empty() && idle_.front().since + options_.idle <= now) {
    idle_.erase(idle_.begin());
    --open_;
  }
  if (!idle_.empty()) loop_.set(sweeper_, idle_.front().since + options_.idle);
  released();
}

Task<Result<Pool::Lease>> Pool::take(Deadline& deadline, bool fresh) {
  for (;;) {
    while (!fresh && !idle_.empty()) {
      std::unique_ptr<Transport> transport = std::move(idle_.back().transport);
      idle_.pop_back();
      if (transport->quiet()) {
        count();
        co_return Lease(*this, std::move(transport), true);
      }
      --open_;
    }
    if (open_ >= options_.max && fresh && !idle_.empty()) {
      idle_.erase(idle_.begin());
      --open_;
    }
    if (open_ < options_.max) break;
    // In line, first come first served.
    Signal signal(loop_);
    line_.push_back(&signal);
    Result<void> woken = co_await signal.wait(deadline);
    std::erase(line_, &signal);
    if (!woken) {
      // A wake that came too late for this one is the next one's.
      if (open_ < options_.max || !idle_.empty()) released();
      co_return Error{Kind::exhausted, Source::engine, true,
                      "all connections to " + options_.origin.authority() + " are in use"};
    }
  }
  ++open_;  // before the wait: others count on it
  Result<std::unique_ptr<Transport>> made = co_await connect(deadline);
  if (!made) {
    --open_;
    released();
    co_return std::move(made).error();
  }
  count();
  co_return Lease(*this, *std::move(made), false);
}

// ---- connecting --------------------------------------------------------------------------------

Task<Result<std::vector<asio::ip::tcp::endpoint>>> Pool::resolve(Deadline& deadline) {
  using Endpoints = std::vector<asio::ip::tcp::endpoint>;
  const Time now = Clock::now();
  if (!addresses_.empty() && now < resolved_ + kResolveAgain) co_return addresses_;
  boost::system::error_code ec;
  const auto literal = asio::ip::make_address(options_.origin.host, ec);
  if (!ec) {
    addresses_ = {{literal, options_.origin.port}};
    resolved_ = now;
    co_return addresses_;
  }
  Resolver resolver(loop_.executor());
  const auto interrupt = [&resolver] { resolver.cancel(); };
  Endpoints found;
  {
    Deadline::Wait wait(deadline, interrupt);
    const auto [failed, results] =
        co_await resolver.async_resolve(options_.origin.host, std::to_string(options_.origin.port),
                                        asio::ip::resolver_base::numeric_service, as_result);
    ec = failed;
    if (!failed) {
      for (const auto& entry : results) found.push_back(entry.endpoint());
    }
  }
  if (found.empty()) {
    // The name server is away, or wrong for a moment: what worked before may still work.
    if (!addresses_.empty()) co_return addresses_;
    if (deadline.over())
      co_return deadline.error("look up " + options_.origin.host, Source::engine);
    co_return Error{Kind::unreachable, Source::engine, true,
                    "the name " + options_.origin.host + " cannot be looked up: " + ec.message()};
  }
  addresses_ = found;
  resolved_ = now;
  co_return addresses_;
}

Task<Result<std::unique_ptr<Transport>>> Pool::connect(Deadline& deadline) {
  const Time begun = Clock::now();
  Deadline connecting(deadline, begun + options_.connect_timeout);
  Result<std::vector<asio::ip::tcp::endpoint>> addresses = co_await resolve(connecting);
  if (!addresses) co_return std::move(addresses).error();
  Error last{Kind::unreachable, Source::engine, true, "no address"};
  for (const asio::ip::tcp::endpoint& address : *addresses) {
    auto transport = std::make_unique<Transport>(loop_);
    Result<void> done = co_await transport->connect(address, connecting);
    if (done && options_.origin.https) {
      done = co_await transport->handshake(*options_.tls, options_.origin.host, connecting);
    }
    if (done) {
      metrics_.connect.observe(std::chrono::duration<double>(Clock::now() - begun).count());
      co_return transport;
    }
    last = std::move(done).error();
    if (connecting.over()) break;
  }
  if (deadline.over()) co_return deadline.error("connect", Source::engine);
  last.kind = Kind::unreachable;  // a connect that timed out sent nothing either
  last.retry = true;
  last.detail = "cannot connect to " + options_.origin.authority() + ": " + last.detail;
  co_return last;
}

// ---- buffers -----------------------------------------------------------------------------------

Buffer Pool::take_buffer() {
  if (buffers_.empty()) return Buffer(kBufferBytes);
  Buffer buffer = std::move(buffers_.back());
  buffers_.pop_back();
  return buffer;
}

void Pool::give_buffer(Buffer buffer) {
  if (buffer.capacity() == kBufferBytes && buffers_.size() < kSpareBuffers) {
    buffers_.push_back(std::move(buffer));
  }
}

}  // namespace penstock::http
