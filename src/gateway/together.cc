// One call to an engine for all who ask the same at the same time.

#include "base/buffer.h"
#include "cache/live.h"
#include "gateway/call.h"
#include "gateway/exchange.h"
#include "gateway/form.h"
#include "gateway/headers.h"
#include "gateway/keep.h"

namespace penstock::gateway {
namespace {

// A question that outlives the request that asked it.
struct OwnQuestion {
  OwnQuestion(const Question& asked, std::span<const HeaderView> asked_headers, std::string_view id)
      : question(asked), request_id(id) {
    // One piece of memory for all that is viewed; the body last, with its padding.
    std::size_t size = asked.method.size() + asked.target.size() + asked.content_type.size() +
                       asked.body.size() + Buffer::kPadding;
    for (const HeaderView& header : asked_headers) size += header.name.size() + header.value.size();
    text.reserve(size);
    const auto own = [&](std::string_view view) {
      const std::size_t at = text.size();
      text += view;
      return std::string_view(text).substr(at, view.size());
    };
    for (const HeaderView& header : asked_headers) {
      headers.push_back({own(header.name), own(header.value)});
    }
    question.method = own(asked.method);
    question.target = own(asked.target);
    question.content_type = own(asked.content_type);
    question.body = own(asked.body);
  }
  OwnQuestion(const OwnQuestion&) = delete;
  OwnQuestion& operator=(const OwnQuestion&) = delete;

  Question question;
  std::string request_id;
  std::string text;
  std::vector<HeaderView> headers;
};

constexpr std::uint64_t kWholeAnswer = 256 * 1024;  // sent in one piece, with its length

// What drives a flight: everything of its own, since the client that began it may leave.
struct Order {
  House& house;
  Loop& loop;
  std::shared_ptr<const Snapshot> with;
  route::Plan plan;
  cache::Key key;
  std::uint64_t version;  // of what the engine knew when the key was made
  OwnQuestion own;
  cache::FlightPtr flight;
  observe::Histogram cache_set;
  std::string scope;  // whose the answer is
  BillPtr bill;       // of who asked first
  Making making;
  std::shared_ptr<SecondLevel> second;  // null: it is not kept there
  Metrics::Redis redis;
  bool anew = false;                                       // what is kept is not wanted
  std::shared_ptr<Ahead> ahead = nullptr;                  // null: a request asked for it
  std::optional<cache::Leases::Lead> lead = std::nullopt;  // this node asks for all
  cache::EntryPtr entry = nullptr;                         // what came of it
  Meaning meaning = {};                                    // of the question
};

bool fresh(const cache::Entry& entry, Time now) { return entry.expires > now; }

// An answer that was kept meanwhile, to all who wait for this one.
void publish(Order& order, const cache::Entry& entry) {
  const bool plain = !entry.plain.empty();
  const std::string_view body = (plain ? entry.plain : entry.stream_with_usage).body();
  cache::Flight::Head head;
  head.status = entry.status;
  head.content_type = plain ? "application/json" : "text/event-stream; charset=utf-8";
  head.length = body.size();
  head.elsewhere = true;
  order.flight->head(std::move(head));
  order.flight->append(std::string(body));
  order.bill->call_ended();
}

// What lies in Redis now; null: nothing that will do, and `head` says what it was.
Task<Result<cache::EntryPtr>> read_stored(Order& order, std::string& head, Deadline& patience) {
  const settings::Cache& cache = order.with->settings->cache;
  Result<cache::RedisLevel::Found> found =
      co_await order.second->level->get(order.key, cache.memory.max_entry.count, patience);
  if (!found) co_return std::move(found).error();
  head = found->head;
  cache::EntryPtr entry = entry_in_redis(order.house, *std::move(found), order.key, order.scope,
                                         order.making.served, cache);
  if (entry && !fresh(*entry, Clock::now())) entry = nullptr;
  co_return entry;
}

Error follower_lost() {
  return {Kind::broken, Source::store, true,
          "the gateway that asked for all, or Redis between the two, has failed"};
}

// Other nodes want the answer that this one is having made.
void tell_others(const Order& order, const std::string& id, std::shared_ptr<cache::LiveWish> wish,
                 Time until) {
  std::unique_ptr<cache::Reader> reader = order.house.flights.watch(order.flight, order.loop);
  if (!reader) return;
  order.loop.spawn(cache::tell_live(
      order.loop, {order.second->client, order.key, cache::Leases::lease_name(order.key), id,
                   order.scope, std::move(reader), std::move(wish), order.flight->purge(), until}));
}

// Whether no engine need be asked: the flight has its answer then. Else this node leads, or nobody
// can tell who does. An Error: the flight has a part of it, and the rest will not come.
Task<Result<bool>> answered_elsewhere(Order& order, Deadline& deadline) {
  if (order.anew) co_return false;
  // Between the look into the cache and the seat another call may have ended.
  const cache::EntryPtr known = order.house.cache.find(order.key, order.scope, Clock::now());
  if (known && fresh(*known, Clock::now()) && order.house.trust.in(*known)) {
    publish(order, *known);
    co_return true;
  }
  if (!order.second) co_return false;
  std::string unwanted;
  Random random;
  const std::string id = cache::new_live_id(random);
  while (!deadline.over()) {
    Result<cache::Leases::Turn> turn = cache::Leases::Turn::follow;
    cache::EntryPtr stored;
    {
      Deadline patience(deadline, Clock::now() + order.with->settings->cache.redis.timeout);
      trace::Trace& trace = order.bill->trace;
      const std::uint8_t step =
          trace.step(trace::Step::redis, trace::kRoot, "EVALSHA", Clock::now());
      Result<cache::Leases::Turn> taken =
          co_await order.second->leases->take(order.key, id, unwanted, patience);
      trace.end(step, Clock::now(), "lease", taken ? "" : trace::error_of(taken.error()));
      turn = std::move(taken);
      if (turn && *turn == cache::Leases::Turn::stored) {
        Result<cache::EntryPtr> read = co_await read_stored(order, unwanted, patience);
        if (!read) co_return false;
        stored = *std::move(read);
      }
    }
    if (!turn) co_return false;
    switch (*turn) {
      case cache::Leases::Turn::lead:
        order.lead.emplace(
            order.second->leases, order.key, id,
            [&order, id, until = deadline.at()](std::shared_ptr<cache::LiveWish> wish) {
              tell_others(order, id, std::move(wish), until);
            });
        co_return false;
      case cache::Leases::Turn::stored:
        if (!stored) break;  // it will not do: who leads is asked again
        publish(order, *stored);
        co_return true;
      case cache::Leases::Turn::follow: {
        using Followed = cache::Leases::Followed;
        const cache::Leases::Outdated outdated = [&order](std::uint64_t purge) {
          return order.house.purges.covers(
              {order.key, order.scope, order.plan.model, order.making.tags}, purge);
        };
        const Followed followed = co_await order.second->leases->follow(
            order.key, order.scope, outdated, order.flight, deadline);
        if (followed == Followed::broken) {
          if (deadline.over()) co_return deadline.error("wait for the answer", Source::engine);
          co_return follower_lost();
        }
        if (followed == Followed::nothing) break;
        order.bill->call_ended();
        co_return true;
      }
    }
  }
  co_return false;
}

// Passes the engine's answer to the flight, and whole and good ones to the cache.
Task<Result<void>> drive_to_end(Order& order, Deadline& deadline) {
  const settings::EngineSettings& engine = order.with->settings->engines[order.plan.engine];
  Question& question = order.own.question;
  const Time asked = Clock::now();
  engine::Call call{question, order.plan.upstream_model, order.own.headers, order.own.request_id,
                    ask_usage(question, true)};
  Result<Answer> answer = co_await measured_call(order.with->engines[order.plan.engine], call,
                                                 order.with->pairs[order.plan.metrics], order.bill,
                                                 false, deadline.at(), deadline);
  if (!answer) co_return std::move(answer).error();
  if (order.ahead) order.ahead->status = answer->status;

  order.making.begun = asked;
  Keeper keeper(order.with->settings->cache, question, *answer, order.scope);
  if (!answer->rest) answer->length = answer->body.size();
  order.flight->head({answer->status, answer->content_type, answer->headers, answer->length});
  if (!answer->rest) {
    keeper.add(answer->body);
    order.flight->append(std::move(answer->body));
  } else {
    for (;;) {
      Result<std::string_view> piece = co_await answer->rest->next(deadline);
      if (!piece) co_return std::move(piece).error();
      if (piece->empty()) break;
      if (order.making.first == Time()) order.making.first = Clock::now();
      keeper.add(*piece);
      order.flight->append(std::string(*piece));
      Result<void> room = co_await order.flight->room(deadline);
      if (!room) co_return room;
    }
  }
  // What it knows has changed meanwhile: this is the answer of neither version for certain.
  if (order.with->engines[order.plan.engine]->version() != order.version) co_return Result<void>();
  Random random;
  const Time now = Clock::now();
  order.making.model = order.plan.model;
  order.making.engine = engine.name;
  const std::uint64_t purge = order.making.purge;
  const cache::EntryPtr entry = keeper.entry(order.key, std::move(order.making), now, random);
  if (!entry) co_return Result<void>();
  using Displaces = cache::MemoryCache::Displaces;
  const bool stored =
      order.house.cache.store(entry, order.ahead ? Displaces::nothing : Displaces::others);
  // What was purged while it was on its way. Looked for when it is there: who purges writes that
  // down first and searches memory then, so one of the two finds it.
  if (order.house.purges.covers({entry->key, entry->scope, entry->model, entry->tags}, purge)) {
    order.house.cache.erase(entry->key);
    co_return Result<void>();
  }
  if (!order.meaning.vector.empty() && entry->status == 200) {
    order.house.semantic.add(entry->scope, order.meaning.place, entry->key, order.meaning.vector);
  }
  order.cache_set.observe(seconds(Clock::now() - now));
  order.entry = entry;
  if (order.ahead) order.ahead->in_memory = stored;
  co_return Result<void>();
}

Task<void> drive(std::unique_ptr<Order> order) {
  const Time begun = Clock::now();
  const settings::EngineSettings& engine = order->with->settings->engines[order->plan.engine];
  Deadline deadline(order->loop, begun + engine.timeout.total);
  order->flight->drive(order->loop, [&deadline] { deadline.call_off(Why::left); });
  Result<void> done;
  Result<bool> answered = co_await answered_elsewhere(*order, deadline);
  const bool elsewhere = answered && *answered;
  if (!answered) {
    done = std::move(answered).error();
  } else if (!elsewhere) {
    Result<void> driven = co_await drive_to_end(*order, deadline);
    done = std::move(driven);
  }
  if (done) {
    order->flight->finish();
  } else {
    Error error = told(std::move(done).error(), engine.name, deadline, deadline.at());
    if (order->ahead) order->ahead->error = error;
    order->flight->fail(std::move(error));
  }
  // The lease ends behind it: who looks then finds the answer.
  bool in_redis = false;
  if (order->second && order->entry) {
    trace::Trace& trace = order->bill->trace;
    const std::uint8_t step = trace.step(trace::Step::redis, trace::kRoot, "SET", Clock::now());
    in_redis = co_await put_in_redis(order->second, order->house, order->entry,
                                     order->with->settings->cache.redis.compress_over.count,
                                     order->redis.set, order->redis.errors, order->loop);
    trace.end(step, Clock::now(), "put");
  }
  if (!order->ahead) co_return;
  order->ahead->known = elsewhere;
  order->ahead->kept = order->entry != nullptr;
  order->ahead->in_redis = in_redis;
  order->ahead->ended.wake();
}

// A request begins to wait for another's call, which its trace says where to look for.
std::uint8_t wait_for(const cache::FlightTable::Joined& joined, trace::Trace& trace, Time now) {
  if (joined.leader || !trace) return trace::kRoot;
  return trace.step(trace::Step::coalesce_wait, trace::kRoot, {}, now);
}

void see_head(const cache::FlightTable::Joined& joined, trace::Trace& trace, std::uint8_t step,
              const Result<cache::Flight::Head>& head) {
  trace::Span* const span = trace.at(step);
  if (span == nullptr) return;
  span->link = joined.flight->leader();
  if (head) span->code = head->status;
  const bool left = !head && head.error().kind == Kind::cancelled;
  trace.end(step, Clock::now(), {},
            head || left ? std::string_view() : trace::error_of(head.error()));
}

// What another call might mend. A refusal of the question itself is everybody's.
bool leader_failed(const Result<cache::Flight::Head>& head) {
  if (head) return head->status >= 500;
  return head.error().kind != Kind::cancelled && head.error().kind != Kind::refused;
}

}  // namespace

// Takes a seat at the call under way, unless it is the one that `failed`, or was begun before its
// answer was purged; without one it begins one.
cache::FlightTable::Joined Gateway::join(Exchange& x, cache::Flight* failed) {
  cache::FlightTable& flights = house_.flights;
  const Look& look = x.look;
  cache::FlightTable::Joined joined =
      failed != nullptr             ? flights.succeed(*failed, loop_, look.purge)
      : x.settings().cache.coalesce ? flights.join(look.key, loop_, look.purge)
                                    : flights.alone(look.key, loop_, look.purge);
  const std::string& scope = x.who->caller->cache_scope;
  while (!joined.leader && house_.purges.covers({look.key, scope, x.plan.model, look.wishes.tags},
                                                joined.flight->purge())) {
    const cache::FlightPtr outdated = joined.flight;
    joined = flights.succeed(*outdated, loop_, house_.purges.known());
  }
  if (joined.leader) {
    x.look.purge = joined.flight->purge();
    lead(x, joined.flight);
  }
  return joined;
}

void Gateway::lead(Exchange& x, const cache::FlightPtr& flight) {
  const std::vector<HeaderView> headers =
      forwarded(x.request.head, context_for(x.recorder.bill->trace));
  lead({x.with, x.plan, x.look, x.question, headers, x.recorder.request_id(),
        x.who->caller->cache_scope, x.recorder.bill},
       flight);
}

// The call of a flight begins. Who asked first pays for it.
void Gateway::lead(const Asked& asked, const cache::FlightPtr& flight) {
  const Look& look = asked.look;
  const route::Plan& plan = asked.plan;
  const EngineMetrics& pair = *asked.with->pairs[plan.metrics];
  auto order =
      std::unique_ptr<Order>(new Order{house_,
                                       loop_,
                                       asked.with,
                                       plan,
                                       look.key,
                                       look.version,
                                       OwnQuestion(asked.question, asked.headers, asked.request_id),
                                       flight,
                                       metrics_.cache_set,
                                       std::string(asked.scope),
                                       asked.bill,
                                       {},
                                       second_level(*asked.with) ? second_ : nullptr,
                                       metrics_.redis});
  order->meaning = look.meaning;
  order->making.tags = look.wishes.tags;
  order->making.purge = look.purge;
  order->making.ttl = asked.with->cache_rules[plan.metrics].ttl;
  order->making.served = pair.served[static_cast<std::size_t>(asked.question.endpoint)];
  // A lease cannot be had of a Redis that did not answer a moment ago.
  if (look.redis_failed) order->second = nullptr;
  if (asked.bill->trace) flight->led_by(asked.bill->trace.seen.context);
  const settings::Settings& settings = *asked.with->settings;
  order->anew = look.passed_by || look.wishes.max_age.has_value() || (look.entry && !look.stale) ||
                !settings.cache.coalesce;
  order->ahead = asked.ahead;
  asked.bill->call_begins(settings.engines[plan.engine].price, pair.cost,
                          tokens_about(asked.question.body));
  loop_.spawn(drive(std::move(order)));
}

// Asks for what takes the place of an answer that is given meanwhile, unless somebody does already.
void Gateway::renew(Exchange& x) {
  const cache::FlightPtr flight = house_.flights.begin(x.look.key, house_.purges.known());
  if (!flight) return;
  x.look.called = true;
  x.look.purge = flight->purge();
  lead(x, flight);
}

// Whether an answer past its time is better than what came.
bool Gateway::fall_back(Exchange& x, const Result<Answer, Refusal>& answer) {
  const int status = answer ? answer->status : answer.error().status;
  if (status < 500 && status != 429) return false;
  const cache::EntryPtr entry = with_form(x.look.fallback, form_for(x.question, *x.look.fallback));
  if (!entry) return false;
  x.look.entry = entry;
  x.look.level = store::Level::memory;
  x.look.stale = true;
  x.look.called = true;
  return true;
}

// Whoever asks first sends the question on; all who ask meanwhile read the same answer from its
// beginning. The call belongs to none of them: it ends early only when the last has left.
Task<Result<Answer, Refusal>> Gateway::ask_once_for_all(Exchange& x) {
  cache::FlightTable::Joined joined = join(x, nullptr);
  const Time asked = Clock::now();
  trace::Trace& trace = x.recorder.bill->trace;
  std::uint8_t waiting_step = wait_for(joined, trace, asked);
  Result<cache::Flight::Head> head = co_await joined.reader->head(x.deadline);
  see_head(joined, trace, waiting_step, head);
  if (!joined.leader && leader_failed(head) && !x.deadline.over()) {
    // One of those who followed asks again, and the others follow it; once, since an engine that
    // is in trouble must not be asked by each of them.
    const cache::FlightPtr failed = joined.flight;
    joined = join(x, failed.get());
    waiting_step = wait_for(joined, trace, Clock::now());
    head = co_await joined.reader->head(x.deadline);
    see_head(joined, trace, waiting_step, head);
  }
  x.recorder.waited_for_engine(Clock::now() - asked);
  if (!joined.leader || (head && head->elsewhere)) {
    x.recorder.cache = CacheResult::coalesced;
    metrics_.coalesced.add();
  }
  std::unique_ptr<cache::Reader> reader = std::move(joined.reader);
  if (!head) co_return refusal_of(x, std::move(head).error());
  Answer answer;
  answer.status = head->status;
  answer.content_type = head->content_type;
  answer.headers = head->headers;
  answer.length = head->length;
  answer.rest = std::move(reader);

  const Time waiting = Clock::now();
  if (other_form(answer, x.question)) {
    Result<void> changed = co_await change_form(answer, x.question, x.deadline);
    x.recorder.waited_for_engine(Clock::now() - waiting);
    if (!changed) co_return refusal_of(x, std::move(changed).error());
    co_return answer;
  }
  if (answer.event_stream()) {
    if (unwanted_usage(x.question)) {
      answer.length.reset();  // without what is taken out it is another
      answer.rest = std::make_unique<WatchedFlow>(std::move(answer.rest), true, true);
    }
    co_return answer;
  }
  // Whole answers go out in one piece.
  if (answer.length.value_or(0) > kWholeAnswer) co_return answer;
  Result<std::string> body = co_await gather(answer, kWholeAnswer, x.deadline);
  x.recorder.waited_for_engine(Clock::now() - waiting);
  if (!body) co_return refusal_of(x, std::move(body).error());
  if (answer.rest) {  // larger than it said: what there is goes ahead of the rest
    answer.rest = behind(*std::move(body), std::move(answer.rest));
    co_return answer;
  }
  answer.length.reset();
  answer.body = *std::move(body);
  co_return answer;
}

}  // namespace penstock::gateway
