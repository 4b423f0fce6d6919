// Where spans go: OTLP over HTTP, by opentelemetry-cpp. That library comes with some forty others,
// so it is no part of the program: what uses it is a shared object of its own (src/otlp), which the
// program carries and loads where an endpoint is set (ADR 25). This is all that the two know of
// each other.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "trace/context.h"

namespace penstock::trace {

struct BackendOptions {
  std::string url;  // that spans are posted to
  std::vector<std::pair<std::string, std::string>> headers;
  std::string ca;  // a file of certificates; empty: the system's
  Duration timeout{};
  std::vector<std::pair<std::string, std::string>> resource;  // attributes, service.name among them
  std::string version;                                        // of this program
  void (*log)(const char* what) = nullptr;                    // what the library has to say
};

using Value = std::variant<std::string, std::int64_t, double, bool>;
struct Attribute {
  std::string name;
  Value value;
};

struct SpanEvent {
  std::string name;
  std::int64_t unix_ns = 0;
};

enum class SpanKind : std::uint8_t { internal, server, client };

// A span as a backend gets it.
struct ExportSpan {
  Context context;
  SpanId parent = 0;
  std::string name;
  SpanKind kind = SpanKind::internal;
  std::int64_t unix_ns = 0;
  std::int64_t took_ns = 0;
  bool error = false;
  std::string message;  // of the error
  std::vector<Attribute> attributes;
  std::vector<SpanEvent> events;
  std::vector<Context> links;
};

class Backend {
 public:
  virtual ~Backend() = default;
  // Sends them, and waits for the answer; false: they did not get there. One thread at a time.
  virtual bool send(std::span<const ExportSpan> spans) = 0;
};

// What the shared object has under this name. Null: the options make no sense to it.
using MakeBackend = Backend* (*)(const BackendOptions& options);
inline constexpr const char* kMakeBackend = "penstock_make_otlp_backend";

}  // namespace penstock::trace
