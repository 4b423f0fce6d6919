// OTLP over HTTP by opentelemetry-cpp: a shared object of its own, which knows trace/backend.h and
// nothing else of the program (ADR 25).
//
// The SDK's tracer is not used: it would make ids and read the clock on the thread of a request.
// Its exporter takes spans in a form that can be filled in afterwards, with the ids and times they
// had.

#include <opentelemetry/exporters/otlp/otlp_http_exporter.h>
#include <opentelemetry/exporters/otlp/otlp_http_exporter_options.h>
#include <opentelemetry/sdk/common/global_log_handler.h>
#include <opentelemetry/sdk/instrumentationscope/instrumentation_scope.h>
#include <opentelemetry/sdk/resource/resource.h>
#include <opentelemetry/sdk/trace/recordable.h>
#include <opentelemetry/trace/span_context.h>
#include <opentelemetry/trace/trace_state.h>

#include <atomic>
#include <memory>

#include "trace/backend.h"

namespace penstock::otlp {
namespace {

namespace otel = opentelemetry;
namespace exporter = otel::exporter::otlp;
namespace sdk = otel::sdk;

std::atomic<unsigned> errors{0};  // that the library told of, since the last batch began

// What the library writes to standard error otherwise.
class LogHandler final : public sdk::common::internal_log::LogHandler {
 public:
  explicit LogHandler(void (*log)(const char*)) : log_(log) {}
  void Handle(sdk::common::internal_log::LogLevel level, const char*, int, const char* message,
              const sdk::common::AttributeMap&) noexcept override {
    if (level <= sdk::common::internal_log::LogLevel::Error) errors.fetch_add(1);
    if (level <= sdk::common::internal_log::LogLevel::Warning && message != nullptr) log_(message);
  }

 private:
  void (*log_)(const char*);
};

void big_endian(std::uint64_t value, std::uint8_t* to) {
  for (int i = 7; i >= 0; --i, value >>= 8) to[i] = static_cast<std::uint8_t>(value);
}

otel::trace::TraceId id_of(const trace::TraceId& id) {
  std::uint8_t bytes[otel::trace::TraceId::kSize];
  big_endian(id.high, bytes);
  big_endian(id.low, bytes + 8);
  return otel::trace::TraceId(bytes);
}

otel::trace::SpanId id_of(trace::SpanId id) {
  std::uint8_t bytes[otel::trace::SpanId::kSize];
  big_endian(id, bytes);
  return otel::trace::SpanId(bytes);
}

otel::trace::SpanContext context_of(const trace::Context& context) {
  const otel::trace::TraceFlags flags(context.sampled ? otel::trace::TraceFlags::kIsSampled : 0);
  return {id_of(context.trace), id_of(context.span), flags, false,
          otel::trace::TraceState::GetDefault()};
}

otel::trace::SpanKind kind_of(trace::SpanKind kind) {
  switch (kind) {
    case trace::SpanKind::server: return otel::trace::SpanKind::kServer;
    case trace::SpanKind::client: return otel::trace::SpanKind::kClient;
    case trace::SpanKind::internal: break;
  }
  return otel::trace::SpanKind::kInternal;
}

void set(sdk::trace::Recordable& to, const trace::Attribute& attribute) {
  std::visit(
      [&](const auto& value) {
        if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>) {
          to.SetAttribute(attribute.name, otel::nostd::string_view(value));
        } else {
          to.SetAttribute(attribute.name, value);
        }
      },
      attribute.value);
}

class OtlpBackend final : public trace::Backend {
 public:
  OtlpBackend(const trace::BackendOptions& options, const exporter::OtlpHttpExporterOptions& http)
      : resource_(sdk::resource::Resource::Create(attributes(options))),
        scope_(
            sdk::instrumentationscope::InstrumentationScope::Create("penstock", options.version)),
        exporter_(http) {}

  bool send(std::span<const trace::ExportSpan> spans) override {
    std::vector<std::unique_ptr<sdk::trace::Recordable>> batch;
    batch.reserve(spans.size());
    for (const trace::ExportSpan& span : spans) batch.push_back(made(span));
    // The exporter returns success whatever came back; that it is none is only in what it says.
    errors.store(0);
    const auto result = exporter_.Export({batch.data(), batch.size()});
    return result == sdk::common::ExportResult::kSuccess && errors.load() == 0;
  }

 private:
  static sdk::resource::ResourceAttributes attributes(const trace::BackendOptions& options) {
    sdk::resource::ResourceAttributes all;
    for (const auto& [name, value] : options.resource) all.SetAttribute(name, value);
    return all;
  }

  std::unique_ptr<sdk::trace::Recordable> made(const trace::ExportSpan& from) {
    auto span = exporter_.MakeRecordable();
    span->SetIdentity(context_of(from.context), id_of(from.parent));
    span->SetName(from.name);
    span->SetSpanKind(kind_of(from.kind));
    span->SetResource(resource_);
    span->SetInstrumentationScope(*scope_);
    const std::chrono::nanoseconds begin(from.unix_ns);
    span->SetStartTime(otel::common::SystemTimestamp(begin));
    span->SetDuration(std::chrono::nanoseconds(from.took_ns));
    if (from.error) span->SetStatus(otel::trace::StatusCode::kError, from.message);
    for (const trace::Attribute& attribute : from.attributes) set(*span, attribute);
    for (const trace::SpanEvent& event : from.events) {
      span->AddEvent(event.name,
                     otel::common::SystemTimestamp(std::chrono::nanoseconds(event.unix_ns)),
                     otel::common::NoopKeyValueIterable());
    }
    for (const trace::Context& link : from.links) {
      span->AddLink(context_of(link), otel::common::NoopKeyValueIterable());
    }
    return span;
  }

  const sdk::resource::Resource resource_;
  const std::unique_ptr<sdk::instrumentationscope::InstrumentationScope> scope_;
  exporter::OtlpHttpExporter exporter_;
};

}  // namespace
}  // namespace penstock::otlp

extern "C" __attribute__((visibility("default"))) penstock::trace::Backend*
penstock_make_otlp_backend(const penstock::trace::BackendOptions& options) {
  namespace sdk = opentelemetry::sdk;
  if (options.log != nullptr) {
    sdk::common::internal_log::GlobalLogHandler::SetLogHandler(
        opentelemetry::nostd::shared_ptr<sdk::common::internal_log::LogHandler>(
            new penstock::otlp::LogHandler(options.log)));
  }
  opentelemetry::exporter::otlp::OtlpHttpExporterOptions http;
  http.url = options.url;
  http.content_type = opentelemetry::exporter::otlp::HttpRequestContentType::kBinary;
  http.console_debug = false;
  http.compression = "none";
  http.timeout = std::chrono::duration_cast<std::chrono::system_clock::duration>(options.timeout);
  http.http_headers.clear();
  for (const auto& [name, value] : options.headers) http.http_headers.emplace(name, value);
  http.ssl_ca_cert_path = options.ca;
  return new penstock::otlp::OtlpBackend(options, http);
}
