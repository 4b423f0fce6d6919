#include "app/chronicle.h"

#include "base/give_way.h"
#include "base/sleep.h"
#include "base/uuid.h"

namespace penstock::app {
namespace {

constexpr Duration kAgain = 5s;
constexpr Duration kGivenUp = 1h;

}  // namespace

Chronicle::Chronicle(store::Database& database, observe::Log& log)
    : database_(database), log_(log), thread_([this] {
        give_way();
        loop_.run();
      }) {}

Chronicle::~Chronicle() {
  loop_.stop();
  thread_.join();
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
  asio::post(loop_.executor(),
             [this, note = std::move(note)]() mutable { loop_.spawn(write(std::move(note))); });
}

Task<void> Chronicle::write(store::Note note) {
  Deadline patience(loop_, Clock::now() + kGivenUp);
  while (!patience.over()) {
    Result<void> written = co_await store::write_note(database_, note, patience);
    if (written) co_return;
    co_await sleep_until(Clock::now() + kAgain, patience);
  }
  log_.debug("a note was not taken by the database", {{"action", note.action}});
}

}  // namespace penstock::app
