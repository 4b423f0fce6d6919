// For tests: a peer that greets as Redis does and answers what the test says, in one segment.
//
//   FakeServer server([](const FakeServer::Line& line) -> std::optional<std::string> {
//     if (line[0] == "GET") return "$1\r\nv\r\n";
//     return std::nullopt;  // as Redis: HELLO, PING "+PONG", others "+OK"
//   });
//
// `answer` is called on the server's thread.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "redis/parser.h"

namespace penstock::redis {

class FakeServer {
 public:
  using Line = std::vector<std::string>;
  using Answer = std::function<std::optional<std::string>(const Line&)>;

  explicit FakeServer(Answer answer) : answer_(std::move(answer)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 16), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    EXPECT_EQ(::pipe(end_.data()), 0);
    thread_ = std::thread([this] { serve(); });
  }
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;
  ~FakeServer() {
    ::close(end_[1]);
    thread_.join();
    ::close(end_[0]);
    ::close(listener_);
  }

  std::uint16_t port() const { return port_; }
  std::string url() const { return "redis://127.0.0.1:" + std::to_string(port_); }

 private:
  struct Peer {
    int fd;
    std::unique_ptr<Parser> parser = std::make_unique<Parser>();
  };

  void serve() {
    std::vector<Peer> peers;
    for (;;) {
      std::vector<pollfd> watched = {{end_[0], POLLIN, 0}, {listener_, POLLIN, 0}};
      for (const Peer& peer : peers) watched.push_back({peer.fd, POLLIN, 0});
      ::poll(watched.data(), watched.size(), -1);
      if (watched[0].revents != 0) break;
      for (std::size_t i = peers.size(); i > 0; --i) {
        if (watched[i + 1].revents == 0 || talk(peers[i - 1])) continue;
        ::close(peers[i - 1].fd);
        peers.erase(peers.begin() + static_cast<std::ptrdiff_t>(i - 1));
      }
      if (watched[1].revents != 0) peers.push_back({::accept(listener_, nullptr, nullptr)});
    }
    for (const Peer& peer : peers) ::close(peer.fd);
  }
  bool talk(Peer& peer) {
    std::array<char, 65536> piece;
    const ssize_t n = ::recv(peer.fd, piece.data(), piece.size(), 0);
    if (n <= 0) return false;
    std::string out;
    std::string_view in(piece.data(), static_cast<std::size_t>(n));
    while (!in.empty()) {
      const Parser::Step step = peer.parser->next(in);
      in.remove_prefix(step.consumed);
      if (step.state != Parser::State::value) continue;
      Line line;
      for (const Value& word : peer.parser->take().items) line.push_back(word.text);
      std::optional<std::string> said = answer_(line);
      out += said ? *said : usual(line[0]);
    }
    return ::send(peer.fd, out.data(), out.size(), MSG_NOSIGNAL) >= 0;
  }
  static std::string usual(const std::string& command) {
    if (command == "HELLO") return "%1\r\n$5\r\nproto\r\n:3\r\n";
    return command == "PING" ? "+PONG\r\n" : "+OK\r\n";
  }

  Answer answer_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::array<int, 2> end_{};
  std::thread thread_;
};

}  // namespace penstock::redis
