#include "redis/subscriber.h"

#include <array>

#include "base/sleep.h"

namespace penstock::redis {

Subscriber::Subscriber(Loop& loop, std::shared_ptr<Origin> origin, Duration connect_timeout)
    : loop_(loop),
      origin_(std::move(origin)),
      connect_timeout_(connect_timeout),
      until_(loop, Time::max()),
      ended_(loop) {}

void Subscriber::start(const std::shared_ptr<Subscriber>& self) { self->loop_.spawn(run(self)); }

void Subscriber::stop() {
  until_.call_off(Why::draining);
  if (const std::shared_ptr<Connection> connection = connection_) {
    connection->close({Kind::cancelled, Source::gateway, false, "the client ends"});
  }
}

void Subscriber::follow(const std::string& place) {
  if (connection_ && connection_->place() != place) leave("Redis's master is now " + place);
}

void Subscriber::leave(std::string why) {
  const std::shared_ptr<Connection> connection = connection_;
  connection->close({Kind::unreachable, Source::store, true, std::move(why)});
}

void Subscriber::add(const std::string& channel, std::function<void(std::string_view)> heard,
                     std::function<void()> subscribed) {
  listeners_.emplace(channel, Listener{std::move(heard), std::move(subscribed)});
  if (connection_) subscribe(channel);
}

void Subscriber::subscribe(std::string_view channel) {
  const std::array<std::string_view, 2> words = {"SUBSCRIBE", channel};
  connection_->send_unanswered(words);
}

Task<void> Subscriber::run(std::shared_ptr<Subscriber> self) {
  Subscriber& here = *self;
  Deadline& until = here.until_;
  while (!until.over()) {
    co_await sleep_until(Clock::now() + here.backoff_.next(), until);
    if (until.over()) break;
    Result<void> opened = co_await here.open(until);
    if (opened) co_await here.stay(until);
  }
}

Task<Result<void>> Subscriber::open(Deadline& until) {
  Deadline connecting(until, Clock::now() + connect_timeout_);
  const Connection::Use use{this, kTimeout};
  Result<std::shared_ptr<Connection>> opened = co_await origin_->open(use, connecting);
  if (!opened) co_return std::move(opened).error();
  if (until.over()) {
    (*opened)->leave();
    (*opened)->close({Kind::cancelled, Source::gateway, false, "the client ends"});
    co_return until.error("subscribe", Source::store);
  }
  connection_ = *std::move(opened);
  std::string_view last;
  for (const auto& [channel, listener] : listeners_) {
    if (std::exchange(last, channel) != channel) subscribe(channel);
  }
  co_return Result<void>();
}

// As long as it answers.
Task<void> Subscriber::stay(Deadline& until) {
  static constexpr std::array<std::string_view, 1> kWords = {"PING"};
  while (connection_ && !until.over()) {
    const std::shared_ptr<Connection> connection = connection_;
    Connection::Call call(loop_);
    connection->send(kWords, &call);
    Result<Value> answer = co_await call.answer(until);
    if (!answer) continue;     // it was closed, or this ends
    if (answer->is_error()) {  // not to PING: a subscription was refused
      connection->close(refused(*answer));
      continue;
    }
    backoff_.reset();
    Deadline pause(until, Clock::now() + kPing);
    Result<void> ended = co_await ended_.wait(pause);
    (void)ended;
  }
}

void Subscriber::on_push(const Value& value) {
  if (value.items.size() < 3) return;
  const std::string_view kind = value.items[0].text;
  const auto [first, last] = listeners_.equal_range(value.items[1].text);
  // A listener may add another one; none is taken away while it runs.
  for (auto it = first; it != last; ++it) {
    if (kind == "message" && it->second.heard) it->second.heard(value.items[2].text);
    if (kind == "subscribe" && it->second.subscribed) it->second.subscribed();
  }
}

void Subscriber::on_end(const Error&, std::size_t) {
  connection_ = nullptr;
  ended_.wake();
}

}  // namespace penstock::redis
