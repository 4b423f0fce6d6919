#include "observe/log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <cmath>

namespace penstock::observe {
namespace {

constexpr std::size_t kRecentMessages = 1024;

// The length of the valid UTF-8 sequence at the text's beginning (RFC 3629), or 0.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto tail = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xbf) {
    return i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return tail(1) ? 2 : 0;
  if (first == 0xe0) return tail(1, 0xa0) && tail(2) ? 3 : 0;
  if (first == 0xed) return tail(1, 0x80, 0x9f) && tail(2) ? 3 : 0;
  if (first >= 0xe1 && first <= 0xef) return tail(1) && tail(2) ? 3 : 0;
  if (first == 0xf0) return tail(1, 0x90) && tail(2) && tail(3) ? 4 : 0;
  if (first == 0xf4) return tail(1, 0x80, 0x8f) && tail(2) && tail(3) ? 4 : 0;
  if (first >= 0xf1 && first <= 0xf3) return tail(1) && tail(2) && tail(3) ? 4 : 0;
  return 0;
}

// U+0080..U+009F are control characters too (a terminal may obey them), as are the line and
// paragraph separators and what turns the writing direction.
bool dangerous(std::string_view sequence) {
  if (sequence.size() == 2)
    return sequence[0] == '\xc2' && static_cast<unsigned char>(sequence[1]) < 0xa0;
  if (sequence.size() != 3 || sequence[0] != '\xe2') return false;
  if (sequence[1] == '\x80') {
    const auto last = static_cast<unsigned char>(sequence[2]);
    return (last >= 0xa8 && last <= 0xae) || last == 0x8e || last == 0x8f;
  }
  return sequence[1] == '\x81' && static_cast<unsigned char>(sequence[2]) >= 0xa6 &&
         static_cast<unsigned char>(sequence[2]) <= 0xa9;
}

void append_code(std::string& out, bool json, unsigned char byte) {
  if (json) {
    fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
  } else {
    fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
  }
}

void append_escaped(std::string& out, std::string_view text, bool json) {
  while (!text.empty()) {
    const char c = text.front();
    const std::size_t length = utf8_length(text);
    if (length == 0) {
      if (json) {
        out += "\\ufffd";
      } else {
        append_code(out, false, static_cast<unsigned char>(c));
      }
      text.remove_prefix(1);
      continue;
    }
    const std::string_view sequence = text.substr(0, length);
    text.remove_prefix(length);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      append_code(out, json, static_cast<unsigned char>(c));
    } else if (dangerous(sequence)) {
      for (const char b : sequence) {
        if (json) continue;
        append_code(out, false, static_cast<unsigned char>(b));
      }
      if (json) out += "\\ufffd";
    } else {
      out += sequence;
    }
  }
}

bool plain_word(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (c <= ' ' || c > '~' || c == '"' || c == '=' || c == '\\') return false;
  }
  return true;
}

void append_value(std::string& out, const LogField& field, bool json) {
  if (secret_name(field.name)) {
    out += json ? "\"***\"" : "***";
    return;
  }
  if (const auto* text = std::get_if<std::string_view>(&field.value)) {
    if (!json && plain_word(*text)) {
      out += *text;
      return;
    }
    out += '"';
    append_escaped(out, *text, json);
    out += '"';
  } else if (const auto* integer = std::get_if<std::int64_t>(&field.value)) {
    fmt::format_to(std::back_inserter(out), "{}", *integer);
  } else if (const auto* number = std::get_if<double>(&field.value)) {
    if (std::isfinite(*number)) {
      fmt::format_to(std::back_inserter(out), "{:.6g}", *number);
    } else {
      out += json ? "null" : "-";
    }
  } else {
    out += std::get<bool>(field.value) ? "true" : "false";
  }
}

std::string time_text(std::int64_t unix_us, bool json) {
  const auto seconds = static_cast<std::time_t>(unix_us / 1000000);
  if (json) {
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", fmt::gmtime(seconds), unix_us % 1000000);
  }
  return fmt::format("{:%H:%M:%S}.{:03}", fmt::localtime(seconds), unix_us / 1000 % 1000);
}

std::string_view colour_of(Level level) {
  switch (level) {
    case Level::debug: return "\x1b[2m";
    case Level::info: return "\x1b[32m";
    case Level::warn: return "\x1b[33m";
    case Level::error: break;
  }
  return "\x1b[31m";
}

// Writes records as they are.
class FileSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit FileSink(std::FILE* to) : to_(to) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    std::fwrite(message.payload.data(), 1, message.payload.size(), to_);
    std::fputc('\n', to_);
  }
  void flush_() override { std::fflush(to_); }
  std::FILE* to_;
};

std::int64_t unix_us_now() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

std::string_view name_of(Level level) {
  constexpr std::array<std::string_view, 4> kNames = {"debug", "info", "warn", "error"};
  return kNames[static_cast<std::size_t>(level)];
}

bool secret_name(std::string_view name) {
  for (const std::string_view secret : {"authorization", "api_key", "api-key", "token", "cookie",
                                        "set-cookie", "password", "secret"}) {
    if (name == secret) return true;
  }
  return false;
}

std::string format_record(bool json, bool colour, std::int64_t unix_us, Level level,
                          std::string_view message, LogFields fields) {
  std::string out;
  out.reserve(256);
  if (json) {
    out += "{\"time\":\"";
    out += time_text(unix_us, true);
    out += "\",\"level\":\"";
    out += name_of(level);
    out += "\",\"message\":\"";
    append_escaped(out, message, true);
    out += '"';
    for (const LogField& field : fields) {
      out += ",\"";
      append_escaped(out, field.name, true);
      out += "\":";
      append_value(out, field, true);
    }
    out += '}';
    return out;
  }
  out += time_text(unix_us, false);
  out += ' ';
  if (colour) out += colour_of(level);
  out += fmt::format("{:<5}", name_of(level));
  if (colour) out += "\x1b[0m";
  out += ' ';
  append_escaped(out, message, false);
  for (const LogField& field : fields) {
    if (const auto* text = std::get_if<std::string_view>(&field.value); text && text->empty()) {
      continue;  // says nothing on a terminal
    }
    out += ' ';
    out += field.name;
    out += '=';
    append_value(out, field, false);
  }
  return out;
}

struct Log::Sink {
  std::shared_ptr<spdlog::async_logger> logger;
  // Destroyed first: its thread writes what is queued and is joined before the logger goes.
  std::shared_ptr<spdlog::details::thread_pool> pool;
};

Log::Log(const LogOptions& options)
    : options_(options),
      json_(options.format == LogFormat::json ||
            (options.format == LogFormat::automatic && isatty(fileno(options.to)) == 0)),
      colour_(!json_ && isatty(fileno(options.to)) != 0),
      level_(options.level),
      sink_(std::make_unique<Sink>()) {
  sink_->pool = std::make_shared<spdlog::details::thread_pool>(options.queue, 1);
  sink_->logger = std::make_shared<spdlog::async_logger>(
      "penstock", std::make_shared<FileSink>(options.to), sink_->pool,
      spdlog::async_overflow_policy::overrun_oldest);
  sink_->logger->set_level(spdlog::level::trace);
  sink_->logger->flush_on(spdlog::level::trace);
}

Log::~Log() = default;  // the pool's thread writes what is queued before it ends

bool Log::admit(std::string_view message, std::uint64_t& suppressed) {
  const std::int64_t second = unix_us_now() / 1000000;
  const std::lock_guard lock(mutex_);
  if (recent_.size() > kRecentMessages) recent_.clear();
  Recent& recent = recent_[std::string(message)];
  if (recent.second != second) {
    suppressed = recent.suppressed;
    recent = {second, 0, 0};
  }
  if (recent.count < options_.same_per_second) {
    ++recent.count;
    return true;
  }
  ++recent.suppressed;
  return false;
}

void Log::write(Level level, std::string_view message, LogFields fields) {
  if (level < level_.load(std::memory_order_relaxed)) return;
  std::uint64_t suppressed = 0;
  if (!admit(message, suppressed)) return;
  if (suppressed > 0) {
    emit(level, "the same again, not shown", {{"times", suppressed}, {"of", message}});
  }
  emit(level, message, fields);
}

void Log::access(LogFields fields) { emit(Level::info, "request", fields); }

void Log::audit(LogFields fields) { emit(Level::warn, "admin change", fields); }

void Log::emit(Level level, std::string_view message, LogFields fields) {
  counts_[static_cast<std::size_t>(level)].fetch_add(1, std::memory_order_relaxed);
  sink_->logger->log(
      spdlog::level::info,
      spdlog::string_view_t(format_record(json_, colour_, unix_us_now(), level, message, fields)));
}

std::uint64_t Log::messages(Level level) const {
  return counts_[static_cast<std::size_t>(level)].load(std::memory_order_relaxed);
}

std::uint64_t Log::dropped() const { return sink_->pool->overrun_counter(); }

}  // namespace penstock::observe
