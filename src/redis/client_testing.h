// For tests: a client on the test's loop.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "base/loop_testing.h"
#include "base/sleep.h"
#include "observe/metrics.h"
#include "redis/client.h"
#include "redis/server_testing.h"

namespace penstock::redis {

class ClientTest : public LoopTest {
 protected:
  ClientTest() : log_({observe::Level::debug, observe::LogFormat::json, null_.get()}) {}

  static Options options_for(const std::string& url) {
    Options options;
    options.urls = {url};
    options.timeout = 2s;  // sanitizers are slow; where time matters the test says so
    return options;
  }
  std::unique_ptr<Client> client_for(const Options& options) {
    Result<std::unique_ptr<Client>> client =
        Client::make(loop_, options, Metrics(registry_.shard(0)), log_);
    EXPECT_TRUE(client.ok()) << (client ? "" : client.error().detail);
    return client ? *std::move(client) : nullptr;
  }

  // What came back as one text: of errors their detail.
  static std::string shown(const Result<Value>& value) {
    if (!value) return "error: " + value.error().detail;
    if (value->is_integer()) return std::to_string(value->integer);
    if (value->is_null()) return "null";
    std::string text = value->text;
    for (const Value& item : value->items) {
      text += (&item == value->items.data() ? "" : " ") + shown(item);
    }
    return text;
  }
  static std::vector<std::string_view> split(std::string_view text, std::string_view by) {
    std::vector<std::string_view> parts;
    while (!text.empty()) {
      const std::size_t end = std::min(text.find(by), text.size());
      parts.push_back(text.substr(0, end));
      text.remove_prefix(std::min(end + by.size(), text.size()));
    }
    return parts;
  }
  // `lines`: commands parted by "; ", their words by spaces.
  Task<Result<Read>> read_lines(Client& client, std::string lines, std::string key) {
    std::vector<std::vector<std::string_view>> words;
    for (const std::string_view line : split(lines, "; ")) words.push_back(split(line, " "));
    const std::vector<Words> commands(words.begin(), words.end());
    Deadline deadline(loop_, Clock::now() + 10s);
    Result<Read> read = co_await client.read(commands, key, deadline);
    co_return read;
  }
  // `line`: words parted by spaces.
  Task<std::string> ask(Client& client, std::string line, Duration patience = 10s) {
    const std::vector<std::string_view> words = split(line, " ");
    Deadline deadline(loop_, Clock::now() + patience);
    Result<Value> value = co_await client.call(words, deadline);
    co_return shown(value);
  }
  // Runs the loop until it holds; false if it does not in time.
  template <class Condition>
  Task<bool> until(Condition condition, Duration time = 20s) {
    Deadline patience(loop_, Clock::now() + time);
    while (!condition()) {
      if (patience.over()) co_return false;
      co_await sleep_until(Clock::now() + 1ms, patience);
    }
    co_return true;
  }
  // Until a command is answered with `expected`.
  Task<bool> until_answered(Client& client, std::string line, std::string expected) {
    Deadline patience(loop_, Clock::now() + 20s);
    for (;;) {
      std::string answer = co_await ask(client, line, 1s);
      if (answer == expected) co_return true;
      if (patience.over()) co_return false;
      co_await sleep_until(Clock::now() + 1ms, patience);
    }
  }
  double errors(const std::string& kind) const {
    return registry_.sum("penstock_redis_errors_total", {{"kind", kind}});
  }

  observe::Registry registry_{1};
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  // Closed after the log has written what it had.
  std::unique_ptr<std::FILE, Close> null_{std::fopen("/dev/null", "w")};
  observe::Log log_;
};

}  // namespace penstock::redis
