// A kept stream, given at the pace at which it was made (x-penstock-replay: paced).

#include "base/sleep.h"
#include "gateway/exchange.h"
#include "gateway/keep.h"

namespace penstock::gateway {
namespace {

constexpr std::string_view kEventEnd = "\n\n";

// When the next event is due: the first when the engine's first came, the others evenly from there
// to when its last did. How far apart the engine's own were is not kept.
class Pace {
 public:
  Pace(const cache::Entry& entry, std::string_view body, Time begun) : begun_(begun) {
    for (std::size_t at = body.find(kEventEnd); at != body.npos;
         at = body.find(kEventEnd, at + kEventEnd.size())) {
      ++events_;
    }
    first_ = std::min(entry.first_token, entry.made);
    rest_ = entry.made - first_;
  }
  Time next() {
    const double share =
        events_ < 2 ? 0 : static_cast<double>(given_) / static_cast<double>(events_ - 1);
    ++given_;
    return begun_ + first_ + std::chrono::duration_cast<Duration>(rest_ * std::min(1.0, share));
  }

 private:
  Time begun_;
  Duration first_{};
  Duration rest_{};
  std::size_t events_ = 0;
  std::size_t given_ = 0;
};

}  // namespace

// REQUIRES: x.look.entry has the form that is asked for, and that is a stream.
Task<void> Gateway::replay(Exchange& x) {
  const cache::EntryPtr entry = x.look.entry;  // also where it leaves the cache meanwhile
  const std::string_view body = prepared(*entry, form_for(x.question, *entry)).body();
  const Time now = Clock::now();
  book_kept(x, now);
  x.recorder.tell_answer(body);
  Answer answer;
  answer.status = entry->status;
  answer.content_type = "text/event-stream; charset=utf-8";
  answer.headers = {{"cache-control", "no-cache"}, {"x-accel-buffering", "no"}};
  begin_head(x, answer);
  const auto age = std::chrono::duration_cast<std::chrono::seconds>(now - entry->stored);
  x.reply.field("age", std::to_string(std::max<std::int64_t>(0, age.count())));
  const bool begun = co_await x.reply.begin_stream(body.size());
  x.recorder.client_left = !begun;
  Pace pace(*entry, body, x.request.received);
  std::size_t sent = 0;
  while (sent < body.size() && !x.recorder.client_left) {
    const std::size_t end = std::min(body.size(), body.find(kEventEnd, sent));
    const std::size_t next = std::min(body.size(), end + kEventEnd.size());
    co_await sleep_until(pace.next(), x.deadline);
    const bool taken = co_await x.reply.write(body.substr(sent, next - sent));
    if (!taken || x.reply.client_left()) x.recorder.client_left = true;
    sent = next;
  }
  if (x.recorder.client_left) co_return;
  x.recorder.close();
  co_await x.reply.end_stream();
}

}  // namespace penstock::gateway
