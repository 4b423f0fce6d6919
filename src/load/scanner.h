// Reads answers off a connection, strictly, and keeps of them only what a load test counts.
//
// Bytes are given as they come, cut anywhere. Nothing is stored but a line that was cut, of a
// stream the lines before its first token, and of a refusal's body the beginning.
//
//   status ── fields ──┬── counted body ─────────────────────┬── done
//                      ├── chunk size ── chunk ── ... ── 0 ──┤
//                      └── body until the connection ends ───┘
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::load {

class Scanner {
 public:
  // Begins a new answer.
  void reset();

  // Takes bytes up to the answer's end and returns how many that were: fewer than given only when
  // done() or broken() afterwards.
  std::size_t feed(std::string_view bytes);
  // The connection has ended. True if the answer was one that ends so, and is now done.
  bool end();

  bool begun() const { return state_ != State::status || !line_.empty(); }
  bool done() const { return state_ == State::done; }
  bool broken() const { return state_ == State::broken; }

  // Of the answer, as far as it has come.
  int status() const { return status_; }
  bool keep_alive() const { return keep_alive_; }
  bool event_stream() const { return event_stream_; }
  std::string_view cache() const {
    return {cache_, cache_size_};
  }  // of x-penstock-cache: first word
  std::uint64_t body_bytes() const { return body_bytes_; }
  std::string_view refusal() const {
    return refusal_;
  }  // a status of 400 or more: body's beginning

  // Of a stream: events that carry data, [DONE] aside.
  std::uint64_t events() const { return events_; }
  bool first_token() const { return first_token_; }  // some event carried text
  bool said_done() const { return said_done_; }
  bool said_error() const { return said_error_; }

 private:
  enum class State : std::uint8_t {
    status,
    fields,
    counted,
    chunk_size,
    chunk,
    chunk_end,
    trailers,
    until_end,
    done,
    broken,
  };

  void line(std::string_view text);
  bool status_line(std::string_view text);
  bool field(std::string_view text);
  void head_done();
  bool chunk_size(std::string_view text);
  void body(std::string_view bytes);
  void event_line(std::string_view text);

  State state_ = State::status;
  bool keep_alive_ = true;
  bool event_stream_ = false;
  bool chunked_ = false;
  bool has_length_ = false;
  bool first_token_ = false;
  bool said_done_ = false;
  bool said_error_ = false;
  bool event_has_data_ = false;
  std::uint8_t cache_size_ = 0;
  char cache_[16] = {};
  int status_ = 0;
  std::uint64_t left_ = 0;  // of the counted body or the chunk
  std::size_t head_bytes_ = 0;
  std::uint64_t body_bytes_ = 0;
  std::uint64_t events_ = 0;
  std::string line_;        // the beginning of a head or size line that was cut
  std::string event_line_;  // the same of a stream's line
  std::string refusal_;
};

}  // namespace penstock::load
