#include "engagement/engagement.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>
#include <chrono>

namespace penstock::engagement {
namespace {

constexpr std::array kQuestions = {1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0};

}  // namespace

struct Engagement::State {
  State(const Options& options, observe::Registry& registry)
      : active(options.shared),
        questions(registry.shard(registry.shards() - 1)
                      .histogram("penstock_engagement_questions_per_session",
                                 "Questions of a session, when it has ended.", kQuestions, {})),
        sessions(options.sessions, [this](std::uint64_t count) {
          const std::lock_guard lock(mutex);
          questions.observe(static_cast<double>(count));
        }) {}

  Active active;
  std::mutex mutex;  // makes one writer of all who end a session
  observe::Histogram questions;
  Sessions sessions;
  std::atomic<std::uint64_t> begun{0};
  std::atomic<std::uint64_t> repeats{0};
  std::atomic<std::uint64_t> abandoned{0};
  std::array<std::atomic<std::uint64_t>, 2> ratings{};
};

std::optional<Rating> parse_rating(std::string_view text) {
  if (text == "up") return Rating::up;
  if (text == "down") return Rating::down;
  return std::nullopt;
}

std::string_view label_of(Rating rating) { return rating == Rating::up ? "up" : "down"; }

std::uint64_t hash_of(std::string_view within, std::string_view what) {
  const std::uint64_t seed = within.empty() ? 0 : XXH3_64bits(within.data(), within.size());
  const std::uint64_t hash = XXH3_64bits_withSeed(what.data(), what.size(), seed);
  return hash == 0 ? 1 : hash;
}

Engagement::Engagement(const Options& options, observe::Registry& registry)
    : state_(std::make_shared<State>(options, registry)) {
  using observe::Type;
  const auto watch = [&](Type type, const char* name, const char* help, observe::Labels labels,
                         std::function<std::uint64_t(State&)> read) {
    // Weak: the registry may be read when this is gone.
    registry.watch(
        type, name, help, std::move(labels),
        [weak = std::weak_ptr<State>(state_), read = std::move(read)]() -> std::optional<double> {
          const auto state = weak.lock();
          if (!state) return std::nullopt;
          return static_cast<double>(read(*state));
        });
  };
  for (const auto window : {Active::minutes5, Active::hour, Active::day}) {
    watch(Type::gauge, "penstock_engagement_active_users",
          "Users who asked within the window, estimated within 2 %.",
          {{"window", std::string(Active::label_of(window))}}, [window](State& state) {
            return state.active.users(window, std::chrono::system_clock::now());
          });
  }
  watch(Type::counter, "penstock_engagement_sessions_total", "Sessions that began.", {},
        [](State& state) { return state.begun.load(); });
  watch(Type::counter, "penstock_engagement_repeat_questions_total",
        "Questions that an equal one stood before in their session.", {},
        [](State& state) { return state.repeats.load(); });
  watch(Type::counter, "penstock_engagement_abandoned_total",
        "Answers whose client left before their end.", {},
        [](State& state) { return state.abandoned.load(); });
  for (const Rating rating : {Rating::up, Rating::down}) {
    watch(Type::counter, "penstock_engagement_feedback_total", "What was said of answers.",
          {{"rating", std::string(label_of(rating))}}, [rating](State& state) {
            return state.ratings[static_cast<std::size_t>(rating)].load();
          });
  }
}

Engagement::~Engagement() = default;

void Engagement::asked(const Asked& question) {
  State& state = *state_;
  if (question.user != 0) state.active.saw(question.user, question.at);
  const std::uint64_t session = question.session != 0 ? question.session : question.user;
  if (session == 0) return;
  const Sessions::Seen seen = state.sessions.asked(session, question.text, question.at);
  if (seen.began) state.begun.fetch_add(1, std::memory_order_relaxed);
  if (seen.repeated) state.repeats.fetch_add(1, std::memory_order_relaxed);
}

void Engagement::abandoned() { state_->abandoned.fetch_add(1, std::memory_order_relaxed); }

void Engagement::rated(Rating rating) {
  state_->ratings[static_cast<std::size_t>(rating)].fetch_add(1, std::memory_order_relaxed);
}

void Engagement::sweep(WallTime now) { state_->sessions.sweep(now); }

std::uint64_t Engagement::users(Active::Window window, WallTime now) const {
  return state_->active.users(window, now);
}
std::uint64_t Engagement::sessions() const { return state_->begun; }
std::uint64_t Engagement::repeats() const { return state_->repeats; }

Task<Result<void>> Engagement::exchange(Shared& shared, WallTime now, Deadline& deadline) {
  return state_->active.exchange(shared, now, deadline);
}

}  // namespace penstock::engagement
