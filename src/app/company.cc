#include "app/company.h"

#include <array>

#include "base/sleep.h"

namespace penstock::app {
namespace {

constexpr Duration kExchange = 1s;
constexpr Duration kLook = 50ms;  // a flood of bodies fills memory in a second
constexpr std::string_view kChannel = "penstock:keys";

}  // namespace

Company::Company(Parts parts, observe::Log& log)
    : parts_(std::move(parts)),
      purges_(loop_, parts_.house->purges, parts_.house->cache, parts_.house->trust, log,
              [house = parts_.house](const auto& meant) { house->semantic.erase_scopes(meant); }) {}

Result<std::unique_ptr<Company>> Company::make(const std::optional<redis::Options>& options,
                                               Parts parts, observe::Log& log) {
  std::unique_ptr<Company> company(new Company(std::move(parts), log));
  if (!options) return company;
  auto client = redis::Client::make(company->loop_, *options, redis::Metrics(), log);
  if (!client) return std::move(client).error();
  company->client_ = *std::move(client);
  redis::Options watching = *options;
  watching.name += "-purges";
  watching.connections = 1;
  watching.tracking = company->parts_.tracking;
  watching.vouchers = company->parts_.house->trust.vouchers();
  watching.changed = [purges = &company->purges_](std::string_view key, redis::Vouch) {
    purges->changed(key);
  };
  auto watch = redis::Client::make(company->loop_, watching, redis::Metrics(), log);
  if (!watch) return std::move(watch).error();
  company->watch_ = *std::move(watch);
  company->shared_ = std::make_unique<engagement::RedisShared>(*company->client_);
  return company;
}

void Company::start() {
  const auto changed = [this] {
    if (parts_.keys_changed) parts_.keys_changed();
  };
  // What was said while there was no connection was missed: it is looked for after each new one.
  if (client_) {
    client_->subscribe(
        std::string(kChannel), [changed](std::string_view) { changed(); }, changed);
  }
  running_ = 4;
  thread_ = std::thread([this] {
    loop_.spawn(exchange_on());
    loop_.spawn(keep_limits());
    loop_.spawn(watch_memory());
    loop_.spawn(keep_purges());
    loop_.run();
  });
}

Company::~Company() {
  if (!thread_.joinable()) return;
  asio::post(loop_.executor(), [this] {
    until_.call_off(Why::draining);
    limits_until_.call_off(Why::draining);
    memory_until_.call_off(Why::draining);
    purges_until_.call_off(Why::draining);
  });
  thread_.join();
}

void Company::ended() {
  if (--running_ > 0) return;
  client_.reset();
  watch_.reset();
  asio::post(loop_.executor(), [this] { loop_.stop(); });
}

Task<void> Company::exchange_on() {
  while (!until_.over() && parts_.engagement != nullptr) {
    const WallTime now = std::chrono::system_clock::now();
    if (shared_) {
      Deadline deadline(until_, Clock::now() + kExchange);
      // What could not be sent is sent the next time.
      Result<void> done = co_await parts_.engagement->exchange(*shared_, now, deadline);
      static_cast<void>(done);
    }
    parts_.engagement->sweep(now);
    co_await sleep_until(Clock::now() + kExchange, until_);
  }
  ended();
}

Task<void> Company::keep_limits() {
  if (parts_.limits && client_)
    co_await limit::Shared::keep(parts_.limits, *client_, limits_until_);
  ended();
}

Task<void> Company::watch_memory() {
  while (!memory_until_.over() && parts_.look_at_memory) {
    parts_.look_at_memory();
    co_await sleep_until(Clock::now() + kLook, memory_until_);
  }
  ended();
}

Task<void> Company::keep_purges() {
  if (watch_) co_await purges_.keep(*watch_, purges_until_);
  ended();
}

void Company::tell_keys_changed() {
  asio::post(loop_.executor(), [this] {
    if (!client_) return;
    constexpr std::array<std::string_view, 3> kWords = {"PUBLISH", kChannel, "1"};
    client_->tell(kWords);
  });
}

}  // namespace penstock::app
