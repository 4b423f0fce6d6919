#include "net/transport.h"

#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/sleep.h"

namespace penstock::net {
namespace {

constexpr Duration kNoDescriptor = 20ms;    // between two tries
constexpr std::size_t kRecord = 16 * 1024;  // bytes of a TLS record (RFC 8446 section 5.1)

std::string errno_text(int number) {
  return boost::system::error_code(number, boost::system::system_category()).message();
}

// What went wrong in the last call of OpenSSL, in words for an operator.
std::string tls_reason(const SSL* ssl, int saved_errno) {
  const long verified = SSL_get_verify_result(ssl);
  if (verified != X509_V_OK) {
    return "its certificate is not accepted: " +
           std::string(X509_verify_cert_error_string(verified));
  }
  const unsigned long code = ERR_peek_last_error();
  if (code == 0) return saved_errno != 0 ? errno_text(saved_errno) : "the connection was closed";
  const char* const reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "error " + std::to_string(code);
}

}  // namespace

Error Transport::broken(std::string_view what, std::string_view reason) const {
  return {Kind::broken, other_, false, std::string(what) + ": " + std::string(reason)};
}

// ---- TLS over a socket -------------------------------------------------------------------------

int Transport::bio_read(BIO* bio, char* to, int room) {
  auto* const self = static_cast<Transport*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const ssize_t n =
      ::recv(self->handle(), to, static_cast<std::size_t>(std::max(room, 0)), MSG_DONTWAIT);
  if (n == 0) self->ended_ = true;
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
    if (errno != EINTR) self->readable_ = false;
    BIO_set_retry_read(bio);
  }
  return static_cast<int>(n);
}

int Transport::bio_write(BIO* bio, const char* from, int size) {
  auto* const self = static_cast<Transport*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const ssize_t n = ::send(self->handle(), from, static_cast<std::size_t>(std::max(size, 0)),
                           MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
    if (errno != EINTR) self->writable_ = false;
    BIO_set_retry_write(bio);
  }
  return static_cast<int>(n);
}

long Transport::bio_control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return static_cast<Transport*>(BIO_get_data(bio))->ended_ ? 1 : 0;
  return 0;
}

Result<std::shared_ptr<TlsClient>> TlsClient::make(const std::string& ca,
                                                   std::string_view protocol) {
  std::shared_ptr<TlsClient> tls(new TlsClient);
  const auto failed = [&](std::string_view what) {
    return Error{Kind::invalid, Source::gateway, false, std::string(what)};
  };
  tls->method_.reset(BIO_meth_new(BIO_TYPE_SOURCE_SINK, "penstock socket"));
  tls->context_.reset(SSL_CTX_new(TLS_client_method()));
  if (!tls->method_ || !tls->context_) return failed("TLS cannot be set up");
  BIO_meth_set_read(tls->method_.get(), Transport::bio_read);
  BIO_meth_set_write(tls->method_.get(), Transport::bio_write);
  BIO_meth_set_ctrl(tls->method_.get(), Transport::bio_control);

  SSL_CTX* const context = tls->context_.get();
  ERR_clear_error();
  const int loaded = ca.empty() ? SSL_CTX_set_default_verify_paths(context)
                                : SSL_CTX_load_verify_file(context, ca.c_str());
  if (loaded != 1) {
    const char* const reason = ERR_reason_error_string(ERR_peek_error());
    ERR_clear_error();
    return failed("the certificates in " + (ca.empty() ? "the system's store" : ca) +
                  " cannot be read: " + (reason != nullptr ? reason : "no reason given"));
  }
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  if (!protocol.empty()) {
    const std::string offered = static_cast<char>(protocol.size()) + std::string(protocol);
    SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(offered.data()),
                            static_cast<unsigned>(offered.size()));
  }
  // An idle connection holds no buffers; a write that has to wait may go on from another address.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return tls;
}

Task<Result<void>> Transport::handshake(const TlsClient& tls, const std::string& host,
                                        Deadline& deadline) {
  tls_.reset(SSL_new(tls.context_.get()));
  BIO* const bio = tls_ ? BIO_new(tls.method_.get()) : nullptr;
  if (bio == nullptr) {
    close();
    co_return Error{Kind::internal, Source::gateway, false, "TLS: out of memory"};
  }
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(tls_.get(), bio, bio);
  boost::system::error_code no_address;
  asio::ip::make_address(host, no_address);
  if (no_address) {
    SSL_set_hostflags(tls_.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    SSL_set1_host(tls_.get(), host.c_str());
    // SNI is for names only. The macro for this casts in C's way.
    SSL_ctrl(tls_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
             const_cast<char*>(host.c_str()));
  } else {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls_.get()), host.c_str());
  }
  for (;;) {
    if (deadline.over()) break;
    ERR_clear_error();
    const int done = SSL_connect(tls_.get());
    if (done == 1) co_return Result<void>();
    Result<Need> needs = tls_needs(done, "TLS handshake");
    if (needs && *needs != Need::nothing) {
      Result<void> waited = co_await ready(writing_, *needs, "TLS handshake", deadline);
      if (waited) continue;
      needs = std::move(waited).error();
    }
    Error error =
        needs ? broken("TLS handshake", "the connection was closed") : std::move(needs).error();
    if (error.kind == Kind::broken) {
      error.kind = Kind::unreachable;  // no request was sent
      error.retry = true;
    }
    close();
    co_return error;
  }
  close();
  co_return deadline.error("TLS handshake", other_);
}

Result<Transport::Need> Transport::tls_needs(int result, std::string_view what) {
  const int saved_errno = errno;
  const int why = SSL_get_error(tls_.get(), result);
  if (why == SSL_ERROR_ZERO_RETURN) return Need::nothing;
  if (why == SSL_ERROR_WANT_READ) return Need::read;
  if (why == SSL_ERROR_WANT_WRITE) return Need::write;
  std::string reason = tls_reason(tls_.get(), ended_ ? 0 : saved_errno);
  ERR_clear_error();
  // OpenSSL's words for bytes that are no TLS at all.
  if (reason == "wrong version number" && other_ == Source::engine) {
    reason += ": if it speaks no TLS, its url is http";
  }
  failed_ = true;
  close();
  return broken(what, reason);
}

Task<Result<void>> Transport::write_record(std::string_view text, Deadline& deadline) {
  while (!text.empty()) {
    if (deadline.over()) co_return deadline.error("send", other_);
    ERR_clear_error();
    const auto size = static_cast<int>(std::min<std::size_t>(text.size(), 1 << 30));
    const int n = SSL_write(tls_.get(), text.data(), size);
    if (n > 0) {
      text.remove_prefix(static_cast<std::size_t>(n));
      continue;
    }
    Result<Need> needs = tls_needs(n, "send");
    if (!needs) co_return std::move(needs).error();
    if (*needs == Need::nothing) {
      close();
      co_return broken("send", "the other side closed the connection");
    }
    Result<void> waited = co_await ready(writing_, *needs, "send", deadline);
    if (!waited) co_return waited;
  }
  co_return Result<void>();
}

Task<Result<void>> Transport::write_tls(std::span<const std::string_view> pieces,
                                        Deadline& deadline) {
  // Each write makes a record of its own: what is small goes out together.
  std::string together;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    std::string_view piece = pieces[i];
    if (together.size() + piece.size() > kRecord && !together.empty()) {
      Result<void> sent = co_await write_record(together, deadline);
      if (!sent) co_return sent;
      together.clear();
    }
    if (piece.size() < kRecord) {
      together += piece;
      continue;
    }
    Result<void> sent = co_await write_record(piece, deadline);
    if (!sent) co_return sent;
  }
  Result<void> sent = co_await write_record(together, deadline);
  co_return sent;
}

// ---- the socket --------------------------------------------------------------------------------

void Transport::on_event(bool readable, bool writable, bool hung_up) {
  hung_up_ = hung_up_ || hung_up;
  readable_ = readable_ || readable || hung_up;
  writable_ = writable_ || writable || hung_up;
  const bool read = due(reading_);
  // Whoever is resumed may end the stream, and this with it: the other one goes on later.
  if (due(writing_)) {
    if (!read) return writing_.waiter.resume();
    loop_.resume_soon(writing_.waiter);
  }
  if (read) reading_.waiter.resume();
}

bool Transport::met(Need need) const { return need == Need::write ? writable_ : readable_; }

Task<Result<void>> Transport::ready(Place& place, Need need, std::string_view what,
                                    Deadline& deadline) {
  while (fd_ >= 0 && !met(need) && !deadline.over()) {
    const auto interrupt = [this] { close(); };
    Deadline::Wait wait(deadline, interrupt);
    place.need = need;
    co_await place.waiter;
  }
  if (deadline.over()) {
    close();
    co_return deadline.error(what, other_);
  }
  if (fd_ < 0) co_return broken(what, "the connection is closed");
  co_return Result<void>();
}

Task<Result<void>> Transport::connect(const asio::ip::tcp::endpoint& endpoint, Deadline& deadline) {
  if (deadline.over()) co_return deadline.error("connect", other_);
  const auto unreachable = [this](int number) {
    close();
    return Error{Kind::unreachable, other_, true, errno_text(number)};
  };
  for (;;) {
    fd_ = ::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ >= 0) break;
    // All file descriptors are in use: that says nothing of the engine, and connections end all the
    // time. Whoever is at the limit waits for a moment instead of being refused.
    const int failure = errno;
    if ((failure != EMFILE && failure != ENFILE) || deadline.over()) co_return unreachable(failure);
    co_await sleep_until(Clock::now() + kNoDescriptor, deadline);
  }
  readable_ = writable_ = hung_up_ = ended_ = failed_ = false;
  const int connected = ::connect(fd_, endpoint.data(), static_cast<socklen_t>(endpoint.size()));
  if (connected != 0 && errno != EINPROGRESS) co_return unreachable(errno);
  if (!loop_.poller().add(fd_, *this)) co_return unreachable(errno);
  Result<void> done = co_await ready(writing_, Need::write, "connect", deadline);
  if (!done) co_return done;
  int failure = 0;
  socklen_t size = sizeof failure;
  ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &failure, &size);
  if (failure != 0) co_return unreachable(failure);
  const auto set = [this](int level, int name, int value) {
    ::setsockopt(fd_, level, name, &value, sizeof value);
  };
  // Without it a request's second piece waits for the engine's delayed ACK.
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  // An answer may take minutes in which nothing is sent: what stands between forgets connections
  // that are silent for so long, and an engine whose machine is gone would never be noticed.
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 60);  // seconds
  set(IPPROTO_TCP, TCP_KEEPINTVL, 15);
  co_return Result<void>();
}

// ---- the stream --------------------------------------------------------------------------------

Task<Result<void>> Transport::write(std::span<const std::string_view> pieces, Deadline& deadline) {
  if (deadline.over()) {
    close();
    co_return deadline.error("send", other_);
  }
  if (tls_) {
    Result<void> sent = co_await write_tls(pieces, deadline);
    co_return sent;
  }
  Result<void> sent = co_await write_plain(pieces, deadline);
  co_return sent;
}

Task<Result<void>> Transport::write_plain(std::span<const std::string_view> pieces,
                                          Deadline& deadline) {
  std::array<iovec, kMostPieces> left;
  std::size_t count = 0;
  for (const std::string_view piece : pieces) {
    if (!piece.empty()) left[count++] = {const_cast<char*>(piece.data()), piece.size()};
  }
  std::size_t at = 0;
  while (at < count) {
    msghdr message{};
    message.msg_iov = &left[at];
    message.msg_iovlen = count - at;
    const ssize_t sent = ::sendmsg(handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
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
    if (errno != EAGAIN && errno != EWOULDBLOCK) co_return broken("send", errno_text(errno));
    writable_ = false;
    Result<void> waited = co_await ready(writing_, Need::write, "send", deadline);
    if (!waited) co_return waited;
  }
  co_return Result<void>();
}

std::optional<Result<std::size_t>> Transport::read(char* to, std::size_t room) {
  if (fd_ < 0) return broken("read", "the connection is closed");
  return tls_ ? read_tls(to, room) : read_plain(to, room);
}

std::optional<Result<std::size_t>> Transport::read_plain(char* to, std::size_t room) {
  while (readable_) {
    const ssize_t n = ::recv(fd_, to, room, MSG_DONTWAIT);
    if (n >= 0) {
      // Less than there was room for: the socket is empty, and what comes later is another event.
      // An end that was announced is still to be read.
      const auto got = static_cast<std::size_t>(n);
      if (got < room) readable_ = hung_up_;
      return got;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) {
      const std::string reason = errno_text(errno);
      close();
      return broken("read", reason);
    }
    readable_ = false;
  }
  return std::nullopt;
}

std::optional<Result<std::size_t>> Transport::read_tls(char* to, std::size_t room) {
  ERR_clear_error();
  const int n = SSL_read(tls_.get(), to, static_cast<int>(std::min<std::size_t>(room, 1 << 30)));
  if (n > 0) return static_cast<std::size_t>(n);
  Result<Need> needs = tls_needs(n, "read");
  if (!needs) return std::move(needs).error();
  if (*needs == Need::nothing) return std::size_t{0};
  read_needs_ = *needs;
  return std::nullopt;
}

Task<Result<void>> Transport::readable(Deadline& deadline) {
  return ready(reading_, tls_ ? read_needs_ : Need::read,
               other_ == Source::engine ? "wait for the engine" : "wait for an answer", deadline);
}

bool Transport::quiet() {
  if (fd_ < 0 || hung_up_) return false;
  char byte;
  if (tls_) {
    // Also takes what is not for us: session tickets come behind the handshake.
    ERR_clear_error();
    const int n = SSL_peek(tls_.get(), &byte, 1);
    const bool quiet = n <= 0 && SSL_get_error(tls_.get(), n) == SSL_ERROR_WANT_READ;
    ERR_clear_error();
    return quiet;
  }
  const ssize_t n = ::recv(handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

void Transport::close() {
  if (fd_ < 0) return;
  if (tls_ && !failed_ && SSL_is_init_finished(tls_.get())) {
    ERR_clear_error();
    SSL_shutdown(tls_.get());  // the closing alert, if the kernel takes it at once
    ERR_clear_error();
  }
  loop_.poller().remove(*this);
  ::close(std::exchange(fd_, -1));
  loop_.resume_soon(reading_.waiter);
  loop_.resume_soon(writing_.waiter);
}

}  // namespace penstock::net
