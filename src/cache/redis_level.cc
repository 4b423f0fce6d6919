#include "cache/redis_level.h"

#include <array>
#include <cstring>

namespace penstock::cache {
namespace {

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

}  // namespace

std::string name_of(const Key& key) { return std::string(kValuePrefix) + '{' + hex(key) + '}'; }

std::optional<Key> key_of(std::string_view name) {
  if (!name.starts_with(kValuePrefix)) return std::nullopt;
  name.remove_prefix(kValuePrefix.size());
  if (name.size() < 2 || name.front() != '{' || name.back() != '}') return std::nullopt;
  name = name.substr(1, name.size() - 2);
  Key key;
  if (name.size() != key.size() * 2) return std::nullopt;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const int high = digit_of(name[2 * i]);
    const int low = digit_of(name[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    key[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return key;
}

Task<Result<RedisLevel::Found>> RedisLevel::get(Key key, std::size_t most_body,
                                                Deadline& deadline) {
  const std::string name = name_of(key);
  const std::array<std::string_view, 2> words = {"GET", name};
  const std::array<redis::Words, 1> commands = {words};
  Result<redis::Read> read = co_await client_.read(commands, name, deadline);
  if (!read) co_return std::move(read).error();
  const redis::Value& value = read->values.front();
  if (value.is_error()) co_return Error{Kind::refused, Source::store, false, value.text};
  Found found;
  found.vouch = read->vouch;
  found.keep = !read->changed;
  if (value.is_text()) {
    found.head = value.text.substr(0, kValueHead);
    found.value = decode(value.text, most_body);
  }
  co_return found;
}

Task<Result<redis::Vouch>> RedisLevel::put(Key key, std::string value, Duration lives,
                                           Deadline& deadline) {
  const std::string name = name_of(key);
  const std::string ms = std::to_string(
      std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::milliseconds>(lives).count()));
  // Writing makes Redis forget that this connection wants to be told of changes, its own included;
  // reading makes it know again. The head tells whether it is still this value.
  const std::string end = std::to_string(kValueHead - 1);
  const std::array<std::string_view, 5> set = {"SET", name, value, "PX", ms};
  const std::array<std::string_view, 4> look = {"GETRANGE", name, "0", end};
  const std::array<redis::Words, 2> commands = {set, look};
  Result<redis::Read> read = co_await client_.read(commands, name, deadline);
  if (!read) co_return std::move(read).error();
  for (const redis::Value& answer : read->values) {
    if (answer.is_error()) co_return Error{Kind::refused, Source::store, false, answer.text};
  }
  const bool ours = read->values[1].text == std::string_view(value).substr(0, kValueHead);
  co_return ours && !read->changed ? read->vouch : 0;
}

// ---- equal looks -------------------------------------------------------------------------------

RedisLevel::Look::Look(RedisLevel& level, const Key& key) : level_(level), key_(key) {
  const auto [at, first] = level_.looks_.try_emplace(key);
  first_ = first;
  if (!first) signal_ = at->second.emplace_back(level_.loop_);
}

RedisLevel::Look::~Look() {
  if (!first_) return;
  const auto at = level_.looks_.find(key_);
  for (const Signal& signal : at->second) signal.wake();
  level_.looks_.erase(at);
}

Task<Result<void>> RedisLevel::Look::wait(Deadline& deadline) {
  Result<void> woken = co_await signal_->wait(deadline);
  co_return woken;
}

std::size_t RedisLevel::KeyHash::operator()(const Key& key) const {
  std::size_t hash;
  std::memcpy(&hash, key.data(), sizeof hash);
  return hash;
}

}  // namespace penstock::cache
