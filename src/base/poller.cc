#include "base/poller.h"

#include <unistd.h>

namespace penstock {
namespace {

constexpr int kRounds = 4;
constexpr int kBusy = 2;  // events of one batch

}  // namespace

Poller::Poller(const Executor& executor) : epoll_(executor) {}

Poller::~Poller() = default;

bool Poller::open() {
  if (epoll_.is_open()) return true;
  const int fd = epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) return false;
  boost::system::error_code ec;
  epoll_.assign(fd, ec);
  if (ec) {
    ::close(fd);
    return false;
  }
  wait();
  return true;
}

bool Poller::add(int fd, Socket& socket) {
  if (!open()) return false;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &socket;
  return epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, fd, &event) == 0;
}

// The kernel forgets a socket when it is closed; a batch that was fetched does not.
void Poller::remove(Socket& socket) {
  for (int i = next_; i < count_; ++i) {
    epoll_event& event = batch_[static_cast<std::size_t>(i)];
    if (event.data.ptr == &socket) event.data.ptr = nullptr;
  }
}

void Poller::remove(int fd, Socket& socket) {
  epoll_ctl(epoll_.native_handle(), EPOLL_CTL_DEL, fd, nullptr);
  remove(socket);
}

void Poller::wait() {
  epoll_.async_wait(asio::posix::descriptor_base::wait_read, [this](boost::system::error_code ec) {
    if (ec) return;
    // Asio's wait takes two calls of the kernel. While there is much to do, more has come
    // meanwhile, and looking again is one; but what else is on the loop must have its turn.
    for (int round = 0; round < kRounds; ++round) {
      run_batch();
      if (count_ < kBusy) break;
    }
    wait();
  });
}

void Poller::run_batch() {
  count_ = epoll_wait(epoll_.native_handle(), batch_.data(), static_cast<int>(batch_.size()), 0);
  for (next_ = 0; next_ < count_;) {
    const epoll_event event = batch_[static_cast<std::size_t>(next_++)];
    if (event.data.ptr == nullptr) continue;
    static_cast<Socket*>(event.data.ptr)
        ->on_event((event.events & EPOLLIN) != 0, (event.events & EPOLLOUT) != 0,
                   (event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
  }
}

}  // namespace penstock
