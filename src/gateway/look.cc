// Whether an answer is known: in memory, in Redis, and of what age it may be.

#include "gateway/look.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "exchange/refusals.h"
#include "gateway/exchange.h"
#include "gateway/headers.h"
#include "gateway/keep.h"

namespace penstock::gateway {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The items of a list, which commas part; quoted commas are in no directive that we read.
template <class Use>
void each(std::string_view list, const Use& use) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    if (const std::string_view item = trimmed(list.substr(0, end)); !item.empty()) use(item);
    list.remove_prefix(std::min(end + 1, list.size()));
  }
}

void read_directive(std::string_view item, Wishes& wishes) {
  const std::size_t equals = item.find('=');
  const std::string_view name = trimmed(item.substr(0, equals));
  const auto is = [&](std::string_view other) {
    return name.size() == other.size() &&
           std::equal(name.begin(), name.end(), other.begin(), [](char a, char b) {
             return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
           });
  };
  if (is("no-store")) wishes.no_store = true;
  if (is("no-cache")) wishes.no_cache = true;
  if (is("only-if-cached")) wishes.only_if_cached = true;
  if (!is("max-age") || equals == item.npos) return;
  std::string_view text = trimmed(item.substr(equals + 1));
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    text = text.substr(1, text.size() - 2);
  }
  std::int64_t seconds = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  // What is too large to be read is no bound; what is no number means the least (RFC 9111 4.2.1).
  if (ec == std::errc::result_out_of_range && !text.starts_with('-')) return;
  if (ec != std::errc{} || end != text.data() + text.size()) seconds = 0;
  constexpr std::int64_t kLongest = std::int64_t{400} * 24 * 3600;
  wishes.max_age = std::chrono::seconds(std::clamp<std::int64_t>(seconds, 0, kLongest));
}

std::optional<Refusal> read_tags(std::string_view list, Wishes& wishes) {
  std::optional<Refusal> refused;
  each(list, [&](std::string_view tag) {
    const bool visible =
        std::all_of(tag.begin(), tag.end(), [](char c) { return c > ' ' && c <= '~'; });
    if (tag.size() > cache::kMostTagBytes || !visible || wishes.tags.size() >= cache::kMostTags) {
      refused = refusal(Reason::invalid_value,
                        "x-penstock-cache-tags takes up to 16 tags of up to 128 visible ASCII "
                        "characters, with commas between them.",
                        std::string(kTagsField));
      return;
    }
    if (std::find(wishes.tags.begin(), wishes.tags.end(), tag) == wishes.tags.end()) {
      wishes.tags.emplace_back(tag);
    }
  });
  return refused;
}

}  // namespace

Result<Wishes, Refusal> wishes_of(const http::RequestHead& head) {
  Wishes wishes;
  for (const http::Field& field : head.fields) {
    if (field.name == "cache-control") {
      each(field.value, [&](std::string_view item) { read_directive(item, wishes); });
    } else if (field.name == kTagsField) {
      if (auto refused = read_tags(field.value, wishes)) return *std::move(refused);
    } else if (field.name == kReplayField) {
      wishes.paced = field.value == "paced";
      if (!wishes.paced && field.value != "now") {
        return refusal(Reason::invalid_value, "Invalid 'x-penstock-replay': expected paced or now.",
                       std::string(kReplayField));
      }
    }
  }
  return wishes;
}

std::string_view cache_header(const Look& look) {
  if (look.level == store::Level::semantic) return "hit; level=semantic";
  if (look.level == store::Level::redis) {
    return look.stale ? "stale; level=redis" : "hit; level=redis";
  }
  return look.stale ? "stale; level=memory" : "hit; level=memory";
}

// Whether the answer may come from the cache and go there; if not, the recorder knows why.
bool Gateway::may_be_cached(Exchange& x) {
  const Question& question = x.question;
  const auto bypass = [&](std::string_view reason) {
    x.recorder.cache = CacheResult::bypass;
    x.recorder.bypass_reason = reason;
    metrics_.cache_bypasses.add();
    say_why_not(x, reason);
    return false;
  };
  if (question.endpoint == Endpoint::other) {
    x.recorder.cache = CacheResult::none;
    return false;
  }
  const std::string_view reason =
      why_not_kept(house_, *x.with, question, x.plan, x.look.wishes.no_store);
  if (!reason.empty()) return bypass(reason);
  x.recorder.cache = CacheResult::miss;
  return true;
}

// Why the answer neither comes from the cache nor goes there; empty: it may.
std::string_view Gateway::why_not_kept(const House& house, const Snapshot& with,
                                       const Question& question, const route::Plan& plan,
                                       bool no_store) {
  const settings::CacheAnswers answers = with.cache_rules[plan.metrics].answers;
  if (!house.caching.on(with.settings->features.caching)) return "off";
  if (answers == settings::CacheAnswers::off) return "off";
  if (question.stored || no_store) return "no-store";
  if (question.body.size() > kCachedQuestion) return "size";
  const bool documents =
      with.settings->engines[plan.engine].kind == settings::EngineKind::documents;
  if (question.repeatable || documents) return {};
  if (answers == settings::CacheAnswers::all) return {};
  return question.tools ? "tools" : "sampled";
}

// Once a model and reason: an operator who wonders about the hit ratio finds it.
void Gateway::say_why_not(const Exchange& x, std::string_view reason) {
  if (reason == "no-store") return;  // the client's own wish
  // A worker asks the house once: nobody waits for others at each question.
  std::string_view& told = x.with->pairs[x.plan.metrics]->told_why_not;
  if (told == reason) return;
  told = reason;
  const std::string_view model = x.recorder.model_label;
  if (!house_.reasons.first(model, reason)) return;
  house_.log.info("answers are not cached", {{"model", model}, {"reason", reason}});
}

void Gateway::make_key(Exchange& x) {
  make_key(x.look, x.request.head, x.question, x.plan, *x.with, x.who->caller->cache_scope);
}

void Gateway::make_key(Look& look, const http::RequestHead& head, const Question& question,
                       const route::Plan& plan, const Snapshot& with, std::string_view scope) {
  // What answers: the engine as it is configured, the model, the version of what it knows; and what
  // is asked beside the body.
  std::string& answers = look.answers;
  answers = with.identities[plan.engine];
  answers += plan.model;
  answers += '\n';
  answers += plan.upstream_model;
  answers += '\n';
  look.version = with.engines[plan.engine]->version();
  answers += std::to_string(look.version);
  answers += '\n';
  answers += head.query;
  answers += '\n';
  answers += answer_fields(head);
  look.purge = house_.purges.known();
  look.key = keys_.make(scope, question.endpoint, answers, question.canonical);
}

// The first level. `x.look.entry` is what is given; what is there, and what nobody vouches for, is
// returned.
cache::EntryPtr Gateway::look_in_memory(Exchange& x) {
  Look& look = x.look;
  make_key(x);
  look.passed_by = look.wishes.no_cache || look.wishes.max_age == Duration::zero();
  if (look.passed_by) {
    metrics_.cache_misses.add();
    return nullptr;
  }
  const Time looked = Clock::now();
  const cache::EntryPtr found =
      house_.cache.find(look.key, x.who->caller->cache_scope, x.request.received);
  metrics_.cache_get.observe(seconds(Clock::now() - looked));
  const bool doubted = found && second_level(*x.with) && !house_.trust.in(*found);
  if (found && !doubted) take(x, found);
  trace::Trace& trace = x.recorder.bill->trace;
  trace.end(trace.step(trace::Step::cache_lookup, trace::kRoot, "memory", looked), Clock::now(),
            !look.entry  ? (doubted ? "doubted" : "miss")
            : look.stale ? "stale"
                         : "hit");
  if (!look.entry) {
    metrics_.cache_misses.add();
    return doubted ? found : nullptr;
  }
  (look.stale ? metrics_.cache_stale : metrics_.cache_hits).add();
  return nullptr;
}

// Whether an answer of its age may be given now, and whether it is time for another.
void Gateway::take(Exchange& x, const cache::EntryPtr& found) {
  Look& look = x.look;
  const Time now = x.request.received;
  const settings::Cache::Stale& stale = x.settings().cache.stale;
  if (look.wishes.max_age && now - found->stored > *look.wishes.max_age) return;
  const bool fresh = now < found->expires;
  if (!fresh && now >= found->expires + stale.while_revalidate) {
    if (now < found->expires + stale.if_error) look.fallback = found;
    return;
  }
  // The form that is wanted may be made of another, once.
  look.entry = with_form(found, form_for(x.question, *found));
  if (!look.entry) return;
  if (look.entry != found) house_.cache.replace(found, look.entry);
  look.stale = !fresh;
  look.renew = !fresh || early(*found, now, x.settings().cache.early_refresh);
}

// XFetch (Vattani et al., "Optimal probabilistic cache stampede prevention", VLDB 2015).
bool Gateway::early(const cache::Entry& entry, Time now, double beta) {
  if (now < entry.early) return false;
  const double ahead = -seconds(entry.made) * beta * std::log(1.0 - random_.unit());
  return seconds(entry.expires - now) <= ahead;
}

}  // namespace penstock::gateway
