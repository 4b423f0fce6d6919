#include "gateway/keep.h"

#include <algorithm>

#include "dialect/answer.h"

namespace penstock::gateway {
namespace {

std::string head_for(std::string_view content_type, std::string_view engine, std::size_t length) {
  std::string head = "HTTP/1.1 200 OK\r\ncontent-type: ";
  head += content_type;
  head += "\r\ncontent-length: ";
  head += std::to_string(length);
  head += "\r\nx-penstock-cache: hit; level=memory\r\nx-penstock-engine: ";
  head += engine;
  head += "\r\n";
  if (content_type.starts_with("text/event-stream")) {
    head += "cache-control: no-cache\r\nx-accel-buffering: no\r\n";
  }
  return head;
}

cache::Prepared prepare(std::string_view body, bool stream, std::string_view engine) {
  const std::string_view type = stream ? "text/event-stream; charset=utf-8" : "application/json";
  return {head_for(type, engine, body.size()), body};
}

cache::Prepared& slot(cache::Entry& entry, cache::Form form) {
  switch (form) {
    case cache::Form::stream: return entry.stream;
    case cache::Form::stream_with_usage: return entry.stream_with_usage;
    case cache::Form::plain: break;
  }
  return entry.plain;
}

}  // namespace

Keeper::Keeper(const settings::Cache& settings, const Question& question, const Answer& answer,
               std::string_view scope)
    : settings_(settings),
      scope_(scope),
      endpoint_(question.endpoint),
      stream_(answer.event_stream()),
      wanted_(answer.status == 200 &&
              (stream_ || answer.content_type.starts_with("application/json"))) {}

void Keeper::add(std::string_view bytes) {
  if (!wanted_) return;
  if (body_.size() + bytes.size() > settings_.memory.max_entry.count) {
    wanted_ = false;
    body_ = std::string();
    return;
  }
  body_ += bytes;
}

cache::EntryPtr Keeper::entry(const cache::Key& key, std::string_view model,
                              std::string_view engine, const Served* served, Time now,
                              Random& random) {
  if (!wanted_) return nullptr;
  const auto facts =
      stream_ ? dialect::stream_facts(body_) : dialect::answer_facts(body_, endpoint_);
  if (!facts || !facts->cacheable) return nullptr;

  // Equal questions stored together must not all expire together.
  const double jitter = 1.0 - settings_.ttl.jitter * random.unit();
  auto entry = std::make_shared<cache::Entry>();
  entry->key = key;
  entry->scope = scope_;
  entry->model = model;
  entry->engine = engine;
  entry->served = served;
  entry->usage = facts->usage;
  entry->stored = now;
  entry->expires = now + std::chrono::duration_cast<Duration>(settings_.ttl.standard * jitter);
  const cache::Form form = stream_ ? cache::Form::stream_with_usage : cache::Form::plain;
  slot(*entry, form) = prepare(body_, stream_, engine);
  return entry;
}

cache::Form form_for(const Question& question) {
  if (!question.stream) return cache::Form::plain;
  return question.include_usage ? cache::Form::stream_with_usage : cache::Form::stream;
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
  slot(*made, form) = prepare(*body, form != cache::Form::plain, entry->engine);
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
