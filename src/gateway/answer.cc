// The straight line: what is asked, where it goes, whether the answer is known, who is called.

#include <charconv>

#include "dialect/refusal.h"
#include "gateway/exchange.h"
#include "gateway/headers.h"
#include "gateway/keep.h"
#include "gateway/passthrough.h"

namespace penstock::gateway {
namespace {

constexpr std::string_view kFeedbackPath = "/v1/feedback";

// As much of a field's name is repeated.
constexpr std::size_t kNameShown = 64;

// The client's own patience, in the header of the gateway or those of OpenAI's SDKs.
std::optional<Duration> patience(const http::RequestHead& head) {
  const auto number = [&](std::string_view name) -> std::optional<double> {
    const std::string_view text = head.find(name);
    double value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    if (!(value > 0) || value > 1e9) return std::nullopt;
    return value;
  };
  if (const auto ms = number("x-request-timeout-ms")) {
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(*ms));
  }
  for (const std::string_view name : {"x-stainless-read-timeout", "x-stainless-timeout"}) {
    if (const auto s = number(name)) {
      return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(*s));
    }
  }
  return std::nullopt;
}

Refusal not_cached() {
  return refusal(Reason::not_cached,
                 "This question has no answer in the cache, and no engine was to be asked "
                 "(cache-control: only-if-cached).");
}

std::optional<Invalid> kind_of(const Refusal& refusal) {
  if (refusal.status == 405) return std::nullopt;  // nothing was wrong with what it says
  if (refusal.status == 415) return Invalid::content_type;
  return refusal.param.empty() ? Invalid::json : Invalid::parameter;
}

}  // namespace

Task<Result<Answer, Refusal>> Gateway::answer(Exchange& x) {
  if (auto refusal = locate(x)) co_return std::move(*refusal);
  std::optional<Refusal> stranger = co_await identify(x);
  if (stranger) co_return std::move(*stranger);
  x.recorder.who = x.who;
  x.recorder.bill->tenant = x.who->metrics;
  if (auto full = no_memory(x)) co_return std::move(*full);
  const Result<std::optional<http::Coding>, Refusal> coding = body_coding(x.request.head);
  if (!coding) {
    metrics_.invalid(x.question.endpoint, Invalid::content_type);
    co_return coding.error();
  }
  if (*coding) {
    std::optional<Refusal> refusal = co_await decode(x, **coding);
    if (refusal) co_return std::move(*refusal);
  }
  if (x.request.head.path == kFeedbackPath) {
    Result<Answer, Refusal> thanks = co_await take_feedback(x);
    co_return thanks;
  }
  if (auto refusal = parse(x)) co_return std::move(*refusal);
  if (x.question.endpoint == Endpoint::models) {
    Result<Answer, Refusal> models = co_await list_models(x);
    co_return models;
  }
  if (auto refusal = route(x)) co_return std::move(*refusal);
  std::optional<Refusal> not_now = co_await admit(x);
  if (not_now) co_return std::move(*not_now);
  count_question(x);
  note_text(x);
  const bool kept = may_be_cached(x);
  if (kept) {
    const cache::EntryPtr doubted = look_in_memory(x);
    if (!x.look.entry && !x.look.passed_by && second_level(*x.with)) {
      co_await look_in_redis(x, doubted);
    }
    if (!x.look.entry && x.settings().cache.semantic.enabled) co_await look_alike(x);
    if (x.look.entry && !x.look.renew) co_return Answer{};
  }
  if (x.look.wishes.only_if_cached && !x.look.entry) co_return not_cached();
  std::optional<Refusal> too_much = co_await reserve(x);
  if (x.look.entry) {
    // It is given at once; who asked pays for the next one.
    if (!too_much) renew(x);
    co_return Answer{};
  }
  if (too_much) co_return std::move(*too_much);
  if (kept) {
    Result<Answer, Refusal> shared = co_await ask_once_for_all(x);
    if (x.look.fallback && fall_back(x, shared)) co_return Answer{};
    co_return shared;
  }
  Result<Answer, Refusal> own = co_await ask(x);
  co_return own;
}

// Near the limit of memory nothing new is begun, and what can wait is turned away first.
std::optional<Refusal> Gateway::no_memory(const Exchange& x) {
  using Level = http::MemoryGate::Level;
  const Level level = house_.memory.level();
  const bool waits = x.who->caller->priority == Priority::batch;
  if (level < Level::close || (level == Level::close && !waits)) return std::nullopt;
  metrics_.turned_away(x.who->caller->priority);
  Refusal full = refusal(Reason::overloaded, "There is no memory left for more questions.");
  full.retry_after = 1s;
  return full;
}

// What is asked for, by the head alone.
std::optional<Refusal> Gateway::locate(Exchange& x) {
  const http::RequestHead& head = x.request.head;
  Question& question = x.question;
  question.method = head.method;
  question.target =
      head.target.substr(static_cast<std::size_t>(head.path.data() - head.target.data()));
  question.content_type = head.find("content-type");
  question.body = x.request.body;
  question.endpoint = endpoint_of(head.path);
  x.recorder.endpoint = question.endpoint;

  if (health_path(head.path)) return method_not_allowed(head.method, head.path, "GET, HEAD");
  if (!head.path.starts_with("/v1/")) {
    return refusal(Reason::unknown_url,
                   "There is nothing at " + std::string(head.path) +
                       "; the API is under /v1/, and a client's base URL ends in /v1.");
  }
  if (const std::string_view field = unknown_own_field(head); !field.empty()) {
    metrics_.invalid(question.endpoint, Invalid::parameter);
    return refusal(Reason::unknown_field, "There is no request field " +
                                              std::string(field.substr(0, kNameShown)) + " here.");
  }
  Result<Wishes, Refusal> wishes = wishes_of(head);
  if (!wishes) {
    metrics_.invalid(question.endpoint, Invalid::parameter);
    return std::move(wishes).error();
  }
  x.look.wishes = *std::move(wishes);
  if (const auto wanted = patience(head)) x.deadline.move(x.request.received + *wanted);
  return std::nullopt;
}

// Reads what the gateway must know of the question; the body stays as it came.
std::optional<Refusal> Gateway::parse(Exchange& x) {
  Question& question = x.question;
  const bool canonical =
      question.body.size() <= kCachedQuestion && house_.caching.on(x.settings().features.caching);
  auto refused = read_question(question, x.request.head, reader_, canonical);
  const auto kind = refused ? kind_of(*refused) : std::nullopt;
  if (kind) metrics_.invalid(question.endpoint, *kind);
  x.recorder.stream = question.stream;
  if (!refused) x.judged = analyser_.judge(question.endpoint, question.body);
  return refused;
}

std::optional<Refusal> Gateway::route(Exchange& x) {
  const route::Table& routes = x.with->routes;
  Result<route::Plan, Refusal> plan =
      x.question.endpoint == Endpoint::other && x.question.model.empty()
          ? routes.plan_without_model()
          : routes.plan(x.question.model);
  if (!plan) {
    metrics_.invalid(x.question.endpoint, Invalid::model);
    return std::move(plan).error();
  }
  x.plan = *std::move(plan);
  x.recorder.model = x.question.model;
  x.recorder.model_label = x.with->routes.pairs()[x.plan.metrics].model;
  x.recorder.engine = x.settings().engines[x.plan.engine].name;
  if (x.question.endpoint == Endpoint::other && !x.question.model.empty()) {
    // In JSON the engine's own edit puts the name in.
    if (auto form = form_with_model(x.question, x.plan.upstream_model)) {
      x.form = *std::move(form);
      x.question.body = x.form;
    }
  }
  return std::nullopt;
}

}  // namespace penstock::gateway
