#include "profile/cpu.h"

#include <dirent.h>
#include <unistd.h>
#include <csignal>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

namespace penstock::profile {
namespace {

constexpr std::size_t kSlots = 4096;  // what 64 busy processors fill in half a second
constexpr long kPeriod = 1'000'000'000 / kHertz;

struct Slot {
  enum State : std::uint8_t { empty, writing, full };
  std::atomic<State> state{empty};
  std::uint32_t weight = 0;  // periods that it stands for
  std::uint32_t count = 0;
  std::array<Address, kMostFrames> frames{};
};

struct Slots {
  std::array<Slot, kSlots> slots;
  std::atomic<std::uint32_t> next{0};
  std::atomic<std::uint64_t> lost{0};
};

std::atomic<bool> taken{false};
// Made by the first profile and never given back: a signal may come late.
std::atomic<Slots*> room{nullptr};
std::atomic<bool> running{false};

void on_tick(int, siginfo_t* info, void* context) {
  if (!running.load(std::memory_order_acquire)) return;
  Slots& to = *room.load(std::memory_order_acquire);
  Slot& slot = to.slots[to.next.fetch_add(1, std::memory_order_relaxed) % kSlots];
  Slot::State expected = Slot::empty;
  if (!slot.state.compare_exchange_strong(expected, Slot::writing, std::memory_order_acquire)) {
    to.lost.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  slot.weight = 1 + static_cast<std::uint32_t>(std::max(info->si_overrun, 0));
  slot.count = static_cast<std::uint32_t>(walk(place_of(context), slot.frames));
  slot.state.store(Slot::full, std::memory_order_release);
}

// The clock of another thread's processor time, as the kernel numbers them (linux/posix-timers.h).
clockid_t clock_of(int thread) {
  constexpr int kPerThread = 4, kScheduled = 2;
  return static_cast<clockid_t>((~static_cast<unsigned>(thread) << 3) | kPerThread | kScheduled);
}

std::vector<int> threads() {
  std::vector<int> all;
  const std::unique_ptr<DIR, int (*)(DIR*)> tasks(::opendir("/proc/self/task"), &::closedir);
  if (!tasks) return all;
  while (const dirent* const entry = ::readdir(tasks.get())) {
    int thread = 0;
    const char* const end = entry->d_name + std::strlen(entry->d_name);
    if (std::from_chars(entry->d_name, end, thread).ptr == end && thread > 0) all.push_back(thread);
  }
  return all;
}

}  // namespace

Result<CpuSampler> CpuSampler::begin() {
  if (taken.exchange(true)) {
    return Error{Kind::exhausted, Source::gateway, true, "a CPU profile is being taken already"};
  }
  CpuSampler sampler;
  sampler.held_ = true;
  if (room.load() == nullptr) {
    room = std::make_unique<Slots>().release();
    struct sigaction action {};
    action.sa_sigaction = &on_tick;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(SIGPROF, &action,
                nullptr);  // and it stays: else a late signal would end the program
  }
  Slots& slots = *room.load();
  for (Slot& slot : slots.slots) {
    if (slot.state == Slot::full) slot.state = Slot::empty;  // of a profile before this one
  }
  slots.lost = 0;
  running = true;
  sampler.begin_ = std::chrono::system_clock::now();
  sampler.started_ = Clock::now();
  sampler.watch_threads();
  if (sampler.watched_.empty()) {
    return Error{
        Kind::internal, Source::gateway, false,
        std::string("the kernel gives no timer of processor time: ") + std::strerror(errno)};
  }
  return sampler;
}

CpuSampler::CpuSampler(CpuSampler&& other) noexcept
    : held_(std::exchange(other.held_, false)),
      watched_(std::exchange(other.watched_, {})),
      sum_(std::move(other.sum_)),
      started_(other.started_),
      begin_(other.begin_) {}

CpuSampler::~CpuSampler() { stop(); }

void CpuSampler::watch_threads() {
  const std::vector<int> now = threads();
  std::erase_if(watched_, [&](const Watched& one) {
    const bool gone = std::find(now.begin(), now.end(), one.thread) == now.end();
    if (gone) ::timer_delete(one.timer);
    return gone;
  });
  for (const int thread : now) {
    if (std::any_of(watched_.begin(), watched_.end(),
                    [&](const Watched& one) { return one.thread == thread; })) {
      continue;
    }
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGPROF;
    event._sigev_un._tid = thread;  // glibc has no public name for it
    Watched one{thread, {}};
    if (::timer_create(clock_of(thread), &event, &one.timer) != 0) continue;  // it has just ended
    itimerspec period{};
    period.it_interval.tv_nsec = period.it_value.tv_nsec = kPeriod;
    ::timer_settime(one.timer, 0, &period, nullptr);
    watched_.push_back(one);
  }
}

void CpuSampler::collect() {
  for (Slot& slot : room.load()->slots) {
    if (slot.state.load(std::memory_order_acquire) != Slot::full) continue;
    sum_.add(std::span(slot.frames).first(slot.count), slot.weight);
    slot.state.store(Slot::empty, std::memory_order_release);
  }
  watch_threads();
}

void CpuSampler::stop() {
  if (!held_) return;
  for (const Watched& one : watched_) ::timer_delete(one.timer);
  watched_.clear();
  running = false;
  held_ = false;
  taken = false;
}

Profile CpuSampler::end() {
  collect();
  Profile profile;
  profile.took = Clock::now() - started_;
  profile.lost = room.load()->lost;
  stop();
  profile.measures = {{"samples", "count"}, {"cpu", "nanoseconds"}};
  profile.shown = 1;
  profile.period_type = {"cpu", "nanoseconds"};
  profile.period = kPeriod;
  profile.begin = begin_;
  for (const auto& [frames, count] : sum_.stacks()) {
    profile.samples.push_back({frames, {count, count * kPeriod}});
  }
  return profile;
}

}  // namespace penstock::profile
