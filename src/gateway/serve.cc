// Where requests come in and answers go out: the shortest ways first.

#include <ctime>

#include "dialect/refusal.h"
#include "engine/provider.h"
#include "exchange/gen_ai.h"
#include "gateway/cors.h"
#include "gateway/exchange.h"
#include "gateway/headers.h"
#include "gateway/keep.h"
#include "gateway/passthrough.h"
#include "gateway/refused.h"

namespace penstock::gateway {
namespace {

Invalid kind_of(int status) {
  return status == 413 || status == 431 ? Invalid::size : Invalid::framing;
}

}  // namespace

// ---- shared by the workers -------------------------------------------------------------------

House::House(const settings::Settings& settings, observe::Registry& metrics, observe::Log& logs)
    : registry(metrics),
      log(logs),
      cache({.size = settings.cache.memory.size.count,
             .policy = settings.cache.memory.policy,
             .max_entry = settings.cache.memory.max_entry.count,
             .trust = &trust}),
      semantic({.size = settings.cache.semantic.size}),
      flights(settings.cache.memory.max_entry.count),
      engines(metrics, logs),
      tracer(settings.tracing.ring),
      budgets(budget::objectives(settings), static_cast<unsigned>(metrics.shards())),
      workers(static_cast<unsigned>(metrics.shards() - 1)),
      started_unix(std::time(nullptr)) {
  metrics.watch(observe::Type::gauge, "penstock_cache_entries", "Answers that are kept.",
                {{"level", "memory"}},
                [this] { return static_cast<double>(cache.stats().entries); });
  metrics.watch(observe::Type::gauge, "penstock_cache_used_bytes", "Memory that the cache uses.",
                {{"level", "memory"}}, [this] { return static_cast<double>(cache.stats().bytes); });
  metrics.watch(observe::Type::gauge, "penstock_cache_capacity_bytes",
                "Memory that the cache may use.", {{"level", "memory"}},
                [this] { return static_cast<double>(cache.stats().capacity); });
  metrics.watch(observe::Type::counter, "penstock_cache_evictions_total",
                "Answers that made room for others.", {{"level", "memory"}, {"reason", "capacity"}},
                [this] { return static_cast<double>(cache.stats().evictions); });
  metrics.watch(observe::Type::counter, "penstock_cache_invalidations_total",
                "Answers that were changed or purged elsewhere, as Redis told.",
                {{"level", "memory"}},
                [this] { return static_cast<double>(invalidations.load()); });
  const auto feature = [&](const char* name, const std::atomic<bool>& on) {
    metrics.watch(observe::Type::gauge, "penstock_feature_enabled",
                  "1 while the rollback switch is on.", {{"feature", name}},
                  [&on] { return on.load(std::memory_order_relaxed) ? 1.0 : 0.0; });
  };
  feature("caching", in_force.caching);
  feature("redis_caching", in_force.redis_caching);
  feature("prometheus_metrics", in_force.prometheus_metrics);
  feature("opentelemetry_tracing", in_force.tracing);
  begin_semantic(settings.cache.semantic);
  obey(settings.features);
}

void House::obey(const settings::Features& configured) {
  in_force.caching = caching.on(configured.caching);
  in_force.redis_caching = redis_caching.on(configured.redis_caching);
  in_force.prometheus_metrics = prometheus_metrics.on(configured.prometheus_metrics);
  in_force.tracing = tracing.on(configured.opentelemetry_tracing);
  registry.set_observing(in_force.prometheus_metrics);
  if (!caching.on(configured.caching)) {
    cache.clear();
    semantic.clear();
  } else if (!redis_caching.on(configured.redis_caching)) {
    cache.erase_if([](const cache::Entry& entry) { return entry.shared; });
  }
}

Snapshot::Snapshot(std::shared_ptr<const settings::Settings> given, std::uint32_t number,
                   const Snapshot* before, Loop& loop, House& house)
    : settings(std::move(given)), generation(number), routes(*settings) {
  cache::KeyMaker keys;
  // What did not change keeps its connections.
  for (const settings::EngineSettings& engine : settings->engines) {
    identities.push_back(identity(engine, keys));
    std::shared_ptr<engine::Engine> kept;
    for (std::size_t i = 0; before != nullptr && i < before->engines.size(); ++i) {
      if (before->settings->engines[i] == engine) kept = before->engines[i];
    }
    engines.push_back(
        kept ? std::move(kept)
             : house.engines.make(engine, house.workers, loop, house.registry.shard(loop.index())));
  }
  for (const route::Table::Pair& pair : routes.pairs()) {
    const std::string& engine = settings->engines[pair.engine].name;
    pairs.push_back(std::make_shared<EngineMetrics>(
        house.registry.shard(loop.index()), engine, pair.model, house.engines.vitals(engine),
        house.bounds, &house.budgets.tally(loop.index())));
    const std::string provider = engine::provider_of(settings->engines[pair.engine]);
    for (std::size_t i = 0; settings->metrics.gen_ai && i < kEndpoints; ++i) {
      const auto endpoint = static_cast<Endpoint>(i);
      if (gen_ai::operation_of(endpoint).empty()) continue;
      pairs.back()->gen_ai[i] = GenAiMetrics(house.registry.shard(loop.index()),
                                             {engine, provider, pair.model, endpoint});
    }
    for (std::size_t i = 0; house.ledger != nullptr && i < kEndpoints; ++i) {
      pairs.back()->served[i] =
          house.ledger->served(pair.model, engine, label_of(static_cast<Endpoint>(i)));
    }
  }
  for (const std::string& tenant : settings->metrics.tenants) {
    tenants.emplace(tenant,
                    std::make_shared<TenantMetrics>(house.registry.shard(loop.index()), tenant));
  }
  set_limits(house);
  set_cache_rules();
  set_tracing();
  for (const std::string& name : settings->listen.compression.encodings) {
    if (const auto packing = http::packing_of(name)) packings.push_back(*packing);
  }
}

void Snapshot::set_cache_rules() {
  for (const route::Table::Pair& pair : routes.pairs()) {
    CacheRule rule{settings->cache.ttl.standard, settings->cache.answers};
    for (const settings::ModelSettings& model : settings->models) {
      if (model.name != pair.model) continue;
      rule.ttl = model.cache.ttl.value_or(rule.ttl);
      rule.answers = model.cache.answers.value_or(rule.answers);
    }
    cache_rules.push_back(rule);
  }
}

void Snapshot::set_tracing() {
  const settings::Tracing& from = settings->tracing;
  tracing.exporting = !from.endpoint.empty();
  tracing.texts = tracing.exporting && from.record_text;
  tracing.propagate = from.propagate;
  tracing.follow_parent = from.follow_parent;
  tracing.share = from.sample;
  tracing.slow = from.slow;
  tracing.incoming = static_cast<trace::Incoming>(from.incoming);
}

void Snapshot::set_limits(House& house) {
  const Time now = Clock::now();
  rules = rules_of(*settings);
  for (const route::Table::Pair& pair : routes.pairs()) {
    limit::AccountPtr account;
    for (const auto& [model, limits] : rules.models) {
      if (model != pair.model) continue;
      account = house.limiter.account(limit::Owner::model, model, {}, limits, now);
    }
    limits_models = limits_models || account != nullptr;
    model_accounts.push_back(std::move(account));
  }
  if (settings->auth.mode != settings::AuthMode::none) return;
  auto everybody = std::make_shared<Caller>();
  anonymous = make_standing(std::move(everybody), rules, house.limiter, now,
                            std::chrono::system_clock::now());
}

// By its name, as a kept answer has it; null: not limited.
limit::AccountPtr Snapshot::account_of_model(std::string_view model) const {
  for (std::size_t i = 0; i < model_accounts.size(); ++i) {
    if (model_accounts[i] && routes.pairs()[i].model == model) return model_accounts[i];
  }
  return nullptr;
}

TenantMetricsPtr Snapshot::metrics_of_tenant(std::string_view name) const {
  const auto at = tenants.find(name);
  return at == tenants.end() ? nullptr : at->second;
}

std::uint64_t Snapshot::epoch() const {
  std::uint64_t epoch = generation;
  for (const auto& engine : engines) epoch = epoch * 0x9e3779b97f4a7c15 + engine->version();
  return epoch;
}

// ---- one worker ------------------------------------------------------------------------------

Gateway::Gateway(Loop& loop, House& house, std::shared_ptr<const settings::Settings> settings)
    : loop_(loop),
      house_(house),
      metrics_(house.registry.shard(loop.index()), house.bounds),
      tally_(house.budgets.tally(loop.index())),
      snapshot_(std::make_shared<const Snapshot>(std::move(settings), house.generation.load(),
                                                 nullptr, loop, house)),
      book_(house.ledger != nullptr ? &house.ledger->book(loop.index()) : nullptr) {
  for (std::size_t i = 0; house.ledger != nullptr && i < kEndpoints; ++i) {
    nothing_[i] = house.ledger->served({}, {}, label_of(static_cast<Endpoint>(i)));
  }
  if (loop.index() == 0) house.warmer.attach(loop, *this);
  if (!house.redis) return;
  // The options were looked at where they were set.
  auto client = redis::Client::make(loop, *house.redis,
                                    redis::Metrics(house.registry.shard(loop.index())), house.log);
  if (client) redis_ = *std::move(client);
  second_ = SecondLevel::make(loop, *house.redis, house);
}

Gateway::~Gateway() {
  if (loop_.index() == 0) house_.warmer.detach();
}

void Gateway::load(std::shared_ptr<const settings::Settings> settings, std::uint32_t generation) {
  house_.obey(settings->features);
  if (settings->cache.semantic.enabled) {
    house_.semantic.set_size(settings->cache.semantic.size);
  } else {
    house_.semantic.clear();
  }
  snapshot_ = std::make_shared<const Snapshot>(std::move(settings), generation, snapshot_.get(),
                                               loop_, house_);
}

bool Gateway::answer_now(http::Request& request, http::Reply& reply) {
  const http::RequestHead& head = request.head;
  if (head.method == "POST") return answer_same_bytes(request, reply);
  if (head.method == "GET" || head.method == "HEAD") return answer_health(request, reply);
  if (head.method == "OPTIONS") return answer_options(request, reply);
  return false;
}

// The very bytes of a question whose answer is kept: no need to read them again.
bool Gateway::answer_same_bytes(http::Request& request, http::Reply& reply) {
  const http::RequestHead& head = request.head;
  const Endpoint endpoint = endpoint_of(head.path);
  if (endpoint == Endpoint::models || endpoint == Endpoint::other) return false;
  if (!house_.caching.on(snapshot_->settings->features.caching)) return false;
  // What a backend is told of it is told where it is read.
  if (snapshot_->tracing.texts && tracing(*snapshot_)) return false;
  // What a query or a field may change is decided where they are read.
  const Glance seen = glance(head);
  if (!seen.json || !seen.plain || !head.query.empty()) return false;
  const StandingPtr who = standing_of(seen.credential, *snapshot_, request.received);
  if (!who) return false;
  const Time looked = Clock::now();
  // While Redis is away nobody can tell of a change, and nobody could have made one there.
  const bool trusting = !second_level(*snapshot_) || !second_->client->available(request.received);
  std::optional<cache::BytesHit> hit =
      house_.cache.find_bytes(who->caller->cache_scope, static_cast<std::uint32_t>(endpoint),
                              request.body, request.received, trusting);
  if (!hit || hit->tag.epoch != snapshot_->epoch()) return false;
  // Who may not, or not now, is told so where there is time for it.
  limit::Ticket ticket;
  if (!admit_now(*who, hit->entry->model, request.received, ticket)) return false;

  Uuid own_id;
  const std::string_view id = request_id_of(seen.request_id, random_, own_id);
  const Time now = Clock::now();
  const WallTime wall = std::chrono::system_clock::now();
  const cache::Entry& entry = *hit->entry;  // kept by the reply until it is sent
  const float complexity = hit->tag.complexity;
  book_hit(*who, entry, store::Level::memory, complexity, request.received, now, wall);
  if (complexity >= 0) snapshot_->pairs[hit->tag.pair]->asked(complexity);
  count_question(*who, seen.session, hit->tag.user, hit->tag.text);
  count_popular(*who, entry, request);
  send_entry(reply, entry, form_taken(std::move(hit->entry), hit->form, seen.accept_encoding), id,
             seen.origin, ticket, request.received, now, complexity, {});
  metrics_.auth(snapshot_->anonymous ? AuthMethod::none : house_.method, AuthResult::success);
  metrics_.cache_get.observe(seconds(now - looked));
  metrics_.cache_hits.add();
  metrics_.saved_tokens.add(static_cast<double>(entry.usage.input + entry.usage.output));
  Settled settled;
  settled.endpoint = endpoint;
  settled.method = head.method;
  settled.status = entry.status;
  settled.stream = hit->form != cache::Form::plain;
  settled.cache = CacheResult::hit;
  settled.tenant = who->metrics.get();
  settled.duration = settled.overhead = now - request.received;
  settled.request_bytes = request.body.size();
  settled.response_bytes = reply.bytes_sent();
  see_hit(settled, seen.traceparent, entry, id, complexity, request.received, wall);
  settle(settled, head, id, entry.model, entry.engine);
  return true;
}

// Whether a kept answer of this model may be given; what refuses is found out again, and told,
// where a refusal is made.
bool Gateway::admit_now(const Standing& who, std::string_view model, Time now,
                        limit::Ticket& ticket) {
  if (!may_ask(*who.caller, model, model)) return false;
  if (!who.limited && !snapshot_->limits_models) return true;
  limit::AccountPtr its;
  if (snapshot_->limits_models) its = snapshot_->account_of_model(model);
  if (house_.limiter.admit({who.key, who.tenant, its, who.global}, now, ticket)) return false;
  metrics_.limited(std::nullopt, limit::What::requests, Clock::now() - now);
  return true;
}

// Of nobody that is known here.
void Gateway::book_stranger(Endpoint endpoint, int status, Duration took) {
  if (book_ == nullptr) return;
  book_->hit({nobody_, nothing_[static_cast<std::size_t>(endpoint)], store::Level::none, status},
             {}, 0, took, std::chrono::system_clock::now());
}

// A kept answer is about to be given. It is summed, and has no row of its own.
void Gateway::book_hit(const Standing& who, const cache::Entry& entry, store::Level level,
                       float complexity, Time received, Time now, WallTime wall) {
  if (book_ == nullptr || entry.served == nullptr) return;
  // Its tokens are saved ones, and it costs nothing: what was paid is in the row of the call.
  book_->hit({who.caller, entry.served, level, entry.status}, entry.usage, 0, now - received, wall,
             complexity);
}

// What a browser asks before it lets a page ask; every other OPTIONS is a request like others.
bool Gateway::answer_options(http::Request& request, http::Reply& reply) {
  const http::RequestHead& head = request.head;
  const settings::Listen::Cors& allowed = snapshot_->settings->listen.cors;
  if (!is_preflight(allowed, head)) return false;
  Uuid own_id;
  const std::string_view id = request_id_of(head.find("x-request-id"), random_, own_id);
  answer_preflight(allowed, head, id, reply);
  Settled settled;
  settled.endpoint = endpoint_of(head.path);
  settled.method = head.method;
  settled.status = reply.status_code();
  settled.duration = settled.overhead = Clock::now() - request.received;
  settled.response_bytes = reply.bytes_sent();
  settle(settled, head, id, {}, {});
  return true;
}

// The public port tells status only; what is behind it is the admin listener's to say.
bool Gateway::answer_health(http::Request& request, http::Reply& reply) {
  const std::string_view path = request.head.path;
  if (!health_path(path)) return false;
  const bool started = house_.ready.load(std::memory_order_relaxed);
  bool good = true;  // /livez: the loop beats, since it answers
  if (path == "/startupz") {
    good = started;
  } else if (path != "/livez" && path != "/health/liveliness") {
    good = started && !house_.draining.load(std::memory_order_relaxed) && house_.engines.ready();
  }
  reply.status(good ? 200 : 503);
  reply.field("content-type", "application/health+json");
  reply.field("cache-control", "no-store");
  let_read(snapshot_->settings->listen.cors, request.head.find("origin"), reply);
  reply.finish(good ? R"({"status":"pass"})" : R"({"status":"fail"})");
  return true;
}

Task<void> Gateway::serve(http::Request& request, http::Reply& reply, Deadline& deadline) {
  // What a connection holds goes with it.
  if (house_.memory.level() >= http::MemoryGate::Level::close) reply.close_after();
  Exchange x(*this, request, reply, deadline);
  Result<Answer, Refusal> answer = co_await this->answer(x);
  if (answer && (x.look.entry || answer->status == 200)) count_popular(x);
  if (!answer) {
    send_refusal(x, answer.error());
  } else if (x.look.entry && x.look.wishes.paced &&
             form_for(x.question, *x.look.entry) != cache::Form::plain) {
    co_await replay(x);
  } else if (x.look.entry) {
    send_kept(x);
  } else {
    if (answer->status == 404) doubt_url(x, *answer);
    co_await relay(x, *answer);
  }
}

// A kept answer is about to be given to who asked by its meaning.
void Gateway::book_kept(Exchange& x, Time now) {
  const Look& look = x.look;
  const cache::EntryPtr& entry = look.entry;
  x.recorder.cache = look.stale ? CacheResult::stale : CacheResult::hit;
  metrics_.saved_tokens.add(static_cast<double>(entry->usage.input + entry->usage.output));
  if (look.level != store::Level::memory) x.recorder.level = label_of(look.level);
  // A call of an engine has a row of its own: who caused it pays for it.
  x.recorder.called = look.called;
  if (book_ != nullptr && entry->served != nullptr && !look.called) {
    book_hit(*x.who, *entry, look.level, x.bytes.complexity, x.request.received, now,
             std::chrono::system_clock::now());
    x.recorder.booked();
  }
}

// An answer that the cache had under its meaning. From now on its very bytes are known too.
void Gateway::send_kept(Exchange& x) {
  const Look& look = x.look;
  const cache::EntryPtr& entry = look.entry;
  const cache::Form form = form_for(x.question, *entry);
  const Time now = Clock::now();
  book_kept(x, now);
  x.recorder.tell_answer(prepared(*entry, form).body());
  const bool as_kept = look.level == store::Level::memory && !look.stale;
  send_entry(x.reply, *entry, form_taken(entry, form, x.request.head.find("accept-encoding")),
             x.recorder.request_id(), x.request.head.find("origin"), x.recorder.bill->ticket,
             x.request.received, now, x.bytes.complexity,
             as_kept ? std::string_view() : cache_header(look), look.similarity);
  if (look.level == store::Level::semantic) return;  // these bytes mean another question
  if (glance(x.request.head).plain && x.request.head.query.empty()) {
    x.bytes.epoch = x.with->epoch();
    house_.cache.remember_bytes(x.who->caller->cache_scope,
                                static_cast<std::uint32_t>(x.question.endpoint), x.request.body,
                                entry, form, x.bytes);
  }
}

void Gateway::refuse(const http::BadMessage& bad, const http::RequestHead& head,
                     http::Reply& reply) {
  const Endpoint endpoint = endpoint_of(head.path);
  if (bad.status == 503) {
    metrics_.turned_away(std::nullopt);
  } else if (!bad.of_nothing) {
    metrics_.invalid(endpoint, kind_of(bad.status));
  }
  std::string body;
  const Refusal refusal =
      refusal_of_http(bad, snapshot_->settings->listen.limits, "listen.limits.");
  dialect::write_refusal(body, refusal);
  Uuid own_id;
  const std::string_view id = request_id_of(head.find("x-request-id"), random_, own_id);
  reply.status(bad.status);
  reply.field("content-type", "application/json");
  reply.field("x-request-id", id);
  let_read(snapshot_->settings->listen.cors, head.find("origin"), reply);
  reply.finish(body);
  if (bad.of_nothing) return;  // a connection, not a request
  book_stranger(endpoint, bad.status, Duration::zero());
  Settled settled;
  settled.endpoint = endpoint;
  settled.method = head.method.empty() ? std::string_view("other") : head.method;
  settled.status = bad.status;
  settled.response_bytes = body.size();
  see_refused(settled, head, id, refusal.code);
  settle(settled, head, id, {}, {});
}

Exchange::Exchange(Gateway& gateway, http::Request& asked, http::Reply& said, Deadline& until)
    : request(asked),
      reply(said),
      deadline(until),
      with(gateway.snapshot_),
      recorder(gateway, asked, said) {}

}  // namespace penstock::gateway
