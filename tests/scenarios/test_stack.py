"""All that Penstock is run with, together (tests/stack): what no part can show by itself."""

import http.client
import json
import math
import pathlib
import re
import tempfile
import time
import unittest

from harness.haproxy import HAProxy
from harness.keys import bearer
from harness.penstock import Wire, wait_until
from scenarios.test_dashboards import expressions
from stack import Stack
from stack.load import Load, chat

ROOT = pathlib.Path(__file__).parents[2]
# What has no series here, by why.
NOT_HERE = {
    "auth.mode is keys here": ("penstock_known_tokens",),
}
# And what stays at 0 while all is well, by why.
STAYS_AT_0 = {
    "memory is not short": ("penstock_admission_rejected_total", "penstock_cache_evictions_total"),
    "no more labels than are allowed": ("penstock_metrics_overflow_total",),
    "no record of the log is lost": ("penstock_log_dropped_total",),
    "no collector of traces": ("penstock_telemetry_span_queue", "penstock_telemetry_spans_total"),
    "no engine breaks off": ("penstock_stream_interruptions_total",),
    "half an hour ends a session": ("penstock_engagement_questions_per_session",),
}
# What is up to the machine and the moment.
EITHER = {
    "the cgroup's quota": ("penstock_cgroup_cpu_periods_total", "penstock_cgroup_cpu_throttled_periods_total",
                           "penstock_cgroup_cpu_throttled_seconds_total"),
    "a busy machine is late": ("penstock_db_errors_total", "penstock_db_pool_timeouts_total",
                               "penstock_redis_errors_total", "penstock_ratelimit_unshared_total"),
    "only where the restart was looked at before": ("penstock_draining",),
    "between two scrapes": ("penstock_db_pool_pending_requests", "penstock_usage_queue_records",
                            "penstock_db_replica_lag_seconds"),
}


class TheStack(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="penstock-stack-")
        cls.addClassCleanup(folder.cleanup)
        cls.stack = Stack(folder.name, hold="2s")
        cls.addClassCleanup(cls.stack.close)

    def ask(self, text, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        path, body = chat(text)
        connection.request("POST", path, json.dumps(body), {**bearer(self.stack.key), "content-type": "application/json"})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer, body

    def in_time(self, condition, seconds):
        """Waits for it; what is then not so, an assertion says better than a time that is up."""
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            time.sleep(0.2)

    def test_1_a_rolling_restart_loses_nothing(self):
        load = Load(self.stack.proxy.port, self.stack.key, 25, clients=4)
        for name in "ab":
            answered = load.statuses[200]
            wait_until(lambda: load.statuses[200] > answered + 50, "both gateways are at work")
            self.stack.restart_gateway(name)
        load.wait()
        self.assertEqual(load.failures, [])
        self.assertGreater(load.statuses[200], 100)
        self.assertGreater(load.streams, 20)
        self.assertEqual(set(load.statuses) - {200, 400, 401, 404}, set(), load.statuses)

    def test_2_streams_come_through_piece_by_piece(self):
        with Wire(self.stack.proxy.port) as wire:
            wire.post(chat("Slowly, please.", "large", stream=True)[1],
                      headers=[f"Authorization: Bearer {self.stack.key}"])
            wire.until(b"data: ")
            begin = time.monotonic()
            wire.until(b"data: [DONE]")
            self.assertGreater(time.monotonic() - begin, 0.005)  # more came later, and not all at the end

    def test_3_every_series_has_a_value_and_every_expression_a_result(self):
        ask, admins = self.stack.prometheus.query, [admin for _, admin in self.stack.ports.values()]
        load = Load(self.stack.proxy.port, self.stack.key, 30, clients=4, admins=admins)
        # Of the dashboards: each has had a number, while all sorts of things are asked.
        missing = dict(expressions())
        names = re.findall(r"(?m)^\| `(\w+)` \| (counter|gauge|histogram)",
                           (ROOT / "docs/reference/metrics.md").read_text())
        series = {name: f"{name}_count" if kind == "histogram" else name for name, kind in names}
        # A machine may show no control groups, or not all of them.
        nowhere = tuple(name for name in series if name.startswith("penstock_cgroup_") and not ask(name))
        missing = {where: text for where, text in missing.items() if not any(name in text for name in nowhere)}

        def all_had_one():
            for where, text in list(missing.items()):
                if any(math.isfinite(value) for _, value in ask(text)):
                    del missing[where]
            return not missing
        self.in_time(all_had_one, 45)
        self.assertEqual(missing, {})
        self.assertEqual(load.wait().failures, [])

        absent = [name for name, text in series.items() if not ask(text)]
        self.assertEqual(sorted(absent), sorted(sum(NOT_HERE.values(), nowhere)))
        expected = set(sum(STAYS_AT_0.values(), ()))

        def still():
            zero = {name for name, text in series.items()
                    if name not in absent and not ask(f"max_over_time({text}[10m]) != 0")}
            return zero - set(sum(EITHER.values(), ()))
        self.in_time(lambda: still() == expected, 30)  # what came last is still to be scraped
        self.assertEqual(still(), expected)
        rules = self.stack.prometheus.rules()
        self.assertGreater(len(rules), 90)
        self.assertEqual([(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"], [])
        for job in ("penstock", "haproxy", "prometheus"):
            self.assertTrue(all(value == 1 for _, value in self.stack.prometheus.query(f'up{{job="{job}"}}')), job)
        # Both gateways' budgets are those of both.
        totals = {metric["instance"]: value for metric, value in
                  self.stack.prometheus.query('penstock_budget_burn_rate{budget="errors",window="1h"}')}
        self.assertEqual(len(totals), 2)

    def test_4_an_engine_that_dies_becomes_an_incident_and_its_return_ends_it(self):
        for name in ("gpu-a", "gpu-b", "gpu-c"):
            self.stack.engine(name).kill()

        def incident(name, over):
            gateway = self.stack.gateway("b")  # told by the other one, through the database
            return [one for one in gateway.admin("/admin/v1/incidents").json["incidents"]
                    if one["name"] == name and bool(one["end"]) == over]

        wait_until(lambda: incident("PenstockEngineUnhealthy", False), "unhealthy engines are an incident", 60)
        [lost] = wait_until(lambda: incident("PenstockNoHealthyEngine", False), "so are models without any", 60)
        for name in ("gpu-a", "gpu-b", "gpu-c"):
            self.stack.start_engine(name)
        wait_until(lambda: incident("PenstockEngineUnhealthy", True), "it is over", 90)
        wait_until(lambda: incident("PenstockNoHealthyEngine", True), "so is the other", 90)
        self.assertEqual(lost["severity"], "critical")

    def test_5_a_flood_from_one_address_is_told_to_wait_at_the_edge(self):
        ports = [self.stack.ports[name][0] for name in "ab"]
        with HAProxy(*ports, edge=20) as proxy:
            answers = [self.ask("Again?", port=proxy.port) for _ in range(25)]
        self.assertEqual([answer.status for answer, _ in answers], [200] * 20 + [429] * 5)
        answer, body = answers[-1]
        self.assertEqual(answer.getheader("retry-after"), "10")
        self.assertEqual(json.loads(body)["error"]["code"], "edge_rate_limited")
