// The practical limit: an HTTP server on raw epoll that does nothing but answer.
//
// One thread. It looks for the end of a request (the blank line, and as many bytes after it as
// Content-Length says) and writes the same answer each time: one recv and one send a request, no
// parsing, no look-up, no clock. Whatever serves the same answer from a cache does all this and
// more, so its CPU time a request over this one's says what the "more" costs.
//
//   yardstick [--port N] [--body BYTES]     prints the port it listens on; ends by a signal
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t kInput = 64 * 1024;

struct Connection {
  std::string partial;        // of a request that came in pieces
  std::size_t body_left = 0;  // of a body that is being skipped
  std::string unsent;         // answers that the socket had no room for
};

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

// The value of Content-Length in `head`, which ends in a blank line; 0 if there is none.
std::size_t body_size(std::string_view head) {
  constexpr std::string_view kName = "\r\ncontent-length:";
  for (std::size_t at = head.find("\r\n"); at + kName.size() < head.size();
       at = head.find("\r\n", at + 2)) {
    if (strncasecmp(head.data() + at, kName.data(), kName.size()) != 0) continue;
    std::size_t begin = at + kName.size();
    while (begin < head.size() && head[begin] == ' ') ++begin;
    std::size_t size = 0;
    std::from_chars(head.data() + begin, head.data() + head.size(), size);
    return size;
  }
  return 0;
}

// How many requests end in `bytes`; what is left of an unfinished one stays in the connection.
std::size_t requests(Connection& connection, std::string_view bytes) {
  std::size_t count = 0;
  std::string joined;
  if (!connection.partial.empty()) {
    joined = std::move(connection.partial);
    joined += bytes;
    bytes = joined;
    connection.partial.clear();
  }
  while (!bytes.empty()) {
    if (connection.body_left > 0) {
      const std::size_t skipped = std::min(connection.body_left, bytes.size());
      bytes.remove_prefix(skipped);
      connection.body_left -= skipped;
      if (connection.body_left == 0) ++count;
      continue;
    }
    const std::size_t end = bytes.find("\r\n\r\n");
    if (end == std::string_view::npos) {
      connection.partial = bytes;
      break;
    }
    connection.body_left = body_size(bytes.substr(0, end + 4));
    bytes.remove_prefix(end + 4);
    if (connection.body_left == 0) ++count;
  }
  return count;
}

// What the socket does not take is kept. False when the connection is gone.
bool flush(int fd, std::string& unsent) {
  const ssize_t n = send(fd, unsent.data(), unsent.size(), MSG_NOSIGNAL);
  if (n < 0) return errno == EAGAIN;
  unsent.erase(0, static_cast<std::size_t>(n));
  return true;
}

bool answer(int fd, Connection& connection, const std::string& reply, std::size_t count) {
  for (; count > 0 && connection.unsent.empty(); --count) {
    const ssize_t n = send(fd, reply.data(), reply.size(), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) return false;
    const std::size_t sent = n < 0 ? 0 : static_cast<std::size_t>(n);
    if (sent < reply.size()) connection.unsent.assign(reply, sent);
  }
  for (; count > 0; --count) connection.unsent += reply;
  return true;
}

int listen_on(unsigned port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const raw = static_cast<sockaddr*>(static_cast<void*>(&address));
  if (bind(fd, raw, size) != 0) die("bind");
  if (listen(fd, 4096) != 0) die("listen");
  getsockname(fd, raw, &size);
  std::printf("127.0.0.1:%u\n", unsigned{ntohs(address.sin_port)});
  std::fflush(stdout);
  return fd;
}

[[noreturn]] void serve(int listener, const std::string& reply) {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) die("epoll");
  const auto watch = [&](int operation, int fd, unsigned what) {
    epoll_event event{};
    event.events = what;
    event.data.fd = fd;
    epoll_ctl(epoll, operation, fd, &event);
  };
  watch(EPOLL_CTL_ADD, listener, EPOLLIN);
  std::vector<Connection> connections;  // by descriptor
  std::vector<char> input(kInput);
  std::vector<epoll_event> events(512);
  for (;;) {
    const int n = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < n; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      const int fd = event.data.fd;
      if (fd == listener) {
        const int fresh = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fresh < 0) continue;
        const int on = 1;
        setsockopt(fresh, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (connections.size() <= static_cast<std::size_t>(fresh)) {
          connections.resize(static_cast<std::size_t>(fresh) + 1);
        }
        connections[static_cast<std::size_t>(fresh)] = {};
        watch(EPOLL_CTL_ADD, fresh, EPOLLIN);
        continue;
      }
      Connection& connection = connections[static_cast<std::size_t>(fd)];
      const bool waited = !connection.unsent.empty();
      bool good = true;
      if ((event.events & EPOLLOUT) != 0) good = flush(fd, connection.unsent);
      if (good && (event.events & ~static_cast<unsigned>(EPOLLOUT)) != 0) {
        const ssize_t got = recv(fd, input.data(), input.size(), 0);
        good = got > 0 || (got < 0 && errno == EAGAIN);
        if (got > 0) {
          const std::string_view bytes(input.data(), static_cast<std::size_t>(got));
          good = answer(fd, connection, reply, requests(connection, bytes));
        }
      }
      if (!good) {
        close(fd);
      } else if (waited != !connection.unsent.empty()) {
        watch(EPOLL_CTL_MOD, fd, waited ? EPOLLIN : EPOLLIN | unsigned{EPOLLOUT});
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  unsigned port = 0;
  std::size_t body = 1500;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const std::string_view value = argv[i + 1];
    const char* const end = value.data() + value.size();
    if (name == "--port") {
      std::from_chars(value.data(), end, port);
    } else if (name == "--body") {
      std::from_chars(value.data(), end, body);
    } else {
      std::fprintf(stderr, "usage: yardstick [--port N] [--body BYTES]\n");
      return 2;
    }
  }
  std::string reply = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: " +
                      std::to_string(body) + "\r\n\r\n";
  reply.append(body, 'x');
  serve(listen_on(port), reply);
}
