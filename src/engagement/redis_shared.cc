#include "engagement/redis_shared.h"

#include <string_view>

namespace penstock::engagement {
namespace {

constexpr std::size_t kAtOnce = 1000;  // users of one command

Error unexpected(std::string_view command) {
  return {Kind::broken, Source::store, false,
          "Redis answered " + std::string(command) + " with something else than a number"};
}

}  // namespace

Task<Result<void>> RedisShared::add(std::vector<Addition> additions, Deadline& deadline) {
  for (const Addition& addition : additions) {
    for (std::size_t from = 0; from < addition.users.size(); from += kAtOnce) {
      Result<void> added = co_await add_one(addition, from, deadline);
      if (!added) co_return added;
    }
    const std::string seconds = std::to_string(addition.keep.count());
    const std::array<std::string_view, 3> expire = {"EXPIRE", addition.key, seconds};
    client_.tell(expire);
  }
  co_return Result<void>();
}

Task<Result<void>> RedisShared::add_one(const Addition& addition, std::size_t from,
                                        Deadline& deadline) {
  std::vector<std::string_view> words = {"PFADD", addition.key};
  const std::size_t to = std::min(addition.users.size(), from + kAtOnce);
  words.insert(words.end(), addition.users.begin() + static_cast<std::ptrdiff_t>(from),
               addition.users.begin() + static_cast<std::ptrdiff_t>(to));
  const redis::Words all = words;
  Result<redis::Value> added = co_await client_.call(all, deadline);
  if (!added) co_return std::move(added).error();
  if (!added->is_integer()) co_return unexpected("PFADD");
  co_return Result<void>();
}

Task<Result<std::uint64_t>> RedisShared::count(std::vector<std::string> keys, Deadline& deadline) {
  std::vector<std::string_view> words = {"PFCOUNT"};
  words.insert(words.end(), keys.begin(), keys.end());
  const redis::Words all = words;
  Result<redis::Value> counted = co_await client_.call(all, deadline);
  if (!counted) co_return std::move(counted).error();
  if (!counted->is_integer() || counted->integer < 0) co_return unexpected("PFCOUNT");
  co_return static_cast<std::uint64_t>(counted->integer);
}

}  // namespace penstock::engagement
