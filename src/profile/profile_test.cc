#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <thread>

#include "profile/cpu.h"
#include "profile/flame.h"
#include "profile/heap.h"
#include "profile/pprof.h"

namespace penstock::profile {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// ---- functions that are looked for -------------------------------------------------------------

std::vector<Address> seen;

__attribute__((noinline)) int innermost() {
  std::array<Address, kMostFrames> frames{};
  const std::size_t count = walk(place_here(), frames);
  seen.assign(frames.begin(), frames.begin() + static_cast<std::ptrdiff_t>(count));
  return static_cast<int>(count);
}
__attribute__((noinline)) int middle() { return innermost() + 1; }
__attribute__((noinline)) int outermost() { return middle() + 1; }

extern "C" int compared(const void*, const void*) { return innermost() * 0; }

// The C library's function calls ours back.
__attribute__((noinline)) int sorting() {
  std::array<int, 3> numbers = {3, 1, 2};
  std::qsort(numbers.data(), numbers.size(), sizeof(int), &compared);
  return numbers[0];
}

std::atomic<bool> stopped{false};
std::atomic<unsigned> kept{0};

__attribute__((noinline)) void burn_first() {
  for (unsigned i = 0; i < 1000; ++i) kept = kept * 31 + i;
}
__attribute__((noinline)) void burn_second() {
  for (unsigned i = 0; i < 1000; ++i) kept = kept * 37 + i;
}

std::vector<std::string> names_of(const std::vector<Address>& frames, const Symbols& symbols) {
  std::vector<std::string> names;
  for (const Address frame : frames) names.push_back(symbols.at(frame).name);
  return names;
}

std::string short_name(const std::string& name) { return name.substr(name.rfind(':') + 1); }

// ---- stacks and names
// ----------------------------------------------------------------------------

TEST(Stack, HasTheCallsUnderWayTheInnermostFirst) {
  outermost();
  const Symbols symbols;
  std::vector<std::string> names = names_of(seen, symbols);
  ASSERT_GE(names.size(), 4U);
  for (std::string& name : names) name = short_name(name);
  EXPECT_EQ(std::vector(names.begin(), names.begin() + 3),
            (std::vector<std::string>{"innermost", "middle", "outermost"}));
  EXPECT_THAT(names, Contains("TestBody"));
}

TEST(Stack, GoesThroughALibraryWithoutFramePointers) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  // Its wide frames leave words of earlier calls behind, which look like callers.
  GTEST_SKIP() << "a sanitizer's stack is not what is shipped";
#endif
  sorting();
  const Symbols symbols;
  std::vector<std::string> names = names_of(seen, symbols);
  for (std::string& name : names) name = short_name(name);
  EXPECT_THAT(names, Contains("compared"));
  EXPECT_THAT(names, Contains("sorting")) << ::testing::PrintToString(names);
  EXPECT_THAT(names, Contains("TestBody")) << ::testing::PrintToString(names);
}

TEST(Stack, ThatIsNoneEndsAndFaultsNowhere) {
  std::array<Address, kMostFrames> frames{};
  const Address here = place_here().instruction;
  EXPECT_EQ(walk({here, 0, 0}, frames), 1U);
  EXPECT_EQ(walk({here, 0x10, 0x10}, frames), 1U);
  EXPECT_EQ(walk({here, 0xdeadbeef000, 0xdeadbeef000}, frames), 1U);
  EXPECT_EQ(walk({here, ~Address{0} - 7, ~Address{0} - 7}, frames), 1U);
  EXPECT_EQ(walk({here, 0x12345, 0x54321}, frames), 1U);   // no word lies there
  EXPECT_EQ(walk({0x7fff00000000, 0, 0x10}, frames), 1U);  // in no code
  EXPECT_EQ(walk({0, 0, 0}, frames), 0U);
  const std::array<Address, 2> circle = {reinterpret_cast<Address>(circle.data()), here};
  EXPECT_LE(walk({here, circle[0], circle[0]}, frames), 2U);
}

TEST(Stack, IsCutToTheRoomThatThereIs) {
  std::array<Address, 2> frames{};
  EXPECT_EQ(walk(place_here(), frames), 2U);
}

TEST(Name, IsWithoutParametersAndWhatItReturns) {
  EXPECT_EQ(readable_name("_ZN8penstock4baseEv"), "penstock::base");
  EXPECT_EQ(readable_name("main"), "main");
  EXPECT_EQ(readable_name("_ZNKSt6vectorIiSaIiEE4sizeEv"),
            "std::vector<int, std::allocator<int> >::size");
  // A template says what it returns.
  EXPECT_EQ(readable_name("_ZSt4moveIRiEONSt16remove_referenceIT_E4typeEOS2_"), "std::move<int&>");
  EXPECT_EQ(readable_name("_ZN12_GLOBAL__N_13fooEi"), "(anonymous namespace)::foo");
  EXPECT_EQ(readable_name("_ZlsRSoi"), "operator<<");
  EXPECT_EQ(readable_name("_ZN1AcviEv"), "A::operator int");
  EXPECT_EQ(readable_name("_ZN1AclEi"), "A::operator()");
  EXPECT_EQ(readable_name("_Z3fooi.constprop.0"), "foo");
  EXPECT_EQ(
      readable_name(
          "_ZN8penstock5cache6Reader4headEPZNS1_4headERNS_8DeadlineEE51_ZN8penstock5cache6Reader4"
          "headERNS_8DeadlineE.Frame.actor"),
      "penstock::cache::Reader::head");
  EXPECT_EQ(readable_name("_Znwm"), "operator new");
  EXPECT_EQ(readable_name("_Zbroken"), "_Zbroken");
  EXPECT_EQ(readable_name(""), "");
}

TEST(Name, IsTheFilesWhereThereIsNone) {
  const Symbols symbols;
  EXPECT_EQ(symbols.at(0x10).name, "[unknown]");
  EXPECT_EQ(symbols.at(0x10).mapping, symbols.mappings().size());
  const Named own = symbols.at(place_here().instruction);
  ASSERT_LT(own.mapping, symbols.mappings().size());
  EXPECT_THAT(symbols.mappings()[own.mapping].path, HasSubstr("profile_test"));
  EXPECT_GE(symbols.mappings()[own.mapping].build_id.size(), 16U);
}

// ---- the CPU
// -------------------------------------------------------------------------------------

// Runs `work` on so many threads while a profile is taken, and returns it.
template <class Work>
Profile profiled(int threads, Duration time, const Work& work) {
  Result<CpuSampler> sampler = CpuSampler::begin();
  EXPECT_TRUE(sampler.ok());
  stopped = false;
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i) {
    running.emplace_back([&] {
      while (!stopped) work();
    });
  }
  for (const Time end = Clock::now() + time; Clock::now() < end;) {
    std::this_thread::sleep_for(50ms);
    sampler->collect();
  }
  stopped = true;
  for (std::thread& one : running) one.join();
  return sampler->end();
}

double share_of(const Stacks& stacks, const std::string& name) {
  std::int64_t whole = 0, of_name = 0;
  for (const auto& [names, count] : stacks) {
    whole += count;
    const auto is = [&](const std::string& one) { return short_name(one) == name; };
    if (std::any_of(names.begin(), names.end(), is)) of_name += count;
  }
  return whole == 0 ? 0 : static_cast<double>(of_name) / static_cast<double>(whole);
}

TEST(Cpu, SaysWhereTheTimeGoes) {
  const Profile profile = profiled(1, 1500ms, [] {
    burn_first();
    for (int i = 0; i < 3; ++i) burn_second();
  });
  const Symbols symbols;
  const Result<Stacks> stacks = read_folded(folded(profile, symbols));
  ASSERT_TRUE(stacks.ok());
  EXPECT_NEAR(share_of(*stacks, "burn_first"), 0.25, 0.12);
  EXPECT_NEAR(share_of(*stacks, "burn_second"), 0.75, 0.12);
  EXPECT_EQ(profile.lost, 0U);
}

TEST(Cpu, CountsTheTimeOfEachThreadAndOfThoseThatCameLater) {
  const std::clock_t before = std::clock();
  const Profile profile = profiled(4, 1500ms, [] { burn_first(); });
  const double used = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  std::int64_t counted = 0;
  for (const Sample& sample : profile.samples) counted += sample.values[1];
  EXPECT_NEAR(static_cast<double>(counted) / 1e9, used, 0.15 * used);
}

TEST(Cpu, IsNotUsedByWhatWaits) {
  const Profile profile = profiled(2, 500ms, [] { std::this_thread::sleep_for(20ms); });
  std::int64_t counted = 0;
  for (const Sample& sample : profile.samples) counted += sample.values[0];
  EXPECT_LE(counted, 5);
}

TEST(Cpu, IsLookedAtByOneAtATime) {
  {
    Result<CpuSampler> first = CpuSampler::begin();
    ASSERT_TRUE(first.ok());
    Result<CpuSampler> second = CpuSampler::begin();
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().kind, Kind::exhausted);
  }
  EXPECT_TRUE(CpuSampler::begin().ok());  // whoever is destroyed gives it back
}

// ---- the heap
// ------------------------------------------------------------------------------------

std::vector<std::unique_ptr<std::string>> held;

__attribute__((noinline)) void hold(std::size_t count, std::size_t bytes) {
  for (std::size_t i = 0; i < count; ++i) held.push_back(std::make_unique<std::string>(bytes, 'x'));
}

std::int64_t in_use_below(const std::string& name, std::size_t measure) {
  const Result<Profile> profile = heap_profile();
  if (!profile) return -1;
  const Symbols symbols;
  std::int64_t sum = 0;
  for (const Sample& sample : profile->samples) {
    const std::vector<std::string> names = names_of(sample.frames, symbols);
    const auto is = [&](const std::string& one) { return short_name(one) == name; };
    if (std::any_of(names.begin(), names.end(), is)) sum += sample.values[measure];
  }
  return sum;
}

__attribute__((noinline)) char* grow(char* from, std::size_t bytes) {
  return static_cast<char*>(std::realloc(from, bytes));
}

class Heap : public ::testing::Test {
 protected:
  void SetUp() override {
    sample_heap(4096);
    if (!heap_profile()) GTEST_SKIP() << "a sanitizer's malloc is not sampled";
  }
  void TearDown() override { held.clear(); }
};

TEST_F(Heap, SaysWhoHoldsHowMuch) {
  hold(20'000, 1000);
  const double bytes = 20'000 * 1000.0;
  EXPECT_NEAR(static_cast<double>(in_use_below("hold", 3)), bytes, 0.1 * bytes);
  held.clear();
  held.shrink_to_fit();
  EXPECT_LT(in_use_below("hold", 3), 0.02 * bytes);
  // What was allocated is told of all the same.
  EXPECT_NEAR(static_cast<double>(in_use_below("hold", 1)), bytes, 0.1 * bytes);
}

TEST_F(Heap, KnowsLargeBlocksAndWhatTheyGrowTo) {
  char* block = grow(nullptr, 10'000'000);
  block = grow(block, 20'000'000);
  EXPECT_NEAR(static_cast<double>(in_use_below("grow", 3)), 20e6, 1e4);
  std::free(block);
  EXPECT_LT(in_use_below("grow", 3), 10'000);
}

TEST_F(Heap, GivesMemoryAsMallocPromises) {
  for (int round = 0; round < 3000; ++round) {
    auto* text = static_cast<char*>(std::malloc(100));
    ASSERT_EQ(reinterpret_cast<Address>(text) % alignof(std::max_align_t), 0U);
    std::memset(text, 7, 100);
    text = static_cast<char*>(std::realloc(text, 9000));
    ASSERT_TRUE(std::all_of(text, text + 100, [](char c) { return c == 7; }));
    text = static_cast<char*>(std::realloc(text, 50));
    ASSERT_TRUE(std::all_of(text, text + 50, [](char c) { return c == 7; }));
    std::free(text);
    auto* zeros = static_cast<char*>(std::calloc(50, 100));
    ASSERT_TRUE(std::all_of(zeros, zeros + 5000, [](char c) { return c == 0; }));
    std::memset(zeros, 1, 5000);
    std::free(zeros);
    void* aligned = nullptr;
    ASSERT_EQ(::posix_memalign(&aligned, 4096, 10), 0);
    std::free(aligned);
  }
  // Large ones, which grow where they are or move.
  auto* large = static_cast<char*>(std::malloc(200'000));
  std::memset(large, 5, 200'000);
  for (const std::size_t size : {300'000U, 3'000'000U, 30'000'000U, 400'000U, 100U, 500'000U}) {
    large = static_cast<char*>(std::realloc(large, size));
    ASSERT_TRUE(std::all_of(large, large + 100, [](char c) { return c == 5; }));
    std::memset(large, 5, size);
  }
  std::free(large);
  auto* clean = static_cast<char*>(std::calloc(1000, 1000));
  ASSERT_TRUE(std::all_of(clean, clean + 1'000'000, [](char c) { return c == 0; }));
  std::free(clean);
  std::free(nullptr);
  volatile std::size_t huge = ~std::size_t{0} / 2;
  EXPECT_EQ(std::malloc(huge), nullptr);
  EXPECT_EQ(std::calloc(huge, 4), nullptr);
  EXPECT_THROW(static_cast<void>(std::string(huge / 2, 'x')), std::bad_alloc);
}

TEST_F(Heap, IsCountedFromManyThreadsAtOnce) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      std::vector<std::unique_ptr<char[]>> mine;
      for (std::size_t n = 0; n < 200'000; ++n) {
        if (mine.size() == 100) mine.clear();
        mine.push_back(std::make_unique<char[]>(n % 3000 + 1));
      }
    });
  }
  for (std::thread& one : threads) one.join();
  const Result<Profile> profile = heap_profile();
  ASSERT_TRUE(profile.ok());
  EXPECT_EQ(profile->lost, 0U);
  const std::int64_t left = in_use_below("make_unique<char[]>", 3);
  EXPECT_LT(left, 100'000);
}

// ---- what is written
// -----------------------------------------------------------------------------

TEST(Folded, IsReadAsItIsWritten) {
  const Result<Stacks> stacks =
      read_folded("main;serve;answer 42\nmain 7\n\nmain;serve;answer 1\n");
  ASSERT_TRUE(stacks.ok());
  EXPECT_EQ(stacks->size(), 2U);
  EXPECT_EQ(stacks->at({"main", "serve", "answer"}), 43);
  EXPECT_EQ(stacks->at({"main"}), 7);
  EXPECT_FALSE(read_folded("main").ok());
  EXPECT_FALSE(read_folded("main ").ok());
  EXPECT_FALSE(read_folded("main -5").ok());
  EXPECT_FALSE(read_folded("<html>\n").ok());
  EXPECT_TRUE(read_folded("").ok());
  EXPECT_TRUE(read_folded("operator new;f(a b) 3").ok());
}

TEST(Folded, HasTheHottestByWhatIsTheirOwn) {
  const Stacks stacks = {{{"main", "f"}, 5}, {{"main", "g", "f"}, 3}, {{"main", "g"}, 4}};
  const std::vector<Hot> hot = hottest(stacks);
  ASSERT_EQ(hot.size(), 3U);
  EXPECT_EQ(hot[0].name, "f");
  EXPECT_EQ(hot[0].own, 8);
  EXPECT_EQ(hot[1].name, "g");
  EXPECT_EQ(hot[1].whole, 7);
  EXPECT_EQ(hot[2].whole, 12);
  // A function that calls itself counts once.
  EXPECT_EQ(hottest({{{"f", "f"}, 2}})[0].whole, 2);
}

TEST(Flame, IsAPictureWithEveryNameThatIsWideEnough) {
  const Stacks stacks = {
      {{"main", "a<b>&\"c\""}, 900}, {{"main", "narrow"}, 99}, {{"main", "unseen"}, 1}};
  const std::string svg = flame_svg(stacks, {"CPU, 10 s", "ns"});
  EXPECT_THAT(svg, StartsWith("<?xml"));
  EXPECT_THAT(svg, HasSubstr("a&lt;b&gt;&amp;&quot;c&quot;"));
  EXPECT_THAT(svg, Not(HasSubstr("a<b>")));
  EXPECT_THAT(svg, HasSubstr("90.00 %"));
  EXPECT_THAT(flame_svg({}, {"CPU", "ns"}), HasSubstr("Nothing was counted."));
}

TEST(Amount, IsForPeople) {
  EXPECT_EQ(amount_text(1'250'000'000, "ns"), "1.25 s");
  EXPECT_EQ(amount_text(100, "bytes"), "100 bytes");
  EXPECT_EQ(amount_text(3'565'158, "bytes"), "3.4 MiB");
  EXPECT_EQ(amount_text(17, "samples"), "17 samples");
}

TEST(Pprof, IsGzipOfAProfile) {
  outermost();
  Profile profile;
  profile.measures = {{"samples", "count"}, {"cpu", "nanoseconds"}};
  profile.period_type = {"cpu", "nanoseconds"};
  profile.shown = 1;
  profile.samples.push_back({seen, {3, 30'000'000}});
  const Symbols symbols;
  const std::string written = pprof(profile, symbols);
  ASSERT_THAT(written, StartsWith("\x1f\x8b"));
  std::string text(1 << 20, '\0');
  z_stream stream{};
  ASSERT_EQ(::inflateInit2(&stream, 15 + 16), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(written.data()));
  stream.avail_in = static_cast<uInt>(written.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  EXPECT_EQ(::inflate(&stream, Z_FINISH), Z_STREAM_END);
  text.resize(stream.total_out);
  ::inflateEnd(&stream);
  EXPECT_THAT(text, HasSubstr("outermost"));
  EXPECT_THAT(text, HasSubstr("nanoseconds"));
}

}  // namespace
}  // namespace penstock::profile
