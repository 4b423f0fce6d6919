// The store loop's own eyes: how the servers are, and how many connections this node may have.
#include <charconv>

#include "base/sleep.h"
#include "store/postgres_database.h"
#include "store/postgres_statements.h"

namespace penstock::store {
namespace {

constexpr Duration kLook = 500ms;
constexpr Duration kAnswer = 2s;  // of a look
constexpr Duration kBeatEach = 2s;
constexpr Duration kFirstBeats = 250ms;  // a new node waits less for its share
constexpr Duration kRemembered = 120s;
constexpr Duration kGoodbyeTime = 300ms;
constexpr Duration kToEnd = 1s;

std::optional<std::uint64_t> lsn_of(const PostgresConnection::Answer& answer) {
  if (answer.rows.empty() || answer.rows.front().rows.empty()) return std::nullopt;
  const auto* const text = std::get_if<std::string>(&answer.rows.front().rows.front().front());
  if (text == nullptr) return std::nullopt;
  const std::size_t slash = text->find('/');
  if (slash == std::string::npos) return std::nullopt;
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  std::from_chars(text->data(), text->data() + slash, high, 16);
  std::from_chars(text->data() + slash + 1, text->data() + text->size(), low, 16);
  return high << 32U | low;
}

}  // namespace

Task<void> PostgresDatabase::watch_primary() {
  Deadline forever(*loop_, Time::max());
  Time beat_at = Clock::now();
  int beats = 0;
  for (;;) {
    std::vector<Step> steps;
    steps.push_back(Step{&kPrimaryLsn, {}});
    PostgresConnection::Ask ask;
    ask.steps = &steps;
    ask.until = Clock::now() + kAnswer;
    {
      Deadline deadline(forever, ask.until + kLook);
      Outcome outcome = co_await once(*primary_, ask, true, deadline);
      const Time now = Clock::now();
      if (outcome) {
        if (const auto lsn = lsn_of(*outcome)) passed_.push_back(Passed{now, *lsn});
        while (!passed_.empty() && now - passed_.front().at > kRemembered) passed_.pop_front();
        if (now >= beat_at) {
          co_await beat();
          beat_at = Clock::now() + (++beats < 4 ? kFirstBeats : kBeatEach);
        }
      } else if (outcome.error().broken && outcome.error().state.starts_with("57P")) {
        primary_->gone(outcome.error().error.detail);
      }
    }
    primary_->sweep(Clock::now());
    const auto jitter = std::chrono::duration_cast<Duration>(kLook * (0.9 + 0.2 * random_.unit()));
    const Time next = std::min(Clock::now() + jitter, std::max(beat_at, Clock::now() + 50ms));
    co_await sleep_until(next, forever);
  }
}

// A beat that fails changes nothing: the others count this node for ten seconds more.
Task<void> PostgresDatabase::beat() {
  Deadline deadline(*loop_, Clock::now() + kAnswer + kLook);
  unsigned open = primary_->open();
  for (const Replica& replica : replicas_) open += replica.pool->open();
  const std::int64_t most = options_.pool_max ? std::int64_t{*options_.pool_max} : 1'000'000;
  const std::string name = options_.node.empty() ? asio::ip::host_name() : options_.node;
  std::vector<Step> steps;
  steps.push_back(Step{&kBeatLock, {}});
  steps.push_back(Step{&kBeat,
                       {node_id_, name, std::string(PENSTOCK_VERSION), std::int64_t{open},
                        std::int64_t{options_.pool_total}, std::max<std::int64_t>(most, 1)}});
  steps.push_back(Step{&kForgetNodes, {}});
  PostgresConnection::Ask ask;
  ask.steps = &steps;
  ask.until = Clock::now() + kAnswer;
  Outcome outcome = co_await once(*primary_, ask, true, deadline);
  // Before the tables are made there is nobody to share with yet.
  if (!outcome || outcome->rows.size() != 3 || outcome->rows[1].rows.empty()) co_return;
  if (const auto* const share = std::get_if<std::int64_t>(&outcome->rows[1].rows[0][0])) {
    take_share(static_cast<unsigned>(std::max<std::int64_t>(*share, 1)));
  }
}

// Half to the replicas, in equal parts, but to the primary at least one. Where the share is too
// small for all of them, some go without.
void PostgresDatabase::take_share(unsigned share) {
  share_ = share;
  const auto wanted = static_cast<unsigned>(replicas_.size());
  const unsigned used = std::min(wanted, share - 1);
  const unsigned each = used == 0 ? 0 : std::max(1U, share / 2 / used);
  for (unsigned i = 0; i < wanted; ++i) {
    Replica& replica = replicas_[i];
    replica.watched = i < used;
    replica.pool->allow(i < used ? each : 0);
    if (i >= used) {
      replica.good = false;
      replica.pool->lags(std::nullopt, false, "this node's share of the connections is too small");
    }
  }
  primary_->allow(share - used * each);
}

Task<void> PostgresDatabase::watch_replica(std::size_t index) {
  Deadline forever(*loop_, Time::max());
  Replica& replica = replicas_[index];
  for (;;) {
    if (replica.watched) {
      std::vector<Step> steps;
      steps.push_back(Step{&kReplicaLsn, {}});
      PostgresConnection::Ask ask;
      ask.steps = &steps;
      ask.until = Clock::now() + kAnswer;
      Deadline deadline(forever, ask.until + kLook);
      Outcome outcome = co_await once(*replica.pool, ask, true, deadline);
      const std::optional<std::uint64_t> lsn =
          outcome ? lsn_of(*outcome) : std::optional<std::uint64_t>();
      if (!lsn) {
        replica.good = false;
        replica.pool->lags(
            std::nullopt, false,
            outcome ? std::string("it says nothing of where it is") : outcome.error().error.detail);
      } else {
        const std::optional<Duration> lag = lag_of(*lsn, Clock::now());
        const bool good = lag && *lag <= options_.max_lag;
        if (good != replica.good) {
          log_.info(good ? "a replica is used" : "a replica is left out",
                    {{"database", replica.pool->name()}});
        }
        replica.good = good;
        replica.pool->lags(lag, good, good ? "" : "it is behind by more than max_lag");
      }
      replica.pool->sweep(Clock::now());
    }
    const auto jitter = std::chrono::duration_cast<Duration>(kLook * (0.9 + 0.2 * random_.unit()));
    co_await sleep_until(Clock::now() + jitter, forever);
  }
}

// How long ago the primary was where a replica is now: clocks of different machines say nothing
// here, and a replica that has lost its primary does not look near.
std::optional<Duration> PostgresDatabase::lag_of(std::uint64_t lsn, Time now) const {
  if (passed_.empty()) return std::nullopt;
  for (const Passed& one : passed_) {
    if (one.lsn > lsn) return now - one.at;
  }
  return Duration::zero();
}

// What is under way has a second more; then this node is taken from the list, so that the others
// need not wait for its share.
Task<void> PostgresDatabase::say_goodbye() {
  Deadline deadline(*loop_, Clock::now() + kToEnd);
  while (jobs_ > 0 && !deadline.over()) co_await sleep_until(Clock::now() + 5ms, deadline);
  if (!primary_->away()) {
    Deadline last(*loop_, Clock::now() + kGoodbyeTime);
    std::vector<Step> steps;
    steps.push_back(Step{&kGoodbye, {node_id_}});
    PostgresConnection::Ask ask;
    ask.steps = &steps;
    ask.until = Clock::now() + kGoodbyeTime;
    (void)co_await once(*primary_, ask, false, last);
  }
  loop_->stop();
}

}  // namespace penstock::store
