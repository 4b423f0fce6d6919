#include "http/server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <ctime>

#include "http/connection.h"

namespace penstock::http {
namespace {

constexpr std::size_t kSpareSessions = 16;  // kept for the next burst, a loop
constexpr Duration kAcceptPause = 100ms;

void two_digits(char* out, int number) {
  out[0] = static_cast<char>('0' + number / 10);
  out[1] = static_cast<char>('0' + number % 10);
}

}  // namespace

Error listen_error(const asio::ip::tcp::endpoint& endpoint, const boost::system::error_code& ec) {
  std::string address = endpoint.address().is_v6() ? "[" + endpoint.address().to_string() + "]"
                                                   : endpoint.address().to_string();
  address += ":" + std::to_string(endpoint.port());
  std::string why = ec.message();
  if (ec == asio::error::address_in_use) why = "the port is taken by another program";
  if (ec == asio::error::access_denied) why = "ports below 1024 need privileges";
  if (ec == boost::system::errc::address_not_available) why = "no such address on this machine";
  return {Kind::unreachable, Source::gateway, false, "cannot listen on " + address + ": " + why};
}

Result<void> claim(const asio::ip::tcp::endpoint& endpoint) {
  if (endpoint.port() == 0) return {};
  // A socket that does not share its port can tell.
  asio::io_context io;
  asio::ip::tcp::acceptor probe(io);
  boost::system::error_code ec;
  probe.open(endpoint.protocol(), ec);
  if (!ec) probe.set_option(asio::socket_base::reuse_address(true), ec);
  if (!ec) probe.bind(endpoint, ec);
  if (!ec) return {};
  return listen_error(endpoint, ec);
}

void write_date(std::int64_t unix_seconds, char* out) {
  const std::time_t time = unix_seconds;
  std::tm tm{};
  gmtime_r(&time, &tm);
  std::memcpy(out, "Sun, 00 Jan 0000 00:00:00 GMT", 29);
  std::memcpy(out, &"SunMonTueWedThuFriSat"[3 * tm.tm_wday], 3);
  two_digits(out + 5, tm.tm_mday);
  std::memcpy(out + 8, &"JanFebMarAprMayJunJulAugSepOctNovDec"[3 * tm.tm_mon], 3);
  two_digits(out + 12, (tm.tm_year + 1900) / 100);
  two_digits(out + 14, (tm.tm_year + 1900) % 100);
  two_digits(out + 17, tm.tm_hour);
  two_digits(out + 20, tm.tm_min);
  two_digits(out + 23, tm.tm_sec);
}

ServerMetrics::ServerMetrics(observe::Shard& shard)
    : connections(shard.counter("penstock_http_connections_total",
                                "Connections accepted since the start.", {{"protocol", "http1"}})),
      open(shard.gauge("penstock_http_open_connections", "Connections that are open now.",
                       {{"protocol", "http1"}})),
      aborts(shard.counter("penstock_http_client_aborts_total",
                           "Clients that left before their answer was complete.",
                           {{"protocol", "http1"}})) {}

Server::Server(Loop& loop, Handler& handler, const ServerLimits& limits, ServerMetrics metrics,
               ConnectionCount& count)
    : loop_(loop),
      handler_(handler),
      limits_(limits),
      metrics_(metrics),
      count_(count),
      acceptor_(loop.executor()),
      pause_(loop.executor()) {}

Server::~Server() {
  // The loop no longer runs: nothing will call back into a connection.
  while (first_ != nullptr) delete first_;
}

Result<asio::ip::tcp::endpoint> Server::listen(const asio::ip::tcp::endpoint& endpoint) {
  boost::system::error_code ec;
  const auto step = [&](auto&& act) {
    if (!ec) act();
  };
  step([&] { acceptor_.open(endpoint.protocol(), ec); });
  step([&] { acceptor_.set_option(asio::socket_base::reuse_address(true), ec); });
  step([&] {
    using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;
    acceptor_.set_option(ReusePort(true), ec);
  });
  step([&] { acceptor_.bind(endpoint, ec); });
  step([&] { acceptor_.listen(asio::socket_base::max_listen_connections, ec); });
  step([&] { acceptor_.non_blocking(true, ec); });
  if (ec) return listen_error(endpoint, ec);
  const auto bound = acceptor_.local_endpoint(ec);
  if (ec) return listen_error(endpoint, ec);
  accept();
  return bound;
}

void Server::accept() {
  if (accepting_ || paused_ || !acceptor_.is_open()) return;
  accepting_ = true;
  acceptor_.async_wait(TcpAcceptor::wait_read, [this](boost::system::error_code ec) {
    accepting_ = false;
    if (ec || !acceptor_.is_open()) return;
    // All that wait, but not for ever: what is connected wants to be served too.
    for (int i = 0; i < 64; ++i) {
      if (count_.fetch_add(1, std::memory_order_relaxed) >= limits_.connections) {
        count_.fetch_sub(1, std::memory_order_relaxed);
        pause_accept();
        break;
      }
      const int fd =
          ::accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
        accepted(fd);
        continue;
      }
      const int failure = errno;
      count_.fetch_sub(1, std::memory_order_relaxed);
      errno = failure;
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) pause_accept();
      break;
    }
    accept();
  });
}

// Trying again at once would spin; a connection that closes resumes it earlier.
void Server::pause_accept() {
  paused_ = true;
  pause_.expires_after(kAcceptPause);
  pause_.async_wait([this](boost::system::error_code cancelled) {
    if (!cancelled) resume_accept();
  });
}

void Server::accepted(int fd) {
  // Without it the last piece of a streamed answer waits for the client's delayed ACK.
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  auto* connection = new Connection(*this, fd);  // buried when closed
  connection->start();
}

void Server::bury(Connection& connection) {
  buried_.push_back(&connection);
  if (burial_posted_) return;
  burial_posted_ = true;
  asio::post(loop_.executor(), [this] { free_buried(); });
}

void Server::free_buried() {
  burial_posted_ = false;
  for (Connection* connection : std::exchange(buried_, {})) delete connection;
}

void Server::resume_accept() {
  if (!paused_) return;
  // Another server of the program may close the connection that makes room.
  if (count_.load(std::memory_order_relaxed) >= limits_.connections) return pause_accept();
  paused_ = false;
  accept();
}

void Server::drain() {
  if (draining_) return;
  draining_ = true;
  // What the kernel has already accepted for this listener would be reset by closing it.
  boost::system::error_code ec;
  while (acceptor_.is_open()) {
    const int fd =
        ::accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) break;
    count_.fetch_add(1, std::memory_order_relaxed);
    accepted(fd);
  }
  acceptor_.close(ec);
  pause_.cancel();
  for (Connection* connection = first_; connection != nullptr;) {
    Connection* const next = connection->next_;
    connection->drain();
    connection = next;
  }
}

void Server::call_off() {
  for (Connection* connection = first_; connection != nullptr;) {
    Connection* const next = connection->next_;
    connection->call_off();
    connection = next;
  }
}

void Server::close_all() {
  for (Connection* connection = first_; connection != nullptr;) {
    Connection* const next = connection->next_;
    connection->close();
    connection = next;
  }
}

std::unique_ptr<Server::Session> Server::take_session() {
  if (sessions_.empty()) return std::make_unique<Session>();
  std::unique_ptr<Session> session = std::move(sessions_.back());
  sessions_.pop_back();
  return session;
}

void Server::give_session(std::unique_ptr<Session> session) {
  // Grown ones go: what one large request needed is not kept for ever.
  constexpr std::size_t kOrdinary = Session::kInitial;
  if (sessions_.size() >= kSpareSessions || session->in.capacity() > 4 * kOrdinary) return;
  session->begin = session->end = session->out_sent = 0;
  session->body = Buffer{};
  session->tail = {};
  session->tail_owner.reset();
  session->out.clear();
  if (session->out.capacity() > 16 * kOrdinary) session->out = std::string();
  sessions_.push_back(std::move(session));
}

std::string_view Server::date() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  if (now.tv_sec != date_second_) {
    date_second_ = now.tv_sec;
    write_date(now.tv_sec, date_);
  }
  return {date_, sizeof date_};
}

}  // namespace penstock::http
