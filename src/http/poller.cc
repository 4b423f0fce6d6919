#include "http/poller.h"

#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <cstdlib>

namespace penstock::http {

Poller::Poller(Loop& loop) : epoll_(loop.executor()) {
  const int fd = epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) std::abort();  // at start: no descriptors at all
  boost::system::error_code ec;
  epoll_.assign(fd, ec);
  if (ec) std::abort();
  wait();
}

Poller::~Poller() = default;

bool Poller::add(int fd, Socket& socket) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &socket;
  return epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void Poller::wait() {
  epoll_.async_wait(asio::posix::descriptor_base::wait_read, [this](boost::system::error_code ec) {
    if (ec) return;
    run_batch();
    wait();
  });
}

void Poller::run_batch() {
  std::array<epoll_event, 128> events;
  const int count =
      epoll_wait(epoll_.native_handle(), events.data(), static_cast<int>(events.size()), 0);
  in_batch_ = true;
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    static_cast<Socket*>(event.data.ptr)
        ->on_event((event.events & EPOLLIN) != 0, (event.events & EPOLLOUT) != 0,
                   (event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
  }
  in_batch_ = false;
  batch_ended();
}

}  // namespace penstock::http
