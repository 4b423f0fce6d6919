// What is seen of requests as they end, for their traces.

#include "gateway/exchange.h"

namespace penstock::gateway {
namespace {

std::int64_t microseconds(WallTime wall) {
  return std::chrono::duration_cast<std::chrono::microseconds>(wall.time_since_epoch()).count();
}

// Beside the duration of what is kept.
void show(Settled& settled, const trace::Seen& seen, const trace::Rules& rules) {
  settled.trace = seen.context.trace;
  const bool kept =
      seen.context.sampled || (rules.exporting && (trace::failed(seen) || seen.took >= rules.slow));
  if (kept) settled.exemplar = {seen.context.trace.high, seen.context.trace.low};
}

// What every request has, however it was answered.
void fill(trace::Seen& seen, const Settled& settled, std::string_view method) {
  seen.took = settled.duration;
  seen.method = method;
  seen.route = trace::route_of(settled.endpoint);
  seen.cache = label_of(settled.cache);
  seen.status = settled.status;
  seen.stream = settled.stream;
  seen.request_bytes = settled.request_bytes;
  seen.response_bytes = settled.response_bytes;
}

}  // namespace

// Whether requests that begin now are seen step by step.
bool Gateway::tracing(const Snapshot& with) const {
  return house_.tracing.on(with.settings->features.opentelemetry_tracing);
}

// A kept answer that was given at once: there were no steps.
void Gateway::see_hit(Settled& settled, std::string_view traceparent, const cache::Entry& entry,
                      std::string_view request_id, float complexity, Time received, WallTime wall) {
  if (!tracing(*snapshot_)) return;
  house_.tracer.see(traceparent, snapshot_->tracing, random_, received, [&](trace::Seen& seen) {
    fill(seen, settled, "POST");
    show(settled, seen, snapshot_->tracing);
    seen.begin = received;
    seen.begin_us = microseconds(wall) -
                    std::chrono::duration_cast<std::chrono::microseconds>(settled.duration).count();
    seen.level = "memory";
    if (complexity >= 0) seen.complexity = complexity::exact(complexity);
    seen.request_id = request_id;
    seen.model = entry.model;
    seen.engine_name = entry.engine;
    seen.usage = entry.usage;
  });
}

// A message that was no request.
void Gateway::see_refused(Settled& settled, const http::RequestHead& head,
                          std::string_view request_id, std::string_view code) {
  if (!tracing(*snapshot_)) return;
  const Time now = Clock::now();
  house_.tracer.see(head.find("traceparent"), snapshot_->tracing, random_, now,
                    [&](trace::Seen& seen) {
                      fill(seen, settled, trace::method_of(settled.method));
                      show(settled, seen, snapshot_->tracing);
                      seen.begin = now;
                      seen.begin_us = microseconds(std::chrono::system_clock::now());
                      seen.error = code;
                      seen.request_id = request_id;
                    });
}

void Recorder::see_begin() {
  if (!gateway_.tracing(*gateway_.snapshot_)) return;
  trace::Trace& trace = bill->trace;
  trace.begin(gateway_.house_.tracer, gateway_.snapshot_->tracing,
              request_.head.find("traceparent"), gateway_.random_, begun_);
  trace.seen.begin = begun_;
  trace.seen.begin_us = bill->row.time_us;
  trace.seen.request_id = request_id_;
  trace_text_ = trace::text_of(trace.seen.context.trace);
  bill->row.trace_id = trace_id();
}

void Recorder::see_end(Settled& settled) {
  trace::Trace& trace = bill->trace;
  if (!trace) return;
  trace::Seen& seen = trace.seen;
  fill(seen, settled, trace::method_of(settled.method));
  seen.engine = engine_wait_;
  if (first_byte != Time()) seen.first_token = first_byte - begun_;
  if (cache == CacheResult::hit || cache == CacheResult::stale) seen.level = level;
  seen.error = error;
  show(settled, seen, gateway_.snapshot_->tracing);
  seen.model = model_label;
  seen.engine_name = engine;
}

std::string_view Recorder::trace_id() const {
  return bill->trace ? trace::text(trace_text_) : std::string_view();
}

}  // namespace penstock::gateway
