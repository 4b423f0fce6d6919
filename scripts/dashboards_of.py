"""What the dashboards show (scripts/dashboards.py makes them of it): rows of panels, each with what a
bad value means."""

S = 'job="$job", instance=~"$instance"'
R = "[$__rate_interval]"
FROM_CACHE, HAD_PART = 'cache=~"hit|stale|coalesced"', 'cache=~"hit|stale|coalesced|miss"'


# Where a click on an engine's line leads.
ENGINE = ("This engine", "penstock-engines", "var-engine=${__field.labels.engine}&")


def rate(series, labels="", by=""):
    labels = f"{S}, {labels}" if labels else S
    return f"sum{f' by ({by})' if by else ''} (rate({series}{{{labels}}}{R}))"


def quantile(share, histogram, labels="", by=""):
    labels = f"{S}, {labels}" if labels else S
    return f"histogram_quantile({share}, sum by ({by + ', ' if by else ''}le) (rate({histogram}_bucket{{{labels}}}{R})))"


def panel(kind, title, says, *targets, **more):
    return {"kind": kind, "title": title, "says": says, "targets": list(targets), **more}


def stat(title, says, expression, **more):
    return panel("stat", title, says, (expression, ""), **more)


def lines(title, says, *targets, **more):
    return panel("timeseries", title, says, *targets, **{"least": 0, **more})


def states(title, says, words, *targets, **more):
    return panel("state-timeline", title, says, *targets, words=words, **more)


HIT_RATIO = (f"{rate('penstock_request_overhead_seconds_count', FROM_CACHE)} / "
             f"{rate('penstock_request_overhead_seconds_count', HAD_PART)}")
ERRORS = rate("penstock_http_requests_total", 'code=~"5.."') + " / " + rate("penstock_http_requests_total")

# What both the overview and the capacity show.
CPU = lines("CPU", "Of the cores that it may use.",
            (f"rate(process_cpu_seconds_total{{{S}}}{R}) / on (job, instance) penstock_cpu_limit_cores{{{S}}}",
             "{{instance}}"), unit="percentunit", most=1, warn=0.7, bad=0.85, runbook="PenstockCpuHigh")
MEMORY = lines("Memory", "Of what it may use.",
               (f"process_resident_memory_bytes{{{S}}} / on (job, instance) penstock_memory_limit_bytes{{{S}}}",
                "{{instance}}"), unit="percentunit", most=1, warn=0.8, bad=0.9, runbook="PenstockMemoryHigh")
LATE = lines("Late timers, p99", "A loop that does not turn in time.",
             (quantile(0.99, "penstock_event_loop_lag_seconds", by="instance"), "{{instance}}"), unit="s", warn=0.05,
             bad=0.1, runbook="PenstockEventLoopLag")
IN_FLIGHT = lines("In flight", "Requests that wait for their answer's end.",
                  (f"sum by (instance) (penstock_http_requests_in_flight{{{S}}})", "{{instance}}"))

OVERVIEW = {
    "title": "Penstock: overview", "says": "What clients get, what engines do, and how full gateways are.",
    "variables": ["job", "instance"],
    "rows": [
        ("Now", [
            stat("Ready", "Gateways that take requests, of those that Prometheus asks. Not all: one is away, starting, "
                 "ending or without engines.", f"(sum(penstock_ready{{{S}}}) or vector(0)) / count(up{{{S}}})",
                 unit="percentunit", warn=1, bad=0.5, runbook="PenstockNotReady"),
            stat("Requests", "A second, of all routes.", rate("penstock_http_requests_total"), unit="reqps"),
            stat("Errors", "Answers with 5xx, of all. Over 1% somebody notices.", ERRORS, unit="percentunit", warn=0.01,
                 bad=0.05, runbook="PenstockHighErrorRate"),
            stat("Whole answer, p95", "Of good answers that are no streams.",
                 quantile(0.95, "penstock_http_request_duration_seconds", 'code_class="2xx", stream="false"'), unit="s"),
            stat("First token, p95", "Of streams, by the engine.",
                 quantile(0.95, "penstock_engine_time_to_first_token_seconds"), unit="s", warn=2, bad=5,
                 runbook="PenstockFirstTokenSlow"),
            stat("In flight", "Requests that wait for their answer's end.", f"sum(penstock_http_requests_in_flight{{{S}}})"),
            stat("Tokens", "A second, in and out, of engines.", rate("penstock_tokens_total", 'type=~"input|output"')),
            stat("Cost an hour", "By the prices of the configuration, in its currency.",
                 f"3600 * {rate('penstock_cost_total')}", runbook="PenstockSpendSpike"),
            stat("From the cache", "Of the answers that the cache had a part in.", HIT_RATIO, unit="percentunit", warn=0.4,
                 bad=0.1, runbook="PenstockCacheHitRateDegraded"),
            stat("Engines unwell", "More than none: their models are answered by fewer, or by none.",
                 f"count(min by (engine) (penstock_engine_healthy{{{S}}}) == 0) or vector(0)", warn=1, bad=2,
                 runbook="PenstockEngineUnhealthy"),
            stat("Budgets not kept", "Of the last hour. The dashboard of budgets says which.",
                 f'count(min by (budget) (penstock_budget_met{{{S}, window="1h"}}) == 0) or vector(0)', warn=1, bad=2,
                 to=("The budgets", "penstock-budgets", ""), runbook="PenstockBudgetBurnFast"),
            stat("Usage that waits", "Rows for the database. Growing: it is away.",
                 f"sum(penstock_usage_queue_records{{{S}}})", warn=10000, bad=50000, runbook="PenstockDbDown"),
        ]),
        ("Requests", [
            lines("By route", "A second.", (rate("penstock_http_requests_total", by="route"), "{{route}}"), unit="reqps",
                  stacked=True),
            lines("Refused and failed", "A second, by status. 4xx are the clients' own, 5xx are ours or the engines'.",
                  (rate("penstock_http_requests_total", 'code=~"[45].."', "code"), "{{code}}"), unit="reqps",
                  runbook="PenstockHighErrorRate"),
            lines("How long, p95", "Of good answers in one piece, by route.",
                  (quantile(0.95, "penstock_http_request_duration_seconds", 'code_class="2xx", stream="false"', "route"),
                   "{{route}}"), unit="s", exemplars=True, runbook="PenstockResponseTimeHigh"),
            panel("heatmap", "How long, all", "Of good answers in one piece. Two bands: hits, and calls of engines.",
                  (f'sum by (le) (increase(penstock_http_request_duration_seconds_bucket{{{S}, code_class="2xx", '
                   f'stream="false"}}{R}))', "{{le}}"), unit="s", exemplars=True, wide=12),
            lines("Streams", "Answers sent as a stream, and clients that left before the end, a second.",
                  (rate("penstock_http_streams_total"), "streams"), (rate("penstock_http_client_aborts_total"), "left"),
                  unit="reqps", wide=12),
        ]),
        ("Gateway against engines", [
            lines("In the gateway, p99", "All the time of a request less the wait for engines. Well under a millisecond "
                  "where nothing is wrong.", (quantile(0.99, "penstock_request_overhead_seconds", by="cache"), "{{cache}}"),
                  unit="s", warn=0.01, bad=0.05, wide=12, runbook="PenstockOverheadHigh"),
            lines("At engines, p95", "Of whole calls, by engine.",
                  (quantile(0.95, "penstock_engine_request_duration_seconds", by="engine"), "{{engine}}"), unit="s", wide=12,
                  exemplars=True, to=ENGINE),
        ]),
        ("Engines", [
            states("Well or not", "As every gateway sees them together: unwell to one is unwell here.", ("unwell", "well"),
                   (f"min by (engine) (penstock_engine_healthy{{{S}}})", "{{engine}}"), wide=12, to=ENGINE,
                   runbook="PenstockEngineUnhealthy"),
            states("Models", "With no engine that is well, to one gateway at least: its users get errors.",
                   ("no engine is well", "an engine is well"),
                   (f"min by (model) (penstock_model_healthy_engines{{{S}}} > bool 0)", "{{model}}"), wide=12,
                   runbook="PenstockNoHealthyEngine"),
            lines("How calls end", "A second. All but success and client_error are the engine's, or ours.",
                  (rate("penstock_engine_requests_total", by="outcome"), "{{outcome}}"), unit="reqps", stacked=True,
                  runbook="PenstockEngineErrorRateHigh"),
            lines("First token, p95", "Of streams.",
                  (quantile(0.95, "penstock_engine_time_to_first_token_seconds", by="engine"), "{{engine}}"), unit="s",
                  exemplars=True, to=ENGINE, runbook="PenstockFirstTokenSlow"),
            lines("Calls under way", "By engine.", (f"sum by (engine) (penstock_engine_in_flight{{{S}}})", "{{engine}}"),
                  to=ENGINE),
            lines("Tokens", "A second, by kind.", (rate("penstock_tokens_total", by="type"), "{{type}}"), wide=12),
            lines("Checks that fail", "A second, by engine.",
                  (rate("penstock_engine_health_checks_total", 'result="failure"', "engine"), "{{engine}}"), wide=12,
                  to=ENGINE),
        ]),
        ("Cache", [
            lines("From the cache", "Of the answers that the cache had a part in.", (HIT_RATIO, "hits"), unit="percentunit",
                  most=1, runbook="PenstockCacheHitRateDegraded"),
            lines("By level", "Lookups a second. Errors: Redis, or the model of embeddings.",
                  (rate("penstock_cache_requests_total", by="level, result"), "{{level}} {{result}}"), unit="reqps",
                  runbook="PenstockCacheErrors"),
            lines("Saved tokens", "A second, that no engine had to make; and requests that shared a call.",
                  (rate("penstock_cache_saved_tokens_total"), "tokens"),
                  (rate("penstock_cache_coalesced_requests_total"), "shared calls")),
            lines("Room", "Memory that is used, and that may be used.",
                  (f'sum(penstock_cache_used_bytes{{{S}, level="memory"}})', "used"),
                  (f'sum(penstock_cache_capacity_bytes{{{S}, level="memory"}})', "may be used"), unit="bytes", wide=12),
            lines("Made room for others", "Answers a second. Much of it: the memory is too small for what is asked.",
                  (rate("penstock_cache_evictions_total", by="level"), "{{level}}"), wide=12),
        ]),
        ("Limits, keys, what is malformed", [
            lines("Refused by limits", "A second, by which; and what is decided without the other gateways, since Redis "
                  "does not answer.",
                  (rate("penstock_ratelimit_decisions_total", 'decision="refused"', "limit"), "{{limit}}"),
                  (rate("penstock_ratelimit_unshared_total", by="decision"), "without the others: {{decision}}"),
                  unit="reqps", runbook="PenstockRateLimitViolationsHigh"),
            lines("Keys and tokens", "A second, by what came of them.",
                  (rate("penstock_auth_requests_total", by="result"), "{{result}}"), unit="reqps",
                  runbook="PenstockAuthFailuresHigh"),
            lines("Malformed", "Requests a second, by what is wrong with them.",
                  (rate("penstock_validation_errors_total", by="kind"), "{{kind}}"), unit="reqps",
                  runbook="PenstockValidationErrorsHigh"),
        ]),
        ("Database and Redis", [
            states("There or not", "As every gateway sees them together. Without the database keys that are not known are "
                   "refused and usage waits; without Redis each gateway goes on with its own memory.", ("away", "there"),
                   (f"min by (role, server) (penstock_db_up{{{S}}})", "{{role}} {{server}}"),
                   (f"min(penstock_redis_up{{{S}}})", "Redis"), wide=24, high=5, runbook="PenstockDbDown"),
            lines("Database, p99", "By operation.", (quantile(0.99, "penstock_db_query_duration_seconds", by="operation"),
                                                     "{{operation}}"), unit="s"),
            lines("Its connections", "Open, and what waits for one.",
                  (f"sum by (role, state) (penstock_db_pool_connections{{{S}}})", "{{role}} {{state}}"),
                  (f"sum(penstock_db_pool_pending_requests{{{S}}})", "waiting"), runbook="PenstockDbPoolSaturated"),
            lines("Replicas behind", "The primary, by replica.",
                  (f"max by (replica) (penstock_db_replica_lag_seconds{{{S}}})", "{{replica}}"), unit="s", warn=2, bad=10,
                  runbook="PenstockReplicaLagHigh"),
            lines("Redis, p99", "By command.", (quantile(0.99, "penstock_redis_command_duration_seconds", by="command"),
                                                "{{command}}"), unit="s", runbook="PenstockRedisDegraded"),
            lines("What goes wrong", "With Redis and the database, a second.",
                  (rate("penstock_redis_errors_total", by="kind"), "Redis {{kind}}"),
                  (rate("penstock_db_errors_total", by="sqlstate_class"), "database {{sqlstate_class}}"),
                  runbook="PenstockRedisDown"),
            lines("Usage", "Rows a second, by what became of them. Dropped: it cannot be billed.",
                  (rate("penstock_usage_records_total", by="result"), "{{result}}"), runbook="PenstockUsageRecordsDropped"),
        ]),
        ("How full", [{**one, "wide": 6} for one in (IN_FLIGHT, CPU, MEMORY, LATE)]),
        ("Questions", [
            lines("How complex", "Questions a second, by class.", (rate("penstock_questions_total", by="class"), "{{class}}"),
                  stacked=True),
            lines("People", "Active users, by how far back.",
                  (f"max by (window) (penstock_engagement_active_users{{{S}}})", "{{window}}")),
            lines("Cost an hour", "By engine, in the currency of the prices.",
                  (f"3600 * {rate('penstock_cost_total', by='engine')}", "{{engine}}"), runbook="PenstockSpendSpike"),
            lines("Sessions and repeats", "A second. Many repeats: people did not like the answer, or the cache would help.",
                  (rate("penstock_engagement_sessions_total"), "sessions"),
                  (rate("penstock_engagement_repeat_questions_total"), "repeated questions"), wide=12),
            lines("What they say", "Ratings a second, and those who left before the answer's end.",
                  (rate("penstock_engagement_feedback_total", by="rating"), "{{rating}}"),
                  (rate("penstock_engagement_abandoned_total"), "left"), wide=12),
        ]),
        ("What watches it", [
            lines("Spans", "A second. Failed or dropped: the backend of traces is away or slow.",
                  (rate("penstock_telemetry_spans_total", by="result"), "{{result}}"), runbook="PenstockTelemetryDropping"),
            lines("Log", "Lines a second, and those lost because the queue was full.",
                  (rate("penstock_log_messages_total", by="level"), "{{level}}"),
                  (rate("penstock_log_dropped_total"), "lost")),
            lines("Series", "Of the metrics, by gateway.", (f"sum by (instance) (penstock_metrics_series{{{S}}})",
                                                           "{{instance}}"), runbook="PenstockCardinalityLimited"),
        ]),
    ],
}

B = f'{S}, budget=~"$budget"'
BUDGETS = {
    "title": "Penstock: budgets", "says": "What was promised, how much of it is kept, and how fast the rest is used up. "
    "Every gateway tells of all of them.",
    "variables": ["job", "instance", "budget"],
    "rows": [
        ("Now", [
            panel("table", "What was promised", "Left below 0: more was missed in thirty days than may be. Burn rate over 1: "
                  "it will not last.",
                  (f"max by (budget) (penstock_budget_objective_ratio{{{B}}})", "objective"),
                  (f'min by (budget) (penstock_budget_remaining_ratio{{{B}}})', "left"),
                  (f'max by (budget) (penstock_budget_burn_rate{{{B}, window="1h"}})', "burn rate, 1h"),
                  (f'max by (budget) (penstock_budget_burn_rate{{{B}, window="1d"}})', "burn rate, 1d"), wide=24,
                  runbook="PenstockBudgetBurnFast"),
        ]),
        ("How fast", [
            lines("Burn rate, five minutes", "At 14.4 a fiftieth of thirty days' budget is gone in an hour.",
                  (f'max by (budget) (penstock_budget_burn_rate{{{B}, window="5m"}})', "{{budget}}"), warn=6, bad=14.4, wide=12,
                  runbook="PenstockBudgetBurnFast"),
            lines("Burn rate, six hours", "At 6 a twentieth is gone in that time; at 1 it lasts for just its thirty days.",
                  (f'max by (budget) (penstock_budget_burn_rate{{{B}, window="6h"}})', "{{budget}}"), warn=1, bad=6, wide=12,
                  runbook="PenstockBudgetBurnSlow"),
            # It goes below 0, and that is when it is looked at: no least.
            panel("timeseries", "Left", "Of what may be missed in thirty days. Below 0: more was missed.",
                  (f"min by (budget) (penstock_budget_remaining_ratio{{{B}}})", "{{budget}}"), unit="percentunit", most=1,
                  warn=0.25, bad=0, wide=12, runbook="PenstockBudgetBurnSlow"),
            states("Kept in the last hour", "Whether each hour alone kept what was promised.", ("missed", "kept"),
                   (f'min by (budget) (penstock_budget_met{{{B}, window="1h"}})', "{{budget}}"), wide=12),
        ]),
    ],
}

E = 'engine=~"$engine", model=~"$model"'
ENGINES = {
    "title": "Penstock: engines", "says": "One engine, or some, in detail.",
    "variables": ["job", "instance", "engine", "model"],
    "rows": [
        ("Calls", [
            lines("A second", "By model.", (rate("penstock_engine_requests_total", E, "engine, model"), "{{engine}} {{model}}"),
                  unit="reqps"),
            lines("How they end", "A second.", (rate("penstock_engine_requests_total", E, "engine, outcome"),
                                                "{{engine}} {{outcome}}"), unit="reqps",
                  runbook="PenstockEngineErrorRateHigh"),
            lines("Under way", "Over all gateways.",
                  (f'sum by (engine) (penstock_engine_in_flight{{{S}, engine=~"$engine"}})', "{{engine}}")),
        ]),
        ("How long", [
            lines("Whole calls", "p50 and p95.",
                  (quantile(0.5, "penstock_engine_request_duration_seconds", E, "engine"), "{{engine}} p50"),
                  (quantile(0.95, "penstock_engine_request_duration_seconds", E, "engine"), "{{engine}} p95"), unit="s",
                  exemplars=True),
            lines("First token", "p50 and p95, of streams.",
                  (quantile(0.5, "penstock_engine_time_to_first_token_seconds", E, "engine"), "{{engine}} p50"),
                  (quantile(0.95, "penstock_engine_time_to_first_token_seconds", E, "engine"), "{{engine}} p95"), unit="s",
                  exemplars=True, runbook="PenstockFirstTokenSlow"),
            lines("Each further token", "p50 and p95, of streams.",
                  (quantile(0.5, "penstock_engine_time_per_output_token_seconds", E, "engine"), "{{engine}} p50"),
                  (quantile(0.95, "penstock_engine_time_per_output_token_seconds", E, "engine"), "{{engine}} p95"), unit="s"),
        ]),
        ("What they do", [
            lines("Tokens", "A second.", (rate("penstock_tokens_total", E, "engine, type"), "{{engine}} {{type}}")),
            lines("Tokens of a call, mean", "In and out. Prompts that grow make engines slower.",
                  (f"{rate('penstock_request_tokens_sum', E, 'type')} / {rate('penstock_request_tokens_count', E, 'type')}",
                   "{{type}}")),
            lines("Cost an hour", "In the currency of the prices.",
                  (f"3600 * {rate('penstock_cost_total', E, 'engine, model')}", "{{engine}} {{model}}")),
        ]),
        ("The way there", [
            states("Well or not", "Of all gateways together.", ("unwell", "well"),
                   (f'min by (engine) (penstock_engine_healthy{{{S}, engine=~"$engine"}})', "{{engine}}"),
                   runbook="PenstockEngineUnhealthy"),
            lines("Connections", "Open, by what they do.",
                  (f'sum by (engine, state) (penstock_engine_connections{{{S}, engine=~"$engine"}})', "{{engine}} {{state}}")),
            lines("Streams that broke", "A second, by why.",
                  (rate("penstock_stream_interruptions_total", 'engine=~"$engine"', "engine, reason"),
                   "{{engine}} {{reason}}"), runbook="PenstockMalformedAnswers"),
        ]),
    ],
}

CAPACITY = {
    "title": "Penstock: capacity", "says": "How full gateways are, and whether there is room for more.",
    "variables": ["job", "instance"],
    "rows": [
        ("The process", [
            CPU,
            MEMORY,
            lines("File descriptors", "Of what it may open.",
                  (f"process_open_fds{{{S}}} / process_max_fds{{{S}}}", "{{instance}}"), unit="percentunit", most=1, warn=0.6,
                  bad=0.8, runbook="PenstockFileDescriptorsHigh"),
        ]),
        ("The workers", [
            lines("Busy", "Share of each worker's time. Near 1: requests wait for each other.",
                  (f"rate(penstock_worker_busy_seconds_total{{{S}}}{R})", "{{instance}} {{worker}}"), unit="percentunit",
                  most=1, warn=0.7, bad=0.9, runbook="PenstockSaturated"),
            LATE,
            lines("Turned away", "Requests a second, for want of memory.",
                  (rate("penstock_admission_rejected_total", by="priority"), "{{priority}}"), unit="reqps",
                  runbook="PenstockShedding"),
        ]),
        ("What comes in", [
            lines("Connections", "Of clients, open.", (f"sum by (instance) (penstock_http_open_connections{{{S}}})",
                                                      "{{instance}}")),
            IN_FLIGHT,
            lines("Requests", "A second, by gateway.", (rate("penstock_http_requests_total", by="instance"), "{{instance}}"),
                  unit="reqps"),
        ]),
        ("The database", [
            lines("Connections", "Of those that this gateway may open. At 1 the next one waits.",
                  (f"sum by (instance) (penstock_db_pool_connections{{{S}}}) / "
                   f"sum by (instance) (penstock_db_pool_connections_max{{{S}}})", "{{instance}}"), unit="percentunit", most=1,
                  warn=0.7, bad=0.9, runbook="PenstockDbPoolSaturated"),
            lines("Wait for one, p99", "Much of it with a full pool: more connections, or fewer gateways on one database.",
                  (quantile(0.99, "penstock_db_pool_wait_seconds", by="instance"), "{{instance}}"), unit="s",
                  runbook="PenstockDbPoolSaturated"),
            lines("Waits without an end", "That found no connection in time, a second.",
                  (rate("penstock_db_pool_timeouts_total", by="instance"), "{{instance}}"), runbook="PenstockDbPoolTimeouts"),
        ]),
        ("Memory, by whom", [
            lines("Cache", "In memory.", (f'sum by (instance) (penstock_cache_used_bytes{{{S}, level="memory"}})',
                                          "{{instance}}"), unit="bytes"),
            lines("Allocator", "In use, and held for nobody.",
                  (f"sum by (instance, kind) (penstock_allocator_bytes{{{S}}})", "{{instance}} {{kind}}"), unit="bytes"),
            lines("Stopped by the quota", "Seconds a second in which the cgroup had used up its CPU.",
                  (rate("penstock_cgroup_cpu_throttled_seconds_total", by="instance"), "{{instance}}"), unit="percentunit",
                  runbook="PenstockCpuHigh"),
        ]),
    ],
}

DASHBOARDS = {"penstock-overview": OVERVIEW, "penstock-budgets": BUDGETS, "penstock-engines": ENGINES,
              "penstock-capacity": CAPACITY}
