#include "cache/lease.h"

#include <array>

#include "base/sleep.h"
#include "cache/redis_level.h"
#include "redis/script.h"

namespace penstock::cache {
namespace {

constexpr Duration kPatience = 1s;  // of what nobody waits for

std::string lease_of(const Key& key) { return "penstock:lease:{" + hex(key) + "}"; }

// KEYS: the value, the lease. ARGV: who, milliseconds, the head of a value that will not do, its
// end.
const redis::Script& take_script() {
  static const redis::Script kScript(R"(
if redis.call('TYPE', KEYS[1]).ok == 'string' then
  local head = redis.call('GETRANGE', KEYS[1], 0, ARGV[4])
  if head ~= '' and head ~= ARGV[3] then return 2 end
end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return 0
)");
  return kScript;
}

// KEYS: the lease. ARGV: who, milliseconds; 0 gives it back.
const redis::Script& keep_script() {
  static const redis::Script kScript(R"(
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then return redis.call('DEL', KEYS[1]) end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
)");
  return kScript;
}

std::string ms(Duration duration) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

}  // namespace

// Outlives its leader while the lease is renewed or given back.
struct Leases::Lead::State {
  std::shared_ptr<Leases> leases;
  std::string lease;
  Deadline until;  // called off with the call
  State(std::shared_ptr<Leases> of, const Key& key)
      : leases(std::move(of)), lease(lease_of(key)), until(leases->loop_, Time::max()) {}
};

Leases::Leases(Loop& loop, std::shared_ptr<redis::Client> client, bool tracking, std::string owner)
    : loop_(loop), client_(std::move(client)), tracking_(tracking), owner_(std::move(owner)) {}

Leases::Lead::Lead(std::shared_ptr<Leases> leases, const Key& key)
    : state_(std::make_shared<State>(std::move(leases), key)) {
  state_->leases->loop_.spawn(hold(state_));
}

Leases::Lead::~Lead() { state_->until.call_off(Why::left); }

Task<void> Leases::hold(std::shared_ptr<Lead::State> state) {
  Leases& leases = *state->leases;
  const std::array<std::string_view, 1> keys = {state->lease};
  const std::string longer = ms(kLease);
  for (;;) {
    co_await sleep_until(Clock::now() + kRenew, state->until);
    if (state->until.over()) break;
    const std::array<std::string_view, 2> words = {leases.owner_, longer};
    Deadline patience(leases.loop_, Clock::now() + kPatience);
    Result<redis::Value> kept = co_await leases.client_->eval(keep_script(), keys, words, patience);
    // Lost, or Redis is away: then others may lead beside this one.
    if (!kept || kept->integer == 0) co_return;
  }
  const std::array<std::string_view, 2> words = {leases.owner_, "0"};
  Deadline patience(leases.loop_, Clock::now() + kPatience);
  Result<redis::Value> given = co_await leases.client_->eval(keep_script(), keys, words, patience);
  static_cast<void>(given);  // it runs out by itself
}

Task<Result<Leases::Turn>> Leases::take(Key key, std::string unwanted, Deadline& patience) {
  const std::string value = name_of(key);
  const std::string lease = lease_of(key);
  const std::string longer = ms(kLease);
  const std::string end = std::to_string(kValueHead - 1);
  const std::array<std::string_view, 2> keys = {value, lease};
  const std::array<std::string_view, 4> words = {owner_, longer, unwanted, end};
  Result<redis::Value> taken = co_await client_->eval(take_script(), keys, words, patience);
  if (!taken) co_return std::move(taken).error();
  switch (taken->integer) {
    case 1: co_return Turn::lead;
    case 2: co_return Turn::stored;
    default: co_return Turn::follow;
  }
}

// Listens while it lives.
class Leases::Watch {
 public:
  Watch(Leases& leases, const std::string& lease, const Signal& signal)
      : leases_(leases), at_(leases.watchers_.emplace(lease, &signal)) {}
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch() { leases_.watchers_.erase(at_); }

 private:
  Leases& leases_;
  const std::unordered_multimap<std::string, const Signal*>::iterator at_;
};

Task<void> Leases::wait(Key key, Deadline& deadline) {
  const std::string lease = lease_of(key);
  Signal signal(loop_);
  const Watch watch(*this, lease, signal);
  bool there = false;
  {
    // Read through a tracked connection, so that its end is told.
    const std::array<std::string_view, 2> words = {"EXISTS", lease};
    const std::array<redis::Words, 1> commands = {words};
    Deadline patience(deadline, Clock::now() + kPatience);
    Result<redis::Read> read = co_await client_->read(commands, lease, patience);
    there = read && !read->changed && read->values[0].integer == 1;
  }
  if (!there) co_return;
  Deadline look(deadline, Clock::now() + (tracking_ ? kLook : kPoll));
  Result<void> woken = co_await signal.wait(look);
  static_cast<void>(woken);
}

void Leases::changed(std::string_view name) {
  if (name.empty()) {
    for (const auto& [lease, signal] : watchers_) signal->wake();
    return;
  }
  const auto [first, last] = watchers_.equal_range(std::string(name));
  for (auto at = first; at != last; ++at) at->second->wake();
}

}  // namespace penstock::cache
