// GET /v1/models: the configured names and their aliases, and what the engine behind "*" lists.

#include <algorithm>

#include "dialect/answer.h"
#include "dialect/refusal.h"
#include "gateway/exchange.h"
#include "http/url.h"

namespace penstock::gateway {
namespace {

constexpr Duration kListWait = 5s;  // an engine that is slow to list must not hide the others

}  // namespace

Task<Result<Answer, Refusal>> Gateway::list_models(Exchange& x) {
  constexpr std::string_view kPrefix = "/v1/models/";
  std::string_view wanted = x.request.head.path;
  wanted.remove_prefix(std::min(wanted.size(), kPrefix.size()));
  const std::string one = http::percent_decoded(wanted);

  std::vector<dialect::ModelView> models;
  const route::Table& routes = x.with->routes;
  const std::int64_t since = house_.started_unix;
  for (const std::string& name : routes.names()) {
    if (!may_ask(*x.who->caller, name, routes.plan(name)->model)) continue;
    const auto plan = routes.plan(name);
    models.push_back({name, x.settings().engines[plan->engine].name, since});
  }
  Result<std::vector<engine::Model>> listed = std::vector<engine::Model>{};
  const auto is_known = [&](std::string_view id) {
    return std::find(routes.names().begin(), routes.names().end(), id) != routes.names().end();
  };
  if (routes.wildcard() && !is_known(one)) {
    x.plan.engine = *routes.wildcard();
    const std::string& engine = x.settings().engines[x.plan.engine].name;
    Deadline deadline(x.deadline, Clock::now() + kListWait);
    listed = co_await x.with->engines[x.plan.engine]->models(deadline);
    if (!listed) {
      // The configured ones are still true; one alone that is asked for is not known to be absent.
      if (!one.empty() || models.empty()) {
        x.recorder.engine = engine;
        co_return refusal_of(x, std::move(listed).error());
      }
      house_.log.warning("an engine did not list its models",
                         {{"engine", engine}, {"reason", listed.error().detail}});
    } else {
      for (const engine::Model& model : *listed) {
        if (is_known(model.id)) continue;  // that name goes elsewhere
        if (!may_ask(*x.who->caller, model.id, model.id)) continue;
        models.push_back({model.id, model.owned_by.empty() ? engine : model.owned_by,
                          model.created == 0 ? since : model.created});
      }
    }
  }

  Answer answer;
  if (one.empty()) {
    dialect::write_models(answer.body, models);
    co_return answer;
  }
  const auto found = std::find_if(models.begin(), models.end(),
                                  [&](const dialect::ModelView& m) { return m.id == one; });
  if (found == models.end()) co_return unknown_model(one);
  dialect::write_model(answer.body, *found);
  co_return answer;
}

}  // namespace penstock::gateway
