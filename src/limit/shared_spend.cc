#include "limit/shared_spend.h"

namespace penstock::limit {
namespace {

bool limited(const std::optional<Nano>& money) { return money && *money != kUnlimitedSpend; }

std::string limit_text(const std::optional<Nano>& money) {
  return limited(money) ? std::to_string(*money) : std::string();
}

}  // namespace

Task<Result<Reserved>> SharedSpend::reserve(redis::Client& client, const Account& account,
                                            Nano estimate, WallTime wall,
                                            Deadline& deadline) const {
  const std::array<std::string, 2> names = {spend_key(Period::day, account, wall),
                                            spend_key(Period::month, account, wall)};
  const std::array<std::string, 3> texts = {std::to_string(estimate),
                                            limit_text(account.limits.spend_day),
                                            limit_text(account.limits.spend_month)};
  const std::array<std::string_view, 2> keys = {names[0], names[1]};
  const std::array<std::string_view, 3> arguments = {texts[0], texts[1], texts[2]};
  Result<redis::Value> value =
      co_await client.eval(shared_->scripts().reserve, keys, arguments, deadline);
  if (!value) co_return std::move(value).error();
  if (value->items.size() != 4) {
    co_return Error{Kind::broken, Source::store, false, "not the answer of the script"};
  }
  Reserved reserved;
  const std::int64_t outcome = value->items[0].integer;
  reserved.outcome = outcome > 0    ? Reserved::Outcome::reserved
                     : outcome == 0 ? Reserved::Outcome::refused
                                    : Reserved::Outcome::unknown;
  reserved.which = value->items[1].integer == 2 ? Period::month : Period::day;
  reserved.spent = {value->items[2].integer, value->items[3].integer};
  co_return reserved;
}

Task<Result<void>> SharedSpend::settle(redis::Client& client, const Account& account,
                                       Nano difference, WallTime wall, Deadline& deadline) const {
  if (difference == 0) co_return Result<void>();
  std::vector<std::string> names;
  if (limited(account.limits.spend_day)) names.push_back(spend_key(Period::day, account, wall));
  if (limited(account.limits.spend_month)) names.push_back(spend_key(Period::month, account, wall));
  if (names.empty()) co_return Result<void>();
  const std::vector<std::string_view> keys(names.begin(), names.end());
  const std::string amount = std::to_string(difference);
  const std::array<std::string_view, 1> arguments = {amount};
  Result<redis::Value> value =
      co_await client.eval(shared_->scripts().spend, keys, arguments, deadline);
  if (!value) co_return std::move(value).error();
  co_return Result<void>();
}

Task<Result<void>> SharedSpend::seed(redis::Client& client, const Account& account, Period period,
                                     Nano spent, WallTime wall, Deadline& deadline) const {
  const std::string key = spend_key(period, account, wall);
  const std::string sum = std::to_string(spent);
  const std::string seconds = std::to_string(std::chrono::duration_cast<std::chrono::seconds>(
                                                 period == Period::day ? kKeepDay : kKeepMonth)
                                                 .count());
  const std::array<std::string_view, 6> words = {"SET", key, sum, "NX", "EX", seconds};
  Result<redis::Value> value = co_await client.call(words, deadline);
  if (!value) co_return std::move(value).error();
  co_return Result<void>();
}

}  // namespace penstock::limit
