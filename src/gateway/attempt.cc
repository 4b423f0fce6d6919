// A call to an engine for one client alone, and what is said of one that failed.

#include "dialect/refusal.h"
#include "gateway/call.h"
#include "gateway/exchange.h"
#include "gateway/form.h"
#include "gateway/headers.h"

namespace penstock::gateway {

// What went wrong in full is the operator's to read; a client learns no address.
Refusal Gateway::refusal_of(Exchange& x, Error error) {
  const settings::EngineSettings& engine = x.settings().engines[x.plan.engine];
  error =
      told(std::move(error), engine.name, x.deadline, x.request.received + engine.timeout.total);
  if (error.kind == Kind::refused && error.source == Source::engine) {
    house_.log.error("an engine refused the gateway's credentials: look at its api_key",
                     {{"request_id", x.recorder.request_id()},
                      {"trace_id", x.recorder.trace_id()},
                      {"engine", engine.name},
                      {"setting", "engines[].api_key"}});
  } else if (error.kind != Kind::cancelled) {
    house_.log.warning("an engine did not answer", {{"request_id", x.recorder.request_id()},
                                                    {"trace_id", x.recorder.trace_id()},
                                                    {"engine", x.recorder.engine},
                                                    {"reason", error.detail}});
  }
  if (error.kind == Kind::unreachable) {
    error.detail = "engine " + engine.name + " cannot be reached";
  } else if (error.kind == Kind::exhausted && engine.kind == settings::EngineKind::openai) {
    error.detail = "all connections to engine " + engine.name + " are in use";
  }
  return dialect::refusal_of(error);
}

// The answer goes on as it is: the engine may well lack this one endpoint.
void Gateway::doubt_url(Exchange& x, const Answer& answer) {
  const settings::EngineSettings& engine = x.settings().engines[x.plan.engine];
  const bool of_model = answer.body.find("model") != std::string::npos ||
                        answer.body.find("Model") != std::string::npos;
  if (engine.kind != settings::EngineKind::openai || x.question.endpoint == Endpoint::other ||
      of_model) {
    return;
  }
  house_.log.warning("an engine has nothing at this path: look at the path of its url",
                     {{"request_id", x.recorder.request_id()},
                      {"trace_id", x.recorder.trace_id()},
                      {"engine", engine.name},
                      {"setting", "engines[].url"}});
}

Task<Result<Answer, Refusal>> Gateway::ask(Exchange& x) {
  const settings::EngineSettings& engine = x.settings().engines[x.plan.engine];
  const Time its_end = x.request.received + engine.timeout.total;
  x.deadline.move(std::min(x.deadline.at(), its_end));
  const std::vector<HeaderView> headers =
      forwarded(x.request.head, context_for(x.recorder.bill->trace));
  const engine::Call call{x.question, x.plan.upstream_model, headers, x.recorder.request_id(),
                          ask_usage(x.question, false)};
  const Time asked = Clock::now();
  x.recorder.bill->call_begins(engine.price, x.with->pairs[x.plan.metrics]->cost,
                               tokens_about(x.question.body));
  Result<Answer> answer =
      co_await measured_call(x.with->engines[x.plan.engine], call, x.with->pairs[x.plan.metrics],
                             x.recorder.bill, unwanted_usage(x.question), its_end, x.deadline);
  if (answer && other_form(*answer, x.question)) {
    Result<void> changed = co_await change_form(*answer, x.question, x.deadline);
    if (!changed) answer = std::move(changed).error();
  }
  x.recorder.waited_for_engine(Clock::now() - asked);
  if (!answer) co_return refusal_of(x, std::move(answer).error());
  co_return *std::move(answer);
}

}  // namespace penstock::gateway
