#include "profile/heap.h"

#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <new>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PENSTOCK_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define PENSTOCK_SANITIZED
#endif
#endif

#if defined(PENSTOCK_SANITIZED) || !defined(__GLIBC__)

namespace penstock::profile {

void sample_heap(std::size_t) {}

Result<Profile> heap_profile() {
  return Error{Kind::not_found, Source::gateway, false, "this build's memory is a sanitizer's"};
}

}  // namespace penstock::profile

#else

// glibc's own, under the names that it keeps for whoever comes before it.
void* libc_malloc(std::size_t) __asm__("__libc_malloc");
void* libc_calloc(std::size_t, std::size_t) __asm__("__libc_calloc");
void* libc_realloc(void*, std::size_t) __asm__("__libc_realloc");
void libc_free(void*) __asm__("__libc_free");

namespace penstock::profile {
namespace {

// What is sampled is known by the size that glibc keeps before each block (malloc/malloc.c): its
// chunk is large, or as many bytes above a multiple of 4 KiB as others seldom are. (A block at the
// beginning of a page would be known by its address, and would leave holes in glibc's heap that
// large blocks do not fit.)
constexpr std::size_t kLarge = 128 * 1024;
constexpr std::size_t kRound = 4096, kMark = 0x3f0, kStep = 0x10;
constexpr std::size_t kHead = sizeof(std::size_t), kFlags = 7;  // of a chunk, and of its size

// What to ask glibc for so that the block is known.
constexpr std::size_t marked(std::size_t bytes) {
  return (bytes + kHead + kRound - 1 - kMark) / kRound * kRound + kMark - kHead;
}
static_assert(marked(1) == kMark - kHead && marked(kMark - kHead) == kMark - kHead);
static_assert(marked(kMark - kHead + 1) == kRound + kMark - kHead);

constexpr std::size_t kFrames = 40;       // of a stack
constexpr std::uint32_t kStacks = 16384;  // different ones
constexpr std::uint32_t kBlocks = 65536;  // in use and sampled: 32 GiB at half a mebibyte each
constexpr std::uint32_t kBuckets = 65536;
constexpr std::uint32_t kNone = 0;  // numbers begin with 1
constexpr std::int64_t kNever = std::int64_t{1} << 62;

// Bytes that the thread may still ask for before one is looked at. Here and not on a Loop or a
// Shard: an allocator is called by every thread, those of libraries too, and has nothing else at
// hand.
constinit thread_local std::int64_t left __attribute__((tls_model("initial-exec"))) = 0;
constinit thread_local bool known_thread __attribute__((tls_model("initial-exec"))) = false;

struct StackSum {
  std::uint64_t hash = 0;
  std::uint32_t next = kNone;  // in its bucket
  std::uint32_t depth = 0;
  std::array<Address, kFrames> frames{};
  // Scaled up to all that were not sampled.
  double allocated = 0, allocated_bytes = 0, in_use = 0, in_use_bytes = 0;
};

struct Block {
  void* at = nullptr;
  std::size_t bytes = 0;
  std::uint32_t stack = kNone;
  std::uint32_t next = kNone;  // in its bucket, or among the free ones
};

// Held for well under a microsecond; nothing may allocate meanwhile. A lock that sleeps, since
// threads are interrupted; pthread's own allocates nothing.
class Lock {
 public:
  explicit Lock(pthread_mutex_t& mutex) : mutex_(mutex) { ::pthread_mutex_lock(&mutex_); }
  ~Lock() { ::pthread_mutex_unlock(&mutex_); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  pthread_mutex_t& mutex_;
};

// Lies in pages that take no memory before they are written.
struct Table {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  std::size_t period = 0;
  WallTime begin;
  Time started;
  std::atomic<std::uint64_t> random{0};
  std::uint32_t stacks_used = 0;
  std::uint32_t blocks_used = 0;
  std::uint32_t free_block = kNone;
  std::uint64_t lost = 0;
  std::array<std::uint32_t, kBuckets> stack_buckets;
  std::array<std::atomic<std::uint32_t>, kBuckets> block_buckets;
  std::array<StackSum, kStacks + 1> stacks;
  std::array<Block, kBlocks + 1> blocks;

  std::uint32_t stack_of(std::span<const Address> frames);
  void add(void* at, std::size_t bytes, std::span<const Address> frames);
  bool remove(void* at);  // whether it was there
  double weight_of(std::size_t bytes) const;
};

std::atomic<Table*> table{nullptr};

std::uint32_t bucket_of(const void* at) {
  return static_cast<std::uint32_t>((reinterpret_cast<Address>(at) / kStep * 0x9e3779b97f4a7c15) >>
                                    48);
}
static_assert(kBuckets == 1 << 16);

// How many allocations of this size one that was sampled stands for: the chance that one is met by
// a Poisson process of bytes is 1 - exp(-bytes / period).
double Table::weight_of(std::size_t bytes) const {
  const double share =
      static_cast<double>(std::max<std::size_t>(bytes, 1)) / static_cast<double>(period);
  return 1 / -std::expm1(-share);
}

std::uint32_t Table::stack_of(std::span<const Address> frames) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a, a word at a time
  for (const Address frame : frames) hash = (hash ^ frame) * 0x100000001b3;
  hash ^= hash >> 32;
  std::uint32_t& bucket = stack_buckets[hash % kBuckets];
  for (std::uint32_t at = bucket; at != kNone; at = stacks[at].next) {
    const StackSum& known = stacks[at];
    if (known.hash == hash && known.depth == frames.size() &&
        std::equal(frames.begin(), frames.end(), known.frames.begin())) {
      return at;
    }
  }
  if (stacks_used == kStacks) return kNone;
  StackSum& made = stacks[++stacks_used];
  made.hash = hash;
  made.depth = static_cast<std::uint32_t>(frames.size());
  std::copy(frames.begin(), frames.end(), made.frames.begin());
  made.next = bucket;
  return bucket = stacks_used;
}

void Table::add(void* at, std::size_t bytes, std::span<const Address> frames) {
  const Lock lock(mutex);
  const std::uint32_t stack = stack_of(frames);
  std::uint32_t number = free_block;
  if (number != kNone) {
    free_block = blocks[number].next;
  } else if (blocks_used < kBlocks) {
    number = ++blocks_used;
  }
  if (stack == kNone || number == kNone) {
    if (number != kNone) {
      blocks[number].next = free_block;
      free_block = number;
    }
    ++lost;
    return;
  }
  const double weight = weight_of(bytes);
  StackSum& sum = stacks[stack];
  sum.allocated += weight;
  sum.in_use += weight;
  sum.allocated_bytes += weight * static_cast<double>(bytes);
  sum.in_use_bytes += weight * static_cast<double>(bytes);
  auto& bucket = block_buckets[bucket_of(at)];
  blocks[number] = {at, bytes, stack, bucket.load(std::memory_order_relaxed)};
  bucket.store(number, std::memory_order_release);
}

bool Table::remove(void* at) {
  auto& bucket = block_buckets[bucket_of(at)];
  // Whoever frees it has it from whoever got it: had it been sampled, this would not be empty.
  if (bucket.load(std::memory_order_acquire) == kNone) return false;
  const Lock lock(mutex);
  std::uint32_t before = kNone;
  for (std::uint32_t number = bucket.load(std::memory_order_relaxed); number != kNone;
       before = number, number = blocks[number].next) {
    Block& block = blocks[number];
    if (block.at != at) continue;
    if (before == kNone) {
      bucket.store(block.next, std::memory_order_release);
    } else {
      blocks[before].next = block.next;
    }
    const double weight = weight_of(block.bytes);
    StackSum& sum = stacks[block.stack];
    sum.in_use -= weight;
    sum.in_use_bytes -= weight * static_cast<double>(block.bytes);
    block.next = free_block;
    free_block = number;
    return true;
  }
  return false;
}

// Bytes until the next one, exponentially distributed: no rhythm of the program's can hide from it.
std::int64_t next_distance(Table& of) {
  // splitmix64
  std::uint64_t bits = of.random.fetch_add(0x9e3779b97f4a7c15, std::memory_order_relaxed);
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
  bits ^= bits >> 31;
  const double uniform = (static_cast<double>(bits >> 11) + 1) * 0x1p-53;  // above 0, up to 1
  return 1 + static_cast<std::int64_t>(-std::log(uniform) * static_cast<double>(of.period));
}

// Counts the thread's bytes down; whether there are some left.
inline bool count_down(std::size_t bytes) {
  left = static_cast<std::int64_t>(static_cast<std::uint64_t>(left) - bytes);
  return left >= 0;
}

// The thread's bytes are used up. The table that this block is to stand in; null: nothing is
// sampled, or the thread is new.
Table* due(std::size_t bytes) {
  Table* const known = table.load(std::memory_order_acquire);
  if (known == nullptr) {
    left = kNever;
    return nullptr;
  }
  left = next_distance(*known);
  if (known_thread) return known;
  known_thread = true;
  if (count_down(bytes)) return nullptr;
  left = next_distance(*known);
  return known;
}

// Called by a function that one of malloc(3) calls: those three are not what asked. (This file is
// compiled without tail calls.)
__attribute__((noinline)) void write_down(Table& to, void* at, std::size_t bytes) {
  constexpr std::size_t kOurs = 3;
  std::array<Address, kFrames> frames;
  const std::size_t depth = walk(place_here(), frames);
  to.add(at, bytes, std::span(frames).first(depth).subspan(std::min(depth, kOurs)));
}

// A little more than was asked for may come, where the rest would be too small for a chunk.
inline bool may_be_sampled(const void* at) {
  if (at == nullptr) return false;
  const std::size_t chunk = static_cast<const std::size_t*>(at)[-1] & ~kFlags;
  const std::size_t above = chunk % kRound;
  return above == kMark || above == kMark + kStep || chunk >= kLarge;
}

__attribute__((noinline)) void* sampled(std::size_t bytes, bool zeros) {
  Table* const to = due(bytes);
  const std::size_t asked = to != nullptr && bytes < kLarge ? marked(bytes) : bytes;
  void* const at = zeros ? libc_calloc(1, asked) : libc_malloc(asked);
  if (to != nullptr && may_be_sampled(at)) write_down(*to, at, bytes);
  return at;
}

__attribute__((noinline)) bool forget(void* at) {
  Table* const known = table.load(std::memory_order_acquire);
  return known != nullptr && known->remove(at);
}

// A block that is in the table, or is due for it, gets another size.
__attribute__((noinline)) void* resized(void* at, std::size_t bytes, bool is_due) {
  Table* const to = is_due ? due(bytes) : table.load(std::memory_order_acquire);
  const std::size_t asked = to != nullptr && bytes < kLarge ? marked(bytes) : bytes;
  void* const other = libc_realloc(at, asked);
  if (to != nullptr && other != nullptr && may_be_sampled(other)) write_down(*to, other, bytes);
  return other;
}

}  // namespace

void sample_heap(std::size_t period) {
  if (table.load() != nullptr) return;
  void* const pages = ::mmap(nullptr, sizeof(Table), PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages == MAP_FAILED) return;  // heap_profile() says so
  // Zero is what nearly all of it begins with, and the kernel has written that.
  Table* const made = static_cast<Table*>(pages);
  made->mutex = PTHREAD_MUTEX_INITIALIZER;
  made->period = period;
  made->begin = std::chrono::system_clock::now();
  made->started = Clock::now();
  made->random = static_cast<std::uint64_t>(made->started.time_since_epoch().count());
  table.store(made, std::memory_order_release);
  known_thread = true;
  left = next_distance(*made);
}

Result<Profile> heap_profile() {
  Table* const known = table.load(std::memory_order_acquire);
  if (known == nullptr) {
    return Error{Kind::not_found, Source::gateway, false, "no allocation is sampled"};
  }
  Profile profile;
  profile.measures = {{"alloc_objects", "count"},
                      {"alloc_space", "bytes"},
                      {"inuse_objects", "count"},
                      {"inuse_space", "bytes"}};
  profile.shown = 3;
  profile.period_type = {"space", "bytes"};
  profile.period = static_cast<std::int64_t>(known->period);
  profile.begin = known->begin;
  profile.took = Clock::now() - known->started;
  std::uint32_t stacks = 0;
  {
    const Lock lock(known->mutex);
    stacks = known->stacks_used;
    profile.lost = known->lost;
  }
  for (std::uint32_t number = 1; number <= stacks; ++number) {
    StackSum sum;
    {
      // Of each alone: what is read here allocates, and may be sampled.
      const Lock lock(known->mutex);
      sum = known->stacks[number];
    }
    const auto whole = [](double value) { return std::max<std::int64_t>(std::llround(value), 0); };
    profile.samples.push_back({{sum.frames.begin(), sum.frames.begin() + sum.depth},
                               {whole(sum.allocated), whole(sum.allocated_bytes), whole(sum.in_use),
                                whole(sum.in_use_bytes)}});
  }
  return profile;
}

}  // namespace penstock::profile

// ---- malloc(3) --------------------------------------------------------------------------------

using namespace penstock::profile;

extern "C" {

void* malloc(std::size_t bytes) noexcept {
  if (count_down(bytes)) [[likely]]
    return libc_malloc(bytes);
  return sampled(bytes, false);
}

void free(void* at) noexcept {
  if (may_be_sampled(at)) [[unlikely]]
    forget(at);
  libc_free(at);
}

void* calloc(std::size_t count, std::size_t each) noexcept {
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(count, each, &bytes)) {
    errno = ENOMEM;
    return nullptr;
  }
  if (count_down(bytes)) [[likely]]
    return libc_calloc(count, each);
  return sampled(bytes, true);
}

void* realloc(void* at, std::size_t bytes) noexcept {
  if (at == nullptr) return malloc(bytes);
  const bool is_due = !count_down(bytes);
  const bool known = may_be_sampled(at) && forget(at);
  if ((!is_due && !known) || bytes == 0) [[likely]]
    return libc_realloc(at, bytes);
  return resized(at, bytes, is_due);
}

}  // extern "C"

// The library's would lose who asked: it has no frame.
void* operator new(std::size_t bytes) {
  for (;;) {
    if (void* const at = malloc(bytes == 0 ? 1 : bytes)) return at;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}

void* operator new[](std::size_t bytes) { return operator new(bytes); }

#endif
