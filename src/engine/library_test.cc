#include "engine/library.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "engine/library_testing.h"

namespace penstock::engine {
namespace {

// ---- what is found ---------------------------------------------------------------------------

TEST_F(DocumentsTest, OverTheProjectsOwnPagesTheBestPassageIsFromTheRightFile) {
  const auto docs = fs::path(__FILE__).parent_path() / "../../docs";
  if (!fs::exists(docs)) GTEST_SKIP() << "built elsewhere";
  const auto library = *Library::open(docs.string(), log_);
  const std::pair<const char*, const char*> kTable[] = {
      {"What is a penstock?", "what-is-penstock.md"},
      {"Who is Penstock for?", "what-is-penstock.md"},
      {"How do I turn the Redis cache off?", "switches.md"},
      {"How can I see whether an answer came from the cache?", "cache.md"},
      {"How do I get started?", "getting-started.md"},
      {"Which exit codes are there?", "commands.md"},
      {"What happens on SIGTERM?", "commands.md"},
      {"What happens when an engine fails?", "engines.md"},
      {"What are simulated engines?", "engines.md"},
      {"Which OpenAI-compatible servers can I use?", "engines.md"},
      {"How do I run the benchmarks?", "benchmarks.md"},
      {"How is it compared with nginx?", "benchmarks.md"},
      {"Why did you write an HTTP parser?", "adr/0002-http-parser.md"},
  };
  for (const auto& [question, file] : kTable) {
    const auto found = search(*library, question);
    ASSERT_FALSE(found.empty()) << question;
    EXPECT_EQ(found[0].source, file) << question << "\n" << found[0].passage.heading;
  }
  const auto pipe = search(*library, "What is a penstock?");
  EXPECT_NE(pipe[0].passage.text.find("gated pipe"), std::string::npos) << pipe[0].passage.heading;
  for (const Finding& finding : search(*library, "How do I begin?")) {
    EXPECT_EQ(finding.passage.text.find("<!--"), std::string::npos);
  }
}

TEST_F(DocumentsTest, PassagesOfOneSectionComeInTheirOrder) {
  std::string text = "# Locks\n\n## The upper lock\n\nThe lock opens at dawn. ";
  text += std::string(600, '.') + "\n\nOf the lock: lock, upper lock. " + std::string(600, '.');
  write("locks.md", text + "\n\nThe upper lock closes at dusk, lock lock lock lock. " +
                        std::string(600, '.') + "\n");
  write("other.md", "# Other\n\nA lock.\n");
  const auto library = open();
  const auto found = search(*library, "upper lock");
  ASSERT_EQ(found.size(), 3u);
  for (const Finding& finding : found) EXPECT_EQ(finding.source, "locks.md");
  EXPECT_LT(found[0].row, found[1].row);
  EXPECT_LT(found[1].row, found[2].row);
}

TEST_F(DocumentsTest, AFilesNameIsSearchedToo) {
  write("night-shift.md", "Two people, from ten to six.");
  const auto library = open();
  const auto found = search(*library, "Who does the night shift?");
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0].source, "night-shift.md");
}

// ---- what is followed ------------------------------------------------------------------------

TEST_F(DocumentsTest, AFolderThatIsReplacedIsFollowed) {
  const fs::path docs = folder_ / "docs";
  write("docs/a.md", "# Rules\n\nHelmets are mandatory.");
  write("new/a.md", "# Rules\n\nGloves are mandatory.");
  const auto library = *Library::open(docs.string(), log_);
  wait_for(*library, "mandatory", "Helmets");
  fs::rename(docs, folder_ / "old");
  fs::rename(folder_ / "new", docs);
  wait_for(*library, "mandatory", "Gloves");
  // And what changes in the new one, and no more what changes in the old one.
  write("docs/a.md", "# Rules\n\nBoots are mandatory.");
  wait_for(*library, "mandatory", "Boots");
}

TEST_F(DocumentsTest, ALinkThatIsTurnedIsFollowed) {
  write("v1/a.md", "# Rules\n\nHelmets are mandatory.");
  write("v2/a.md", "# Rules\n\nGloves are mandatory.");
  const fs::path link = folder_ / "cur";
  fs::create_directory_symlink("v1", link);
  const auto library = *Library::open(link.string(), log_);
  wait_for(*library, "mandatory", "Helmets");
  fs::create_directory_symlink("v2", folder_ / "next");
  fs::rename(folder_ / "next", link);
  wait_for(*library, "mandatory", "Gloves");
}

TEST_F(DocumentsTest, AMountedConfigMapIsReadAndFollowed) {
  for (const char* version : {"..v1", "..v2"}) {
    const std::string part = std::string("docs/") + version;
    const std::string word = version == std::string("..v1") ? "Helmets" : "Gloves";
    write(part + "/a.md", "# Rules\n\n" + word + " are mandatory.");
    write(part + "/sub/b.md", "# Colours\n\n" + word + " are yellow.");
  }
  const fs::path docs = folder_ / "docs";
  fs::create_directory_symlink("..v1", docs / "..data");
  fs::create_symlink("..data/a.md", docs / "a.md");
  fs::create_directory_symlink("..data/sub", docs / "sub");
  const auto library = *Library::open(docs.string(), log_);
  wait_for(*library, "mandatory", "Helmets");
  wait_for(*library, "yellow", "Helmets");
  EXPECT_EQ(library->files(), 2u);
  fs::create_directory_symlink("..v2", docs / "..data_tmp");
  fs::rename(docs / "..data_tmp", docs / "..data");
  fs::remove_all(docs / "..v1");
  wait_for(*library, "mandatory", "Gloves");
  wait_for(*library, "yellow", "Gloves");
}

TEST_F(DocumentsTest, AFolderThatGoesLeavesItsIndexUntilItIsBack) {
  const fs::path docs = folder_ / "docs";
  write("docs/a.md", "# Rules\n\nHelmets are mandatory.");
  const auto library = *Library::open(docs.string(), log_);
  wait_for(*library, "mandatory", "Helmets");
  const std::uint64_t warnings = log_.messages(observe::Level::warn);
  fs::rename(docs, folder_ / "away");
  wait_until([&] { return library->state() == Library::State::gone; });
  wait_for(*library, "mandatory", "Helmets");
  EXPECT_EQ(log_.messages(observe::Level::warn), warnings + 1);
  write("docs/a.md", "# Rules\n\nGloves are mandatory.");
  wait_for(*library, "mandatory", "Gloves");
  wait_until([&] { return library->state() == Library::State::good; });
}

// ---- the version -----------------------------------------------------------------------------

TEST_F(DocumentsTest, TheVersionIsADigestOfNamesAndContents) {
  const auto version = [&](const fs::path& folder) {
    const auto library = *Library::open(folder.string(), log_);
    search(*library, "gate");
    return library->version();
  };
  const std::uint64_t before = version(folder_);
  EXPECT_EQ(version(folder_), before);
  const fs::path copy = folder_.string() + "-copy";
  fs::copy(folder_, copy, fs::copy_options::recursive);
  EXPECT_EQ(version(copy), before);
  fs::rename(copy / "plant.md", copy / "plants.md");
  EXPECT_NE(version(copy), before);
  fs::remove_all(copy);
  write("plant.md", "# The plant\n\nIt has three turbines.\n");
  EXPECT_NE(version(folder_), before);
}

TEST_F(DocumentsTest, TheVersionComesBackWithTheContent) {
  const auto library = open();
  search(*library, "gate");
  const std::uint64_t before = library->version();
  write("rules.md", "# Rules\n\nHelmets are mandatory.");
  wait_for(*library, "helmets", "Helmets");
  wait_until([&] { return library->files() == 3; });
  EXPECT_NE(library->version(), before);
  fs::remove(folder_ / "rules.md");
  wait_until([&] { return library->version() == before; });
}

// ---- what is no document ---------------------------------------------------------------------

TEST_F(DocumentsTest, WhatCannotBeReadIsLeftOutAndSaidOnce) {
  write("latin.md", "# Caf\xe9\n\ngate\n");
  write("na\xefve.md", "# Name\n\ngate\n");
  write("huge.md", "# Huge\n\ngate\n");
  fs::resize_file(folder_ / "huge.md", 100 * 1024 * 1024);
  fs::create_symlink("nowhere.md", folder_ / "broken.md");
  fs::create_symlink("loop.md", folder_ / "loop.md");
  fs::create_directory_symlink(".", folder_ / "food/up");
  fs::create_directory_symlink("..", folder_ / "food/round");
  fs::create_directory_symlink("/", folder_ / "everything");
  ASSERT_EQ(mkfifo((folder_ / "pipe.md").c_str(), 0600), 0);
  const auto library = open();
  EXPECT_FALSE(search(*library, "gate").empty());
  EXPECT_EQ(library->files(), 2u);
  EXPECT_EQ(library->left_out(), 2u);  // latin and huge: the others are no files
  // latin, naive, huge, broken, loop, everything; and not again when the folder is looked at again.
  EXPECT_EQ(log_.messages(observe::Level::warn), 6u);
  write("rules.md", "# Rules\n\nHelmets are mandatory.");
  wait_for(*library, "helmets", "Helmets");
  EXPECT_EQ(log_.messages(observe::Level::warn), 6u);
  fs::remove(folder_ / "latin.md");
  write("latin.md", "# Coffee\n\nCoffee comes from the kitchen.");
  wait_for(*library, "coffee", "kitchen");
}

TEST_F(DocumentsTest, AFileThatGrowsTooLargeIsForgotten) {
  write("growing.md", "# Pressure\n\nSix bar.");
  const auto library = open();
  wait_for(*library, "pressure", "Six bar");
  fs::resize_file(folder_ / "growing.md", 100 * 1024 * 1024);
  std::ofstream(folder_ / "growing.md", std::ios::app) << "end";
  wait_for(*library, "pressure", "");
  EXPECT_EQ(library->left_out(), 1u);
}

}  // namespace
}  // namespace penstock::engine
