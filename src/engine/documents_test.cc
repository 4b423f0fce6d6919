#include "engine/documents.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace penstock::engine {
namespace {

namespace fs = std::filesystem;

template <class T>
T run(Loop& loop, Task<T> task) {
  std::optional<T> result;
  const auto whole = [](Task<T> work, Loop* on, std::optional<T>* to) -> Task<void> {
    T made = co_await std::move(work);
    to->emplace(std::move(made));
    on->stop();
  };
  loop.io().restart();
  loop.spawn(whole(std::move(task), &loop, &result));
  loop.run();
  return *std::move(result);
}

class DocumentsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "penstock-docs-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    write(
        "plant.md",
        "# The plant\n\nIt has two turbines.\n\n## Opening the gate\n\nTurn the wheel at the gate "
        "to the left, slowly.\nTell the control room before.\n\n```\n# not a heading\n```\n");
    write("food/canteen.txt", "The canteen serves soup on Mondays.\n\nBread comes every day.");
    write(".hidden.md", "# Secret\n\nThe password is swordfish.");
    write("image.png", "binary");
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }

  std::shared_ptr<Library> open() {
    auto library = Library::open(folder_.string(), log_);
    EXPECT_TRUE(library);
    return *library;
  }

  std::vector<Finding> search(Library& library, const std::string& question) {
    Deadline deadline(loop_, Clock::now() + 10s);
    auto found = run(loop_, library.search(question, deadline));
    EXPECT_TRUE(found);
    return *std::move(found);
  }

  // Until a change has been seen: the version is the program's own word for it.
  void wait_for_change(Library& library, std::uint64_t before) {
    const Time limit = Clock::now() + 10s;
    while (library.version() == before && Clock::now() < limit) std::this_thread::yield();
    EXPECT_GT(library.version(), before);
  }

  fs::path folder_;
  std::FILE* null_ = std::fopen("/dev/null", "w");
  observe::Log log_{{observe::Level::error, observe::LogFormat::json, null_}};
  Loop loop_;
};

TEST_F(DocumentsTest, FindsThePassageWithItsSourceAndHeading) {
  const auto library = open();
  const auto found = search(*library, "How do I open the gate?");
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0].source, "plant.md");
  EXPECT_EQ(found[0].passage.heading, "The plant > Opening the gate");
  EXPECT_NE(found[0].passage.text.find("Turn the wheel"), std::string::npos);
  // Stems: "serving" finds "serves".
  const auto soup = search(*library, "When is soup being served?");
  ASSERT_FALSE(soup.empty());
  EXPECT_EQ(soup[0].source, "food/canteen.txt");
}

TEST_F(DocumentsTest, FindsNothingWhereThereIsNothing) {
  const auto library = open();
  EXPECT_TRUE(search(*library, "What is the capital of France?").empty());
  EXPECT_TRUE(search(*library, "swordfish password").empty());
  EXPECT_TRUE(search(*library, "").empty());
  EXPECT_TRUE(search(*library, "?!*\"()").empty());
}

TEST_F(DocumentsTest, TakesNoQuestionForASearchExpression) {
  const auto library = open();
  for (const char* question : {"gate\" OR \"soup", "NEAR(gate soup)", "text:gate", "gate*", "^gate",
                               "gate AND NOT wheel", "-gate", "'; DROP TABLE passage; --"}) {
    search(*library, question);  // no error is the test
  }
  EXPECT_FALSE(search(*library, "open the gate").empty());
}

TEST_F(DocumentsTest, FollowsFilesThatChangeComeAndGo) {
  const auto library = open();
  search(*library, "gate");  // the first reading is over
  std::uint64_t version = library->version();
  write("new/rules.md", "# Rules\n\nHelmets are mandatory in the tunnel.");
  wait_for_change(*library, version);
  ASSERT_FALSE(search(*library, "Are helmets mandatory?").empty());

  version = library->version();
  write("new/rules.md", "# Rules\n\nGloves are mandatory in the tunnel, whatever the season.");
  wait_for_change(*library, version);
  EXPECT_TRUE(search(*library, "helmets").empty());
  ASSERT_FALSE(search(*library, "gloves").empty());

  version = library->version();
  fs::remove(folder_ / "new/rules.md");
  wait_for_change(*library, version);
  EXPECT_TRUE(search(*library, "gloves").empty());
}

TEST_F(DocumentsTest, SaysClearlyWhatIsWrongWithTheFolder) {
  const auto missing = Library::open((folder_ / "gone").string(), log_);
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().detail.find("gone does not exist"), std::string::npos);
  const auto file = Library::open((folder_ / "plant.md").string(), log_);
  ASSERT_FALSE(file);
  EXPECT_NE(file.error().detail.find("is not a folder"), std::string::npos);
}

TEST_F(DocumentsTest, LeavesOutWhatIsNoTextAndGoesOn) {
  write("bad.md", std::string("# Bad\n\n\xff\xfe gate\n"));
  write("zero.md", std::string("# Zero\0gate", 11));
  const auto library = open();
  const auto found = search(*library, "gate");
  ASSERT_FALSE(found.empty());
  for (const Finding& finding : found) EXPECT_EQ(finding.source, "plant.md");
}

TEST_F(DocumentsTest, AQuestionNobodyWaitsForIsLetGo) {
  const auto library = open();
  Deadline deadline(loop_, Time::max());
  deadline.call_off(Why::left);
  const auto found = run(loop_, library->search("gate", deadline));
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().kind, Kind::cancelled);
}

TEST_F(DocumentsTest, AnswersInOpenAisFormsPlainAndStreamed) {
  const auto library = open();
  DocumentsEngine engine("handbook", library);
  std::string body =
      R"({"model":"handbook","messages":[{"role":"user","content":"How do I open the gate?"}]})";
  Question question;
  question.endpoint = Endpoint::chat;
  question.body = body;
  question.model = "handbook";
  const Call call{question, "handbook", {}, "id", false};
  Deadline deadline(loop_, Clock::now() + 10s);
  auto plain = run(loop_, engine.call(call, deadline));
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->status, 200);
  EXPECT_NE(plain->body.find("plant.md"), std::string::npos);
  EXPECT_NE(plain->body.find("\"finish_reason\":\"stop\""), std::string::npos);
  EXPECT_NE(plain->body.find("\"completion_tokens\":"), std::string::npos);
  question.stream = true;
  auto stream = run(loop_, engine.call(call, deadline));
  ASSERT_TRUE(stream);
  EXPECT_TRUE(stream->event_stream());
  EXPECT_TRUE(stream->body.ends_with("data: [DONE]\n\n"));
  question.endpoint = Endpoint::embeddings;
  auto none = run(loop_, engine.call(call, deadline));
  ASSERT_TRUE(none);
  EXPECT_EQ(none->status, 404);
}

TEST(Passages, KeepCodeWholeAndSayWhereTheyStand) {
  const auto passages = cut_into_passages(
      "intro\n\n# One\n\ntext one\n\n## Two\n\n```sh\n# comment\n\nmore\n```\n\n# Three\n\nend\n",
      "file");
  ASSERT_EQ(passages.size(), 4u);
  EXPECT_EQ(passages[0].heading, "file");
  EXPECT_EQ(passages[1].heading, "One");
  EXPECT_EQ(passages[2].heading, "One > Two");
  EXPECT_EQ(passages[2].text, "```sh\n# comment\n\nmore\n```");
  EXPECT_EQ(passages[3].heading, "Three");
}

TEST(Passages, OfOneEndlessLineAreCutBetweenCharacters) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += "ä";
  std::string joined;
  for (const Passage& passage : cut_into_passages(text, "f")) {
    EXPECT_LE(passage.text.size(), 1600u);
    EXPECT_EQ(passage.text.size() % 2, 0u);
    joined += passage.text;
  }
  EXPECT_EQ(joined, text);
}

}  // namespace
}  // namespace penstock::engine
