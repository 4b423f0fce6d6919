#include "redis/connection.h"

#include <algorithm>
#include <array>

#include "redis/metrics.h"

namespace penstock::redis {
namespace {

constexpr std::size_t kReadBytes = 16 * 1024;
constexpr std::size_t kKeptOutbox = 1024 * 1024;
constexpr int kReadsATurn = 16;
constexpr std::size_t kMostDetail = 200;
constexpr std::size_t kOwnPing = SIZE_MAX;  // instead of a command's number
constexpr std::array<std::string_view, 1> kPing = {"PING"};

Error protocol(std::string_view why) {
  return {Kind::broken, Source::store, false, "Redis sent what is no RESP3: " + std::string(why)};
}

Error store_error(Error error) {
  error.source = Source::store;
  return error;
}

// What came from outside, for a message: bounded, without control bytes.
std::string shown(std::string_view text) {
  std::string out(text.substr(0, kMostDetail));
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return out;
}

const Value* entry(const Value& map, std::string_view name) {
  for (std::size_t i = 0; i + 1 < map.items.size(); i += 2) {
    if (map.items[i].text == name) return &map.items[i + 1];
  }
  return nullptr;
}

}  // namespace

std::optional<Error> unavailable(const Value& value) {
  if (!value.is_error()) return std::nullopt;
  const std::string_view text = value.text;
  const std::string_view code = text.substr(0, text.find(' '));
  static constexpr std::array<std::string_view, 5> kCodes = {"LOADING", "READONLY", "OOM",
                                                             "MASTERDOWN", "CLUSTERDOWN"};
  // A script that writes says "-OOM ..." or "READONLY ..." as its own error, with the same code.
  if (std::find(kCodes.begin(), kCodes.end(), code) == kCodes.end()) return std::nullopt;
  return Error{Kind::unreachable, Source::store, true, "Redis: " + shown(text)};
}

bool not_master(const Value& value) {
  return value.is_error() &&
         (value.text.starts_with("READONLY ") || value.text.starts_with("MASTERDOWN "));
}

bool cut_off(const Value& value) {
  return value.is_error() && value.text.starts_with("CLUSTERDOWN ");
}

bool out_of_memory(const Value& value) {
  return value.is_error() && value.text.starts_with("OOM ");
}

Error refused(const Value& value) {
  return {Kind::refused, Source::store, false, "Redis: " + shown(value.text)};
}

// ---- who waits ---------------------------------------------------------------------------------

Connection::Call::~Call() {
  if (place_ != nullptr) place_->call = nullptr;
}

void Connection::Call::end(Result<Value> result) {
  place_ = nullptr;
  result_.emplace(std::move(result));
  loop_.resume_soon(waiter_);
}

Task<Result<Value>> Connection::Call::answer(Deadline& deadline) {
  while (!result_) {
    if (deadline.over()) co_return deadline.error("Redis", Source::store);
    const auto interrupt = [this] { loop_.resume_soon(waiter_); };
    Deadline::Wait wait(deadline, interrupt);
    co_await waiter_;
  }
  co_return *std::move(result_);
}

// ---- opening -----------------------------------------------------------------------------------

Connection::Connection(Loop& loop, Owner* owner)
    : loop_(loop),
      owner_(owner),
      transport_(loop, Source::store),
      reading_until_(loop, Time::max()),
      writing_until_(loop, Time::max()) {}

Task<Result<std::shared_ptr<Connection>>> Connection::open(const Server& server,
                                                           net::Addresses& addresses,
                                                           const Use& use, Deadline& deadline) {
  Result<net::Endpoints> endpoints = co_await addresses.get(deadline);
  if (!endpoints) co_return std::move(endpoints).error();
  Error last{Kind::unreachable, Source::store, true, "no address"};
  for (std::size_t i = 0; i < endpoints->size() && !deadline.over(); ++i) {
    const asio::ip::tcp::endpoint endpoint = (*endpoints)[i];
    const auto connection = std::make_shared<Connection>(deadline.loop(), nullptr);
    Result<void> done = co_await connection->transport_.connect(endpoint, deadline);
    if (done && server.url.tls) {
      Result<void> safe =
          co_await connection->transport_.handshake(*server.tls, server.url.host, deadline);
      done = std::move(safe);
    }
    if (done) {
      connection->start();
      Result<void> greeted = co_await connection->greet(server, use, deadline);
      done = std::move(greeted);
    }
    if (done && connection->is_open()) {
      addresses.good(endpoint);
      connection->owner_ = use.owner;
      connection->place_ = server.url.place();
      connection->timeout_ = use.timeout;
      if (use.ears) connection->tracking_.begin(use.ears);
      co_return connection;
    }
    if (!done) last = store_error(std::move(done).error());
    connection->close(last);
  }
  addresses.doubt();
  if (deadline.over()) co_return deadline.error("connect to Redis", Source::store);
  co_return last;
}

Task<Result<void>> Connection::greet(const Server& server, const Use& use, Deadline& deadline) {
  const Url& url = server.url;
  std::vector<std::string_view> hello = {"HELLO", "3"};
  if (!url.username.empty() || !url.password.empty()) {
    const std::string_view user = url.username.empty() ? "default" : std::string_view(url.username);
    hello.insert(hello.end(), {"AUTH", user, url.password});
  }
  if (!server.name.empty()) hello.insert(hello.end(), {"SETNAME", server.name});
  const std::string database = std::to_string(url.database);
  const std::array<std::string_view, 2> select = {"SELECT", database};
  // NOLOOP: what is changed on the connection itself is known to who changes it.
  static constexpr std::array<std::string_view, 4> kTrack = {"CLIENT", "TRACKING", "ON", "NOLOOP"};
  // All in one write: a connection costs one round trip more than TCP's and TLS's own.
  Call greeted(loop_), selected(loop_), tracked(loop_), there(loop_);
  send(hello, &greeted);
  if (url.database != 0) send(select, &selected);
  if (use.ears) send(kTrack, &tracked);
  send(kPing, &there);

  Result<Value> answer = co_await greeted.answer(deadline);
  if (!answer) co_return std::move(answer).error();
  if (std::optional<Error> error = unavailable(*answer)) co_return *std::move(error);
  if (answer->is_error()) {
    Error error = refused(*answer);
    if (answer->text.starts_with("ERR unknown command")) error.detail += " (version 6 or newer?)";
    co_return error;
  }
  const Value* const version = entry(*answer, "proto");
  if (version == nullptr || version->integer != 3) co_return protocol("HELLO 3 was not answered");
  const Value* const mode = entry(*answer, "mode");
  const Value* const role = entry(*answer, "role");
  in_cluster_ = mode != nullptr && mode->text == "cluster";
  if (use.master && !in_cluster_ && role != nullptr && role->text == "replica") {
    co_return Error{Kind::unreachable, Source::store, true,
                    "Redis at " + url.place() + " is a replica"};
  }
  if (url.database != 0) {
    Result<Value> chosen = co_await selected.answer(deadline);
    if (!chosen) co_return std::move(chosen).error();
    if (chosen->is_error()) co_return refused(*chosen);
  }
  if (use.ears) {
    Result<Value> told = co_await tracked.answer(deadline);
    if (!told) co_return std::move(told).error();
    if (told->is_error() && !unavailable(*told)) {
      Error error = refused(*told);
      error.detail +=
          " (CLIENT TRACKING: give the user the right +client|tracking, or set "
          "cache.redis.tracking: false)";
      co_return error;
    }
  }
  // A user who may not PING is told so; what matters is whether it is loading.
  Result<Value> pong = co_await there.answer(deadline);
  if (!pong) co_return std::move(pong).error();
  if (std::optional<Error> error = unavailable(*pong)) co_return *std::move(error);
  co_return Result<void>();
}

void Connection::start() {
  loop_.spawn(read(shared_from_this()));
  loop_.spawn(write(shared_from_this()));
}

// ---- out ---------------------------------------------------------------------------------------

void Connection::queue(Words words) {
  append_command(outbox_, words);
  loop_.resume_soon(writer_);  // behind whoever else sends in this turn
}

void Connection::send_unanswered(Words words) { queue(words); }

void Connection::stand(const Waiting& place) {
  // A ping has more time than a command has; one behind it does not wait longer for that.
  for (auto it = line_.rbegin(); it != line_.rend() && it->due > place.due; ++it) {
    it->due = place.due;
  }
  Waiting& stands = line_.emplace_back(place);
  if (stands.call != nullptr) stands.call->place_ = &stands;
  if (stands.due < at()) loop_.set(*this, stands.due);
}

void Connection::send(Words words, Call* call) {
  const Time now = Clock::now();
  const Time due = timeout_ == Duration::max() ? Time::max() : now + timeout_;
  stand({call, command_index(words.front()), now, due});
  queue(words);
}

void Connection::ping(Duration timeout) {
  const Time now = Clock::now();
  stand({nullptr, kOwnPing, now, now + timeout});
  queue(kPing);
}

Task<void> Connection::write(std::shared_ptr<Connection> self) {
  Connection& here = *self;
  std::string batch;
  for (;;) {
    while (here.outbox_.empty() && !here.closed_) {
      Waiter& waiter = here.writer_;
      co_await waiter;
    }
    if (here.closed_) co_return;
    batch.clear();
    if (batch.capacity() > kKeptOutbox) batch.shrink_to_fit();
    batch.swap(here.outbox_);
    const std::array<std::string_view, 1> pieces = {batch};
    Result<void> sent = co_await here.transport_.write(pieces, here.writing_until_);
    if (!sent) {
      here.close(std::move(sent).error());
      co_return;
    }
  }
}

// ---- in ----------------------------------------------------------------------------------------

Task<void> Connection::read(std::shared_ptr<Connection> self) {
  Connection& here = *self;
  Buffer buffer(kReadBytes);
  int reads = 0;
  while (!here.closed_) {
    std::optional<Result<std::size_t>> got = here.transport_.read(buffer.data(), buffer.capacity());
    if (!got) {
      reads = 0;
      Result<void> waited = co_await here.transport_.readable(here.reading_until_);
      if (!waited) here.close(std::move(waited).error());
      continue;
    }
    if (!*got) {
      here.close(std::move(*got).error());
      co_return;
    }
    if (**got == 0) {
      here.close({Kind::broken, Source::store, false, "Redis closed the connection"});
      co_return;
    }
    if (!here.take_in({buffer.data(), **got})) co_return;
    if (++reads % kReadsATurn == 0) co_await here.loop_.turn();
  }
}

bool Connection::take_in(std::string_view bytes) {
  while (!bytes.empty()) {
    const Parser::Step step = parser_.next(bytes);
    bytes.remove_prefix(step.consumed);
    if (step.state == Parser::State::bad) {
      close(protocol(parser_.why()));
      return false;
    }
    if (step.state == Parser::State::value && !answer(parser_.take())) return false;
  }
  return !closed_;
}

bool Connection::answer(Value value) {
  if (value.type == Type::push) {
    if (!tracking_.invalidate(value) && owner_ != nullptr) owner_->on_push(value);
    return !closed_;
  }
  if (line_.empty()) {
    close(value.is_error() ? refused(value) : protocol("an answer that nobody asked for"));
    return false;
  }
  const Waiting first = line_.front();
  if (owner_ != nullptr && first.command != kOwnPing) {
    owner_->on_reply(value, first.command, Clock::now() - first.since);
  }
  // The owner may have closed it.
  if (closed_) return false;
  Call* const call = line_.front().call;
  line_.pop_front();
  if (call != nullptr) call->end(std::move(value));
  return true;
}

// ---- the end -----------------------------------------------------------------------------------

void Connection::ring(Time now) {
  if (line_.empty()) return;
  const Time due = line_.front().due;
  if (now < due) return loop_.set(*this, due);
  close({Kind::timeout, Source::store, true, "Redis did not answer in time"});
}

void Connection::close(const Error& error) {
  if (std::exchange(closed_, true)) return;
  tracking_.end();  // first: others read by what it vouched for
  const std::shared_ptr<Connection> keep = shared_from_this();
  loop_.clear(*this);
  transport_.close();
  loop_.resume_soon(writer_);
  const std::size_t waiting = line_.size();
  const Error told = store_error(error);
  std::deque<Waiting> line;
  line.swap(line_);
  for (const Waiting& place : line) {
    if (place.call != nullptr) place.call->end(told);
  }
  if (Owner* const owner = std::exchange(owner_, nullptr)) owner->on_end(told, waiting);
}

}  // namespace penstock::redis
