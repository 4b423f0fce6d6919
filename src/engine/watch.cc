#include "engine/watch.h"

#include <algorithm>

#include "base/sleep.h"
#include "base/uuid.h"

namespace penstock::engine {
namespace {

constexpr std::size_t kMostBody =
    4 * 1024 * 1024;             // of an answer, read so that its connection lasts
constexpr double kJitter = 0.1;  // of the interval: nodes do not ask in step

enum class Ask : std::uint8_t { given, health, models };

struct Sight {
  enum : std::uint8_t { good, bad, none } what;
  std::string why;  // for all to read: without an address
};

// What an answer's status says, and where it says that there is nothing to be asked.
Sight judge(Ask ask, int status, std::string_view asked) {
  const bool success = status >= 200 && status < 300;
  if (success) return {Sight::good, {}};
  std::string why = "GET " + std::string(asked) + " was answered with " + std::to_string(status);
  switch (ask) {
    case Ask::given: break;
    case Ask::health:
      if (status < 500) return {Sight::none, std::move(why)};
      break;
    case Ask::models:
      if (status == 401 || status == 403 || status == 404 || status == 405) {
        return {Sight::none, std::move(why)};
      }
      // It is there and says what is wrong with the question, or that it is asked too often.
      if (status >= 400 && status < 500) return {Sight::good, {}};
  }
  return {Sight::bad, std::move(why)};
}

std::string in_short(const Error& error) {
  switch (error.kind) {
    case Kind::unreachable: return "it cannot be reached";
    case Kind::timeout: return "it did not answer within health.timeout";
    default: return "its answer is broken";
  }
}

http::PoolOptions options_for(const Patient& patient) {
  Result<http::Url> url = http::parse_url(patient.settings.url);
  http::PoolOptions options;
  options.origin = *std::move(url);
  options.tls = patient.tls;
  options.max = 1;
  options.idle = patient.settings.health.interval * 2;
  options.connect_timeout = patient.settings.connections.connect_timeout;
  return options;
}

}  // namespace

// The checks of one engine, for as long as its settings stay. Held by its coroutine too, which ends
// when its deadline is called off.
class Watch::Check {
 public:
  Check(Loop& loop, observe::Log& log, observe::External& external, Patient patient)
      : patient_(std::move(patient)),
        log_(log),
        external_(external),
        site_(patient_.settings, *http::parse_url(patient_.settings.url)),
        pool_(loop, options_for(patient_), {}),
        until_(loop, Time::max()),
        streak_(health().healthy_after, health().unhealthy_after),
        ask_(health().path.empty() ? Ask::health : Ask::given) {}

  const Patient& patient() const { return patient_; }
  void end() { until_.call_off(Why::draining); }

  static Task<void> run(std::shared_ptr<Check> self) {
    Check& check = *self;
    Deadline& until = check.until_;
    while (!until.over()) {
      const Sight sight = co_await check.look(until);
      if (until.over()) break;
      if (sight.what == Sight::none) {
        check.give_up(sight);
        break;
      }
      check.take_in(sight);
      const double factor = 1 - kJitter + 2 * kJitter * check.random_.unit();
      const auto pause = std::chrono::duration_cast<Duration>(check.health().interval * factor);
      co_await sleep_until(Clock::now() + pause, until);
    }
  }

 private:
  const settings::EngineSettings::Health& health() const { return patient_.settings.health; }

  Task<Sight> look(Deadline& until) {
    Sight sight = co_await ask(until);
    if (sight.what == Sight::none && ask_ == Ask::health) {
      ask_ = Ask::models;
      sight = co_await ask(until);
    }
    co_return sight;
  }

  Task<Sight> ask(Deadline& until) {
    const Time began = Clock::now();
    Sight sight = co_await ask_it(until);
    if (!until.over()) external_.ended(sight.what == Sight::good, Clock::now() - began);
    co_return sight;
  }

  Task<Sight> ask_it(Deadline& until) {
    const std::string_view asked = ask_ == Ask::given    ? std::string_view(health().path)
                                   : ask_ == Ask::health ? "/health"
                                                         : "models";
    const std::string host = "host: " + pool_.origin().authority() + "\r\n";
    const std::string request = "GET " +
                                (ask_ == Ask::given    ? site_.at_origin(health().path)
                                 : ask_ == Ask::health ? std::string(asked)
                                                       : site_.target("/v1/models")) +
                                " HTTP/1.1\r\n" + (ask_ == Ask::health ? host : site_.fields()) +
                                "accept: application/json, */*\r\naccept-encoding: identity\r\n"
                                "user-agent: penstock/" PENSTOCK_VERSION "\r\n\r\n";
    const std::array<std::string_view, 1> pieces = {request};
    Deadline deadline(until, Clock::now() + health().timeout);
    Result<http::ClientAnswer> answer = co_await http::exchange(pool_, pieces, false, deadline);
    if (!answer) {
      log_.debug("a health check failed",
                 {{"engine", patient_.settings.name}, {"reason", answer.error().detail}});
      co_return Sight{Sight::bad, in_short(answer.error())};
    }
    const int status = answer->head().status;
    std::string body;
    Result<bool> whole = co_await answer->gather(body, kMostBody, deadline);
    if (!whole) co_return Sight{Sight::bad, in_short(whole.error())};
    co_return judge(ask_, status, asked);
  }

  void take_in(const Sight& sight) {
    const bool good = sight.what == Sight::good;
    patient_.vitals->checked(good);
    const bool before = streak_.healthy();
    streak_.see(good);
    if (streak_.healthy() == before) return;
    patient_.vitals->judge(streak_.healthy(), sight.why);
    if (streak_.healthy()) {
      log_.info("an engine is healthy again", {{"engine", patient_.settings.name}});
    } else {
      log_.warning("an engine is unhealthy",
                   {{"engine", patient_.settings.name}, {"reason", sight.why}});
    }
  }

  void give_up(const Sight& sight) {
    patient_.vitals->judge(true, {});
    log_.info("an engine cannot be asked how it is: its calls alone tell",
              {{"engine", patient_.settings.name}, {"reason", sight.why}});
  }

  const Patient patient_;
  observe::Log& log_;
  observe::External& external_;
  const Site site_;
  http::Pool pool_;
  Deadline until_;
  Streak streak_;
  Ask ask_;
  Random random_;
};

Watch::Watch(observe::Log& log, const observe::External& external)
    : log_(log), external_(external) {}

Watch::~Watch() {
  if (!thread_.joinable()) return;
  asio::post(loop_.executor(), [this] {
    replace({});
    // What was called off ends before the loop does.
    asio::post(loop_.executor(), [this] { loop_.stop(); });
  });
  thread_.join();
}

void Watch::load(std::vector<Patient> patients) {
  if (!thread_.joinable()) {
    if (patients.empty()) return;
    thread_ = std::thread([this] { loop_.run(); });
  }
  asio::post(loop_.executor(),
             [this, patients = std::move(patients)]() mutable { replace(std::move(patients)); });
}

void Watch::replace(std::vector<Patient> patients) {
  std::vector<std::shared_ptr<Check>> next;
  for (Patient& patient : patients) {
    const auto known = std::find_if(checks_.begin(), checks_.end(), [&](const auto& check) {
      return check && check->patient().settings == patient.settings;
    });
    if (known != checks_.end()) {
      next.push_back(std::move(*known));
      continue;
    }
    patient.vitals->judge(true, {});  // nothing is known of what it is now
    next.push_back(std::make_shared<Check>(loop_, log_, external_, std::move(patient)));
    loop_.spawn(Check::run(next.back()));
  }
  for (const auto& gone : checks_) {
    if (gone) gone->end();
  }
  checks_ = std::move(next);
}

}  // namespace penstock::engine
