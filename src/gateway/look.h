// What a request wants of the cache, and what the cache has for it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/entry.h"
#include "cache/value.h"
#include "exchange/exchange.h"
#include "gateway/semantic.h"
#include "http/head.h"
#include "settings/settings.h"
#include "store/book.h"

namespace penstock::gateway {

// A larger question is neither digested nor kept: reading it twice would cost more than it saves.
inline constexpr std::size_t kCachedQuestion = 1024 * 1024;

// What the fields of a request say (RFC 9111 section 5.2.1, and one of our own).
struct Wishes {
  bool no_store = false;            // neither asked nor fed
  bool no_cache = false;            // not asked, but fed
  bool only_if_cached = false;      // no engine is asked
  std::optional<Duration> max_age;  // of a kept answer
  std::vector<std::string> tags;    // of what is kept: x-penstock-cache-tags
  bool paced = false;               // a kept stream as fast as it was made: x-penstock-replay
};

inline constexpr std::string_view kTagsField = "x-penstock-cache-tags";
inline constexpr std::string_view kReplayField = "x-penstock-replay";

// A Refusal where one of our own fields says what it cannot.
Result<Wishes, Refusal> wishes_of(const http::RequestHead& head);

struct Look {
  Wishes wishes;
  cache::Key key{};                           // where the answer may be kept
  std::uint64_t version = 0;                  // of what the engine knew when the key was made
  std::uint64_t purge = 0;                    // the last one that was known then
  cache::EntryPtr entry;                      // the answer, where the cache had it
  store::Level level = store::Level::memory;  // where it was
  bool passed_by = false;                     // the client wants another than what is kept
  bool stale = false;
  bool renew = false;   // it is given, and it is time to ask for another
  bool called = false;  // an engine was called for it all the same
  bool redis_failed = false;
  cache::EntryPtr fallback;  // past its time, for where the engine fails
  std::string answers;  // what would answer: the engine, the model, what is asked beside the body
  Meaning meaning;
  float similarity = 0;  // of the question that the answer was given to
};

// "hit; level=memory", "stale; level=redis"
std::string_view cache_header(const Look& look);

}  // namespace penstock::gateway
