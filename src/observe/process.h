// What the program uses of its machine, and what it may use: process_*, cgroup limits, allocator.
#pragma once

#include <cstdint>

#include "observe/metrics.h"

namespace penstock::observe {

// CPU cores that the cgroup's quota and the affinity mask allow; at least a fraction above 0.
double cpu_limit_cores();
// One worker a whole core, at least one.
unsigned default_workers();
// The cgroup's limit or the machine's memory, in bytes.
std::uint64_t memory_limit_bytes();
// File descriptors in use.
std::size_t open_files();
// Resident set, in bytes.
std::uint64_t resident_bytes();

// Call it once, before there are threads: from then on a block of 256 KiB and more goes back to the
// system when it is freed, and no heap keeps so much at its end.
void set_up_allocator();
// Gives back to the system what a burst left behind: where the allocator holds more than a tenth of
// what is in use, and at least 1 MiB, for nobody. Takes milliseconds then; call it now and then,
// on a thread that nobody waits for.
void trim_memory();

// Registers process_*, allocator, build and limit gauges; each is read when it is scraped.
void watch_process(Registry& registry);

}  // namespace penstock::observe
