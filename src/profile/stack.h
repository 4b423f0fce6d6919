// Where a thread is: the return addresses on its stack, by frame pointers, which everything of ours
// is compiled with. Libraries of others are often not. Of those under way only the innermost
// function is told, and behind it who of ours called it: that is looked for on the stack.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace penstock::profile {

using Address = std::uintptr_t;

inline constexpr std::size_t kMostFrames = 64;

// What a processor's registers say of a place.
struct Place {
  Address instruction = 0;
  Address frame = 0;
  Address stack = 0;
};

// Writes the addresses of the calls under way at `place`, the innermost first, and returns how
// many. Each is within the instruction that calls, so that it belongs to the line of the call.
// Never faults, whatever `place` says: a page is asked for before it is read. Async-signal-safe.
std::size_t walk(const Place& place, std::span<Address> to);

// Of a signal's handler: where the signal came. Nothing is known of processors other than x86-64
// and AArch64.
Place place_of(const void* ucontext);

// Of the function that calls this one.
Place place_here();

}  // namespace penstock::profile
