#include "store/sqlite_database.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "store/statements.h"

namespace penstock::store {
namespace {

constexpr Statement kPut = {"test", "INSERT INTO meta (name, value) VALUES ($1, $2)"};
constexpr Statement kGet = {"test", "SELECT value FROM meta WHERE name = $1", {}, true};

class Sqlite : public testing::Test {
 protected:
  Sqlite() {
    std::string folder = std::filesystem::temp_directory_path() / "penstock-store-XXXXXX";
    folder_ = mkdtemp(folder.data());
  }
  ~Sqlite() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<Database> opened() {
    Options options;
    options.url = "sqlite:" + folder_ + "/a.db";
    Result<std::unique_ptr<Database>> made = open(options, registry_, log_);
    EXPECT_TRUE(made.ok()) << made.error().detail;
    return *std::move(made);
  }

  std::string folder_;
  observe::Registry registry_{1};
  observe::Log log_{{}};
};

TEST_F(Sqlite, KeepsWhatWasWrittenOverAnEnd) {
  {
    const auto database = opened();
    Result<int> applied = wait(5s, [&](Deadline& d) { return migrate(*database, d); });
    ASSERT_TRUE(applied.ok()) << applied.error().detail;
    EXPECT_EQ(1, *applied);
    Result<Rows> put = wait(5s, [&](Deadline& d) {
      return database->write(kPut, {std::string("a"), Blob{"\x01\x00x"}}, nullptr, d);
    });
    ASSERT_TRUE(put.ok()) << put.error().detail;
    EXPECT_EQ(1u, put->changed);
  }
  const auto database = opened();
  Result<Rows> got =
      wait(5s, [&](Deadline& d) { return database->read(kGet, {std::string("a")}, {}, d); });
  ASSERT_TRUE(got.ok()) << got.error().detail;
  ASSERT_EQ(1u, got->rows.size());
  EXPECT_EQ(Value(Blob{"\x01\x00x"}), got->rows[0][0]);
}

}  // namespace
}  // namespace penstock::store
