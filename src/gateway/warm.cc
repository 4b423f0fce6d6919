// A question that is asked ahead of who will ask it.

#include "base/buffer.h"
#include "gateway/exchange.h"
#include "gateway/passthrough.h"

namespace penstock::gateway {
namespace {

// What a tenant's answers are kept by. The Error says that nobody would find them.
Result<std::string> scope_of(const WarmQuestion& asked, const settings::Settings& settings) {
  if (asked.scope) return *asked.scope;
  if (settings.auth.mode == settings::AuthMode::none) return std::string();
  settings::Scope scope = settings.cache.scope;
  for (const settings::Tenant& tenant : settings.tenants) {
    if (tenant.name == asked.tenant) scope = tenant.cache.scope.value_or(scope);
  }
  if (scope == settings::Scope::shared) return std::string();
  const auto useless = [](std::string what) {
    return Error{Kind::invalid, Source::client, false, std::move(what)};
  };
  if (scope == settings::Scope::key) {
    return useless("answers are kept for each key alone (cache.scope)");
  }
  if (asked.tenant.empty()) {
    return useless("answers are kept for each tenant apart (cache.scope): a tenant must be named");
  }
  return cache_scope_of(CacheScope::tenant, asked.tenant, {});
}

WarmResult refused(std::string why) { return {Warmed::refused, std::move(why)}; }

}  // namespace

Task<WarmResult> Gateway::warm(const WarmQuestion& asked, Deadline& deadline) {
  const Time begun = Clock::now();
  const std::shared_ptr<const Snapshot> with = snapshot_;
  Result<std::string> scope = scope_of(asked, *with->settings);
  if (!scope) co_return refused(scope.error().detail);

  http::RequestHead head;
  head.method = "POST";
  head.target = head.path = asked.path;
  head.fields.push_back({"content-type", "application/json"});
  std::string body = asked.body;
  body.reserve(body.size() + Buffer::kPadding);
  Question question;
  question.method = head.method;
  question.target = asked.path;
  question.content_type = head.fields.front().value;
  question.body = body;
  question.endpoint = endpoint_of(head.path);
  if (auto wrong = read_question(question, head, reader_, true)) {
    co_return refused(std::move(wrong->message));
  }
  const Result<route::Plan, Refusal> plan = with->routes.plan(question.model);
  if (!plan) co_return refused(plan.error().message);
  const std::string_view reason = why_not_kept(house_, *with, question, *plan, false);
  if (!reason.empty()) {
    co_return refused("its answer is not kept: reason=" + std::string(reason));
  }

  Look look;
  look.wishes.tags = asked.tags;
  make_key(look, head, question, *plan, *with, *scope);
  Uuid own;
  const std::string_view request_id = request_id_of({}, random_, own);
  // Without its vector it is kept all the same, for who asks it in these words.
  if (with->settings->cache.semantic.enabled) {
    Result<bool> learned = co_await learn_meaning(question, with, look, request_id, deadline);
    if (!learned) look.meaning = {};
  }
  const cache::FlightPtr flight = house_.flights.begin(look.key, look.purge);
  if (!flight) co_return WarmResult{Warmed::known};  // somebody asks it this moment

  const auto bill = std::make_shared<Bill>(book_);
  UsageRow& row = bill->row;
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  row.time_us = std::chrono::duration_cast<std::chrono::microseconds>(wall).count();
  row.tenant = asked.tenant;
  row.model = with->routes.pairs()[plan->metrics].model;
  row.engine = with->settings->engines[plan->engine].name;
  row.route = label_of(question.endpoint);
  row.cache = label_of(CacheResult::miss);
  row.request_id = request_id;
  if (const auto judged = analyser_.judge(question.endpoint, question.body)) {
    row.complexity = complexity::exact(judged->score);
  }

  const auto ahead = std::make_shared<Ahead>(loop_);
  lead({with, *plan, look, question, {}, request_id, *scope, bill, ahead}, flight);
  Result<void> ended = co_await ahead->ended.wait(deadline);

  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begun);
  row.duration_us = row.engine_us = us.count();
  row.status = ahead->status != 0 ? ahead->status : 502;
  if (ahead->known) {
    bill->forget();
    if (!look.meaning.vector.empty()) {
      house_.semantic.add(*scope, look.meaning.place, look.key, look.meaning.vector);
    }
    co_return WarmResult{Warmed::known};
  }
  bill->close();
  if (!ended) co_return WarmResult{Warmed::failed, "no engine answered in time", false};
  if (ahead->error) {
    co_return WarmResult{Warmed::failed, ahead->error->detail, ahead->error->retry};
  }
  if (ahead->status == 429 || ahead->status >= 500) {
    co_return WarmResult{Warmed::failed,
                         "the engine answered with status " + std::to_string(ahead->status), true};
  }
  if (!ahead->kept) {
    co_return refused("the engine's answer cannot be kept (status " +
                      std::to_string(ahead->status) + ")");
  }
  if (ahead->in_memory) metrics_.warmed_memory.add();
  if (ahead->in_redis) metrics_.warmed_redis.add();
  co_return WarmResult{ahead->in_memory || ahead->in_redis ? Warmed::kept : Warmed::no_room};
}

}  // namespace penstock::gateway
