#include "engine/simulated.h"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <numbers>

#include "base/sleep.h"
#include "dialect/answer.h"
#include "dialect/json.h"
#include "engine/simulated_embeddings.h"
#include "engine/simulated_form.h"

namespace penstock::engine {
namespace {

constexpr std::array<std::string_view, 48> kWords = {
    "the",    "water", "of",     "a",     "valley", "runs",  "through", "gates", "and",   "turns",
    "wheels", "that",  "people", "built", "long",   "ago",   "each",    "stone", "in",    "wall",
    "holds",  "its",   "place",  "while", "rivers", "rise",  "after",   "rain",  "then",  "fall",
    "again",  "under", "bright", "clear", "skies",  "over",  "fields",  "where", "mills", "grind",
    "grain",  "into",  "flour",  "for",   "bread",  "every", "single",  "day"};

// FNV-1a; only to seed the generator by the body.
std::uint64_t hash_of(std::string_view text, std::uint64_t seed) {
  std::uint64_t hash = 0xcbf29ce484222325ULL ^ seed;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

double normal(Random& random) {
  // Box and Muller; 1 - unit() is never 0.
  return std::sqrt(-2 * std::log(1 - random.unit())) *
         std::cos(2 * std::numbers::pi * random.unit());
}

// About four characters a token: what the engines' tokenizers come to in English.
std::uint64_t tokens_of(std::string_view text) { return text.size() / 4 + 1; }

Answer refusal(int status, std::string_view type, std::string_view message, std::string_view code) {
  Answer answer;
  answer.status = status;
  dialect::JsonWriter json(answer.body);
  json.begin_object().key("error").begin_object();
  json.member("message", message).member("type", type).member_null("param").member("code", code);
  json.end_object().end_object();
  return answer;
}

Task<Result<void>> pause_until(Time at, Deadline& deadline) {
  co_await sleep_until(at, deadline);
  if (deadline.over()) co_return deadline.error("simulated engine", Source::engine);
  co_return Result<void>();
}

// What one answer will be, drawn before it begins.
struct Script {
  std::vector<std::string_view> words;  // with the space before each but the first, see piece()
  std::shared_ptr<const SimulatedForm> form;  // what `words` are the pieces of, without spaces
  Time begun;
  Duration first_token{};
  Duration per_token{};            // 0: all at once
  std::size_t stop_at = SIZE_MAX;  // the token before which it stalls or disconnects
  bool stalls = false;
  Usage usage;
};

std::string piece(const Script& script, std::size_t i) {
  std::string text;
  if (i > 0 && !script.form) text += ' ';
  text += script.words[i];
  return text;
}

bool calls(const Script& script) { return script.form && !script.form->tool.empty(); }

std::string whole_text(const Script& script) {
  if (script.form) return script.form->json;
  std::string text;
  for (std::size_t i = 0; i < script.words.size(); ++i) {
    if (i > 0) text += ' ';
    text += script.words[i];
  }
  return text;
}

// Writes the events that are due, all of them where it has fallen behind.
class SimulatedFlow final : public Flow {
 public:
  SimulatedFlow(Script script, Endpoint endpoint, std::string id, std::string model,
                std::int64_t created, bool usage, SimulatedHall::Seat seat)
      : script_(std::move(script)),
        endpoint_(endpoint),
        id_(std::move(id)),
        model_(std::move(model)),
        created_(created),
        usage_(usage),
        seat_(std::move(seat)) {}

  std::optional<Result<std::string_view>> poll() override {
    out_.clear();
    if (ended_) return std::string_view();
    if (at_ == script_.stop_at) {
      if (script_.stalls) return std::nullopt;
      return Error{Kind::broken, Source::engine, false, "the simulated engine disconnected"};
    }
    const Time now = Clock::now();
    if (due() > now) return std::nullopt;
    const std::size_t end = std::min(script_.stop_at, script_.words.size());
    do {
      if (at_ < end) write({at_ == 0, piece(script_, at_), {}, usage_});
      ++at_;
    } while (at_ < end && due() <= now);
    at_ = std::min(at_, end);
    if (at_ == script_.words.size()) {
      ended_ = true;
      write({false, {}, calls(script_) ? "tool_calls" : "stop", usage_});
      if (usage_) dialect::write_usage_event(out_, made(), script_.usage, endpoint_);
      out_ += dialect::kDoneEvent;
    }
    return std::string_view(out_);
  }

  Task<Result<void>> wait(Deadline& deadline) override {
    return pause_until(at_ == script_.stop_at ? Time::max() : due(), deadline);
  }

 private:
  // When the next token is.
  Time due() const {
    return script_.begun + script_.first_token +
           static_cast<Duration::rep>(at_) * script_.per_token;
  }
  dialect::Made made() const { return {id_, model_, created_}; }
  void write(const dialect::Piece& piece) {
    if (calls(script_) && piece.finish_reason.empty()) {
      write_call_event(out_, made(), script_.form->tool, piece.text, piece.first, usage_);
    } else if (endpoint_ == Endpoint::chat) {
      dialect::write_chat_event(out_, made(), piece);
    } else {
      dialect::write_completion_event(out_, made(), piece);
    }
  }

  const Script script_;
  const Endpoint endpoint_;
  const std::string id_;
  const std::string model_;
  const std::int64_t created_;
  const bool usage_;
  SimulatedHall::Seat seat_;
  std::string out_;
  std::size_t at_ = 0;  // the next token
  bool ended_ = false;
};

// One unit vector for each input.
Answer embeddings(const Question& question, std::uint64_t seed) {
  std::optional<std::string> body = simulated_embeddings(question, seed);
  if (!body) {
    return refusal(400, "invalid_request_error", "The body is not JSON.", "invalid_json");
  }
  Answer answer;
  answer.body = *std::move(body);
  return answer;
}

}  // namespace

// ---- the hall --------------------------------------------------------------------------------

Task<Result<SimulatedHall::Seat>> SimulatedHall::enter(Deadline& deadline) {
  Waiting waiting(deadline.loop());
  {
    const std::lock_guard lock(mutex_);
    if (taken_ < slots_) {
      ++taken_;
      co_return Seat(this);
    }
    if (line_.size() >= queue_) {
      co_return Error{Kind::exhausted, Source::engine, true,
                      "the simulated engine's queue is full"};
    }
    line_.push_back(&waiting);
  }
  Result<void> woken = co_await waiting.signal.wait(deadline);
  const std::lock_guard lock(mutex_);
  if (waiting.seated) co_return Seat(this);  // also where the deadline came at the same moment
  std::erase(line_, &waiting);
  co_return woken ? Error{Kind::internal, Source::engine, false, "woken without a seat"}
                  : std::move(woken).error();
}

void SimulatedHall::leave() {
  const std::lock_guard lock(mutex_);
  if (line_.empty()) {
    --taken_;
    return;
  }
  // The seat changes hands without becoming free: nobody can slip in between.
  Waiting* const next = line_.front();
  line_.pop_front();
  next->seated = true;
  next->signal.wake();
}

// ---- the engine ------------------------------------------------------------------------------

SimulatedEngine::SimulatedEngine(SimulatedOptions options, std::shared_ptr<SimulatedHall> hall)
    : options_(std::move(options)), hall_(std::move(hall)) {}

Task<Result<Answer>> SimulatedEngine::call(const Call& call, Deadline& deadline) {
  Result<SimulatedHall::Seat> seat = co_await hall_->enter(deadline);
  if (!seat) {
    if (seat.error().kind != Kind::exhausted) co_return std::move(seat).error();
    Answer full = refusal(429, "rate_limit_error", "The engine's queue is full.", "queue_full");
    full.headers.push_back({"retry-after", "1"});
    co_return full;
  }
  Result<Answer> made = co_await answer(call, *std::move(seat), deadline);
  co_return made;
}

Task<Result<Answer>> SimulatedEngine::answer(const Call& call, SimulatedHall::Seat seat,
                                             Deadline& deadline) {
  const settings::EngineSettings::Simulated& like = options_.behaviour;
  const Question& question = call.question;
  const std::uint64_t hash = hash_of(question.body, like.seed);
  Random random(hash);
  const double fate = random.unit();
  if (fate < like.rate_limited) {
    Answer limited = refusal(429, "rate_limit_error", "Too many requests.", "rate_limit_exceeded");
    limited.headers.push_back({"retry-after", "1"});
    co_return limited;
  }
  if (fate < like.rate_limited + like.errors) {
    co_return refusal(500, "server_error", "The simulated engine failed, as it was told to.",
                      "simulated_error");
  }
  const bool stalls = fate < like.rate_limited + like.errors + like.stalls;
  const bool disconnects =
      !stalls && fate < like.rate_limited + like.errors + like.stalls + like.disconnects;

  Script script;
  script.begun = Clock::now();
  script.first_token = std::chrono::duration_cast<Duration>(
      like.first_token * (like.first_token > Duration::zero()
                              ? std::exp(like.first_token_sigma * normal(random))
                              : 1.0));
  if (like.tokens_per_second > 0) {
    script.per_token = std::chrono::duration_cast<Duration>(
        std::chrono::duration<double>(1 / like.tokens_per_second));
  }
  if (question.endpoint == Endpoint::embeddings) {
    Result<void> ready = co_await pause_until(script.begun + script.first_token, deadline);
    if (!ready) co_return std::move(ready).error();
    co_return embeddings(question, like.seed);
  }
  if (question.endpoint != Endpoint::chat && question.endpoint != Endpoint::completions) {
    co_return refusal(404, "invalid_request_error",
                      "The simulated engine answers chat, completions and embeddings.",
                      "unknown_url");
  }

  auto length = static_cast<std::size_t>(
      std::max(1.0, like.tokens * (0.5 + random.unit())));  // even around the mean
  if (question.max_tokens) length = std::min<std::size_t>(length, *question.max_tokens);
  std::size_t bytes = 0;
  while (options_.answer_bytes > 0 ? bytes < options_.answer_bytes : script.words.size() < length) {
    script.words.push_back(kWords[random.next() % kWords.size()]);
    bytes += script.words.back().size() + 1;
  }
  if (question.endpoint == Endpoint::chat &&
      (question.tools || question.body.find("\"response_format\"") != std::string_view::npos)) {
    if (auto form = form_wanted(question.body, random)) {
      script.form = std::make_shared<const SimulatedForm>(*std::move(form));
      script.words = pieces_of(script.form->json);
    }
  }
  if (stalls || disconnects) {
    script.stop_at = script.words.size() / 2;
    script.stalls = stalls;
  }
  script.usage.input = tokens_of(question.body);
  script.usage.output = script.words.size();

  std::array<char, 16> hex;
  constexpr std::string_view kHex = "0123456789abcdef";
  for (std::size_t i = 0; i < hex.size(); ++i) hex[i] = kHex[(hash >> (4 * i)) & 15];
  std::string id = question.endpoint == Endpoint::chat ? "chatcmpl-" : "cmpl-";
  id.append(hex.data(), hex.size());
  const std::int64_t created = std::time(nullptr);
  const std::string model(call.upstream_model.empty() ? std::string_view(question.model)
                                                      : call.upstream_model);
  Answer answer;
  if (question.stream) {
    Result<void> first = co_await pause_until(script.begun + script.first_token, deadline);
    if (!first) co_return std::move(first).error();
    answer.content_type = "text/event-stream; charset=utf-8";
    answer.rest = std::make_unique<SimulatedFlow>(
        std::move(script), question.endpoint, std::move(id), model, created,
        question.include_usage || call.ask_usage, std::move(seat));
    co_return answer;
  }
  const Duration all =
      script.first_token + static_cast<Duration::rep>(script.words.size()) * script.per_token;
  Result<void> done = co_await pause_until(stalls ? Time::max() : script.begun + all, deadline);
  if (!done) co_return std::move(done).error();
  if (disconnects) {
    co_return Error{Kind::broken, Source::engine, false, "the simulated engine disconnected"};
  }
  const dialect::Made made{id, model, created};
  if (calls(script)) {
    write_call(answer.body, made, *script.form, script.usage);
  } else if (question.endpoint == Endpoint::chat) {
    dialect::write_chat(answer.body, made, whole_text(script), "stop", script.usage);
  } else {
    dialect::write_completion(answer.body, made, whole_text(script), "stop", script.usage);
  }
  co_return answer;
}

Task<Result<std::vector<Model>>> SimulatedEngine::models(Deadline&) {
  std::vector<Model> models;
  models.reserve(options_.models.size());
  for (const std::string& name : options_.models) models.push_back({name, "penstock", 0});
  co_return models;
}

}  // namespace penstock::engine
