#include "http/transport.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>

namespace penstock::http {
namespace {

constexpr std::size_t kMostPieces = 8;

Error broken(std::string_view what, const boost::system::error_code& ec) {
  return {Kind::broken, Source::engine, false, std::string(what) + ": " + ec.message()};
}

std::string tls_reason(SSL* ssl, const boost::system::error_code& ec) {
  const long verified = SSL_get_verify_result(ssl);
  if (verified != X509_V_OK) return X509_verify_cert_error_string(verified);
  return ec.message();
}

}  // namespace

Result<std::shared_ptr<TlsClient>> TlsClient::make(const std::string& ca) {
  std::shared_ptr<TlsClient> tls(new TlsClient);
  boost::system::error_code ec;
  if (ca.empty()) {
    tls->context_.set_default_verify_paths(ec);
  } else {
    tls->context_.load_verify_file(ca, ec);
  }
  if (ec) {
    return Error{Kind::invalid, Source::gateway, false,
                 "the certificates in " + (ca.empty() ? "the system's store" : ca) +
                     " cannot be read: " + ec.message()};
  }
  SSL_CTX* const native = tls->context_.native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  static constexpr unsigned char kAlpn[] = "\x08http/1.1";
  SSL_CTX_set_alpn_protos(native, kAlpn, sizeof kAlpn - 1);
  tls->context_.set_verify_mode(asio::ssl::verify_peer, ec);
  return tls;
}

Task<Result<void>> Transport::connect(const asio::ip::tcp::endpoint& endpoint, Deadline& deadline) {
  if (deadline.over()) co_return deadline.error("connect", Source::engine);
  const auto interrupt = [this] { close(); };
  {
    Deadline::Wait wait(deadline, interrupt);
    const auto [ec] = co_await socket_.async_connect(endpoint, as_result);
    if (deadline.over()) co_return deadline.error("connect", Source::engine);
    if (ec) {
      close();
      co_return Error{Kind::unreachable, Source::engine, true, ec.message()};
    }
  }
  boost::system::error_code ignored;
  // Without it a request's second piece waits for the engine's delayed ACK.
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket_.native_non_blocking(true, ignored);
  co_return Result<void>();
}

Task<Result<void>> Transport::handshake(TlsClient& tls, const std::string& host,
                                        Deadline& deadline) {
  tls_ = std::make_unique<asio::ssl::stream<TcpSocket&>>(socket_, tls.context());
  boost::system::error_code address;
  asio::ip::make_address(host, address);
  if (address) {
    // SNI is for names only. The macro for this casts in C's way.
    SSL_ctrl(tls_->native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
             const_cast<char*>(host.c_str()));
  }
  boost::system::error_code ignored;
  tls_->set_verify_callback(asio::ssl::host_name_verification(host), ignored);
  const auto interrupt = [this] { close(); };
  Deadline::Wait wait(deadline, interrupt);
  const auto [ec] = co_await tls_->async_handshake(asio::ssl::stream_base::client, as_result);
  if (deadline.over()) co_return deadline.error("TLS handshake", Source::engine);
  if (ec) {
    const std::string reason = tls_reason(tls_->native_handle(), ec);
    close();
    co_return Error{Kind::unreachable, Source::engine, true, "TLS: " + reason};
  }
  co_return Result<void>();
}

Task<Result<void>> Transport::write(std::span<const std::string_view> pieces, Deadline& deadline) {
  if (deadline.over()) co_return deadline.error("send", Source::engine);
  if (!tls_) {
    Result<void> sent = co_await write_plain(pieces, deadline);
    co_return sent;
  }
  // One record where the pieces are small: each write to TLS makes its own.
  std::string joined;
  std::vector<asio::const_buffer> buffers;
  std::size_t total = 0;
  for (const std::string_view piece : pieces) total += piece.size();
  if (total <= 16 * 1024) {
    for (const std::string_view piece : pieces) joined += piece;
    buffers.emplace_back(joined.data(), joined.size());
  } else {
    for (const std::string_view piece : pieces) buffers.emplace_back(piece.data(), piece.size());
  }
  const auto interrupt = [this] { close(); };
  Deadline::Wait wait(deadline, interrupt);
  const auto [ec, n] = co_await asio::async_write(*tls_, buffers, as_result);
  if (deadline.over()) co_return deadline.error("send", Source::engine);
  if (ec) {
    close();
    co_return broken("send", ec);
  }
  co_return Result<void>();
}

Task<Result<void>> Transport::write_plain(std::span<const std::string_view> pieces,
                                          Deadline& deadline) {
  std::array<iovec, kMostPieces> left{};
  std::size_t count = 0;
  for (const std::string_view piece : pieces) {
    if (!piece.empty()) left[count++] = {const_cast<char*>(piece.data()), piece.size()};
  }
  std::size_t at = 0;
  while (at < count) {
    msghdr message{};
    message.msg_iov = &left[at];
    message.msg_iovlen = count - at;
    const ssize_t sent = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      auto taken = static_cast<std::size_t>(sent);
      while (at < count && taken >= left[at].iov_len) taken -= left[at++].iov_len;
      if (at < count) {
        left[at].iov_base = static_cast<char*>(left[at].iov_base) + taken;
        left[at].iov_len -= taken;
      }
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) {
      const boost::system::error_code ec(errno, boost::system::system_category());
      close();
      co_return broken("send", ec);
    }
    const auto interrupt = [this] { close(); };
    Deadline::Wait wait(deadline, interrupt);
    const auto [ec] = co_await socket_.async_wait(TcpSocket::wait_write, as_result);
    if (deadline.over()) co_return deadline.error("send", Source::engine);
    if (ec) {
      close();
      co_return broken("send", ec);
    }
  }
  co_return Result<void>();
}

Task<Result<std::size_t>> Transport::read(char* to, std::size_t room, Deadline& deadline) {
  if (deadline.over()) {
    close();
    co_return deadline.error("wait for the engine", Source::engine);
  }
  const auto interrupt = [this] { close(); };
  Deadline::Wait wait(deadline, interrupt);
  boost::system::error_code failed;
  std::size_t got = 0;
  if (tls_) {
    const auto [ec, n] = co_await tls_->async_read_some(asio::buffer(to, room), as_result);
    failed = ec;
    got = n;
  } else {
    const auto [ec, n] = co_await socket_.async_read_some(asio::buffer(to, room), as_result);
    failed = ec;
    got = n;
  }
  if (deadline.over()) co_return deadline.error("wait for the engine", Source::engine);
  if (failed == asio::error::eof) co_return std::size_t{0};
  // A TLS stream that ends without its closing alert may have been cut by anybody.
  if (failed) {
    close();
    co_return broken("read", failed);
  }
  co_return got;
}

bool Transport::quiet() {
  if (!socket_.is_open()) return false;
  char byte;
  const ssize_t n = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

void Transport::close() {
  boost::system::error_code ignored;
  socket_.close(ignored);
}

}  // namespace penstock::http
