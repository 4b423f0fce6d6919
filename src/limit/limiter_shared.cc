#include <algorithm>

#include "limit/limiter.h"
#include "limit/limiter_parts.h"
#include "limit/shared_inflight.h"
#include "limit/shared_spend.h"

namespace penstock::limit {
namespace {

constexpr int kSeeds = 4;  // of two periods, and once more each

// The part of a request's waits for Redis that is left, counted down by its end.
class Wait {
 public:
  Wait(Duration& waited, Duration most, Deadline& deadline)
      : waited_(waited),
        begun_(Clock::now()),
        deadline_(deadline, begun_ + std::max(most - waited, Duration::zero())) {}
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;
  ~Wait() { waited_ += Clock::now() - begun_; }
  Deadline& deadline() { return deadline_; }

 private:
  Duration& waited_;
  const Time begun_;
  Deadline deadline_;
};

}  // namespace

Task<std::optional<Refused>> Limiter::admit_shared(Parties parties, redis::Client* client,
                                                   Ticket& ticket, Deadline& deadline) {
  Wait wait(ticket.waited_, shared_->wait(), deadline);
  std::size_t requests_taken = 0;  // of the parties in order
  std::size_t places_taken = 0;
  std::optional<Refused> refusal;
  for (std::size_t i = 0; i < parties.size(); ++i) {
    const Account* const account = parties[i].get();
    if (account != nullptr && limited(account->limits.requests)) {
      const Quota quota = *account->limits.requests;
      const Decision decision = co_await SharedMeter::take(account->state->shared_requests, client,
                                                           quota, 1, wait.deadline());
      tell(ticket.requests, quota, decision);
      if (!decision.admitted) {
        refusal = refused(*account, What::requests, quota, decision, 1);
        break;
      }
    }
    ++requests_taken;
    if (account != nullptr && account->limits.inflight) {
      const bool entered = co_await SharedPlaces::enter(account->state->shared_places, client,
                                                        *account->limits.inflight, wait.deadline());
      if (!entered) {
        refusal = refused(*account, What::inflight);
        refusal->limit = *account->limits.inflight;
        refusal->retry_after = std::chrono::seconds(1);
        break;
      }
    }
    ++places_taken;
    if (account != nullptr && limited(account->limits.tokens)) {
      const Quota& quota = *account->limits.tokens;
      tell(ticket.tokens, quota, account->state->shared_tokens->look(quota, Clock::now()));
    }
  }
  if (!refusal) {
    ticket.accounts_ = parties;
    ticket.inflight_ = ticket.places_ = true;
    co_return std::nullopt;
  }
  for (std::size_t i = 0; i < requests_taken; ++i) {
    const Account* const account = parties[i].get();
    if (account == nullptr) continue;
    if (limited(account->limits.requests)) {
      account->state->shared_requests->give_back(*account->limits.requests, Clock::now(), 1);
    }
    if (i < places_taken && account->limits.inflight) account->state->shared_places->leave();
  }
  co_return refusal;
}

Task<Result<std::optional<Refused>>> Limiter::reserve_shared(Ticket& ticket, std::uint64_t tokens,
                                                             Nano cost, WallTime wall,
                                                             redis::Client* client,
                                                             const Spent& spent,
                                                             Deadline& deadline) {
  std::size_t tokens_taken = 0;
  std::size_t money_taken = 0;
  std::optional<Refused> refusal;
  {
    Wait wait(ticket.waited_, shared_->wait(), deadline);
    for (std::size_t i = 0; i < ticket.accounts_.size() && !refusal; ++i) {
      const Account* const account = ticket.accounts_[i].get();
      if (account != nullptr && limited(account->limits.tokens)) {
        const Quota quota = *account->limits.tokens;
        const Decision decision = co_await SharedMeter::take(account->state->shared_tokens, client,
                                                             quota, tokens, wait.deadline());
        tell(ticket.tokens, quota, decision);
        if (!decision.admitted) {
          refusal = refused(*account, What::tokens, quota, decision, tokens);
          break;
        }
      }
      ++tokens_taken;
    }
  }
  Result<std::optional<Refused>> money = std::optional<Refused>();
  if (!refusal) {
    Result<std::optional<Refused>> reserved =
        co_await reserve_money(ticket, money_taken, cost, wall, client, spent, deadline);
    money = std::move(reserved);
    if (money) refusal = *money;
  }
  if (money && !refusal) {
    ticket.reserved_ = true;
    ticket.reserved_tokens_ = tokens;
    ticket.reserved_cost_ = cost;
    ticket.reserved_at_ = wall;
    co_return std::optional<Refused>();
  }
  for (std::size_t i = 0; i < ticket.accounts_.size(); ++i) {
    const Account* const account = ticket.accounts_[i].get();
    if (account == nullptr) continue;
    if (i < tokens_taken && limited(account->limits.tokens)) {
      account->state->shared_tokens->give_back(*account->limits.tokens, Clock::now(), tokens);
    }
    for (const Period period : kPeriods) {
      if (i < money_taken && limited(money_of(account->limits, period))) {
        shared_->owe(spend_key(period, *account, wall), -cost);
      }
    }
  }
  if (!money) {
    shared_->unshared().refused.fetch_add(1, std::memory_order_relaxed);
    co_return std::move(money).error();
  }
  co_return refusal;
}

// `taken`: of how many parties, in their order, money was reserved.
Task<Result<std::optional<Refused>>> Limiter::reserve_money(Ticket& ticket, std::size_t& taken,
                                                            Nano cost, WallTime wall,
                                                            redis::Client* client,
                                                            const Spent& spent,
                                                            Deadline& deadline) {
  const SharedSpend sums(shared_);
  for (std::size_t i = 0; i < ticket.accounts_.size(); ++i) {
    const Account* const account = ticket.accounts_[i].get();
    if (account == nullptr || !limits_money(account->limits)) {
      ++taken;
      continue;
    }
    if (client == nullptr) {
      co_return Error{Kind::unreachable, Source::store, true, "there is no Redis here"};
    }
    for (int tries = 0;; ++tries) {
      Reserved reserved;
      {
        Wait wait(ticket.waited_, shared_->wait(), deadline);
        Result<Reserved> answer =
            co_await sums.reserve(*client, *account, cost, wall, wait.deadline());
        if (!answer) co_return std::move(answer).error();
        reserved = *answer;
      }
      const Period which = reserved.which;
      if (reserved.outcome == Reserved::Outcome::reserved) break;
      if (reserved.outcome == Reserved::Outcome::refused) {
        Refused refusal =
            refused(*account, which == Period::day ? What::spend_day : What::spend_month);
        refusal.money = *money_of(account->limits, which);
        refusal.left =
            std::max<Nano>(0, refusal.money - reserved.spent[static_cast<std::size_t>(which)]);
        refusal.estimate = cost;
        refusal.retry_after = left_of(which, wall);
        co_return std::optional<Refused>(refusal);
      }
      if (tries == kSeeds) {
        co_return Error{Kind::broken, Source::store, true, "Redis keeps no sums"};
      }
      Nano sum = 0;
      if (spent) {
        Result<Nano> known = co_await spent(account->owner, account->name, which, wall, deadline);
        if (!known) co_return std::move(known).error();
        sum = *known;
      }
      // The ledger may have taken longer than a request waits for Redis: this is another wait.
      Deadline seeding(deadline, Clock::now() + shared_->wait());
      Result<void> seeded = co_await sums.seed(*client, *account, which, sum, wall, seeding);
      if (!seeded) co_return std::move(seeded).error();
      ticket.waited_ = Duration::zero();
    }
    ++taken;
  }
  co_return std::optional<Refused>();
}

}  // namespace penstock::limit
