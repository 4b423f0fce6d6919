#include "app/worker.h"

#include <sys/resource.h>

#include <algorithm>
#include <ctime>

namespace penstock::app {
namespace {

constexpr Duration kDrainBeat = 20ms;

// CPU time of the calling thread.
double thread_cpu_seconds() {
  timespec spent{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
  return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) * 1e-9;
}

}  // namespace

http::ServerLimits server_limits(const settings::Listen& listen, gateway::House& house) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  http::ServerLimits limits;
  limits.memory = &house.memory;
  // Of what the program does not need for itself, the other half is for engines.
  const auto all = static_cast<std::size_t>(files.rlim_cur);
  const std::size_t left = all - std::min(all, house.own_files);
  limits.connections =
      std::min<std::size_t>(listen.limits.connections, std::max<std::size_t>(1, left / 2));
  limits.head.bytes = listen.limits.header_bytes.count;
  limits.head.line_bytes = std::min<std::size_t>(8 * 1024, limits.head.bytes);
  limits.head.fields = listen.limits.headers;
  limits.body_bytes = listen.limits.body_bytes.count;
  limits.first_header = listen.limits.first_header;
  limits.body = listen.limits.body;
  limits.write_stall = listen.limits.write_stall;
  limits.idle = listen.limits.idle;
  return limits;
}

Worker::Worker(unsigned index, gateway::House& house, settings::SettingsPtr settings)
    : loop_(index),
      gateway_(loop_, house, settings),
      house_(house),
      server_(loop_, gateway_, server_limits(settings->listen, house),
              http::ServerMetrics(house.registry.shard(index)), house.connections),
      beat_timer_(loop_.executor()),
      drain_timer_(loop_.executor()),
      metrics_(house.registry.shard(index), index) {}

Worker::~Worker() { stop(); }

Result<asio::ip::tcp::endpoint> Worker::listen(const asio::ip::tcp::endpoint& endpoint) {
  return server_.listen(endpoint);
}

void Worker::start() {
  beat_.store(Clock::now().time_since_epoch().count());
  thread_ = std::thread([this] {
    beat();
    loop_.run();
  });
}

void Worker::beat() {
  const Time due = Clock::now() + kBeat;
  beat_timer_.expires_at(due);
  beat_timer_.async_wait([this, due](boost::system::error_code ec) {
    if (ec) return;
    const Time now = Clock::now();
    metrics_.lag.observe(std::chrono::duration<double>(now - due).count());
    const double cpu = thread_cpu_seconds();
    metrics_.busy.add(cpu - busy_seconds_);
    busy_seconds_ = cpu;
    beat_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
    open_.store(server_.open(), std::memory_order_relaxed);
    beat();
  });
}

void Worker::load(settings::SettingsPtr settings, std::uint32_t generation) {
  asio::post(loop_.executor(), [this, settings = std::move(settings), generation] {
    server_.set_limits(server_limits(settings->listen, house_));
    gateway_.load(settings, generation);
  });
}

void Worker::drain() {
  asio::post(loop_.executor(), [this] {
    server_.drain();
    open_.store(server_.open(), std::memory_order_relaxed);
    watch_drain();
  });
}

// The main thread waits for the last connection: it should not wait for the next beat.
void Worker::watch_drain() {
  drain_timer_.expires_after(kDrainBeat);
  drain_timer_.async_wait([this](boost::system::error_code ec) {
    if (ec) return;
    open_.store(server_.open(), std::memory_order_relaxed);
    watch_drain();
  });
}

void Worker::call_off() {
  asio::post(loop_.executor(), [this] { server_.call_off(); });
}

void Worker::stop() {
  if (!thread_.joinable()) return;
  asio::post(loop_.executor(), [this] {
    server_.close_all();
    beat_timer_.cancel();
    drain_timer_.cancel();
    // What close_all called off ends before the loop does.
    asio::post(loop_.executor(), [this] { loop_.stop(); });
  });
  thread_.join();
}

}  // namespace penstock::app
