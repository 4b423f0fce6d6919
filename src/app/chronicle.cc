#include "app/chronicle.h"

#include "base/give_way.h"
#include "base/uuid.h"

namespace penstock::app {
namespace {

constexpr Duration kPatience = 2s;
constexpr Duration kAgain = 5s;
constexpr Duration kGivenUp = 1h;

}  // namespace

Chronicle::~Chronicle() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Chronicle::note(std::string action, std::string object, std::string detail) {
  store::Note note;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  note.time_us = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  Random random;
  const Uuid id = make_uuid7(static_cast<std::uint64_t>(note.time_us / 1000), random);
  note.id = text(id);
  note.who = "the program";
  note.action = std::move(action);
  note.object = std::move(object);
  note.detail = std::move(detail);
  note.node = asio::ip::host_name();
  const std::lock_guard lock(mutex_);
  // Of a hundred reloads in a second one says it.
  if (!notes_.empty() && notes_.back().action == note.action &&
      notes_.back().object == note.object) {
    return;
  }
  notes_.push_back(std::move(note));
  if (writing_) return;
  if (thread_.joinable()) thread_.join();  // it has let the mutex go for the last time
  writing_ = true;
  thread_ = std::thread([this] { write_on(); });
}

void Chronicle::write_on() {
  give_way();
  const Time until = Clock::now() + kGivenUp;
  std::unique_lock lock(mutex_);
  while (!ended_ && !notes_.empty()) {
    const store::Note note = notes_.front();
    lock.unlock();
    const Result<void> written = store::wait(kPatience, [&](Deadline& deadline) {
      return store::write_note(database_, note, deadline);
    });
    const bool given_up = !written && Clock::now() >= until;
    if (given_up) {
      log_.debug("a note was not taken by the database",
                 {{"action", note.action}, {"reason", written.error().detail}});
    }
    lock.lock();
    if (written || given_up) {
      notes_.pop_front();
    } else {
      wake_.wait_for(lock, kAgain, [this] { return ended_; });
    }
  }
  writing_ = false;
}

}  // namespace penstock::app
