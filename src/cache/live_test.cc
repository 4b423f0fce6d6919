#include "cache/live.h"

#include <gtest/gtest.h>

namespace penstock::cache {
namespace {

Flight::Head head() {
  Flight::Head head;
  head.status = 201;
  head.content_type = "text/event-stream";
  head.headers = {{"openai-version", "1"}, {"empty", ""}};
  head.length = 7;
  return head;
}

TEST(LiveAnswer, IsReadInPiecesOfAnySize) {
  std::string told = live_head("1234567890123456", "tenant", head());
  add_live_frame(told, 'd', "some");
  add_live_frame(told, 'd', std::string(70'000, 'x'));
  add_live_frame(told, 'e', {});
  for (const std::size_t size : {std::size_t{1}, std::size_t{3}, std::size_t{4096}, told.size()}) {
    LiveFrames frames;
    std::string types, body;
    for (std::size_t at = 0; at < told.size(); at += size) {
      frames.add(std::string_view(told).substr(at, size));
      while (const auto frame = frames.next()) {
        types += frame->type;
        if (frame->type == 'd') body += frame->content;
        if (frame->type != 'h') continue;
        const auto read = read_live_head(frame->content, "tenant");
        ASSERT_TRUE(read);
        EXPECT_EQ(read->status, 201);
        EXPECT_EQ(read->content_type, "text/event-stream");
        ASSERT_EQ(read->headers.size(), 2U);
        EXPECT_EQ(read->headers[0].name, "openai-version");
        EXPECT_EQ(read->headers[0].value, "1");
        EXPECT_EQ(read->length, 7U);
        EXPECT_TRUE(read->elsewhere);
      }
    }
    EXPECT_EQ(types, "hdde") << size;
    EXPECT_EQ(body, "some" + std::string(70'000, 'x'));
    EXPECT_FALSE(frames.broken());
  }
}

TEST(LiveAnswer, BeginsWithWhoseItIs) {
  const std::string a = live_head("aaaaaaaaaaaaaaaa", "t", head()),
                    b = live_head("bbbbbbbbbbbbbbbb", "t", head());
  EXPECT_NE(a.substr(0, kLiveStart), b.substr(0, kLiveStart));
  EXPECT_EQ(a.substr(kLiveStart), b.substr(kLiveStart));
}

TEST(LiveAnswer, OfAnotherScopeOrVersionIsNotRead) {
  const std::string content = live_head("1234567890123456", "tenant", head()).substr(5);
  EXPECT_TRUE(read_live_head(content, "tenant"));
  EXPECT_FALSE(read_live_head(content, "tenan"));
  EXPECT_FALSE(read_live_head(content, ""));
  std::string other = content;
  other[0] = 2;
  EXPECT_FALSE(read_live_head(other, "tenant"));
}

TEST(LiveAnswer, ThatIsCutOffHasNoHead) {
  const std::string content = live_head("1234567890123456", "tenant", head()).substr(5);
  // Between two header fields it may end; anywhere else something is missing.
  const std::size_t fields = content.find("openai-version") - 4;
  for (std::size_t size = 0; size < content.size(); ++size) {
    if (size == fields || size == content.find("empty") - 4) continue;
    EXPECT_FALSE(read_live_head(content.substr(0, size), "tenant")) << size;
  }
}

TEST(LiveAnswer, ThatIsNoneIsTold) {
  for (const std::string& bytes : {std::string("z\0\0\0\0", 5), std::string("d\xff\xff\xff\xff")}) {
    LiveFrames frames;
    frames.add(bytes);
    EXPECT_FALSE(frames.next());
    EXPECT_TRUE(frames.broken());
    std::string more;
    add_live_frame(more, 'e', {});
    frames.add(more);
    EXPECT_FALSE(frames.next());
  }
}

}  // namespace
}  // namespace penstock::cache
