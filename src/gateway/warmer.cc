#include "gateway/warmer.h"

#include <simdjson.h>

#include <algorithm>
#include <array>

#include "base/buffer.h"
#include "dialect/json.h"
#include "gateway/gateway.h"

namespace penstock::gateway {
namespace {

constexpr Duration kLook = 1s;         // how often a pause is looked at
constexpr Duration kSender = 60s;      // until who has more to send is taken for gone
constexpr Duration kPatience = 10min;  // with one question; the engine's own time-out is shorter
constexpr Duration kPause = 1s;        // after a failure, doubled with each one in a row
constexpr Duration kMostPause = 30s;
constexpr int kTries = 3;
constexpr std::size_t kMostReasons = 20;
constexpr std::uint64_t kNoRoomInARow = 16;
constexpr unsigned kMostConcurrency = 256;

std::string_view path_for(simdjson::dom::object body) {
  if (!body["messages"].error()) return "/v1/chat/completions";
  if (!body["input"].error()) return "/v1/embeddings";
  if (!body["prompt"].error()) return "/v1/completions";
  return {};
}

Error unreadable(std::string what) {
  return {Kind::invalid, Source::client, false, std::move(what)};
}

std::string in_words(std::string_view question, std::string_view model) {
  std::string body;
  dialect::JsonWriter json(body);
  json.begin_object().member("model", model).key("messages").begin_array().begin_object();
  json.member("role", "user").member("content", question).end_object().end_array();
  json.member("temperature", 0).end_object();
  return body;
}

}  // namespace

Result<WarmQuestion> read_warm_line(std::string_view line, const WarmDefaults& defaults) {
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
  if (!line.starts_with('{')) {
    if (!simdjson::validate_utf8(line.data(), line.size())) return unreadable("it is no UTF-8");
    if (defaults.model.empty()) return unreadable("a question in words needs a model");
    return WarmQuestion{"/v1/chat/completions", in_words(line, defaults.model), defaults.tenant};
  }
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  if (const auto error = parser.parse(line.data(), line.size()).get(object)) {
    return unreadable(std::string("it is no JSON object: ") + simdjson::error_message(error));
  }
  WarmQuestion question{{}, std::string(line), defaults.tenant};
  simdjson::dom::object body;
  if (object["body"].get(body) == simdjson::SUCCESS) {
    std::string_view text;
    if (object["url"].get(text) != simdjson::SUCCESS) return unreadable("`url` is missing");
    question.path = text;
    if (object["tenant"].get(text) == simdjson::SUCCESS) question.tenant = text;
    question.body = simdjson::minify(body);
  } else {
    question.path = path_for(object);
  }
  constexpr std::array<std::string_view, 3> kPaths = {"/v1/chat/completions", "/v1/completions",
                                                      "/v1/embeddings"};
  if (std::find(kPaths.begin(), kPaths.end(), question.path) == kPaths.end()) {
    return unreadable("it is a request to none of " + std::string(kPaths[0]) + ", " +
                      std::string(kPaths[1]) + " and " + std::string(kPaths[2]));
  }
  return question;
}

// One list of questions, until all are answered.
struct Warmer::Job {
  Job(Loop& loop, Plan how) : plan(std::move(how)), poke(loop) {}

  const Plan plan;
  const Time begun = Clock::now();
  Signal poke;

  std::mutex mutex;  // of everything below
  State state;
  std::deque<WarmQuestion> queue;
  std::size_t bytes = 0;  // of the queue
  bool more = true;
  Time heard = Clock::now();  // of who sends them
  unsigned running = 0;
  unsigned failures = 0;      // in a row
  std::uint64_t no_room = 0;  // likewise
  Time next = begun;          // when the next may be asked
};

void Warmer::attach(Loop& loop, Gateway& gateway) {
  const std::lock_guard lock(mutex_);
  loop_ = &loop;
  gateway_ = &gateway;
}

void Warmer::detach() {
  const std::lock_guard lock(mutex_);
  loop_ = nullptr;
  gateway_ = nullptr;
  job_.reset();
}

std::optional<std::string> Warmer::begin(const Plan& plan) {
  const std::lock_guard lock(mutex_);
  if (loop_ == nullptr) return std::nullopt;
  if (job_) {
    const std::lock_guard inner(job_->mutex);
    if (job_->state.running) return std::nullopt;
  }
  Plan bounded = plan;
  bounded.concurrency = std::clamp(plan.concurrency, 1u, kMostConcurrency);
  job_ = std::make_shared<Job>(*loop_, std::move(bounded));
  job_->state.id = std::to_string(++number_);
  job_->state.source = plan.source;
  job_->state.running = true;
  asio::post(loop_->executor(), [this, loop = loop_, job = job_] { loop->spawn(run(job)); });
  return job_->state.id;
}

Warmer::Added Warmer::add(std::string_view id, std::vector<WarmQuestion> questions,
                          std::vector<std::string> unreadable, bool more) {
  const std::lock_guard lock(mutex_);
  if (!job_) return Added::gone;
  Job& job = *job_;
  const std::lock_guard inner(job.mutex);
  if (job.state.id != id || !job.state.running || !job.more) return Added::gone;
  job.heard = Clock::now();
  std::size_t bytes = 0;
  for (const WarmQuestion& question : questions) bytes += question.body.size();
  if (job.bytes + bytes > kMostBytes) return Added::no_memory;
  job.bytes += bytes;
  job.state.total += questions.size() + unreadable.size();
  job.state.refused += unreadable.size();
  for (std::string& why : unreadable) {
    if (job.state.reasons.size() < kMostReasons) job.state.reasons.push_back(std::move(why));
  }
  for (WarmQuestion& question : questions) job.queue.push_back(std::move(question));
  job.more = more;
  job.poke.wake();
  return Added::added;
}

void Warmer::stop() {
  const std::lock_guard lock(mutex_);
  if (!job_) return;
  const std::lock_guard inner(job_->mutex);
  if (!job_->state.running) return;
  job_->state.stopped = true;
  job_->poke.wake();
}

Warmer::State Warmer::state() const {
  const std::lock_guard lock(mutex_);
  if (!job_) return {};
  const std::lock_guard inner(job_->mutex);
  State state = job_->state;
  if (state.running) state.took = Clock::now() - job_->begun;
  return state;
}

// On the loop. Takes questions from the queue as fast as the plan allows.
Task<void> Warmer::run(JobPtr job) {
  Deadline until(*loop_, Time::max());
  for (;;) {
    const bool pressed = house_.memory.level() >= http::MemoryGate::Level::close;
    std::optional<WarmQuestion> question;
    Time again = Clock::now() + kLook;
    {
      const std::lock_guard lock(job->mutex);
      const Time now = Clock::now();
      if (house_.draining.load()) job->state.stopped = true;
      if (job->state.stopped || job->state.full) {
        job->state.left_out += job->queue.size();
        job->queue.clear();
        job->bytes = 0;
        job->more = false;
      }
      if (job->more && now > job->heard + kSender) job->more = false;
      if (job->queue.empty() && !job->more && job->running == 0) {
        job->state.running = false;
        job->state.took = now - job->begun;
        break;
      }
      if (!job->queue.empty() && job->running < job->plan.concurrency && !pressed) {
        if (now >= job->next) {
          question = std::move(job->queue.front());
          job->queue.pop_front();
          job->bytes -= question->body.size();
          ++job->running;
          if (job->plan.rate > 0) {
            const auto apart = std::chrono::duration_cast<Duration>(
                std::chrono::duration<double>(1 / job->plan.rate));
            job->next = std::max(job->next + apart, now - kLook);
          }
        } else {
          again = std::min(again, job->next);
        }
      }
    }
    if (question) {
      loop_->spawn(ask(job, *std::move(question)));
      continue;
    }
    Deadline wait(until, again);
    Result<void> woken = co_await job->poke.wait(wait);
    (void)woken;  // both are looked at above
  }
  State state;
  {
    const std::lock_guard lock(job->mutex);
    state = job->state;
  }
  house_.log.info("the cache was warmed",
                  {{"source", state.source},
                   {"questions", static_cast<std::int64_t>(state.total)},
                   {"kept", static_cast<std::int64_t>(state.kept)},
                   {"known", static_cast<std::int64_t>(state.known)},
                   {"refused", static_cast<std::int64_t>(state.refused)},
                   {"failed", static_cast<std::int64_t>(state.failed)},
                   {"left_out", static_cast<std::int64_t>(state.left_out)},
                   {"seconds", std::chrono::duration<double>(state.took).count()}});
}

Task<void> Warmer::ask(JobPtr job, WarmQuestion question) {
  WarmResult result;
  {
    Deadline deadline(*loop_, Clock::now() + kPatience);
    WarmResult warmed = co_await gateway_->warm(question, deadline);
    result = std::move(warmed);
  }
  settle(*job, std::move(question), std::move(result));
  job->poke.wake();
}

void Warmer::settle(Job& job, WarmQuestion question, WarmResult result) {
  const std::lock_guard lock(job.mutex);
  --job.running;
  State& state = job.state;
  if (result.what == Warmed::failed) {
    ++job.failures;
    const Duration pause =
        std::min<Duration>(kPause * (1 << std::min(job.failures - 1, 5u)), kMostPause);
    job.next = std::max(job.next, Clock::now() + pause);
    if (result.retryable && ++question.tries < kTries && !state.stopped) {
      job.bytes += question.body.size();
      job.queue.push_back(std::move(question));
      return;
    }
  } else if (result.what != Warmed::refused) {
    job.failures = 0;
  }
  job.no_room = result.what == Warmed::no_room ? job.no_room + 1 : 0;
  if (job.no_room >= kNoRoomInARow) state.full = true;
  switch (result.what) {
    case Warmed::kept: ++state.kept; break;
    case Warmed::known: ++state.known; break;
    case Warmed::refused: ++state.refused; break;
    case Warmed::failed: ++state.failed; break;
    case Warmed::no_room: ++state.left_out; break;
  }
  if (!result.why.empty() && state.reasons.size() < kMostReasons) {
    constexpr std::size_t kShown = 100;
    const std::string_view body = question.body;
    state.reasons.push_back(std::string(body.substr(0, kShown)) +
                            (body.size() > kShown ? "...: " : ": ") + std::move(result.why));
  }
}

}  // namespace penstock::gateway
