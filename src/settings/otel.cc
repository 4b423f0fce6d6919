#include "settings/otel.h"

#include <fmt/format.h>

#include <charconv>

#include "settings/text.h"
#include "settings/values.h"

namespace penstock::settings {
namespace {

constexpr std::string_view kTraces = "/v1/traces";
constexpr std::string_view kUsualEndpoint = "http://localhost:4318";

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// W3C Baggage's percent-encoding; nothing where an escape is broken.
std::optional<std::string> decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned value = 0;
    if (text.size() - i < 3) return std::nullopt;
    const auto [end, ec] = std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16);
    if (ec != std::errc{} || end != text.data() + i + 3) return std::nullopt;
    out += static_cast<char>(value);
    i += 2;
  }
  return out;
}

class Variables {
 public:
  Variables(const Environment& environment, std::vector<std::string>* warnings)
      : environment_(environment), warnings_(warnings) {}

  // Set and empty is as good as unset, as the specification has it.
  std::optional<std::string> text(const char* name) const {
    std::optional<std::string> value = environment_(name);
    if (!value || value->empty()) return std::nullopt;
    return value;
  }
  // The traces' own variable, or the one of all signals.
  std::optional<std::string> text(const char* own, const char* common) const {
    std::optional<std::string> value = text(own);
    return value ? value : text(common);
  }
  std::optional<std::uint32_t> number(const char* name) const {
    const auto value = text(name);
    return value ? number(name, *value) : std::nullopt;
  }
  std::optional<std::uint32_t> number(const char* name, std::string_view value) const {
    std::uint32_t number = 0;
    const auto [end, ec] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (ec == std::errc{} && end == value.data() + value.size() && number > 0) return number;
    warn(name, value, "a number above 0");
    return std::nullopt;
  }
  std::optional<std::vector<NamedValue>> list(const char* name, std::string_view value) const {
    std::vector<NamedValue> list;
    for (std::size_t at = 0; at <= value.size();) {
      const std::size_t end = std::min(value.find(',', at), value.size());
      const std::string_view item = trimmed(value.substr(at, end - at));
      at = end + 1;
      if (item.empty()) continue;
      const std::size_t equals = item.find('=');
      const auto right =
          equals == item.npos ? std::nullopt : decoded(trimmed(item.substr(equals + 1)));
      const std::string_view left = trimmed(item.substr(0, equals));
      if (!right || left.empty()) {
        // A value may be a credential.
        warn(name, {}, "key=value,key=value, with what is special as %XX");
        return std::nullopt;
      }
      list.push_back({std::string(left), *right});
    }
    return list;
  }
  void warn(const char* name, std::string_view value, std::string_view expected) const {
    if (warnings_ == nullptr) return;
    warnings_->push_back(value.empty() ? fmt::format("{} is ignored; expected {}", name, expected)
                                       : fmt::format("{}={} is ignored; expected {}", name,
                                                     shown(without_secrets(value)), expected));
  }

 private:
  const Environment& environment_;
  std::vector<std::string>* warnings_;
};

// As OpenTelemetry spells it: true in any letter case, everything else is false.
bool is_true(std::string_view value) {
  constexpr std::string_view kTrue = "true";
  return value.size() == kTrue.size() &&
         std::equal(value.begin(), value.end(), kTrue.begin(), [](char a, char b) {
           return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
         });
}

bool has_path(std::string_view url) {
  const std::size_t host = url.find("://");
  if (host == url.npos) return false;
  const std::size_t slash = url.find('/', host + 3);
  return slash != url.npos && slash + 1 < url.size();
}

std::string with_traces_path(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url += kTraces;
}

std::string endpoint_of(const Variables& variables) {
  constexpr const char* kOwn = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
  constexpr const char* kCommon = "OTEL_EXPORTER_OTLP_ENDPOINT";
  for (const char* name : {kOwn, kCommon}) {
    const auto url = variables.text(name);
    if (!url) continue;
    if (!parse_url(*url)) {
      variables.warn(name, *url, "a URL such as http://collector:4318");
      return {};
    }
    return name == kOwn ? *url : with_traces_path(*url);  // the common one is a base
  }
  if (variables.text("OTEL_TRACES_EXPORTER")) return with_traces_path(std::string(kUsualEndpoint));
  return {};
}

void read_sampler(const Variables& variables, Tracing& tracing, bool sample_given) {
  constexpr const char* kName = "OTEL_TRACES_SAMPLER";
  constexpr const char* kArgument = "OTEL_TRACES_SAMPLER_ARG";
  const auto sampler = variables.text(kName);
  if (!sampler) return;
  std::string_view kind = *sampler;
  constexpr std::string_view kParent = "parentbased_";
  const bool parent = kind.starts_with(kParent);
  if (parent) kind.remove_prefix(kParent.size());
  std::optional<double> share;
  if (kind == "always_on") {
    share = 1;
  } else if (kind == "always_off") {
    share = 0;
  } else if (kind == "traceidratio") {
    share = 1;
    if (const auto text = variables.text(kArgument)) {
      double value = 0;
      const auto [end, ec] = std::from_chars(text->data(), text->data() + text->size(), value);
      if (ec == std::errc{} && end == text->data() + text->size() && value >= 0 && value <= 1) {
        share = value;
      } else {
        variables.warn(kArgument, *text, "a share from 0 to 1");
      }
    }
  } else {
    variables.warn(kName, *sampler,
                   "always_on, always_off or traceidratio, with or without parentbased_ before it");
    return;
  }
  if (sample_given) return;
  tracing.sample = share;
  tracing.follow_parent = parent;
}

void read_propagators(const Variables& variables, Tracing& tracing) {
  constexpr const char* kName = "OTEL_PROPAGATORS";
  const auto list = variables.text(kName);
  if (!list) return;
  bool known = false;
  std::string_view rest = *list;
  tracing.propagate = false;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    const std::string_view one = trimmed(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (one == "tracecontext") tracing.propagate = true;
    if (one == "tracecontext" || one == "none" || one == "baggage") known = true;
  }
  if (known) return;
  tracing.propagate = true;
  variables.warn(kName, *list, "tracecontext or none");
}

void read_export(const Variables& variables, Tracing::Otlp& otlp) {
  if (const auto text =
          variables.text("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")) {
    if (auto list = variables.list("OTEL_EXPORTER_OTLP_HEADERS", *text))
      otlp.headers = *std::move(list);
  }
  if (const auto text =
          variables.text("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")) {
    if (const auto ms = variables.number("OTEL_EXPORTER_OTLP_TIMEOUT", *text)) {
      otlp.timeout = std::chrono::milliseconds(*ms);
    }
  }
  if (const auto text = variables.text("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
                                       "OTEL_EXPORTER_OTLP_COMPRESSION")) {
    // The library as Debian has it cannot.
    if (*text != "none") variables.warn("OTEL_EXPORTER_OTLP_COMPRESSION", *text, "none");
  }
  if (const auto text = variables.text("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
                                       "OTEL_EXPORTER_OTLP_CERTIFICATE")) {
    otlp.ca = *text;
  }
  if (const auto text =
          variables.text("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")) {
    if (*text != "http/protobuf") {
      variables.warn("OTEL_EXPORTER_OTLP_PROTOCOL", *text, "http/protobuf, on port 4318 as a rule");
    }
  }
  if (const auto most = variables.number("OTEL_BSP_MAX_QUEUE_SIZE")) otlp.queue = *most;
  if (const auto most = variables.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")) otlp.batch = *most;
  if (const auto ms = variables.number("OTEL_BSP_SCHEDULE_DELAY")) {
    otlp.delay = std::chrono::milliseconds(*ms);
  }
  otlp.batch = std::min(otlp.batch, otlp.queue);
  if (const auto text = variables.text("OTEL_RESOURCE_ATTRIBUTES")) {
    if (auto list = variables.list("OTEL_RESOURCE_ATTRIBUTES", *text)) {
      for (NamedValue& attribute : *list) {
        if (attribute.name == "service.name") {
          otlp.service = attribute.value;
        } else {
          otlp.resource.push_back(std::move(attribute));
        }
      }
    }
  }
  if (const auto text = variables.text("OTEL_SERVICE_NAME")) otlp.service = *text;
}

void read(const Variables& variables, Tracing& tracing,
          const std::function<bool(std::string_view)>& given) {
  if (given("tracing.endpoint") && !tracing.endpoint.empty()) {
    if (!has_path(tracing.endpoint)) tracing.endpoint = with_traces_path(tracing.endpoint);
  } else if (!given("tracing.endpoint")) {
    tracing.endpoint = endpoint_of(variables);
  }
  if (const auto exporter = variables.text("OTEL_TRACES_EXPORTER");
      exporter && *exporter != "otlp") {
    if (*exporter != "none") variables.warn("OTEL_TRACES_EXPORTER", *exporter, "otlp or none");
    if (!given("tracing.endpoint")) tracing.endpoint.clear();
  }
  if (is_true(variables.text("OTEL_SDK_DISABLED").value_or(""))) tracing.endpoint.clear();
  read_sampler(variables, tracing, given("tracing.sample"));
  read_propagators(variables, tracing);
  read_export(variables, tracing.otlp);
}

// The names of generative AI are not stable: who wants them says so.
bool wants_gen_ai(const Variables& variables) {
  const std::string wanted = variables.text("OTEL_SEMCONV_STABILITY_OPT_IN").value_or("");
  for (std::string_view rest = wanted; !rest.empty();) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    std::string_view item = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (item == "gen_ai_latest_experimental") return true;
  }
  return false;
}

}  // namespace

void apply_otel(const Environment& environment, Settings& settings,
                const std::function<bool(std::string_view path)>& given) {
  const Variables variables(environment, nullptr);
  read(variables, settings.tracing, given);
  settings.metrics.gen_ai = wants_gen_ai(variables);
}

std::vector<std::string> otel_warnings(const Environment& environment) {
  std::vector<std::string> warnings;
  Tracing unused;
  read(Variables(environment, &warnings), unused, [](std::string_view) { return false; });
  return warnings;
}

}  // namespace penstock::settings
