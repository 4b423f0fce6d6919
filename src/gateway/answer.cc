// The straight line: what is asked, where it goes, whether the answer is known, who is called.

#include <charconv>

#include "dialect/refusal.h"
#include "gateway/exchange.h"
#include "gateway/passthrough.h"

namespace penstock::gateway {
namespace {

// A larger question is neither digested nor kept: reading it twice would cost more than it saves.
constexpr std::size_t kCachedQuestion = 1024 * 1024;

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

Refusal method_not_allowed(std::string_view method, std::string_view path,
                           std::string_view allowed) {
  Refusal refusal;
  refusal.status = 405;
  refusal.message = "Method " + std::string(method) + " is not for " + std::string(path) +
                    "; it takes " + std::string(allowed) + ".";
  return refusal;
}

}  // namespace

Task<Result<Answer, Refusal>> Gateway::answer(Exchange& x) {
  if (auto refusal = parse(x)) co_return std::move(*refusal);
  if (x.question.endpoint == Endpoint::models) {
    Result<Answer, Refusal> models = co_await list_models(x);
    co_return models;
  }
  if (auto refusal = route(x)) co_return std::move(*refusal);
  if (may_be_cached(x)) {
    if (find_in_cache(x)) co_return Answer{};
    Result<Answer, Refusal> shared = co_await ask_once_for_all(x);
    co_return shared;
  }
  Result<Answer, Refusal> own = co_await ask(x);
  co_return own;
}

// Reads what the gateway must know of the question; the body stays as it came.
std::optional<Refusal> Gateway::parse(Exchange& x) {
  const http::RequestHead& head = x.request.head;
  Question& question = x.question;
  question.method = head.method;
  question.target = head.target.substr(
      static_cast<std::size_t>(head.path.data() - head.target.data()));
  question.content_type = head.find("content-type");
  question.body = x.request.body;
  question.endpoint = endpoint_of(head.path);
  x.recorder.endpoint = question.endpoint;

  if (!head.path.starts_with("/v1/")) {
    Refusal refusal;
    refusal.status = 404;
    refusal.message = "There is nothing at " + std::string(head.path) + "; the API is under /v1/.";
    refusal.code = "unknown_url";
    return refusal;
  }
  if (const auto wanted = patience(head)) x.deadline.move(x.request.received + *wanted);
  if (question.endpoint == Endpoint::models) {
    if (head.method != "GET" && head.method != "HEAD") {
      return method_not_allowed(head.method, head.path, "GET");
    }
    return std::nullopt;
  }
  if (question.endpoint == Endpoint::other) return read_passthrough(question, reader_);

  if (head.method != "POST") return method_not_allowed(head.method, head.path, "POST");
  if (!is_json(question.content_type)) {
    metrics_.invalid(question.endpoint, Invalid::content_type);
    Refusal refusal;
    refusal.status = 415;
    refusal.message = "The body's content-type must be application/json.";
    refusal.code = "unsupported_content_type";
    return refusal;
  }
  const bool canonical = x.settings().cache.answers != settings::CacheAnswers::off &&
                         question.body.size() <= kCachedQuestion;
  auto refusal = reader_.read(question, canonical);
  if (refusal) {
    metrics_.invalid(question.endpoint, refusal->param.empty() ? Invalid::json : Invalid::parameter);
  }
  x.recorder.stream = question.stream;
  return refusal;
}

std::optional<Refusal> Gateway::route(Exchange& x) {
  const route::Table& routes = x.with->routes;
  Result<route::Plan, Refusal> plan = x.question.endpoint == Endpoint::other &&
                                              x.question.model.empty()
                                          ? routes.plan_without_model()
                                          : routes.plan(x.question.model);
  if (!plan) {
    metrics_.invalid(x.question.endpoint, Invalid::model);
    return std::move(plan).error();
  }
  x.plan = *std::move(plan);
  x.recorder.model = routes.pairs()[x.plan.metrics].model;
  x.recorder.engine = x.settings().engines[x.plan.engine].name;
  x.deadline.move(std::min(x.deadline.at(),
                           x.request.received + x.settings().engines[x.plan.engine].timeout.total));
  return std::nullopt;
}

// Whether the answer may come from the cache and go there; if not, the recorder knows why.
bool Gateway::may_be_cached(Exchange& x) {
  const Question& question = x.question;
  const settings::Cache& cache = x.settings().cache;
  const auto bypass = [&](std::string_view reason) {
    x.recorder.cache = CacheResult::bypass;
    x.recorder.bypass_reason = reason;
    return false;
  };
  if (question.endpoint == Endpoint::other) {
    x.recorder.cache = CacheResult::none;
    return false;
  }
  if (cache.answers == settings::CacheAnswers::off) return bypass("off");
  if (question.tools) return bypass("tools");
  if (question.stored) return bypass("no-store");
  if (http::list_has(x.request.head.find("cache-control"), "no-store")) return bypass("no-store");
  if (question.body.size() > kCachedQuestion) return bypass("size");
  const bool documents =
      x.settings().engines[x.plan.engine].kind == settings::EngineKind::documents;
  if (!question.repeatable && !documents && cache.answers != settings::CacheAnswers::all) {
    return bypass("sampled");
  }
  x.recorder.cache = CacheResult::miss;
  return true;
}

bool Gateway::find_in_cache(Exchange& x) {
  x.key = keys_.make(kScope, x.question.endpoint, cache_model(x), x.question.canonical);
  if (http::list_has(x.request.head.find("cache-control"), "no-cache")) return false;
  x.entry = house_.cache.find(x.key, kScope, x.request.received);
  return x.entry != nullptr;
}

}  // namespace penstock::gateway
