"""Alerts: the rules and their tests, the runbooks, Alertmanager's routes, and the whole way to an incident."""

import pathlib
import re
import shlex
import subprocess
import unittest

from harness.alertmanager import Alertmanager
from harness.penstock import LIMIT, Process, Scenario, run, wait_until
from harness.prometheus import Prometheus
from harness.redis_server import free_port
from harness.watching import alertmanager_config, prometheus_config

ROOT = pathlib.Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/rules"
TESTS = ROOT / "deploy/prometheus/tests"
BOOKS = ROOT / "docs/runbooks"
ALERTMANAGER = ROOT / "deploy/alertmanager/alertmanager.yml"
# Never silent, so it has no test in which it is.
ALWAYS = {"PenstockWatchdog"}


def tool(*args, cwd=ROOT):
    done = subprocess.run(args, cwd=cwd, capture_output=True, text=True, timeout=6 * LIMIT, check=False)
    return done.returncode, done.stdout + done.stderr


def alerts():
    """{name: {what it says}} of all files of rules."""
    found = {}
    for path in sorted(RULES.glob("*.rules.yml")):
        for text in re.split(r"(?m)^ +- (?=alert: |record: )", path.read_text())[1:]:
            if not text.startswith("alert: "):
                continue
            name = text.split()[1]
            entry = found.setdefault(name, {"files": set(), "texts": []})
            entry["files"].add(path.name)
            entry["texts"].append(text)
    return found


class Files(unittest.TestCase):
    maxDiff = None

    def test_promtool_finds_no_fault_in_rules_and_configuration(self):
        code, output = tool("promtool", "check", "config", "--lint=all", "--lint-fatal", "deploy/prometheus/prometheus.yml")
        self.assertEqual(code, 0, output)

    def test_every_alert_fires_in_one_test_and_does_not_in_another(self):
        for path in sorted(TESTS.glob("*.test.yml")):
            code, output = tool("promtool", "test", "rules", path.name, cwd=TESTS)
            self.assertEqual(code, 0, output)
        cases = "".join(path.read_text() for path in TESTS.glob("*.test.yml"))
        fires = set(re.findall(r"alertname: (\w+)\n +exp_alerts:\n", cases))
        quiet = set(re.findall(r"alertname: (\w+)\n +exp_alerts: \[\]", cases))
        self.assertEqual(fires, set(alerts()) - ALWAYS)
        self.assertEqual(quiet, set(alerts()) - ALWAYS)

    def test_every_alert_says_what_whoever_is_woken_needs(self):
        for name, alert in alerts().items():
            for text in alert["texts"]:
                with self.subTest(name):
                    self.assertRegex(name, r"^Penstock([A-Z][a-z]+)+$")
                    self.assertRegex(text, r"severity: (critical|warning|info|none)\b")
                    self.assertRegex(text, r"(?m)^ +summary: '?[A-Z].*\.'?$")
                    self.assertRegex(text, r"(?m)^ +description: ")
                    [page] = re.findall(r"(?m)^ +runbook_url: docs/runbooks/(\w+)\.md$", text)
                    self.assertEqual(page, name)
                    if name not in ALWAYS:
                        self.assertIn("keep_firing_for: ", text)

    def test_every_alert_has_its_runbook_and_every_runbook_its_alert(self):
        pages = {path.stem for path in BOOKS.glob("Penstock*.md")}
        self.assertEqual(pages, set(alerts()))
        index = (BOOKS / "README.md").read_text()
        for name in pages:
            text = (BOOKS / f"{name}.md").read_text()
            self.assertIn(f"[{name}]({name}.md)", index)
            for title in ("Meaning", "Impact", "Diagnosis", "Cure"):
                self.assertRegex(text, rf"(?m)^## {title}\n\n.")

    def test_every_series_that_is_asked_for_is_one_of_the_gateway(self):
        known = set(re.findall(r"(?m)^\| `(\w+)` \|", (ROOT / "docs/reference/metrics.md").read_text()))
        self.assertGreater(len(known), 90)
        for path in RULES.glob("*.rules.yml"):
            text = re.sub(r"(?m)^#.*$|^ +(summary|description|runbook_url|alert|- name|- alert):.*$|\"[^\"]*\"", "",
                          path.read_text())
            for name in set(re.findall(r"(?<![:\w])(?:penstock|process)_\w+", text)):
                if name in ("penstock_budget_missed", "penstock_budget_events", "penstock_cache_hit"):
                    continue  # recorded: job:NAME:rate
                self.assertIn(re.sub(r"_(bucket|count|sum)$", "", name), known, path.name)

    def test_every_label_that_is_asked_for_is_one_of_its_series_and_so_is_its_value(self):
        rows = re.findall(r"(?m)^\| `(\w+)` \| \w+ \| (.*?) \|", (ROOT / "docs/reference/metrics.md").read_text())
        known = {name: {label: set(values.split(", ")) if values else None
                        for label, values in re.findall(r"`(\w+)`(?: = ([^;]*))?", labels)} for name, labels in rows}
        always = {"job": {"penstock"}, "instance": None, "le": None}  # of Prometheus; promtool's tests know the bounds
        seen = 0
        for path in RULES.glob("*.rules.yml"):
            text = re.sub(r"(?m)^ +(summary|description):.*$", "", path.read_text())
            named = r"(?<![:\w])((?:penstock|process)_\w+?)(?:_bucket|_count|_sum)?"
            asked = [(name, label, value) for name, selector in re.findall(named + r"\{(.*?)\}", text)
                     for label, value in re.findall(r'(\w+)(?:!?=|[=!]~)"(.*?)"', selector)]
            sums = re.findall(r"by \((.*?)\) \((?:\w+\()?" + named + r"\b", text)
            asked += [(name, label.strip(), None) for by, name in sums for label in by.split(",")]
            for name, label, value in asked:
                with self.subTest(name, file=path.name, label=label, value=value):
                    labels = {**always, **known[name]}
                    self.assertIn(label, labels)
                    if value and labels[label]:
                        self.assertLessEqual(set(value.split("|")), labels[label])
                        seen += 1
        self.assertGreater(seen, 50)

    def test_routes_lead_where_they_should(self):
        self.assertEqual(tool("amtool", "check-config", ALERTMANAGER)[0], 0)
        for labels, receivers in (
                (["severity=critical"], "penstock-incidents,page"), (["severity=warning"], "penstock-incidents,ticket"),
                (["severity=info"], "penstock-incidents,chat"),
                (["severity=none", "alertname=PenstockWatchdog"], "dead-mans-switch")):
            code, output = tool("amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}",
                                f"--verify.receivers={receivers}", *labels)
            self.assertEqual(code, 0, output)


class Runbooks(Scenario):
    def test_their_commands_work(self):
        gateway = self.gateway(self.to(self.engine()))
        gateway.ask(temperature=0)
        where = {"trace": ("--admin", f"http://127.0.0.1:{gateway.admin_port}"),
                 "usage": ("--config", gateway.file), "keys": ("--config", gateway.file)}
        where["budgets"] = where["cache"] = where["trace"]
        paths, commands = set(), set()
        for page in BOOKS.glob("*.md"):
            for line in re.findall(r"(?ms)^```\n(.*?)^```", page.read_text()):
                for command in line.splitlines():
                    paths.update(re.findall(r"curl .*?http://127\.0\.0\.1:8081(/[\w/]+)", command))
                    if command.startswith("penstock "):
                        commands.add(command)
        self.assertGreater(len(paths), 4)
        for path in paths:
            self.assertEqual(gateway.admin(path).status, 200, path)
        for command in commands:
            _, verb, *rest = shlex.split(command)
            if verb == "check" or {"REQUEST-ID", "KEY"} & set(rest):
                continue
            code, output = run(verb, *rest, *where[verb], cwd=self.folder)
            # A budget may be broken; nothing else fails.
            self.assertIn(code, (0, 1) if verb == "budgets" else (0,), f"{command}: {output}")


class Incidents(Scenario):
    def tell(self, gateway, *given, group="g", status=200):
        body = {"version": "4", "groupKey": group, "status": "firing", "receiver": "r", "truncatedAlerts": 0,
                "alerts": [{"labels": {"alertname": name, "severity": "warning", "engine": "e"}, "generatorURL": "",
                            "annotations": {"summary": "Ön"}, "fingerprint": name, "startsAt": begin,
                            "status": "resolved" if end else "firing", "endsAt": end or "0001-01-01T00:00:00Z"}
                           for name, begin, end in given]}
        answer = gateway.admin("/admin/v1/alerts", method="POST", body=body)
        self.assertEqual(answer.status, status, answer)
        return answer

    def shown(self, gateway, query=""):
        return gateway.admin("/admin/v1/incidents" + query).json["incidents"]

    def test_are_kept_over_restarts_with_what_was_changed_before(self):
        store = {"store": {"url": f"sqlite:{self.folder}/a.db"}}
        gateway = self.gateway(self.to(self.engine()), store)
        self.assertEqual(gateway.admin("/admin/v1/features/caching", method="PUT", body={"enabled": False}).status, 200)
        gateway.admin("/admin/v1/reload", method="POST")
        wait_until(lambda: {n["action"] for n in gateway.admin("/admin/v1/audit").json["changes"]} >=
                   {"program.start", "config.reload", "feature.set"}, "it is in the audit log")
        now = subprocess.run(["date", "-u", "-d", "+2 seconds", "+%FT%TZ"], capture_output=True, text=True,
                             check=True).stdout.strip()
        self.assertEqual(self.tell(gateway, ("A", now, None), ("B", now, None)).json, {"taken": 2})
        self.tell(gateway, ("A", now, None), ("B", now, None))  # as Alertmanager does, again and again
        self.end(gateway)
        gateway = self.gateway(self.to(self.engine()), store)
        [incident] = self.shown(gateway)
        self.assertEqual((incident["name"], incident["severity"], incident["begin"], incident["end"]),
                         ("A, B", "warning", now, None))
        self.assertEqual({c["action"] for c in incident["changes"]}, {"program.start", "config.reload", "feature.set"})
        self.assertEqual(incident["alerts"][0]["labels"]["engine"], "e")
        self.assertEqual(incident["alerts"][0]["annotations"], {"summary": "Ön"})
        self.tell(gateway, ("A", now, now), ("B", now, now))
        [incident] = self.shown(gateway)
        self.assertEqual(incident["end"], now)
        self.assertEqual(self.shown(gateway, "?since=1s&limit=1"), [] if incident["end"] < now else [incident])

    def test_an_old_one_is_no_news(self):
        gateway = self.gateway(self.to(self.engine()))
        self.tell(gateway, ("A", "2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z"))
        self.assertEqual(self.shown(gateway), [])

    def test_a_message_that_is_none_is_refused_by_name(self):
        gateway = self.gateway(self.to(self.engine()))
        answer = gateway.admin("/admin/v1/alerts", method="POST", body={"version": "3"})
        self.assertEqual(answer.status, 400)
        self.assertIn("'version': expected \"4\"", answer.error["message"])
        answer = self.tell(gateway, ("A", "today", None), status=400)
        self.assertEqual(answer.error["param"], "alerts[0].startsAt")
        for query in ("?since=soon", "?limit=0"):
            self.assertEqual(gateway.admin("/admin/v1/incidents" + query).status, 400)

    def test_an_engine_that_dies_becomes_one_and_its_return_ends_it(self):
        port = free_port()
        engine = ("engine", "--listen", f"127.0.0.1:{port}", "--model", "m")
        behind = Process(*engine)
        self.addCleanup(lambda: behind.kill())
        behind.wait_for("listening on")
        gateway = self.gateway({
            "engines": [{"name": "gpu-a", "kind": "openai", "url": f"http://127.0.0.1:{port}/v1",
                         "health": {"path": "/v1/models", "interval": "200ms", "timeout": "200ms"}}],
            "models": [{"name": "m", "engines": ["gpu-a"]}], "admin": {"token": "secret-token"}})
        manages = alertmanager_config(self.folder, gateway.admin_port, "secret-token", "100ms", "500ms")
        with Alertmanager(manages) as manager:
            watches = prometheus_config(self.folder, [gateway.admin_port], manager.port, interval="500ms", hold="1s")
            with Prometheus(None, config=watches) as prometheus:
                prometheus.wait_for('penstock_engine_healthy{engine="gpu-a"} == 1')
                behind.kill()
                wait_until(lambda: {"PenstockEngineUnhealthy", "PenstockNoHealthyEngine"} <= prometheus.alerts(),
                           "both alerts fire", 60)

                def incident(name, over):
                    headers = {"authorization": "Bearer secret-token"}
                    said = gateway.admin("/admin/v1/incidents", headers=headers).json["incidents"]
                    return [one for one in said if one["name"] == name and bool(one["end"]) == over]

                wait_until(lambda: incident("PenstockEngineUnhealthy", False), "the first is an incident", 60)
                [critical] = wait_until(lambda: incident("PenstockNoHealthyEngine", False), "so is the second", 60)
                self.assertEqual(critical["severity"], "critical")
                self.assertEqual(critical["alerts"][0]["labels"]["model"], "m")
                self.assertEqual(critical["alerts"][0]["annotations"]["runbook_url"],
                                 "docs/runbooks/PenstockNoHealthyEngine.md")
                self.assertIn("program.start", [change["action"] for change in critical["changes"]])
                behind = Process(*engine)
                wait_until(lambda: incident("PenstockEngineUnhealthy", True), "the first is over", 60)
                wait_until(lambda: incident("PenstockNoHealthyEngine", True), "so is the second", 60)


