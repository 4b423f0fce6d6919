// A connection's answers on their way out: as much as the client takes, then waiting for it.

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>

#include "http/connection.h"

namespace penstock::http {

Connection::Sent Connection::send_out() {
  Server::Session& session = *session_;
  while (session.out_sent < session.out.size() || !session.tail.empty()) {
    ssize_t n;
    const std::size_t pending = session.out.size() - session.out_sent;
    if (session.tail.empty()) {
      n = ::send(fd_, session.out.data() + session.out_sent, pending, MSG_NOSIGNAL | MSG_DONTWAIT);
    } else {
      std::array<iovec, 2> pieces = {
          iovec{session.out.data() + session.out_sent, pending},
          iovec{const_cast<char*>(session.tail.data()), session.tail.size()}};
      msghdr message{};
      message.msg_iov = pieces.data();
      message.msg_iovlen = pieces.size();
      n = ::sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    if (n < 0) {
      if (errno == EINTR) continue;
      // It may take long: the answer's own place is not held for a slow client.
      session.settle_tail();
      return errno == EAGAIN || errno == EWOULDBLOCK ? Sent::blocked : Sent::failed;
    }
    const auto sent = static_cast<std::size_t>(n);
    session.out_sent += std::min(sent, pending);
    if (sent > pending) session.tail.remove_prefix(sent - pending);
  }
  session.tail_owner.reset();
  session.out.clear();
  session.out_sent = 0;
  return Sent::all;
}

// Sends what was answered, then goes on as `keep_alive_` says.
void Connection::flush() {
  const Sent sent = send_out();
  if (sent == Sent::failed) return close();
  if (sent == Sent::blocked) {
    state_ = State::flushing;
    server_.loop_.set(*this, Clock::now() + server_.limits_.write_stall);
    return;
  }
  if (ending_) return linger();
  state_ = State::reading;  // read() or the next event goes on
}

void Connection::flushed(Time now) {
  flush();
  if (state_ != State::reading) return;
  process(now);
  if (state_ == State::reading) read();
}

// Pieces of a streamed answer, behind what is pending. What the socket does not take is kept.
Connection::Sent Connection::send_behind(std::string_view a, std::string_view b,
                                         std::string_view c) {
  if (state_ == State::closed) return Sent::failed;
  Server::Session& session = *session_;
  session.settle_tail();
  const std::size_t pending = session.out.size() - session.out_sent;
  std::array<iovec, 4> pieces{};
  std::size_t count = 0;
  for (const std::string_view piece :
       {std::string_view(session.out).substr(session.out_sent), a, b, c}) {
    if (!piece.empty()) pieces[count++] = {const_cast<char*>(piece.data()), piece.size()};
  }
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = count;
  ssize_t n = 0;
  do {
    n = ::sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
    close();
    return Sent::failed;
  }
  std::size_t left = n < 0 ? 0 : static_cast<std::size_t>(n);
  if (left == pending + a.size() + b.size() + c.size()) {
    session.out.clear();
    session.out_sent = 0;
    return Sent::all;
  }
  const std::size_t of_pending = std::min(left, pending);
  session.out_sent += of_pending;
  left -= of_pending;
  for (std::string_view piece : {a, b, c}) {
    const std::size_t taken = std::min(left, piece.size());
    session.out += piece.substr(taken);
    left -= taken;
  }
  return Sent::blocked;
}

// Waits until all that was said is sent. False: nothing more can be said.
Task<bool> Connection::drained() {
  for (;;) {
    if (state_ == State::closed) co_return false;
    const Sent sent = send_out();
    if (sent == Sent::failed) {
      close();
      co_return false;
    }
    if (sent == Sent::all) co_return true;
    if (!deadline_->over()) {
      server_.loop_.set(*this, Clock::now() + server_.limits_.write_stall);
      const auto interrupt = [this] { server_.loop_.resume_soon(room_); };
      Deadline::Wait wait(*deadline_, interrupt);
      co_await room_;
    }
    server_.loop_.clear(*this);
    if (state_ == State::closed || deadline_->why() == Why::left) co_return false;
    if (!deadline_->over()) continue;
    // Called off by the drain or by time: what there is to say now is said if it can be.
    co_return session_->out.size() - session_->out_sent <= kPipelined;
  }
}

}  // namespace penstock::http
