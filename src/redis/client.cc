#include "redis/client.h"

#include "base/signal.h"
#include "redis/node.h"
#include "redis/plan.h"
#include "redis/sentinel.h"
#include "redis/subscriber.h"

namespace penstock::redis {
namespace {

constexpr int kEvalTries = 3;
constexpr Duration kFollowEach = 5s;  // sentinels are asked, whatever they say by themselves

}  // namespace

// Outlives the client while something of it is under way.
class Client::State final : public Node::Watcher, public std::enable_shared_from_this<State> {
 public:
  State(Loop& loop, Plan plan, std::shared_ptr<Node::Common> common)
      : loop_(loop),
        plan_(std::move(plan)),
        common_(std::move(common)),
        sentinels_(plan_.sentinels.empty()
                       ? nullptr
                       : std::make_shared<Sentinels>(loop, plan_.sentinels,
                                                     common_->options.sentinel, plan_.server)),
        node_(std::make_shared<Node>(loop, origin(), common_, this)),
        until_(loop, Time::max()),
        switched_(loop) {}

  void start() {
    if (const auto& standing = common_->options.standing) standing->add(up_);
    node_->start();
    if (sentinels_) follow_master();
  }
  void stop() {
    until_.call_off(Why::draining);
    node_->stop();
    for (const auto& one : {subscriber_, news_}) {
      if (one) one->stop();
    }
    if (const auto& standing = common_->options.standing) standing->remove(up_);
  }

  const std::shared_ptr<Node>& node() const { return node_; }

  void subscribe(const std::string& channel, std::function<void(std::string_view)> heard,
                 std::function<void()> subscribed) {
    const bool first = !subscriber_;
    if (first) {
      subscriber_ = std::make_shared<Subscriber>(loop_, origin(), common_->options.connect_timeout);
    }
    subscriber_->add(channel, std::move(heard), std::move(subscribed));
    if (first) Subscriber::start(subscriber_);
  }

 private:
  std::shared_ptr<Origin> origin() const {
    if (sentinels_) return sentinels_;
    return std::make_shared<OneServer>(loop_, plan_.server);
  }

  // A master that was cut off with us does not know that there is another one, and one that is
  // left on purpose takes writes for a while that nobody will see.
  void follow_master() {
    news_ = std::make_shared<Subscriber>(loop_, std::make_shared<AnySentinel>(sentinels_),
                                         common_->options.connect_timeout);
    news_->add(
        "+switch-master", [this](std::string_view) { switched_.wake(); },
        [this] { switched_.wake(); });
    Subscriber::start(news_);
    loop_.spawn(follow(shared_from_this()));
  }
  static Task<void> follow(std::shared_ptr<State> self) {
    State& state = *self;
    while (!state.until_.over()) {
      co_await state.wait_for_switch();
      if (state.until_.over()) break;
      Result<Url> found = co_await state.find_master();
      if (!found || state.until_.over()) continue;
      const std::string place = found->place();
      state.node_->follow(place);
      if (state.subscriber_) state.subscriber_->follow(place);
    }
  }
  Task<void> wait_for_switch() {
    Deadline pause(until_, Clock::now() + kFollowEach);
    Result<void> switched = co_await switched_.wait(pause);
    (void)switched;
  }
  Task<Result<Url>> find_master() {
    Deadline looking(until_, Clock::now() + common_->options.connect_timeout);
    Result<Url> found = co_await sentinels_->find(looking);
    co_return found;
  }

  void on_standing() override {
    const bool up = node_->up();
    if (up == up_) return;
    if (const auto& standing = common_->options.standing) {
      standing->remove(up_);
      standing->add(up);
    }
    up_ = up;
  }

  Loop& loop_;
  const Plan plan_;
  const std::shared_ptr<Node::Common> common_;
  const std::shared_ptr<Sentinels> sentinels_;  // null: the server's address is known
  const std::shared_ptr<Node> node_;
  Deadline until_;
  Signal switched_;  // the sentinels say that there is another master
  std::shared_ptr<Subscriber> subscriber_;
  std::shared_ptr<Subscriber> news_;  // of the sentinels
  bool up_ = false;
};

Result<std::unique_ptr<Client>> Client::make(Loop& loop, const Options& options,
                                             const Metrics& metrics, observe::Log& log) {
  Result<Plan> plan = plan_of(options);
  if (!plan) return std::move(plan).error();
  const auto common = std::make_shared<Node::Common>(Node::Common{options, metrics, log});
  if (options.tracking) {
    if (!options.vouchers) {
      return Error{Kind::invalid, Source::gateway, false, "nobody vouches for tracked reads"};
    }
    common->ears =
        std::make_shared<const Tracking::Ears>(Tracking::Ears{options.vouchers, options.changed});
  }
  auto state = std::make_shared<State>(loop, *std::move(plan), common);
  state->start();
  return std::unique_ptr<Client>(new Client(std::move(state)));
}

Client::~Client() { state_->stop(); }

bool Client::available(Time now) const { return state_->node()->available(now); }
const std::string& Client::trouble() const { return state_->node()->trouble(); }
unsigned Client::connections() const { return state_->node()->connections(); }
void Client::tell(Words words) { state_->node()->tell(words); }

void Client::subscribe(const std::string& channel, std::function<void(std::string_view)> heard,
                       std::function<void()> subscribed) {
  state_->subscribe(channel, std::move(heard), std::move(subscribed));
}

Task<Result<Value>> Client::call(Words words, Deadline& deadline) {
  const std::shared_ptr<State> state = state_;
  Result<Value> value = co_await Node::ask(state->node(), words, deadline);
  if (!value || !value->is_error()) co_return value;
  if (std::optional<Error> error = unavailable(*value)) co_return *std::move(error);
  co_return refused(*value);
}

Task<Result<Read>> Client::read(std::span<const Words> commands, std::string_view key,
                                Deadline& deadline) {
  const std::shared_ptr<State> state = state_;
  Result<Read> read = co_await Node::read(state->node(), commands, key, deadline);
  co_return read;
}

Task<Result<Value>> Client::eval(const Script& script, Words keys, Words arguments,
                                 Deadline& deadline) {
  const std::shared_ptr<Node> node = state_->node();
  const std::string count = std::to_string(keys.size());
  std::vector<std::string_view> words = {"EVALSHA", script.sha(), count};
  words.insert(words.end(), keys.begin(), keys.end());
  words.insert(words.end(), arguments.begin(), arguments.end());
  for (int tries = 0; tries < kEvalTries; ++tries) {
    const std::uint64_t loads = node->loads(script);
    Result<Value> value = co_await Node::ask(node, words, deadline);
    if (!value || !value->is_error()) co_return value;
    if (std::optional<Error> error = unavailable(*value)) co_return *std::move(error);
    if (!value->text.starts_with("NOSCRIPT")) co_return refused(*value);
    Result<void> loaded = co_await Node::load(node, script, loads, deadline);
    if (!loaded) co_return std::move(loaded).error();
  }
  co_return Error{Kind::broken, Source::store, true, "Redis forgets its scripts"};
}

}  // namespace penstock::redis
