// A connected byte stream to an engine: TCP, or TLS over it.
#pragma once

#include <boost/asio/ssl.hpp>
#include <memory>
#include <span>
#include <string>

#include "base/deadline.h"
#include "base/loop.h"
#include "http/url.h"

namespace penstock::http {

// How engines are verified: TLS 1.2 and 1.3, the system's certificates or those of one file.
class TlsClient {
 public:
  // `ca`: a file of certificates, or empty. The error names the file.
  static Result<std::shared_ptr<TlsClient>> make(const std::string& ca);
  asio::ssl::context& context() { return context_; }

 private:
  TlsClient() : context_(asio::ssl::context::tls_client) {}
  asio::ssl::context context_;
};

// Belongs to a loop. Every wait is under a deadline; after any error the stream is closed.
class Transport {
 public:
  explicit Transport(Loop& loop) : socket_(loop.executor()) {}

  Task<Result<void>> connect(const asio::ip::tcp::endpoint& endpoint, Deadline& deadline);
  // Behind connect(): proves that the other side is `host`.
  Task<Result<void>> handshake(TlsClient& tls, const std::string& host, Deadline& deadline);

  // All the pieces, at most eight, in one call of the kernel where it takes them.
  Task<Result<void>> write(std::span<const std::string_view> pieces, Deadline& deadline);
  // At least one byte; 0 at the stream's end.
  Task<Result<std::size_t>> read(char* to, std::size_t room, Deadline& deadline);

  // An idle stream may be used again if nothing has come on it: neither an end nor a byte.
  bool quiet();
  void close();
  int handle() { return socket_.native_handle(); }

 private:
  Task<Result<void>> write_plain(std::span<const std::string_view> pieces, Deadline& deadline);

  TcpSocket socket_;
  std::unique_ptr<asio::ssl::stream<TcpSocket&>> tls_;
};

}  // namespace penstock::http
