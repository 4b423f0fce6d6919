// The practical limit of a gateway: bytes passed on over raw epoll, and nothing else.
//
// One thread. Each client's connection gets one of its own to the engine; what comes on either is
// sent on the other: one recv and one send for each piece, no parsing, no look-up, no clock. What
// relays an answer or an event must do at least this, so its CPU time over this one's says what the
// rest of it costs. What a socket does not take waits; nothing more is read meanwhile.
//
//   relay --engine PORT [--port N]     prints the port it listens on; ends by a signal
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t kInput = 64 * 1024;

struct Side {
  int other = -1;      // the socket that this one's bytes go to
  std::string unsent;  // what this socket had no room for
};

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

sockaddr_in loopback(unsigned port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

const sockaddr* raw(const sockaddr_in& address) {
  return static_cast<const sockaddr*>(static_cast<const void*>(&address));
}

int listen_on(unsigned port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address = loopback(port);
  socklen_t size = sizeof address;
  if (bind(fd, raw(address), size) != 0) die("bind");
  if (listen(fd, 4096) != 0) die("listen");
  getsockname(fd, static_cast<sockaddr*>(static_cast<void*>(&address)), &size);
  std::printf("127.0.0.1:%u\n", unsigned{ntohs(address.sin_port)});
  std::fflush(stdout);
  return fd;
}

class Relay {
 public:
  explicit Relay(unsigned engine_port) : engine_(loopback(engine_port)), input_(kInput) {
    if (epoll_ < 0) die("epoll");
  }

  [[noreturn]] void run(int listener) {
    watch(EPOLL_CTL_ADD, listener, EPOLLIN);
    std::vector<epoll_event> events(512);
    for (;;) {
      const int n = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < n; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        const int fd = event.data.fd;
        if (fd == listener) {
          accept(listener);
          continue;
        }
        if (side(fd).other < 0) continue;  // its pair was closed earlier in this batch
        bool good = true;
        if ((event.events & EPOLLOUT) != 0) good = flush(fd);
        if (good && (event.events & ~static_cast<unsigned>(EPOLLOUT)) != 0) good = pass(fd);
        if (!good) end(fd);
      }
    }
  }

 private:
  Side& side(int fd) { return sides_[static_cast<std::size_t>(fd)]; }

  void watch(int operation, int fd, unsigned what) const {
    epoll_event event{};
    event.events = what;
    event.data.fd = fd;
    epoll_ctl(epoll_, operation, fd, &event);
  }

  void accept(int listener) {
    const int client = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0) return;
    const int engine = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (engine < 0 || connect(engine, raw(engine_), sizeof engine_) != 0) die("engine");
    const int on = 1;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(engine, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const auto most = static_cast<std::size_t>(std::max(client, engine));
    if (sides_.size() <= most) sides_.resize(most + 1);
    side(client) = {engine, {}};
    side(engine) = {client, {}};
    watch(EPOLL_CTL_ADD, client, EPOLLIN);
    watch(EPOLL_CTL_ADD, engine, EPOLLIN);
  }

  // Reads once, and sends it on.
  bool pass(int fd) {
    const ssize_t got = recv(fd, input_.data(), input_.size(), MSG_DONTWAIT);
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return false;
    const int to = side(fd).other;
    const auto size = static_cast<std::size_t>(got);
    const ssize_t n = send(to, input_.data(), size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN) return false;
    const std::size_t sent = n < 0 ? 0 : static_cast<std::size_t>(n);
    if (sent == size) return true;
    side(to).unsent.assign(input_.data() + sent, size - sent);
    watch(EPOLL_CTL_MOD, to, EPOLLOUT);
    watch(EPOLL_CTL_MOD, fd, 0);
    return true;
  }

  bool flush(int fd) {
    std::string& unsent = side(fd).unsent;
    const ssize_t n = send(fd, unsent.data(), unsent.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN;
    unsent.erase(0, static_cast<std::size_t>(n));
    if (!unsent.empty()) return true;
    watch(EPOLL_CTL_MOD, fd, EPOLLIN);
    watch(EPOLL_CTL_MOD, side(fd).other, EPOLLIN);
    return true;
  }

  void end(int fd) {
    const int other = side(fd).other;
    side(fd) = side(other) = {};
    close(fd);
    close(other);
  }

  const sockaddr_in engine_;
  const int epoll_ = epoll_create1(EPOLL_CLOEXEC);
  std::vector<Side> sides_;  // by descriptor
  std::vector<char> input_;
};

}  // namespace

int main(int argc, char** argv) {
  unsigned port = 0;
  unsigned engine = 0;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const std::string_view value = argv[i + 1];
    const char* const end = value.data() + value.size();
    if (name == "--port") {
      std::from_chars(value.data(), end, port);
    } else if (name == "--engine") {
      std::from_chars(value.data(), end, engine);
    }
  }
  if (engine == 0) {
    std::fprintf(stderr, "usage: relay --engine PORT [--port N]\n");
    return 2;
  }
  Relay(engine).run(listen_on(port));
}
