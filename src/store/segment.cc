#include "store/segment.h"

#define XXH_INLINE_ALL
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <bit>
#include <cerrno>
#include <cstring>

namespace penstock::store {
namespace {

static_assert(std::endian::native == std::endian::little, "the files are written as memory is");
static_assert(std::atomic<std::uint64_t>::is_always_lock_free &&
              sizeof(std::atomic<std::uint64_t>) == 8);

constexpr std::uint64_t kMagic = 0x6765536b74736e50;  // "PnstkSeg"
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kPage = 4096;

struct Head {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t head_bytes;
  std::uint64_t bytes;
  std::uint64_t run;
  std::uint64_t number;
  std::uint64_t check;  // of what stands before it
};
static_assert(sizeof(Head) == 48);

struct RecordHead {
  std::uint32_t length;
  std::uint16_t kind;
  std::uint16_t lines;
  std::uint64_t check;
};
static_assert(sizeof(RecordHead) == kRecordHead);

std::size_t up(std::size_t number, std::size_t to) { return (number + to - 1) / to * to; }

// Kind and lines are in it: a head that was torn does not fit its payload.
std::uint64_t check_of(std::string_view payload, std::uint16_t kind, std::uint16_t lines) {
  const std::uint64_t rest = (std::uint64_t{kind} << 16 | lines) * 0x9e3779b97f4a7c15;
  return XXH3_64bits(payload.data(), payload.size()) ^ rest;
}

std::size_t lines_at(std::size_t at, std::size_t payload) {
  return up(at + kRecordHead + payload, kLine);
}

std::size_t end_of(std::size_t at, std::size_t payload, std::uint16_t lines) {
  return lines == 0 ? up(at + kRecordHead + payload, 8) : lines_at(at, payload) + lines * kLine;
}

std::uint64_t number_at(std::string_view bytes, std::size_t at) {
  std::uint64_t number = 0;
  std::memcpy(&number, bytes.data() + at, sizeof number);
  return number;
}

Error failed(const std::string& path, const char* what, int error) {
  Error out;
  out.kind = error == ENOSPC || error == EDQUOT || error == ENOMEM || error == EMFILE
                 ? Kind::exhausted
                 : Kind::internal;
  out.source = Source::store;
  out.detail = path + " " + what + ": " + std::strerror(error);
  return out;
}

}  // namespace

Found read_record(std::string_view bytes, std::size_t tail, std::size_t& at, Record& record) {
  tail = std::min(tail, bytes.size());
  if (at >= tail) return Found::end;
  if (tail - at < kRecordHead) return Found::lost;
  RecordHead head{};
  std::memcpy(&head, bytes.data() + at, sizeof head);
  if (head.length > tail - at - kRecordHead) return Found::lost;
  const std::size_t end = end_of(at, head.length, head.lines);
  if (end > tail) return Found::lost;
  record.kind = head.kind;
  record.payload = bytes.substr(at + kRecordHead, head.length);
  record.lines = head.lines == 0 ? std::string_view()
                                 : bytes.substr(lines_at(at, head.length), head.lines * kLine);
  const bool good = head.check == check_of(record.payload, head.kind, head.lines);
  at = end;
  return good ? Found::record : Found::damaged;
}

SegmentHead read_head(std::string_view bytes) {
  SegmentHead out;
  if (bytes.size() < kSegmentHead) {
    // A file that was made and never had its blocks.
    out.what = bytes.empty() ? SegmentHead::What::empty : SegmentHead::What::damaged;
    return out;
  }
  Head head{};
  std::memcpy(&head, bytes.data(), sizeof head);
  const std::uint64_t tail = number_at(bytes, 64);
  const std::uint64_t done = number_at(bytes, 128);
  if (bytes.substr(0, kSegmentHead).find_first_not_of('\0') == std::string_view::npos) {
    out.what = SegmentHead::What::empty;
    return out;
  }
  if (head.magic != kMagic) return out;
  out.version = head.version;
  if (head.version != kVersion) {
    out.what = SegmentHead::What::version;
    return out;
  }
  if (head.check != XXH3_64bits(&head, offsetof(Head, check)) || head.head_bytes != kSegmentHead) {
    return out;
  }
  if (tail < kSegmentHead || tail > bytes.size() || tail % 8 != 0) return out;
  out.what = SegmentHead::What::good;
  out.tail = tail;
  // A place that makes no sense costs reading what is known already, which changes nothing.
  out.done = done >= kSegmentHead && done <= tail ? done : kSegmentHead;
  return out;
}

Result<std::unique_ptr<Segment>> Segment::create(std::string path, std::size_t asked,
                                                 std::uint64_t run, std::uint64_t number) {
  const std::size_t bytes = up(asked, kPage);
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return failed(path, "cannot be made", errno);
  // All blocks now: a disk that is full is an error here, and no SIGBUS when a page is written.
  if (const int error = posix_fallocate(file, 0, static_cast<off_t>(bytes)); error != 0) {
    unlink(path.c_str());
    close(file);
    return failed(path, "cannot have its blocks", error);
  }
  void* const data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (data == MAP_FAILED) {
    const int error = errno;
    unlink(path.c_str());
    close(file);
    return failed(path, "cannot be mapped", error);
  }
  std::unique_ptr<Segment> segment(
      new Segment(std::move(path), file, static_cast<char*>(data), bytes, asked, run));
  segment->write_head(number);
  return segment;
}

std::unique_ptr<Segment> Segment::in_memory(std::size_t asked, std::uint64_t run,
                                            std::uint64_t number) {
  const std::size_t bytes = up(asked, kPage);
  void* const data =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return nullptr;
  std::unique_ptr<Segment> segment(
      new Segment({}, -1, static_cast<char*>(data), bytes, asked, run));
  segment->write_head(number);
  return segment;
}

Segment::~Segment() {
  munmap(data_, size_);
  if (file_ >= 0) close(file_);
}

void Segment::write_head(std::uint64_t number) {
  Head head{};
  head.magic = kMagic;
  head.version = kVersion;
  head.head_bytes = kSegmentHead;
  head.bytes = size_;
  head.run = run_;
  head.number = number;
  head.check = XXH3_64bits(&head, offsetof(Head, check));
  // In this order: whenever it ends, it is empty or a head with nothing behind it.
  cell(kTailAt)->store(kSegmentHead, std::memory_order_release);
  set_done(kSegmentHead);
  std::memcpy(data_, &head, sizeof head);
  next_ = kSegmentHead;
}

char* Segment::begin(std::uint16_t kind, std::size_t payload, std::uint16_t lines) {
  begun_ = cell(kTailAt)->load(std::memory_order_relaxed);
  if (payload > size_ || end_of(begun_, payload, lines) > size_) return nullptr;
  next_ = end_of(begun_, payload, lines);
  const RecordHead head{static_cast<std::uint32_t>(payload), kind, lines, 0};
  std::memcpy(data_ + begun_, &head, sizeof head);
  if (lines != 0) {
    lines_at_ = lines_at(begun_, payload);
    std::memset(data_ + lines_at_, 0, lines * kLine);
  }
  return data_ + begun_ + kRecordHead;
}

void Segment::commit() {
  RecordHead head{};
  std::memcpy(&head, data_ + begun_, sizeof head);
  const std::string_view payload(data_ + begun_ + kRecordHead, head.length);
  head.check = check_of(payload, head.kind, head.lines);
  std::memcpy(data_ + begun_, &head, sizeof head);
  cell(kTailAt)->store(next_, std::memory_order_release);
}

Result<void> Segment::sync() const {
  // Only what is used: the pages behind it stay ready to be written (warm).
  if (file_ >= 0 && msync(data_, up(tail(), kPage), MS_SYNC) != 0) {
    return failed(path_, "cannot be synced", errno);
  }
  return {};
}

void Segment::warm() const {
  // As good as it gets: a kernel before 5.14 does not know it, and pages then come one by one.
  static_cast<void>(madvise(data_, size_, MADV_POPULATE_WRITE));
}

void Segment::reuse(std::uint64_t number) { write_head(number); }

void Segment::remove() const {
  if (file_ >= 0) unlink(path_.c_str());
}

}  // namespace penstock::store
