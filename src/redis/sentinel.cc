#include "redis/sentinel.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "redis/ask_once.h"

namespace penstock::redis {
namespace {

// Whichever of them is there: for what they all say.
class AnySentinel final : public Origin {
 public:
  explicit AnySentinel(std::shared_ptr<Sentinels> of) : of_(std::move(of)) {}
  Task<Result<std::shared_ptr<Connection>>> open(const Connection::Use& use,
                                                 Deadline& deadline) override {
    Result<std::shared_ptr<Connection>> opened = co_await of_->open_sentinel(use, deadline);
    co_return opened;
  }
  void doubt() override {}
  std::string place() const override { return "a sentinel"; }

 private:
  const std::shared_ptr<Sentinels> of_;
};

}  // namespace

Sentinels::Sentinels(Loop& loop, std::vector<Server> sentinels, std::string service, Server master)
    : loop_(loop),
      service_(std::move(service)),
      master_(std::move(master)),
      place_("service " + service_) {
  for (Server& server : sentinels) {
    sentinels_.push_back(std::make_shared<OneServer>(loop, std::move(server)));
  }
}

Task<Result<std::shared_ptr<Connection>>> Sentinels::open(const Connection::Use& use,
                                                          Deadline& deadline) {
  Result<Url> found = co_await find(deadline);
  if (!found) co_return std::move(found).error();
  Server server = master_;
  server.url.host = found->host;
  server.url.port = found->port;
  place_ = server.url.place();
  net::Addresses addresses(loop_, server.url.host, server.url.port, net::Addresses::system_lookup,
                           Source::store);
  Connection::Use writing = use;
  writing.master = true;
  Result<std::shared_ptr<Connection>> opened =
      co_await Connection::open(server, addresses, writing, deadline);
  co_return opened;
}

// One that is silent leaves time for the others, and for the master.
Time Sentinels::share(Deadline& deadline, std::size_t left) {
  if (deadline.at() == Time::max()) return Time::max();
  const Time now = Clock::now();
  return now + std::max(deadline.at() - now, Duration::zero()) / static_cast<int>(left + 1);
}

Error Sentinels::told_by(const OneServer& sentinel, Error error) {
  error.detail = "sentinel " + sentinel.place() + ": " + error.detail;
  return error;
}

void Sentinels::prefer(const std::shared_ptr<OneServer>& sentinel) {
  const auto at = std::find(sentinels_.begin(), sentinels_.end(), sentinel);
  std::rotate(sentinels_.begin(), at, at + 1);
}

Task<Result<Url>> Sentinels::find(Deadline& deadline) {
  // Of this moment: another one who asks may move one to the front meanwhile.
  const std::deque<std::shared_ptr<OneServer>> sentinels = sentinels_;
  Error last{Kind::unreachable, Source::store, true, "no sentinel answers"};
  for (std::size_t i = 0; i < sentinels.size() && !deadline.over(); ++i) {
    const std::shared_ptr<OneServer>& sentinel = sentinels[i];
    Deadline until(deadline, share(deadline, sentinels.size() - i));
    Result<Url> found = co_await find_by(*sentinel, until);
    if (found) {
      prefer(sentinel);
      co_return found;
    }
    last = told_by(*sentinel, std::move(found).error());
  }
  if (deadline.over()) co_return deadline.error(last.detail, Source::store);
  co_return last;
}

Task<Result<std::shared_ptr<Connection>>> Sentinels::open_sentinel(const Connection::Use& use,
                                                                   Deadline& deadline) {
  const std::deque<std::shared_ptr<OneServer>> sentinels = sentinels_;
  Error last{Kind::unreachable, Source::store, true, "no sentinel answers"};
  for (std::size_t i = 0; i < sentinels.size() && !deadline.over(); ++i) {
    const std::shared_ptr<OneServer>& sentinel = sentinels[i];
    Deadline until(deadline, share(deadline, sentinels.size() - i));
    Result<std::shared_ptr<Connection>> opened = co_await sentinel->open(use, until);
    if (opened) co_return opened;
    last = told_by(*sentinel, std::move(opened).error());
  }
  co_return last;
}

Task<Result<Url>> Sentinels::find_by(OneServer& sentinel, Deadline& deadline) {
  const std::array<std::string_view, 3> words = {"SENTINEL", "get-master-addr-by-name", service_};
  Result<Value> answer = co_await ask_once(sentinel, words, deadline);
  if (!answer) co_return std::move(answer).error();
  if (answer->is_null()) {
    co_return Error{Kind::not_found, Source::store, true,
                    "it knows no service of the name " + service_};
  }
  Url url;
  if (answer->items.size() == 2 && !answer->items[0].text.empty()) {
    url.host = answer->items[0].text;
    const std::string& port = answer->items[1].text;
    const char* const end = port.data() + port.size();
    const auto [stop, ec] = std::from_chars(port.data(), end, url.port);
    if (ec == std::errc{} && stop == end && url.port != 0) co_return url;
  }
  co_return Error{Kind::broken, Source::store, true, "its answer is no address"};
}

// ---- when it is another one --------------------------------------------------------------------

MasterWatch::MasterWatch(Loop& loop, std::shared_ptr<Sentinels> sentinels, Duration connect_timeout,
                         std::function<void(const std::string&)> there)
    : loop_(loop),
      sentinels_(std::move(sentinels)),
      connect_timeout_(connect_timeout),
      there_(std::move(there)),
      until_(loop, Time::max()),
      said_(loop),
      subscriber_(std::make_shared<Subscriber>(loop, std::make_shared<AnySentinel>(sentinels_),
                                               connect_timeout)) {
  // Copied: the subscriber may live on for a moment.
  const Signal said = said_;
  subscriber_->add(
      "+switch-master", [said](std::string_view) { said.wake(); }, [said] { said.wake(); });
}

void MasterWatch::start() {
  Subscriber::start(subscriber_);
  loop_.spawn(run(shared_from_this()));
}

void MasterWatch::stop() {
  until_.call_off(Why::draining);
  subscriber_->stop();
}

Task<void> MasterWatch::run(std::shared_ptr<MasterWatch> self) {
  MasterWatch& here = *self;
  while (!here.until_.over()) {
    co_await here.wait();
    if (here.until_.over()) break;
    Result<Url> found = co_await here.find();
    if (found && !here.until_.over()) here.there_(found->place());
  }
}

Task<void> MasterWatch::wait() {
  Deadline pause(until_, Clock::now() + kEach);
  Result<void> said = co_await said_.wait(pause);
  (void)said;
}

Task<Result<Url>> MasterWatch::find() {
  Deadline looking(until_, Clock::now() + connect_timeout_);
  Result<Url> found = co_await sentinels_->find(looking);
  co_return found;
}

}  // namespace penstock::redis
