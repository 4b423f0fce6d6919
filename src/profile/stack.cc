#include "profile/stack.h"

#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cerrno>

// Of the linker: where the program's own code lies.
extern "C" const char __executable_start;
extern "C" const char etext;

namespace penstock::profile {
namespace {

constexpr Address kWord = sizeof(Address);
constexpr Address kPage = 4096;
constexpr Address kLargestFrame = 1024 * 1024;
constexpr int kSearched = 512;  // words of a library's frames
constexpr int kSaved = 6;       // registers that a function saves right below its return address

// Whether the kernel could read a word there. It copies a mask of signals before it looks what is
// to be done with it, and ~0 means nothing: EFAULT or EINVAL, and nothing is changed.
bool readable(Address at) {
  const long code = ::syscall(SYS_rt_sigprocmask, ~0, at, nullptr, kWord);
  return code != -1 || errno != EFAULT;
}

bool ours(Address at) {
  return at >= reinterpret_cast<Address>(&__executable_start) &&
         at < reinterpret_cast<Address>(&etext);
}

class Walk {
 public:
  explicit Walk(std::span<Address> to) : to_(to) {}

  std::size_t from(Place at) {
    bool more = add(at.instruction);
    while (more) more = ours(at.instruction) ? up(at) : leave_library(at);
    return count_;
  }

 private:
  bool add(Address at) {
    if (at < kPage || count_ == to_.size()) return false;
    to_[count_++] = at;
    return true;
  }

  // A page that was read once is not asked for again. A sanitizer would take a word between two
  // variables for a fault.
  __attribute__((no_sanitize("address", "thread", "undefined"))) bool read(Address at,
                                                                           Address& to) {
    if (at % kWord != 0 || at < kPage) return false;
    if (const Address page = at / kPage; page != page_) {
      if (!readable(at)) return false;
      page_ = page;
    }
    // NOLINTNEXTLINE(performance-no-int-to-ptr): a stack's words are addresses
    to = *reinterpret_cast<const Address*>(at);
    return true;
  }

  // By the frame: its two words are the caller's frame, and where the caller goes on.
  bool up(Place& at) {
    Address next = 0, caller = 0;
    if (!read(at.frame, next) || !read(at.frame + kWord, caller) || !behind_call(caller) ||
        !add(caller - 1)) {
      return false;
    }
    const bool near = next > at.frame && next - at.frame < kLargestFrame;  // callers are further up
    at = {caller, near ? next : 0, at.frame + 2 * kWord};
    return near || !ours(caller);
  }

  // A library's code may use the frame's register for anything. The first word above that one of
  // our calls left, with a frame of its function beside it, is taken for who called.
  bool leave_library(Place& at) {
    Address caller = 0, first = 0;
    for (int i = 0; i < kSearched; ++i) {
      const Address slot = at.stack + static_cast<Address>(i) * kWord;
      if (!read(slot, caller)) break;
      if (!ours(caller) || !behind_call(caller)) continue;
      if (first == 0) first = caller;
      if (const Address frame = frame_above(slot, at); frame != 0) {
        if (!add(caller - 1)) return false;
        at = {caller, frame, slot + kWord};
        return true;
      }
    }
    if (first != 0) add(first - 1);
    return false;
  }

  // The frame of the function whose call left its return address at `slot`: still in the register,
  // or saved below by the one that was called.
  Address frame_above(Address slot, const Place& at) {
    const auto is_one = [&](Address frame) {
      Address caller = 0;
      return frame > slot && frame - slot < kLargestFrame && read(frame + kWord, caller) &&
             behind_call(caller);
    };
    if (is_one(at.frame)) return at.frame;
    for (int i = 1; i <= kSaved; ++i) {
      const Address below = slot - static_cast<Address>(i) * kWord;
      Address saved = 0;
      if (below < at.stack || !read(below, saved)) break;
      if (is_one(saved)) return saved;
    }
    return 0;
  }

  // Whether a call ends there, so that it may be a return address. In a library's code too, but
  // only where something can be read.
  // What is read may be no code at all.
  __attribute__((no_sanitize("address", "thread", "undefined"))) static bool behind_call(
      Address at) {
    if (at < kPage || (!ours(at - kWord) && !readable(at - kWord))) return false;
#if defined(__x86_64__)
    // NOLINTNEXTLINE(performance-no-int-to-ptr): code
    const auto* const code = reinterpret_cast<const unsigned char*>(at);
    constexpr unsigned char kCall = 0xe8, kIndirect = 0xff, kOperation = 0x38, kIsCall = 0x10;
    if (code[-5] == kCall) return true;
    for (const int length : {2, 3, 6, 7}) {
      if (code[-length] == kIndirect && (code[1 - length] & kOperation) == kIsCall) return true;
    }
    return false;
#else
    return true;
#endif
  }

  std::span<Address> to_;
  std::size_t count_ = 0;
  Address page_ = 0;
};

}  // namespace

std::size_t walk(const Place& place, std::span<Address> to) {
  const int error = errno;  // of what was interrupted
  const std::size_t count = Walk(to).from(place);
  errno = error;
  return count;
}

Place place_of(const void* ucontext) {
  [[maybe_unused]] const mcontext_t& at = static_cast<const ucontext_t*>(ucontext)->uc_mcontext;
#if defined(__x86_64__)
  return {static_cast<Address>(at.gregs[REG_RIP]), static_cast<Address>(at.gregs[REG_RBP]),
          static_cast<Address>(at.gregs[REG_RSP])};
#elif defined(__aarch64__)
  return {at.pc, at.regs[29], at.sp};
#else
  return {};
#endif
}

__attribute__((noinline)) Place place_here() {
  // Its own frame holds the caller's frame and where it goes on.
  const auto* const frame = static_cast<const Address*>(__builtin_frame_address(0));
  return {frame[1] - 1, frame[0], reinterpret_cast<Address>(frame + 2)};
}

}  // namespace penstock::profile
