"""What Prometheus reads: its two formats, what moves and when, the reference, and the switch."""

import json
import os
import pathlib
import re
import signal
import subprocess
import unittest

from harness.keys import Provider, bearer, make_key
from harness.penstock import (DONE, KEY, LIMIT, SANITIZED, Engine, Scenario, answering, completion, delta, plain, run,
                              stream, wait_until)
from harness.postgres import Postgres
from harness.prometheus import Prometheus
from harness.redis_server import RedisServer

HOME = pathlib.Path(__file__).parents[2]
GEN_AI = {"OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental"}
OPEN_METRICS = {"accept": "application/openmetrics-text; version=1.0.0"}

# What mixed traffic moves, with the labels that it moves it under.
MOVED = [
    ("http_requests_total", {"route": "chat", "code": "200"}), ("http_requests_total", {"code": "422"}),
    ("http_request_duration_seconds_count", {"stream": "true"}),
    ("http_request_size_bytes_count", {}), ("http_response_size_bytes_count", {}),
    ("http_open_connections", {}), ("http_connections_total", {}), ("http_streams_total", {}),
    ("request_overhead_seconds_count", {"cache": "hit"}), ("request_overhead_seconds_count", {"cache": "miss"}),
    ("engine_requests_total", {"outcome": "success"}), ("engine_requests_total", {"outcome": "server_error"}),
    ("engine_requests_total", {"outcome": "client_error"}),
    ("engine_request_duration_seconds_count", {"engine": "e", "model": "m"}),
    ("engine_time_to_first_token_seconds_count", {}), ("engine_healthy", {"engine": "e"}),
    ("engine_health_checks_total", {"result": "success"}), ("model_healthy_engines", {"model": "m"}),
    ("engine_connections", {"engine": "e", "state": "open"}), ("engine_connect_duration_seconds_count", {}),
    ("external_requests_total", {"target": "health", "result": "success"}),
    ("external_requests_duration_seconds_count", {"target": "health"}),
    ("stream_chunks_total", {"engine": "e"}), ("tokens_total", {"type": "output"}),
    ("request_tokens_count", {"type": "input"}),
    ("cache_requests_total", {"level": "memory", "result": "hit"}),
    ("cache_requests_total", {"level": "memory", "result": "miss"}),
    ("cache_requests_total", {"level": "redis", "result": "miss"}),
    ("cache_operation_duration_seconds_count", {"level": "memory", "op": "get"}),
    ("cache_operation_duration_seconds_count", {"level": "redis", "op": "get"}),
    ("cache_operation_duration_seconds_count", {"level": "redis", "op": "set"}),
    ("cache_entries", {"level": "memory"}), ("cache_used_bytes", {}), ("cache_capacity_bytes", {}),
    ("cache_saved_tokens_total", {}),
    ("cache_warmed_total", {"level": "memory"}), ("cache_warmed_total", {"level": "redis"}),
    ("ratelimit_decisions_total", {"decision": "refused"}), ("ratelimit_decisions_total", {"decision": "admitted"}),
    ("ratelimit_decision_duration_seconds_count", {}),
    ("auth_requests_total", {"method": "key", "result": "success"}),
    ("auth_requests_total", {"method": "key", "result": "missing"}),
    ("validation_errors_total", {"kind": "json"}), ("validation_errors_total", {"kind": "model"}),
    ("db_up", {"role": "primary"}), ("db_pool_connections", {}), ("db_pool_connections_max", {}),
    ("db_pool_wait_seconds_count", {"role": "primary"}), ("db_query_duration_seconds_count", {}),
    ("redis_up", {}), ("redis_connections", {}), ("redis_command_duration_seconds_count", {"command": "GET"}),
    ("usage_records_total", {"result": "written"}), ("known_keys", {}), ("key_lookups_total", {}),
    ("event_loop_lag_seconds_count", {"worker": "0"}), ("worker_busy_seconds_total", {}),
    ("cpu_limit_cores", {}), ("memory_limit_bytes", {}), ("allocator_bytes", {"kind": "in_use"}),
    ("build_info", {}), ("ready", {}), ("feature_enabled", {"feature": "caching"}),
    ("feature_enabled", {"feature": "redis_caching"}), ("feature_enabled", {"feature": "prometheus_metrics"}),
    ("config_last_reload_successful", {}), ("config_last_reload_timestamp_seconds", {}),
    ("log_messages_total", {"level": "info"}), ("metrics_series", {}), ("metrics_render_duration_seconds", {}),
]

# And what is there from the start, at 0, though nothing of it has come.
QUIET = [
    ("http_client_aborts_total", {}), ("admission_rejected_total", {"priority": "batch", "reason": "memory"}),
    ("stream_interruptions_total", {"reason": "timeout"}), ("db_errors_total", {"sqlstate_class": "busy"}),
    ("db_pool_timeouts_total", {"role": "primary"}), ("redis_errors_total", {"kind": "timeout"}),
    ("cache_warmed_total", {"level": "redis"}), ("metrics_overflow_total", {}),
    ("external_requests_total", {"target": "health", "result": "error"}),
    ("http_streams_total", {"protocol": "http1"}), ("engine_connect_duration_seconds_count", {"engine": "e"}),
    ("redis_command_duration_seconds_count", {"command": "EVALSHA"}), ("draining", {}),
]


def engine_script(request):
    """An engine that is well, and answers by what it is asked."""
    if request.method == "GET":
        return plain(b"{}")
    text = request.json["messages"][0]["content"]
    if "Fail" in text:
        return plain(b'{"error":{"message":"no"}}', status=500)
    if "Refuse" in text:
        return plain(b'{"error":{"message":"no"}}', status="422 Unprocessable Content")
    if request.json.get("stream"):
        usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
        return stream(delta("Hel"), delta("lo"), delta(finish="stop", usage=usage), DONE)
    return plain(completion("Hello."))


def promtool(text):
    """What `promtool check metrics` has to say; nothing where it finds no fault."""
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=LIMIT, check=False)
    return done.returncode, (done.stdout + done.stderr).decode()


# Debian's parser, in Debian's own Python: the one that runs the tests may be another.
PARSER = """
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
print(json.dumps([[f.name, f.type, f.documentation] for f in text_string_to_metric_families(sys.stdin.read())]))
"""


def open_metrics(text):
    """{name: (type, help)} of OpenMetrics, read by a strict parser."""
    done = subprocess.run(["/usr/bin/python3", "-c", PARSER], input=text, capture_output=True, text=True,
                          timeout=LIMIT, check=False)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return {name: (kind, help_text) for name, kind, help_text in json.loads(done.stdout)}


def types(text):
    """{name: type} of an exposition."""
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, flags=re.M))


class Metrics(Scenario):
    def redis(self):
        server = RedisServer()
        self.addCleanup(server.close)
        return server

    def busy(self, *more):
        """A gateway with keys, limits, Redis and a database."""
        self.expected_exit = 0
        store = f"sqlite:{self.folder}/busy.db"
        behind = self.engine(answering(engine_script))
        settings = self.to(behind, health={"path": "/health", "interval": "1s"})
        gateway = self.gateway(
            settings, {"store": {"url": store}, "auth": {"mode": "keys"},
                       "cache": {"redis": {"urls": [self.redis().url]}}}, *more)
        gateway.key = bearer(make_key(store, "acme", "--requests", "1000/s")[0])
        gateway.slow = bearer(make_key(store, "acme", "--requests", "1/m")[0])
        return gateway

    def mix(self, gateway):
        for i in range(12):
            self.assertEqual(gateway.ask(f"question {i % 6}", headers=gateway.key).status, 200)
            self.assertEqual(gateway.ask(f"stream {i % 6}", headers=gateway.key, stream=True).status, 200)
        self.assertEqual(gateway.ask("Fail", headers=gateway.key).status, 500)
        self.assertEqual(gateway.ask("Refuse", headers=gateway.key).status, 422)
        self.assertEqual(gateway.ask(model="nobody", headers=gateway.key).status, 404)
        self.assertEqual(gateway.ask().status, 401)
        self.assertEqual(gateway.post("/v1/chat/completions", b"{", headers={
            "content-type": "application/json", **gateway.key}).status, 400)
        statuses = {gateway.ask("question 0", headers=gateway.slow).status for _ in range(4)}
        self.assertEqual(statuses, {200, 429})
        answer = gateway.admin("/admin/v1/cache/warm", method="POST", body={
            "tenant": "acme", "model": "m", "lines": ["What will be asked?"]})
        self.assertEqual(answer.status, 202, answer)

    def test_every_series_moves_with_what_it_counts(self):
        gateway = self.busy()
        for name, labels in QUIET:
            self.assertEqual(gateway.metric(f"penstock_{name}", **labels), 0, name)
        self.mix(gateway)
        with gateway.wire() as wire:  # somebody is there
            for name, labels in MOVED:
                if SANITIZED and name == "allocator_bytes":
                    continue  # a sanitizer's allocator does not say
                wait_until(lambda: (gateway.metric(f"penstock_{name}", **labels) or 0) > 0, f"{name} {labels} moves")
            wire.send(b"")
        self.assertEqual(gateway.metric("penstock_http_streams_total"), 12)
        for name in ("cpu_seconds_total", "resident_memory_bytes", "virtual_memory_bytes", "open_fds", "max_fds",
                     "threads", "start_time_seconds"):
            self.assertGreater(gateway.metric(f"process_{name}"), 0, name)

    def test_the_limit_of_memory_is_the_one_that_holds(self):
        gateway = self.gateway(self.to(self.engine()), {"memory": {"limit": "256MiB"}})
        self.assertEqual(gateway.metric("penstock_memory_limit_bytes"), 256 << 20)

    def test_promtool_and_a_strict_parser_find_no_fault(self):
        gateway = self.busy()
        self.mix(gateway)
        plain_text = gateway.admin("/metrics").body
        self.assertEqual(promtool(plain_text), (0, ""))
        text = gateway.admin("/metrics", headers=OPEN_METRICS).body.decode()
        families = open_metrics(text)
        # Both formats say the same, and each family is there once.
        self.assertEqual({name.removesuffix("_total"): kind for name, kind in types(plain_text.decode()).items()},
                         {name: kind for name, (kind, _) in families.items()})
        for name, (_, help_text) in families.items():
            self.assertTrue(help_text.endswith("."), name)

    def test_a_real_prometheus_takes_all_of_it(self):
        gateway = self.busy()
        self.mix(gateway)
        with Prometheus(gateway.admin_port, "exemplar-storage") as prometheus:  # it asks for OpenMetrics
            prometheus.wait_for("up == 1")
            prometheus.wait_for("scrape_samples_scraped == on(instance, job) penstock_metrics_series")
            prometheus.wait_for('sum(penstock_http_requests_total{code="200"}) > 20')
            prometheus.wait_for("histogram_quantile(0.9, sum by (le) (penstock_http_request_duration_seconds_bucket)) > 0")

    def test_what_happens_when_an_engine_answers_with_every_status_there_is(self):
        codes = iter(range(400, 600))

        def script(request):
            return plain(b'{"error":{"message":"no"}}', status=f"{next(codes)} Odd")
        gateway = self.gateway(self.to(self.engine(answering(script))))
        for i in range(200):
            gateway.ask(f"question {i}")
        seen = {dict(labels)["code"] for (name, labels), value in gateway.metrics().items()
                if name == "penstock_http_requests_total" and value > 0}
        self.assertIn("418", seen)
        self.assertLessEqual(len(seen), 200)

    def test_more_engines_than_there_may_be_are_counted_as_other(self):
        names = [f"e{i}" for i in range(6)]
        behind = self.engine()
        gateway = self.gateway({
            "engines": [{"name": n, "kind": "openai", "url": behind.url, "api_key": KEY, "health": "off"} for n in names],
            "models": [{"name": n, "engines": [n]} for n in names], "metrics": {"max_label_values": 4}})
        for name in names:
            self.assertEqual(gateway.ask(model=name).status, 200)
        requests = {dict(labels)["engine"]: value for (name, labels), value in gateway.metrics().items()
                    if name == "penstock_engine_requests_total" and dict(labels)["outcome"] == "success"}
        self.assertEqual(requests, {"e0": 1, "e1": 1, "e2": 1, "e3": 1, "other": 2})
        self.assertGreater(gateway.metric("penstock_metrics_overflow_total"), 0)

    def test_tenants_that_are_named_have_series_of_their_own(self):
        url = f"sqlite:{self.folder}/keys.db"
        (acme, _), (other, _) = make_key(url, "acme"), make_key(url, "globex")
        behind = self.to(self.engine())
        behind["engines"][0]["price"] = {"input": 1, "output": 2}
        gateway = self.gateway(behind, {"store": {"url": url}, "auth": {"mode": "keys"},
                                        "metrics": {"tenants": ["acme", "none-of-these"]}})
        self.assertEqual(gateway.metric("penstock_tenant_requests_total", tenant="none-of-these", code_class="2xx"), 0)
        for key in (acme, other):
            for _ in range(3):  # a call, then the cache by its meaning, and by its bytes
                self.assertEqual(gateway.ask(temperature=0, headers=bearer(key)).status, 200)
            self.assertEqual(gateway.ask(model="nosuch", headers=bearer(key)).status, 404)

        def of_acme(name, **labels):
            return gateway.metric(f"penstock_tenant_{name}_total", tenant="acme", **labels)
        wait_until(lambda: of_acme("requests", code_class="2xx") == 3, "all are counted")
        self.assertEqual(of_acme("requests", code_class="4xx"), 1)
        total = {kind: gateway.metric("penstock_tokens_total", type=kind) for kind in ("input", "output")}
        for kind, both in total.items():
            self.assertGreater(both, 0)
            self.assertEqual(of_acme("tokens", type=kind), both / 2)  # a kept answer used none
        self.assertAlmostEqual(of_acme("cost"), gateway.metric("penstock_cost_total") / 2)
        self.assertEqual({dict(labels)["tenant"] for name, labels in gateway.metrics() if "penstock_tenant" in name},
                         {"acme", "none-of-these"})

    def test_the_conventions_names_for_who_wants_them(self):
        self.assertFalse([n for n, _ in self.gateway(self.to(self.engine())).metrics() if n.startswith("gen_ai")])
        gateway = self.gateway(self.to(self.engine()), env={**os.environ, **GEN_AI})
        gateway.ask(stream=True)
        gateway.ask("Again?")
        of = {"engine": "e", "gen_ai_operation_name": "chat", "gen_ai_provider_name": "openai",
              "gen_ai_request_model": "m"}

        def same(name, penstock, mine=None, **theirs):
            self.assertEqual(gateway.metric(name, **of, **theirs), gateway.metric(penstock, **(mine or {})), name)
        wait_until(lambda: gateway.metric("gen_ai_client_token_usage_count", **of) == 2, "all is counted")
        same("gen_ai_server_time_to_first_token_seconds_sum", "penstock_engine_time_to_first_token_seconds_sum")
        same("gen_ai_server_time_per_output_token_seconds_count", "penstock_engine_time_per_output_token_seconds_count")
        same("gen_ai_client_token_usage_sum", "penstock_request_tokens_sum", {"type": "output"},
             gen_ai_token_type="output")
        same("gen_ai_server_request_duration_seconds_sum", "penstock_engine_request_duration_seconds_sum", error_type="")
        self.assertEqual(gateway.metric("gen_ai_server_request_duration_seconds_count", **of, error_type=""), 2)
        gateway.post("/v1/embeddings", {"model": "m", "input": "a"})
        self.assertEqual(gateway.metric("gen_ai_server_request_duration_seconds_count",
                                        **{**of, "gen_ai_operation_name": "embeddings"}), 1)

    def test_a_token_s_keys_are_fetched_and_counted(self):
        provider = Provider(self.folder)
        source = Engine(answering(lambda request: plain(provider.jwks)))
        self.addCleanup(source.close)
        gateway = self.gateway(self.to(self.engine()), {"auth": {"mode": "jwt", "jwt": {
            "issuer": "https://id.example", "audience": "penstock",
            "jwks_url": f"http://127.0.0.1:{source.port}/keys"}}})
        wait_until(lambda: gateway.metric("penstock_external_requests_total", target="jwks", result="success") == 1,
                   "the keys were fetched")
        self.assertEqual(gateway.metric("penstock_external_requests_duration_seconds_count", target="jwks"), 1)


class Reference(Scenario):
    """docs/reference/metrics.md."""

    def setUp(self):
        super().setUp()
        self.page = (HOME / "docs/reference/metrics.md").read_text()
        rows = re.findall(r"^\| `(\w+)` \| (counter|gauge|histogram) \| (.*?) \| (.*?) \|$", self.page, flags=re.M)
        self.rows = {name: (kind, set(re.findall(r"`(\w+)`", labels)), text) for name, kind, labels, text in rows}

    def test_it_is_what_the_program_prints(self):
        self.assertEqual(run("metrics"), (0, self.page))

    def exposed(self, gateway):
        """{name: (type, labels, help)} of what a gateway shows."""
        text = gateway.admin("/metrics").body.decode()
        helps = dict(re.findall(r"^# HELP (\S+) (.*)$", text, flags=re.M))
        labels = {}
        for name, have in gateway.metrics():
            family = name if name in helps else re.sub("_(bucket|sum|count)$", "", name)
            labels.setdefault(family, set()).update(label for label, _ in have if label != "le")
        return {name: (kind, labels.get(name, set()), helps[name]) for name, kind in types(text).items()}

    def test_it_has_what_a_gateway_shows_and_nothing_else(self):
        server = RedisServer()
        self.addCleanup(server.close)
        primary = self.enterContext(Postgres())
        redis = {"cache": {"redis": {"urls": [server.url]}}}
        provider = Provider(self.folder)
        source = Engine(answering(lambda request: plain(provider.jwks)))
        self.addCleanup(source.close)
        gateway = self.gateway(self.to(self.engine()), redis, {
            "secret": "a-secret-of-more-than-thirty-two-bytes", "auth": {"mode": "jwt", "jwt": {
                "issuer": "https://id.example", "audience": "penstock",
                "jwks_url": f"http://127.0.0.1:{source.port}/keys"}},
            "store": {"url": primary.url("gateway"), "replicas": [primary.url("gateway")]},
            "metrics": {"tenants": ["acme"]}}, env={**os.environ, **GEN_AI})
        wait_until(lambda: gateway.metric("penstock_db_query_duration_seconds_count"), "the database was asked")
        wait_until(lambda: gateway.metric("penstock_redis_up") == 1, "Redis is there")
        shown = self.exposed(gateway)
        self.assertEqual(sorted(shown), sorted(self.rows))
        for name, (kind, labels, text) in shown.items():
            if name.startswith("penstock_cgroup_") and not labels:
                labels = self.rows[name][1]  # where there is none, nothing is shown of it
            self.assertEqual((kind, labels, text), self.rows[name], name)


class Switch(Scenario):
    """PROMETHEUS_METRICS_ENABLED."""

    def put(self, gateway, enabled):
        answer = gateway.admin("/admin/v1/features/prometheus_metrics", method="PUT", body={"enabled": enabled})
        self.assertEqual(answer.status, 200, answer)
        return answer.json["features"]["prometheus_metrics"]

    def off(self, gateway):
        answer = gateway.admin("/metrics")
        self.assertIn(answer.status, (200, 404))
        if answer.status == 404:
            self.assertEqual(answer.error["code"], "metrics_off")
        return answer.status == 404

    def test_the_admin_api_turns_them_off_and_on(self):
        gateway = self.gateway(self.to(self.engine()))
        gateway.ask()
        seen = gateway.metric("penstock_http_request_duration_seconds_count")
        self.assertEqual(seen, 1)
        self.assertFalse(self.put(gateway, False)["enabled"])
        self.assertTrue(self.off(gateway))
        self.assertEqual(gateway.ask().status, 200)
        # What the page, limits and whoever scales lives by goes on.
        self.assertEqual(gateway.admin("/admin/v1/status").json["requests"], 2)
        self.assertTrue(self.put(gateway, None)["enabled"])
        self.assertFalse(self.off(gateway))
        self.assertEqual(gateway.metric("penstock_http_requests_total"), 2)
        self.assertEqual(gateway.metric("penstock_http_request_duration_seconds_count"), 1)
        gateway.ask()
        self.assertEqual(gateway.metric("penstock_http_request_duration_seconds_count"), 2)
        self.assertEqual(gateway.metric("penstock_feature_enabled", feature="prometheus_metrics"), 1)

    def test_the_file_turns_them_off_and_on_at_a_reload(self):
        gateway = self.gateway(self.to(self.engine()), {"features": {"prometheus_metrics": False}})
        self.assertTrue(self.off(gateway))
        gateway.ask()
        gateway.write({**gateway.config, "features": {"prometheus_metrics": True}})
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: not self.off(gateway), "they are on")
        self.assertEqual(gateway.metric("penstock_http_requests_total"), 1)
        self.assertEqual(gateway.metric("penstock_http_request_duration_seconds_count"), 0)
        # The admin API wins over the file.
        self.put(gateway, False)
        gateway.admin("/admin/v1/reload", method="POST")
        self.assertTrue(self.off(gateway))

    def test_the_environment_wins_over_the_file_and_the_admin_api_over_both(self):
        gateway = self.gateway(self.to(self.engine()), {"features": {"prometheus_metrics": True}},
                               env={"PROMETHEUS_METRICS_ENABLED": "False"})
        self.assertTrue(self.off(gateway))
        gateway.admin("/admin/v1/reload", method="POST")
        self.assertTrue(self.off(gateway))
        self.assertEqual(self.put(gateway, True), {"enabled": True, "configured": False, "set": True})
        self.assertFalse(self.off(gateway))


if __name__ == "__main__":
    unittest.main()
