#include "limit/limiter.h"

#include <algorithm>

#include "limit/limiter_parts.h"
#include "limit/shared_inflight.h"

namespace penstock::limit {
namespace {

Spend& spend_of(const Account& account, Period period) {
  return account.state->spend[static_cast<std::size_t>(period)];
}

}  // namespace

// ---- a request's hold --------------------------------------------------------------------------

Ticket& Ticket::operator=(Ticket&& other) noexcept {
  if (this == &other) return *this;
  release();
  requests = other.requests;
  tokens = other.tokens;
  accounts_ = std::move(other.accounts_);
  other.accounts_ = {};
  inflight_ = std::exchange(other.inflight_, false);
  places_ = std::exchange(other.places_, false);
  waited_ = other.waited_;
  reserved_ = std::exchange(other.reserved_, false);
  reserved_tokens_ = other.reserved_tokens_;
  reserved_cost_ = other.reserved_cost_;
  day_ = other.day_;
  month_ = other.month_;
  reserved_at_ = other.reserved_at_;
  return *this;
}

void Ticket::settle(std::uint64_t tokens_used, Nano cost, Time now) {
  if (!std::exchange(reserved_, false)) return;
  for (const AccountPtr& account : accounts_) {
    if (!account) continue;
    if (limited(account->limits.tokens)) {
      const Quota& quota = *account->limits.tokens;
      SharedMeter* const shared = account->state->shared_tokens.get();
      if (shared != nullptr && tokens_used < reserved_tokens_) {
        shared->give_back(quota, now, reserved_tokens_ - tokens_used);
      } else if (shared != nullptr) {
        shared->take_regardless(quota, now, tokens_used - reserved_tokens_);
      } else if (tokens_used < reserved_tokens_) {
        account->state->tokens.give_back(quota, reserved_tokens_ - tokens_used);
      } else {
        account->state->tokens.take_regardless(quota, now, tokens_used - reserved_tokens_);
      }
    }
    for (const Period period : kPeriods) {
      if (!limited(money_of(account->limits, period))) continue;
      if (account->state->shared_tokens) {
        account->state->shared_tokens->shared().owe(spend_key(period, *account, reserved_at_),
                                                    cost - reserved_cost_);
        continue;
      }
      spend_of(*account, period)
          .settle(period == Period::day ? day_ : month_, reserved_cost_, cost);
    }
  }
}

bool Ticket::counts() const {
  return std::any_of(accounts_.begin(), accounts_.end(), [](const AccountPtr& account) {
    return account && (limited(account->limits.tokens) || limited(account->limits.spend_day) ||
                       limited(account->limits.spend_month));
  });
}

const Account* Ticket::budget() const {
  for (const AccountPtr& account : accounts_) {
    if (account && (limited(account->limits.spend_day) || limited(account->limits.spend_month))) {
      return account.get();
    }
  }
  return nullptr;
}

void Ticket::release() {
  settle(0, 0, Time());
  if (std::exchange(inflight_, false)) {
    for (const AccountPtr& account : accounts_) {
      if (!account || !account->limits.inflight) continue;
      if (account->state->shared_places) {
        if (places_) account->state->shared_places->leave();
      } else {
        account->state->inflight.fetch_sub(1, std::memory_order_relaxed);
      }
    }
    places_ = false;
  }
  accounts_ = {};
}

// ---- the limiter -------------------------------------------------------------------------------

AccountPtr Limiter::account(Owner owner, const std::string& name, const std::string& tenant,
                            const Limits& limits, Time now) {
  if (!limits_anything(limits)) return nullptr;
  auto account = std::make_shared<Account>();
  account->owner = owner;
  account->name = name;
  account->tenant = tenant;
  account->limits = limits;
  const std::lock_guard lock(mutex_);
  if (states_.size() > kKept) sweep(now);
  std::string key(1, static_cast<char>('0' + static_cast<int>(owner)));
  key += name;
  std::shared_ptr<State>& state = states_[key];
  if (!state) state = std::make_shared<State>();
  if (shared_ && !state->shared()) {
    const auto meter = [&](What what) {
      return std::make_shared<SharedMeter>(shared_, limit_key(what, *account));
    };
    state->shared_requests = meter(What::requests);
    state->shared_tokens = meter(What::tokens);
    state->shared_places =
        std::make_shared<SharedPlaces>(shared_, limit_key(What::inflight, *account));
  }
  account->state = state;
  return account;
}

void Limiter::sweep(Time now) {
  std::erase_if(states_, [&](const auto& entry) {
    const State& state = *entry.second;
    return entry.second.use_count() == 1 && !state.requests.owes(now) && !state.tokens.owes(now) &&
           state.inflight.load(std::memory_order_relaxed) == 0;
  });
}

std::optional<Refused> Limiter::admit(const Parties& parties, Time now, Ticket& ticket) {
  std::size_t requests_taken = 0;  // of the parties in order
  std::size_t places_taken = 0;
  std::optional<Refused> refusal;
  for (const AccountPtr& account : parties) {
    if (account && limited(account->limits.requests)) {
      const Quota& quota = *account->limits.requests;
      SharedMeter* const shared = account->state->shared_requests.get();
      std::optional<Decision> known;
      if (shared != nullptr) known = shared->try_take(quota, now, 1);
      if (shared != nullptr && !known) {
        refusal = refused(*account, What::requests);
        refusal->ask = true;
        break;
      }
      const Decision decision = known ? *known : account->state->requests.take(quota, now, 1);
      tell(ticket.requests, quota, decision);
      if (!decision.admitted) {
        refusal = refused(*account, What::requests, quota, decision, 1);
        break;
      }
    }
    ++requests_taken;
    if (account && account->limits.inflight && account->state->shared()) {
      // It ends before anybody else could notice that it took a place.
      if (account->state->shared_places->here() >=
          static_cast<std::int64_t>(std::min<std::uint64_t>(*account->limits.inflight, 1U << 31))) {
        refusal = refused(*account, What::inflight);
        refusal->ask = true;
        break;
      }
    } else if (account && account->limits.inflight) {
      const auto most = static_cast<std::int64_t>(std::min<std::uint64_t>(
          *account->limits.inflight, std::numeric_limits<std::int32_t>::max()));
      if (account->state->inflight.fetch_add(1, std::memory_order_relaxed) >= most) {
        account->state->inflight.fetch_sub(1, std::memory_order_relaxed);
        refusal = refused(*account, What::inflight);
        refusal->limit = *account->limits.inflight;
        refusal->retry_after = std::chrono::seconds(1);
        break;
      }
    }
    ++places_taken;
    if (account && limited(account->limits.tokens)) {
      const Quota& quota = *account->limits.tokens;
      tell(ticket.tokens, quota,
           account->state->shared() ? account->state->shared_tokens->look(quota, now)
                                    : account->state->tokens.look(quota, now));
    }
  }
  if (!refusal) {
    ticket.accounts_ = parties;
    ticket.inflight_ = true;
    return std::nullopt;
  }
  for (std::size_t i = 0; i < requests_taken; ++i) {
    const AccountPtr& account = parties[i];
    if (!account) continue;
    if (limited(account->limits.requests)) {
      if (account->state->shared()) {
        account->state->shared_requests->give_back(*account->limits.requests, now, 1);
      } else {
        account->state->requests.give_back(*account->limits.requests, 1);
      }
    }
    if (i < places_taken && account->limits.inflight && !account->state->shared()) {
      account->state->inflight.fetch_sub(1, std::memory_order_relaxed);
    }
  }
  return refusal;
}

const Account* Limiter::unseeded(const Ticket& ticket, WallTime wall) {
  for (const AccountPtr& account : ticket.accounts_) {
    if (!account) continue;
    for (const Period period : kPeriods) {
      if (limited(money_of(account->limits, period)) &&
          !spend_of(*account, period).seeded(period_of(period, wall))) {
        return account.get();
      }
    }
  }
  return nullptr;
}

std::optional<Refused> Limiter::reserve(Ticket& ticket, std::uint64_t tokens, Nano cost, Time now,
                                        WallTime wall) {
  ticket.day_ = period_of(Period::day, wall);
  ticket.month_ = period_of(Period::month, wall);
  std::size_t tokens_taken = 0;
  std::size_t money_taken = 0;  // parties times periods
  std::optional<Refused> refusal;
  for (const AccountPtr& account : ticket.accounts_) {
    if (account && limited(account->limits.tokens)) {
      const Quota& quota = *account->limits.tokens;
      const Decision decision = account->state->tokens.take(quota, now, tokens);
      tell(ticket.tokens, quota, decision);
      if (!decision.admitted) {
        refusal = refused(*account, What::tokens, quota, decision, tokens);
        break;
      }
    }
    ++tokens_taken;
    for (const Period period : kPeriods) {
      const std::int64_t number = period == Period::day ? ticket.day_ : ticket.month_;
      if (account && limited(money_of(account->limits, period)) &&
          !spend_of(*account, period).reserve(number, *money_of(account->limits, period), cost)) {
        refusal = refused(*account, period == Period::day ? What::spend_day : What::spend_month);
        refusal->money = *money_of(account->limits, period);
        refusal->left =
            std::max<Nano>(0, refusal->money - spend_of(*account, period).spent(number));
        refusal->estimate = cost;
        refusal->retry_after = left_of(period, wall);
        break;
      }
      ++money_taken;
    }
    if (refusal) break;
  }
  if (!refusal) {
    ticket.reserved_ = true;
    ticket.reserved_tokens_ = tokens;
    ticket.reserved_cost_ = cost;
    return std::nullopt;
  }
  for (std::size_t i = 0; i < tokens_taken; ++i) {
    const AccountPtr& account = ticket.accounts_[i];
    if (!account) continue;
    if (limited(account->limits.tokens)) {
      account->state->tokens.give_back(*account->limits.tokens, tokens);
    }
    for (const Period period : kPeriods) {
      if (i * 2 + static_cast<std::size_t>(period) >= money_taken) break;
      if (!limited(money_of(account->limits, period))) continue;
      spend_of(*account, period)
          .settle(period == Period::day ? ticket.day_ : ticket.month_, cost, 0);
    }
  }
  return refusal;
}

}  // namespace penstock::limit
