// Streams: however they are cut on their way, the same events come of them and the same bytes pass.
//
// The first byte decides whether the usage is taken out; the rest is the stream. Events are
// compared with those of a second splitter, which reads the whole by the letter of WHATWG HTML,
// section 9.2.6.
#include <algorithm>

#include "dialect/answer.h"
#include "dialect/stream.h"
#include "json_reference.h"

namespace penstock::fuzz {
namespace {

using dialect::EventSplitter;
using dialect::StreamReader;

struct Seen {
  std::string raw, data, name;
  bool operator==(const Seen&) const = default;
};

struct Events {
  std::vector<Seen> events;
  std::string rest;
  bool operator==(const Events&) const = default;
};

// ---- by the letter -----------------------------------------------------------------------------

Events read_plainly(std::string_view text) {
  Events all;
  std::size_t begin = 0;  // of the event
  std::vector<std::string> data;
  std::string name;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = std::min(text.find_first_of("\r\n", at), text.size());
    if (end == text.size()) break;
    std::string_view line = text.substr(at, end - at);
    if (at == 0 && line.starts_with("\xef\xbb\xbf")) line.remove_prefix(3);
    const bool blank = end == at;
    end += text.substr(end, 2) == "\r\n" ? 2U : 1U;
    at = end;
    if (blank) {
      std::string joined;
      for (const std::string& one : data) joined += (&one == &data.front() ? "" : "\n") + one;
      all.events.push_back({std::string(text.substr(begin, at - begin)), joined, name});
      begin = at;
      data.clear();
      name.clear();
      continue;
    }
    const std::size_t colon = std::min(line.find(':'), line.size());
    std::string_view value = line.substr(std::min(colon + 1, line.size()));
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (line.substr(0, colon) == "data") data.emplace_back(value);
    if (line.substr(0, colon) == "event") name = value;
  }
  all.rest = text.substr(begin);
  return all;
}

// ---- in pieces ---------------------------------------------------------------------------------

template <class Use>
void in_pieces(std::string_view text, std::size_t most, const Use& use) {
  Chance chance(std::to_string(most).append(text));
  while (!text.empty()) {
    const Bytes piece(text.substr(0, most == 0 ? text.size() : 1 + chance.below(most)));
    text.remove_prefix(piece.size());
    use(piece.text());
  }
}

Events split(std::string_view text, std::size_t most) {
  Events all;
  EventSplitter splitter;
  in_pieces(text, most, [&](std::string_view piece) {
    splitter.feed(piece);
    while (const auto event = splitter.next()) {
      if (event->tail) {
        FUZZ_CHECK(event->raw == "\n" && !all.events.empty(), text);
        all.events.back().raw += event->raw;
        continue;
      }
      all.events.push_back(
          {std::string(event->raw), std::string(event->data), std::string(event->name)});
    }
    all.rest = splitter.rest();
  });
  FUZZ_CHECK(!splitter.too_large(), text);
  return all;
}

struct Passed {
  std::string out;
  bool broken = false, done = false, failed = false, filtered = false, tools = false;
  bool whole = false, has_usage = false;
  std::uint64_t input = 0, output = 0, chunks = 0;
  bool operator==(const Passed&) const = default;
};

Passed pass(std::string_view text, bool strip, std::size_t most) {
  Passed passed;
  StreamReader reader(strip);
  in_pieces(text, most, [&](std::string_view piece) {
    const bool was_broken = reader.broken();
    const auto now = reader.feed(piece);
    FUZZ_CHECK(now.ok() || reader.broken(), text);
    FUZZ_CHECK(!was_broken || !now.ok(), text);
    if (now) passed.out += *now;
  });
  passed.broken = reader.broken();
  passed.done = reader.done();
  passed.failed = reader.failed();
  passed.filtered = reader.content_filtered();
  passed.tools = reader.tool_calls();
  passed.whole = reader.whole();
  passed.chunks = reader.chunks();
  passed.has_usage = reader.usage().has_value();
  if (passed.has_usage) {
    passed.input = reader.usage()->input;
    passed.output = reader.usage()->output;
  }
  return passed;
}

// Whether what stands in the events up to [DONE] is JSON without names told twice.
bool all_json(std::string_view text) {
  for (const Seen& event : read_plainly(text).events) {
    if (event.data == "[DONE]") break;
    if (!event.data.empty() && !read_json(event.data, {60, false})) return false;
  }
  return true;
}

// ---- what must hold ----------------------------------------------------------------------------

void check_events(std::string_view text) {
  const Events plain = read_plainly(text);
  for (const std::size_t most : {0u, 1u, 5u, 40u}) {
    const Events all = split(text, most);
    FUZZ_CHECK(all.events.size() == plain.events.size(), text);
    for (std::size_t i = 0; i < all.events.size(); ++i) {
      FUZZ_CHECK(all.events[i] == plain.events[i], text, plain.events[i].data, all.events[i].data);
    }
    FUZZ_CHECK(all.rest == plain.rest, text, plain.rest, all.rest);
  }
}

void check_reader(std::string_view text, bool strip) {
  const Passed whole = pass(text, strip, 0);
  for (const std::size_t most : {1u, 3u, 20u, 200u}) {
    const Passed cut = pass(text, strip, most);
    FUZZ_CHECK(whole == cut, text, whole.out, cut.out);
  }
  if (whole.whole) FUZZ_CHECK(whole.done && !whole.failed && !whole.broken, text);
  if (!strip) {
    FUZZ_CHECK(whole.done || text.starts_with(whole.out), text, whole.out);
    if (!whole.done && !whole.broken) {
      FUZZ_CHECK(whole.out + read_plainly(text).rest == text, text, whole.out);
    }
    return;
  }
  if (!all_json(text)) return;  // of a member told twice the last is taken out
  // What is left says the same, but for the usage; and nothing more is to be taken out of it.
  const Passed again = pass(whole.out, true, 0);
  FUZZ_CHECK(again.out == whole.out, text, whole.out, again.out);
  FUZZ_CHECK(again.done == whole.done && again.whole == whole.whole, text, whole.out);
  FUZZ_CHECK(!again.broken && again.failed == whole.failed && again.tools == whole.tools, text);
}

// The plain answer of a whole stream, as a stream again, is the same plain answer.
void check_assembled(std::string_view text) {
  const auto plain = dialect::assemble(text);
  const Passed read = pass(text, false, 0);
  FUZZ_CHECK(!plain.ok() || read.whole, text);
  (void)dialect::stream_facts(text);
  if (!plain) return;
  if (!all_json(text)) return;  // an engine's bad escapes or names told twice go on as they are
  FUZZ_CHECK(is_json(*plain), text, *plain);
  const auto facts = dialect::answer_facts(*plain, Endpoint::chat);
  FUZZ_CHECK(facts && facts->cacheable == (read.whole && !read.filtered), text, *plain);
  FUZZ_CHECK(facts->has_usage == read.has_usage && facts->tool_calls == read.tools, text, *plain);
  const auto frames = dialect::split(*plain, true);
  FUZZ_CHECK(frames.ok(), text, *plain);
  const auto again = dialect::assemble(*frames);
  FUZZ_CHECK(again.ok(), text, *frames);
  const auto twice = dialect::split(*again, true);
  FUZZ_CHECK(twice.ok() && dialect::assemble(*twice).ok(), text, *again);
}

}  // namespace
}  // namespace penstock::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text = penstock::fuzz::text_of(data, size).substr(1);
  penstock::fuzz::check_events(text);
  penstock::fuzz::check_reader(text, data[0] % 2 == 1);
  penstock::fuzz::check_assembled(text);
  return 0;
}
