// For tests: an engine that does what a script says, over real sockets, and a loop to ask it on.
//
//   FakeEngine engine([](Wire& wire) {
//     wire.request();
//     wire.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
//   });
//
// The script runs once a connection, on a thread of its own, with blocking calls; when it returns
// the connection is closed. Each blocking call gives up after five seconds.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <functional>
#include <future>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/deadline.h"
#include "base/loop.h"
#include "base/loop_testing.h"

namespace penstock::http {

// An engine's end of a connection.
class Wire {
 public:
  Wire(int fd, int number, SSL_CTX* tls) : number_(number), fd_(fd) {
    const timeval patience{5, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    const int at_once = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
    if (tls == nullptr) return;
    tls_ = SSL_new(tls);
    SSL_set_fd(tls_, fd_);
    if (SSL_accept(tls_) != 1) close();
  }
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;
  ~Wire() { close(); }

  int number() const { return number_; }  // connections count from 0
  int fd() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  SSL* tls() { return tls_; }

  // Up to the empty line; "" if the other side ends before.
  std::string head() {
    std::size_t end = std::string::npos;
    while ((end = in_.find("\r\n\r\n")) == std::string::npos) {
      if (!more()) return {};
    }
    return cut(end + 4);
  }
  // A request with its Content-Length body.
  std::string request() {
    std::string text = head();
    const std::size_t at = text.find("content-length: ");
    if (at == std::string::npos) return text;
    const std::size_t length = std::stoul(text.substr(at + 16));
    while (in_.size() < length) {
      if (!more()) return {};
    }
    return text + cut(length);
  }
  // False when the other side has gone.
  bool send(std::string_view text) {
    while (!text.empty()) {
      if (!open()) return false;
      const ssize_t n = tls_ != nullptr
                            ? SSL_write(tls_, text.data(), static_cast<int>(text.size()))
                            : ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  // True when the other side ends (or resets) the connection, whatever it sends before.
  bool ended() {
    for (;;) {
      if (!open()) return true;
      std::array<char, 65536> sink;
      const ssize_t n = tls_ != nullptr ? SSL_read(tls_, sink.data(), sink.size())
                                        : ::recv(fd_, sink.data(), sink.size(), 0);
      if (n > 0) continue;
      return n == 0 || tls_ != nullptr || (errno != EAGAIN && errno != EWOULDBLOCK);
    }
  }
  void finish() { ::shutdown(fd_, SHUT_WR); }
  void reset() {
    const linger hard{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    ::close(std::exchange(fd_, -1));
  }
  void close() {
    if (tls_ != nullptr) {
      SSL_shutdown(tls_);
      SSL_free(std::exchange(tls_, nullptr));
    }
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  bool more() {
    if (!open()) return false;
    std::array<char, 65536> piece;
    const ssize_t n = tls_ != nullptr ? SSL_read(tls_, piece.data(), piece.size())
                                      : ::recv(fd_, piece.data(), piece.size(), 0);
    if (n > 0) in_.append(piece.data(), static_cast<std::size_t>(n));
    return n > 0;
  }
  std::string cut(std::size_t size) {
    std::string text = in_.substr(0, size);
    in_.erase(0, size);
    return text;
  }

  int number_;
  int fd_;
  SSL* tls_ = nullptr;
  std::string in_;
};

class FakeEngine {
 public:
  using Script = std::function<void(Wire&)>;

  explicit FakeEngine(Script script, SSL_CTX* tls = nullptr)
      : script_(std::move(script)), tls_(tls), fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    ::signal(SIGPIPE, SIG_IGN);  // OpenSSL's own writes, on the engine's side
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(fd_, 128), 0);
    EXPECT_EQ(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    EXPECT_EQ(::pipe(stop_), 0);
    acceptor_ = std::thread([this] { accept(); });
  }
  FakeEngine(const FakeEngine&) = delete;
  FakeEngine& operator=(const FakeEngine&) = delete;
  // Waits for the scripts: those whose other side has gone end at once.
  ~FakeEngine() {
    ::close(stop_[1]);
    acceptor_.join();
    for (std::thread& thread : threads_) thread.join();
    ::close(stop_[0]);
    ::close(fd_);
  }

  std::uint16_t port() const { return port_; }
  int connections() const { return connections_; }  // whose scripts have begun
  bool reached(int connections) const {
    for (int ms = 0; connections_ < connections && ms < 5000; ++ms) ::poll(nullptr, 0, 1);
    return connections_ == connections;
  }

 private:
  void accept() {
    for (;;) {
      std::array<pollfd, 2> wait = {pollfd{fd_, POLLIN, 0}, pollfd{stop_[0], POLLIN, 0}};
      ::poll(wait.data(), wait.size(), -1);
      if (wait[1].revents != 0) return;
      const int fd = ::accept(fd_, nullptr, nullptr);
      if (fd < 0) continue;
      const int number = connections_.fetch_add(1);
      threads_.emplace_back([this, fd, number] {
        Wire wire(fd, number, tls_);
        script_(wire);
      });
    }
  }

  Script script_;
  SSL_CTX* tls_;
  int fd_;
  std::array<int, 2> stop_pipe_{};
  int* stop_ = stop_pipe_.data();
  std::uint16_t port_ = 0;
  std::atomic<int> connections_{0};
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

// A port at which connections are neither accepted nor refused: its queue is full.
class Blackhole {
 public:
  Blackhole() : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(fd_, 0), 0);
    EXPECT_EQ(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    for (int& filler : fillers_) {
      filler = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
      ::connect(filler, reinterpret_cast<sockaddr*>(&address), size);
    }
  }
  Blackhole(const Blackhole&) = delete;
  Blackhole& operator=(const Blackhole&) = delete;
  ~Blackhole() {
    for (const int filler : fillers_) ::close(filler);
    ::close(fd_);
  }
  std::uint16_t port() const { return port_; }

 private:
  int fd_;
  std::array<int, 3> fillers_{};
  std::uint16_t port_ = 0;
};

}  // namespace penstock::http
