#include "observe/cgroup.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace penstock::observe {
namespace {

// A file system of groups, in a folder of its own.
class Cgroups : public testing::Test {
 protected:
  Cgroups() {
    std::string name = (std::filesystem::temp_directory_path() / "cgroup-XXXXXX").string();
    root_ = mkdtemp(name.data());
  }
  ~Cgroups() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  Cgroup group() const { return Cgroup(root_, (root_ / "self").c_str()); }

  std::filesystem::path root_;
};

TEST_F(Cgroups, OfAContainerAreAtTheRoot) {
  write("self", "0::/\n");
  write("cgroup.controllers", "cpu memory\n");
  write("cpu.max", "150000 100000\n");
  write("cpu.stat", "usage_usec 2500000\nnr_periods 10\nnr_throttled 3\nthrottled_usec 40000\n");
  write("memory.max", "1073741824\n");
  write("memory.current", "4096\n");
  write("memory.stat", "anon 1\ninactive_file 1024\n");
  EXPECT_EQ(group().quota_cores(), 1.5);
  EXPECT_EQ(group().memory_limit(), 1073741824u);
  const auto cpu = group().cpu();
  ASSERT_TRUE(cpu);
  EXPECT_DOUBLE_EQ(cpu->seconds, 2.5);
  EXPECT_EQ(cpu->periods, 10);
  EXPECT_EQ(cpu->throttled_periods, 3);
  EXPECT_DOUBLE_EQ(cpu->throttled_seconds, .04);
  const auto memory = group().memory();
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->used, 4096);
  EXPECT_EQ(memory->reclaimable, 1024);
}

TEST_F(Cgroups, OfAServiceAreWhereTheProcessSaysAndLimitsAboveHold) {
  write("self", "0::/system.slice/penstock.service\n");
  write("cgroup.controllers", "cpu memory\n");
  write("system.slice/cpu.max", "100000 100000\n");
  write("system.slice/memory.max", "1000\n");
  write("system.slice/penstock.service/cpu.max", "max 100000\n");
  write("system.slice/penstock.service/memory.max", "max\n");
  write("system.slice/penstock.service/memory.current", "7\n");
  EXPECT_EQ(group().quota_cores(), 1.0);
  EXPECT_EQ(group().memory_limit(), 1000u);
  ASSERT_TRUE(group().memory());
  EXPECT_EQ(group().memory()->used, 7);
}

TEST_F(Cgroups, OfVersionOneAreByController) {
  write("self", "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/docker/abc\n");
  write("cpu/cpu.cfs_quota_us", "50000\n");
  write("cpu/cpu.cfs_period_us", "100000\n");
  write("cpu/cpu.stat", "nr_periods 4\nnr_throttled 1\nthrottled_time 500000000\n");
  write("cpuacct/cpuacct.usage", "3000000000\n");
  write("memory/memory.limit_in_bytes", "2048\n");
  write("memory/memory.usage_in_bytes", "512\n");
  write("memory/memory.stat", "total_inactive_file 64\n");
  EXPECT_EQ(group().quota_cores(), .5);
  EXPECT_EQ(group().memory_limit(), 2048u);
  ASSERT_TRUE(group().cpu());
  EXPECT_DOUBLE_EQ(group().cpu()->seconds, 3);
  EXPECT_DOUBLE_EQ(group().cpu()->throttled_seconds, .5);
  ASSERT_TRUE(group().memory());
  EXPECT_EQ(group().memory()->reclaimable, 64);
}

TEST_F(Cgroups, ThatAreNotThereLimitNothing) {
  EXPECT_EQ(group().quota_cores(), std::nullopt);
  EXPECT_EQ(group().memory_limit(), std::nullopt);
  EXPECT_FALSE(group().cpu());
  EXPECT_FALSE(group().memory());
}

}  // namespace
}  // namespace penstock::observe
