#include "store/spool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "base/uuid.h"

namespace penstock::store {
namespace {

constexpr std::string_view kEnding = ".spool";
constexpr unsigned kMostProcesses = 64;
constexpr std::size_t kRefusedBytes = 256 * 1024;
constexpr unsigned kMostRefusedFiles = 16;  // of a run; what comes after is counted only

Error cannot(const std::string& what, int error) {
  return {Kind::internal, Source::store, false, what + ": " + std::strerror(error)};
}

// Whom a lock file names as its holder.
std::string holder_of(int lock) {
  char text[32] = {};
  const ssize_t size = pread(lock, text, sizeof text - 1, 0);
  const std::string_view pid(text, size > 0 ? static_cast<std::size_t>(size) : 0);
  const bool number = !pid.empty() && pid.find_first_not_of("0123456789\n") == std::string::npos;
  return number ? "process " + std::string(pid.substr(0, pid.find('\n'))) : "another process";
}

}  // namespace

SpoolFolder::SpoolFolder(SpoolOptions options) : options_(std::move(options)) {
  Random random;
  run_ = random.next();
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  // By name they are in the order of their runs.
  prefix_ = fmt::format("{:012x}-{:04x}", now.count(), run_ & 0xffff);
}

SpoolFolder::~SpoolFolder() {
  if (directory_ >= 0) ::close(directory_);
  for (const int lock : locks_) ::close(lock);
}

Result<void> SpoolFolder::open() {
  const std::string& folder = options_.folder;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return cannot("the spool folder " + folder + " cannot be made", error.value());
  chmod(folder.c_str(), 0700);  // rows may hold what was asked; a folder of others stays as it is
  int holder = -1;
  for (unsigned place = 1; place <= kMostProcesses; ++place) {
    const std::string path = place == 1 ? folder : fmt::format("{}/{}", folder, place);
    // Behind one's own place only those are of interest that others have left something in.
    if (!places_.empty() && !std::filesystem::exists(path, error)) continue;
    Result<bool> taken = take_place(path, holder);
    if (!taken) return std::move(taken).error();
  }
  if (places_.empty()) {
    const std::string who = holder >= 0 ? holder_of(holder) : "other processes";
    if (holder >= 0) ::close(holder);
    return Error{Kind::refused, Source::store, false,
                 "all places in the spool folder " + folder + " are in use, one by " + who};
  }
  if (holder >= 0) ::close(holder);
  directory_ = ::open(places_.front().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory_ < 0) return cannot(places_.front() + " cannot be opened", errno);
  return {};
}

// False: another process has it.
Result<bool> SpoolFolder::take_place(const std::string& path, int& holder) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return cannot("the spool folder " + path + " cannot be made", error.value());
  const std::string name = path + "/lock";
  const int lock = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return cannot(name + " cannot be opened", errno);
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    if (holder >= 0) ::close(holder);
    holder = lock;
    if (reason != EWOULDBLOCK) return cannot(name + " cannot be locked", reason);
    return false;
  }
  // Who holds it, for whoever looks; on a full disk it stays empty.
  const std::string pid = std::to_string(getpid()) + "\n";
  if (ftruncate(lock, 0) == 0 && pwrite(lock, pid.data(), pid.size(), 0) < 0) {
    static_cast<void>(ftruncate(lock, 0));
  }
  locks_.push_back(lock);
  places_.push_back(path);
  return true;
}

std::vector<std::string> SpoolFolder::left() const {
  std::vector<std::string> out;
  std::error_code error;
  for (const std::string& place : places_) {
    for (std::filesystem::directory_iterator at(place, error), end; !error && at != end;
         at.increment(error)) {
      const std::string name = at->path().filename().string();
      if (name.ends_with(kEnding) && !name.starts_with(prefix_)) out.push_back(at->path().string());
    }
  }
  // By name they are in the order of their runs, whatever place they lie in.
  std::sort(out.begin(), out.end(), [](const std::string& a, const std::string& b) {
    return a.substr(a.rfind('/')) < b.substr(b.rfind('/'));
  });
  return out;
}

std::string SpoolFolder::name_for(std::uint64_t number, std::string_view ending) const {
  return fmt::format("{}/{}-{:06x}{}", places_.front(), prefix_, number, ending);
}

std::unique_ptr<Segment> SpoolFolder::make_file(std::size_t bytes) {
  if (bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes > options_.bytes) {
    bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    return nullptr;
  }
  const std::uint64_t number = next_number();
  auto made = Segment::create(name_for(number, kEnding), bytes, run_, number);
  const std::lock_guard lock(mutex_);
  if (!made) {
    bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    trouble_ = made.error().detail;
    return nullptr;
  }
  changed_.store(true, std::memory_order_relaxed);
  trouble_.clear();
  return *std::move(made);
}

std::unique_ptr<Segment> SpoolFolder::make(std::size_t bytes) {
  if (auto file = make_file(bytes)) return file;
  if (trouble().empty()) return nullptr;  // the bound, and not the disk
  if (memory_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= options_.memory) {
    if (auto memory = Segment::in_memory(bytes, run_, next_number())) return memory;
  }
  memory_.fetch_sub(bytes, std::memory_order_relaxed);
  return nullptr;
}

void SpoolFolder::discard(std::unique_ptr<Segment> segment) {
  auto& counted = segment->durable() ? bytes_ : memory_;
  segment->remove();
  counted.fetch_sub(segment->asked(), std::memory_order_relaxed);
  changed_.store(true, std::memory_order_relaxed);
}

std::string SpoolFolder::set_aside(const std::string& path) {
  std::string to = path + ".damaged";
  if (std::rename(path.c_str(), to.c_str()) != 0) return path;
  changed_.store(true, std::memory_order_relaxed);
  return to;
}

bool SpoolFolder::keep_refused(const Record& record) {
  const std::lock_guard lock(mutex_);
  const std::size_t lines = record.lines.size() / kLine;
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (refused_) {
      if (char* to = refused_->begin(record.kind, record.payload.size(),
                                     static_cast<std::uint16_t>(lines))) {
        record.payload.copy(to, record.payload.size());
        if (lines > 0) record.lines.copy(refused_->lines(), record.lines.size());
        refused_->commit();
        return refused_->sync().ok();
      }
    }
    if (refused_files_ == kMostRefusedFiles) return false;
    const std::uint64_t number = next_number();
    const std::size_t needed =
        kSegmentHead + kRecordHead + record.payload.size() + record.lines.size() + kLine;
    auto made = Segment::create(name_for(number, ".refused"), std::max(needed, kRefusedBytes), run_,
                                number);
    if (!made) return false;
    refused_ = *std::move(made);
    ++refused_files_;
  }
  return false;
}

void SpoolFolder::sync() {
  if (directory_ >= 0 && changed_.exchange(false, std::memory_order_relaxed)) fsync(directory_);
}

std::string SpoolFolder::trouble() const {
  const std::lock_guard lock(mutex_);
  return trouble_;
}

char* Spool::begin(std::uint16_t kind, std::size_t payload, std::uint16_t lines) {
  if (!links_.empty()) {
    if (char* to = links_.back().segment->begin(kind, payload, lines)) return to;
  }
  if (!grow(payload, lines)) return nullptr;
  return links_.back().segment->begin(kind, payload, lines);
}

bool Spool::grow(std::size_t payload, std::uint16_t lines) {
  const std::size_t needed = kSegmentHead + kRecordHead + payload + kLine + lines * kLine;
  if (needed > kMostSegment) return false;
  std::unique_ptr<Segment> next;
  if (spare_ && needed <= spare_->size()) {
    next = std::move(spare_);
  } else {
    next = folder_.make(std::max(needed, segment_bytes_));
  }
  if (!next) return false;
  links_.push_back({std::move(next), ++made_});
  return true;
}

void Spool::commit() {
  links_.back().segment->commit();
  touched_ = true;
}

void Spool::hold() {
  if (!held_) held_ = Place{links_.back().number, links_.back().segment->begun()};
}

Spool::Part Spool::part() {
  for (;;) {
    std::unique_lock lock(mutex_);
    if (links_.empty()) return {};
    Link& first = links_.front();
    std::size_t to = first.segment->tail();
    const bool held = held_ && held_->number == first.number;
    if (held) to = std::min(to, held_->at);
    if (read_ < to) return {first.segment.get(), read_, to};
    if (held || links_.size() == 1) return {};
    Link done = std::move(first);
    links_.pop_front();
    read_ = kSegmentHead;
    lock.unlock();
    dispose(std::move(done));
  }
}

// Of a segment that all is read of. To remove a file takes its time: not under the mutex.
void Spool::dispose(Link link) {
  std::unique_ptr<Segment>& segment = link.segment;
  if (link.damaged && segment->durable()) {
    kept_.push_back(folder_.set_aside(segment->path()));
    return;  // its bytes stay counted: so many files can be kept and no more
  }
  if (segment->durable() && segment->asked() == segment_bytes_) {
    segment->reuse(folder_.next_number());
    segment->warm();
    const std::lock_guard lock(mutex_);
    if (!spare_) {
      spare_ = std::move(segment);
      return;
    }
  }
  folder_.discard(std::move(segment));
}

void Spool::advance(std::size_t to) {
  const std::lock_guard lock(mutex_);
  read_ = to;
  links_.front().segment->set_done(to);
}

void Spool::mark_damaged() {
  const std::lock_guard lock(mutex_);
  links_.front().damaged = true;
}

void Spool::prepare() {
  {
    const std::lock_guard lock(mutex_);
    // Before the first record both are made: what it takes is known from the start on.
    if (spare_ && links_.empty() && made_ == 0) links_.push_back({std::move(spare_), ++made_});
    if (spare_) return;
  }
  std::unique_ptr<Segment> made = folder_.make_file(segment_bytes_);
  if (!made) return;
  made->warm();
  const std::lock_guard lock(mutex_);
  if (!spare_)
    spare_ = std::move(made);
  else
    folder_.discard(std::move(made));
}

Result<void> Spool::sync() {
  std::vector<Link*> changed;
  {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(touched_, false)) return {};
    for (Link& link : links_) {
      if (!link.settled) changed.push_back(&link);
    }
  }
  // Outside of the mutex: a deque's elements stay where they are, and nobody else removes one.
  Result<void> result;
  for (Link* link : changed) {
    Result<void> synced = link->segment->sync();
    if (!synced && result) result = std::move(synced);
  }
  const std::lock_guard lock(mutex_);
  touched_ = touched_ || !result;  // it is tried again
  // The last may be written on, and what is held may change. A change since is seen next time.
  for (Link* link : changed) {
    link->settled = result.ok() && link != &links_.back() && link != changed.back() &&
                    (!held_ || link->number < held_->number);
  }
  return result;
}

void Spool::finish() {
  const bool all = part().segment == nullptr;
  std::unique_lock lock(mutex_);
  if (all && links_.size() == 1 && !held_) {
    Link last = std::move(links_.front());
    links_.clear();
    lock.unlock();
    dispose(std::move(last));
    lock.lock();
  }
  if (spare_) folder_.discard(std::move(spare_));
}

std::vector<std::string> Spool::take_kept() { return std::exchange(kept_, {}); }

}  // namespace penstock::store
