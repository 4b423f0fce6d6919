#include "redis/client.h"

#include <array>
#include <deque>
#include <map>

#include "base/signal.h"
#include "base/sleep.h"
#include "redis/backoff.h"
#include "redis/breaker.h"
#include "redis/connection.h"
#include "redis/subscriber.h"

namespace penstock::redis {
namespace {

constexpr int kEvalTries = 3;
// A tracked connection that is gone must not be believed for long.
constexpr Duration kPingEach = 1s;
constexpr Duration kPingTimeout = 500ms;
constexpr Duration kFullAgain = 60s;  // until it is said again that Redis has no memory left

Error ended() { return {Kind::cancelled, Source::gateway, false, "the Redis client ends"}; }

}  // namespace

// Outlives the client while something of it is under way.
class Client::State : public std::enable_shared_from_this<State> {
 public:
  State(Loop& loop, const Options& options, Server server, const Metrics& metrics,
        observe::Log& log)
      : loop_(loop),
        options_(options),
        server_(std::move(server)),
        metrics_(metrics),
        log_(log),
        addresses_(loop, server_.url.host, server_.url.port, net::Addresses::system_lookup,
                   Source::store) {}

  void start() {
    if (options_.standing) options_.standing->add(up_);
    for (unsigned i = 0; i < std::max(1U, options_.connections); ++i) {
      Link& link = links_.emplace_back(*this);
      loop_.spawn(keep(shared_from_this(), link));
    }
  }
  void stop() {
    stopped_ = true;
    for (Link& link : links_) {
      link.until.call_off(Why::draining);
      if (const std::shared_ptr<Connection> connection = link.connection) {
        connection->close(ended());
      }
    }
    if (subscriber_) subscriber_->stop();
    wake_waiting();
    if (options_.standing) options_.standing->remove(up_);
  }

  bool available(Time now) const { return !stopped_ && breaker_.admits(now); }
  const std::string& trouble() const { return trouble_; }
  unsigned connections() const { return open_; }

  void tell(Words words) {
    Connection* const connection = stopped_ || breaker_.open() ? nullptr : shortest();
    if (connection == nullptr || connection->full()) return metrics_.count(Fault::away);
    connection->send(words, nullptr);
  }

  void subscribe(const std::string& channel, std::function<void(std::string_view)> heard,
                 std::function<void()> subscribed) {
    const bool first = !subscriber_;
    if (first) {
      Server server = server_;
      server.ears = nullptr;
      subscriber_ = std::make_shared<Subscriber>(loop_, server, options_.connect_timeout);
    }
    subscriber_->add(channel, std::move(heard), std::move(subscribed));
    if (first) Subscriber::start(subscriber_);
  }

  // Redis's answer as it is, errors of its own included.
  static Task<Result<Value>> ask(std::shared_ptr<State> self, Words words, Deadline& deadline) {
    State& state = *self;
    Result<void> admitted = state.admit();
    if (!admitted) co_return std::move(admitted).error();
    if (state.shortest() == nullptr) {
      Result<void> ready = co_await state.wait_for_connection(deadline);
      if (!ready) co_return std::move(ready).error();
    }
    Connection* const connection = state.shortest();
    Result<void> room = state.has_room(*connection);
    if (!room) co_return std::move(room).error();
    Connection::Call call(state.loop_);
    connection->send(words, &call);
    Result<Value> value = co_await call.answer(deadline);
    co_return value;
  }

  static Task<Result<Read>> read(std::shared_ptr<State> self, std::span<const Words> commands,
                                 std::string_view key, Deadline& deadline) {
    State& state = *self;
    Result<void> admitted = state.admit();
    if (!admitted) co_return std::move(admitted).error();
    if (state.shortest() == nullptr) {
      Result<void> ready = co_await state.wait_for_connection(deadline);
      if (!ready) co_return std::move(ready).error();
    }
    const std::shared_ptr<Connection> connection = state.connection_of(key)->shared_from_this();
    Result<void> room = state.has_room(*connection);
    if (!room) co_return std::move(room).error();
    Tracking::Fetch fetch(connection->tracking(), key);
    std::deque<Connection::Call> calls;
    for (const Words words : commands) connection->send(words, &calls.emplace_back(state.loop_));
    Read read;
    for (Connection::Call& call : calls) {
      Result<Value> value = co_await call.answer(deadline);
      if (!value) co_return std::move(value).error();
      if (std::optional<Error> error = unavailable(*value)) co_return *std::move(error);
      read.values.push_back(*std::move(value));
    }
    read.vouch = fetch.vouch();
    read.changed = fetch.changed();
    co_return read;
  }

  // How often the script was loaded so far.
  std::uint64_t loads(const Script& script) const {
    const auto found = loads_.find(script.sha());
    return found == loads_.end() ? 0 : found->second.done;
  }

  // Puts the script into Redis: one load for all who found it missing. `before`: what loads() was
  // when it was called. Whether it worked is seen by who calls it again.
  static Task<Result<void>> load(std::shared_ptr<State> self, const Script& script,
                                 std::uint64_t before, Deadline& deadline) {
    Load& load = self->loads_[script.sha()];
    if (load.done != before) co_return Result<void>();
    if (load.under_way) {
      const Signal signal = load.waiting.emplace_back(self->loop_);
      Signal waiting = signal;
      Result<void> loaded = co_await waiting.wait(deadline);
      co_return loaded;
    }
    load.under_way = true;
    const std::array<std::string_view, 3> words = {"SCRIPT", "LOAD", script.text()};
    Result<Value> loaded = co_await ask(self, words, deadline);
    load.under_way = false;
    if (loaded && !loaded->is_error()) ++load.done;
    for (const Signal& signal : load.waiting) signal.wake();
    load.waiting.clear();
    if (!loaded) co_return std::move(loaded).error();
    if (loaded->is_error()) co_return refused(*loaded);
    co_return Result<void>();
  }

 private:
  // One of the connections, whether it is open or not.
  struct Link final : Connection::Owner {
    explicit Link(State& of) : state(of), until(of.loop_, Time::max()), ended(of.loop_) {}
    void on_reply(const Value& value, std::size_t command, Duration took) override {
      state.replied(value, command, took);
      backoff.reset();
    }
    void on_push(const Value&) override {}
    void on_end(const Error& error, std::size_t waiting) override {
      connection = nullptr;
      ended.wake();
      state.lost(error, waiting);
    }
    State& state;
    std::shared_ptr<Connection> connection;
    Backoff backoff;
    Deadline until;
    Signal ended;
  };

  struct Load {
    bool under_way = false;
    std::uint64_t done = 0;
    std::deque<Signal> waiting{};
  };

  static Task<void> keep(std::shared_ptr<State> self, Link& link) {
    State& state = *self;
    while (!link.until.over()) {
      co_await sleep_until(Clock::now() + link.backoff.next(), link.until);
      if (link.until.over()) break;
      Result<std::shared_ptr<Connection>> opened = co_await state.open(link);
      if (link.until.over()) {
        if (opened) {
          (*opened)->leave();
          (*opened)->close(penstock::redis::ended());
        }
        break;
      }
      if (!opened) {
        state.failed(opened.error(), Fault::connect, true);
        continue;
      }
      link.connection = *std::move(opened);
      state.connected();
      co_await state.stay(link);
    }
  }

  // As long as the connection lives.
  Task<void> stay(Link& link) {
    while (link.connection && !link.until.over()) {
      Deadline pause(link.until, options_.tracking ? Clock::now() + kPingEach : Time::max());
      Result<void> ended = co_await link.ended.wait(pause);
      if (ended || !link.connection || link.until.over()) continue;
      link.backoff.reset();  // it stood: when it is lost it is missed at once
      if (link.connection->waiting() == 0) link.connection->ping(kPingTimeout);
    }
  }

  // One that passes has taken its turn at the breaker.
  Result<void> admit() {
    if (stopped_) return ended();
    if (breaker_.take(Clock::now())) return {};
    metrics_.count(Fault::away);
    return Error{Kind::unreachable, Source::store, true, "Redis is away: " + trouble_};
  }
  Result<void> has_room(const Connection& connection) {
    if (!connection.full()) return {};
    breaker_.left();
    return Error{Kind::exhausted, Source::store, true, "too much waits for Redis"};
  }

  Task<Result<std::shared_ptr<Connection>>> open(Link& link) {
    Deadline connecting(link.until, Clock::now() + options_.connect_timeout);
    Result<std::shared_ptr<Connection>> opened =
        co_await Connection::open(server_, addresses_, &link, options_.timeout, connecting);
    co_return opened;
  }

  Task<Result<void>> wait_for_connection(Deadline& deadline) {
    Deadline patience(deadline, Clock::now() + options_.timeout);
    while (!stopped_ && shortest() == nullptr) {
      if (patience.over()) {
        // Only who waited as long as it takes has found something out.
        const Error none{Kind::unreachable, Source::store, true,
                         trouble_.empty() ? "there is no connection to Redis" : trouble_};
        if (deadline.over()) {
          breaker_.left();
          co_return deadline.error("connection to Redis", Source::store);
        }
        failed(none, Fault::connect, true);
        co_return none;
      }
      const Signal signal = waiting_.emplace_back(loop_);
      Signal waiting = signal;
      Result<void> woken = co_await waiting.wait(patience);
      (void)woken;
    }
    if (stopped_) co_return ended();
    co_return Result<void>();
  }

  Connection* shortest() const {
    Connection* best = nullptr;
    for (const Link& link : links_) {
      Connection* const one = link.connection.get();
      if (one != nullptr && one->is_open() &&
          (best == nullptr || one->waiting() < best->waiting())) {
        best = one;
      }
    }
    return best;
  }

  // Where connections are tracked a key has one of its own: what we change on another one is an
  // invalidation on this one.
  Connection* connection_of(std::string_view key) const {
    if (options_.tracking) {
      const Link& link = links_[std::hash<std::string_view>()(key) % links_.size()];
      if (link.connection && link.connection->is_open()) return link.connection.get();
    }
    return shortest();
  }

  void wake_waiting() {
    for (const Signal& signal : waiting_) signal.wake();
    waiting_.clear();
  }

  void connected() {
    ++open_;
    metrics_.connections.add(1);
    breaker_.connected();
    tell_standing();
    wake_waiting();
  }

  void lost(const Error& error, std::size_t waiting) {
    --open_;
    metrics_.connections.add(-1);
    if (stopped_) return;
    if (error.kind == Kind::timeout) {
      failed(error, Fault::timeout, false);
    } else if (waiting > 0) {
      failed(error, Fault::broken, true);
    } else {
      log_.debug("a connection to Redis ended", {{"reason", error.detail}});
      tell_standing();
    }
  }

  void replied(const Value& value, std::size_t command, Duration took) {
    metrics_.durations[command].observe(std::chrono::duration<double>(took).count());
    if (value.is_error()) {
      if (const std::optional<Error> error = unavailable(value)) {
        if (!out_of_memory(value)) return failed(*error, Fault::unavailable, false);
        full(*error);
      } else if (!value.text.starts_with("NOSCRIPT")) {
        metrics_.count(Fault::refused);
      }
    }
    breaker_.succeeded();
    if (!up_) tell_standing();
  }

  // It answers at once, and answers who reads: the breaker does not hear of it.
  void full(const Error& error) {
    metrics_.count(Fault::unavailable);
    const Time now = Clock::now();
    if (now < full_until_) return;
    full_until_ = now + kFullAgain;
    log_.warning("Redis is full: it writes nothing",
                 {{"server", server_.url.place()}, {"reason", error.detail}});
  }

  void failed(const Error& error, Fault fault, bool connecting) {
    metrics_.count(fault);
    trouble_ = error.detail;
    if (breaker_.failed(Clock::now(), connecting)) {
      log_.warning("Redis is away",
                   {{"server", server_.url.place()},
                    {"reason", trouble_},
                    {"seconds", std::chrono::duration<double>(breaker_.open_for()).count()}});
    }
    tell_standing();
  }

  void tell_standing() {
    const bool up = open_ > 0 && !breaker_.open();
    if (up) trouble_.clear();
    if (up == up_) return;
    if (options_.standing) {
      options_.standing->remove(up_);
      options_.standing->add(up);
    }
    up_ = up;
    if (up) log_.info("Redis is reached", {{"server", server_.url.place()}});
  }

  Loop& loop_;
  const Options options_;
  const Server server_;
  Metrics metrics_;
  observe::Log& log_;
  net::Addresses addresses_;
  Breaker breaker_;
  std::deque<Link> links_;
  std::shared_ptr<Subscriber> subscriber_;
  std::deque<Signal> waiting_;         // for a connection
  std::map<std::string, Load> loads_;  // by the scripts' digests
  std::string trouble_;
  Time full_until_ = Time::min();
  unsigned open_ = 0;
  bool up_ = false;
  bool stopped_ = false;
};

Result<std::unique_ptr<Client>> Client::make(Loop& loop, const Options& options,
                                             const Metrics& metrics, observe::Log& log) {
  if (options.urls.size() != 1) {
    return Error{Kind::invalid, Source::gateway, false,
                 "Redis takes one url: a cluster is not spoken"};
  }
  Result<Url> url = parse_url(options.urls.front());
  if (!url) return std::move(url).error();
  if (!options.username.empty()) url->username = options.username;
  if (!options.password.empty()) url->password = options.password;
  Server server{*std::move(url), nullptr, options.name};
  if (options.tracking) {
    if (!options.vouchers) {
      return Error{Kind::invalid, Source::gateway, false, "nobody vouches for tracked reads"};
    }
    server.ears =
        std::make_shared<const Tracking::Ears>(Tracking::Ears{options.vouchers, options.changed});
  }
  if (server.url.tls) {
    Result<std::shared_ptr<net::TlsClient>> tls = net::TlsClient::make(options.ca, "");
    if (!tls) return std::move(tls).error();
    server.tls = *std::move(tls);
  }
  auto state = std::make_shared<State>(loop, options, std::move(server), metrics, log);
  state->start();
  return std::unique_ptr<Client>(new Client(std::move(state)));
}

Client::~Client() { state_->stop(); }

bool Client::available(Time now) const { return state_->available(now); }
const std::string& Client::trouble() const { return state_->trouble(); }
unsigned Client::connections() const { return state_->connections(); }
void Client::tell(Words words) { state_->tell(words); }

void Client::subscribe(const std::string& channel, std::function<void(std::string_view)> heard,
                       std::function<void()> subscribed) {
  state_->subscribe(channel, std::move(heard), std::move(subscribed));
}

Task<Result<Value>> Client::call(Words words, Deadline& deadline) {
  const std::shared_ptr<State> state = state_;
  Result<Value> value = co_await State::ask(state, words, deadline);
  if (!value || !value->is_error()) co_return value;
  if (std::optional<Error> error = unavailable(*value)) co_return *std::move(error);
  co_return refused(*value);
}

Task<Result<Read>> Client::read(std::span<const Words> commands, std::string_view key,
                                Deadline& deadline) {
  const std::shared_ptr<State> state = state_;
  Result<Read> read = co_await State::read(state, commands, key, deadline);
  co_return read;
}

Task<Result<Value>> Client::eval(const Script& script, Words keys, Words arguments,
                                 Deadline& deadline) {
  const std::shared_ptr<State> state = state_;
  const std::string count = std::to_string(keys.size());
  std::vector<std::string_view> words = {"EVALSHA", script.sha(), count};
  words.insert(words.end(), keys.begin(), keys.end());
  words.insert(words.end(), arguments.begin(), arguments.end());
  for (int tries = 0; tries < kEvalTries; ++tries) {
    const std::uint64_t loads = state->loads(script);
    Result<Value> value = co_await State::ask(state, words, deadline);
    if (!value || !value->is_error()) co_return value;
    if (std::optional<Error> error = unavailable(*value)) co_return *std::move(error);
    if (!value->text.starts_with("NOSCRIPT")) co_return refused(*value);
    Result<void> loaded = co_await State::load(state, script, loads, deadline);
    if (!loaded) co_return std::move(loaded).error();
  }
  co_return Error{Kind::broken, Source::store, true, "Redis forgets its scripts"};
}

}  // namespace penstock::redis
