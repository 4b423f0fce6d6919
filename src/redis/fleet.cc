#include "redis/fleet.h"

#include <algorithm>

#include "base/sleep.h"

namespace penstock::redis {

class Fleet::Somewhere final : public Origin {
 public:
  explicit Somewhere(std::shared_ptr<Origin> at) : at_(std::move(at)) {}
  void be(std::shared_ptr<Origin> at) { at_ = std::move(at); }
  Task<Result<std::shared_ptr<Connection>>> open(const Connection::Use& use,
                                                 Deadline& deadline) override {
    const std::shared_ptr<Origin> at = at_;
    Result<std::shared_ptr<Connection>> opened = co_await at->open(use, deadline);
    co_return opened;
  }
  void doubt() override { at_->doubt(); }
  std::string place() const override { return at_->place(); }

 private:
  std::shared_ptr<Origin> at_;
};

Fleet::Fleet(Loop& loop, const Plan& plan, std::shared_ptr<Node::Common> common)
    : loop_(loop),
      plan_(plan),
      common_(std::move(common)),
      somewhere_(std::make_shared<Somewhere>(nullptr)) {}

void Fleet::start() {
  if (const auto& standing = common_->options.standing) standing->add(up_);
  if (plan_.seeds.size() > 1) return become_cluster(plan_.seeds);
  std::shared_ptr<Origin> origin;
  if (plan_.sentinels.empty()) {
    origin = std::make_shared<OneServer>(loop_, plan_.server);
  } else {
    const auto sentinels = std::make_shared<Sentinels>(loop_, plan_.sentinels,
                                                       common_->options.sentinel, plan_.server);
    master_ = std::make_shared<MasterWatch>(loop_, sentinels, common_->options.connect_timeout,
                                            [this](const std::string& place) {
                                              node_->follow(place);
                                              if (subscriber_) subscriber_->follow(place);
                                            });
    master_->start();
    origin = sentinels;
  }
  somewhere_->be(origin);
  node_ = std::make_shared<Node>(loop_, origin, common_, this);
  node_->start();
}

void Fleet::stop() {
  stopped_ = true;
  for (const std::shared_ptr<Node>& node : {node_, former_}) {
    if (node) node->stop();
  }
  if (cluster_) cluster_->stop();
  if (master_) master_->stop();
  if (subscriber_) subscriber_->stop();
  if (const auto& standing = common_->options.standing) standing->remove(up_);
}

// ---- commands ----------------------------------------------------------------------------------

Task<Result<Fleet::Answer>> Fleet::ask(std::shared_ptr<Fleet> self, Words words,
                                       Deadline& deadline) {
  Fleet& fleet = *self;
  const std::optional<std::string_view> key = key_of(words);
  Target target{fleet.node_for(key)};
  if (!target.node) {
    Result<void> found = co_await fleet.find(key, target, deadline);
    if (!found) co_return std::move(found).error();
  }
  for (;;) {
    Result<Value> value = co_await Node::ask(target.node, words, target.asking, deadline);
    if (!value) co_return std::move(value).error();
    const std::optional<Redirect> redirect = redirect_of(*value);
    if (!redirect) co_return Answer{*std::move(value), std::move(target.node)};
    Result<void> turned = co_await fleet.turn(*redirect, target, deadline);
    if (!turned) co_return std::move(turned).error();
  }
}

Task<Result<Read>> Fleet::read(std::shared_ptr<Fleet> self, std::span<const Words> commands,
                               std::string_view key, Deadline& deadline) {
  Fleet& fleet = *self;
  Target target{fleet.node_for(key)};
  if (!target.node) {
    Result<void> found = co_await fleet.find(key, target, deadline);
    if (!found) co_return std::move(found).error();
  }
  for (;;) {
    Result<Read> read = co_await Node::read(target.node, commands, key, target.asking, deadline);
    if (!read) co_return read;
    // One that is sent away takes the others with it: they are read or written together.
    std::optional<Redirect> redirect;
    for (const Value& value : read->values) {
      if (!redirect) redirect = redirect_of(value);
    }
    if (!redirect) co_return read;
    Result<void> turned = co_await fleet.turn(*redirect, target, deadline);
    if (!turned) co_return std::move(turned).error();
  }
}

// Null: it is not known yet, or nobody has the key's slot.
std::shared_ptr<Node> Fleet::node_for(std::optional<std::string_view> key) const {
  if (!cluster_ || !cluster_->known()) return node_;
  return key ? cluster_->node_of(slot_of(*key)) : cluster_->any_node();
}

Task<Result<void>> Fleet::find(std::optional<std::string_view> key, Target& target,
                               Deadline& deadline) {
  if (stopped_ || !cluster_) co_return client_ended();
  Result<void> known = co_await cluster_->wait_until_known(deadline);
  if (!known) co_return known;
  target.node = node_for(key);
  if (target.node) co_return Result<void>();
  cluster_->look();
  co_return Error{Kind::unreachable, Source::store, true,
                  "no node of Redis's cluster has the slot of this key"};
}

Task<Result<void>> Fleet::turn(const Redirect& redirect, Target& target, Deadline& deadline) {
  if (stopped_) co_return client_ended();
  if (++target.turns > kMostTurns) {
    co_return Error{Kind::broken, Source::store, true,
                    "the nodes of Redis's cluster send from one to the other"};
  }
  if (!cluster_) become_cluster({plan_.server});
  if (!cluster_->known()) {
    Result<void> known = co_await cluster_->wait_until_known(deadline);
    if (!known) co_return known;
  }
  // While a slot is handed over two nodes may each send to the other, for a moment.
  if (redirect.kind == Redirect::Kind::try_again || target.turns > 2) {
    co_await sleep_until(Clock::now() + 1ms * (1 << target.turns), deadline);
    if (deadline.over()) co_return deadline.error("Redis", Source::store);
    if (stopped_) co_return client_ended();
  }
  if (redirect.kind == Redirect::Kind::try_again) co_return Result<void>();
  target.asking = redirect.kind == Redirect::Kind::ask;
  target.node = target.asking ? cluster_->node_at(redirect.place, *target.node)
                              : cluster_->moved(redirect.slot, redirect.place, *target.node);
  co_return Result<void>();
}

void Fleet::tell(Words words) {
  if (node_ && !cluster_) return node_->tell(words);
  if (stopped_) return common_->metrics.count(Fault::away);
  // It may be sent on to another node.
  loop_.spawn(tell_soon(shared_from_this(), {words.begin(), words.end()}));
}

Task<void> Fleet::tell_soon(std::shared_ptr<Fleet> self, std::vector<std::string> words) {
  const std::vector<std::string_view> views(words.begin(), words.end());
  Deadline deadline(self->loop_, Clock::now() + self->common_->options.timeout);
  Result<Answer> answer = co_await ask(self, views, deadline);
  (void)answer;
}

bool Fleet::in_one_slot(Words keys) const {
  return !cluster_ || std::all_of(keys.begin(), keys.end(), [&](std::string_view key) {
    return slot_of(key) == slot_of(keys.front());
  });
}

// ---- channels ----------------------------------------------------------------------------------

void Fleet::subscribe(const std::string& channel, std::function<void(std::string_view)> heard,
                      std::function<void()> subscribed) {
  const bool first = !subscriber_;
  if (first) {
    subscriber_ = std::make_shared<Subscriber>(loop_, somewhere_, common_->options.connect_timeout);
  }
  subscriber_->add(channel, std::move(heard), std::move(subscribed));
  if (first) Subscriber::start(subscriber_);
}

// ---- what there is -----------------------------------------------------------------------------

void Fleet::on_cluster() { become_cluster({plan_.server}); }

void Fleet::become_cluster(std::vector<Server> seeds) {
  if (cluster_ || stopped_) return;
  cluster_ = std::make_shared<Cluster>(loop_, std::move(seeds), common_, [this] { changed(); });
  somewhere_->be(cluster_);
  cluster_->start();
}

void Fleet::changed() {
  if (stopped_) return;
  if (cluster_ && cluster_->known()) {
    if (node_) {
      former_ = std::exchange(node_, nullptr);
      former_->retire();
    }
    if (subscriber_)
      subscriber_->stay_where([this](const std::string& place) { return cluster_->has(place); });
  }
  const bool up = (node_ && node_->up()) || (cluster_ && cluster_->up());
  if (up == up_) return;
  if (const auto& standing = common_->options.standing) {
    standing->remove(up_);
    standing->add(up);
  }
  up_ = up;
}

bool Fleet::available(Time now) const {
  if (stopped_) return false;
  return node_ ? node_->available(now) : cluster_->available(now);
}

unsigned Fleet::connections() const {
  return (node_ ? node_->connections() : 0) + (cluster_ ? cluster_->connections() : 0);
}

const std::string& Fleet::trouble() const { return node_ ? node_->trouble() : cluster_->trouble(); }

}  // namespace penstock::redis
