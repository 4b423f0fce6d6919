#include "cache/live.h"

#include <algorithm>
#include <array>

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
constexpr Duration kSilence = 3s;   // of a leader that has no lease any more
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

// KEYS: the answer. ARGV: more of it, milliseconds, its start. 0: it is not there any more, or not
// ours.
const redis::Script& append_script() {
  static const redis::Script kScript(R"(
if redis.call('GETRANGE', KEYS[1], 0, #ARGV[3] - 1) ~= ARGV[3] then return 0 end
if ARGV[1] ~= '' then redis.call('APPEND', KEYS[1], ARGV[1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
)");
  return kScript;
}

std::string ms(Duration duration) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

// False: it cannot be told any more.
Task<bool> write_live(LiveTelling& telling, const std::string& name, const std::string& frames,
                      const std::string& start, bool first, Deadline& deadline) {
  const std::string lives = ms(kLives);
  Deadline patience(deadline, Clock::now() + kPatience);
  if (first) {
    const std::array<std::string_view, 5> words = {"SET", name, frames, "PX", lives};
    Result<redis::Value> set = co_await telling.client->call(words, patience);
    co_return set && !set->is_error();
  }
  const std::array<std::string_view, 1> keys = {name};
  const std::array<std::string_view, 3> words = {frames, lives, start};
  Result<redis::Value> appended =
      co_await telling.client->eval(append_script(), keys, words, patience);
  co_return appended && appended->integer == 1;
}

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
  bytes_.erase(0, read_);
  read_ = 0;
  if (broken_ || bytes_.size() < kFrameHead) return std::nullopt;
  const std::string_view bytes = bytes_;
  const std::uint64_t size = number_at(bytes.substr(1, 4));
  if (size > kMostFrame || std::string_view("hdex").find(bytes[0]) == bytes.npos) {
    broken_ = true;
    return std::nullopt;
  }
  if (bytes.size() - kFrameHead < size) return std::nullopt;
  read_ = kFrameHead + static_cast<std::size_t>(size);
  return Frame{bytes[0], bytes.substr(kFrameHead, static_cast<std::size_t>(size))};
}

Task<void> tell_live(Loop& loop, LiveTelling telling) {
  Deadline deadline(loop, telling.until);
  Result<Flight::Head> head = co_await telling.reader->head(deadline);
  // What only failed is not everybody's answer; and what another node tells, it tells to all.
  if (!head || head->elsewhere || head->status == 429 || head->status >= 500) co_return;
  const std::string name = live_name(telling.key);
  std::string frames = live_head(telling.id, telling.scope, *head);
  const std::string start = frames.substr(0, kLiveStart);
  bool first = true;
  std::uint64_t told = 0;
  Time due = Clock::now();
  for (;;) {
    const bool ended = take_pieces(*telling.reader, frames);
    told += frames.size();
    const bool wanted = *telling.wanted && told <= kMostLive;
    if (!wanted && !ended) {
      const std::array<std::string_view, 2> words = {"DEL", name};
      telling.client->tell(words);
      co_return;
    }
    if (!frames.empty() || Clock::now() >= due) {
      const bool good = co_await write_live(telling, name, frames, start, first, deadline);
      if (!good || ended) co_return;
      first = false;
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
  Following(std::string_view scope, Flight& flight) : scope_(scope), flight_(flight) {}

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
      if (head) {
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

Task<Leases::Followed> Leases::follow(Key key, std::string scope, FlightPtr flight,
                                      Deadline& deadline) {
  const std::string lease = lease_name(key), live = live_name(key), wanted = wanted_name(key);
  const std::string want_ms = ms(kWanted), start_end = std::to_string(kLiveStart - 1);
  Signal signal(loop_);
  const Watch lease_watch(*this, lease, signal);
  const Watch live_watch(*this, live, signal);
  Following following(scope, *flight);
  Time heard = Clock::now();
  Time want = heard;
  for (;;) {
    const std::string at = std::to_string(following.at());
    const std::array<std::string_view, 4> start_words = {"GETRANGE", live, "0", start_end};
    const std::array<std::string_view, 4> more_words = {"GETRANGE", live, at, "-1"};
    const std::array<std::string_view, 2> lease_words = {"GET", lease};
    const std::array<std::string_view, 5> want_words = {"SET", wanted, "1", "PX", want_ms};
    // What is read last tells whose the rest was.
    const std::array<redis::Words, 4> commands = {more_words, start_words, lease_words, want_words};
    const bool wants = Clock::now() >= want;
    bool again = false, led = true;
    {
      Deadline patience(deadline, Clock::now() + kPatience);
      Result<redis::Read> read =
          co_await client_->read(std::span(commands).first(wants ? 4U : 3U), live, patience);
      const bool good = read && read->values[0].is_text() && read->values[1].is_text();
      if (good) {
        if (wants) want = Clock::now() + kLook;
        if (!read->values[0].text.empty()) heard = Clock::now();
        const std::string_view start = read->values[1].text, id = read->values[2].text;
        led = read->values[2].is_text();
        if (following.begun() || (led && id_of(start) == id)) {
          following.take(start, read->values[0].text);
        }
        again = read->changed;
      } else if (!following.begun()) {
        co_return Followed::nothing;  // the next look at the lease finds out
      }
    }
    if (following.ended()) co_return Followed::whole;
    if (following.failed()) co_return Followed::broken;
    if (!following.begun() && (!led || deadline.over())) co_return Followed::nothing;
    if (deadline.over()) co_return Followed::broken;
    if (Clock::now() - heard > kSilence && (!led || !client_->available())) {
      co_return following.begun() ? Followed::broken : Followed::nothing;
    }
    if (following.begun()) {
      Result<void> room = co_await flight->room(deadline);
      if (!room) co_return Followed::broken;
    }
    if (again) continue;
    Deadline pause(deadline, tracking_ ? want : Clock::now() + kPoll);
    Result<void> woken = co_await signal.wait(pause);
    static_cast<void>(woken);
  }
}

}  // namespace penstock::cache
