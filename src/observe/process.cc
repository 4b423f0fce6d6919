#include "observe/process.h"

#include <dirent.h>
#include <malloc.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <fstream>
#include <sstream>
#include <string>

namespace penstock::observe {
namespace {

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The machine's limits where there is no cgroup or it sets none.
double quota_cores() {
  // cgroup v2: "max 100000" or "200000 100000"
  std::istringstream v2(first_line("/sys/fs/cgroup/cpu.max"));
  double quota = 0;
  double period = 0;
  if (v2 >> quota >> period && period > 0) return quota / period;
  std::istringstream v1_quota(first_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"));
  std::istringstream v1_period(first_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us"));
  if (v1_quota >> quota && v1_period >> period && quota > 0 && period > 0) return quota / period;
  return HUGE_VAL;
}

struct Statm {
  double virtual_bytes = 0;
  double resident_bytes = 0;
};

Statm statm() {
  std::istringstream in(first_line("/proc/self/statm"));
  double size = 0;
  double resident = 0;
  in >> size >> resident;
  const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
  return {size * page, resident * page};
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double threads() {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("Threads:")) return std::stod(line.substr(8));
  }
  return 0;
}

}  // namespace

std::size_t open_files() {
  DIR* const directory = opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  std::size_t count = 0;
  while (readdir(directory) != nullptr) ++count;
  closedir(directory);
  return count - std::min<std::size_t>(count, 3);  // ".", ".." and the directory itself
}

double cpu_limit_cores() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  double cores = static_cast<double>(sysconf(_SC_NPROCESSORS_ONLN));
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) cores = CPU_COUNT(&mask);
  return std::min(cores, quota_cores());
}

unsigned default_workers() {
  return static_cast<unsigned>(std::max(1.0, std::floor(cpu_limit_cores())));
}

std::uint64_t memory_limit_bytes() {
  const auto machine = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                       static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  for (const char* path :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::uint64_t limit = 0;
    if (std::istringstream(first_line(path)) >> limit && limit > 0) return std::min(limit, machine);
  }
  return machine;
}

std::uint64_t resident_bytes() { return static_cast<std::uint64_t>(statm().resident_bytes); }

void set_up_allocator() {
  // glibc moves both up to 32 MiB and 64 MiB as large blocks are freed, and then keeps up to so
  // much at the end of each thread's heap, where malloc_trim does not look.
  constexpr int kLarge = 256 * 1024;
  mallopt(M_MMAP_THRESHOLD, kLarge);
  mallopt(M_TRIM_THRESHOLD, kLarge);
}

void trim_memory() {
  constexpr std::size_t kWorthIt = 1024 * 1024;
  const auto info = mallinfo2();
  if (info.fordblks > std::max(kWorthIt, (info.uordblks + info.hblkhd) / 10)) malloc_trim(0);
}

void watch_process(Registry& registry) {
  const double started = static_cast<double>(std::time(nullptr));
  registry.watch(Type::gauge, "penstock_build_info", "1; the version is a label.",
                 {{"version", PENSTOCK_VERSION}}, [] { return 1.0; });
  registry.watch(Type::counter, "process_cpu_seconds_total", "CPU time used, user and system.", {},
                 cpu_seconds);
  registry.watch(Type::gauge, "process_resident_memory_bytes", "Memory in use.", {},
                 [] { return statm().resident_bytes; });
  registry.watch(Type::gauge, "process_virtual_memory_bytes", "Address space in use.", {},
                 [] { return statm().virtual_bytes; });
  registry.watch(Type::gauge, "process_open_fds", "File descriptors in use.", {},
                 [] { return static_cast<double>(open_files()); });
  registry.watch(Type::gauge, "process_max_fds", "File descriptors that may be in use.", {}, [] {
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    return static_cast<double>(files.rlim_cur);
  });
  registry.watch(Type::gauge, "process_threads", "Threads.", {}, threads);
  registry.watch(Type::gauge, "process_start_time_seconds", "When the program started, Unix time.",
                 {}, [started] { return started; });
  registry.watch(Type::gauge, "penstock_cpu_limit_cores",
                 "CPU cores that the cgroup and the affinity allow.", {}, cpu_limit_cores);
  registry.watch(Type::gauge, "penstock_memory_limit_bytes",
                 "Memory that the cgroup or the machine allows.", {},
                 [] { return static_cast<double>(memory_limit_bytes()); });
  const auto allocator = [&](const char* kind, auto read) {
    registry.watch(Type::gauge, "penstock_allocator_bytes", "The allocator's own figures.",
                   {{"kind", kind}}, read);
  };
  allocator("in_use", [] {
    const auto info = mallinfo2();
    return static_cast<double>(info.uordblks + info.hblkhd);
  });
  allocator("free", [] { return static_cast<double>(mallinfo2().fordblks); });
}

}  // namespace penstock::observe
