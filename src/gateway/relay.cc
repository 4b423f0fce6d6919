// An answer on its way to the client: head, body or stream, as fast as the client takes it.

#include <charconv>

#include "dialect/refusal.h"
#include "gateway/call.h"
#include "gateway/cors.h"
#include "gateway/exchange.h"
#include "gateway/keep.h"

namespace penstock::gateway {
namespace {

// "gateway;dur=0.123" in milliseconds, and the engine's share where one was asked.
std::string_view server_timing(std::array<char, 64>& out, Duration gateway, Duration engine) {
  const auto us = [](Duration duration) {
    return std::max<std::int64_t>(
        0, std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
  };
  const auto part = [&](char* to, std::string_view name, std::int64_t value) {
    to = std::copy(name.begin(), name.end(), to);
    to = std::to_chars(to, to + 14, value / 1000).ptr;
    *to++ = '.';
    *to++ = static_cast<char>('0' + value / 100 % 10);
    *to++ = static_cast<char>('0' + value / 10 % 10);
    *to++ = static_cast<char>('0' + value % 10);
    return to;
  };
  char* end = part(out.data(), "gateway;dur=", us(gateway));
  if (engine > Duration::zero()) end = part(end, ", engine;dur=", us(engine));
  return {out.data(), static_cast<std::size_t>(end - out.data())};
}

// Of the question that the answer was given to: 0.97.
void say_similarity(http::Reply& reply, float similarity) {
  reply.field("x-penstock-similarity", fmt::format("{:.2f}", similarity));
}

// "0.42; class=moderate"; nothing where the question has none.
void say_complexity(http::Reply& reply, float score) {
  if (score < 0) return;
  std::array<char, 32> text;
  char* end = text.data();
  const int hundredths = complexity::hundredths(score);
  *end++ = static_cast<char>('0' + hundredths / 100);
  *end++ = '.';
  *end++ = static_cast<char>('0' + hundredths / 10 % 10);
  *end++ = static_cast<char>('0' + hundredths % 10);
  for (const std::string_view part :
       {std::string_view("; class="), complexity::name_of(complexity::class_of(score))}) {
    end = std::copy(part.begin(), part.end(), end);
  }
  reply.field("x-penstock-complexity", {text.data(), static_cast<std::size_t>(end - text.data())});
}

bool ends_stream(std::string_view piece) {
  return piece.substr(piece.size() - std::min<std::size_t>(piece.size(), 24)).find("[DONE]") !=
         piece.npos;
}

}  // namespace

void Gateway::send_entry(http::Reply& reply, const cache::Entry& entry, Taken taken,
                         std::string_view request_id, std::string_view origin,
                         const limit::Ticket& ticket, Time received, Time now, float complexity,
                         std::string_view cache, float similarity) {
  std::array<char, 64> text;
  if (cache.empty()) {
    reply.prepared(entry.status, taken.form.head());
  } else {
    reply.prepared(entry.status, head_without_cache(taken.form.head()));
    reply.field("x-penstock-cache", cache);
  }
  if (similarity > 0) say_similarity(reply, similarity);
  if (!origin.empty()) let_read(snapshot_->settings->listen.cors, origin, reply);
  reply.field("x-request-id", request_id);
  say_complexity(reply, complexity);
  say_limits(reply, ticket);
  reply.field("server-timing", server_timing(text, now - received, {}));
  const auto age = std::chrono::duration_cast<std::chrono::seconds>(now - entry.stored).count();
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), std::max<std::int64_t>(0, age));
  reply.field("age", {text.data(), static_cast<std::size_t>(end.ptr - text.data())});
  reply.finish_prepared(taken.form.body(), std::move(taken.owner));
}

void Gateway::begin_head(Exchange& x, const Answer& answer) {
  http::Reply& reply = x.reply;
  std::array<char, 64> text;
  reply.status(answer.status);
  reply.field("content-type", answer.content_type);
  for (const Header& header : answer.headers) reply.field(header.name, header.value);
  let_read(x.settings().listen.cors, x.request.head.find("origin"), reply);
  reply.field("x-request-id", x.recorder.request_id());
  if (!x.recorder.engine.empty()) reply.field("x-penstock-engine", x.recorder.engine);
  switch (x.recorder.cache) {
    case CacheResult::none: break;
    case CacheResult::hit:
    case CacheResult::stale: reply.field("x-penstock-cache", cache_header(x.look)); break;
    case CacheResult::miss:
      if (!kept_status(x.settings().cache, answer.status) && !x.look.wishes.only_if_cached) {
        x.recorder.bypass_reason = "error";
      }
      reply.field("x-penstock-cache",
                  x.recorder.bypass_reason.empty() ? "miss" : x.recorder.bypass_header());
      break;
    case CacheResult::coalesced: reply.field("x-penstock-cache", "coalesced"); break;
    case CacheResult::bypass: reply.field("x-penstock-cache", x.recorder.bypass_header()); break;
  }
  if (x.look.similarity > 0) say_similarity(reply, x.look.similarity);
  if (x.recorder.error.empty()) say_complexity(reply, x.bytes.complexity);
  say_limits(reply, x.recorder.bill->ticket);
  const Duration spent = Clock::now() - x.recorder.begun();
  reply.field("server-timing",
              server_timing(text, spent - x.recorder.engine_wait(), x.recorder.engine_wait()));
}

void Gateway::send_refusal(Exchange& x, const Refusal& refusal) {
  if (refusal.status == 499) {  // nobody is there
    x.recorder.client_left = true;
    return;
  }
  Answer answer;
  answer.status = refusal.status;
  dialect::write_refusal(answer.body, refusal);
  x.recorder.error = refusal.code;
  if (!refusal.authenticate.empty()) {
    answer.headers.push_back({"www-authenticate", std::string(refusal.authenticate)});
  }
  if (!refusal.allow.empty()) answer.headers.push_back({"allow", std::string(refusal.allow)});
  if (!refusal.accept_encoding.empty()) {
    answer.headers.push_back({"accept-encoding", std::string(refusal.accept_encoding)});
  }
  if (refusal.retry_after) {
    const auto ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(*refusal.retry_after).count();
    answer.headers.push_back({"retry-after", std::to_string((ms + 999) / 1000)});
    answer.headers.push_back({"retry-after-ms", std::to_string(ms)});
  }
  if (refusal.final) answer.headers.push_back({"x-should-retry", "false"});
  begin_head(x, answer);
  if (refusal.close) x.reply.close_after();
  x.reply.finish(answer.body);
}

Task<void> Gateway::relay(Exchange& x, Answer& answer) {
  if (answer.event_stream()) {
    answer.headers.push_back({"cache-control", "no-cache"});
    answer.headers.push_back({"x-accel-buffering", "no"});
  }
  x.recorder.tell_answer(answer.body);
  const bool varies = pack(x, answer);
  begin_head(x, answer);
  if (varies) x.reply.field("vary", "accept-encoding");
  if (!answer.rest) {
    x.reply.finish(answer.body);
    co_return;
  }
  co_await relay_stream(x, answer);
}

Task<void> Gateway::relay_stream(Exchange& x, Answer& answer) {
  EngineMetrics& metrics = *x.with->pairs[x.plan.metrics];
  const bool begun = co_await x.reply.begin_stream(answer.length);
  if (!begun) {
    x.recorder.client_left = true;
    co_return;
  }
  for (;;) {
    std::optional<Result<std::string_view>> got = answer.rest->poll();
    if (!got) {
      const Time asked = Clock::now();
      Result<void> ready = co_await answer.rest->wait(x.deadline);
      x.recorder.waited_for_engine(Clock::now() - asked);
      if (ready) continue;
      got = std::move(ready).error();
    }
    const Result<std::string_view> piece = *std::move(got);
    if (!piece) {
      if (x.reply.client_left()) {
        x.recorder.client_left = true;
        co_return;
      }
      const settings::EngineSettings& engine = x.settings().engines[x.plan.engine];
      const Error error =
          told(piece.error(), engine.name, x.deadline, x.request.received + engine.timeout.total);
      metrics.interruptions[static_cast<std::size_t>(outcome_of(error))].add();
      house_.log.warning("an answer was cut short", {{"request_id", x.recorder.request_id()},
                                                     {"trace_id", x.recorder.trace_id()},
                                                     {"engine", x.recorder.engine},
                                                     {"reason", error.detail}});
      if (!answer.event_stream()) {
        x.reply.abort();
        co_return;
      }
      // OpenAI's SDKs raise on a chunk with an error; the end without [DONE] says the rest.
      const Refusal refusal = dialect::refusal_of(error);
      x.recorder.error = refusal.code;
      x.recorder.close();
      std::string event;
      dialect::write_refusal_event(event, refusal);
      const bool told = co_await x.reply.write(event);
      if (told) co_await x.reply.end_stream();
      co_return;
    }
    if (piece->empty()) break;
    metrics.chunks.add();
    x.recorder.tell_answer(*piece);
    if (x.recorder.first_byte == Time() && answer.event_stream()) {
      x.recorder.first_byte = Clock::now();
    }
    // Whoever has the last event has the whole answer.
    if (answer.event_stream() && ends_stream(*piece)) x.recorder.close();
    if (x.reply.write_now(*piece)) continue;
    const bool sent = co_await x.reply.drained();
    if (!sent) {
      x.recorder.client_left = true;
      co_return;
    }
  }
  x.recorder.close();
  co_await x.reply.end_stream();
}

}  // namespace penstock::gateway
