"""Whom a real Alertmanager tells, by deploy/alertmanager, and what it does not tell twice."""

import contextlib
import http.client
import json
import pathlib
import time

from harness.alertmanager import Alertmanager
from harness.penstock import LIMIT, Scenario, wait_until

ALERTMANAGER = pathlib.Path(__file__).parents[2] / "deploy/alertmanager"


def alert(name, severity, **labels):
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"labels": {"alertname": name, "severity": severity, "job": "penstock", **labels}, "startsAt": now}


class Routes(Scenario):
    def setUp(self):
        super().setUp()
        for path in ALERTMANAGER.iterdir():
            # Nobody is told: a port that nobody listens at.
            (self.folder / path.name).write_text(path.read_text().replace("127.0.0.1:8081", "127.0.0.1:1"))
        self.manager = self.enterContext(Alertmanager(self.folder / "alertmanager.yml"))

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.manager.port, timeout=LIMIT)
        with contextlib.closing(connection):
            connection.request(method, path, body and json.dumps(body), {"content-type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            self.assertEqual(answer.status, 200, text)
            return json.loads(text) if method == "GET" else None

    def judged(self, *alerts):
        """[(state, receivers)] of these, in their order."""
        known = {tuple(sorted(one["labels"].items())): (one["status"]["state"], [r["name"] for r in one["receivers"]])
                 for one in self.ask("GET", "/api/v2/alerts")}
        return [known.get(tuple(sorted(one["labels"].items()))) for one in alerts]

    def check(self, *wanted):
        """(state, receivers or None for any, alert): together. What inhibits comes into effect a little later."""
        alerts = [one for _, _, one in wanted]
        self.ask("POST", "/api/v2/alerts", alerts)

        def same():
            return all(found and found[0] == state and receivers in (None, found[1])
                       for found, (state, receivers, _) in zip(self.judged(*alerts), wanted))
        try:
            wait_until(same, "", limit=5)
        except AssertionError:
            self.assertEqual(self.judged(*alerts), [(state, receivers) for state, receivers, _ in wanted])

    def check_states(self, told, not_told):
        self.check(*(("active", None, one) for one in told), *(("suppressed", None, one) for one in not_told))

    def test_whoever_is_to_know_is_told_and_so_is_the_list_of_incidents(self):
        self.check(("active", ["penstock-incidents", "page"], alert("PenstockDbDown", "critical")),
                   ("active", ["penstock-incidents", "ticket"], alert("PenstockCpuHigh", "warning")),
                   ("active", ["penstock-incidents", "chat"], alert("PenstockSome", "info")),
                   ("active", ["dead-mans-switch"], alert("PenstockWatchdog", "none")))

    def test_of_a_gateway_that_is_down_nothing_else_is_told(self):
        self.check_states(
            told=[alert("PenstockDown", "critical", instance="a"), alert("PenstockRedisDown", "warning", instance="b"),
                  alert("PenstockHighErrorRate", "critical"), alert("DiskFull", "warning", instance="a"),
                  alert("PenstockRedisDown", "warning", instance="a", job="other")],
            not_told=[alert("PenstockRedisDown", "warning", instance="a"),
                      alert("PenstockDbDown", "critical", instance="a")])

    def test_whoever_is_woken_for_an_engine_gets_no_ticket_for_it(self):
        self.check_states(
            told=[alert("PenstockEngineErrorRateHigh", "critical", engine="e"),
                  alert("PenstockEngineUnhealthy", "warning", engine="f"), alert("PenstockCpuHigh", "warning")],
            not_told=[alert("PenstockEngineErrorRateHigh", "warning", engine="e"),
                      alert("PenstockEngineUnhealthy", "warning", engine="e")])

    def test_a_budget_that_burns_fast_is_told_once(self):
        self.check_states(told=[alert("PenstockBudgetBurnFast", "critical", budget="latency"),
                                alert("PenstockBudgetBurnSlow", "warning", budget="errors")],
                          not_told=[alert("PenstockBudgetBurnSlow", "warning", budget="latency")])
