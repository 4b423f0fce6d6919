#include "redis/cluster.h"

#include <algorithm>

#include "base/sleep.h"
#include "redis/ask_once.h"

namespace penstock::redis {

Cluster::Cluster(Loop& loop, std::vector<Server> seeds, std::shared_ptr<Node::Common> common,
                 std::function<void()> changed)
    : loop_(loop),
      like_(seeds.front()),
      common_(std::move(common)),
      changed_(std::move(changed)),
      until_(loop, Time::max()),
      wanted_(loop) {
  for (Server& seed : seeds) seeds_.push_back(std::make_shared<OneServer>(loop, std::move(seed)));
  slots_.fill(kNobody);
}

void Cluster::start() { loop_.spawn(keep(shared_from_this())); }

void Cluster::stop() {
  stopped_ = true;
  changed_ = nullptr;
  until_.call_off(Why::draining);
  for (const auto& [place, member] : members_) member.node->stop();
  for (const std::weak_ptr<Node>& one : retired_) {
    if (const std::shared_ptr<Node> node = one.lock()) node->stop();
  }
  wake_waiting();
}

// ---- who is asked ------------------------------------------------------------------------------

Task<Result<void>> Cluster::wait_until_known(Deadline& deadline) {
  Deadline patience(deadline, Clock::now() + common_->options.timeout);
  while (!stopped_ && !known()) {
    if (!trouble_.empty()) {
      common_->metrics.count(Fault::away);
      co_return Error{Kind::unreachable, Source::store, true, "Redis is away: " + trouble_};
    }
    if (patience.over()) {
      if (deadline.over()) co_return deadline.error("map of Redis's cluster", Source::store);
      co_return Error{Kind::unreachable, Source::store, true, "no map of Redis's cluster has come"};
    }
    const Signal signal = waiting_.emplace_back(loop_);
    Signal waiting = signal;
    Result<void> woken = co_await waiting.wait(patience);
    (void)woken;
  }
  if (stopped_) co_return client_ended();
  co_return Result<void>();
}

std::shared_ptr<Node> Cluster::node_of(std::uint16_t slot) {
  const std::uint16_t at = slots_[slot];
  if (at == kNobody) return nullptr;
  masters_[at]->start();
  return masters_[at];
}

std::shared_ptr<Node> Cluster::any_node() {
  for (const std::shared_ptr<Node>& node : masters_) {
    if (node->up()) return node;
  }
  const std::shared_ptr<Node>& node = masters_[turn_++ % masters_.size()];
  node->start();
  return node;
}

std::shared_ptr<Node> Cluster::moved(std::uint16_t slot, Place place, const Node& from) {
  look();
  std::shared_ptr<Node> node = node_at(std::move(place), from);
  const auto at = std::find(masters_.begin(), masters_.end(), node);
  slots_[slot] = static_cast<std::uint16_t>(at - masters_.begin());
  if (at == masters_.end()) masters_.push_back(node);
  return node;
}

std::shared_ptr<Node> Cluster::node_at(Place place, const Node& from) {
  if (place.host.empty()) {
    place.host = like_.url.host;
    for (const auto& [text, member] : members_) {
      if (member.node.get() == &from) place.host = member.origin->host();
    }
  }
  Member& member = member_at(place);
  member.asked = Clock::now();
  member.node->start();
  return member.node;
}

Cluster::Member& Cluster::member_at(const Place& place) {
  Member& member = members_[place.text()];
  if (!member.node) {
    Server server = like_;
    server.url.host = place.host;
    server.url.port = place.port;
    member.origin = std::make_shared<OneServer>(loop_, std::move(server));
    member.node = std::make_shared<Node>(loop_, member.origin, common_, this);
  }
  return member;
}

// ---- the map -----------------------------------------------------------------------------------

Task<void> Cluster::keep(std::shared_ptr<Cluster> self) {
  Cluster& here = *self;
  while (!here.until_.over()) {
    Result<SlotMap> map = co_await here.fetch();
    if (here.until_.over()) break;
    here.looked_ = Clock::now();
    if (map) {
      here.take(*map);
    } else if (!here.known()) {
      here.has_no_map(map.error());
    }
    here.wake_waiting();
    if (here.changed_) here.changed_();
    co_await here.rest();
  }
}

// Until the map is wanted again.
Task<void> Cluster::rest() {
  const Time next = looked_ + (!known()    ? backoff_.next()
                               : settled() ? Duration(kEach)
                                           : Duration(kUnsettled));
  if (known()) {
    Deadline pause(until_, next);
    Result<void> wanted = co_await wanted_.wait(pause);
    (void)wanted;
  } else {
    co_await sleep_until(next, until_);
  }
  co_await sleep_until(looked_ + kSoonest, until_);
}

Task<Result<SlotMap>> Cluster::fetch() {
  static constexpr std::array<std::string_view, 2> kWords = {"CLUSTER", "SLOTS"};
  const std::vector<std::shared_ptr<OneServer>> all = sources();
  Error last{Kind::unreachable, Source::store, true, "no node answers"};
  for (std::size_t i = 0; i < all.size() && !until_.over(); ++i) {
    Deadline patience(until_, Clock::now() + kPatience);
    Result<Value> answer = co_await ask_once(*all[i], kWords, patience);
    if (!answer) {
      last = std::move(answer).error();
    } else {
      Result<SlotMap> map = read_slots(*answer, all[i]->host());
      if (map) co_return map;
      last = std::move(map).error();
    }
    last.detail = "node " + all[i]->place() + ": " + last.detail;
  }
  co_return last;
}

// Those who are surely there first, each time another one of them.
std::vector<std::shared_ptr<OneServer>> Cluster::sources() {
  std::vector<std::shared_ptr<OneServer>> all;
  for (const bool up : {true, false}) {
    const auto begin = static_cast<std::ptrdiff_t>(all.size());
    for (const auto& [place, member] : members_) {
      if (member.node->up() == up) all.push_back(member.origin);
    }
    if (all.size() == static_cast<std::size_t>(begin)) continue;
    const std::size_t by = turn_ % (all.size() - static_cast<std::size_t>(begin));
    std::rotate(all.begin() + begin, all.begin() + begin + static_cast<std::ptrdiff_t>(by),
                all.end());
  }
  ++turn_;
  all.insert(all.end(), seeds_.begin(), seeds_.end());
  return all;
}

void Cluster::has_no_map(const Error& error) {
  common_->metrics.count(Fault::connect);
  if (trouble_.empty()) {
    common_->log.warning("Redis is away", {{"server", place()}, {"reason", error.detail}});
  }
  trouble_ = error.detail;
}

void Cluster::take(const SlotMap& map) {
  const std::set<std::string> places = std::exchange(places_, {});
  std::set<std::string> before;
  for (auto& [place, member] : members_) {
    if (std::exchange(member.master, false)) before.insert(place);
  }
  masters_.clear();
  slots_.fill(kNobody);
  for (const Place& place : map.masters) {
    Member& member = member_at(place);
    member.master = true;
    masters_.push_back(member.node);
    places_.insert(place.text());
  }
  for (const Place& place : map.replicas) places_.insert(place.text());
  for (const SlotMap::Range& range : map.ranges) {
    std::fill(slots_.begin() + range.first, slots_.begin() + range.last + 1, range.master);
  }
  const Time now = Clock::now();
  for (auto it = members_.begin(); it != members_.end();) {
    const Member& member = it->second;
    // One that is about to get its first slot is in no map, and asked all the same.
    const bool gone =
        !member.master && (before.count(it->first) > 0 || now - member.asked > Duration(kForget));
    if (gone) retire(member.node);
    it = gone ? members_.erase(it) : std::next(it);
  }
  trouble_.clear();
  if (places_ != places) {
    common_->log.info(
        "the nodes of Redis's cluster",
        {{"server", place()}, {"masters", map.masters.size()}, {"all", places_.size()}});
  }
}

void Cluster::retire(const std::shared_ptr<Node>& node) {
  std::erase_if(retired_, [](const std::weak_ptr<Node>& one) { return one.expired(); });
  retired_.push_back(node);
  node->retire();
}

bool Cluster::settled() const {
  return std::all_of(members_.begin(), members_.end(), [](const auto& entry) {
    return !entry.second.node->started() || entry.second.node->up();
  });
}

void Cluster::wake_waiting() {
  for (const Signal& signal : waiting_) signal.wake();
  waiting_.clear();
}

// ---- what is known of it -----------------------------------------------------------------------

bool Cluster::available(Time now) const {
  if (!known()) return !stopped_ && trouble_.empty();
  return std::any_of(masters_.begin(), masters_.end(),
                     [now](const auto& node) { return node->available(now); });
}

bool Cluster::up() const {
  return std::any_of(masters_.begin(), masters_.end(), [](const auto& node) { return node->up(); });
}

unsigned Cluster::connections() const {
  unsigned sum = 0;
  for (const auto& [place, member] : members_) sum += member.node->connections();
  return sum;
}

const std::string& Cluster::trouble() const {
  for (const auto& [place, member] : members_) {
    if (!member.node->trouble().empty()) return member.node->trouble();
  }
  return trouble_;
}

void Cluster::on_standing() {
  if (changed_) changed_();
}

Task<Result<std::shared_ptr<Connection>>> Cluster::open(const Connection::Use& use,
                                                        Deadline& deadline) {
  const std::vector<std::shared_ptr<OneServer>> all = sources();
  Error last{Kind::unreachable, Source::store, true, "no node answers"};
  for (std::size_t i = 0; i < all.size() && !deadline.over(); ++i) {
    Deadline patience(deadline, Clock::now() + kPatience);
    Result<std::shared_ptr<Connection>> opened = co_await all[i]->open(use, patience);
    if (opened) co_return opened;
    last = std::move(opened).error();
  }
  co_return last;
}

}  // namespace penstock::redis
