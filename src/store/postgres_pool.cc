#include "store/postgres_pool.h"

#include <algorithm>

namespace penstock::store {
namespace {

constexpr Duration kConnectTimeout = 2s;  // of one address
constexpr std::size_t kLine = 4096;

void default_option(PostgresTarget& target, const PostgresUrl& url, std::string_view name,
                    std::string_view value) {
  if (!url.has(name)) target.options.emplace_back(name, value);
}

}  // namespace

PostgresPool::PostgresPool(Loop& loop, PostgresPoolOptions options, Meters& meters,
                           observe::Log& log)
    : loop_(loop), options_(std::move(options)), meters_(meters), log_(log) {
  health_.name = options_.url.name;
  health_.role = options_.role;
  health_.reason = "it has not answered yet";
}

// ---- leases ------------------------------------------------------------------------------------

PostgresPool::Lease::~Lease() {
  if (pool_ == nullptr || !connection_) return;
  connection_.reset();
  --pool_->open_;
  pool_->publish();
  pool_->wake_line();
}

void PostgresPool::Lease::keep() {
  PostgresPool& pool = *std::exchange(pool_, nullptr);
  std::unique_ptr<PostgresConnection> connection = std::move(connection_);
  if (connection->generation != pool.generation_ || pool.open_ > pool.most_) {
    connection.reset();
    --pool.open_;
  } else {
    connection->used = Clock::now();
    pool.idle_.push_back(std::move(connection));
  }
  pool.publish();
  pool.wake_line();
}

Task<Result<PostgresPool::Lease>> PostgresPool::take(bool probe, Deadline& deadline) {
  const Time began = Clock::now();
  const unsigned failures = failures_;
  Deadline patience(deadline, began + options_.acquire_timeout);
  bool first = true;
  for (;;) {
    while (!idle_.empty()) {
      std::unique_ptr<PostgresConnection> connection = std::move(idle_.back());
      idle_.pop_back();
      if (connection->quiet()) {
        meters_.waited(options_.role, Clock::now() - began);
        publish();
        co_return Lease(*this, std::move(connection));
      }
      connection.reset();
      --open_;
    }
    if ((away_ && !probe) || failures_ != failures) {
      co_return Error{Kind::unreachable, Source::store, true, reason_};
    }
    if (line_.size() >= kLine) {
      co_return Error{Kind::exhausted, Source::store, true,
                      "the database " + name() + ": too much waits for a connection already"};
    }
    if (open_ < most_ && connecting_ <= line_.size()) {
      ++open_;
      ++connecting_;
      loop_.spawn(connect());
      if (!idle_.empty()) continue;
      if (failures_ != failures) continue;
    }
    Signal here(loop_);
    struct InLine {
      InLine(std::deque<Signal*>& in, Signal& who, bool back) : line(in), signal(who) {
        if (back) {
          line.push_back(&who);
        } else {
          line.push_front(&who);  // it has waited already
        }
      }
      InLine(const InLine&) = delete;
      InLine& operator=(const InLine&) = delete;
      ~InLine() { std::erase(line, &signal); }
      std::deque<Signal*>& line;
      Signal& signal;
    };
    const InLine in_line(line_, here, first);
    first = false;
    Result<void> woken = co_await here.wait(patience);
    if (!woken) {
      meters_.pool_timed_out(options_.role);
      if (deadline.over()) co_return deadline.error("the database " + name(), Source::store);
      co_return Error{Kind::exhausted, Source::store, true,
                      "the database " + name() + ": no connection within " +
                          std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(
                                             options_.acquire_timeout)
                                             .count()) +
                          " ms"};
    }
  }
}

void PostgresPool::wake_line() {
  if (line_.empty()) return;
  line_.front()->wake();
  line_.pop_front();
}

void PostgresPool::wake_all() {
  while (!line_.empty()) wake_line();
}

// ---- how many, and whether ---------------------------------------------------------------------

void PostgresPool::allow(unsigned most) {
  if (most == most_) return;
  most_ = most;
  while (open_ > most_ && !idle_.empty()) {
    idle_.erase(idle_.begin());
    --open_;
  }
  publish();
  wake_line();
}

void PostgresPool::drop() {
  ++generation_;
  open_ -= static_cast<unsigned>(idle_.size());
  idle_.clear();
  publish();
  wake_line();
}

void PostgresPool::gone(const std::string& reason) {
  ++failures_;
  reason_ = reason;
  drop();
  if (!std::exchange(away_, true)) {
    log_.warning("a database does not answer", {{"reason", reason}});
  }
  publish();
  wake_all();
}

void PostgresPool::there() {
  if (std::exchange(away_, false)) {
    log_.info("a database answers again", {{"database", name()}});
  }
  reason_.clear();
  publish();
}

void PostgresPool::sweep(Time now) {
  const auto old = std::partition(idle_.begin(), idle_.end(), [&](const auto& connection) {
    return now - connection->used < options_.idle;
  });
  open_ -= static_cast<unsigned>(idle_.end() - old);
  idle_.erase(old, idle_.end());
  std::sort(idle_.begin(), idle_.end(),
            [](const auto& a, const auto& b) { return a->used < b->used; });
  publish();
}

void PostgresPool::close() {
  ++generation_;
  most_ = 0;
  open_ -= static_cast<unsigned>(idle_.size());
  idle_.clear();
}

void PostgresPool::forget_names() {
  if (!std::exchange(named_, false)) return;
  log_.info("prepared statements are used without names: there is a pooler before the database",
            {{"database", name()}});
}

void PostgresPool::publish() {
  const std::lock_guard lock(mutex_);
  health_.connections = open_;
  health_.idle = static_cast<unsigned>(idle_.size());
  health_.up = !away_ && open_ > connecting_;
  if (options_.role == Role::primary) health_.used = health_.up;
  if (away_) {
    health_.used = false;
    health_.reason = reason_;
  } else if (options_.role == Role::primary && health_.up) {
    health_.reason.clear();
  }
}

void PostgresPool::lags(std::optional<Duration> lag, bool used, std::string reason) {
  const std::lock_guard lock(mutex_);
  health_.lag = lag;
  health_.used = used;
  health_.reason = std::move(reason);
}

Health PostgresPool::seen() const {
  const std::lock_guard lock(mutex_);
  return health_;
}

// ---- connecting --------------------------------------------------------------------------------

Task<void> PostgresPool::connect() {
  Deadline deadline(
      loop_, Clock::now() + kConnectTimeout * 2 * static_cast<int>(options_.url.hosts.size()));
  Result<std::unique_ptr<PostgresConnection>> made = co_await connect_anywhere(deadline);
  --connecting_;
  if (!made) {
    --open_;
    meters_.failed("08");
    gone(made.error().detail);
    co_return;
  }
  there();
  if (open_ > most_) {
    made->reset();
    --open_;
  } else {
    (*made)->generation = generation_;
    idle_.push_back(*std::move(made));
  }
  publish();
  wake_line();
}

Task<Result<std::unique_ptr<PostgresConnection>>> PostgresPool::connect_anywhere(
    Deadline& deadline) {
  std::string reason;
  const std::size_t hosts = options_.url.hosts.size();
  const std::size_t first = host_;
  for (std::size_t i = 0; i < hosts && !deadline.over(); ++i) {
    const std::size_t host = (first + i) % hosts;
    Result<std::unique_ptr<PostgresConnection>> made = co_await connect_to(host, deadline);
    if (made) {
      host_ = host;
      co_return made;
    }
    if (!reason.empty()) reason += "; ";
    reason += made.error().detail;
  }
  co_return Error{Kind::unreachable, Source::store, true, std::move(reason)};
}

Task<Result<std::unique_ptr<PostgresConnection>>> PostgresPool::connect_to(std::size_t host,
                                                                           Deadline& deadline) {
  const PostgresUrl& url = options_.url;
  const PostgresUrl::Host& at = url.hosts[host];
  Result<std::vector<std::string>> addresses = co_await look_up(at, deadline);
  if (!addresses) co_return addresses.error();
  std::optional<Error> last;
  for (const std::string& address : *addresses) {
    PostgresTarget target;
    target.options = url.options;
    target.name = url.name;
    if (!at.name.empty()) target.options.emplace_back("host", at.name);
    if (!address.empty()) target.options.emplace_back("hostaddr", address);
    target.options.emplace_back("port", at.port);
    default_option(target, url, "application_name", "penstock");
    default_option(target, url, "tcp_user_timeout", "5000");
    default_option(target, url, "keepalives", "1");
    default_option(target, url, "keepalives_idle", "10");
    default_option(target, url, "keepalives_interval", "3");
    default_option(target, url, "keepalives_count", "3");
    default_option(target, url, "gssencmode", "disable");  // it may wait for files of its own
    target.options.emplace_back("client_encoding", "UTF8");
    if (options_.role == Role::primary) {
      default_option(target, url, "target_session_attrs", "read-write");
    }
    Deadline one(deadline, Clock::now() + kConnectTimeout);
    Result<std::unique_ptr<PostgresConnection>> made =
        co_await PostgresConnection::open(std::move(target), one);
    if (made) co_return made;
    last = made.error();
  }
  co_return last.value_or(Error{Kind::unreachable, Source::store, true,
                                "the database " + url.name + ": " + at.name + " has no address"});
}

// A name's addresses; an empty one for what needs no look-up. Where it cannot be looked up now, the
// last good ones.
Task<Result<std::vector<std::string>>> PostgresPool::look_up(const PostgresUrl::Host& host,
                                                             Deadline& deadline) {
  using Out = Result<std::vector<std::string>>;
  boost::system::error_code ec;
  if (!host.address.empty()) co_return Out(std::vector<std::string>{host.address});
  if (host.name.empty() || host.name.front() == '/' || host.name.front() == '@') {
    co_return Out(std::vector<std::string>{std::string()});
  }
  (void)asio::ip::make_address(host.name, ec);
  if (!ec) co_return Out(std::vector<std::string>{host.name});

  struct State {
    explicit State(Loop& loop) : signal(loop) {}
    Signal signal;
    std::vector<std::string> found;
    boost::system::error_code failed;
  };
  const auto state = std::make_shared<State>(loop_);
  asio::ip::basic_resolver<asio::ip::tcp, Executor> resolver(loop_.executor());
  resolver.async_resolve(
      host.name, host.port, [state](boost::system::error_code failed, const auto& results) {
        state->failed = failed;
        for (const auto& one : results) {
          std::string address = one.endpoint().address().to_string();
          if (std::find(state->found.begin(), state->found.end(), address) == state->found.end()) {
            state->found.push_back(std::move(address));
          }
        }
        state->signal.wake();
      });
  Deadline one(deadline, Clock::now() + kConnectTimeout);
  Signal& signal = state->signal;
  Result<void> woken = co_await signal.wait(one);
  if (woken && !state->failed && !state->found.empty()) {
    addresses_[host.name] = state->found;
    co_return Out(state->found);
  }
  const auto known = addresses_.find(host.name);
  if (known != addresses_.end()) co_return Out(known->second);
  co_return Error{Kind::unreachable, Source::store, true,
                  "the database " + name() + ": " + host.name + " cannot be looked up: " +
                      (woken ? state->failed.message() : std::string("no answer within its time"))};
}

}  // namespace penstock::store
