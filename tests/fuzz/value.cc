// What lies in Redis: any bytes are a value or none, never more than was allowed; a value that is
// written again and read is the same. Likewise an answer in progress, in whatever pieces it comes.
#include "cache/value.h"

#include "cache/live.h"

#include "check.h"

namespace penstock::fuzz {
namespace {

constexpr std::size_t kMost = 64 * 1024;

bool same(const cache::Value& a, const cache::Value& b) {
  return a.scope == b.scope && a.model == b.model && a.engine == b.engine && a.tags == b.tags &&
         a.status == b.status && a.form == b.form && a.stored_ms == b.stored_ms &&
         a.expires_ms == b.expires_ms && a.made_us == b.made_us &&
         a.first_token_us == b.first_token_us && a.usage.input == b.usage.input &&
         a.usage.output == b.usage.output && a.usage.cached_input == b.usage.cached_input &&
         a.usage.reasoning == b.usage.reasoning && a.purge == b.purge && a.body == b.body;
}

void look(std::string_view bytes) {
  const std::optional<cache::Value> value = cache::decode(bytes, kMost);
  if (!value) return;
  FUZZ_CHECK(value->tags.size() <= cache::kMostTags);
  for (const std::uint64_t over : {std::uint64_t{0}, std::uint64_t{1} << 40}) {
    const std::optional<cache::Value> again = cache::decode(cache::encode(*value, over), kMost);
    FUZZ_CHECK(again.has_value());
    FUZZ_CHECK(same(*value, *again));
  }
}

// Types and contents, one behind the other.
std::string frames_of(std::string_view bytes, std::size_t piece) {
  std::string seen;
  cache::LiveFrames frames;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    frames.add(bytes.substr(at, piece));
    while (const auto frame = frames.next()) {
      seen += frame->type;
      seen += frame->content;
      const auto head = cache::read_live_head(frame->content, "t");
      if (!head) continue;
      std::string again = cache::live_head(frame->content.substr(1, 16), "t", *head);
      FUZZ_CHECK(std::string_view(again).substr(5) == frame->content);
    }
  }
  if (frames.broken()) seen += '!';
  return seen;
}

void look_at_live(std::string_view bytes) {
  const std::string seen = frames_of(bytes, bytes.size() + 1);
  FUZZ_CHECK(frames_of(bytes, 1) == seen);
  FUZZ_CHECK(frames_of(bytes, 7) == seen);
}

}  // namespace
}  // namespace penstock::fuzz

// The checksum would let nearly nothing by: the second look has a good one.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  penstock::fuzz::look(bytes);
  penstock::fuzz::look_at_live(bytes);
  std::string sealed(bytes);
  penstock::cache::seal(sealed);
  penstock::fuzz::look(sealed);
  return 0;
}
