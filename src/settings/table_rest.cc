// The table, last part: what is watched.
#include "settings/table.h"

namespace penstock::settings {
std::vector<Key> remaining_keys() {
  return {
      {.path = "metrics", .help = "What Prometheus reads."},
      {.path = "metrics.path",
       .type = Type::text,
       .standard = "/metrics",
       .form = Form::path,
       .help = "On the admin listener, where nothing else is.",
       .field = at<Settings>([](auto& s) { return &s.metrics.path; })},
      {.path = "metrics.exemplars",
       .type = Type::boolean,
       .standard = "true",
       .help = "Trace ids beside the histograms of durations, in OpenMetrics.",
       .field = at<Settings>([](auto& s) { return &s.metrics.exemplars; })},
      {.path = "metrics.max_label_values",
       .type = Type::integer,
       .standard = "200",
       .least = "1",
       .most = "100000",
       .unit = "values",
       .help = "Of one label whose values come from this file, as engines and models; what comes "
               "after that is counted as `other`.",
       .field = at<Settings>([](auto& s) { return &s.metrics.max_label_values; })},
      {.path = "metrics.tenants",
       .type = Type::texts,
       .standard = "[]",
       .help = "Tenants that have series of their own: penstock_tenant_requests_total, "
               "penstock_tenant_tokens_total, penstock_tenant_cost_total.",
       .field = at<Settings>([](auto& s) { return &s.metrics.tenants; })},

      {.path = "tracing",
       .help =
           "What is seen of each request, step by step: `penstock trace` shows the last ones, and "
           "a backend of OpenTelemetry gets those that are kept."},
      {.path = "tracing.endpoint",
       .type = Type::url,
       .help = "Where OTLP over HTTP is taken; /v1/traces is added where there is no path. The "
               "OTEL_* variables say the rest. Nothing is sent where it is empty.",
       .field = at<Settings>([](auto& s) { return &s.tracing.endpoint; })},
      {.path = "tracing.sample",
       .type = Type::ratio,
       .standard = "auto",
       .special = "auto",
       .help = "Of the traces that begin here; where the caller has decided, that holds. `auto` is "
               "all up to 10/s, then 10/s. Errors and slow requests are always kept.",
       .field = at<Settings>([](auto& s) { return &s.tracing.sample; })},
      {.path = "tracing.slow",
       .type = Type::duration,
       .standard = "10s",
       .least = "1ms",
       .most = "1d",
       .help = "A request that takes so long is kept whatever is sampled.",
       .field = at<Settings>([](auto& s) { return &s.tracing.slow; })},
      {.path = "tracing.incoming",
       .type = Type::word,
       .standard = "parent",
       .words = {{"parent"}, {"link"}, {"ignore"}},
       .help =
           "What a caller's traceparent is: the trace goes on; or one begins here that links to "
           "it; or nothing.",
       .field = at<Settings>([](auto& s) { return &s.tracing.incoming; })},
      {.path = "tracing.ring",
       .type = Type::integer,
       .standard = "1000",
       .least = "1",
       .most = "1000000",
       .unit = "requests",
       .help = "The last requests, all of them, to look at without a backend; each takes about 700 "
               "bytes, and 120 for each step.",
       .field = at<Settings>([](auto& s) { return &s.tracing.ring; })},
      {.path = "tracing.record_text",
       .type = Type::boolean,
       .standard = "false",
       .help = "Questions and answers as attributes (gen_ai.input.messages and "
               "gen_ai.output.messages) of what is exported, each up to 64 KiB. Whoever may read "
               "the traces may read them then.",
       .field = at<Settings>([](auto& s) { return &s.tracing.record_text; })},

      {.path = "logging", .help = "The program's log."},
      {.path = "logging.level",
       .type = Type::word,
       .standard = "info",
       .words = {{"debug"}, {"info"}, {"warn"}, {"error"}},
       .help =
           "What is less important is left out. Two things are not: the lines of requests, which "
           "`logging.access` rules alone, and changes made by the admin API.",
       .field = at<Settings>([](auto& s) { return &s.logging.level; })},
      {.path = "logging.format",
       .type = Type::word,
       .standard = "auto",
       .words = {{"auto"}, {"text"}, {"json"}},
       .help = "auto: text on a terminal, JSON elsewhere.",
       .field = at<Settings>([](auto& s) { return &s.logging.format; })},
      {.path = "logging.access",
       .type = Type::word,
       .standard = "errors",
       .words = {{"none"}, {"errors"}, {"all"}},
       .help =
           "Which requests get a line, at any `logging.level`: none, those answered with 400 and "
           "above, all.",
       .field = at<Settings>([](auto& s) { return &s.logging.access; })},

      {.path = "budgets",
       .type = Type::sections,
       .help =
           "Performance budgets, shown live: how much of what was promised is kept. Without the "
           "list there are eight: latency, throughput, cache, errors, cpu, memory, "
           "database_connections and overhead; `[]` is none.",
       .add = [](void* s, std::string_view) -> void* {
         return &static_cast<Settings*>(s)->budgets.emplace_back();
       }},
      {.path = "budgets[].name",
       .type = Type::text,
       .form = Form::name,
       .required = true,
       .help = "Names the budget in metrics, alerts and reports.",
       .field = at<Budget>([](auto& b) { return &b.name; })},
      {.path = "budgets[].of",
       .type = Type::word,
       .standard = "name",
       .special = "name",
       .words = {{"response"},
                 {"first_token"},
                 {"overhead"},
                 {"errors"},
                 {"cache"},
                 {"throughput"},
                 {"cpu"},
                 {"memory"},
                 {"database_connections"}},
       .help = "What it is about. response: whole answers with a 2xx, streams left out. "
               "first_token: of streams, by the engine. overhead: all the time less the wait for "
               "engines. errors: answers with 5xx, of all. cache: answers that no engine was asked "
               "for. cpu and memory: of what the program may take. Where it is not set the name "
               "says it, or `hit_ratio` (cache), or `requests_per_second` (throughput).",
       .field = at<Budget>([](auto& b) { return &b.of; })},
      {.path = "budgets[].below",
       .type = Type::text,
       .help = "A time such as 200ms; a percentage for errors, cpu and memory; a number of "
               "connections.",
       .field = at<Budget>([](auto& b) { return &b.below; })},
      {.path = "budgets[].for",
       .type = Type::ratio,
       .standard = "none",
       .special = "none",
       .help = "The share that must be below: of requests for times, else of minutes. 99% where it "
               "is not set.",
       .field = at<Budget>([](auto& b) { return &b.share; })},
      {.path = "budgets[].requests_per_second",
       .type = Type::number,
       .standard = "none",
       .special = "none",
       .help = "In load tests alone: live, clients decide it.",
       .field = at<Budget>([](auto& b) { return &b.requests_per_second; })},
      {.path = "budgets[].hit_ratio",
       .type = Type::ratio,
       .standard = "none",
       .special = "none",
       .help = "The share of answers that no engine is asked for.",
       .field = at<Budget>([](auto& b) { return &b.hit_ratio; })},
      {.path = "budgets[].in",
       .type = Type::texts,
       .standard = "[]",
       .help = "Where it is looked at: load, live. Where nothing stands: both, or load alone for "
               "requests_per_second.",
       .field = at<Budget>([](auto& b) { return &b.in; })},
      {.path = "budgets[].alert",
       .type = Type::word,
       .standard = "none",
       .words = {{"none"}, {"ticket"}, {"page"}},
       .help = "Who is woken by the rules that `penstock rules` writes.",
       .field = at<Budget>([](auto& b) { return &b.alert; })},

      {.path = "prometheus",
       .later = "history is still to come",
       .help = "Where the console and the reports find history."},
      {.path = "prometheus.url", .type = Type::text},

      {.path = "autoscaling",
       .later = "autoscaling is still to come",
       .help = "The wanted number of replicas."},
      {.path = "autoscaling.target_utilization",
       .type = Type::ratio,
       .standard = "70%",
       .help = "Of in-flight capacity, not of CPU alone."},
      {.path = "autoscaling.replicas"},
      {.path = "autoscaling.replicas.min", .type = Type::integer, .standard = "2"},
      {.path = "autoscaling.replicas.max", .type = Type::integer, .standard = "20"},
      {.path = "autoscaling.cooldown"},
      {.path = "autoscaling.cooldown.up", .type = Type::duration, .standard = "15s"},
      {.path = "autoscaling.cooldown.down", .type = Type::duration, .standard = "5m"},
      {.path = "autoscaling.webhook",
       .type = Type::text,
       .help = "Told of every change of the wanted size, for those without Kubernetes."},
  };
}

}  // namespace penstock::settings
