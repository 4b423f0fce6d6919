// `penstock cache warm`: sends questions to a gateway that answers them ahead, and shows how far it
// is.
#include <fmt/format.h>
#include <simdjson.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <thread>

#include "app/cache_command.h"
#include "app/client.h"
#include "app/exit_codes.h"
#include "app/help.h"
#include "app/shown.h"
#include "dialect/json.h"
#include "settings/values.h"

namespace penstock::app {
namespace {

constexpr const char* kName = "penstock cache";
constexpr std::string_view kPath = "/admin/v1/cache/warm";
constexpr Duration kPatience = 15s;
constexpr Duration kLook = 250ms;
constexpr Duration kLine = 10s;  // between lines where there is no terminal
constexpr std::size_t kBatchLines = 500;
constexpr std::size_t kBatchBytes = 256 * 1024;  // escaped it may be more, within the API's 1 MiB
constexpr std::size_t kMostLine = 512 * 1024;
constexpr std::size_t kBar = 30;  // columns

struct Progress {
  std::string id;
  bool running = false, full = false, stopped = false;
  std::uint64_t questions = 0, done = 0, kept = 0, known = 0, refused = 0, failed = 0, left_out = 0;
  double seconds = 0;
  std::vector<std::string> reasons;

  double rate() const { return seconds > 0 ? static_cast<double>(done) / seconds : 0; }
  std::string counts() const {
    std::string out =
        fmt::format("{} kept, {} known, {} refused, {} failed", kept, known, refused, failed);
    if (left_out > 0) out += fmt::format(", {} left out", left_out);
    return out;
  }
};

Result<Progress> read_progress(const std::string& body) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  Progress progress;
  const auto number = [&](const char* name, std::uint64_t& to) {
    return root[name].get(to) == simdjson::SUCCESS;
  };
  std::string_view id;
  if (parser.parse(body).get(root) != simdjson::SUCCESS ||
      root["running"].get(progress.running) != simdjson::SUCCESS ||
      root["full"].get(progress.full) != simdjson::SUCCESS ||
      root["stopped"].get(progress.stopped) != simdjson::SUCCESS ||
      root["seconds"].get(progress.seconds) != simdjson::SUCCESS ||
      !number("questions", progress.questions) || !number("done", progress.done) ||
      !number("kept", progress.kept) || !number("known", progress.known) ||
      !number("refused", progress.refused) || !number("failed", progress.failed) ||
      !number("left_out", progress.left_out)) {
    return said("it answers otherwise than an admin listener of this version");
  }
  if (root["warming"].get(id) == simdjson::SUCCESS) progress.id = id;
  simdjson::dom::array reasons;
  if (root["reasons"].get(reasons) == simdjson::SUCCESS) {
    for (const simdjson::dom::element reason : reasons) {
      std::string_view text;
      if (reason.get(text) == simdjson::SUCCESS) progress.reasons.push_back(visible(text));
    }
  }
  return progress;
}

Result<Progress> progress_of(Result<Client::Reply> reply) {
  if (!reply) return std::move(reply).error();
  if (reply->status >= 400) return said(message_of(reply->status, reply->body));
  return read_progress(reply->body);
}

// What is on standard error while it goes on.
class Shown {
 public:
  // `all`: how many there are, once that is known.
  void show(const Progress& progress, std::optional<std::uint64_t> all) {
    const std::uint64_t total = std::max(all.value_or(0), progress.questions);
    const double share =
        total == 0 ? 0 : static_cast<double>(progress.done) / static_cast<double>(total);
    if (!terminal_) {
      if (Clock::now() < next_) return;
      next_ = Clock::now() + kLine;
      fmt::print(stderr, "{} of {}{}, {:.0f}/s: {}\n", progress.done, total, all ? "" : " so far",
                 progress.rate(), progress.counts());
      return;
    }
    const auto full = static_cast<std::size_t>(share * static_cast<double>(kBar));
    fmt::print(stderr, "\r\x1b[K[{}{}] {:3.0f} %  {} of {}  {:.0f}/s  {}", std::string(full, '#'),
               std::string(kBar - full, '-'), share * 100, progress.done, total, progress.rate(),
               progress.counts());
    begun_ = true;
  }
  void end() {
    if (begun_) fmt::print(stderr, "\n");
    begun_ = false;
  }

 private:
  const bool terminal_ = isatty(STDERR_FILENO) == 1;
  bool begun_ = false;
  Time next_ = Clock::now() + kLine;
};

// Reads questions, a batch at a time.
class Lines {
 public:
  explicit Lines(std::istream& in) : in_(in) {}

  // Empty: there are no more.
  std::vector<std::string> next() {
    std::vector<std::string> batch;
    std::size_t bytes = 0;
    std::string line;
    while (batch.size() < kBatchLines && bytes < kBatchBytes && std::getline(in_, line)) {
      ++number_;
      if (line.find_first_not_of(" \t\r") == line.npos) continue;
      if (line.size() > kMostLine) {
        fmt::print(stderr, "{}: line {} is larger than 512 KiB and is left out\n", kName, number_);
        ++too_long_;
        continue;
      }
      if (number_ == 1 && line.starts_with("\xef\xbb\xbf")) line.erase(0, 3);
      bytes += line.size();
      batch.push_back(std::move(line));
    }
    return batch;
  }
  bool more() { return in_.peek() != std::istream::traits_type::eof(); }
  std::uint64_t too_long() const { return too_long_; }

 private:
  std::istream& in_;
  std::uint64_t number_ = 0;
  std::uint64_t too_long_ = 0;
};

std::string order(const CacheOptions& options, const std::vector<std::string>& lines,
                  const std::string& id, bool more) {
  std::string body;
  dialect::JsonWriter json(body);
  json.begin_object().member("source", options.file).member("more", more);
  if (options.model) json.member("model", *options.model);
  if (options.tenant) json.member("tenant", *options.tenant);
  if (!id.empty()) json.member("warming", id);
  json.member("concurrency", *settings::parse_integer(options.concurrency));
  json.member("rate", *settings::parse_number(options.rate));
  json.key("lines").begin_array();
  for (const std::string& line : lines) json.value(line);
  json.end_array().end_object();
  return body;
}

// Sends all there is; where the gateway has no memory for more it is asked again.
Result<Progress> send(Client& client, const CacheOptions& options, Lines& lines, Shown& shown) {
  Progress progress;
  for (;;) {
    const std::vector<std::string> batch = lines.next();
    if (batch.empty() && progress.id.empty()) return said("there is no question in the file");
    const bool more = lines.more();
    for (;;) {
      Result<Client::Reply> reply = client.ask(
          "POST", kPath, order(options, batch, progress.id, more), "application/json", kPatience);
      if (reply && reply->status == 503) {
        const Result<Progress> now = progress_of(client.ask("GET", kPath, {}, {}, kPatience));
        if (now) shown.show(*now, std::nullopt);
        std::this_thread::sleep_for(1s);
        continue;
      }
      Result<Progress> now = progress_of(std::move(reply));
      if (!now) return now;
      progress = *std::move(now);
      break;
    }
    shown.show(progress, more ? std::nullopt : std::optional(progress.questions));
    if (!more) return progress;
  }
}

int tell(const Progress& progress, std::uint64_t too_long) {
  const std::string text = fmt::format("{} questions in {:.1f} s: {}\n", progress.questions,
                                       progress.seconds, progress.counts());
  const int printed = print_page(kName, text);
  for (const std::string& reason : progress.reasons) fmt::print(stderr, "  {}\n", reason);
  if (progress.full) {
    fmt::print(stderr,
               "{}: the memory of the cache is full, and nothing is driven out for what is "
               "warmed\n",
               kName);
  }
  if (progress.stopped) fmt::print(stderr, "{}: the warming was stopped\n", kName);
  const bool whole = progress.refused + progress.failed + progress.left_out + too_long == 0;
  return whole ? printed : kFailed;
}

}  // namespace

int stop_warming(Client& client) {
  const Result<Progress> progress = progress_of(client.ask("DELETE", kPath, {}, {}, kPatience));
  if (!progress) return client.failed(progress.error());
  return print_page(kName, fmt::format("{} of {} questions were answered: {}\n", progress->done,
                                       progress->questions, progress->counts()));
}

int warm_cache(Client& client, const CacheOptions& options) {
  std::ifstream file;
  if (options.file != "-") {
    file.open(options.file);
    if (!file || file.peek() == std::ifstream::traits_type::eof()) {
      return bad_usage(kName, fmt::format("{} cannot be read, or is empty", visible(options.file)));
    }
  }
  Lines lines(options.file == "-" ? std::cin : file);
  Shown shown;
  Result<Progress> progress = send(client, options, lines, shown);
  while (progress && progress->running) {
    std::this_thread::sleep_for(kLook);
    Result<Progress> now = progress_of(client.ask("GET", kPath, {}, {}, kPatience));
    if (now && now->id != progress->id) now = said("another warming has begun meanwhile");
    progress = std::move(now);
    if (progress) shown.show(*progress, progress->questions);
  }
  shown.end();
  if (!progress) return client.failed(progress.error());
  return tell(*progress, lines.too_long());
}

}  // namespace penstock::app
