// A connected byte stream to another server, TCP or TLS over it: engines, and what we store in.
//
// Taking what has come (`read`) and waiting for it (`readable`) are two calls; both sides of the
// socket are watched from its connection on, so that waiting costs no call of the kernel.
//
// OpenSSL is used on the socket itself (RFC 8446 by SSL_read and SSL_write, a BIO of our own that
// never raises SIGPIPE): so it can be asked, without waiting, whether anything has come on an idle
// stream, decrypted or not.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/deadline.h"
#include "base/loop.h"

namespace penstock::net {

// How the other side is verified: TLS 1.2 and 1.3, the system's certificates or those of one file.
// Shared by all loops.
class TlsClient {
 public:
  // `ca`: a file of certificates, or empty. `protocol`: what is offered by ALPN (RFC 7301), or
  // empty. The error names the file.
  static Result<std::shared_ptr<TlsClient>> make(const std::string& ca, std::string_view protocol);

 private:
  friend class Transport;
  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    void operator()(BIO_METHOD* method) const { BIO_meth_free(method); }
  };
  TlsClient() = default;
  std::unique_ptr<BIO_METHOD, Free> method_;
  std::unique_ptr<SSL_CTX, Free> context_;
};

// Belongs to a loop. Every wait is under a deadline; when that is over the stream is closed. One
// coroutine may read while another one writes.
class Transport final : private Poller::Socket {
 public:
  static constexpr std::size_t kMostPieces = 8;

  // `other`: whose fault it is when it does not work.
  explicit Transport(Loop& loop, Source other = Source::engine) : loop_(loop), other_(other) {}
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  ~Transport() override { close(); }

  Task<Result<void>> connect(const asio::ip::tcp::endpoint& endpoint, Deadline& deadline);
  // Behind connect(): proves that the other side is `host`, a name or an address. `tls` must
  // outlive the stream.
  Task<Result<void>> handshake(const TlsClient& tls, const std::string& host, Deadline& deadline);

  // All the pieces, in one call of the kernel where it takes them. An Error of kind broken leaves
  // a plain stream open: the other side may have answered before it stopped reading.
  // REQUIRES: at most kMostPieces.
  Task<Result<void>> write(std::span<const std::string_view> pieces, Deadline& deadline);
  // What has come, without waiting: at least one byte; 0 at the stream's end; nothing where it must
  // be waited for. A TLS stream that ends without its closing alert is an Error: anybody may have
  // cut it.
  std::optional<Result<std::size_t>> read(char* to, std::size_t room);
  // Waits until read() is worth another try.
  Task<Result<void>> readable(Deadline& deadline);

  // An idle stream may be used again if nothing has come on it: neither an end nor a byte.
  bool quiet();
  void close();
  int handle() const { return fd_; }

 private:
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };

  static int bio_read(BIO* bio, char* to, int room);
  static int bio_write(BIO* bio, const char* from, int size);
  static long bio_control(BIO* bio, int command, long number, void* pointer);
  friend class TlsClient;

  enum class Need : std::uint8_t { nothing, read, write };

  void on_event(bool readable, bool writable, bool hung_up) override;
  // Where one coroutine waits, and for what of the socket.
  struct Place {
    Waiter waiter{};
    Need need = Need::nothing;
  };
  bool met(Need need) const;
  bool due(const Place& place) const { return place.waiter.waited_for() && met(place.need); }
  Task<Result<void>> ready(Place& place, Need need, std::string_view what, Deadline& deadline);

  std::optional<Result<std::size_t>> read_plain(char* to, std::size_t room);
  std::optional<Result<std::size_t>> read_tls(char* to, std::size_t room);
  Task<Result<void>> write_plain(std::span<const std::string_view> pieces, Deadline& deadline);
  Task<Result<void>> write_tls(std::span<const std::string_view> pieces, Deadline& deadline);
  Task<Result<void>> write_record(std::string_view text, Deadline& deadline);
  Error broken(std::string_view what, std::string_view reason) const;
  // After OpenSSL returned `result`: what it must wait for; nothing at the stream's end.
  Result<Need> tls_needs(int result, std::string_view what);

  Loop& loop_;
  const Source other_;
  int fd_ = -1;
  Place reading_, writing_;
  Need read_needs_ = Need::read;  // TLS may have to write before it can read
  // What is known of the socket; false: the kernel said so, and will say when it changes.
  bool readable_ = false;
  bool writable_ = false;
  bool hung_up_ = false;
  bool ended_ = false;   // the other side ended the TCP stream
  bool failed_ = false;  // OpenSSL must not be used for it any more
  std::unique_ptr<SSL, Free> tls_;
};

}  // namespace penstock::net
