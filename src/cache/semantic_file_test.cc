#include "cache/semantic_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "cache/semantic_testing.h"

namespace penstock::cache {
namespace {

namespace fs = std::filesystem;

class SemanticFile : public testing::Test {
 protected:
  SemanticFile() {
    char folder[] = "/tmp/penstock-semantic-XXXXXX";
    folder_ = std::string(mkdtemp(folder)) + "/index";
  }
  ~SemanticFile() override { fs::remove_all(fs::path(folder_).parent_path()); }

  std::string path() const { return folder_ + "/" + std::string(kSemanticFile); }
  std::string bytes() const {
    std::ifstream file(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write(std::string_view bytes) const {
    std::ofstream(path(), std::ios::binary | std::ios::trunc)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  // Of an index that is empty before; nothing: it was refused, and is empty still.
  std::optional<std::size_t> loaded() const {
    SemanticIndex index({});
    const Result<std::size_t> count = load(index, folder_);
    if (!count) {
      EXPECT_EQ(index.stats().entries, 0U);
      EXPECT_EQ(count.error().kind, Kind::invalid) << count.error().detail;
      return std::nullopt;
    }
    return *count;
  }

  std::string folder_;
  SemanticVectors vectors_{24, 4, 1};
};

TEST_F(SemanticFile, WhatWasSavedIsFoundAgain) {
  SemanticIndex index({.size = 1000, .exact = 50});
  std::vector<std::vector<float>> all;
  for (std::uint64_t i = 0; i < 200; ++i) {
    all.push_back(vectors_.next());
    index.add(i % 2 == 0 ? "a" : "b", "p", semantic_key(i), all.back());
  }
  index.settle();  // some are in graphs, and all are written
  ASSERT_TRUE(save(index, folder_).ok());
  SemanticIndex again({.size = 1000, .exact = 50});
  const Result<std::size_t> count = load(again, folder_);
  ASSERT_TRUE(count.ok());
  EXPECT_EQ(*count, 200U);
  for (std::uint64_t i = 0; i < 200; ++i) {
    const auto found = again.find(i % 2 == 0 ? "a" : "b", "p", all[i], 0.999F);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->key, semantic_key(i));
  }
  struct stat state {};
  ASSERT_EQ(stat(path().c_str(), &state), 0);
  EXPECT_EQ(state.st_mode & 0777, 0600U);
  EXPECT_FALSE(fs::exists(path() + ".new"));
}

TEST_F(SemanticFile, TheOrderOfUseIsKept) {
  SemanticIndex index({});
  std::vector<std::vector<float>> all;
  for (std::uint64_t i = 0; i < 4; ++i) {
    all.push_back(vectors_.around({}, 1));
    index.add("a", "p", semantic_key(i), all.back());
  }
  ASSERT_TRUE(index.find("a", "p", all[0], 0.99F));
  ASSERT_TRUE(save(index, folder_).ok());
  SemanticIndex smaller({.size = 2});
  ASSERT_TRUE(load(smaller, folder_).ok());
  EXPECT_TRUE(smaller.find("a", "p", all[0], 0.99F));
  EXPECT_TRUE(smaller.find("a", "p", all[3], 0.99F));
  EXPECT_FALSE(smaller.find("a", "p", all[2], 0.99F));
}

TEST_F(SemanticFile, NoFileIsAColdStart) { EXPECT_EQ(loaded(), 0U); }

TEST_F(SemanticFile, AnEmptyIndexIsAnIndex) {
  ASSERT_TRUE(save(SemanticIndex({}), folder_).ok());
  EXPECT_EQ(loaded(), 0U);
}

TEST_F(SemanticFile, WhatIsDamagedOrForeignIsRefusedWhole) {
  SemanticIndex index({});
  for (std::uint64_t i = 0; i < 3; ++i) index.add("a", "p", semantic_key(i), vectors_.next());
  ASSERT_TRUE(save(index, folder_).ok());
  const std::string good = bytes();
  for (std::size_t size = 0; size < good.size(); ++size) {
    write(good.substr(0, size));
    EXPECT_EQ(loaded(), std::nullopt) << "cut at " << size;
  }
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    write(bad);
    EXPECT_EQ(loaded(), std::nullopt) << "a flipped bit in byte " << at;
  }
  write(good + "x");
  EXPECT_EQ(loaded(), std::nullopt);
  write("what somebody else has written, longer than a head");
  EXPECT_EQ(loaded(), std::nullopt);
  write(good);
  EXPECT_EQ(loaded(), 3U);
}

TEST_F(SemanticFile, AKeeperLoadsAndSaves) {
  std::vector<std::string> warnings;
  const auto warn = [&](const Error& error) { warnings.push_back(error.detail); };
  const std::vector<float> vector = vectors_.next();
  {
    SemanticIndex index({});
    const SemanticKeeper keeper(index, folder_, warn);
    index.add("a", "p", semantic_key(1), vector);
  }
  {
    SemanticIndex index({});
    const SemanticKeeper keeper(index, folder_, warn);
    EXPECT_TRUE(index.find("a", "p", vector, 0.99F));
  }
  EXPECT_TRUE(warnings.empty());
  write("nothing of ours, and long enough to be");
  SemanticIndex index({});
  { const SemanticKeeper keeper(index, folder_, warn); }
  EXPECT_EQ(warnings.size(), 1U);
  EXPECT_EQ(bytes(), "nothing of ours, and long enough to be") << "there was nothing to save";
}

TEST_F(SemanticFile, AFolderThatCannotBeWrittenIsAnErrorAndNothingElse) {
  const Result<void> saved = save(SemanticIndex({}), "/proc/nowhere");
  ASSERT_FALSE(saved.ok());
  EXPECT_NE(saved.error().detail.find("/proc/nowhere"), std::string::npos);
}

}  // namespace
}  // namespace penstock::cache
