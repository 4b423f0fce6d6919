#include "load/client.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <optional>
#include <vector>

#include "load/scanner.h"

namespace penstock::load {
namespace {

constexpr Duration kTick = 50ms;       // how often time-outs and resting connections are looked at
constexpr Duration kRest = 100ms;      // after a connection that could not be made
constexpr unsigned kConnecting = 128;  // at once: more would overrun a usual listen queue
constexpr std::size_t kBuffer = 64 * 1024;
constexpr int kEvents = 512;

enum class At : std::uint8_t { idle, connecting, busy, resting };

struct Slot {
  int fd = -1;
  At at = At::idle;
  bool writing = false;     // the request is not out yet: EPOLLOUT is asked for
  bool first_seen = false;  // the first token of the answer under way
  Request request;
  std::size_t sent = 0;  // bytes of it
  Time intended;         // when the request was meant to be sent: latency counts from here
  Time begun;            // when it was: its time-out counts from here
  Time last_event;
  Time rest_until;
  Scanner scanner;
  std::string scratch;  // the request's bytes, where questions are unique
};

double thread_cpu() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

class Share {
 public:
  Share(const Job& job, unsigned share, Progress& progress, std::stop_token stop);
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;
  ~Share();

  Result<Outcome> run();

 private:
  using Index = std::uint32_t;

  bool open_loop() const { return schedule_.has_value(); }
  bool over(Time now) const;
  bool in_window(Time at) const { return at >= job_.measure && at < job_.end; }
  // Whether what happens to this request counts: it was due, or its fate is known, in the window.
  bool counts(const Slot& slot, Time now) const {
    return in_window(open_loop() ? slot.intended : now);
  }

  int wait(std::vector<epoll_event>& events, Time now);
  void start_what_is_due(Time now);
  void tick(Time now);
  void handle(Slot& slot, std::uint32_t events);

  void start(Slot& slot, Time intended, Time now);
  bool connect(Slot& slot);
  void connected(Slot& slot);
  void push(Slot& slot);
  void watch(Slot& slot, int operation, bool writing);
  void read(Slot& slot);
  void count_events(Slot& slot, std::uint64_t before, Time now);
  void finish(Slot& slot, Time now);
  void fail(Slot& slot, Failed why, Time now);
  void close(Slot& slot);
  void free(Slot& slot);

  const Job& job_;
  const unsigned share_;
  Progress& progress_;
  const std::stop_token stop_;
  std::optional<Schedule> schedule_;
  std::vector<Slot> slots_;
  std::vector<Index> free_;  // may take a request; the last one used is first
  std::vector<char> buffer_;
  Random random_;
  int epoll_ = -1;
  unsigned connecting_ = 0;
  unsigned busy_ = 0;          // connecting or busy
  bool coarse_ = false;        // the kernel has no epoll_pwait2: waits are whole milliseconds
  std::uint64_t number_ = 0;   // of questions asked, for unique ones
  std::uint64_t answers_ = 0;  // warm-up included, as is what follows
  std::uint64_t failed_ = 0;
  std::uint64_t events_ = 0;
  Time next_tick_;
  Outcome out_;
};

// Threads beyond the number of connections have none, and end at once.
unsigned part(unsigned all, unsigned share, unsigned shares) {
  return all / shares + (share < all % shares ? 1 : 0);
}

Share::Share(const Job& job, unsigned share, Progress& progress, std::stop_token stop)
    : job_(job),
      share_(share),
      progress_(progress),
      stop_(std::move(stop)),
      slots_(part(job.options.connections, share, job.options.threads)),
      buffer_(kBuffer),
      random_(job.options.seed + share * 0x9E3779B97F4A7C15u),
      next_tick_(job.start) {
  if (job.options.rate > 0) {
    schedule_.emplace(job.start, job.options.rate, share, job.options.threads);
  }
  free_.reserve(slots_.size());
  for (std::size_t i = slots_.size(); i > 0; --i) free_.push_back(static_cast<Index>(i - 1));
}

Share::~Share() {
  for (Slot& slot : slots_) {
    if (slot.fd >= 0) ::close(slot.fd);
  }
  if (epoll_ >= 0) ::close(epoll_);
}

bool Share::over(Time now) const {
  if (stop_.stop_requested()) return true;
  if (now < job_.end) return false;
  if (!open_loop() || now >= job_.end + job_.options.timeout) return true;
  return busy_ == 0 && schedule_->next() >= job_.end;
}

Result<Outcome> Share::run() {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) {
    return Error{Kind::internal, Source::gateway, false,
                 fmt::format("epoll: {}", std::strerror(errno))};
  }
  // Waits end when they should: the usual slack of 50 us would be seen in each latency.
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);

  std::vector<epoll_event> events(kEvents);
  double cpu_before = thread_cpu();
  std::optional<double> cpu_after;
  bool measuring = false;
  Time now = Clock::now();
  while (!over(now)) {
    if (!measuring && now >= job_.measure) {
      measuring = true;
      cpu_before = thread_cpu();
    }
    if (!cpu_after && now >= job_.end) cpu_after = thread_cpu();
    start_what_is_due(now);
    const int n = wait(events, now);
    for (int i = 0; i < n; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      handle(slots_[event.data.u32], event.events);
    }
    now = Clock::now();
    if (now >= next_tick_) tick(now);
  }

  out_.cpu_seconds = cpu_after.value_or(thread_cpu()) - cpu_before;
  out_.in_flight += busy_;
  if (open_loop() && !stop_.stop_requested()) {
    for (Slot& slot : slots_) {
      if (slot.at == At::busy || slot.at == At::connecting) fail(slot, Failed::timeout, now);
    }
    out_.in_flight = 0;
    for (; schedule_->next() < job_.end; schedule_->advance()) {
      if (!in_window(schedule_->next())) continue;
      ++out_.counts.failures[static_cast<std::size_t>(Failed::unsent)];
    }
  }
  return std::move(out_);
}

// Until something comes, the next request is due or a tick is.
int Share::wait(std::vector<epoll_event>& events, Time now) {
  Time until = next_tick_;
  if (open_loop() && !free_.empty()) until = std::min(until, schedule_->next());
  const Duration left = std::max(until - now, Duration::zero());
  if (!coarse_) {
    const timespec time{left / 1s, left % 1s / 1ns};
    const int n = epoll_pwait2(epoll_, events.data(), kEvents, &time, nullptr);
    if (n >= 0 || errno != ENOSYS) return n;
    coarse_ = true;
  }
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left);
  return epoll_wait(epoll_, events.data(), kEvents, static_cast<int>(ms.count()));
}

void Share::start_what_is_due(Time now) {
  while (!free_.empty() && connecting_ < kConnecting) {
    if (open_loop() ? schedule_->next() > now || schedule_->next() >= job_.end : now >= job_.end) {
      return;
    }
    Slot& slot = slots_[free_.back()];
    free_.pop_back();
    Time intended = now;
    if (open_loop()) {
      intended = schedule_->next();
      schedule_->advance();
      if (in_window(intended)) out_.counts.late.record(now - intended);
    }
    start(slot, intended, now);
  }
}

void Share::tick(Time now) {
  next_tick_ = now + kTick;
  for (Slot& slot : slots_) {
    if (slot.at == At::resting && now >= slot.rest_until) {
      slot.at = At::idle;
      free(slot);
    } else if ((slot.at == At::busy || slot.at == At::connecting) &&
               now - slot.begun >= job_.options.timeout) {
      fail(slot, slot.at == At::connecting ? Failed::connect : Failed::timeout, now);
    }
  }
  progress_.answers.store(answers_, std::memory_order_relaxed);
  progress_.failed.store(failed_, std::memory_order_relaxed);
  progress_.events.store(events_, std::memory_order_relaxed);
}

void Share::handle(Slot& slot, std::uint32_t events) {
  if (slot.fd < 0) return;  // closed by an event before this one
  if (slot.at == At::connecting) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(slot.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
      fail(slot, Failed::connect, Clock::now());
    } else if ((events & EPOLLOUT) != 0) {
      connected(slot);
    }
    return;
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
    read(slot);
  } else if ((events & EPOLLOUT) != 0 && slot.writing) {
    push(slot);
  }
}

void Share::start(Slot& slot, Time intended, Time now) {
  ++busy_;
  slot.intended = intended;
  slot.begun = now;
  slot.first_seen = false;
  slot.sent = 0;
  slot.scanner.reset();
  if (job_.options.unique) {
    slot.request = job_.plan.unique(number_++ * job_.options.threads + share_, slot.scratch);
  } else {
    slot.request = job_.plan.request(job_.zipf.pick(random_));
  }
  slot.at = At::busy;
  if (slot.fd >= 0) {
    push(slot);
  } else if (!connect(slot)) {
    fail(slot, Failed::connect, now);
  }
}

bool Share::connect(Slot& slot) {
  const sockaddr* address = reinterpret_cast<const sockaddr*>(&job_.endpoint.address);
  slot.fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (slot.fd < 0) return false;
  const int on = 1;
  setsockopt(slot.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const bool at_once = ::connect(slot.fd, address, job_.endpoint.size) == 0;
  if (!at_once && errno != EINPROGRESS) return false;
  watch(slot, EPOLL_CTL_ADD, !at_once);
  if (at_once) {
    push(slot);
  } else {
    slot.at = At::connecting;
    ++connecting_;
  }
  return true;
}

void Share::connected(Slot& slot) {
  --connecting_;
  slot.at = At::busy;
  push(slot);
}

void Share::push(Slot& slot) {
  const std::size_t front = slot.request.front.size();
  const std::size_t total = front + slot.request.tail.size();
  iovec parts[2];
  std::size_t count = 0;
  const auto add = [&](std::string_view bytes, std::size_t skip) {
    if (skip < bytes.size()) {
      parts[count++] = {const_cast<char*>(bytes.data() + skip), bytes.size() - skip};
    }
  };
  add(slot.request.front, slot.sent);
  add(slot.request.tail, slot.sent > front ? slot.sent - front : 0);
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = count;
  const ssize_t n = sendmsg(slot.fd, &message, MSG_NOSIGNAL);
  if (n > 0) {
    slot.sent += static_cast<std::size_t>(n);
  } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
    // What the server said before it closed (a 413, say) may still be read.
    watch(slot, EPOLL_CTL_MOD, false);
    return;
  }
  const bool more = slot.sent < total;
  if (more != slot.writing) watch(slot, EPOLL_CTL_MOD, more);
  if (!more && in_window(slot.begun)) out_.counts.bytes_out += total;
}

void Share::watch(Slot& slot, int operation, bool writing) {
  slot.writing = writing;
  epoll_event event{};
  event.events = EPOLLIN | (writing ? static_cast<std::uint32_t>(EPOLLOUT) : 0u);
  event.data.u32 = static_cast<Index>(&slot - slots_.data());
  epoll_ctl(epoll_, operation, slot.fd, &event);
}

void Share::read(Slot& slot) {
  const ssize_t n = recv(slot.fd, buffer_.data(), buffer_.size(), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (slot.at == At::idle) {
    // The server lets an idle connection go, or says something nobody asked for.
    close(slot);
    return;
  }
  const Time now = Clock::now();
  Scanner& scanner = slot.scanner;
  if (n <= 0) {
    if (n == 0 && scanner.end()) {
      finish(slot, now);
    } else {
      fail(slot, scanner.begun() ? Failed::truncated : Failed::closed, now);
    }
    return;
  }

  const std::string_view bytes(buffer_.data(), static_cast<std::size_t>(n));
  if (in_window(now)) out_.counts.bytes_in += bytes.size();
  const std::uint64_t before = scanner.events();
  const std::size_t used = scanner.feed(bytes);
  if (scanner.event_stream()) count_events(slot, before, now);
  if (scanner.broken() || used < bytes.size()) {
    fail(slot, Failed::malformed, now);
  } else if (scanner.done()) {
    finish(slot, now);
  }
}

void Share::count_events(Slot& slot, std::uint64_t before, Time now) {
  const std::uint64_t fresh = slot.scanner.events() - before;
  if (fresh > 0) {
    events_ += fresh;
    if (in_window(now)) {
      out_.counts.events += fresh;
      // What came in one read came without a gap.
      if (before > 0) out_.counts.gap.record(now - slot.last_event);
      out_.counts.gap.record({}, fresh - 1);
    }
    slot.last_event = now;
  }
  if (!slot.first_seen && slot.scanner.first_token()) {
    slot.first_seen = true;
    if (counts(slot, now)) out_.counts.first_token.record(now - slot.intended);
  }
}

void Share::finish(Slot& slot, Time now) {
  const Scanner& scanner = slot.scanner;
  const bool wanted_stream = job_.options.stream && scanner.status() == 200;
  if (wanted_stream && !scanner.event_stream()) return fail(slot, Failed::malformed, now);
  if (scanner.said_error()) return fail(slot, Failed::in_stream, now);
  if (wanted_stream && !scanner.said_done()) return fail(slot, Failed::truncated, now);

  if (!open_loop() && now >= job_.end) ++out_.in_flight;  // when the time was up, it was
  ++answers_;
  if (scanner.status() >= 400) ++failed_;
  if (counts(slot, now)) {
    Counts& counts = out_.counts;
    ++counts.answers;
    ++counts.status[static_cast<std::size_t>(scanner.status())];
    if (wanted_stream) ++counts.streams;
    if (!scanner.cache().empty()) counts.cache_result(scanner.cache());
    if (counts.refusal.empty()) counts.refusal = scanner.refusal();
    counts.latency.record(now - slot.intended);
  }
  // An answer that came before its request was out leaves the connection in between.
  const bool whole = slot.sent == slot.request.front.size() + slot.request.tail.size();
  if (!scanner.keep_alive() || !whole) close(slot);
  --busy_;
  slot.at = At::idle;
  // The usual way in a closed loop, without a turn of the loop: the next question at once.
  if (!open_loop() && slot.fd >= 0 && now < job_.end) return start(slot, now, now);
  free(slot);
}

void Share::fail(Slot& slot, Failed why, Time now) {
  ++failed_;
  if (counts(slot, now)) ++out_.counts.failures[static_cast<std::size_t>(why)];
  if (slot.at == At::connecting) --connecting_;
  close(slot);
  --busy_;
  if (why == Failed::connect) {
    slot.at = At::resting;
    slot.rest_until = now + kRest;
  } else {
    slot.at = At::idle;
    free(slot);
  }
}

void Share::close(Slot& slot) {
  if (slot.fd < 0) return;
  ::close(slot.fd);
  slot.fd = -1;
  slot.writing = false;
}

void Share::free(Slot& slot) { free_.push_back(static_cast<Index>(&slot - slots_.data())); }

}  // namespace

Result<Outcome> run_share(const Job& job, unsigned share, Progress& progress,
                          std::stop_token stop) {
  return Share(job, share, progress, std::move(stop)).run();
}

}  // namespace penstock::load
