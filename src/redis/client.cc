#include "redis/client.h"

#include "redis/fleet.h"

namespace penstock::redis {
namespace {

constexpr int kEvalTries = 3;

}  // namespace

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
  auto fleet = std::make_shared<Fleet>(loop, *plan, common);
  fleet->start();
  return std::unique_ptr<Client>(new Client(std::move(fleet)));
}

Client::~Client() { fleet_->stop(); }

bool Client::available(Time now) const { return fleet_->available(now); }
const std::string& Client::trouble() const { return fleet_->trouble(); }
unsigned Client::connections() const { return fleet_->connections(); }
void Client::tell(Words words) { fleet_->tell(words); }

void Client::subscribe(const std::string& channel, std::function<void(std::string_view)> heard,
                       std::function<void()> subscribed) {
  fleet_->subscribe(channel, std::move(heard), std::move(subscribed));
}

Task<Result<Value>> Client::call(Words words, Deadline& deadline) {
  const std::shared_ptr<Fleet> fleet = fleet_;
  Result<Fleet::Answer> answer = co_await Fleet::ask(fleet, words, deadline);
  if (!answer) co_return std::move(answer).error();
  if (!answer->value.is_error()) co_return std::move(answer->value);
  if (std::optional<Error> error = unavailable(answer->value)) co_return *std::move(error);
  co_return refused(answer->value);
}

Task<Result<Read>> Client::read(std::span<const Words> commands, std::string_view key,
                                Deadline& deadline) {
  const std::shared_ptr<Fleet> fleet = fleet_;
  Result<Read> read = co_await Fleet::read(fleet, commands, key, deadline);
  co_return read;
}

Task<Result<Value>> Client::eval(const Script& script, Words keys, Words arguments,
                                 Deadline& deadline) {
  const std::shared_ptr<Fleet> fleet = fleet_;
  if (!fleet->in_one_slot(keys)) {
    co_return Error{Kind::invalid, Source::gateway, false,
                    "a script's keys are in different slots of Redis's cluster"};
  }
  const std::string count = std::to_string(keys.size());
  std::vector<std::string_view> words = {"EVALSHA", script.sha(), count};
  words.insert(words.end(), keys.begin(), keys.end());
  words.insert(words.end(), arguments.begin(), arguments.end());
  for (int tries = 0; tries < kEvalTries; ++tries) {
    const Time called = Clock::now();
    Result<Fleet::Answer> answer = co_await Fleet::ask(fleet, words, deadline);
    if (!answer) co_return std::move(answer).error();
    if (!answer->value.is_error()) co_return std::move(answer->value);
    if (std::optional<Error> error = unavailable(answer->value)) co_return *std::move(error);
    if (!answer->value.text.starts_with("NOSCRIPT")) co_return refused(answer->value);
    Result<void> loaded = co_await Node::load(answer->node, script, called, deadline);
    if (!loaded) co_return std::move(loaded).error();
  }
  co_return Error{Kind::broken, Source::store, true, "Redis forgets its scripts"};
}

}  // namespace penstock::redis
