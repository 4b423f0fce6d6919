#include "cache/live.h"

#include <algorithm>
#include <array>

#include "base/sleep.h"
#include "cache/lease.h"
#include "redis/script.h"

namespace penstock::cache {
namespace {

constexpr char kVersion = 1;
constexpr std::size_t kFrameHead = 5;
constexpr std::size_t kId = 16;
constexpr std::size_t kMostPiece = 256 * 1024;         // of one command
constexpr std::uint64_t kMostLive = 16 * 1024 * 1024;  // in Redis, of one answer
constexpr Duration kLives = 10s;                       // behind its last change
constexpr Duration kLook = 1s;
constexpr Duration kPatience = 1s;  // of what nobody waits for
constexpr Duration kSilence = 3s;   // of a leader that has no lease any more, or of Redis
constexpr Duration kAgain = 2s;     // for so long a Redis that fails is written to again
constexpr Duration kPause = 100ms;  // each
constexpr std::uint64_t kNotKnown = ~std::uint64_t{0};

template <class Integer>
void put_number(std::string& out, Integer value) {
  for (std::size_t i = 0; i < sizeof value; ++i) {
    out += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i));
  }
}

void put_text(std::string& out, std::string_view text) {
  put_number(out, static_cast<std::uint32_t>(text.size()));
  out += text;
}

std::uint64_t number_at(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) {
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

// Numbers and texts from the front; once something is missing all is.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : bytes_(bytes) {}
  std::string_view take(std::size_t size) {
    if (size > bytes_.size()) {
      good_ = false;
      bytes_ = {};
      return {};
    }
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  std::uint64_t number(std::size_t size) { return number_at(take(size)); }
  std::string_view text() { return take(static_cast<std::size_t>(number(4))); }
  bool good() const { return good_; }
  bool at_end() const { return bytes_.empty(); }

 private:
  std::string_view bytes_;
  bool good_ = true;
};

// KEYS: the answer, the lease. ARGV: its beginning, milliseconds, the lease's id.
const redis::Script& begin_script() {
  static const redis::Script kScript(R"(
if redis.call('GET', KEYS[2]) ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
)");
  return kScript;
}

// KEYS: the answer. ARGV: more of it, milliseconds, its start, how long it was before. 0: it is not
// there whole any more, or not ours. Done twice it does the same.
const redis::Script& append_script() {
  static const redis::Script kScript(R"(
if redis.call('GETRANGE', KEYS[1], 0, #ARGV[3] - 1) ~= ARGV[3] then return 0 end
local length, before = redis.call('STRLEN', KEYS[1]), tonumber(ARGV[4])
if length == before then
  if ARGV[1] ~= '' then redis.call('APPEND', KEYS[1], ARGV[1]) end
elseif length ~= before + #ARGV[1] then
  return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
)");
  return kScript;
}

// KEYS: the answer. ARGV: its start.
const redis::Script& drop_script() {
  static const redis::Script kScript(R"(
if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
)");
  return kScript;
}

std::string ms(Duration duration) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

// What is told of one answer, as Redis has it.
class Told {
 public:
  Told(LiveTelling& telling, const std::string& start)
      : telling_(telling), name_(live_name(telling.key)), start_(start) {}

  std::uint64_t size() const { return size_; }

  // False: it cannot be told any more.
  Task<bool> write(const std::string& frames, Deadline& deadline) {
    const Time until = Clock::now() + kAgain;
    for (;;) {
      Result<redis::Value> written = co_await write_once(frames, deadline);
      if (written) {
        size_ += frames.size();
        co_return written->integer == 1;
      }
      if (deadline.over() || Clock::now() >= until) co_return false;
      co_await sleep_until(Clock::now() + kPause, deadline);
    }
  }
  Task<void> drop(Deadline& deadline) {
    const std::array<std::string_view, 1> keys = {name_}, words = {start_};
    Deadline patience(deadline, Clock::now() + kPatience);
    Result<redis::Value> gone =
        co_await telling_.client->eval(drop_script(), keys, words, patience);
    static_cast<void>(gone);  // else it runs out by itself
  }

 private:
  Task<Result<redis::Value>> write_once(const std::string& frames, Deadline& deadline) {
    const std::string lives = ms(kLives);
    Deadline patience(deadline, Clock::now() + kPatience);
    if (size_ == 0) {
      const std::array<std::string_view, 2> keys = {name_, telling_.lease};
      const std::array<std::string_view, 3> words = {frames, lives, telling_.id};
      Result<redis::Value> begun =
          co_await telling_.client->eval(begin_script(), keys, words, patience);
      co_return begun;
    }
    const std::string before = std::to_string(size_);
    const std::array<std::string_view, 1> keys = {name_};
    const std::array<std::string_view, 4> words = {frames, lives, start_, before};
    Result<redis::Value> appended =
        co_await telling_.client->eval(append_script(), keys, words, patience);
    co_return appended;
  }

  LiveTelling& telling_;
  const std::string name_;
  const std::string start_;
  std::uint64_t size_ = 0;
};

// What has come meanwhile, as frames; true: that was the last.
bool take_pieces(Reader& reader, std::string& frames) {
  while (frames.size() < kMostPiece) {
    const std::optional<Result<std::string_view>> piece = reader.poll();
    if (!piece) return false;
    if (!*piece || (*piece)->empty()) {
      add_live_frame(frames, *piece ? 'e' : 'x', {});
      return true;
    }
    add_live_frame(frames, 'd', **piece);
  }
  return false;
}

}  // namespace

std::string live_name(const Key& key) { return "penstock:live:{" + hex(key) + "}"; }

std::string new_live_id(Random& random) {
  std::string id;
  put_number(id, random.next());
  put_number(id, random.next());
  return id;
}

void add_live_frame(std::string& out, char type, std::string_view content) {
  out += type;
  put_text(out, content);
}

std::string live_head(std::string_view id, std::string_view scope, const Flight::Head& head) {
  std::string content;
  content += kVersion;
  content += id;
  put_number(content, static_cast<std::uint16_t>(head.status));
  put_number(content, head.length.value_or(kNotKnown));
  put_number(content, head.purge);
  put_text(content, scope);
  put_text(content, head.content_type);
  for (const Header& header : head.headers) {
    put_text(content, header.name);
    put_text(content, header.value);
  }
  std::string frame;
  add_live_frame(frame, 'h', content);
  return frame;
}

std::optional<Flight::Head> read_live_head(std::string_view content, std::string_view scope) {
  Fields fields(content);
  const bool known = fields.take(1) == std::string_view(&kVersion, 1);
  fields.take(kId);
  Flight::Head head;
  head.status = static_cast<int>(fields.number(2));
  if (const std::uint64_t length = fields.number(8); length != kNotKnown) head.length = length;
  head.purge = fields.number(8);
  const bool ours = fields.text() == scope;
  head.content_type = fields.text();
  while (fields.good() && !fields.at_end()) {
    const std::string_view name = fields.text();
    head.headers.push_back({std::string(name), std::string(fields.text())});
  }
  head.elsewhere = true;
  if (!known || !ours || !fields.good() || head.status < 200 || head.status > 599) {
    return std::nullopt;
  }
  return head;
}

std::optional<LiveFrames::Frame> LiveFrames::next() {
  const std::string_view bytes = std::string_view(bytes_).substr(read_);
  if (broken_ || bytes.size() < kFrameHead) return std::nullopt;
  const std::uint64_t size = number_at(bytes.substr(1, 4));
  if (size > kMostFrame || std::string_view("hdex").find(bytes[0]) == bytes.npos) {
    broken_ = true;
    return std::nullopt;
  }
  if (bytes.size() - kFrameHead < size) return std::nullopt;
  read_ += kFrameHead + static_cast<std::size_t>(size);
  return Frame{bytes[0], bytes.substr(kFrameHead, static_cast<std::size_t>(size))};
}

namespace {

// The head, while others want it; nothing: it is not to be told.
Task<std::optional<Flight::Head>> head_to_tell(LiveTelling& telling, Deadline& deadline) {
  for (;;) {
    Deadline slice(deadline, Clock::now() + kLook);
    Result<Flight::Head> head = co_await telling.reader->head(slice);
    if (head) {
      // What only failed is not everybody's answer; and what another node tells, it tells to all.
      const bool failed = head->status == 429 || head->status >= 500;
      telling.wish->over = failed || head->elsewhere || head->length.value_or(0) > kMostLive;
      if (telling.wish->over) co_return std::nullopt;
      co_return *std::move(head);
    }
    if (!slice.over() || deadline.over()) {
      telling.wish->over = true;
      co_return std::nullopt;
    }
    if (!telling.wish->wanted) co_return std::nullopt;
  }
}

}  // namespace

Task<void> tell_live(Loop& loop, LiveTelling telling) {
  Deadline deadline(loop, telling.until);
  std::optional<Flight::Head> head = co_await head_to_tell(telling, deadline);
  if (!head) co_return;
  head->purge = telling.purge;
  std::string frames = live_head(telling.id, telling.scope, *head);
  Told told(telling, frames.substr(0, kLiveStart));
  Time due = Clock::now();
  for (;;) {
    bool ended = take_pieces(*telling.reader, frames);
    if (told.size() + frames.size() > kMostLive) {
      frames.clear();
      add_live_frame(frames, 'x', {});
      ended = true;
    }
    if (!telling.wish->wanted && !ended) {
      co_await told.drop(deadline);
      co_return;
    }
    if (!frames.empty() || Clock::now() >= due) {
      const bool good = co_await told.write(frames, deadline);
      if (!good || ended) {
        telling.wish->over = true;
        co_return;
      }
      frames.clear();
      due = Clock::now() + kLook;
      continue;
    }
    if (deadline.over()) co_return;
    Deadline pause(deadline, due);
    Result<void> woken = co_await telling.reader->wait(pause);
    static_cast<void>(woken);
  }
}

// ---- who follows -------------------------------------------------------------------------------

namespace {

std::string_view id_of(std::string_view start) {
  return start.size() < kLiveStart ? std::string_view() : start.substr(kLiveStart - kId);
}

// What was read of it, on its way into the flight of this node.
class Following {
 public:
  Following(std::string_view scope, const Leases::Outdated& outdated, Flight& flight)
      : scope_(scope), outdated_(outdated), flight_(flight) {}

  std::size_t at() const { return at_; }
  bool begun() const { return begun_; }
  bool ended() const { return ended_; }
  bool failed() const { return failed_; }

  // `more`: what comes behind that which was read; `start`: what stood at its front just after.
  void take(std::string_view start, std::string_view more) {
    if (!start_.empty() && start != start_) {  // another leader's, or none
      failed_ = begun_;
      restart();
      return;
    }
    if (more.empty()) return;
    // Between the two looks another may have begun.
    if (at_ == 0 && !more.starts_with(start)) return;
    start_ = start;
    at_ += more.size();
    frames_.add(more);
    while (const std::optional<LiveFrames::Frame> frame = frames_.next()) take_frame(*frame);
    if (frames_.broken()) failed_ = true;
  }

 private:
  void restart() {
    start_.clear();
    frames_ = {};
    at_ = 0;
    unknown_ = false;
  }
  void take_frame(const LiveFrames::Frame& frame) {
    if (ended_ || failed_ || unknown_) return;
    if (frame.type == 'h') {
      std::optional<Flight::Head> head;
      if (!begun_) head = read_live_head(frame.content, scope_);
      if (head && !outdated_(head->purge)) {
        flight_.head(*std::move(head));
        begun_ = true;
      } else if (begun_) {
        failed_ = true;
      } else {
        unknown_ = true;
      }
      return;
    }
    if (!begun_ || frame.type == 'x') {
      failed_ = begun_;
      unknown_ = true;
    } else if (frame.type == 'e') {
      ended_ = true;
    } else {
      flight_.append(std::string(frame.content));
    }
  }

  const std::string_view scope_;
  const Leases::Outdated& outdated_;
  Flight& flight_;
  LiveFrames frames_;
  std::string start_;
  std::size_t at_ = 0;
  bool begun_ = false;
  bool ended_ = false;
  bool failed_ = false;
  bool unknown_ = false;  // it is not one that can be followed
};

}  // namespace

Task<Leases::Followed> Leases::follow(Key key, std::string scope, Outdated outdated,
                                      FlightPtr flight, Deadline& deadline) {
  const std::string lease = lease_name(key), live = live_name(key), wanted = wanted_name(key);
  const std::string wish_ms = ms(kWanted), start_end = std::to_string(kLiveStart - 1);
  Signal signal(loop_);
  const Watch lease_watch(*this, lease, signal);
  const Watch live_watch(*this, live, signal);
  Following following(scope, outdated, *flight);
  Time heard = Clock::now();  // when Redis was last read, or, without a lease, something new
  Time wish = heard;
  const auto want = [&] {
    if (Clock::now() < wish) return;
    const std::array<std::string_view, 5> words = {"SET", wanted, "1", "PX", wish_ms};
    client_->tell(words);
    wish = Clock::now() + kLook;
  };
  for (;;) {
    const std::string at = std::to_string(following.at());
    const std::string end = std::to_string(following.at() + kMostPiece - 1);
    // What is read last tells whose the rest was.
    const std::array<std::string_view, 4> more_words = {"GETRANGE", live, at, end};
    const std::array<std::string_view, 4> start_words = {"GETRANGE", live, "0", start_end};
    const std::array<std::string_view, 2> lease_words = {"GET", lease};
    const std::array<redis::Words, 3> commands = {more_words, start_words, lease_words};
    bool again = false, led = true, good = false;
    {
      Deadline patience(deadline, Clock::now() + kPatience);
      Result<redis::Read> read = co_await client_->read(commands, live, patience);
      good = read && read->values[0].is_text() && read->values[1].is_text();
      if (good) {
        const std::string_view more = read->values[0].text, start = read->values[1].text;
        led = read->values[2].is_text();
        if (led || !more.empty()) heard = Clock::now();
        if (following.begun() || (led && id_of(start) == read->values[2].text)) {
          following.take(start, more);
        }
        again = read->changed || more.size() == kMostPiece;
      }
    }
    if (following.ended()) co_return Followed::whole;
    if (following.failed()) co_return Followed::broken;
    if (!following.begun()) {
      // Where Redis does not answer, the next look at the lease finds out.
      if (!good || !led || deadline.over()) co_return Followed::nothing;
    } else if (deadline.over() || Clock::now() - heard > kSilence) {
      co_return Followed::broken;
    }
    want();
    while (following.begun()) {
      Deadline slice(deadline, wish);
      Result<void> room = co_await flight->room(slice);
      if (room) break;
      if (deadline.over()) co_return Followed::broken;
      heard = Clock::now();  // it was not looked for
      want();
    }
    if (again) continue;
    Deadline pause(deadline, !good       ? Clock::now() + kPause
                             : tracking_ ? wish
                                         : Clock::now() + kPoll);
    Result<void> woken = co_await signal.wait(pause);
    static_cast<void>(woken);
  }
}

}  // namespace penstock::cache
