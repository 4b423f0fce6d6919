// One request's life. `Gateway::serve` makes the answer and relays it; `Gateway::answer`
// (answer.cc) is the straight line: parse, route, look in the cache, call the engine.
//
//   request --answer_now--> the very bytes are known: sent at once
//           --serve-------> answer --> relay --> recorded on every exit
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/loop.h"
#include "base/turns.h"
#include "base/uuid.h"
#include "budget/account.h"
#include "cache/flight.h"
#include "cache/key.h"
#include "cache/memory.h"
#include "cache/purges.h"
#include "cache/semantic.h"
#include "cache/semantic_file.h"
#include "cache/trust.h"
#include "complexity/complexity.h"
#include "dialect/question.h"
#include "engagement/engagement.h"
#include "engine/factory.h"
#include "exchange/exchange.h"
#include "gateway/door.h"
#include "gateway/metrics.h"
#include "gateway/pack.h"
#include "gateway/popular.h"
#include "gateway/second_level.h"
#include "gateway/semantic.h"
#include "gateway/standing.h"
#include "gateway/switch.h"
#include "gateway/warmer.h"
#include "http/inflate.h"
#include "http/memory_gate.h"
#include "http/server.h"
#include "observe/log.h"
#include "redis/client.h"
#include "route/route.h"
#include "settings/settings.h"
#include "store/ledger.h"
#include "trace/tracer.h"

namespace penstock::gateway {

// What all workers share.
struct House {
  House(const settings::Settings& settings, observe::Registry& metrics, observe::Log& logs);
  // Puts the switches in force, as the settings have them or the admin API: what was kept by what
  // is turned off now is forgotten. Any thread.
  void obey(const settings::Features& configured);
  void begin_semantic(const settings::Cache::Semantic& settings);

  observe::Registry& registry;
  observe::Log& log;
  cache::Trust trust;
  cache::PurgeBook purges;
  cache::MemoryCache cache;
  cache::SemanticIndex semantic;
  std::unique_ptr<cache::SemanticKeeper> semantic_keeper;  // null: nothing outlives the program
  cache::FlightTable flights;
  engine::Shared engines;
  limit::Limiter limiter;
  http::ConnectionCount connections{0};
  http::MemoryGate memory;
  trace::Tracer tracer;
  Switch tracing;
  Switch caching;
  Switch redis_caching;
  Switch prometheus_metrics;
  Once reasons;  // why which model's answers are not cached
  struct InForce {
    std::atomic<bool> caching{true}, redis_caching{true}, prometheus_metrics{true}, tracing{true};
  } in_force;
  std::atomic<std::uint64_t> invalidations{0};
  Warmer warmer{*this};
  Packer packer{cache};
  budget::Account budgets;
  Bounds bounds{budgets.objectives()};
  std::size_t own_files = 0;  // descriptors that the program needs for itself
  unsigned workers = 1;
  std::int64_t started_unix = 0;  // seconds
  std::atomic<bool> ready{false};
  std::atomic<bool> draining{false};
  // Counts the settings in force. Bytes remembered under other settings are not taken on trust:
  // the name of a model, an engine, a rule of the cache may have changed its meaning.
  std::atomic<std::uint32_t> generation{1};

  // Set before the workers are made.
  std::unique_ptr<Door> door;  // null: nobody is told apart
  AuthMethod method = AuthMethod::none;
  store::Ledger* ledger = nullptr;  // null: nothing is written down
  store::Database* database = nullptr;
  engagement::Engagement* engagement = nullptr;  // null: nobody is counted
  std::optional<redis::Options> redis;           // where limits are counted together
  bool tracking = false;                         // Redis tells of changes
  Popular* popular = nullptr;                    // null: what is asked most is not looked at
  cache::Purges* purger = nullptr;               // null: what is purged is this process's own
  // Told of each write of rows, on the ledger's thread; empty: nobody looks.
  std::function<void(const store::Written& written)> rows_written;
  // What an owner has spent in the period under way, by the ledger; empty: nothing is known of it.
  limit::Limiter::Spent spent;
};

// What a worker makes of one set of settings. A request keeps the one it began with.
struct Snapshot {
  Snapshot(std::shared_ptr<const settings::Settings> given, std::uint32_t number,
           const Snapshot* before, Loop& loop, House& house);

  // The generation, and the versions of what the engines know: while it is the same, the same
  // bytes mean the same question to the same engines.
  std::uint64_t epoch() const;
  limit::AccountPtr account_of_model(std::string_view model) const;
  TenantMetricsPtr metrics_of_tenant(std::string_view name) const;

  std::shared_ptr<const settings::Settings> settings;
  std::uint32_t generation;
  route::Table routes;
  std::vector<std::shared_ptr<engine::Engine>> engines;  // as in settings->engines
  std::vector<std::string>
      identities;  // of the engines: what of their settings makes their answers
  std::vector<std::shared_ptr<EngineMetrics>> pairs;             // as in routes.pairs()
  std::map<std::string, TenantMetricsPtr, std::less<>> tenants;  // that have series of their own
  std::vector<limit::AccountPtr> model_accounts;                 // likewise; null: not limited
  bool limits_models = false;
  struct CacheRule {
    Duration ttl;
    settings::CacheAnswers answers;
  };
  std::vector<CacheRule> cache_rules;   // as in routes.pairs()
  std::vector<http::Packing> packings;  // content codings, by preference
  limit::Rules rules;
  trace::Rules tracing;
  StandingPtr anonymous;  // of everybody, where nobody is told apart

 private:
  void set_limits(House& house);
  void set_cache_rules();
  void set_tracing();
};

class Bill;
struct Exchange;
struct Look;

// What is left of the limits, for the client to read.
void say_limits(http::Reply& reply, const limit::Ticket& ticket);

// A worker's gateway. Belongs to its loop.
class Gateway final : public http::Handler {
 public:
  Gateway(Loop& loop, House& house, std::shared_ptr<const settings::Settings> settings);
  ~Gateway() override;

  // Puts new settings in force for requests that begin from now on.
  void load(std::shared_ptr<const settings::Settings> settings, std::uint32_t generation);

  bool answer_now(http::Request& request, http::Reply& reply) override;
  Task<void> serve(http::Request& request, http::Reply& reply, Deadline& deadline) override;
  void refuse(const http::BadMessage& bad, const http::RequestHead& head,
              http::Reply& reply) override;

  // Asks a question ahead of who will ask it, where its answer is not kept yet. (warm.cc)
  Task<WarmResult> warm(const WarmQuestion& asked, Deadline& deadline);

 private:
  friend struct Exchange;
  friend class Recorder;

  // serve.cc
  bool answer_health(http::Request& request, http::Reply& reply);
  bool answer_same_bytes(http::Request& request, http::Reply& reply);
  bool admit_now(const Standing& who, std::string_view model, Time now, limit::Ticket& ticket);
  bool answer_options(http::Request& request, http::Reply& reply);
  struct Taken;
  void send_entry(http::Reply& reply, const cache::Entry& entry, Taken taken,
                  std::string_view request_id, std::string_view origin, const limit::Ticket& ticket,
                  Time received, Time now, float complexity, std::string_view cache,
                  float similarity = 0);
  void book_stranger(Endpoint endpoint, int status, Duration took);
  void book_hit(const Standing& who, const cache::Entry& entry, store::Level level,
                float complexity, Time received, Time now, WallTime wall);
  void send_kept(Exchange& x);
  void book_kept(Exchange& x, Time now);
  void settle(const Settled& settled, const http::RequestHead& head, std::string_view request_id,
              std::string_view model, std::string_view engine);
  void send_refusal(Exchange& x, const Refusal& refusal);

  // answer.cc: the straight line
  Task<Result<Answer, Refusal>> answer(Exchange& x);
  std::optional<Refusal> locate(Exchange& x);
  std::optional<Refusal> no_memory(const Exchange& x);
  std::optional<Refusal> parse(Exchange& x);
  std::optional<Refusal> route(Exchange& x);

  // look.cc
  bool may_be_cached(Exchange& x);
  void say_why_not(const Exchange& x, std::string_view reason);
  static std::string_view why_not_kept(const House& house, const Snapshot& with,
                                       const Question& question, const route::Plan& plan,
                                       bool no_store);
  void make_key(Exchange& x);
  void make_key(Look& look, const http::RequestHead& head, const Question& question,
                const route::Plan& plan, const Snapshot& with, std::string_view scope);
  cache::EntryPtr look_in_memory(Exchange& x);
  void take(Exchange& x, const cache::EntryPtr& found);
  bool early(const cache::Entry& entry, Time now, double beta);

  // second_level.cc
  bool second_level(const Snapshot& with) const;
  Task<void> look_in_redis(Exchange& x, cache::EntryPtr doubted);
  // `step`: of the request's trace, whose part it is.
  Task<Result<cache::EntryPtr>> read_from_redis(Exchange& x, cache::Key key, SecondLevel& second,
                                                Deadline& patience, std::uint8_t step);

  // popular.cc
  void count_popular(const Standing& who, const cache::Entry& entry, const http::Request& request);
  void count_popular(const Exchange& x);

  // semantic.cc
  std::optional<std::string> words_of(const Question& question, const Snapshot& with,
                                      const route::Plan& model, Look& look);
  Task<Result<bool>> learn_meaning(const Question& question,
                                   const std::shared_ptr<const Snapshot>& with, Look& look,
                                   std::string_view request_id, Deadline& deadline);
  Task<void> look_alike(Exchange& x);
  Task<void> take_alike(Exchange& x, std::uint8_t step);
  Task<Result<cache::EntryPtr>> kept_under(Exchange& x, cache::Key key, Deadline& patience,
                                           std::uint8_t step);

  // seen.cc
  bool tracing(const Snapshot& with) const;
  void see_hit(Settled& settled, std::string_view traceparent, const cache::Entry& entry,
               std::string_view request_id, float complexity, Time received, WallTime wall);
  void see_refused(Settled& settled, const http::RequestHead& head, std::string_view request_id,
                   std::string_view code);

  // identify.cc
  StandingPtr standing_of(std::string_view credential, const Snapshot& with, Time now);
  Task<std::optional<Refusal>> identify(Exchange& x);

  // limits.cc
  Task<std::optional<Refusal>> admit(Exchange& x);
  // `model`: whose limits count too; null: none.
  Task<std::optional<Refusal>> admit_of(Exchange& x, limit::AccountPtr model);
  Task<std::optional<Refusal>> reserve(Exchange& x);
  Task<Result<std::optional<limit::Refused>>> reserve_here(Bill& bill, std::uint64_t tokens,
                                                           Nano cost, Deadline& deadline);
  Task<Result<void>> learn_spend(const limit::Account& account, WallTime wall, trace::Trace& trace,
                                 Deadline& deadline);

  // engage.cc
  void count_question(const Standing& who, std::string_view session, std::uint64_t user,
                      std::uint64_t text);
  void count_question(Exchange& x);
  static void note_text(Exchange& x);
  Task<Result<Answer, Refusal>> take_feedback(Exchange& x);

  // decode.cc
  Task<std::optional<Refusal>> decode(Exchange& x, http::Coding coding);

  // models.cc
  Task<Result<Answer, Refusal>> list_models(Exchange& x);

  // attempt.cc
  Task<Result<Answer, Refusal>> ask(Exchange& x);
  void doubt_url(Exchange& x, const Answer& answer);

  // together.cc
  Task<Result<Answer, Refusal>> ask_once_for_all(Exchange& x);
  cache::FlightTable::Joined join(Exchange& x, cache::Flight* failed);
  void lead(Exchange& x, const cache::FlightPtr& flight);
  struct Asked;
  void lead(const Asked& asked, const cache::FlightPtr& flight);
  void renew(Exchange& x);
  static bool fall_back(Exchange& x, const Result<Answer, Refusal>& answer);

  Refusal refusal_of(Exchange& x, Error error);

  // pack.cc
  struct Taken {
    const cache::Prepared& form;
    std::shared_ptr<const void> owner;  // keeps it
  };
  Taken form_taken(cache::EntryPtr entry, cache::Form form, std::string_view accept_encoding);
  bool pack(Exchange& x, Answer& answer);

  // replay.cc
  Task<void> replay(Exchange& x);

  // relay.cc
  Task<void> relay(Exchange& x, Answer& answer);
  Task<void> relay_stream(Exchange& x, Answer& answer);
  void begin_head(Exchange& x, const Answer& answer);

  Loop& loop_;
  House& house_;
  Metrics metrics_;
  budget::Tally& tally_;
  std::shared_ptr<const Snapshot> snapshot_;
  dialect::QuestionReader reader_;
  complexity::Analyser analyser_;
  cache::KeyMaker keys_;
  Random random_;
  Memo memo_;
  std::uint64_t memo_epoch_ = 0;
  store::Book* book_ = nullptr;
  const CallerPtr nobody_;
  std::array<const Served*, kEndpoints> nothing_{};  // what answered those who were refused
  std::unique_ptr<redis::Client> redis_;
  std::shared_ptr<SecondLevel> second_;  // null: there is no Redis
  Embedder embedder_{loop_};
  Popular::Pace popular_pace_;
  Turns decoding_{loop_};
  std::uint64_t in_flight_ = 0;
};

}  // namespace penstock::gateway
