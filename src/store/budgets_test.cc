#include "store/budgets.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "store/servers_testing.h"

namespace penstock::store {
namespace {

class Budgets : public OfEachDatabase {
 protected:
  void write(const std::string& source, std::vector<BudgetCount> counts) {
    const Result<void> done = wait(10s, [&](Deadline& deadline) {
      return write_budgets(*database_, source, std::move(counts), deadline);
    });
    ASSERT_TRUE(done.ok()) << done.error().detail;
  }
  // "a 120 3/4", by measure and minute.
  std::vector<std::string> read(std::int64_t from, std::int64_t to, std::int64_t step,
                                const std::string& without = "") {
    const Result<std::vector<BudgetCount>> had = wait(10s, [&](Deadline& deadline) {
      return read_budgets(*database_, without, from, to, step, deadline);
    });
    EXPECT_TRUE(had.ok()) << had.error().detail;
    std::vector<std::string> out;
    for (const BudgetCount& one : *had) {
      out.push_back(one.measure + " " + std::to_string(one.minute) + " " +
                    std::to_string(one.good) + "/" + std::to_string(one.total));
    }
    std::sort(out.begin(), out.end());
    return out;
  }

  using Lines = std::vector<std::string>;
};

TEST_P(Budgets, AreSummedOverProcessesAndMinutes) {
  write("one", {{"a", 100, 1, 2}, {"a", 119, 3, 3}, {"a", 120, 5, 5}, {"b", 100, 7, 8}});
  write("two", {{"a", 100, 10, 20}});
  EXPECT_EQ(read(60, 180, 60), (Lines{"a 120 5/5", "a 60 14/25", "b 60 7/8"}));
  EXPECT_EQ(read(100, 120, 1), (Lines{"a 100 11/22", "a 119 3/3", "b 100 7/8"}));
  EXPECT_EQ(read(100, 120, 1, "one"), (Lines{"a 100 10/20"}));
  EXPECT_EQ(read(101, 119, 1), Lines());
}

TEST_P(Budgets, AreTheLastThatWasWritten) {
  write("one", {{"a", 100, 1, 2}});
  write("one", {{"a", 100, 1, 2}});
  EXPECT_EQ(read(0, 200, 1), (Lines{"a 100 1/2"}));
  write("one", {{"a", 100, 4, 9}});
  EXPECT_EQ(read(0, 200, 1), (Lines{"a 100 4/9"}));
}

TEST_P(Budgets, AreForgotten) {
  write("one", {{"a", 100, 1, 2}, {"a", 101, 1, 1}});
  const Result<void> done =
      wait(10s, [&](Deadline& deadline) { return forget_budgets(*database_, 101, deadline); });
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(read(0, 200, 1), (Lines{"a 101 1/1"}));
}

INSTANTIATE_TEST_SUITE_P(Both, Budgets, each_database(), name_of_database);

}  // namespace
}  // namespace penstock::store
