// For tests: a real database in a folder of its own, and what is asked of it.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "access/key_book.h"
#include "observe/log.h"
#include "observe/metrics.h"
#include "store/database.h"

namespace penstock::access {

class DatabaseTest : public ::testing::Test {
 protected:
  DatabaseTest() {
    std::string folder = std::filesystem::temp_directory_path() / "penstock-access-XXXXXX";
    folder_ = mkdtemp(folder.data());
    open();
    const Result<int> done =
        store::wait(10s, [&](Deadline& d) { return store::migrate(*database_, d); });
    EXPECT_TRUE(done.ok()) << done.error().detail;
  }
  ~DatabaseTest() override {
    database_.reset();
    std::filesystem::remove_all(folder_);
  }

  void open() {
    store::Options options;
    options.url = "sqlite:" + folder_ + "/a.db";
    Result<std::unique_ptr<store::Database>> made = store::open(options, registry_, log_);
    EXPECT_TRUE(made.ok()) << made.error().detail;
    database_ = *std::move(made);
  }

  // True once the condition is; false if it is not within five seconds.
  static bool within_reason(const std::function<bool()>& condition) {
    const Time end = Clock::now() + 5s;
    while (!condition()) {
      if (Clock::now() > end) return false;
      ::poll(nullptr, 0, 2);
    }
    return true;
  }

  std::string folder_;
  observe::Registry registry_{1};
  observe::Log log_{{}};
  std::unique_ptr<store::Database> database_;
};

}  // namespace penstock::access
