#include "http/pool.h"

#include <algorithm>
#include <cassert>

namespace penstock::http {
namespace {

constexpr std::size_t kSpareBuffers = 32;

}  // namespace

PoolMetrics::PoolMetrics(observe::Shard& shard, const std::string& engine)
    : connect(shard.histogram("penstock_engine_connect_duration_seconds",
                              "Time to connect to an engine, TLS included.", observe::kFast,
                              {{"engine", engine}})),
      open(shard.gauge("penstock_engine_connections", "Connections to engines.",
                       {{"engine", engine}, {"state", "open"}})),
      idle(shard.gauge("penstock_engine_connections", "Connections to engines.",
                       {{"engine", engine}, {"state", "idle"}})) {}

Pool::Pool(Loop& loop, PoolOptions options, PoolMetrics metrics, net::Addresses::Lookup lookup)
    : loop_(loop),
      options_(std::move(options)),
      metrics_(metrics),
      addresses_(loop, options_.origin.host, options_.origin.port, std::move(lookup)) {}

// ---- leases ------------------------------------------------------------------------------------

Pool::Lease::~Lease() {
  if (pool_ == nullptr) return;
  transport_.reset();
  --pool_->open_;
  pool_->changed();
}

void Pool::Lease::keep() {
  Pool& pool = *std::exchange(pool_, nullptr);
  const Time now = Clock::now();
  pool.idle_.push_back({std::move(transport_), now});
  if (pool.sweeper_.at() == Time::max()) pool.loop_.set(pool.sweeper_, now + pool.options_.idle);
  pool.changed();
}

// Something became free, or the numbers are others.
void Pool::changed() {
  metrics_.open.set(static_cast<double>(open_));
  metrics_.idle.set(static_cast<double>(idle_.size()));
  if (!line_.empty() && available()) line_.front()->signal.wake();
}

void Pool::drop_idle(std::size_t index) {
  idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(index));
  --open_;
}

void Pool::sweep(Time now) {
  while (!idle_.empty() && idle_.front().since + options_.idle <= now) drop_idle(0);
  if (!idle_.empty()) loop_.set(sweeper_, idle_.front().since + options_.idle);
  changed();
}

Pool::Place::Place(Pool& of) : pool(of), signal(of.loop_) { pool.line_.push_back(this); }

Pool::Place::~Place() {
  std::erase(pool.line_, this);
  pool.changed();  // the next in line may have its turn: there may be more than one free
}

Task<Result<void>> Pool::wait_in_line(Deadline& deadline) {
  const auto full = [this] {
    return Error{Kind::exhausted, Source::engine, true,
                 "all connections to " + options_.origin.authority() + " are in use"};
  };
  if (line_.size() >= options_.line) co_return full();
  Place place(*this);
  while (line_.front() != &place || !available()) {
    Result<void> woken = co_await place.signal.wait(deadline);
    if (woken) continue;
    if (deadline.why() == Why::time) co_return full();
    co_return std::move(woken).error();
  }
  co_return Result<void>();
}

Task<Result<Pool::Lease>> Pool::take(Deadline& deadline, bool fresh) {
  if (deadline.over()) co_return deadline.error("connect", Source::engine);
  if (!line_.empty() || !available()) {
    Result<void> free = co_await wait_in_line(deadline);
    if (!free) co_return std::move(free).error();
  }
  while (!fresh && !idle_.empty()) {
    std::unique_ptr<net::Transport> transport = std::move(idle_.back().transport);
    idle_.pop_back();
    if (transport->quiet()) {
      Lease lease(*this, std::move(transport));
      changed();
      co_return lease;
    }
    --open_;
  }
  if (open_ >= options_.max) drop_idle(0);  // `fresh`, and the others idle
  Result<Lease> lease = co_await connect(deadline);
  co_return lease;
}

// ---- connecting --------------------------------------------------------------------------------

Task<Result<Pool::Lease>> Pool::connect(Deadline& deadline) {
  const Time begun = Clock::now();
  Lease lease(*this);  // counts before it waits
  changed();
  Deadline connecting(deadline, begun + options_.connect_timeout);
  Error last{Kind::unreachable, Source::engine, true, "no answer in time"};
  Result<net::Endpoints> addresses = co_await addresses_.get(connecting);
  const std::size_t count = addresses ? addresses->size() : 0;
  if (!addresses) last = addresses.error();
  for (std::size_t i = 0; i < count && !connecting.over(); ++i) {
    const asio::ip::tcp::endpoint address = (*addresses)[i];
    // Each has its share of the time: one that swallows everything must not hide the others.
    const Time now = Clock::now();
    const Duration share =
        std::max(connecting.at() - now, Duration::zero()) / static_cast<std::int64_t>(count - i);
    Deadline attempt(connecting, now + share);
    lease.transport_ = std::make_unique<net::Transport>(loop_);
    Result<void> done = co_await lease.transport_->connect(address, attempt);
    if (done && options_.origin.https) {
      done = co_await lease.transport_->handshake(*options_.tls, options_.origin.host, attempt);
    }
    if (done) {
      addresses_.good(address);
      metrics_.connect.observe(std::chrono::duration<double>(Clock::now() - begun).count());
      co_return lease;
    }
    last = std::move(done).error();
  }
  if (deadline.over()) co_return deadline.error("connect", Source::engine);
  addresses_.doubt();
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
  if (buffer.data() != nullptr && buffer.capacity() == kBufferBytes &&
      buffers_.size() < kSpareBuffers) {
    buffers_.push_back(std::move(buffer));
  }
}

}  // namespace penstock::http
