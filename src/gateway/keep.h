// What of an engine's answers is kept, and in which form it is sent again.
#pragma once

#include <string>
#include <string_view>

#include "base/uuid.h"
#include "cache/entry.h"
#include "cache/value.h"
#include "dialect/stream.h"
#include "exchange/exchange.h"
#include "settings/settings.h"

namespace penstock::gateway {

// What is known of an answer beside its bytes.
struct Making {
  std::string_view model;
  std::string_view engine;
  const Served* served = nullptr;
  std::vector<std::string> tags;
  std::uint64_t purge = 0;  // the last one that was known when it was asked for
  Duration ttl{};
  Time begun{};  // when the engine was asked
  Time first{};  // when a stream's first piece came
};

// Whether an engine's answer with this status may be kept: a 200; or, where that is wanted, a
// refusal of what was asked, which the same question would meet again.
bool kept_status(const settings::Cache& settings, int status);

// Collects an answer while it passes, and judges at its end whether it may be kept: a whole 200
// with a finish reason, not filtered, within max_entry (reliability: cache safety); or, where that
// is wanted, an engine's refusal of what was asked.
class Keeper {
 public:
  Keeper(const settings::Cache& settings, const Question& question, const Answer& answer,
         std::string_view scope);

  void add(std::string_view bytes);
  // The entry to store, or null. REQUIRES: the answer came to its proper end.
  cache::EntryPtr entry(const cache::Key& key, Making making, Time now, Random& random);

 private:
  const settings::Cache& settings_;
  const std::string scope_;
  Endpoint endpoint_;
  int status_;
  bool stream_;
  bool wanted_;
  std::string body_;
};

// The form of an entry that a question wants.
cache::Form form_for(const Question& question);
// Likewise of this entry: a refusal has one form only.
cache::Form form_for(const Question& question, const cache::Entry& entry);

// The entry with that form in it: itself, or a new one with the form made from another, which
// the caller may put in its place. Null if it cannot be made.
cache::EntryPtr with_form(const cache::EntryPtr& entry, cache::Form form);

const cache::Prepared& prepared(const cache::Entry& entry, cache::Form form);

// The head of a form as it is sent from memory, without the word on the cache that stands at its
// end.
std::string_view head_without_cache(std::string_view head);

// The entry as other processes are told of it, and back; `now` and `wall` are the same moment.
cache::Value value_of(const cache::Entry& entry, Time now, WallTime wall);
cache::EntryPtr entry_of(cache::Value value, const cache::Key& key, const settings::Cache& settings,
                         Time now, WallTime wall);

// What of an engine's settings decides about its answers, digested: what was kept of it under other
// settings is not its answer any more.
std::string identity(const settings::EngineSettings& engine, cache::KeyMaker& keys);

}  // namespace penstock::gateway
