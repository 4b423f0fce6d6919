#include "load/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "load/load.h"

namespace penstock::load {
namespace {

constexpr std::size_t kMaxCacheWords = 16;

// 1234567 as "1,234,567".
std::string grouped(std::uint64_t value) {
  std::string digits = std::to_string(value);
  for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

// Three digits, and the unit that fits.
std::string shown(Duration time) {
  const double us = std::chrono::duration<double, std::micro>(time).count();
  const auto three = [](double value, const char* unit) {
    return fmt::format("{:.{}f} {}", value, value < 10 ? 2 : value < 100 ? 1 : 0, unit);
  };
  if (us < 1000) return fmt::format("{:.0f} us", us);
  if (us < 1e6) return three(us / 1e3, "ms");
  return three(us / 1e6, "s");
}

std::string shown_bytes(double bytes) {
  for (const char* unit : {"B", "KiB", "MiB", "GiB"}) {
    if (bytes < 1024 || *unit == 'G')
      return fmt::format("{:.{}f} {}", bytes, *unit == 'B' ? 0 : 1, unit);
    bytes /= 1024;
  }
  return {};
}

std::string row(std::string_view name, const Histogram& times) {
  std::string out = fmt::format("  {:<12}", name);
  for (const double percent : {50.0, 90.0, 95.0, 99.0, 99.9}) {
    out += fmt::format("{:>10}", shown(times.percentile(percent)));
  }
  return out + fmt::format("{:>10}\n", shown(times.max()));
}

std::string json_times(const Histogram& times) {
  const auto us = [](Duration time) { return time / 1us; };
  return fmt::format(
      R"({{"count":{},"mean":{},"p50":{},"p90":{},"p95":{},"p99":{},"p99_9":{},"max":{}}})",
      times.count(), us(times.mean()), us(times.percentile(50)), us(times.percentile(90)),
      us(times.percentile(95)), us(times.percentile(99)), us(times.percentile(99.9)),
      us(times.max()));
}

// Only what may stand in a JSON string unescaped; header words of a strange server are cut.
std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\') out += c;
  }
  return out;
}

std::string counted(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

double seconds(Duration time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

std::string_view label_of(Failed failed) {
  constexpr std::array<std::string_view, kFailures> kLabels = {
      "connect", "closed", "timeout", "malformed", "truncated", "in_stream", "unsent"};
  return kLabels[static_cast<std::size_t>(failed)];
}

void Counts::cache_result(std::string_view word) {
  for (auto& [known, count] : cache) {
    if (known == word) {
      ++count;
      return;
    }
  }
  if (cache.size() < kMaxCacheWords) cache.emplace_back(word, 1);
}

void Counts::merge(const Counts& other) {
  answers += other.answers;
  for (std::size_t i = 0; i < status.size(); ++i) status[i] += other.status[i];
  for (std::size_t i = 0; i < failures.size(); ++i) failures[i] += other.failures[i];
  for (const auto& [word, count] : other.cache) {
    const auto same = [&word = word](const auto& known) { return known.first == word; };
    const auto found = std::find_if(cache.begin(), cache.end(), same);
    if (found != cache.end()) {
      found->second += count;
    } else if (cache.size() < kMaxCacheWords) {
      cache.emplace_back(word, count);
    }
  }
  if (refusal.empty()) refusal = other.refusal;
  events += other.events;
  streams += other.streams;
  bytes_in += other.bytes_in;
  bytes_out += other.bytes_out;
  latency.merge(other.latency);
  first_token.merge(other.first_token);
  gap.merge(other.gap);
  late.merge(other.late);
}

std::uint64_t Counts::failed() const {
  std::uint64_t sum = 0;
  for (const std::uint64_t count : failures) sum += count;
  for (std::size_t code = 400; code < status.size(); ++code) sum += status[code];
  return sum;
}

std::uint64_t Counts::ended() const {
  return std::accumulate(failures.begin(), failures.end(), answers);
}

int Counts::refused_alike() const {
  const auto all = std::find(status.begin() + 400, status.end(), answers);
  return answers == 0 || all == status.end() ? 0 : static_cast<int>(all - status.begin());
}

double Report::per_second(std::uint64_t count) const {
  return measured <= Duration::zero() ? 0 : static_cast<double>(count) / seconds(measured);
}

std::string to_table(const Report& report, const Options& options) {
  const Counts& counts = report.counts;
  std::string out;
  const std::string loop = options.rate > 0
                               ? fmt::format("open loop, {:g}/s over at most", options.rate)
                               : "closed loop,";
  out += fmt::format("{}  {} {}, {}, {:.1f} s after {:.1f} s of warm-up{}\n\n", options.url, loop,
                     counted(options.connections, "connection"), counted(options.threads, "thread"),
                     seconds(report.measured), seconds(options.warmup),
                     report.cut_short ? ", stopped early" : "");

  out += fmt::format("  answers     {} · {:.1f}/s · {} failed", grouped(counts.answers),
                     report.per_second(counts.answers), grouped(counts.failed()));
  if (report.in_flight > 0) out += fmt::format(" · {} not yet answered", grouped(report.in_flight));
  out += "\n";
  const auto line = [&](std::string_view name, std::string_view items) {
    if (!items.empty()) out += fmt::format("  {:<12}{}\n", name, items.substr(3));
  };
  std::string items;
  for (std::size_t code = 0; code < counts.status.size(); ++code) {
    if (counts.status[code] > 0)
      items += fmt::format("   {}: {}", code, grouped(counts.status[code]));
  }
  line("status", items);
  items.clear();
  for (std::size_t i = 0; i < kFailures; ++i) {
    if (counts.failures[i] == 0) continue;
    items +=
        fmt::format("   {}: {}", label_of(static_cast<Failed>(i)), grouped(counts.failures[i]));
  }
  line("errors", items);
  items.clear();
  for (const auto& [word, count] : counts.cache) {
    items += fmt::format("   {}: {} ({:.1f} %)", plain(word), grouped(count),
                         100.0 * static_cast<double>(count) / static_cast<double>(counts.answers));
  }
  line("cache", items);
  if (counts.events > 0) {
    out += fmt::format("  events      {} · {:.1f}/s · {} whole streams\n", grouped(counts.events),
                       report.per_second(counts.events), grouped(counts.streams));
  }
  out += fmt::format("  received    {} · {}/s\n", shown_bytes(static_cast<double>(counts.bytes_in)),
                     shown_bytes(report.per_second(counts.bytes_in)));
  out +=
      fmt::format("  sent        {} · {}/s\n", shown_bytes(static_cast<double>(counts.bytes_out)),
                  shown_bytes(report.per_second(counts.bytes_out)));

  // Only what was measured: of nothing there is no median.
  std::string rows;
  const auto times = [&rows](std::string_view name, const Histogram& of) {
    if (of.count() > 0) rows += row(name, of);
  };
  times("answer", counts.latency);
  times("first token", counts.first_token);
  times("between", counts.gap);
  if (options.rate > 0) times("sent late", counts.late);
  if (!rows.empty()) {
    out += fmt::format("\n  {:<12}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}\n", "", "p50", "p90", "p95",
                       "p99", "p99.9", "max");
    out += rows;
  }
  if (counts.answers == 0) out += "\n  No whole answer came.\n";
  if (report.cpu > 0.9) {
    out += fmt::format(
        "\n  The generator used {:.0f} % of {}: it may be what was measured. Try --threads.\n",
        report.cpu * 100, options.threads == 1 ? "its core" : "each of its cores");
  }
  return out;
}

std::string to_json(const Report& report, const Options& options) {
  const Counts& counts = report.counts;
  std::string status;
  for (std::size_t code = 0; code < counts.status.size(); ++code) {
    if (counts.status[code] == 0) continue;
    status += fmt::format(R"({}"{}":{})", status.empty() ? "" : ",", code, counts.status[code]);
  }
  std::string failures;
  for (std::size_t i = 0; i < kFailures; ++i) {
    failures += fmt::format(R"({}"{}":{})", i == 0 ? "" : ",", label_of(static_cast<Failed>(i)),
                            counts.failures[i]);
  }
  std::string cache;
  for (const auto& [word, count] : counts.cache) {
    cache += fmt::format(R"({}"{}":{})", cache.empty() ? "" : ",", plain(word), count);
  }
  return fmt::format(
      R"({{"mode":"{}","rate":{},"connections":{},"threads":{},"stream":{},)"
      R"("seconds":{:.3f},"cut_short":{},"answers":{},"answers_per_second":{:.1f},"failed":{},)"
      R"("in_flight":{},"status":{{{}}},"errors":{{{}}},"cache":{{{}}},"streams":{},"events":{},)"
      R"("events_per_second":{:.1f},"bytes_in":{},"bytes_out":{},"generator_cpu":{:.3f},)"
      R"("latency_us":{},"first_token_us":{},"gap_us":{},"sent_late_us":{}}})"
      "\n",
      options.rate > 0 ? "open" : "closed", options.rate, options.connections, options.threads,
      options.stream, seconds(report.measured), report.cut_short, counts.answers,
      report.per_second(counts.answers), counts.failed(), report.in_flight, status, failures, cache,
      counts.streams, counts.events, report.per_second(counts.events), counts.bytes_in,
      counts.bytes_out, report.cpu, json_times(counts.latency), json_times(counts.first_token),
      json_times(counts.gap), json_times(counts.late));
}

}  // namespace penstock::load
