#include "observe/log.h"

#include <gtest/gtest.h>

namespace penstock::observe {
namespace {

constexpr std::int64_t kAt = 1'795'532'347'958'281;  // 2026-11-24T14:59:07.958281Z

TEST(LogRecord, IsOneLineOfJson) {
  EXPECT_EQ(format_record(true, false, kAt, Level::info, "listening",
                          {{"address", "127.0.0.1:8080"}, {"workers", 2}, {"tls", false}}),
            R"({"time":"2026-11-24T14:59:07.958281Z","level":"info","message":"listening",)"
            R"("address":"127.0.0.1:8080","workers":2,"tls":false})");
}

TEST(LogRecord, HoldsWhatAClientPutsIntoItInside) {
  const std::string_view evil("a\r\nlevel=error \x1b[31m\"\\\x7f\x80\0z", 26);
  const std::string json = format_record(true, false, kAt, Level::info, "m", {{"user", evil}});
  EXPECT_NE(json.find(R"(a\u000d\u000alevel=error \u001b[31m\"\\\u007f\ufffd\u0000z)"),
            std::string::npos)
      << json;
  const std::string text = format_record(false, false, kAt, Level::info, "m", {{"user", evil}});
  for (const char c : json + text) {
    EXPECT_GE(static_cast<unsigned char>(c), 0x20);
    EXPECT_NE(c, '\x7f');
  }
  EXPECT_NE(text.find(R"(a\x0d\x0alevel)"), std::string::npos) << text;
}

TEST(LogRecord, ShowsNoSecret) {
  for (const bool json : {true, false}) {
    const std::string out =
        format_record(json, false, kAt, Level::info, "m", {{"api_key", "sk-canary"}});
    EXPECT_EQ(out.find("canary"), std::string::npos);
    EXPECT_NE(out.find("***"), std::string::npos);
  }
}

TEST(LogRecord, KeepsOtherLanguages) {
  EXPECT_NE(
      format_record(false, false, kAt, Level::info, "m", {{"q", "Grüße 世界"}}).find("Grüße 世界"),
      std::string::npos);
}

TEST(Log, LimitsTheSameMessageAndWritesTheRestInOrder) {
  std::FILE* const file = std::tmpfile();
  {
    LogOptions options;
    options.to = file;
    options.same_per_second = 3;
    Log log(options);
    for (int i = 0; i < 100; ++i) log.info("again", {{"i", i}});
    log.debug("below the level", {});
    log.set_level(Level::error);
    log.warning("below the new level", {});
    for (int i = 0; i < 20; ++i) log.access({{"i", i}});
  }
  std::rewind(file);
  std::string text(100000, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  const auto count = [&](std::string_view what) {
    std::size_t n = 0;
    for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; ++at) ++n;
    return n;
  };
  EXPECT_GE(count("\"again\""), 3u);
  EXPECT_LE(count("\"again\""), 6u);  // a second may begin meanwhile
  EXPECT_EQ(count("below"), 0u);
  EXPECT_EQ(count("\"request\""), 20u);
}

}  // namespace
}  // namespace penstock::observe
