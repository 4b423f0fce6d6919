#include "app/warming.h"

#include <fstream>

#include "base/give_way.h"

namespace penstock::app {
namespace {

constexpr std::size_t kBatch = 500;      // lines
constexpr std::uint64_t kMostTold = 10;  // lines that cannot be read
constexpr Duration kAgain = 100ms;       // where there is no memory for more questions

}  // namespace

void Warming::begin(const settings::Settings& settings) {
  const settings::Cache::Warm& warm = settings.cache.warm;
  if (warm.file.empty()) return;
  // Questions in words are for the first model that has a name.
  std::string model;
  for (const settings::ModelSettings& one : settings.models) {
    if (model.empty() && one.name != "*") model = one.name;
  }
  const auto id = house_.warmer.begin({.source = warm.file, .concurrency = warm.concurrency});
  if (!id) return;
  reader_ = std::thread([this, file = warm.file, id = *id, model] {
    give_way();
    read(file, id, model);
  });
}

void Warming::read(const std::string& file, const std::string& id, const std::string& model) {
  std::ifstream in(file);
  if (!in) {
    log_.warning("the cache is not warmed: the file cannot be read",
                 {{"setting", "cache.warm.file"}, {"file", file}});
  }
  std::uint64_t number = 0, wrong = 0;
  std::string line;
  bool more = bool(in);
  do {
    std::vector<gateway::WarmQuestion> batch;
    std::vector<std::string> unreadable;
    while (batch.size() < kBatch && (more = bool(std::getline(in, line)))) {
      ++number;
      if (line.find_first_not_of(" \t\r") == line.npos) continue;
      Result<gateway::WarmQuestion> question = gateway::read_warm_line(line, {model, {}});
      if (question) {
        batch.push_back(*std::move(question));
        continue;
      }
      if (++wrong <= kMostTold) {
        log_.warning("a line of the file to warm the cache from cannot be read",
                     {{"file", file},
                      {"line", static_cast<std::int64_t>(number)},
                      {"reason", question.error().detail}});
      }
      unreadable.push_back(question.error().detail);
    }
    for (;;) {
      const auto added = house_.warmer.add(id, batch, unreadable, more);
      if (added == gateway::Warmer::Added::gone || ending_) return;
      if (added == gateway::Warmer::Added::added) break;
      std::this_thread::sleep_for(kAgain);
    }
  } while (more);
}

void Warming::end() {
  ending_ = true;
  if (reader_.joinable()) reader_.join();
}

}  // namespace penstock::app
