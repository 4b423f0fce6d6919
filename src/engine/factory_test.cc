#include "engine/factory.h"

#include <gtest/gtest.h>

#include "engine/library_testing.h"

namespace penstock::engine {
namespace {

class SharedTest : public DocumentsTest {
 protected:
  static settings::EngineSettings engine(const std::string& name, settings::EngineKind kind) {
    settings::EngineSettings made;
    made.name = name;
    made.kind = kind;
    return made;
  }
  settings::EngineSettings documents(const std::string& name, const std::string& path) {
    settings::EngineSettings made = engine(name, settings::EngineKind::documents);
    made.path = (folder_ / path).string();
    return made;
  }
  Health health(const std::string& name) const {
    for (const Health& one : shared_.health()) {
      if (one.name == name) return one;
    }
    return {};
  }

  settings::Settings settings_;
  observe::Registry registry_{1};
  Shared shared_{registry_, log_};
};

TEST_F(SharedTest, HealthNamesEveryEngineOnceByItsOwnName) {
  write("x/docs/a.md", "# A\n\nOne.");
  write("y/docs/a.md", "# A\n\nOne.\n\n# B\n\nTwo.");
  settings_.engines = {
      documents("x", "x/docs"), documents("y", "y/docs"), documents("again", "y/docs"),
      engine("fake", settings::EngineKind::simulated), engine("gpu", settings::EngineKind::openai)};
  settings_.engines.back().url = "http://127.0.0.1:1/v1";
  ASSERT_TRUE(shared_.open(settings_));
  wait_until([&] { return health("x").usable && health("y").usable; });
  std::vector<std::string> names;
  for (const Health& one : shared_.health()) {
    names.push_back(one.name);
    EXPECT_TRUE(one.good) << one.name;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"x", "y", "again", "fake", "gpu"}));
  EXPECT_EQ(health("x").detail, "1 passage");
  EXPECT_EQ(health("again").detail, "2 passages");
}

TEST_F(SharedTest, IsReadyWhenAnyEngineCanAnswer) {
  EXPECT_TRUE(shared_.ready());  // nothing is configured, nothing is missing
  std::string much;
  for (int i = 0; i < 40'000; ++i) much += "Sentence " + std::to_string(i) + " of very many.\n\n";
  write("docs/a.md", much);
  settings_.engines = {documents("handbook", "docs")};
  ASSERT_TRUE(shared_.open(settings_));
  EXPECT_FALSE(shared_.ready());  // reading it takes much longer than coming here
  EXPECT_EQ(health("handbook").detail, "the documents are being read for the first time");
  wait_until([&] { return shared_.ready(); });
  EXPECT_TRUE(health("handbook").good);
  // An engine behind a network is taken for usable while documents are read.
  write("more/a.md", much);
  settings_.engines = {documents("more", "more"), engine("fake", settings::EngineKind::simulated)};
  ASSERT_TRUE(shared_.open(settings_));
  EXPECT_TRUE(shared_.ready());
}

TEST_F(SharedTest, AFolderThatIsGoneIsSaidWithWhatIsStillThere) {
  write("docs/a.md", "# A\n\nOne.");
  write("docs/b.md", "\xff");
  settings_.engines = {documents("handbook", "docs")};
  ASSERT_TRUE(shared_.open(settings_));
  wait_until([&] { return health("handbook").good; });
  EXPECT_EQ(health("handbook").detail, "1 passage, 1 file left out");
  fs::rename(folder_ / "docs", folder_ / "away");
  wait_until([&] { return !health("handbook").good; });
  EXPECT_EQ(health("handbook").detail,
            "the folder of documents cannot be read; answers come from what was read before: "
            "1 passage, 1 file left out");
  EXPECT_TRUE(health("handbook").usable);
  EXPECT_TRUE(shared_.ready());
}

}  // namespace
}  // namespace penstock::engine
