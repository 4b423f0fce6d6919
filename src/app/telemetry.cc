#include "app/telemetry.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "app/client.h"
#include "base/uuid.h"
#include "dialect/messages.h"
#include "dialect/stream.h"
#include "engine/provider.h"
#include "http/url.h"
#include "store/statements.h"

// The shared object that src/otlp makes.
extern "C" const char penstock_otlp_begin[];  // NOLINT(readability-identifier-naming)
extern "C" const char penstock_otlp_end[];    // NOLINT(readability-identifier-naming)

namespace penstock::app {
namespace {

// What is left of the two seconds in which the program ends is the other threads'.
constexpr Duration kLastSpans = 1500ms;
constexpr std::size_t kMostSaid = 200;  // of what the library says

// The library tells it to a function without an object, from any thread.
class LastWord {
 public:
  void say(const char* what) {
    const std::lock_guard lock(mutex_);
    said_.assign(what, strnlen(what, kMostSaid));
    said_.erase(std::min(said_.find('\n'), said_.size()));
  }
  std::string take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(said_, {});
  }

 private:
  std::mutex mutex_;
  std::string said_;
};
LastWord& last_word() {
  static auto* const word = new LastWord;  // a thread that is left behind may speak at the very end
  return *word;
}

// Loads the library from the program's own bytes; it stays loaded.
Result<trace::MakeBackend> load_library() {
  const auto failed = [](std::string why) {
    return Error{Kind::internal, Source::gateway, false, std::move(why)};
  };
  const int file = ::memfd_create("penstock-otlp", MFD_CLOEXEC);
  if (file < 0) return failed(fmt::format("memfd_create: {}", std::strerror(errno)));
  for (const char* at = penstock_otlp_begin; at < penstock_otlp_end;) {
    const ssize_t written = ::write(file, at, static_cast<std::size_t>(penstock_otlp_end - at));
    if (written <= 0) {
      ::close(file);
      return failed(fmt::format("memfd_create: {}", std::strerror(errno)));
    }
    at += written;
  }
  void* const library =
      ::dlopen(fmt::format("/proc/self/fd/{}", file).c_str(), RTLD_NOW | RTLD_LOCAL);
  const char* const why = library == nullptr ? ::dlerror() : nullptr;
  ::close(file);
  if (library == nullptr) {
    return failed(fmt::format("opentelemetry-cpp 1.19 cannot be loaded: {}",
                              why != nullptr ? why : "for an unknown reason"));
  }
  auto* const make = reinterpret_cast<trace::MakeBackend>(::dlsym(library, trace::kMakeBackend));
  if (make == nullptr) return failed("the library of OTLP is not this version's");
  return make;
}

trace::BackendOptions options_of(const settings::Tracing& tracing) {
  const settings::Tracing::Otlp& otlp = tracing.otlp;
  trace::BackendOptions options;
  options.url = tracing.endpoint;
  for (const settings::NamedValue& header : otlp.headers) {
    options.headers.emplace_back(header.name, header.value);
  }
  options.ca = otlp.ca;
  options.timeout = otlp.timeout;
  options.version = PENSTOCK_VERSION;
  options.log = [](const char* what) { last_word().say(what); };
  Random random;
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  const Uuid instance =
      make_uuid7(static_cast<std::uint64_t>(
                     std::chrono::duration_cast<std::chrono::milliseconds>(wall).count()),
                 random);
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  options.resource = {{"service.name", otlp.service},
                      {"service.version", PENSTOCK_VERSION},
                      {"service.instance.id", std::string(text(instance))},
                      {"host.name", host.data()},
                      {"process.pid", std::to_string(::getpid())}};
  // What the operator says wins.
  for (const settings::NamedValue& attribute : otlp.resource) {
    std::erase_if(options.resource, [&](const auto& own) { return own.first == attribute.name; });
    options.resource.emplace_back(attribute.name, attribute.value);
  }
  return options;
}

trace::Flush flush_of(const store::Written& written) {
  trace::Flush flush;
  flush.begin_us =
      std::chrono::duration_cast<std::chrono::microseconds>(written.begin.time_since_epoch())
          .count();
  flush.took = written.took;
  flush.rows = written.rows;
  if (written.error != nullptr) flush.error = trace::error_of(*written.error);
  for (const std::string& id : written.trace_ids) {
    if (const auto trace = trace::parse_trace_id(id)) flush.requests.push_back(*trace);
  }
  return flush;
}

// What the steps of a request ask the database, by their names.
std::map<std::string, std::string, std::less<>> queries_of(bool sqlite) {
  struct Asked {
    std::string_view step, statement;
  };
  constexpr std::array kAsked = {
      Asked{"SELECT api_keys", "find_key"},         Asked{"SELECT usage", "spend"},
      Asked{"SELECT usage tenant", "spend_tenant"}, Asked{"SELECT usage key", "spend_key"},
      Asked{"SELECT usage model", "spend_model"},
  };
  std::map<std::string, std::string, std::less<>> queries;
  for (const store::Statement* one : store::statements()) {
    for (const Asked& asked : kAsked) {
      if (one->name != asked.statement) continue;
      queries.emplace(asked.step, sqlite && !one->sqlite.empty() ? one->sqlite : one->sql);
    }
  }
  return queries;
}

}  // namespace

trace::EngineFacts facts_of(const settings::EngineSettings& engine) {
  trace::EngineFacts facts{engine::provider_of(engine), {}, 0};
  if (engine.kind != settings::EngineKind::openai) return facts;
  if (const auto url = http::parse_url(engine.url)) {
    facts.address = url->host;
    facts.port = url->port;
  }
  return facts;
}

Telemetry::Telemetry(gateway::House& house, observe::Registry& registry, observe::Log& log,
                     const settings::Settings& settings)
    : tracer_(house.tracer) {
  if (!settings.tracing.endpoint.empty()) {
    const settings::Tracing& tracing = settings.tracing;
    trace::Exporter::Options options;
    options.queue = tracing.otlp.queue;
    options.batch = tracing.otlp.batch;
    options.delay = tracing.otlp.delay;
    options.make = [options = options_of(tracing)]() -> Result<std::shared_ptr<trace::Backend>> {
      const Result<trace::MakeBackend> make = load_library();
      if (!make) return make.error();
      std::shared_ptr<trace::Backend> backend((*make)(options));
      if (!backend) return said("the backend cannot be used as it is configured");
      return backend;
    };
    options.failed = [&log](const Error& error) {
      const std::string more = last_word().take();
      log.warning("traces are not exported",
                  {{"setting", "tracing.endpoint"},
                   {"reason", more.empty() ? error.detail : error.detail + ": " + more}});
    };
    options.messages = [](const trace::Texts& texts) {
      const bool stream = texts.answer.starts_with("data:");
      Result<std::string> whole = stream ? dialect::assemble(texts.answer) : texts.answer;
      return trace::Messages{
          dialect::input_messages(texts.question, texts.endpoint),
          whole ? dialect::output_messages(*whole, texts.endpoint) : std::string()};
    };
    options.recovered = [&log] { log.info("traces are exported again", {}); };
    exporter_ = std::make_unique<trace::Exporter>(std::move(options));
    tracer_.exporter = [exporter = exporter_.get()](trace::Finished&& one) {
      exporter->add(std::move(one));
    };
    house.rows_written = [exporter = exporter_.get()](const store::Written& written) {
      exporter->add(flush_of(written));
    };
    configure(settings);
  }
  const auto spans = [&](const char* result, std::uint64_t (trace::Exporter::*count)() const) {
    registry.watch(observe::Type::counter, "penstock_telemetry_spans_total",
                   "Spans of kept requests: exported, failed (the backend did not take them), "
                   "dropped (the queue was full).",
                   {{"result", result}}, [this, count] {
                     return exporter_ ? static_cast<double>((exporter_.get()->*count)()) : 0.0;
                   });
  };
  spans("exported", &trace::Exporter::exported);
  spans("failed", &trace::Exporter::failed);
  spans("dropped", &trace::Exporter::dropped);
  registry.watch(observe::Type::gauge, "penstock_telemetry_span_queue",
                 "Kept requests whose spans wait to be exported.", {},
                 [this] { return exporter_ ? static_cast<double>(exporter_->waiting()) : 0.0; });
}

Telemetry::~Telemetry() { end(); }

void Telemetry::configure(const settings::Settings& settings) {
  if (!exporter_) return;
  trace::Facts facts;
  for (const settings::EngineSettings& engine : settings.engines) {
    facts.engines.emplace(engine.name, facts_of(engine));
  }
  const bool sqlite = settings.store.url.starts_with("sqlite");
  facts.database = sqlite ? "sqlite" : "postgresql";
  facts.queries = queries_of(sqlite);
  exporter_->set_facts(std::move(facts));
}

bool Telemetry::end() { return exporter_ == nullptr || exporter_->stop(kLastSpans); }

}  // namespace penstock::app
