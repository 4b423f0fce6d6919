#include "limit/shared_scripts.h"

#include <fmt/format.h>

namespace penstock::limit {
namespace {

std::string escaped(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > ' ' && byte < 0x7f && std::string_view("{}:%").find(c) == std::string_view::npos) {
      out += c;
    } else {
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

// A tenant's own; what belongs to none is parted by its kind.
std::string tag(const Account& account) {
  return account.tenant.empty() ? "*" + std::string(label_of(account.owner))
                                : escaped(account.tenant);
}

}  // namespace

std::string limit_key(What what, const Account& account) {
  return fmt::format("penstock:limit:{{{}}}:{}:{}:{}", tag(account), label_of(what),
                     label_of(account.owner), escaped(account.name));
}

std::string spend_key(Period period, const Account& account, WallTime wall) {
  const std::chrono::year_month_day date(std::chrono::floor<std::chrono::days>(wall));
  std::string key = fmt::format("penstock:spend:{{{}}}:{}:{}:{:04}-{:02}", tag(account),
                                label_of(account.owner), escaped(account.name),
                                static_cast<int>(date.year()), static_cast<unsigned>(date.month()));
  if (period == Period::day) key += fmt::format("-{:02}", static_cast<unsigned>(date.day()));
  return key;
}

}  // namespace penstock::limit
