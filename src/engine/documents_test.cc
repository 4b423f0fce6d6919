#include "engine/documents.h"

#include <gtest/gtest.h>

#include "engine/library_testing.h"

namespace penstock::engine {
namespace {

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
  write("new/rules.md", "# Rules\n\nHelmets are mandatory in the tunnel.");
  wait_for(*library, "Are helmets mandatory?", "Helmets");
  write("new/rules.md", "# Rules\n\nGloves are mandatory in the tunnel, whatever the season.");
  wait_for(*library, "gloves", "Gloves");
  EXPECT_TRUE(search(*library, "helmets").empty());
  fs::remove(folder_ / "new/rules.md");
  wait_for(*library, "gloves", "");
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

}  // namespace
}  // namespace penstock::engine
