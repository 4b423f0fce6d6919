#include "store/spool.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "store/record.h"

namespace penstock::store {
namespace {

class SpoolTest : public testing::Test {
 protected:
  SpoolTest() {
    std::string folder = std::filesystem::temp_directory_path() / "penstock-spool-XXXXXX";
    folder_ = mkdtemp(folder.data());
  }
  ~SpoolTest() override { std::filesystem::remove_all(folder_); }

  static void put(Segment& segment, std::string_view text) {
    char* const to = segment.begin(kRow, text.size(), 0);
    ASSERT_NE(nullptr, to);
    text.copy(to, text.size());
    segment.commit();
  }
  static bool put(Spool& spool, std::string_view text) {
    const std::lock_guard lock(spool.mutex());
    char* const to = spool.begin(kRow, text.size(), 0);
    if (to == nullptr) return false;
    text.copy(to, text.size());
    spool.commit();
    return true;
  }
  // All records, and "!" for one that is damaged, "?" where the rest is lost.
  static std::vector<std::string> read(std::string_view bytes) {
    std::vector<std::string> out;
    const SegmentHead head = read_head(bytes);
    EXPECT_EQ(SegmentHead::What::good, head.what);
    std::size_t at = head.done;
    for (Record record;;) {
      switch (read_record(bytes, head.tail, at, record)) {
        case Found::end: return out;
        case Found::lost: out.emplace_back("?"); return out;
        case Found::damaged: out.emplace_back("!"); break;
        case Found::record: out.emplace_back(record.payload); break;
      }
    }
  }
  // What is there to be read; all of it is then done with.
  static std::vector<std::string> drain(Spool& spool) {
    std::vector<std::string> out;
    for (;;) {
      const Spool::Part part = spool.part();
      if (part.segment == nullptr) return out;
      std::size_t at = part.from;
      Record record;
      while (read_record(part.segment->bytes(), part.to, at, record) == Found::record) {
        out.emplace_back(record.payload);
      }
      EXPECT_EQ(part.to, at);
      spool.advance(at);
    }
  }
  static std::string contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::size_t files() const {
    std::size_t count = 0;
    for (const auto& one : std::filesystem::directory_iterator(folder_)) {
      if (one.path().extension() == ".spool") ++count;
    }
    return count;
  }

  std::string folder_;
};
using Segments = SpoolTest;
using Spools = SpoolTest;
using Sums = SpoolTest;

TEST_F(Segments, AreReadAsTheyWereWritten) {
  auto segment = Segment::create(folder_ + "/a", 4096, 7, 1);
  ASSERT_TRUE(segment.ok()) << segment.error().detail;
  put(**segment, "one");
  put(**segment, "");
  put(**segment, std::string(1000, 'x'));
  const std::vector<std::string> expected = {"one", "", std::string(1000, 'x')};
  EXPECT_EQ(expected, read((*segment)->bytes()));
  EXPECT_EQ(expected, read(contents(folder_ + "/a")));  // without a call of the kernel
  EXPECT_EQ(nullptr, (*segment)->begin(kRow, 4000, 0));
  EXPECT_EQ(expected, read((*segment)->bytes()));
}

TEST_F(Segments, SkipWhatIsDoneWithAndAreEmptyWhenUsedAgain) {
  auto made = Segment::create(folder_ + "/a", 4096, 7, 1);
  ASSERT_TRUE(made.ok());
  Segment& segment = **made;
  put(segment, "one");
  segment.set_done(segment.tail());
  put(segment, "two");
  EXPECT_EQ(std::vector<std::string>{"two"}, read(segment.bytes()));
  segment.reuse(2);
  EXPECT_TRUE(read(segment.bytes()).empty());
  put(segment, "three");
  EXPECT_EQ(std::vector<std::string>{"three"}, read(segment.bytes()));
}

TEST_F(Segments, KeepARecordThatWasBegunAndNotCommittedToThemselves) {
  auto made = Segment::create(folder_ + "/a", 4096, 7, 1);
  ASSERT_TRUE(made.ok());
  put(**made, "whole");
  char* const to = (*made)->begin(kRow, 100, 0);
  std::memset(to, 'h', 50);  // and here the process ends
  EXPECT_EQ(std::vector<std::string>{"whole"}, read(contents(folder_ + "/a")));
}

TEST_F(Segments, TellADamagedRecordFromTheGoodOnesAroundIt) {
  auto made = Segment::create(folder_ + "/a", 4096, 7, 1);
  ASSERT_TRUE(made.ok());
  for (const char* text : {"first one", "second", "third"}) put(**made, text);
  std::string bytes((*made)->bytes());
  const std::size_t second = bytes.find("second");
  for (const std::size_t at : {second, second + 5, second - 8, second - 12, second - 10}) {
    std::string torn = bytes;
    torn[at] = static_cast<char>(torn[at] ^ 0x20);
    const auto found = read(torn);
    ASSERT_FALSE(found.empty());
    EXPECT_EQ("first one", found.front());
    EXPECT_TRUE(found[1] == "!" || found[1] == "?") << at;
    EXPECT_EQ(0, std::count(found.begin(), found.end(), "second"));
  }
  bytes[second] = 'S';
  EXPECT_EQ((std::vector<std::string>{"first one", "!", "third"}), read(bytes));
}

TEST_F(Segments, LoseTheRestWhereALengthMeansNothing) {
  auto made = Segment::create(folder_ + "/a", 4096, 7, 1);
  ASSERT_TRUE(made.ok());
  put(**made, "first");
  put(**made, "second");
  std::string bytes((*made)->bytes());
  const std::size_t length = bytes.find("second") - kRecordHead;
  bytes.replace(length, 4, "\xff\xff\xff\x7f");
  EXPECT_EQ((std::vector<std::string>{"first", "?"}), read(bytes));
  // A power failure: the page with the record never came to the disk.
  bytes.replace(length, 64, 64, '\0');
  const auto found = read(bytes);
  EXPECT_EQ("first", found[0]);
  EXPECT_EQ(0, std::count(found.begin(), found.end(), "second"));
}

TEST_F(Segments, AreToldFromOtherFiles) {
  auto made = Segment::create(folder_ + "/a", 4096, 7, 1);
  ASSERT_TRUE(made.ok());
  put(**made, "x");
  const std::string good((*made)->bytes());
  EXPECT_EQ(SegmentHead::What::empty, read_head("").what);
  EXPECT_EQ(SegmentHead::What::empty, read_head(std::string(4096, '\0')).what);
  EXPECT_EQ(SegmentHead::What::damaged, read_head("hello").what);
  EXPECT_EQ(SegmentHead::What::damaged, read_head(std::string(4096, 'x')).what);
  EXPECT_EQ(SegmentHead::What::damaged, read_head(good.substr(0, 260)).what) << "cut off";
  std::string newer = good;
  newer[8] = 2;
  EXPECT_EQ(SegmentHead::What::version, read_head(newer).what);
  EXPECT_EQ(2u, read_head(newer).version);
  std::string torn = good;
  torn[24] = 'x';
  EXPECT_EQ(SegmentHead::What::damaged, read_head(torn).what);
}

TEST_F(Spools, GoOnInTheNextSegmentAndUseTheFirstAgain) {
  SpoolFolder folder({folder_});
  ASSERT_TRUE(folder.open().ok());
  Spool spool(folder, 4096);
  std::vector<std::string> expected;
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 30; ++i) {
      expected.push_back(std::to_string(i) + std::string(300, 'r'));
      ASSERT_TRUE(put(spool, expected.back()));
    }
    EXPECT_EQ(expected, drain(spool));
    EXPECT_LE(files(), 2u);  // the last and a spare one
    expected.clear();
  }
  spool.finish();
  EXPECT_EQ(0u, files());
}

TEST_F(Spools, TakeARecordThatIsLargerThanASegment) {
  SpoolFolder folder({folder_});
  ASSERT_TRUE(folder.open().ok());
  Spool spool(folder, 4096);
  const std::string large(100'000, 'l');
  ASSERT_TRUE(put(spool, "small"));
  ASSERT_TRUE(put(spool, large));
  ASSERT_TRUE(put(spool, "small again"));
  EXPECT_EQ((std::vector<std::string>{"small", large, "small again"}), drain(spool));
}

TEST_F(Spools, KeepWhatIsHeld) {
  SpoolFolder folder({folder_});
  ASSERT_TRUE(folder.open().ok());
  Spool spool(folder, 4096);
  ASSERT_TRUE(put(spool, "before"));
  {
    const std::lock_guard lock(spool.mutex());
    spool.begin(kRow, 0, 0);
    spool.hold();
    spool.commit();
  }
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(put(spool, std::string(300, 'a')));
  EXPECT_EQ(std::vector<std::string>{"before"}, drain(spool));
  spool.release();
  EXPECT_EQ(21u, drain(spool).size());
}

TEST_F(Spools, AreBoundedInBytes) {
  SpoolFolder folder({folder_, 1000, 16 * 4096});
  ASSERT_TRUE(folder.open().ok());
  Spool spool(folder, 4096);
  std::size_t taken = 0;
  while (put(spool, std::string(1000, 'b'))) ++taken;
  EXPECT_EQ(16u, files());
  EXPECT_EQ(16u * 3, taken);
  EXPECT_EQ(taken, drain(spool).size());
  EXPECT_TRUE(put(spool, "there is room again"));
}

TEST_F(Spools, HaveAPlaceEachInOneFolder) {
  const auto names = [](const SpoolFolder& folder) {
    std::vector<std::string> out;
    for (const std::string& path : folder.left()) out.push_back(path.substr(path.rfind('/') + 1));
    return out;
  };
  const auto leave = [&](SpoolFolder& folder, const std::string& text) {
    Spool spool(folder, 4096);
    EXPECT_TRUE(put(spool, text));
    spool.finish();
  };
  SpoolFolder third({folder_ + "/a/b"});
  {
    SpoolFolder first({folder_ + "/a/b"});
    ASSERT_TRUE(first.open().ok());
    SpoolFolder second({folder_ + "/a/b"});
    ASSERT_TRUE(second.open().ok());
    leave(first, "of the first");
    leave(second, "of the second");
    // Who is at work is left alone.
    ASSERT_TRUE(third.open().ok());
    EXPECT_TRUE(names(third).empty());
  }
  // What the two left is found by who comes next, in the order in which it was written.
  SpoolFolder fourth({folder_ + "/a/b"});
  ASSERT_TRUE(fourth.open().ok());
  const std::vector<std::string> left = names(fourth);
  EXPECT_EQ(left.size(), 2u);
  EXPECT_TRUE(std::is_sorted(left.begin(), left.end()));
  SpoolFolder fifth({folder_ + "/a/b"});
  ASSERT_TRUE(fifth.open().ok());
  EXPECT_TRUE(names(fifth).empty());
}

TEST_F(Sums, AreThoseOfSoManyHitsWhereverAWriteEnds) {
  alignas(64) std::array<Counters, 2> lines{};
  const auto text = [&] {
    return std::string_view(reinterpret_cast<const char*>(lines.data()), sizeof lines);
  };
  EXPECT_FALSE(read_counters(text()));
  for (std::uint64_t i = 1; i <= 5; ++i) {
    const std::array<Counters, 2> before = lines;
    add_hit(lines.data(), {10 * i, 2, 3, 4}, 7, 11);
    const std::array<Counters, 2> after = lines;
    // Whatever of the line has been written when the process ends, the sum is that before the hit.
    for (std::size_t words = 0; words < 8; ++words) {
      lines = before;
      const std::size_t which = i & 1;
      std::memcpy(&lines[which], &after[which], words * 8);
      const auto read = read_counters(text());
      EXPECT_EQ(i - 1, read ? read->count : 0) << words;
      EXPECT_EQ(2 * (i - 1), read ? read->output : 0);
      EXPECT_EQ(5 * i * (i - 1), read ? read->input : 0);
    }
    lines = after;
    const auto read = read_counters(text());
    ASSERT_TRUE(read);
    EXPECT_EQ(i, read->count);
    EXPECT_EQ(5 * i * (i + 1), read->input);
    EXPECT_EQ(static_cast<std::int64_t>(7 * i), read->cost);
    EXPECT_EQ(static_cast<std::int64_t>(11 * i), read->duration_us);
  }
}

TEST_F(Sums, HaveTheAverageComplexityOfTheirQuestions) {
  UsageRow row;
  std::string payload(encoded_size(row), '\0');
  encode(row, row.id, payload.data());
  alignas(64) std::array<Counters, 2> lines{};
  const auto complexity = [&] {
    const std::string_view text(reinterpret_cast<const char*>(lines.data()), sizeof lines);
    const auto read = read_row(kSum, payload, text);
    EXPECT_TRUE(read);
    return read ? read->complexity : std::nullopt;
  };
  EXPECT_FALSE(complexity());
  for (const float one : {0.42F, 0.0F, 1.0F, 0.58F}) add_hit(lines.data(), {}, 0, 1, one);
  EXPECT_DOUBLE_EQ(0.5, complexity().value_or(-1));
  lines = {};
  add_hit(lines.data(), {}, 0, 1, 0);
  EXPECT_DOUBLE_EQ(0, complexity().value_or(-1));
  lines = {};
  for (int i = 0; i < 3; ++i) add_hit(lines.data(), {}, 0, 1);
  EXPECT_FALSE(complexity()) << "of embeddings";
}

TEST(Records, HoldAllOfARow) {
  UsageRow row;
  Random random(1);
  row.id = make_uuid7(1000, random);
  row.time_us = 1'000'001;
  row.tenant = "acme";
  row.key = "key_1";
  row.model = "m";
  row.engine = "e";
  row.route = "chat";
  row.status = 499;
  row.cache = "miss";
  row.count = 3;
  row.tokens = {1, 2, 3, 4};
  row.cost = -5;
  row.complexity = 0.25;
  row.duration_us = 6;
  row.engine_us = 7;
  row.first_token_us = 8;
  row.session = "s";
  row.request_id = "r";
  row.trace_id = std::string(32, 'a');
  row.error = "x";
  row.question = std::string("q\0q", 3);
  row.answer = std::string(100'000, 'a');
  std::string bytes(encoded_size(row), '\0');
  encode(row, row.id, bytes.data());
  const auto read = decode(bytes);
  ASSERT_TRUE(read);
  std::string again(encoded_size(*read), '\0');
  encode(*read, read->id, again.data());
  EXPECT_EQ(bytes, again);
  EXPECT_EQ(row.question, read->question);
  EXPECT_EQ(row.answer, read->answer);
  EXPECT_EQ(row.id, read->id);
  EXPECT_EQ(0.25, read->complexity);
  EXPECT_EQ(8, read->first_token_us);
  EXPECT_EQ(4u, read->tokens.reasoning);
  EXPECT_EQ(499, read->status);
  for (const std::size_t cut : {std::size_t{0}, std::size_t{100}, bytes.size() - 1}) {
    EXPECT_FALSE(decode(std::string_view(bytes).substr(0, cut)));
  }
  EXPECT_FALSE(decode(bytes + "x"));
}

}  // namespace
}  // namespace penstock::store
