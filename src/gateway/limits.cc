// Whether this much may be asked: before the cache is looked at, and before an engine is called.

#include <fmt/format.h>

#include <charconv>

#include "exchange/refusals.h"
#include "gateway/exchange.h"

namespace penstock::gateway {
namespace {

std::string_view unit_of(Duration per) {
  if (per == 1s) return "second";
  if (per == 1min) return "minute";
  return per == 1h ? "hour" : "day";
}

// "1.5s", "2m", "3h": for people.
std::string shown(Duration wait) {
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
  if (ms < 1000) return fmt::format("{}ms", ms);
  const std::int64_t s = (ms + 999) / 1000;
  if (s < 120) return fmt::format("{}s", s);
  return s < 7200 ? fmt::format("{}m", (s + 59) / 60) : fmt::format("{}h", (s + 3599) / 3600);
}

std::string money(Nano nano) {
  return fmt::format("{:.6g}", static_cast<double>(nano) / kNanoPerUnit);
}

std::string owner_of(const limit::Refused& refused) {
  switch (refused.owner) {
    case limit::Owner::key:
      return refused.name.empty() ? "requests without a key" : "key " + refused.name;
    case limit::Owner::tenant: return "tenant " + refused.name;
    case limit::Owner::model: return "model " + refused.name;
    case limit::Owner::global: break;
  }
  return "all together";
}

std::string message_of(const limit::Refused& refused) {
  const std::string owner = owner_of(refused);
  switch (refused.what) {
    case limit::What::requests:
      if (refused.limit == 0) break;
      return fmt::format("Limit of requests reached for {}: {} in a {}. Try again in {}.", owner,
                         refused.limit, unit_of(refused.per), shown(refused.retry_after));
    case limit::What::tokens:
      if (refused.limit == 0) break;
      if (refused.retry_after == Duration::max()) {
        return fmt::format(
            "This request may need {} tokens, more than the limit of {} lets "
            "through at all: {} in a {}.",
            refused.asked, owner, refused.limit, unit_of(refused.per));
      }
      return fmt::format(
          "Limit of tokens reached for {}: {} in a {}, and this request may need "
          "{}. Try again in {}.",
          owner, refused.limit, unit_of(refused.per), refused.asked, shown(refused.retry_after));
    case limit::What::inflight:
      if (refused.limit == 0) break;
      return fmt::format(
          "Limit of requests at a time reached for {}: {}. Try again when one of "
          "them has ended.",
          owner, refused.limit);
    case limit::What::spend_day:
    case limit::What::spend_month: {
      const std::string_view period = refused.what == limit::What::spend_day ? "day" : "month";
      if (refused.left > 0) {
        return fmt::format(
            "What is left of the budget of {} for the {}, {}, is less than this "
            "request may cost: {}.",
            owner, period, money(refused.left), money(refused.estimate));
      }
      return fmt::format("The budget of {} for the {} is used up: {}. It is renewed in {}.", owner,
                         period, money(refused.money), shown(refused.retry_after));
    }
  }
  return fmt::format("No requests are let through for {}: its limit is 0.", owner);
}

Refusal refusal_of_limit(const limit::Refused& refused) {
  const bool budget =
      refused.what == limit::What::spend_day || refused.what == limit::What::spend_month;
  Refusal told = refusal(budget ? Reason::insufficient_quota : Reason::rate_limit_exceeded,
                         message_of(refused));
  const bool never = refused.retry_after == Duration::max();
  if (!never) told.retry_after = refused.retry_after;
  // An SDK that tries again in a moment would only be refused again.
  told.final = budget || never;
  return told;
}

class Text {
 public:
  Text& operator<<(std::string_view text) {
    const std::size_t room = std::min(text.size(), out_.size() - size_);
    std::copy_n(text.begin(), room, out_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += room;
    return *this;
  }
  Text& operator<<(std::uint64_t number) {
    const auto end = std::to_chars(out_.data() + size_, out_.data() + out_.size(), number);
    size_ = static_cast<std::size_t>(end.ptr - out_.data());
    return *this;
  }
  std::string_view view() const { return {out_.data(), size_}; }

 private:
  std::array<char, 160> out_;
  std::size_t size_ = 0;
};

std::uint64_t whole_seconds(Duration duration) {
  return static_cast<std::uint64_t>(std::chrono::ceil<std::chrono::seconds>(duration).count());
}

// As OpenAI writes it: "6m0s", "1s", "20ms".
void write_reset(Text& out, Duration reset) {
  const auto ms = static_cast<std::uint64_t>(
      std::max<std::int64_t>(0, std::chrono::ceil<std::chrono::milliseconds>(reset).count()));
  if (ms < 1000) {
    out << ms << "ms";
    return;
  }
  const std::uint64_t s = (ms + 999) / 1000;
  if (s >= 3600) out << s / 3600 << "h";
  if (s >= 60) out << s / 60 % 60 << "m";
  out << s % 60 << "s";
}

void say(http::Reply& reply, const limit::Told& told, bool requests) {
  if (!told.said()) return;
  Text limit;
  limit << told.limit;
  reply.field(requests ? "x-ratelimit-limit-requests" : "x-ratelimit-limit-tokens", limit.view());
  Text remaining;
  remaining << told.remaining;
  reply.field(requests ? "x-ratelimit-remaining-requests" : "x-ratelimit-remaining-tokens",
              remaining.view());
  Text reset;
  write_reset(reset, told.reset);
  reply.field(requests ? "x-ratelimit-reset-requests" : "x-ratelimit-reset-tokens", reset.view());
}

}  // namespace

// OpenAI's fields, and those of the IETF's draft (ratelimit-headers-10).
void say_limits(http::Reply& reply, const limit::Ticket& ticket) {
  const limit::Told& requests = ticket.requests;
  const limit::Told& tokens = ticket.tokens;
  if (!requests.said() && !tokens.said()) return;
  say(reply, requests, true);
  say(reply, tokens, false);
  Text policy;
  Text left;
  const auto add = [&](std::string_view name, const limit::Told& told) {
    if (!told.said()) return;
    if (!policy.view().empty()) {
      policy << ", ";
      left << ", ";
    }
    policy << name << ";q=" << told.limit << ";w=" << whole_seconds(told.per);
    left << name << ";r=" << told.remaining << ";t=" << whole_seconds(told.reset);
  };
  add("\"requests\"", requests);
  add("\"tokens\"", tokens);
  reply.field("ratelimit-policy", policy.view());
  reply.field("ratelimit", left.view());
}

// A request, and a place among those in flight.
Task<std::optional<Refusal>> Gateway::admit(Exchange& x) {
  if (!may_ask(*x.who->caller, x.question.model, x.plan.model)) {
    metrics_.auth(house_.method, AuthResult::forbidden);
    co_return refusal(Reason::model_not_allowed,
                      fmt::format("This API key may not use the model `{}`.", x.question.model),
                      "model");
  }
  std::optional<Refusal> refused = co_await admit_of(x, x.with->model_accounts[x.plan.metrics]);
  co_return refused;
}

Task<std::optional<Refusal>> Gateway::admit_of(Exchange& x, limit::AccountPtr model) {
  if (!x.who->limited && !model) co_return std::nullopt;
  limit::Ticket& ticket = x.recorder.bill->ticket;
  const Time asked = Clock::now();
  limit::Parties asking = {x.who->key, x.who->tenant, std::move(model), x.who->global};
  std::optional<limit::Refused> refused;
  trace::Trace& trace = x.recorder.bill->trace;
  if (house_.limiter.shared()) {
    const std::uint8_t step = trace.step(trace::Step::redis, trace::kRoot, "EVALSHA", asked);
    refused =
        co_await house_.limiter.admit_shared(std::move(asking), redis_.get(), ticket, x.deadline);
    trace.end(step, Clock::now(), "admit");
  } else {
    refused = house_.limiter.admit(asking, x.request.received, ticket);
  }
  metrics_.limited(refused ? std::optional(refused->what) : std::nullopt, limit::What::requests,
                   Clock::now() - asked);
  trace.seen.limit = refused ? "refused" : "admitted";
  if (refused) co_return refusal_of_limit(*refused);
  co_return std::nullopt;
}

namespace {

Refusal budget_unknown(const limit::Ticket& ticket) {
  limit::Refused whose;
  if (const limit::Account* const account = ticket.budget()) {
    whose.owner = account->owner;
    whose.name = account->name;
  }
  Refusal unavailable = refusal(
      Reason::limits_unavailable,
      fmt::format("What was spent cannot be known now, and {} has a budget.", owner_of(whose)));
  unavailable.retry_after = 1s;
  return unavailable;
}

}  // namespace

// What the call may come to, in tokens and money.
Task<std::optional<Refusal>> Gateway::reserve(Exchange& x) {
  limit::Ticket& ticket = x.recorder.bill->ticket;
  if (!ticket.counts()) co_return std::nullopt;
  const Question& question = x.question;
  const EngineMetrics& pair = *x.with->pairs[x.plan.metrics];
  Usage most;
  most.input = tokens_about(question.body);
  if (question.endpoint != Endpoint::embeddings) {
    most.output = question.max_tokens.value_or(pair.typical_output());
  }
  const Nano cost = cost_of(x.settings().engines[x.plan.engine].price, most);
  const std::uint64_t tokens = most.input + most.output;
  const Time asked = Clock::now();
  Result<std::optional<limit::Refused>> refused =
      co_await reserve_here(*x.recorder.bill, tokens, cost, x.deadline);
  if (!refused) {
    house_.log.warning("what was spent so far cannot be known",
                       {{"request_id", x.recorder.request_id()},
                        {"trace_id", x.recorder.trace_id()},
                        {"reason", refused.error().detail}});
    co_return budget_unknown(ticket);
  }
  metrics_.limited(*refused ? std::optional((*refused)->what) : std::nullopt, limit::What::tokens,
                   Clock::now() - asked);
  if (*refused) {
    x.recorder.bill->trace.seen.limit = "refused";
    co_return refusal_of_limit(**refused);
  }
  co_return std::nullopt;
}

Task<Result<std::optional<limit::Refused>>> Gateway::reserve_here(Bill& bill, std::uint64_t tokens,
                                                                  Nano cost, Deadline& deadline) {
  limit::Ticket& ticket = bill.ticket;
  trace::Trace& trace = bill.trace;
  const WallTime wall = std::chrono::system_clock::now();
  if (house_.limiter.shared()) {
    const std::uint8_t step = trace.step(trace::Step::redis, trace::kRoot, "EVALSHA", Clock::now());
    Result<std::optional<limit::Refused>> refused = co_await house_.limiter.reserve_shared(
        ticket, tokens, cost, wall, redis_.get(), house_.spent, deadline);
    trace.end(step, Clock::now(), "reserve", refused ? "" : trace::error_of(refused.error()));
    co_return refused;
  }
  while (const limit::Account* const account = limit::Limiter::unseeded(ticket, wall)) {
    Result<void> known = co_await learn_spend(*account, wall, trace, deadline);
    if (!known) co_return std::move(known).error();
  }
  co_return house_.limiter.reserve(ticket, tokens, cost, Clock::now(), wall);
}

// Money that an earlier run, or another node, spent in the periods under way.
Task<Result<void>> Gateway::learn_spend(const limit::Account& account, WallTime wall,
                                        trace::Trace& trace, Deadline& deadline) {
  for (const limit::Period period : {limit::Period::day, limit::Period::month}) {
    limit::Spend& spend = account.state->spend[static_cast<std::size_t>(period)];
    const std::int64_t number = limit::period_of(period, wall);
    if (spend.seeded(number)) continue;
    Nano spent = 0;
    if (house_.spent) {
      const std::uint8_t step =
          trace.step(trace::Step::database, trace::kRoot, "SELECT usage", Clock::now());
      Result<Nano> sum = co_await house_.spent(account.owner, account.name, period, wall, deadline);
      trace.end(step, Clock::now(), limit::label_of(account.owner),
                sum ? "" : trace::error_of(sum.error()));
      if (!sum) co_return std::move(sum).error();
      spent = *sum;
    }
    spend.seed(number, spent);
  }
  co_return Result<void>();
}

}  // namespace penstock::gateway
