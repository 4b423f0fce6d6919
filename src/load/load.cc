#include "load/load.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "load/client.h"
#include "load/plan.h"

namespace penstock::load {
namespace {

constexpr Duration kProbe = 5s;     // for the first connection
constexpr rlim_t kSpareFiles = 64;  // beside the connections

Error invalid(std::string detail) {
  return {Kind::invalid, Source::gateway, false, std::move(detail)};
}

const sockaddr* address_of(const Endpoint& endpoint) {
  return reinterpret_cast<const sockaddr*>(&endpoint.address);
}

bool loopback(const Endpoint& endpoint) {
  if (endpoint.address.ss_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &endpoint.address, sizeof v4);
    return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
  }
  sockaddr_in6 v6;
  std::memcpy(&v6, &endpoint.address, sizeof v6);
  return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) != 0;
}

// One connection, made and closed: a server that is not there is said once, and at once.
Result<void> probe(const Endpoint& endpoint, const std::string& url) {
  const auto failed = [&](int error) {
    return Error{Kind::unreachable, Source::engine, true,
                 fmt::format("cannot connect to {}: {}", url, std::strerror(error))};
  };
  const int fd = socket(endpoint.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed(errno);
  int error = ::connect(fd, address_of(endpoint), endpoint.size) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    pollfd wait{fd, POLLOUT, 0};
    const int n = poll(&wait, 1, static_cast<int>(kProbe / 1ms));
    error = ETIMEDOUT;
    socklen_t size = sizeof error;
    if (n == 1) getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  ::close(fd);
  if (error != 0) return failed(error);
  return {};
}

// The first address that answers. Names with several (localhost is ::1 too) are common.
Result<Endpoint> resolve(const Target& target, const Options& options) {
  std::string host = target.host;
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int why = getaddrinfo(host.c_str(), target.port.c_str(), &hints, &found);
  if (why != 0) {
    return Error{Kind::unreachable, Source::engine, true,
                 fmt::format("cannot resolve {}: {}", host, gai_strerror(why))};
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  std::optional<Error> error;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    Endpoint endpoint;
    endpoint.size = at->ai_addrlen;
    std::memcpy(&endpoint.address, at->ai_addr, at->ai_addrlen);
    if (!options.allow_remote && !loopback(endpoint)) {
      return invalid(fmt::format(
          "{} is not this machine; a load test of others' servers is an attack: --allow-remote "
          "says that it is yours",
          host));
    }
    Result<void> made = probe(endpoint, options.url);
    if (made) return endpoint;
    if (!error) error = std::move(made).error();
  }
  return *std::move(error);
}

Result<void> check(const Options& options) {
  if (options.connections == 0) return invalid("--connections must be at least 1");
  if (options.threads == 0) return invalid("--threads must be at least 1");
  if (options.threads > options.connections) return invalid("--threads exceeds --connections");
  if (options.questions == 0) return invalid("--questions must be at least 1");
  if (options.zipf < 0 || options.zipf > 10) return invalid("--zipf must be from 0 to 10");
  if (options.rate < 0 || options.rate > 1e9) return invalid("--rate must be from 0 to 1e9");
  if (options.duration <= Duration::zero()) return invalid("--duration must be above 0");
  if (options.warmup < Duration::zero()) return invalid("--warmup must not be negative");
  if (options.timeout <= Duration::zero()) return invalid("--timeout must be above 0");
  return {};
}

Result<void> allow_files(unsigned connections) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t wanted = connections + kSpareFiles;
  if (limit.rlim_cur >= wanted) return {};
  if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < wanted) {
    return invalid(fmt::format("{} connections need more open files than the limit of {}",
                               connections, limit.rlim_max));
  }
  limit.rlim_cur = wanted;
  setrlimit(RLIMIT_NOFILE, &limit);
  return {};
}

// One line a second, until it is told to end.
class Reporter {
 public:
  Reporter(const std::vector<Progress>& progress, const Options& options, Time start)
      : thread_([this, &progress, &options, start] { show(progress, options, start); }) {}
  Reporter(const Reporter&) = delete;
  Reporter& operator=(const Reporter&) = delete;
  ~Reporter() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_one();
    thread_.join();
    std::fputs("\r\033[K", stderr);
  }

 private:
  void show(const std::vector<Progress>& progress, const Options& options, Time start) {
    std::uint64_t before = 0;
    std::unique_lock lock(mutex_);
    for (Time next = start + 1s; !changed_.wait_until(lock, next, [this] { return ended_; });
         next += 1s) {
      std::uint64_t answers = 0;
      std::uint64_t failed = 0;
      std::uint64_t events = 0;
      for (const Progress& thread : progress) {
        answers += thread.answers.load(std::memory_order_relaxed);
        failed += thread.failed.load(std::memory_order_relaxed);
        events += thread.events.load(std::memory_order_relaxed);
      }
      const auto past = std::chrono::round<std::chrono::seconds>(next - start);
      const auto all = std::chrono::ceil<std::chrono::seconds>(options.warmup + options.duration);
      fmt::print(stderr, "\r\033[K{:>3} of {} s{}  {} answers/s  {} failed", past.count(),
                 all.count(), past <= options.warmup ? ", warm-up" : "", answers - before, failed);
      if (options.stream) fmt::print(stderr, "  {} events", events);
      std::fflush(stderr);
      before = answers;
    }
  }

  std::mutex mutex_;  // of ended_
  std::condition_variable changed_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace

Result<Report> run(const Options& options, std::stop_token stop) {
  Result<void> good = check(options);
  if (!good) return std::move(good).error();
  Result<Target> target = parse_target(options.url);
  if (!target) return std::move(target).error();
  Result<Plan> plan = Plan::make(options, *target);
  if (!plan) return std::move(plan).error();
  good = allow_files(options.connections);
  if (!good) return std::move(good).error();
  Result<Endpoint> endpoint = resolve(*target, options);
  if (!endpoint) return std::move(endpoint).error();

  const Zipf zipf(plan->size(), options.zipf);
  const Time start = Clock::now();
  const Time measure = start + options.warmup;
  const Job job{options, *plan, zipf, *endpoint, start, measure, measure + options.duration};

  std::vector<Progress> progress(options.threads);
  std::vector<std::optional<Result<Outcome>>> outcomes(options.threads);
  {
    std::optional<Reporter> reporter;
    if (options.progress) reporter.emplace(progress, options, start);
    std::vector<std::jthread> threads;
    threads.reserve(options.threads);
    for (unsigned i = 0; i < options.threads; ++i) {
      threads.emplace_back([&, i] { outcomes[i] = run_share(job, i, progress[i], stop); });
    }
    threads.clear();  // joins
  }

  Report report;
  const Time now = Clock::now();
  report.cut_short = stop.stop_requested() && now < job.end;
  report.measured = std::max(std::min(now, job.end) - measure, Duration::zero());
  for (std::optional<Result<Outcome>>& outcome : outcomes) {
    if (!outcome->ok()) return std::move(*outcome).error();
    report.counts.merge((*outcome)->counts);
    report.in_flight += (*outcome)->in_flight;
    report.cpu += (*outcome)->cpu_seconds;
  }
  const double seconds = std::chrono::duration<double>(report.measured).count();
  report.cpu = seconds > 0 ? report.cpu / seconds / options.threads : 0;
  return report;
}

}  // namespace penstock::load
