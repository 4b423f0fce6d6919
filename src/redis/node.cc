#include "redis/node.h"

#include <array>

#include "base/sleep.h"
#include "redis/slots.h"

namespace penstock::redis {
namespace {

constexpr std::array<std::string_view, 1> kAsking = {"ASKING"};
// A tracked connection that is gone must not be believed for long.
constexpr Duration kPingEach = 1s;
constexpr Duration kPingTimeout = 500ms;
constexpr Duration kFullAgain = 60s;  // until it is said again that Redis has no memory left

}  // namespace

Error client_ended() { return {Kind::cancelled, Source::gateway, false, "the Redis client ends"}; }

Node::Node(Loop& loop, std::shared_ptr<Origin> origin, std::shared_ptr<Common> common,
           Watcher* watcher)
    : loop_(loop), origin_(std::move(origin)), common_(std::move(common)), watcher_(watcher) {}

void Node::start() {
  if (stopped_ || !links_.empty()) return;
  for (unsigned i = 0; i < std::max(1U, common_->options.connections); ++i) {
    Link& link = links_.emplace_back(*this);
    loop_.spawn(keep(shared_from_this(), link));
  }
}

void Node::stop() {
  stopped_ = true;
  watcher_ = nullptr;
  for (Link& link : links_) {
    link.until.call_off(Why::draining);
    if (const std::shared_ptr<Connection> connection = link.connection) {
      connection->close(client_ended());
    }
  }
  wake_waiting();
}

void Node::retire() {
  watcher_ = nullptr;
  for (const Link& link : links_) {
    if (link.connection) link.connection->tracking().end();
  }
  loop_.spawn(leave(shared_from_this()));
}

Task<void> Node::leave(std::shared_ptr<Node> self) {
  // By then everybody was answered or has run out of time.
  const Time at = Clock::now() + self->common_->options.timeout + 100ms;
  Deadline until(self->loop_, Time::max());
  co_await sleep_until(at, until);
  self->stop();
}

void Node::follow(const std::string& place) {
  for (Link& link : links_) {
    const std::shared_ptr<Connection> connection = link.connection;
    if (!connection || connection->place() == place) continue;
    connection->close({Kind::unreachable, Source::store, true, "Redis's master is now " + place});
  }
}

// ---- commands ----------------------------------------------------------------------------------

Task<Result<Value>> Node::ask(std::shared_ptr<Node> self, Words words, bool asking,
                              Deadline& deadline) {
  Node& node = *self;
  Result<void> admitted = node.admit();
  if (!admitted) co_return std::move(admitted).error();
  if (node.shortest() == nullptr) {
    Result<void> ready = co_await node.wait_for_connection(deadline);
    if (!ready) co_return std::move(ready).error();
  }
  Connection* const connection = node.shortest();
  Result<void> room = node.has_room(*connection);
  if (!room) co_return std::move(room).error();
  Connection::Call call(node.loop_);
  if (asking) connection->send(kAsking, nullptr);
  connection->send(words, &call);
  Result<Value> value = co_await call.answer(deadline);
  co_return value;
}

Task<Result<Read>> Node::read(std::shared_ptr<Node> self, std::span<const Words> commands,
                              std::string_view key, bool asking, Deadline& deadline) {
  Node& node = *self;
  Result<void> admitted = node.admit();
  if (!admitted) co_return std::move(admitted).error();
  if (node.shortest() == nullptr) {
    Result<void> ready = co_await node.wait_for_connection(deadline);
    if (!ready) co_return std::move(ready).error();
  }
  const std::shared_ptr<Connection> connection = node.connection_of(key)->shared_from_this();
  Result<void> room = node.has_room(*connection);
  if (!room) co_return std::move(room).error();
  Tracking::Fetch fetch(connection->tracking(), key);
  std::deque<Connection::Call> calls;
  for (const Words words : commands) {
    if (asking) connection->send(kAsking, nullptr);
    connection->send(words, &calls.emplace_back(node.loop_));
  }
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

void Node::tell(Words words) {
  Connection* const connection = stopped_ || breaker_.open() ? nullptr : shortest();
  if (connection == nullptr || connection->full()) return common_->metrics.count(Fault::away);
  connection->send(words, nullptr);
}

// One that passes has taken its turn at the breaker.
Result<void> Node::admit() {
  if (stopped_) return client_ended();
  if (breaker_.take(Clock::now())) return {};
  common_->metrics.count(Fault::away);
  return Error{Kind::unreachable, Source::store, true, "Redis is away: " + trouble_};
}

Task<Result<void>> Node::wait_for_connection(Deadline& deadline) {
  Deadline patience(deadline, Clock::now() + common_->options.timeout);
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
  if (stopped_) co_return client_ended();
  co_return Result<void>();
}

Result<void> Node::has_room(const Connection& connection) {
  if (!connection.full()) return {};
  breaker_.left();
  return Error{Kind::exhausted, Source::store, true, "too much waits for Redis"};
}

Connection* Node::shortest() const {
  Connection* best = nullptr;
  for (const Link& link : links_) {
    Connection* const one = link.connection.get();
    if (one != nullptr && one->is_open() && (best == nullptr || one->waiting() < best->waiting())) {
      best = one;
    }
  }
  return best;
}

// Where connections are tracked a key has one of its own: what we change on another one is an
// invalidation on this one.
Connection* Node::connection_of(std::string_view key) const {
  if (common_->ears) {
    const Link& link = links_[std::hash<std::string_view>()(key) % links_.size()];
    if (link.connection && link.connection->is_open()) return link.connection.get();
  }
  return shortest();
}

void Node::wake_waiting() {
  for (const Signal& signal : waiting_) signal.wake();
  waiting_.clear();
}

// ---- scripts -----------------------------------------------------------------------------------

Task<Result<void>> Node::load(std::shared_ptr<Node> self, const Script& script, Time called,
                              Deadline& deadline) {
  Load& load = self->loads_[script.sha()];
  if (load.done > called) co_return Result<void>();
  if (load.under_way) {
    const Signal signal = load.waiting.emplace_back(self->loop_);
    Signal waiting = signal;
    Result<void> loaded = co_await waiting.wait(deadline);
    co_return loaded;
  }
  load.under_way = true;
  const std::array<std::string_view, 3> words = {"SCRIPT", "LOAD", script.text()};
  Result<Value> loaded = co_await ask(self, words, false, deadline);
  load.under_way = false;
  if (loaded && !loaded->is_error()) load.done = Clock::now();
  for (const Signal& signal : load.waiting) signal.wake();
  load.waiting.clear();
  if (!loaded) co_return std::move(loaded).error();
  if (loaded->is_error()) co_return refused(*loaded);
  co_return Result<void>();
}

// ---- connections -------------------------------------------------------------------------------

Task<void> Node::keep(std::shared_ptr<Node> self, Link& link) {
  Node& node = *self;
  while (!link.until.over()) {
    co_await sleep_until(Clock::now() + link.backoff.next(), link.until);
    if (link.until.over()) break;
    Result<std::shared_ptr<Connection>> opened = co_await node.open(link);
    if (link.until.over()) {
      if (opened) {
        (*opened)->leave();
        (*opened)->close(client_ended());
      }
      break;
    }
    if (!opened) {
      node.failed(opened.error(), Fault::connect, true);
      continue;
    }
    link.connection = *std::move(opened);
    node.connected(link.connection->place());
    if (node.watcher_ != nullptr && link.connection->in_cluster()) node.watcher_->on_cluster();
    co_await node.stay(link);
  }
}

Task<Result<std::shared_ptr<Connection>>> Node::open(Link& link) {
  Deadline connecting(link.until, Clock::now() + common_->options.connect_timeout);
  const Connection::Use use{&link, common_->options.timeout, common_->ears, true};
  Result<std::shared_ptr<Connection>> opened = co_await origin_->open(use, connecting);
  co_return opened;
}

// As long as the connection lives.
Task<void> Node::stay(Link& link) {
  while (link.connection && !link.until.over()) {
    Deadline pause(link.until, common_->ears ? Clock::now() + kPingEach : Time::max());
    Result<void> ended = co_await link.ended.wait(pause);
    if (ended || !link.connection || link.until.over()) continue;
    link.backoff.reset();  // it stood: when it is lost it is missed at once
    if (link.connection->waiting() == 0) link.connection->ping(kPingTimeout);
  }
}

void Node::Link::on_reply(const Value& value, std::size_t command, Duration took) {
  node.replied(value, command, took);
  backoff.reset();
}

void Node::Link::on_end(const Error& error, std::size_t waiting) {
  connection = nullptr;
  ended.wake();
  node.lost(error, waiting);
}

// ---- what is known of it -----------------------------------------------------------------------

void Node::connected(const std::string& place) {
  ++open_;
  common_->metrics.connections.add(1);
  // What another server did not answer says nothing of this one.
  if (std::exchange(place_, place) != place) breaker_.succeeded();
  breaker_.connected();
  tell_standing();
  wake_waiting();
}

void Node::lost(const Error& error, std::size_t waiting) {
  --open_;
  common_->metrics.connections.add(-1);
  if (stopped_) return;
  if (error.kind == Kind::unreachable) {  // closed by turned() or follow()
    tell_standing();
  } else if (error.kind == Kind::timeout) {
    failed(error, Fault::timeout, false);
  } else if (waiting > 0) {
    failed(error, Fault::broken, true);
  } else {
    common_->log.debug("a connection to Redis ended", {{"reason", error.detail}});
    tell_standing();
  }
}

void Node::replied(const Value& value, std::size_t command, Duration took) {
  Metrics& metrics = common_->metrics;
  metrics.durations[command].observe(std::chrono::duration<double>(took).count());
  if (value.is_error()) {
    if (const std::optional<Error> error = unavailable(value)) {
      if (not_master(value)) return turned(*error);
      if (cut_off(value)) doubt_reads();
      if (!out_of_memory(value)) return failed(*error, Fault::unavailable, false);
      full(*error);
    } else if (!value.text.starts_with("NOSCRIPT") && !redirect_of(value)) {
      metrics.count(Fault::refused);
    }
  }
  breaker_.succeeded();
  if (!up_) tell_standing();
}

// It does not hear of what others may have changed elsewhere.
void Node::doubt_reads() {
  for (const Link& link : links_) {
    if (link.connection) link.connection->tracking().renew();
  }
}

// It became a replica: all that is under way there is answered with that.
void Node::turned(const Error& error) {
  origin_->doubt();
  failed(error, Fault::unavailable, true);
  for (Link& link : links_) {
    if (const std::shared_ptr<Connection> connection = link.connection) connection->close(error);
  }
}

// It answers at once, and answers who reads: the breaker does not hear of it.
void Node::full(const Error& error) {
  common_->metrics.count(Fault::unavailable);
  const Time now = Clock::now();
  if (now < full_until_) return;
  full_until_ = now + kFullAgain;
  common_->log.warning("Redis is full: it writes nothing",
                       {{"server", origin_->place()}, {"reason", error.detail}});
}

void Node::failed(const Error& error, Fault fault, bool connecting) {
  common_->metrics.count(fault);
  trouble_ = error.detail;
  if (breaker_.failed(Clock::now(), connecting)) {
    common_->log.warning("Redis is away",
                         {{"server", origin_->place()},
                          {"reason", trouble_},
                          {"seconds", std::chrono::duration<double>(breaker_.open_for()).count()}});
  }
  tell_standing();
  if (watcher_ != nullptr) watcher_->on_failure();
}

void Node::tell_standing() {
  if (up()) trouble_.clear();
  if (up() == up_) return;
  up_ = up();
  if (up_) common_->log.info("Redis is reached", {{"server", origin_->place()}});
  if (watcher_ != nullptr) watcher_->on_standing();
}

}  // namespace penstock::redis
