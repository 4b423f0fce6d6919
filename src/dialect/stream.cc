#include "dialect/stream.h"

#include "dialect/bytes.h"
#include "dialect/outline.h"

namespace penstock::dialect {
namespace {

constexpr std::size_t kKept = 16 * 1024;  // bytes of memory kept from event to event
constexpr std::string_view kMark = "\xef\xbb\xbf";
constexpr std::string_view kDone = "[DONE]";

bool within(std::string_view part, std::string_view whole) {
  const std::less_equal<const char*> before;
  return before(whole.data(), part.data()) &&
         before(part.data() + part.size(), whole.data() + whole.size());
}

// The length of "data: [DONE]" and the end of its line, where the text begins so; else 0.
std::size_t done_line(const std::string_view text) {
  if (!text.starts_with("data:")) return 0;
  const std::size_t begin = text.substr(5, 1) == " " ? 6 : 5;
  if (!text.substr(begin).starts_with(kDone)) return 0;
  const std::size_t end = begin + kDone.size();
  if (text.substr(end, 2) == "\r\n") return end + 2;
  return end < text.size() && (text[end] == '\r' || text[end] == '\n') ? end + 1 : 0;
}

}  // namespace

// ---- events ------------------------------------------------------------------------------------

void EventSplitter::feed(std::string_view bytes) {
  let_go();
  bytes_ = bytes;
}

void EventSplitter::let_go() {
  if (!release_held_) return;
  release_held_ = false;
  if (held_.capacity() > kKept) {
    held_ = std::string();
  } else {
    held_.clear();
  }
}

void EventSplitter::hold() {
  if (held_.size() + bytes_.size() > kMostBytes) {
    too_large_ = true;
  } else {
    held_ += bytes_;
  }
  bytes_ = {};
}

std::optional<Event> EventSplitter::next() {
  let_go();
  if (bytes_.empty() || too_large_) return std::nullopt;

  const char* const begin = bytes_.data();
  const char* const end = begin + bytes_.size();
  const char* at = begin;
  if (after_cr_) {
    after_cr_ = false;
    if (*at == '\n') {
      ++at;
      if (held_.empty()) {  // the CR ended an event
        const std::string_view raw = bytes_.substr(0, 1);
        bytes_.remove_prefix(1);
        Event tail;
        tail.raw = raw;
        tail.tail = true;
        return tail;
      }
    }
  }
  while (at < end) {
    const char* const stop = skip_line(at, end);
    if (stop == end) {
      line_empty_ = false;
      break;
    }
    const bool blank = line_empty_ && stop == at;
    after_cr_ = *stop == '\r' && stop + 1 == end;
    at = stop + (*stop == '\r' && stop + 1 < end && stop[1] == '\n' ? 2 : 1);
    line_empty_ = true;
    if (!blank) continue;

    const auto length = static_cast<std::size_t>(at - begin);
    if (held_.size() + length > kMostBytes) {
      too_large_ = true;
      return std::nullopt;
    }
    std::string_view raw = bytes_.substr(0, length);
    if (!held_.empty()) {
      held_ += raw;
      raw = held_;
      release_held_ = true;
    }
    bytes_.remove_prefix(length);
    return parse(raw);
  }
  hold();
  return std::nullopt;
}

Event EventSplitter::parse(std::string_view raw) {
  Event event;
  event.raw = raw;
  const char* at = raw.data();
  const char* const end = at + raw.size();
  if (at_begin_ && raw.starts_with(kMark)) at += kMark.size();
  at_begin_ = false;
  std::size_t lines = 0;
  while (at < end) {
    const char* const stop = skip_line(at, end);
    std::string_view value(at, static_cast<std::size_t>(stop - at));
    at = stop + (end - stop >= 2 && stop[0] == '\r' && stop[1] == '\n' ? 2 : 1);
    const std::string_view name = value.substr(0, value.find(':'));
    value.remove_prefix(std::min(value.size(), name.size() + 1));
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (name == "data") {
      event.has_data = true;
      if (++lines == 1) {
        event.data = value;
        continue;
      }
      if (lines == 2) joined_ = event.data;
      joined_ += '\n';
      joined_ += value;
      event.data = joined_;
    } else if (name == "event") {
      event.name = value;
    }
  }
  return event;
}

// ---- the watched stream ------------------------------------------------------------------------

void StreamReader::pass(std::string_view raw) {
  if (!copied_ && within(raw, fed_)) {
    if (plain_.empty()) {
      plain_ = raw;
      return;
    }
    if (plain_.data() + plain_.size() == raw.data()) {
      plain_ = {plain_.data(), plain_.size() + raw.size()};
      return;
    }
  }
  if (!copied_) {
    out_ = plain_;
    copied_ = true;
  }
  out_ += raw;
}

void StreamReader::pass_without(std::string_view cut, const Event& event) {
  if (!copied_) {
    out_ = plain_;
    copied_ = true;
  }
  const std::string_view text = within(event.data, event.raw) ? event.raw : event.data;
  const auto before = static_cast<std::size_t>(cut.data() - text.data());
  if (text.data() == event.raw.data()) {
    out_ += text.substr(0, before);
    out_ += text.substr(before + cut.size());
    return;
  }
  // Data of several lines is written anew as one: between JSON's tokens a line's end is a space.
  if (!event.name.empty()) {
    out_ += "event: ";
    out_ += event.name;
    out_ += '\n';
  }
  out_ += "data: ";
  for (const char c : text.substr(0, before)) out_ += c == '\n' ? ' ' : c;
  for (const char c : text.substr(before + cut.size())) out_ += c == '\n' ? ' ' : c;
  out_ += "\n\n";
}

bool StreamReader::take(const Event& event) {
  if (event.tail) {
    if (!dropped_) pass(event.raw);
    return true;
  }
  dropped_ = done_ && event.has_data;
  if (dropped_) return true;
  if (event.data.empty()) {
    pass(event.raw);
    return true;
  }
  if (event.data == kDone) {
    done_ = true;
    pass(event.raw);
    return true;
  }
  // More data in the same event comes after the end: it would have been cut off from it, had the
  // line come alone.
  if (const std::size_t length = done_line(event.raw); length > 0) {
    done_ = dropped_ = true;
    pass(event.raw.substr(0, length));
    return true;
  }

  Outline outline;
  if (!read_outline(event.data, outline)) return false;
  ++chunks_;
  failed_ |= outline.error;
  content_filtered_ |= outline.content_filtered;
  tool_calls_ |= outline.tool_calls;
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    seen_[i] |= outline.seen[i];
    finished_[i] |= outline.finished[i];
  }
  if (outline.usage) usage_ = outline.usage;
  if (strip_usage_ && outline.usage_only()) {
    dropped_ = true;
  } else if (strip_usage_ && !outline.null_usage.empty()) {
    pass_without(outline.null_usage, event);
  } else {
    pass(event.raw);
  }
  return true;
}

Result<std::string_view> StreamReader::feed(std::string_view bytes) {
  if (!fault_.empty()) return fault();
  fed_ = bytes;
  plain_ = {};
  copied_ = false;
  if (out_.capacity() > kKept) {
    out_ = std::string();
  } else {
    out_.clear();
  }
  splitter_.feed(bytes);
  while (const auto event = splitter_.next()) {
    if (take(*event)) continue;
    fault_ = "an event of the engine's stream is not a JSON object";
    break;
  }
  if (splitter_.too_large()) fault_ = "an event of the engine's stream is larger than 1 MiB";
  if (!fault_.empty()) {
    // What came before it passes first.
    const std::string_view before = copied_ ? std::string_view(out_) : plain_;
    if (before.empty()) return fault();
    return before;
  }
  // Some engines end with this line and without the empty one behind it.
  if (!done_) {
    const std::string_view rest = splitter_.rest();
    if (const std::size_t length = done_line(rest); length > 0) {
      done_ = true;
      pass(rest.substr(0, length));
      splitter_.drop(length);
    }
  }
  return copied_ ? std::string_view(out_) : plain_;
}

Result<std::string> frames_without_usage(std::string_view frames) {
  StreamReader reader(true);
  const Result<std::string_view> passed = reader.feed(frames);
  if (!passed) return passed.error();
  if (reader.broken()) return reader.fault();
  return std::string(*passed);
}

}  // namespace penstock::dialect
