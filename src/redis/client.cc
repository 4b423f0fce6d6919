#include "redis/client.h"

#include "redis/node.h"
#include "redis/subscriber.h"

namespace penstock::redis {
namespace {

constexpr int kEvalTries = 3;

}  // namespace

// Outlives the client while something of it is under way.
class Client::State final : public Node::Watcher {
 public:
  State(Loop& loop, Server server, std::shared_ptr<Node::Common> common)
      : loop_(loop),
        server_(std::move(server)),
        common_(std::move(common)),
        node_(std::make_shared<Node>(loop, std::make_shared<OneServer>(loop, server_), common_,
                                     this)) {}

  void start() {
    if (const auto& standing = common_->options.standing) standing->add(up_);
    node_->start();
  }
  void stop() {
    node_->stop();
    if (subscriber_) subscriber_->stop();
    if (const auto& standing = common_->options.standing) standing->remove(up_);
  }

  const std::shared_ptr<Node>& node() const { return node_; }

  void subscribe(const std::string& channel, std::function<void(std::string_view)> heard,
                 std::function<void()> subscribed) {
    const bool first = !subscriber_;
    if (first) {
      subscriber_ = std::make_shared<Subscriber>(loop_, std::make_shared<OneServer>(loop_, server_),
                                                 common_->options.connect_timeout);
    }
    subscriber_->add(channel, std::move(heard), std::move(subscribed));
    if (first) Subscriber::start(subscriber_);
  }

 private:
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
  const Server server_;
  const std::shared_ptr<Node::Common> common_;
  const std::shared_ptr<Node> node_;
  std::shared_ptr<Subscriber> subscriber_;
  bool up_ = false;
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
  if (server.url.tls) {
    Result<std::shared_ptr<net::TlsClient>> tls = net::TlsClient::make(options.ca, "");
    if (!tls) return std::move(tls).error();
    server.tls = *std::move(tls);
  }
  const auto common = std::make_shared<Node::Common>(Node::Common{options, metrics, log});
  if (options.tracking) {
    if (!options.vouchers) {
      return Error{Kind::invalid, Source::gateway, false, "nobody vouches for tracked reads"};
    }
    common->ears =
        std::make_shared<const Tracking::Ears>(Tracking::Ears{options.vouchers, options.changed});
  }
  auto state = std::make_shared<State>(loop, std::move(server), common);
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
