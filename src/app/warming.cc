#include "app/warming.h"

#include <algorithm>
#include <fstream>

#include "base/give_way.h"

namespace penstock::app {
namespace {

constexpr std::size_t kBatch = 500;      // lines
constexpr std::uint64_t kMostTold = 10;  // lines that cannot be read
constexpr Duration kAgain = 100ms;       // where there is no memory for more questions
constexpr Duration kRecall = 20s;        // for the database, in all
constexpr Duration kSlice = 2s;
constexpr std::uint32_t kPage = 100;  // questions, of up to 64 KiB

}  // namespace

void Warming::begin(const settings::Settings& settings, store::Database& database) {
  const settings::Cache::Warm& warm = settings.cache.warm;
  if (warm.file.empty() && warm.popular == 0) return;
  // Questions in words are for the first model that has a name.
  std::string model;
  for (const settings::ModelSettings& one : settings.models) {
    if (model.empty() && one.name != "*") model = one.name;
  }
  const auto id =
      house_.warmer.begin({.source = warm.file.empty() ? "what was asked most" : warm.file,
                           .concurrency = warm.concurrency});
  if (!id) return;
  reader_ = std::thread([this, &database, warm, id = *id, model] {
    give_way();
    if (!warm.file.empty() && !read(warm.file, id, model, warm.popular > 0)) return;
    if (warm.popular > 0) recall(database, warm.popular, id);
  });
}

// False: nothing more is wanted.
bool Warming::add(const std::string& id, const std::vector<gateway::WarmQuestion>& questions,
                  const std::vector<std::string>& unreadable, bool more) {
  for (;;) {
    const auto added = house_.warmer.add(id, questions, unreadable, more);
    if (added == gateway::Warmer::Added::gone || ending_) return false;
    if (added == gateway::Warmer::Added::added) return true;
    std::this_thread::sleep_for(kAgain);
  }
}

// `more`: others come behind them.
bool Warming::read(const std::string& file, const std::string& id, const std::string& model,
                   bool more) {
  std::ifstream in(file);
  if (!in) {
    log_.warning("the cache is not warmed: the file cannot be read",
                 {{"setting", "cache.warm.file"}, {"file", file}});
  }
  std::uint64_t number = 0, wrong = 0;
  std::string line;
  bool lines = bool(in);
  do {
    std::vector<gateway::WarmQuestion> batch;
    std::vector<std::string> unreadable;
    while (batch.size() < kBatch && (lines = bool(std::getline(in, line)))) {
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
    if (!add(id, batch, unreadable, lines || more)) return false;
  } while (lines);
  return true;
}

// What was asked most, the first first.
void Warming::recall(store::Database& database, std::uint32_t most, const std::string& id) {
  std::uint32_t told = 0;
  bool more = true;
  while (more) {
    const std::uint32_t page = std::min<std::uint32_t>(kPage, most - told);
    Result<std::vector<store::PopularQuestion>> known = list(database, page, told);
    if (ending_) return;
    if (!known) {
      log_.warning("the cache is not warmed: the database does not say what was asked most",
                   {{"setting", "cache.warm.popular"}, {"reason", known.error().detail}});
      known = std::vector<store::PopularQuestion>();
    }
    std::vector<gateway::WarmQuestion> questions;
    for (store::PopularQuestion& one : *known) {
      gateway::WarmQuestion question{std::move(one.path),
                                     std::move(one.body),
                                     std::move(one.tenant),
                                     std::move(one.scope),
                                     {}};
      for (std::size_t at = 0; at < one.tags.size();) {
        const std::size_t end = std::min(one.tags.find(',', at), one.tags.size());
        question.tags.push_back(one.tags.substr(at, end - at));
        at = end + 1;
      }
      questions.push_back(std::move(question));
    }
    told += page;
    more = questions.size() == page && told < most;
    if (!add(id, questions, {}, more)) return;
  }
}

// Waits for a database that is slow or away, in slices: the program may be about to end.
Result<std::vector<store::PopularQuestion>> Warming::list(store::Database& database,
                                                          std::uint32_t most,
                                                          std::uint32_t behind) {
  const Time until = Clock::now() + kRecall;
  for (;;) {
    Result<std::vector<store::PopularQuestion>> known = store::wait(
        kSlice,
        [&](Deadline& deadline) { return store::list_popular(database, most, behind, deadline); });
    if (known || !known.error().retry || ending_ || Clock::now() >= until) return known;
    std::this_thread::sleep_for(kAgain);
  }
}

void Warming::end() {
  ending_ = true;
  if (reader_.joinable()) reader_.join();
}

}  // namespace penstock::app
