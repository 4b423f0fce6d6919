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

#include "base/clock.h"
#include "observe/cgroup.h"

namespace penstock::observe {
namespace {

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
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

// mallinfo2 goes through every heap and holds each meanwhile, from threads that want memory of it:
// once a scrape is enough. Read under the registry's lock.
class Allocator {
 public:
  const struct mallinfo2& figures() {
    constexpr Duration kFresh = 100ms;
    const Time now = Clock::now();
    if (now - read_ >= kFresh) {
      figures_ = mallinfo2();
      read_ = now;
    }
    return figures_;
  }

 private:
  struct mallinfo2 figures_ {};
  Time read_{};
};

void watch_allocator(Registry& registry) {
  const auto allocator = std::make_shared<Allocator>();
  const auto watch = [&](const char* kind, double (*read)(const struct mallinfo2&)) {
    registry.watch(Type::gauge, "penstock_allocator_bytes",
                   "Memory that the allocator has handed out, and that it holds for nobody.",
                   {{"kind", kind}}, [allocator, read] { return read(allocator->figures()); });
  };
  watch("in_use", [](const struct mallinfo2& info) {
    return static_cast<double>(info.uordblks + info.hblkhd);
  });
  watch("free", [](const struct mallinfo2& info) { return static_cast<double>(info.fordblks); });
}

// Where there is no cgroup the series are not shown.
void watch_cgroup(Registry& registry) {
  const auto group = std::make_shared<const Cgroup>();
  const auto cpu = [&](const char* name, const char* help, double Cgroup::Cpu::*figure) {
    registry.watch(Type::counter, name, help, {}, [group, figure]() -> std::optional<double> {
      const std::optional<Cgroup::Cpu> used = group->cpu();
      return used ? std::optional((*used).*figure) : std::nullopt;
    });
  };
  cpu("penstock_cgroup_cpu_seconds_total", "CPU time that the cgroup has used, user and system.",
      &Cgroup::Cpu::seconds);
  cpu("penstock_cgroup_cpu_periods_total", "Periods of the cgroup's CPU quota that have passed.",
      &Cgroup::Cpu::periods);
  cpu("penstock_cgroup_cpu_throttled_periods_total",
      "Periods in which the cgroup used up its CPU quota.", &Cgroup::Cpu::throttled_periods);
  cpu("penstock_cgroup_cpu_throttled_seconds_total",
      "Time that threads have waited for more CPU quota, added.", &Cgroup::Cpu::throttled_seconds);
  const auto memory = [&](const char* kind, double Cgroup::Memory::*figure) {
    registry.watch(Type::gauge, "penstock_cgroup_memory_bytes",
                   "Memory that the cgroup uses, and page cache in it that can be given up.",
                   {{"kind", kind}}, [group, figure]() -> std::optional<double> {
                     const std::optional<Cgroup::Memory> used = group->memory();
                     return used ? std::optional((*used).*figure) : std::nullopt;
                   });
  };
  memory("used", &Cgroup::Memory::used);
  memory("reclaimable", &Cgroup::Memory::reclaimable);
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
  return std::min(cores, Cgroup().quota_cores().value_or(cores));
}

unsigned default_workers() {
  return static_cast<unsigned>(std::max(1.0, std::floor(cpu_limit_cores())));
}

std::uint64_t memory_limit_bytes() {
  const auto machine = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                       static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return std::min(Cgroup().memory_limit().value_or(machine), machine);
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
                 "Memory that the program may take: memory.limit, the cgroup's or the machine's.",
                 {}, [] { return static_cast<double>(memory_limit_bytes()); });
  watch_allocator(registry);
  watch_cgroup(registry);
}

}  // namespace penstock::observe
