#include "route/route.h"

#include <algorithm>

#include "exchange/refusals.h"

namespace penstock::route {
namespace {

constexpr std::string_view kOther = "other";

}  // namespace

Table::Table(const settings::Settings& settings) {
  const auto engine_index = [&](std::string_view name) {
    const auto found = std::find_if(settings.engines.begin(), settings.engines.end(),
                                    [&](const auto& engine) { return engine.name == name; });
    return static_cast<std::size_t>(found - settings.engines.begin());
  };
  for (const settings::ModelSettings& model : settings.models) {
    const std::size_t engine = engine_index(model.engines.front());
    if (model.name == "*") {
      pairs_.push_back({engine, std::string(kOther)});
      wildcard_ = engine;
      wildcard_pair_ = pairs_.size() - 1;
      continue;
    }
    Plan plan;
    plan.engine = engine;
    plan.model = model.name;
    plan.upstream_model = model.upstream_name.empty() ? model.name : model.upstream_name;
    plan.metrics = pairs_.size();
    pairs_.push_back({engine, model.name});
    names_.push_back(model.name);
    for (const std::string& alias : model.aliases) {
      names_.push_back(alias);
      plans_.emplace(alias, plan);
    }
    plans_.emplace(model.name, std::move(plan));
  }

  // What a request without a model goes to: the one engine that is not embedded.
  std::vector<std::size_t> remote;
  for (std::size_t i = 0; i < settings.engines.size(); ++i) {
    if (settings.engines[i].kind != settings::EngineKind::documents) remote.push_back(i);
  }
  if (remote.size() == 1) {
    only_remote_ = remote.front();
    const auto known = std::find_if(pairs_.begin(), pairs_.end(), [&](const Pair& pair) {
      return pair.engine == remote.front() && pair.model == kOther;
    });
    only_remote_pair_ = static_cast<std::size_t>(known - pairs_.begin());
    if (known == pairs_.end()) pairs_.push_back({remote.front(), std::string(kOther)});
  }
}

Result<Plan, Refusal> Table::plan(std::string_view model) const {
  const auto found = plans_.find(model);
  if (found != plans_.end()) return found->second;
  if (wildcard_) {
    Plan plan;
    plan.engine = *wildcard_;
    plan.model = model;
    plan.upstream_model = model;
    plan.metrics = wildcard_pair_;
    return plan;
  }
  return unknown_model(model);
}

Result<Plan, Refusal> Table::plan_without_model() const {
  if (only_remote_) {
    Plan plan;
    plan.engine = *only_remote_;
    plan.model = kOther;
    plan.metrics = only_remote_pair_;
    return plan;
  }
  return refusal(Reason::missing_required_parameter,
                 "The request names no model, and there is not exactly one engine it could go "
                 "to; name one in `model`.",
                 "model");
}

}  // namespace penstock::route
