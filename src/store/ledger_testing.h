// What the tests of the ledger share: a folder with an SQLite database and a spool, and the sums of
// what is in it.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "store/ledger.h"

namespace penstock::store {

inline constexpr Statement kSums = {
    "test",
    "SELECT COUNT(*), COALESCE(SUM(count), 0), COALESCE(SUM(tokens_input), 0), "
    "COALESCE(SUM(tokens_output), 0), COALESCE(SUM(cost_nano), 0), COUNT(DISTINCT id) "
    "FROM usage WHERE cache = $1",
    {},
    true};

struct Totals {
  std::int64_t rows = 0;
  std::int64_t count = 0;
  std::int64_t input = 0;
  std::int64_t output = 0;
  std::int64_t cost = 0;
  std::int64_t ids = 0;
  friend bool operator==(const Totals&, const Totals&) = default;
};

class Place {
 public:
  Place() {
    std::string folder = std::filesystem::temp_directory_path() / "penstock-ledger-XXXXXX";
    folder_ = mkdtemp(folder.data());
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() { std::filesystem::remove_all(folder_); }

  const std::string& folder() const { return folder_; }
  std::string spool() const { return folder_ + "/spool"; }
  std::string file() const { return folder_ + "/usage.db"; }

  // With its tables.
  std::unique_ptr<Database> opened(observe::Registry& registry, observe::Log& log) const {
    Options options;
    options.url = "sqlite:" + file();
    options.record_text = true;
    Result<std::unique_ptr<Database>> made = open(options, registry, log);
    if (!made) {
      ADD_FAILURE() << made.error().detail;
      return nullptr;
    }
    Result<int> migrated = wait(10s, [&](Deadline& d) { return migrate(**made, d); });
    EXPECT_TRUE(migrated.ok()) << (migrated.ok() ? "" : migrated.error().detail);
    return *std::move(made);
  }

  std::size_t files(std::string_view ending) const {
    std::size_t count = 0;
    for (const auto& one : std::filesystem::directory_iterator(spool())) {
      if (one.path().string().ends_with(ending)) ++count;
    }
    return count;
  }

 private:
  std::string folder_;
};

inline Totals totals(Database& database, const std::string& cache) {
  Result<Rows> rows = wait(10s, [&](Deadline& d) { return database.read(kSums, {cache}, {}, d); });
  if (!rows || rows->rows.size() != 1) {
    ADD_FAILURE() << (rows ? "no row" : rows.error().detail);
    return {};
  }
  const auto number = [&](std::size_t column) {
    return std::get<std::int64_t>(rows->rows[0][column]);
  };
  return {number(0), number(1), number(2), number(3), number(4), number(5)};
}

inline CallerPtr a_caller(std::string tenant, std::string key) {
  Caller caller;
  caller.tenant = std::move(tenant);
  caller.key = std::move(key);
  return std::make_shared<Caller>(std::move(caller));
}

inline UsageRow a_row(std::int64_t time_us) {
  UsageRow row;
  row.time_us = time_us;
  row.tenant = "acme";
  row.key = "key_0123456789abcdef";
  row.model = "gpt-4o-mini";
  row.engine = "gpu-a";
  row.route = "chat";
  row.status = 200;
  row.cache = "miss";
  row.tokens = {100, 20, 0, 0};
  row.cost = 27'000;
  row.duration_us = 812'000;
  row.engine_us = 811'000;
  row.request_id = "019ab3c4-7d10-7b62-9f3e-0a1b2c3d4e5f";
  return row;
}

}  // namespace penstock::store
