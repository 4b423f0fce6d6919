#include "gateway/semantic.h"

#include "base/buffer.h"
#include "base/sleep.h"
#include "dialect/embeddings.h"
#include "dialect/last_question.h"
#include "gateway/call.h"
#include "gateway/exchange.h"
#include "gateway/form.h"

namespace penstock::gateway {
namespace {

constexpr Duration kGather = 2ms;       // for others to come
constexpr Duration kPatience = 300ms;   // of a request, all in all
constexpr std::size_t kMostTexts = 64;  // in one call
// In bytes. Common models read 256 tokens and cut off the rest without a word: texts that begin
// alike would be one.
constexpr std::size_t kMostText = 1024;
constexpr std::uint64_t kMostAnswer = 16 * 1024 * 1024;
constexpr int kFailures = 5;    // in a row, and the model is left alone
constexpr Duration kRest = 5s;  // for so long
constexpr int kTries = 3;       // keys whose entries are gone

}  // namespace

// ---- the embedder ----------------------------------------------------------------------------

struct Embedder::Batch {
  Loop& loop;
  const std::shared_ptr<const Snapshot> with;
  const route::Plan model;
  std::vector<std::string> texts;
  std::vector<Signal> waiting;
  bool closed = false;  // on its way
  bool done = false;
  std::vector<Result<std::vector<float>>> vectors = {};  // of each text
};

void Embedder::failed(Time now) {
  if (++failures_ < kFailures) return;
  failures_ = 0;
  rests_until_ = now + kRest;
}

Task<Result<std::vector<float>>> Embedder::embed(std::shared_ptr<const Snapshot> with,
                                                 route::Plan model, std::string text,
                                                 Deadline& deadline) {
  std::shared_ptr<Batch> batch = open_.lock();
  if (!batch || batch->closed || batch->with != with || batch->texts.size() >= kMostTexts) {
    batch = std::make_shared<Batch>(loop_, with, std::move(model));
    open_ = batch;
    loop_.spawn(send(batch));
  }
  const std::size_t place = batch->texts.size();
  batch->texts.push_back(std::move(text));
  Signal done(loop_);
  batch->waiting.push_back(done);
  while (!batch->done) {
    Result<void> woken = co_await done.wait(deadline);
    if (!woken) co_return std::move(woken).error();
  }
  if (!batch->vectors[place]) co_return batch->vectors[place].error();
  std::vector<float> vector = *std::move(batch->vectors[place]);
  if (!cache::normalise(vector)) {
    co_return Error{Kind::broken, Source::engine, false, "an embedding has no direction"};
  }
  co_return vector;
}

namespace {

// One call, counted like every other; nobody's row of the ledger, since several may share it.
Task<Result<std::vector<std::vector<float>>>> call_for_vectors(std::shared_ptr<const Snapshot> with,
                                                               route::Plan model,
                                                               std::vector<std::string> texts,
                                                               Deadline& deadline) {
  std::string body;
  dialect::write_embeddings_question(body, model.upstream_model, texts);
  const std::size_t size = body.size();
  body.append(Buffer::kPadding, ' ');
  Question question;
  question.endpoint = Endpoint::embeddings;
  question.method = "POST";
  question.target = "/v1/embeddings";
  question.content_type = "application/json";
  question.body = std::string_view(body).substr(0, size);
  question.model = model.upstream_model;
  question.repeatable = true;
  const engine::Call call{question, model.upstream_model, {}, {}};
  const settings::EngineSettings& engine = with->settings->engines[model.engine];
  const auto bill = std::make_shared<Bill>(nullptr);
  bill->call_begins(engine.price, with->pairs[model.metrics]->cost, tokens_about(question.body));
  Result<Answer> answer =
      co_await measured_call(with->engines[model.engine], call, with->pairs[model.metrics], bill,
                             false, Clock::now() + engine.timeout.total, deadline);
  if (!answer) co_return std::move(answer).error();
  if (answer->status != 200) {
    // What one text may be refused for.
    const bool of_text = answer->status == 400 || answer->status == 413 || answer->status == 422;
    co_return Error{of_text ? Kind::refused : Kind::broken, Source::engine, false,
                    "the embedding model answered " + std::to_string(answer->status)};
  }
  if (answer->rest) {
    Result<std::string> whole = co_await gather(*answer, kMostAnswer, deadline);
    if (!whole) co_return std::move(whole).error();
    answer->body = *std::move(whole);
  }
  co_return dialect::read_embeddings(answer->body, texts.size(),
                                     cache::SemanticIndex::kMostDimensions);
}

}  // namespace

Task<void> Embedder::send(std::shared_ptr<Batch> batch) {
  Deadline deadline(batch->loop, Clock::now() + kGather + kPatience);
  co_await sleep_until(Clock::now() + kGather, deadline);
  batch->closed = true;
  const std::size_t count = batch->texts.size();
  Result<std::vector<std::vector<float>>> vectors =
      co_await call_for_vectors(batch->with, batch->model, batch->texts, deadline);
  if (vectors) {
    for (std::vector<float>& vector : *vectors) batch->vectors.emplace_back(std::move(vector));
  } else if (vectors.error().kind == Kind::refused && count > 1) {
    // Because of one of them: the others must not pay for it.
    for (std::size_t i = 0; i < count; ++i) {
      std::vector<std::string> one = {batch->texts[i]};
      Result<std::vector<std::vector<float>>> alone =
          co_await call_for_vectors(batch->with, batch->model, std::move(one), deadline);
      if (alone) {
        batch->vectors.emplace_back(std::move(alone->front()));
      } else {
        batch->vectors.emplace_back(std::move(alone).error());
      }
    }
  } else {
    batch->vectors.assign(count, vectors.error());
  }
  batch->done = true;
  for (const Signal& signal : batch->waiting) signal.wake();
}

// ---- the level -------------------------------------------------------------------------------

void House::begin_semantic(const settings::Cache::Semantic& settings) {
  registry.watch(observe::Type::gauge, "penstock_cache_entries", "Answers that are kept.",
                 {{"level", "semantic"}},
                 [this] { return static_cast<double>(semantic.stats().entries); });
  registry.watch(observe::Type::counter, "penstock_cache_evictions_total",
                 "Answers that made room for others.",
                 {{"level", "semantic"}, {"reason", "capacity"}},
                 [this] { return static_cast<double>(semantic.stats().evictions); });
  if (settings.path.empty()) return;
  semantic_keeper =
      std::make_unique<cache::SemanticKeeper>(semantic, settings.path, [this](const Error& error) {
        log.warning("the semantic index's file is of no use",
                    {{"setting", "cache.semantic.path"}, {"reason", error.detail}});
      });
}

// What is asked, if it is a question that is looked for by its meaning; and its place, where the
// vectors are this model's.
std::optional<std::string> Gateway::words_of(const Question& question, const Snapshot& with,
                                             const route::Plan& model, Look& look) {
  if (question.endpoint != Endpoint::chat || question.tools) return std::nullopt;
  auto last = dialect::last_question(question.body, with.settings->cache.semantic.max_turns);
  if (!last || last->text.empty() || last->text.size() > kMostText) return std::nullopt;
  // The same question without its last words: what must be equal.
  std::string body(question.body.substr(0, last->at.begin));
  body += R"("")";
  body += question.body.substr(last->at.end);
  const std::size_t size = body.size();
  body.append(Buffer::kPadding, ' ');
  Question rest;
  rest.endpoint = question.endpoint;
  rest.body = std::string_view(body).substr(0, size);
  if (reader_.read(rest, true)) return std::nullopt;
  const std::string measured = "semantic\n" + with.identities[model.engine] + model.upstream_model;
  const cache::Key place = keys_.make(measured, question.endpoint, look.answers, rest.canonical);
  look.meaning.place.assign(place.begin(), place.end());
  return std::move(last->text);
}

// False: it is not one that is looked for. An Error: its vector could not be had.
Task<Result<bool>> Gateway::learn_meaning(const Question& question,
                                          const std::shared_ptr<const Snapshot>& with, Look& look,
                                          std::string_view request_id, Deadline& deadline) {
  const std::string& name = with->settings->cache.semantic.embedding_model;
  Result<route::Plan, Refusal> model = with->routes.plan(name);
  if (!model) co_return false;  // it is configured: settings/checks.cc
  std::optional<std::string> text = words_of(question, *with, *model, look);
  if (!text) co_return false;
  const Time begun = Clock::now();
  if (!embedder_.available(begun)) {
    co_return Error{Kind::unreachable, Source::engine, true, "the embedding model is left alone"};
  }
  Result<std::vector<float>> vector = Error{};
  {
    Deadline patience(deadline, begun + kPatience);
    Result<std::vector<float>> made =
        co_await embedder_.embed(with, *std::move(model), *std::move(text), patience);
    vector = std::move(made);
  }
  if (!vector) {
    const Kind kind = vector.error().kind;
    if (kind != Kind::cancelled) {  // by a client that left
      if (kind != Kind::refused) embedder_.failed(Clock::now());
      house_.log.warning(
          "a question's embedding could not be had: it is asked as it is",
          {{"request_id", request_id}, {"model", name}, {"reason", vector.error().detail}});
    }
    co_return std::move(vector).error();
  }
  embedder_.succeeded();
  look.meaning.vector = *std::move(vector);
  co_return true;
}

Task<void> Gateway::look_alike(Exchange& x) {
  if (x.look.passed_by || x.look.wishes.only_if_cached) co_return;
  const Time begun = Clock::now();
  trace::Trace& trace = x.recorder.bill->trace;
  const std::uint8_t step = trace.step(trace::Step::cache_lookup, trace::kRoot, "semantic", begun);
  Result<bool> learned =
      co_await learn_meaning(x.question, x.with, x.look, x.recorder.request_id(), x.deadline);
  if (learned && !*learned) {
    trace.end(step, Clock::now(), "passed");
    co_return;
  }
  x.recorder.waited_for_engine(Clock::now() - begun);
  if (!learned) {
    trace.end(step, Clock::now(), "error", trace::error_of(learned.error()));
    metrics_.semantic.errors.add();
    co_return;
  }
  co_await take_alike(x, step);
  trace.end(step, Clock::now(), x.look.entry ? "hit" : "miss");
  metrics_.semantic.get.observe(seconds(Clock::now() - begun));
  (x.look.entry ? metrics_.semantic.hits : metrics_.semantic.misses).add();
}

// Gives the nearest question's answer, if it is near enough and still good.
Task<void> Gateway::take_alike(Exchange& x, std::uint8_t step) {
  Look& look = x.look;
  const std::string& scope = x.who->caller->cache_scope;
  const auto threshold = static_cast<float>(x.settings().cache.semantic.threshold);
  Deadline patience(x.deadline, Clock::now() + x.settings().cache.redis.timeout);
  for (int i = 0; i < kTries; ++i) {
    const std::optional<cache::SemanticFound> found =
        house_.semantic.find(scope, look.meaning.place, look.meaning.vector, threshold);
    if (!found) co_return;
    if (found->key == look.key) co_return;  // it has been looked for
    Result<cache::EntryPtr> kept = co_await kept_under(x, found->key, patience, step);
    if (!kept) co_return;
    const cache::EntryPtr entry = *std::move(kept);
    if (!entry) {
      house_.semantic.erase(found->key);
      continue;
    }
    // Past its time it is for who asked that question.
    if (entry->status != 200 || entry->expires <= x.request.received) co_return;
    take(x, entry);
    if (!look.entry) co_return;
    look.renew = false;  // likewise
    look.level = store::Level::semantic;
    look.similarity = found->similarity;
    co_return;
  }
}

// What memory or Redis has under this key; null: nothing. An Error: Redis cannot say.
Task<Result<cache::EntryPtr>> Gateway::kept_under(Exchange& x, cache::Key key, Deadline& patience,
                                                  std::uint8_t step) {
  cache::EntryPtr known = house_.cache.find(key, x.who->caller->cache_scope, x.request.received);
  if (!second_level(*x.with) || (known && house_.trust.in(*known))) co_return known;
  const std::shared_ptr<SecondLevel> second = second_;
  Result<cache::EntryPtr> read = co_await read_from_redis(x, key, *second, patience, step);
  if (!read) {
    metrics_.redis.errors.add();
    x.look.redis_failed = true;
    // Nobody could have told of a change, and nobody can be asked.
    if (known) co_return known;
    co_return read;
  }
  if (!*read && known) house_.cache.erase(key);
  co_return read;
}

}  // namespace penstock::gateway
