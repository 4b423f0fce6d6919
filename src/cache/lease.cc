#include "cache/lease.h"

#include <array>

#include "base/sleep.h"
#include "cache/live.h"
#include "cache/redis_level.h"
#include "redis/script.h"

namespace penstock::cache {
namespace {

constexpr Duration kPatience = 1s;  // of what nobody waits for
constexpr Duration kFirstLook = 20ms;
constexpr Duration kRenewAgain = 250ms;  // where Redis did not answer

// KEYS: the value, the lease. ARGV: the lease's id, milliseconds, the head of a value that will not
// do, its end.
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

// KEYS: the lease, the wish of others. ARGV: the lease's id, milliseconds; 0 gives it back. 2: it
// is held, and others want the answer. One that ran out is taken again; 0: another has it.
const redis::Script& keep_script() {
  static const redis::Script kScript(R"(
local held = redis.call('GET', KEYS[1])
if ARGV[2] == '0' then
  if held == ARGV[1] then redis.call('DEL', KEYS[1]) end
  return 0
end
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1 + redis.call('EXISTS', KEYS[2])
)");
  return kScript;
}

std::string ms(Duration duration) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

}  // namespace

std::string Leases::lease_name(const Key& key) { return "penstock:lease:{" + hex(key) + "}"; }
std::string Leases::wanted_name(const Key& key) { return "penstock:wanted:{" + hex(key) + "}"; }

// Outlives its leader while the lease is renewed or given back.
struct Leases::Lead::State {
  std::shared_ptr<Leases> leases;
  std::string lease;
  std::string id;  // what stands in it
  std::string wish;
  Wanted wanted;
  Deadline until;  // called off with the call
  std::shared_ptr<LiveWish> others = nullptr;
  State(std::shared_ptr<Leases> of, const Key& key, std::string which, Wanted tell)
      : leases(std::move(of)),
        lease(lease_name(key)),
        id(std::move(which)),
        wish(wanted_name(key)),
        wanted(std::move(tell)),
        until(leases->loop_, Time::max()) {}

  // `now`: whether another node wants the answer.
  void look(bool now) {
    // Who told has let go of it, because nobody wanted it any more: it may be told again.
    if (others && others.use_count() == 1 && !others->over) others = nullptr;
    if (others) {
      others->wanted = now;
    } else if (now && !until.over()) {
      others = std::make_shared<LiveWish>();
      wanted(others);
    }
  }
};

Leases::Leases(Loop& loop, std::shared_ptr<redis::Client> client, bool tracking)
    : loop_(loop), client_(std::move(client)), tracking_(tracking) {}

Leases::Lead::Lead(std::shared_ptr<Leases> leases, const Key& key, const std::string& id,
                   Wanted wanted)
    : state_(std::make_shared<State>(std::move(leases), key, id, std::move(wanted))) {
  state_->leases->loop_.spawn(hold(state_));
}

Leases::Lead::~Lead() { state_->until.call_off(Why::left); }

// Whether others want the answer; from now on it is told when they do.
Task<bool> Leases::wanted(std::shared_ptr<Lead::State> state) {
  const std::array<std::string_view, 2> words = {"EXISTS", state->wish};
  const std::array<redis::Words, 1> commands = {words};
  Deadline patience(state->leases->loop_, Clock::now() + kPatience);
  Result<redis::Read> read = co_await state->leases->client_->read(commands, state->wish, patience);
  co_return read && (read->changed || read->values[0].integer == 1);
}

Task<void> Leases::hold(std::shared_ptr<Lead::State> state) {
  Leases& leases = *state->leases;
  const std::array<std::string_view, 2> keys = {state->lease, state->wish};
  const std::string longer = ms(kLease);
  Signal signal(leases.loop_);
  const Watch watch(leases, state->wish, signal);
  // What is answered at once is not worth a look.
  co_await sleep_until(Clock::now() + kFirstLook, state->until);
  Time renew = Clock::now() + kRenew;
  bool look = true;  // the wish has not been read since it changed
  while (!state->until.over()) {
    if (look && !state->others) {
      const bool others = co_await wanted(state);
      state->look(others);
    }
    {
      Deadline pause(state->until, renew);
      Result<void> woken = co_await signal.wait(pause);
      look = woken.ok();
    }
    if (state->until.over()) break;
    if (Clock::now() < renew) continue;
    const std::array<std::string_view, 2> words = {state->id, longer};
    Deadline patience(leases.loop_, Clock::now() + kPatience);
    Result<redis::Value> kept = co_await leases.client_->eval(keep_script(), keys, words, patience);
    renew = Clock::now() + (kept ? kRenew : kRenewAgain);
    if (!kept) continue;                // Redis is slow, or away
    if (kept->integer == 0) co_return;  // another node leads beside this one
    state->look(kept->integer == 2);
  }
  const std::array<std::string_view, 2> words = {state->id, "0"};
  Deadline patience(leases.loop_, Clock::now() + kPatience);
  Result<redis::Value> given = co_await leases.client_->eval(keep_script(), keys, words, patience);
  static_cast<void>(given);  // it runs out by itself
}

Task<Result<Leases::Turn>> Leases::take(Key key, std::string id, std::string unwanted,
                                        Deadline& patience) {
  const std::string value = name_of(key);
  const std::string lease = lease_name(key);
  const std::string longer = ms(kLease);
  const std::string end = std::to_string(kValueHead - 1);
  const std::array<std::string_view, 2> keys = {value, lease};
  const std::array<std::string_view, 4> words = {id, longer, unwanted, end};
  Result<redis::Value> taken = co_await client_->eval(take_script(), keys, words, patience);
  if (!taken) co_return std::move(taken).error();
  switch (taken->integer) {
    case 1: co_return Turn::lead;
    case 2: co_return Turn::stored;
    default: co_return Turn::follow;
  }
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
