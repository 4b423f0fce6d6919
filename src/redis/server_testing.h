// For tests: a redis-server of Debian's, on a free port, in a folder of its own.
//
//   RedisServer server({"--requirepass", "secret"});
//   server.ask({"SET", "a", "1"});     // a plain blocking client, for what the test itself does
//   server.kill();  server.start();    // the same port again
//
// Only the process that was started here is ever signalled, and it ends with the test.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "redis/command.h"
#include "redis/parser.h"

namespace penstock::redis {

class RedisServer {
 public:
  using Arguments = std::vector<std::string>;

  // `tls`: the arguments for certificates; then its port speaks TLS, and ask() cannot be used.
  explicit RedisServer(Arguments arguments = {}, Arguments tls = {}, std::string password = {})
      : arguments_(std::move(arguments)), tls_(std::move(tls)), password_(std::move(password)) {
    begin();
  }
  // One that rewrites its configuration, as a sentinel does.
  struct Config {
    explicit Config(std::string of) : text(std::move(of)) {}
    std::string text;
  };
  explicit RedisServer(Config config, Arguments arguments = {})
      : arguments_(std::move(arguments)), config_(std::move(config.text)) {
    begin();
  }
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;
  ~RedisServer() {
    kill();
    std::filesystem::remove_all(folder_);
  }

  std::uint16_t port() const { return port_; }
  std::string url(const std::string& scheme = "redis://", const std::string& user = "",
                  const std::string& path = "") const {
    return scheme + user + "127.0.0.1:" + std::to_string(port_) + path;
  }

  // Returns when it takes connections, or has ended.
  void start() {
    Arguments all = {"redis-server"};
    if (!config_.empty()) all.push_back(folder_ + "/conf");
    const auto add = [&](const Arguments& more) {
      all.insert(all.end(), more.begin(), more.end());
    };
    add({"--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder_, "--logfile",
         folder_ + "/log", "--daemonize", "no"});
    add(tls_.empty() ? Arguments{"--port", std::to_string(port_)}
                     : Arguments{"--port", "0", "--tls-port", std::to_string(port_)});
    add(tls_);
    add(arguments_);
    std::vector<char*> argv;
    for (std::string& argument : all) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(1);
      ::execvp(argv[0], argv.data());
      ::_exit(127);
    }
    for (int ms = 0; ms < 10000; ++ms) {
      if (::waitpid(pid_, nullptr, WNOHANG) != 0) {
        pid_ = -1;
        return;
      }
      if (const int fd = connect(); fd >= 0) {
        ::close(fd);
        return;
      }
      ::poll(nullptr, 0, 1);
    }
  }
  void kill() {
    if (pid_ <= 0) return;
    signal(SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  void stop() { signal(SIGSTOP); }
  void go_on() { signal(SIGCONT); }

  // One command on a connection of its own; empty on a failure.
  Value ask(std::initializer_list<std::string_view> words) const {
    return ask(Words(words.begin(), words.size()));
  }
  Value ask(Words words) const {
    const int fd = connect();
    EXPECT_GE(fd, 0);
    std::string out;
    const std::array<std::string_view, 2> auth = {"AUTH", password_};
    const std::array<std::string_view, 2> hello = {"HELLO", "3"};
    std::size_t skip = 1;
    if (!password_.empty()) {
      append_command(out, auth);
      ++skip;
    }
    append_command(out, hello);
    append_command(out, words);
    EXPECT_EQ(::send(fd, out.data(), out.size(), MSG_NOSIGNAL), static_cast<ssize_t>(out.size()));
    Parser parser;
    Value value;
    std::array<char, 65536> piece;
    for (;;) {
      const ssize_t n = ::recv(fd, piece.data(), piece.size(), 0);
      if (n <= 0) break;
      std::string_view in(piece.data(), static_cast<std::size_t>(n));
      while (!in.empty()) {
        const Parser::Step step = parser.next(in);
        in.remove_prefix(step.consumed);
        if (step.state != Parser::State::value) break;
        value = parser.take();
        if (skip-- == 0) {
          ::close(fd);
          return value;
        }
      }
    }
    ::close(fd);
    return {};
  }

  std::string log() const {
    std::ifstream in(folder_ + "/log");
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }

  static std::uint16_t free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
    ::close(fd);
    return ntohs(address.sin_port);
  }

 private:
  void begin() {
    std::string folder = testing::TempDir() + "redis-XXXXXX";
    EXPECT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    if (!config_.empty()) std::ofstream(folder_ + "/conf") << config_;
    // Another program may take the port between our look and the server's.
    for (int tries = 0; tries < 5 && pid_ < 0; ++tries) {
      port_ = free_port();
      start();
    }
    EXPECT_GT(pid_, 0) << "redis-server does not start: " << log();
  }
  void signal(int number) const {
    if (pid_ > 0) ::kill(pid_, number);
  }
  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
  }
  int connect() const {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval patience{10, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const sockaddr_in address = loopback(port_);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
    ::close(fd);
    return -1;
  }

  Arguments arguments_;
  Arguments tls_;
  std::string password_;
  std::string config_;
  std::string folder_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace penstock::redis
