// Streamed answers: server-sent events (WHATWG HTML, section 9.2) of chat and text completions.
//
//   bytes --EventSplitter--> events --StreamReader--> the same bytes, and what they amount to
//   frames of a whole stream --assemble--> plain answer --split--> frames
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "exchange/exchange.h"

namespace penstock::dialect {

struct Event {
  std::string_view raw;   // with the empty line that ends it; comments and all
  std::string_view data;  // the data lines' values, joined by LF; empty if there are none
  std::string_view name;  // of the last event line, or empty
  // The LF of a CR LF whose CR ended the event before: belongs to that event, and is all of this.
  bool tail = false;
  bool has_data = false;  // there is a data line, be it an empty one
};

// Cuts bytes into events, however they were cut on their way. Lines end in LF, CR LF or CR.
//
//   splitter.feed(bytes);
//   while (auto event = splitter.next()) ...
class EventSplitter {
 public:
  static constexpr std::size_t kMostBytes = 1024 * 1024;  // of one event

  // `bytes` must stay valid until next() has returned nothing; until then no other feed.
  void feed(std::string_view bytes);
  // The next whole event, valid until the next call of next() or feed(); nothing when more bytes
  // are needed, or when too_large().
  std::optional<Event> next();
  // An event exceeds kMostBytes: there is no going on.
  bool too_large() const { return too_large_; }
  // What has come of an event that is not whole; valid once next() has returned nothing.
  std::string_view rest() const { return held_; }

  // Takes lines off the rest's beginning: what follows them is an event of its own.
  // REQUIRES: these bytes are whole lines.
  void drop(std::size_t length) { held_.erase(0, length); }

 private:
  Event parse(std::string_view raw);
  void hold();
  void let_go();

  std::string held_;           // an event's beginning, from earlier feeds
  std::string_view bytes_;     // of this feed, not yet cut
  std::string joined_;         // data of several lines
  bool line_empty_ = true;     // where bytes_ begins, nothing is on the line yet
  bool after_cr_ = false;      // the byte before bytes_ is a CR
  bool at_begin_ = true;       // of the stream: there may be a byte order mark
  bool release_held_ = false;  // held_ was given out
  bool too_large_ = false;
};

// Watches a stream of chat or text completions as it passes. Only whole events pass, so that an
// error event can follow at any time.
//
// `strip_usage`: the gateway asked for the usage on its own account, and takes out again what the
// client did not ask for: the chunk without choices that carries it, and "usage": null in the
// others. Every other byte passes as it came.
class StreamReader {
 public:
  explicit StreamReader(bool strip_usage = false) : strip_usage_(strip_usage) {}

  // What may pass now, perhaps nothing; valid until the next call and as long as `bytes`. An
  // Error (broken, source engine) if an event is no chunk, or too large; where good events came in
  // the same bytes those pass, and each later call is the Error. After [DONE] nothing but empty
  // lines passes.
  Result<std::string_view> feed(std::string_view bytes);
  bool broken() const { return !fault_.empty(); }  // there was such an event
  Error fault() const { return {Kind::broken, Source::engine, false, std::string(fault_)}; }

  bool done() const { return done_; }                          // [DONE] was there
  bool failed() const { return failed_; }                      // a chunk had a top-level error
  bool content_filtered() const { return content_filtered_; }  // some choice ended so
  bool tool_calls() const { return tool_calls_; }              // some choice calls a tool
  // Ended properly: [DONE], no error, at least one choice, and each one finished.
  bool whole() const { return done_ && !failed_ && seen_ != Choices{} && seen_ == finished_; }
  const std::optional<Usage>& usage() const { return usage_; }
  std::uint64_t chunks() const { return chunks_; }

 private:
  using Choices = std::array<std::uint64_t, 2>;  // a bit each; n is at most 128

  // False if the event is no chunk.
  bool take(const Event& event);
  void pass(std::string_view raw);
  void pass_without(std::string_view cut, const Event& event);

  EventSplitter splitter_;
  std::string_view fed_;    // the present bytes
  std::string_view plain_;  // what passes, while it is a part of them
  std::string out_;         // what passes, once it is not
  bool copied_ = false;     // it is not
  std::string_view fault_;  // a literal: why there is no going on
  bool strip_usage_;
  bool dropped_ = false;  // the last event did not pass
  bool done_ = false;
  bool failed_ = false;
  bool content_filtered_ = false;
  bool tool_calls_ = false;
  Choices seen_{};
  Choices finished_{};
  std::optional<Usage> usage_;
  std::uint64_t chunks_ = 0;
};

// The plain answer that the frames of a whole stream amount to: a chat.completion or
// text_completion object. Deltas are merged without knowing them all: strings are joined, but for
// role, id, type and the like; tool calls are merged by index; arrays (logprobs) are joined;
// reasoning_content and unknown fields are kept. An Error if the stream is not whole.
Result<std::string> assemble(std::string_view frames);

// The frames of a stream that would have brought this plain answer: role, content in pieces, tool
// calls, finish reason, with `include_usage` the usage, [DONE].
Result<std::string> split(std::string_view plain, bool include_usage);

// The frames without the usage that the client did not ask for. An Error if they are malformed.
Result<std::string> frames_without_usage(std::string_view frames);

}  // namespace penstock::dialect
