// Who asks: by the credential alone, before anything of the question is looked at.

#include "dialect/refusal.h"
#include "gateway/exchange.h"
#include "gateway/headers.h"

namespace penstock::gateway {
namespace {

// For a key that was never seen here, or a token's keys: then the client hears that it is us.
constexpr Duration kFindWait = 2s;

AuthResult result_of(access::Refused::Why why) {
  switch (why) {
    case access::Refused::Why::missing: return AuthResult::missing;
    case access::Refused::Why::malformed:
    case access::Refused::Why::unknown: return AuthResult::invalid;
    case access::Refused::Why::expired: return AuthResult::expired;
    case access::Refused::Why::revoked: return AuthResult::revoked;
    case access::Refused::Why::error: break;
  }
  return AuthResult::error;
}

std::string message_of(const access::Refused& refused, bool keys) {
  using Why = access::Refused::Why;
  if (!keys) {
    if (refused.why == Why::missing) {
      return "No token was sent: send it as `Authorization: Bearer TOKEN`.";
    }
    return "The token is not accepted: " + refused.detail + ".";
  }
  switch (refused.why) {
    case Why::missing: return "No API key was sent: send it as `Authorization: Bearer KEY`.";
    case Why::expired: return "The API key has expired.";
    case Why::revoked: return "The API key was revoked.";
    default: return "The API key is not known here.";
  }
}

}  // namespace

// Whoever is known here, without asking anybody; null if not.
StandingPtr Gateway::standing_of(std::string_view credential, const Snapshot& with, Time now) {
  if (with.anonymous) return with.anonymous;
  if (credential.empty() || house_.door == nullptr) return nullptr;
  // A change of keys, or of the settings, may have changed what anybody may.
  const std::uint64_t epoch = house_.door->generation() * 0x9e3779b97f4a7c15 + with.generation;
  if (epoch != memo_epoch_) {
    memo_.clear();
    memo_epoch_ = epoch;
  }
  if (StandingPtr seen = memo_.find(credential, now)) return seen;
  const WallTime wall = std::chrono::system_clock::now();
  CallerPtr caller = house_.door->known(credential, wall);
  if (!caller) return nullptr;
  TenantMetricsPtr metrics = with.metrics_of_tenant(caller->tenant);
  StandingPtr standing =
      make_standing(std::move(caller), with.rules, house_.limiter, now, wall, std::move(metrics));
  memo_.remember(credential, standing);
  return standing;
}

Task<std::optional<Refusal>> Gateway::identify(Exchange& x) {
  const std::string_view credential = credential_of(x.request.head);
  x.who = standing_of(credential, *x.with, x.request.received);
  if (x.who) {
    metrics_.auth(x.with->anonymous ? AuthMethod::none : house_.method, AuthResult::success);
    co_return std::nullopt;
  }
  access::Refused refused{access::Refused::Why::missing, {}};
  if (!credential.empty() && house_.door != nullptr) {
    const WallTime wall = std::chrono::system_clock::now();
    trace::Trace& trace = x.recorder.bill->trace;
    const Time begun = Clock::now();
    const std::uint8_t step =
        house_.method == AuthMethod::key
            ? trace.step(trace::Step::database, trace::kRoot, "SELECT api_keys", begun)
            : trace::kRoot;
    Deadline deadline(x.deadline, begun + kFindWait);
    Result<CallerPtr, access::Refused> found =
        co_await house_.door->find(std::string(credential), wall, deadline);
    const bool unanswered = !found && found.error().why == access::Refused::Why::error;
    trace.end(step, Clock::now(), found ? "found" : "none", unanswered ? "unavailable" : "");
    if (found) {
      TenantMetricsPtr metrics = x.with->metrics_of_tenant((*found)->tenant);
      x.who = make_standing(*std::move(found), x.with->rules, house_.limiter, x.request.received,
                            wall, std::move(metrics));
      metrics_.auth(house_.method, AuthResult::success);
      co_return std::nullopt;
    }
    refused = std::move(found).error();
  }
  if (x.reply.client_left()) co_return dialect::refusal_of(x.deadline.error("the request"));
  metrics_.auth(house_.method, result_of(refused.why));
  if (refused.why == access::Refused::Why::error) {
    house_.log.warning("a credential could not be checked",
                       {{"request_id", x.recorder.request_id()},
                        {"trace_id", x.recorder.trace_id()},
                        {"reason", refused.detail}});
    Refusal unavailable =
        refusal(Reason::keys_unavailable, "The credential cannot be checked now.");
    unavailable.retry_after = 1s;
    co_return unavailable;
  }
  Refusal denied =
      refusal(Reason::invalid_api_key, message_of(refused, house_.method == AuthMethod::key));
  denied.authenticate = "Bearer";
  denied.final = true;
  co_return denied;
}

}  // namespace penstock::gateway
