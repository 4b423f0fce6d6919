// The control group that the process is in, version 2 or 1: what it may use, and what it uses.
//
// A container sees its own group at the root of the file system; a service sees all groups, and
// /proc/self/cgroup says which is its own. A limit of any group above holds too.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace penstock::observe {

class Cgroup {
 public:
  explicit Cgroup(std::string root = "/sys/fs/cgroup", const char* self = "/proc/self/cgroup");

  // Nothing: there is no limit.
  std::optional<double> quota_cores() const;
  std::optional<std::uint64_t> memory_limit() const;

  struct Cpu {
    double seconds = 0;            // user and system
    double periods = 0;            // of the quota; 0 where there is none
    double throttled_periods = 0;  // in which it was used up
    double throttled_seconds = 0;  // that threads have waited for the next one, added
  };
  std::optional<Cpu> cpu() const;

  struct Memory {
    double used = 0;         // page cache included
    double reclaimable = 0;  // page cache that nobody has used lately
  };
  std::optional<Memory> memory() const;

 private:
  std::string root_;
  bool v2_;
  // The group's folder, then those above; of version 1 those of the controller.
  std::vector<std::string> cpu_, cpuacct_, memory_;
};

}  // namespace penstock::observe
