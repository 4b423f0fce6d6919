// The second level of the cache: what other nodes have asked before, and what they will.

#include "gateway/second_level.h"

#include "gateway/exchange.h"
#include "gateway/keep.h"

namespace penstock::gateway {
namespace {

constexpr Duration kPut = 1s;  // nobody waits for it

}  // namespace

std::shared_ptr<SecondLevel> SecondLevel::make(Loop& loop, const redis::Options& options,
                                               House& house) {
  auto level = std::make_shared<SecondLevel>();
  redis::Options own = options;
  own.name += "-cache";
  // A single wait ends before the request's patience for all of them does: then it is the client
  // that finds out that Redis does not answer, and remembers it.
  own.timeout = options.timeout * 4 / 5;
  own.tracking = house.tracking;
  own.vouchers = house.trust.vouchers();
  own.changed = [&house, weak = std::weak_ptr<SecondLevel>(level)](std::string_view name,
                                                                   redis::Vouch by) {
    if (const auto of = weak.lock()) of->leases->changed(name);
    const std::optional<cache::Key> key = cache::key_of(name);
    if (!key) return;
    if (!house.cache.erase_vouched(*key, by)) return;
    house.invalidations.fetch_add(1, std::memory_order_relaxed);
  };
  // The options were looked at where they were set.
  auto client =
      redis::Client::make(loop, own, redis::Metrics(house.registry.shard(loop.index())), house.log);
  if (!client) return nullptr;
  level->client = *std::move(client);
  level->level = std::make_unique<cache::RedisLevel>(loop, *level->client);
  level->leases = std::make_shared<cache::Leases>(loop, level->client, house.tracking);
  return level;
}

// Whether Redis is read and written for answers, as things stand.
bool Gateway::second_level(const Snapshot& with) const {
  return second_ != nullptr && house_.redis_caching.on(with.settings->features.redis_caching);
}

// `doubted`: what memory has, and nobody vouches for.
Task<void> Gateway::look_in_redis(Exchange& x, cache::EntryPtr doubted) {
  const std::shared_ptr<SecondLevel> second = second_;
  const Time begun = Clock::now();
  Result<cache::EntryPtr> found = Error{};
  trace::Trace& trace = x.recorder.bill->trace;
  const std::uint8_t step = trace.step(trace::Step::cache_lookup, trace::kRoot, "redis", begun);
  {
    Deadline patience(x.deadline, begun + x.settings().cache.redis.timeout);
    Result<cache::EntryPtr> looked =
        co_await read_from_redis(x, x.look.key, *second, patience, step);
    found = std::move(looked);
  }
  metrics_.redis.get.observe(seconds(Clock::now() - begun));
  if (!found) {
    trace.end(step, Clock::now(), "error", trace::error_of(found.error()));
    metrics_.redis.errors.add();
    x.look.redis_failed = true;
    // Nobody could have told of a change, and nobody can be asked.
    if (doubted) take(x, doubted);
    co_return;
  }
  if (*found) {
    x.look.level = store::Level::redis;
    take(x, *found);
  } else if (doubted) {
    // Changed, purged, or driven out there: in doubt the engine is asked.
    house_.cache.erase(x.look.key);
  }
  (!x.look.entry  ? metrics_.redis.misses
   : x.look.stale ? metrics_.redis.stale
                  : metrics_.redis.hits)
      .add();
  trace.end(step, Clock::now(), !x.look.entry ? "miss" : x.look.stale ? "stale" : "hit");
}

// The answer as it lies in Redis, which memory has from now on; null: there is none.
Task<Result<cache::EntryPtr>> Gateway::read_from_redis(Exchange& x, cache::Key key,
                                                       SecondLevel& second, Deadline& patience,
                                                       std::uint8_t step) {
  if (!second.client->available()) {
    co_return Error{Kind::unreachable, Source::store, true, "Redis is away"};
  }
  const std::string& scope = x.who->caller->cache_scope;
  cache::RedisLevel::Look turn(*second.level, key);
  if (!turn.first()) {
    Result<void> woken = co_await turn.wait(patience);
    if (!woken) co_return std::move(woken).error();
    const cache::EntryPtr entry = house_.cache.find(key, scope, x.request.received);
    const bool good = entry && house_.trust.in(*entry);
    co_return good ? entry : nullptr;
  }
  // What was purged must be known before it can be said of an answer that it was not.
  if (house_.purger != nullptr && !house_.trust.purges_known()) {
    Result<void> known = co_await house_.purger->current(patience);
    if (!known) co_return std::move(known).error();
  }
  const settings::Cache& cache = x.settings().cache;
  trace::Trace& trace = x.recorder.bill->trace;
  const std::uint8_t command = trace.step(trace::Step::redis, step, "GET", Clock::now());
  Result<cache::RedisLevel::Found> found =
      co_await second.level->get(key, cache.memory.max_entry.count, patience);
  trace.end(command, Clock::now(), {}, found ? std::string_view() : trace::error_of(found.error()));
  if (!found) co_return std::move(found).error();
  const EngineMetrics& pair = *x.with->pairs[x.plan.metrics];
  co_return entry_in_redis(house_, *std::move(found), key, scope,
                           pair.served[static_cast<std::size_t>(x.question.endpoint)], cache);
}

cache::EntryPtr entry_in_redis(House& house, cache::RedisLevel::Found found, const cache::Key& key,
                               std::string_view scope, const Served* served,
                               const settings::Cache& settings) {
  if (!found.value || found.value->scope != scope) return nullptr;
  const Time now = Clock::now();
  const auto entry = std::const_pointer_cast<cache::Entry>(
      entry_of(*std::move(found.value), key, settings, now, std::chrono::system_clock::now()));
  entry->served = served;
  entry->vouched.set(found.vouch);
  if (entry->kept <= now) return nullptr;
  // What was changed while it was read is given, and not kept.
  if (found.keep) house.cache.store(entry);
  if (house.purges.covers({key, entry->scope, entry->model, entry->tags}, entry->purge)) {
    house.cache.erase(key);
    return nullptr;
  }
  return entry;
}

Task<bool> put_in_redis(std::shared_ptr<SecondLevel> second, House& house, cache::EntryPtr entry,
                        std::uint64_t compress_over, observe::Histogram took,
                        observe::Counter errors, Loop& loop) {
  const Time begun = Clock::now();
  if (!second->client->available(begun)) co_return false;
  std::string value =
      cache::encode(value_of(*entry, begun, std::chrono::system_clock::now()), compress_over);
  Deadline deadline(loop, begun + kPut);
  Result<redis::Vouch> vouch =
      co_await second->level->put(entry->key, std::move(value), entry->kept - begun, deadline);
  took.observe(seconds(Clock::now() - begun));
  if (!vouch) {
    errors.add();
    // It may lie there all the same, and be changed by others: nobody would tell.
    const Kind kind = vouch.error().kind;
    if (house.tracking && kind != Kind::unreachable && kind != Kind::refused) {
      house.cache.vouch(entry->key, entry->stored, cache::kNobody);
    }
    co_return false;
  }
  if (*vouch != 0) {
    house.cache.vouch(entry->key, entry->stored, *vouch);
  } else if (house.tracking) {
    // Another node's answer has taken its place: that one is everybody's.
    house.cache.erase(entry->key);
  }
  co_return true;
}

}  // namespace penstock::gateway
