#include "gateway/keep.h"

#include <algorithm>
#include <array>

#include "dialect/answer.h"
#include "gateway/pack.h"
#include "http/server.h"

namespace penstock::gateway {
namespace {

constexpr std::string_view kFromMemory = "x-penstock-cache: hit; level=memory\r\n";
// Refusals of what was asked: the same question will be refused again.
constexpr std::array kRefusals = {400, 413, 422};
// Beyond so many times what a call takes nobody asks early: once in 160,000 would.
constexpr double kEarly = 12;

bool refusal(int status) {
  return std::find(kRefusals.begin(), kRefusals.end(), status) != kRefusals.end();
}

// `coding`: of the body; empty: none.
std::string head_for(int status, std::string_view content_type, std::string_view engine,
                     std::size_t length, std::string_view coding = {}) {
  std::string head = "HTTP/1.1 ";
  head += std::to_string(status);
  head += ' ';
  head += http::reason_of(status);
  head += "\r\ncontent-type: ";
  head += content_type;
  head += "\r\ncontent-length: ";
  head += std::to_string(length);
  head += "\r\nx-penstock-engine: ";
  head += engine;
  head += "\r\n";
  if (content_type.starts_with("text/event-stream")) {
    head += "cache-control: no-cache\r\nx-accel-buffering: no\r\n";
  } else {
    head += "vary: accept-encoding\r\n";
  }
  if (!coding.empty()) {
    head += "content-encoding: ";
    head += coding;
    head += "\r\n";
  }
  head += kFromMemory;
  return head;
}

cache::Prepared prepare(int status, std::string_view body, bool stream, std::string_view engine) {
  const std::string_view type = stream ? "text/event-stream; charset=utf-8" : "application/json";
  return {head_for(status, type, engine, body.size()), body};
}

cache::Prepared& slot(cache::Entry& entry, cache::Form form) {
  switch (form) {
    case cache::Form::stream: return entry.stream;
    case cache::Form::stream_with_usage: return entry.stream_with_usage;
    case cache::Form::plain: break;
  }
  return entry.plain;
}

// What hangs on its age.
void set_ends(cache::Entry& entry, const settings::Cache& settings) {
  const auto ahead = std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(entry.made) * settings.early_refresh * kEarly);
  entry.early = std::max(entry.expires - ahead, entry.stored);
  entry.kept = entry.expires;
  if (entry.status == 200) {
    entry.kept += std::max(settings.stale.while_revalidate, settings.stale.if_error);
  }
}

}  // namespace

bool kept_status(const settings::Cache& settings, int status) {
  return status == 200 || (settings.ttl.negative > Duration::zero() && refusal(status));
}

Keeper::Keeper(const settings::Cache& settings, const Question& question, const Answer& answer,
               std::string_view scope)
    : settings_(settings),
      scope_(scope),
      endpoint_(question.endpoint),
      status_(answer.status),
      stream_(answer.event_stream()),
      wanted_(kept_status(settings, answer.status) &&
              ((stream_ && answer.status == 200) ||
               answer.content_type.starts_with("application/json"))) {}

void Keeper::add(std::string_view bytes) {
  if (!wanted_) return;
  if (body_.size() + bytes.size() > settings_.memory.max_entry.count) {
    wanted_ = false;
    body_ = std::string();
    return;
  }
  body_ += bytes;
}

cache::EntryPtr Keeper::entry(const cache::Key& key, Making making, Time now, Random& random) {
  if (!wanted_) return nullptr;
  auto entry = std::make_shared<cache::Entry>();
  if (status_ == 200) {
    const auto facts =
        stream_ ? dialect::stream_facts(body_) : dialect::answer_facts(body_, endpoint_);
    if (!facts || !facts->cacheable) return nullptr;
    entry->usage = facts->usage;
  } else {
    making.ttl = settings_.ttl.negative;
  }

  // Equal questions stored together must not all expire together.
  const double jitter = 1.0 - settings_.ttl.jitter * random.unit();
  entry->key = key;
  entry->scope = scope_;
  entry->model = making.model;
  entry->engine = making.engine;
  entry->tags = std::move(making.tags);
  entry->served = making.served;
  entry->status = status_;
  entry->stored = now;
  entry->expires = now + std::chrono::duration_cast<Duration>(making.ttl * jitter);
  entry->made = now - making.begun;
  if (making.first != Time()) entry->first_token = making.first - making.begun;
  entry->purge = making.purge;
  set_ends(*entry, settings_);
  const cache::Form form = stream_ ? cache::Form::stream_with_usage : cache::Form::plain;
  slot(*entry, form) = prepare(status_, body_, stream_, making.engine);
  return entry;
}

cache::Prepared packed_form(const cache::Entry& entry, http::Packing packing,
                            std::string_view packed) {
  return {head_for(entry.status, "application/json", entry.engine, packed.size(),
                   http::name_of(packing)),
          packed};
}

std::string_view head_without_cache(std::string_view head) {
  return head.substr(0, head.size() - kFromMemory.size());
}

cache::Value value_of(const cache::Entry& entry, Time now, WallTime wall) {
  const auto at = [&](Time time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               (wall + std::chrono::duration_cast<WallTime::duration>(time - now))
                   .time_since_epoch())
        .count();
  };
  const auto us = [](Duration duration) {
    return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  };
  cache::Value value;
  value.scope = entry.scope;
  value.model = entry.model;
  value.engine = entry.engine;
  value.tags = entry.tags;
  value.status = entry.status;
  value.form = entry.plain.empty() ? cache::Form::stream_with_usage : cache::Form::plain;
  value.stored_ms = at(entry.stored);
  value.expires_ms = at(entry.expires);
  value.made_us = us(entry.made);
  value.first_token_us = us(entry.first_token);
  value.usage = entry.usage;
  value.purge = entry.purge;
  value.body = prepared(entry, value.form).body();
  return value;
}

cache::EntryPtr entry_of(cache::Value value, const cache::Key& key, const settings::Cache& settings,
                         Time now, WallTime wall) {
  // Another node's clock may be wrong by hours, and a value by more: no sum may overflow.
  constexpr std::int64_t kYear = std::int64_t{366} * 24 * 3600 * 1000;
  const auto at = [&](std::int64_t ms) {
    const std::int64_t here =
        std::chrono::duration_cast<std::chrono::milliseconds>(wall.time_since_epoch()).count();
    return now + std::chrono::milliseconds(std::clamp(ms, here - kYear, here + kYear) - here);
  };
  auto entry = std::make_shared<cache::Entry>();
  entry->key = key;
  entry->scope = std::move(value.scope);
  entry->model = std::move(value.model);
  entry->engine = std::move(value.engine);
  entry->tags = std::move(value.tags);
  entry->status = value.status;
  entry->usage = value.usage;
  entry->stored = std::min(at(value.stored_ms), now);
  // Never longer than it was to live from the beginning, whatever the clocks say.
  const std::int64_t lives = std::clamp<std::int64_t>(value.expires_ms - value.stored_ms, 0, kYear);
  entry->expires = std::min(at(value.expires_ms), now + std::chrono::milliseconds(lives));
  entry->made = std::chrono::microseconds(std::max<std::int64_t>(0, value.made_us));
  entry->first_token = std::chrono::microseconds(std::max<std::int64_t>(0, value.first_token_us));
  entry->purge = value.purge;
  entry->shared = true;
  set_ends(*entry, settings);
  slot(*entry, value.form) =
      prepare(value.status, value.body, value.form != cache::Form::plain, entry->engine);
  return entry;
}

cache::Form form_for(const Question& question) {
  if (!question.stream) return cache::Form::plain;
  return question.include_usage ? cache::Form::stream_with_usage : cache::Form::stream;
}

cache::Form form_for(const Question& question, const cache::Entry& entry) {
  return entry.status == 200 ? form_for(question) : cache::Form::plain;
}

const cache::Prepared& prepared(const cache::Entry& entry, cache::Form form) {
  switch (form) {
    case cache::Form::stream: return entry.stream;
    case cache::Form::stream_with_usage: return entry.stream_with_usage;
    case cache::Form::plain: break;
  }
  return entry.plain;
}

cache::EntryPtr with_form(const cache::EntryPtr& entry, cache::Form form) {
  if (!prepared(*entry, form).empty()) return entry;
  Result<std::string> body = Error{};
  if (form == cache::Form::plain) {
    body = dialect::assemble(entry->stream_with_usage.body());
  } else {
    // Streams are made from the frames that the engine sent, where it sent any.
    const std::string_view frames = entry->stream_with_usage.body();
    if (!frames.empty()) {
      body = dialect::frames_without_usage(frames);
    } else {
      body = dialect::split(entry->plain.body(), form == cache::Form::stream_with_usage);
    }
  }
  if (!body) return nullptr;
  auto made = std::make_shared<cache::Entry>(*entry);
  slot(*made, form) = prepare(entry->status, *body, form != cache::Form::plain, entry->engine);
  return made;
}

std::string identity(const settings::EngineSettings& engine, cache::KeyMaker& keys) {
  std::string text;
  const auto add = [&](std::string_view part) {
    text += std::to_string(part.size());
    text += ':';
    text += part;
  };
  add(engine.name);
  add(std::to_string(static_cast<int>(engine.kind)));
  add(engine.path);
  add(engine.url);
  add(engine.api_key);  // what a vendor offers depends on who asks
  for (const auto* fields : {&engine.headers, &engine.query}) {
    add(std::to_string(fields->size()));
    for (const settings::NamedValue& field : *fields) {
      add(field.name);
      add(field.value);
    }
  }
  add(std::to_string(engine.simulated.seed));
  add(std::to_string(engine.simulated.tokens));
  const cache::Key digest = keys.make("engine", Endpoint::other, text, {});
  return {digest.begin(), digest.end()};
}

}  // namespace penstock::gateway
