#include "http/connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

namespace penstock::http {
namespace {

constexpr Duration kCoolAfter = 200ms;  // without a byte: give the buffers back
constexpr Duration kLinger = 1s;        // how long, and how much, is read and thrown away
constexpr std::uint64_t kLingerBytes = 8 * 1024 * 1024;
constexpr int kReadsAtOnce = 8;           // before others have their turn
constexpr std::size_t kChunkRoom = 1024;  // behind a head, for the body's chunks
constexpr Duration kLookAtRate = 1s;
constexpr Duration kRateGrace = 10s;          // a body may be slow for so long,
constexpr std::size_t kBodyKept = 64 * 1024;  // a buffer up to this is used again
constexpr std::uint64_t kBodyRate = 1024;     // then it must have come at this rate, bytes/s

}  // namespace

Connection::Connection(Server& server, int fd) : server_(server), fd_(fd) {
  next_ = server_.first_;
  if (next_ != nullptr) next_->previous_ = this;
  server_.first_ = this;
  ++server_.open_;
  server_.metrics_.connections.add();
  server_.metrics_.open.set(static_cast<double>(server_.open_));
}

Connection::~Connection() {
  if (fd_ >= 0) ::close(fd_);
  if (previous_ != nullptr) {
    previous_->next_ = next_;
  } else {
    server_.first_ = next_;
  }
  if (next_ != nullptr) next_->previous_ = previous_;
  if (session_) server_.give_session(std::move(session_));
}

void Connection::start() {
  // Nothing of a request has come; a client that only connects has no longer than a slow one.
  timeout_at_ = Clock::now() + server_.limits_.first_header;
  head_timer_ = true;
  server_.loop_.set(*this, timeout_at_);
  if (!server_.loop_.poller().add(fd_, *this)) close();
}

// ---- reading -----------------------------------------------------------------------------

void Connection::on_event(bool readable, bool writable, bool hung_up) {
  readable_ = readable_ || readable || hung_up;
  hung_up_ = hung_up_ || hung_up;
  switch (state_) {
    case State::cold:
      if (!readable_) return;
      session_ = server_.take_session();
      state_ = State::reading;
      return read();
    case State::reading: return read();
    case State::lingering: return discard();
    case State::serving:
      if (hung_up_ && !left_) {
        left_ = true;
        server_.metrics_.aborts.add();
        if (deadline_ != nullptr) deadline_->call_off(Why::left);
      }
      if (writable && room_.waited_for()) room_.resume();
      return;
    case State::flushing:
      if (writable) flushed(Clock::now());
      return;
    case State::closed: return;
  }
}

// Reads what there is, and goes on with it. A read that fills less than its room has emptied the
// socket: what comes later is another event.
void Connection::read() {
  for (int reads = 0; readable_ && state_ == State::reading; ++reads) {
    if (reads == kReadsAtOnce) return read_later();
    Server::Session& session = *session_;
    char* to = session.in.data() + session.end;
    std::size_t room = session.in.capacity() - session.end;
    if (body_apart_ && need_ == Need::body) {
      to = session.body.data() + body_have_;
      room = static_cast<std::size_t>(body_need_ - body_have_);
    }
    const ssize_t n = ::recv(fd_, to, room, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      readable_ = false;
      return;
    }
    if (n <= 0) return close();  // the end, in the middle of whatever it was
    const auto got = static_cast<std::size_t>(n);
    // An end that was announced is still to be read.
    if (got < room) readable_ = hung_up_;
    if (body_apart_ && need_ == Need::body) {
      body_have_ += got;
    } else {
      session.end += got;
    }
    process(Clock::now());
  }
}

// A client that sends faster than it is answered never empties its socket: the others have their
// turn.
void Connection::read_later() {
  if (yielded_) return;
  yielded_ = true;
  asio::post(server_.loop_.executor(), [this] {
    yielded_ = false;
    if (state_ == State::closed) return maybe_destroy();
    on_event(false, false, false);  // whatever it does now
  });
}

// Behind the last answer: until the client has closed too, so that it is not reset.
void Connection::discard() {
  std::array<char, 16 * 1024> bin;
  while (readable_) {
    const ssize_t n = ::recv(fd_, bin.data(), bin.size(), MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      readable_ = false;
      return;
    }
    if (n <= 0) return close();
    discarded_ += static_cast<std::uint64_t>(n);
    if (discarded_ > kLingerBytes) return close();
  }
}

// Without bytes and without a request: nothing is held but the connection itself.
void Connection::go_cold() {
  server_.give_session(std::move(session_));
  state_ = State::cold;
}

void Connection::process(Time now) {
  for (;;) {
    if (!take_request(now)) {
      if (state_ == State::reading) flush();
      return;
    }
    Server::Session& session = *session_;
    session.request.received = now;
    if (promised_ > 0) keep_promise(true);
    answered_ = true;
    reply_.reset();
    if (!server_.handler_.answer_now(session.request, reply_) && !serve()) return;
    finish_request();
    if (ending_ || session.out.size() - session.out_sent + session.tail.size() > kPipelined) {
      return flush();
    }
  }
}

bool Connection::take_request(Time now) {
  Server::Session& session = *session_;
  if (need_ == Need::chunks) return take_chunks(now);
  if (need_ == Need::body) {
    const std::uint64_t have = body_apart_ ? body_have_ : session.end - (request_end_ - body_need_);
    if (have < body_need_) {
      body_have_ = have;
      want_more(now);
      return false;
    }
    if (body_apart_) {
      session.request.body = {session.body.data(), static_cast<std::size_t>(body_need_)};
    }
    return true;
  }

  if (session.begin == session.end) {
    session.begin = session.end = 0;
    if (server_.draining_ && answered_) ending_ = true;  // it waited for its answer to be sent
    want_more(now);
    return false;
  }
  RequestHead& head = session.request.head;
  understood_ = false;
  const Parsed parsed = parse_request(session.in.data() + session.begin,
                                      session.end - session.begin, server_.limits_.head, head);
  if (parsed.progress == Progress::bad) {
    refuse(parsed.bad);
    return false;
  }
  if (parsed.progress == Progress::more) {
    if (session.begin > 0) {
      std::memmove(session.in.data(), session.in.data() + session.begin,
                   session.end - session.begin);
      session.end -= session.begin;
      session.begin = 0;
    }
    if (session.end == session.in.capacity()) {
      session.in.resize(session.in.capacity() * 2, session.end);
    }
    if (!head_timer_) {
      head_timer_ = true;
      timeout_at_ = now + server_.limits_.first_header;
    }
    want_more(now);
    return false;
  }
  understood_ = true;
  const Framing framing = judge_request(head);
  if (framing.bad) {
    refuse(*framing.bad);
    return false;
  }
  keep_alive_ = framing.keep_alive && !server_.draining_;
  session.request.keep_alive = keep_alive_;
  return begin_body(framing, parsed.length, now);
}

bool Connection::begin_body(const Framing& framing, std::size_t head_length, Time now) {
  Server::Session& session = *session_;
  const std::size_t body_at = session.begin + head_length;
  if (framing.end == BodyEnd::none) {
    session.request.body = {};
    request_end_ = body_at;
    return true;
  }
  if (framing.length > server_.limits_.body_bytes) {
    refuse({413, "the body is too large", Limit::body});
    return false;
  }
  if (framing.end != BodyEnd::chunked && !promise(framing.length)) return false;
  const std::size_t have = session.end - body_at;
  if (framing.expect_continue && have == 0) {
    session.out += "HTTP/1.1 100 Continue\r\n\r\n";
  }
  timeout_at_ = now + server_.limits_.body;
  body_began_ = now;
  look_at_ = now + kLookAtRate;
  body_have_ = have;
  if (framing.end == BodyEnd::chunked) {
    // Chunks are read behind the head, again and again: there must be room. The head is found again
    // where it lies then.
    if (session.in.capacity() - body_at < kChunkRoom) {
      session.in.resize(body_at + std::max(have, kChunkRoom), session.end);
      (void)parse_request(session.in.data() + session.begin, head_length, server_.limits_.head,
                          session.request.head);
    }
    need_ = Need::chunks;
    chunks_ = ChunkedDecoder{};
    chunk_cursor_ = body_at;
    request_end_ = body_at;
    body_have_ = 0;
    return take_chunks(now);
  }
  body_need_ = framing.length;
  const auto length = static_cast<std::size_t>(framing.length);
  if (have >= length) {
    session.request.body = {session.in.data() + body_at, length};
    request_end_ = body_at + length;
    return true;
  }
  need_ = Need::body;
  if (body_at + length <= session.in.capacity()) {
    session.request.body = {session.in.data() + body_at, length};
    request_end_ = body_at + length;
  } else {
    // Read straight into a buffer of its size: a large body is never moved again.
    if (session.body.capacity() < length) session.body = Buffer(length);
    std::memcpy(session.body.data(), session.in.data() + body_at, have);
    session.end = request_end_ = body_at;
    body_apart_ = true;
  }
  want_more(now);
  return false;
}

// Room for a body of so many bytes in all. A small one is never asked about. False: it was refused.
bool Connection::promise(std::uint64_t bytes) {
  MemoryGate* const gate = server_.limits_.memory;
  if (gate == nullptr || bytes <= promised_ || bytes <= kBodyKept) return true;
  if (!gate->take(bytes - promised_)) {
    refuse({503, "there is no memory left for the body"});
    return false;
  }
  promised_ = bytes;
  return true;
}

// Its body has come, or will not.
void Connection::keep_promise(bool came) {
  MemoryGate* const gate = server_.limits_.memory;
  if (promised_ == 0 || gate == nullptr) return;
  const std::uint64_t bytes = std::exchange(promised_, 0);
  came ? gate->come(bytes) : gate->give(bytes);
}

bool Connection::take_chunks(Time now) {
  Server::Session& session = *session_;
  body_apart_ = false;
  for (;;) {
    const ChunkedDecoder::Step step =
        chunks_.next({session.in.data() + chunk_cursor_, session.end - chunk_cursor_});
    chunk_cursor_ += step.consumed;
    if (step.state == ChunkedDecoder::State::bad) {
      refuse({400, "the chunked body is malformed"});
      return false;
    }
    if (!step.data.empty()) {
      const std::uint64_t size = body_have_ + step.data.size();
      if (size > server_.limits_.body_bytes) {
        refuse({413, "the body is too large", Limit::body});
        return false;
      }
      if (size > session.body.capacity()) {
        if (!promise(size * 2)) return false;
        const std::uint64_t doubled = std::max<std::uint64_t>(size, session.body.capacity() * 2);
        session.body.resize(
            static_cast<std::size_t>(
                std::min(std::max<std::uint64_t>(doubled, 4096), server_.limits_.body_bytes)),
            static_cast<std::size_t>(body_have_));
      }
      std::memcpy(session.body.data() + body_have_, step.data.data(), step.data.size());
      body_have_ = size;
    }
    if (step.state == ChunkedDecoder::State::end) {
      session.request.body = {session.body.data(), static_cast<std::size_t>(body_have_)};
      request_end_ = chunk_cursor_;
      return true;
    }
    if (step.state == ChunkedDecoder::State::more) {
      // All consumed: the place behind the head is used again for what comes next.
      session.end = chunk_cursor_ = request_end_;
      want_more(now);
      return false;
    }
  }
}

// The state stays `reading`; the caller flushes what there is to say, then reads on.
void Connection::want_more(Time now) {
  Time at = timeout_at_;
  if (need_ != Need::head) {
    timeout_at_ = now + server_.limits_.body;
    at = std::min(timeout_at_, look_at_);
  } else if (!head_timer_) {
    timeout_at_ = now + server_.limits_.idle;
    at = std::min(timeout_at_, now + kCoolAfter);
  }
  server_.loop_.set(*this, at);
}

// ---- serving -----------------------------------------------------------------------------

bool Connection::serve() {
  state_ = State::serving;
  server_.loop_.clear(*this);
  // What was answered before this one need not wait for it.
  if (send_out() == Sent::failed) {
    close();
    return false;
  }
  running_ = starting_ = true;
  left_ = hung_up_;
  server_.loop_.spawn(run());
  starting_ = false;
  if (running_) return false;
  if (state_ != State::serving || !reply_.finished_) {
    close();  // cut short: the client must see it
    return false;
  }
  state_ = State::reading;
  return true;
}

Task<void> Connection::run() {
  {
    Deadline deadline(server_.loop_, Time::max());
    deadline_ = &deadline;
    if (left_) deadline.call_off(Why::left);
    co_await server_.handler_.serve(session_->request, reply_, deadline);
    deadline_ = nullptr;
  }
  running_ = false;
  if (!starting_) served();
}

// It had to wait for its answer.
void Connection::served() {
  if (state_ == State::closed) return maybe_destroy();
  if (!reply_.finished_) return close();
  state_ = State::reading;
  finish_request();
  if (ending_) return flush();
  process(Clock::now());
  if (state_ == State::reading) read();
}

void Connection::finish_request() {
  Server::Session& session = *session_;
  ending_ = !keep_alive_;
  understood_ = false;
  session.begin = request_end_;
  need_ = Need::head;
  body_apart_ = false;
  head_timer_ = false;
  if (session.body.capacity() > kBodyKept) session.body = Buffer{};
}

void Connection::refuse(const BadMessage& bad) {
  keep_promise(false);
  keep_alive_ = false;
  ending_ = true;
  reply_.reset();
  reply_.head_only_ = false;  // the head was not understood
  static const RequestHead kNone;
  server_.handler_.refuse(bad, understood_ ? session_->request.head : kNone, reply_);
  flush();
}

void Connection::call_off() {
  if (deadline_ != nullptr) deadline_->call_off(Why::draining);
}

void Connection::drain() {
  keep_alive_ = false;
  const bool idle = state_ == State::cold || (state_ == State::reading && need_ == Need::head &&
                                              answered_ && session_->begin == session_->end);
  // What has come and is not read yet is a request, and the last one.
  char byte = 0;
  if (idle && ::recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0) close();
}

// ---- its end -----------------------------------------------------------------------------

// RFC 9112 section 9.6: closing with unread bytes in the socket would reset the connection, and
// the client might never see the answer.
void Connection::linger() {
  ::shutdown(fd_, SHUT_WR);
  state_ = State::lingering;
  server_.loop_.set(*this, Clock::now() + kLinger);
  discard();
}

void Connection::close() {
  if (state_ != State::closed) {
    state_ = State::closed;
    keep_promise(false);
    server_.loop_.clear(*this);
    server_.loop_.poller().remove(*this);
    ::close(std::exchange(fd_, -1));
    --server_.open_;
    server_.count_.fetch_sub(1, std::memory_order_relaxed);
    server_.metrics_.open.set(static_cast<double>(server_.open_));
    if (deadline_ != nullptr) deadline_->call_off(Why::left);
    server_.resume_accept();
  }
  maybe_destroy();
}

// A connection may close itself deep inside its own call: it is freed when that has returned.
void Connection::maybe_destroy() {
  if (!running_ && !yielded_ && !buried_) {
    buried_ = true;
    server_.bury(*this);
  }
}

void Connection::ring(Time now) {
  switch (state_) {
    case State::closed: return;
    case State::lingering:
    case State::flushing:
    case State::serving:  // a client that takes no byte
      return close();
    case State::cold:
      if (now < timeout_at_) return server_.loop_.set(*this, timeout_at_);
      if (answered_) return close();
      session_ = server_.take_session();
      return refuse({408, "no whole head came in time", Limit::head_time, true});
    case State::reading: break;
  }
  if (need_ != Need::head) {
    const Duration spent = now - body_began_;
    const bool slow = spent > kRateGrace &&
                      body_have_ < kBodyRate * static_cast<std::uint64_t>(spent / Duration(1s));
    if (now >= timeout_at_ || slow)
      return refuse({408, "the body did not come in time", Limit::body_time});
    look_at_ = now + kLookAtRate;
    return server_.loop_.set(*this, std::min(timeout_at_, look_at_));
  }
  if (now >= timeout_at_) {
    const bool nothing = session_->begin == session_->end;
    return head_timer_ ? refuse({408, "no whole head came in time", Limit::head_time, nothing})
                       : close();
  }
  server_.loop_.set(*this, timeout_at_);
  if (!head_timer_ && session_->begin == session_->end) go_cold();
}

}  // namespace penstock::http
