// Logs: one record, one line; text on a terminal, JSON elsewhere; never waited for by a loop.
//
// Records go into a bounded queue that a thread of its own writes out; when the queue is full the
// oldest are dropped and counted. Whatever a client put into a value stays inside it: control
// bytes, quotes and bytes that are not UTF-8 are escaped.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>

namespace penstock::observe {

enum class Level : std::uint8_t { debug, info, warn, error };
enum class LogFormat : std::uint8_t { automatic, text, json };

struct LogField {
  std::string_view name;
  std::variant<std::string_view, std::int64_t, double, bool> value;

  LogField(std::string_view n, std::string_view v) : name(n), value(v) {}
  LogField(std::string_view n, const char* v) : name(n), value(std::string_view(v)) {}
  LogField(std::string_view n, const std::string& v) : name(n), value(std::string_view(v)) {}
  LogField(std::string_view n, bool v) : name(n), value(v) {}
  LogField(std::string_view n, double v) : name(n), value(v) {}
  template <std::integral Integer>
  requires(!std::same_as<Integer, bool>) LogField(std::string_view n, Integer v)
      : name(n), value(static_cast<std::int64_t>(v)) {}
};
using LogFields = std::initializer_list<LogField>;

struct LogOptions {
  Level level = Level::info;
  LogFormat format = LogFormat::automatic;
  std::FILE* to = stderr;
  std::size_t queue = 8192;       // records
  unsigned same_per_second = 10;  // of one message; access records are not limited by it
};

class Log {
 public:
  explicit Log(const LogOptions& options);
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  ~Log();  // writes what is queued

  void debug(std::string_view message, LogFields fields) { write(Level::debug, message, fields); }
  void info(std::string_view message, LogFields fields) { write(Level::info, message, fields); }
  void warning(std::string_view message, LogFields fields) { write(Level::warn, message, fields); }
  void error(std::string_view message, LogFields fields) { write(Level::error, message, fields); }
  // A request that ended; written at any level.
  void access(LogFields fields);
  // A change that somebody made to the running program; written at any level.
  void audit(LogFields fields);

  void set_level(Level level) { level_.store(level, std::memory_order_relaxed); }
  Level level() const { return level_.load(std::memory_order_relaxed); }
  std::uint64_t messages(Level level) const;  // written or queued so far
  std::uint64_t dropped() const;              // by the queue's bound

 private:
  void write(Level level, std::string_view message, LogFields fields);
  bool admit(std::string_view message, std::uint64_t& suppressed);
  void emit(Level level, std::string_view message, LogFields fields);

  struct Sink;
  const LogOptions options_;
  const bool json_;
  const bool colour_;
  std::atomic<Level> level_;
  std::array<std::atomic<std::uint64_t>, 4> counts_{};
  std::unique_ptr<Sink> sink_;

  struct Recent {
    std::int64_t second = 0;
    unsigned count = 0;
    std::uint64_t suppressed = 0;
  };
  std::mutex mutex_;  // of recent_
  std::unordered_map<std::string, Recent> recent_;
};

std::string_view name_of(Level level);

// One record as it is written, without the line's end. `unix_us`: microseconds since 1970.
std::string format_record(bool json, bool colour, std::int64_t unix_us, Level level,
                          std::string_view message, LogFields fields);

// True for names whose value is never shown: authorization, api_key, token, cookie, password ...
bool secret_name(std::string_view name);

}  // namespace penstock::observe
