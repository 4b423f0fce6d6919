#include "observe/cgroup.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <utility>

namespace penstock::observe {
namespace {

bool exists(const std::string& path) {
  struct stat seen {};
  return stat(path.c_str(), &seen) == 0;
}

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::optional<std::uint64_t> number_in(const std::string& path) {
  std::uint64_t number = 0;
  if (std::istringstream(first_line(path)) >> number) return number;
  return std::nullopt;  // no file, or "max"
}

// `name value` in each line.
std::map<std::string, double> table_in(const std::string& path) {
  std::map<std::string, double> table;
  std::ifstream file(path);
  std::string name;
  double value = 0;
  while (file >> name >> value) table[name] = value;
  return table;
}

// The group's path by its controller; version 2 has one without a name.
std::string path_of(const char* self, const std::string& controller) {
  std::ifstream file(self);
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::istringstream names(line.substr(first + 1, second - first - 1));
    if (controller.empty() && second == first + 1) return line.substr(second + 1);
    for (std::string name; std::getline(names, name, ',');) {
      if (name == controller) return line.substr(second + 1);
    }
  }
  return {};
}

// The group's folder and those above, down to `root`.
std::vector<std::string> folders_of(const std::string& root, std::string path) {
  std::vector<std::string> all;
  // Where only the own group is seen, the path is the host's word and there is no such folder.
  if (!exists(root + path) || path.find("/..") != std::string::npos) path.clear();
  for (; path.size() > 1; path.resize(path.rfind('/'))) all.push_back(root + path);
  all.push_back(root);
  return all;
}

}  // namespace

Cgroup::Cgroup(std::string root, const char* self)
    : root_(std::move(root)), v2_(exists(root_ + "/cgroup.controllers")) {
  if (v2_) {
    cpu_ = cpuacct_ = memory_ = folders_of(root_, path_of(self, {}));
    return;
  }
  cpu_ = folders_of(root_ + "/cpu", path_of(self, "cpu"));
  cpuacct_ = folders_of(root_ + "/cpuacct", path_of(self, "cpuacct"));
  memory_ = folders_of(root_ + "/memory", path_of(self, "memory"));
}

std::optional<double> Cgroup::quota_cores() const {
  std::optional<double> least;
  for (const std::string& folder : cpu_) {
    // Version 2: "max 100000" or "200000 100000".
    std::istringstream line(v2_ ? first_line(folder + "/cpu.max")
                                : first_line(folder + "/cpu.cfs_quota_us") + ' ' +
                                      first_line(folder + "/cpu.cfs_period_us"));
    double quota = 0;
    double period = 0;
    if (!(line >> quota >> period) || quota <= 0 || period <= 0) continue;
    least = std::min(least.value_or(quota / period), quota / period);
  }
  return least;
}

std::optional<std::uint64_t> Cgroup::memory_limit() const {
  std::optional<std::uint64_t> least;
  for (const std::string& folder : memory_) {
    const auto limit = number_in(folder + (v2_ ? "/memory.max" : "/memory.limit_in_bytes"));
    if (limit && *limit > 0) least = std::min(least.value_or(*limit), *limit);
  }
  return least;
}

std::optional<Cgroup::Cpu> Cgroup::cpu() const {
  Cpu cpu;
  std::map<std::string, double> stat = table_in(cpu_.front() + "/cpu.stat");
  if (v2_) {
    if (!stat.contains("usage_usec")) return std::nullopt;
    cpu.seconds = stat["usage_usec"] * 1e-6;
    cpu.throttled_seconds = stat["throttled_usec"] * 1e-6;
  } else {
    const auto used = number_in(cpuacct_.front() + "/cpuacct.usage");
    if (!used) return std::nullopt;
    cpu.seconds = static_cast<double>(*used) * 1e-9;
    cpu.throttled_seconds = stat["throttled_time"] * 1e-9;
  }
  cpu.periods = stat["nr_periods"];
  cpu.throttled_periods = stat["nr_throttled"];
  return cpu;
}

std::optional<Cgroup::Memory> Cgroup::memory() const {
  const std::string& folder = memory_.front();
  const auto used = number_in(folder + (v2_ ? "/memory.current" : "/memory.usage_in_bytes"));
  if (!used) return std::nullopt;
  Memory memory;
  memory.used = static_cast<double>(*used);
  memory.reclaimable =
      table_in(folder + "/memory.stat")[v2_ ? "inactive_file" : "total_inactive_file"];
  return memory;
}

}  // namespace penstock::observe
