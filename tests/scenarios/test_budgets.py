"""Performance budgets: what was promised against what was measured, over nodes and restarts."""

import calendar
import json
import pathlib
import sqlite3
import subprocess
import time
import unittest

from harness.penstock import PROGRAM, SANITIZED, Scenario, answering, plain, run, wait_until

ROOT = pathlib.Path(__file__).parents[2]
BUDGETS = [
    {"name": "quick", "of": "response", "below": "300ms", "for": "90%", "alert": "ticket"},
    {"name": "errors", "below": "10%", "alert": "page"},
    {"name": "cache", "hit_ratio": "50%"},
    {"name": "throughput", "requests_per_second": 1000},
]


class Budgets(Scenario):
    def node(self, engine, budgets=None, **more):
        self.store = {"url": f"sqlite:{self.folder}/a.db"}
        return self.gateway(self.to(engine), {"budgets": BUDGETS if budgets is None else budgets, "store": self.store,
                                              **more})

    def of(self, gateway, name, window="30d"):
        for one in gateway.admin("/admin/v1/budgets").json["budgets"]:
            if one["name"] == name:
                return one["windows"][window]
        raise AssertionError(f"no budget {name}")

    def counted(self, gateway, name, good, total, window="30d"):
        def there():
            count = self.of(gateway, name, window)
            return (count["good"], count["total"]) == (good, total)
        wait_until(there, f"{name}: {good} of {total}, not {self.of(gateway, name, window)}")

    def told(self, gateway, *args, code=0):
        found, output = run("budgets", "--admin", f"http://127.0.0.1:{gateway.admin_port}", *args)
        self.assertEqual(found, code, output)
        return output

    # ---- what is counted -------------------------------------------------------------------------

    def test_counts_what_was_promised_and_tells_what_is_left(self):
        engine = self.engine()
        gateway = self.node(engine)
        for number in range(4):
            gateway.ask(f"question {number}", temperature=0)
        for _ in range(6):
            gateway.ask("question 1", temperature=0)
        gateway.ask("a stream", temperature=0, stream=True)
        gateway.ask("Hello?", model="unknown")
        self.counted(gateway, "quick", 10, 10)   # neither the stream nor the refusal
        self.counted(gateway, "errors", 12, 12)
        self.counted(gateway, "cache", 6, 11)
        cache = self.of(gateway, "cache", "5m")
        self.assertAlmostEqual(cache["ratio"], 6 / 11)
        self.assertAlmostEqual(cache["burn_rate"], (5 / 11) / 0.5)
        self.assertTrue(cache["met"])
        self.assertEqual(gateway.metric("penstock_budget_objective_ratio", budget="cache"), 0.5)
        self.assertAlmostEqual(gateway.metric("penstock_budget_burn_rate", budget="cache", window="1h"), 10 / 11,
                               places=4)
        self.assertAlmostEqual(gateway.metric("penstock_budget_remaining_ratio", budget="cache", window="30d"), 1 / 11,
                               places=4)
        self.assertEqual(gateway.metric("penstock_budget_met", budget="errors", window="5m"), 1)
        self.assertIsNone(gateway.metric("penstock_budget_objective_ratio", budget="throughput"))  # in load tests only

        table = self.told(gateway)
        self.assertRegex(table, r"(?m)^quick +90% of answers below 300ms +100\.00% +10 +100% +0\.00 +ticket +met$")
        self.assertRegex(table, r"(?m)^cache +50% answered without an engine +54\.55% +11 +9% +0\.91 +none +met$")
        self.assertRegex(table, r"(?m)^throughput +1000 requests/s under load +(- +){5}in load tests only$")
        self.assertTrue(table.endswith("No budget is broken.\n"), table)

    def test_a_broken_one_is_told_and_fails_the_command(self):
        broken = self.engine(answering(lambda request: plain(b'{"error":{"message":"no"}}', "500 Oh")))
        gateway = self.node(broken)
        for number in range(3):
            self.assertGreaterEqual(gateway.ask(f"question {number}", temperature=0).status, 500)
        self.counted(gateway, "errors", 0, 3)
        table = self.told(gateway, "--window", "5m", code=1)
        self.assertRegex(table, r"(?m)^errors +errors below 10% +0\.00% +3 +-900% +10\.00 +page +BROKEN$")
        self.assertRegex(table, r"(?m)^quick .* nothing to count$")
        self.assertTrue(table.endswith("Broken: errors, cache.\n"), table)
        self.assertEqual(gateway.metric("penstock_budget_met", budget="errors", window="30d"), 0)
        self.assertFalse(json.loads(self.told(gateway, "--format", "json", code=1))["budgets"][1]["windows"]["1h"]["met"])

    def test_stands_without_histograms(self):
        gateway = self.node(self.engine(), features={"prometheus_metrics": False})
        gateway.ask("Hello?", temperature=0)
        self.counted(gateway, "quick", 1, 1)

    @unittest.skipIf(SANITIZED, "waits for a minute; account_test.cc weighs them under sanitizers too")
    def test_how_full_things_are_is_weighed_by_the_minute(self):
        budgets = [{"name": "cpu", "below": "99%"}, {"name": "memory", "below": "1%"},
                   {"name": "database_connections", "below": 100}]
        gateway = self.node(self.engine(), budgets)
        # Half of a minute of the clock is enough, and its end.
        wait_until(lambda: self.of(gateway, "database_connections")["total"] >= 1, "a minute was seen", 100)
        for name in ("cpu", "database_connections"):
            count = self.of(gateway, name)
            self.assertEqual(count["good"], count["total"], name)

    # ---- over nodes and restarts -----------------------------------------------------------------

    def test_outlives_a_restart_and_a_kill(self):
        engine = self.engine()
        gateway = self.node(engine)
        for number in range(3):
            gateway.ask(f"question {number}", temperature=0)
        self.end(gateway)  # writes at once
        gateway = self.node(engine)
        gateway.ask("question 0", temperature=0)
        self.counted(gateway, "errors", 4, 4)
        wait_until(lambda: self.rows() == 4, "it is written down", 20)
        gateway.kill()
        gateway = self.node(engine)
        self.counted(gateway, "errors", 4, 4)

    def rows(self, budget="errors"):
        with sqlite3.connect(f"{self.folder}/a.db") as database:
            return database.execute("SELECT sum(total) FROM budget_minutes WHERE measure LIKE ?",
                                    (budget + " %",)).fetchone()[0]

    @unittest.skipIf(SANITIZED, "waits for a minute; the store's part of it is in budgets_test.cc")
    def test_is_the_sum_of_all_nodes(self):
        engine = self.engine()
        one, two = self.node(engine), self.node(engine)
        for number in range(3):
            one.ask(f"question {number}", temperature=0)
        two.ask("question 9", temperature=0)
        wait_until(lambda: self.of(one, "errors")["total"] == 4, "the other node's is seen", 90)
        wait_until(lambda: self.of(two, "errors")["total"] == 4, "the other node's is seen", 90)

    def test_another_limit_counts_anew_and_another_share_does_not(self):
        engine = self.engine()
        gateway = self.node(engine)
        gateway.ask("Hello?", temperature=0)
        self.counted(gateway, "quick", 1, 1)
        self.end(gateway)
        gateway = self.node(engine, [{**BUDGETS[0], "for": "99%"}])
        self.counted(gateway, "quick", 1, 1)
        self.end(gateway)
        gateway = self.node(engine, [{**BUDGETS[0], "below": "200ms"}])
        wait_until(lambda: (gateway.metric("penstock_db_query_duration_seconds_count", operation="read_budgets") or 0) >= 2,
                   "the store was read")
        self.counted(gateway, "quick", 0, 0)

    def test_an_end_without_the_database_says_what_is_missing(self):
        gateway = self.node(self.engine())
        wait_until(lambda: (gateway.metric("penstock_db_query_duration_seconds_count", operation="read_budgets") or 0) >= 2,
                   "the store was read")
        gateway.ask("Hello?", temperature=0)
        with sqlite3.connect(f"{self.folder}/a.db") as database:
            database.execute("BEGIN EXCLUSIVE")
            self.end(gateway)
        self.assertIn("the last minutes of the budgets could not be written down", gateway.output)

    def test_changing_them_takes_a_restart(self):
        gateway = self.node(self.engine())
        gateway.write({**gateway.config, "budgets": []})
        answer = gateway.admin("/admin/v1/reload", method="POST")
        self.assertIn("budgets cannot change while the program runs; restart it", answer.body.decode())

    # ---- a month ---------------------------------------------------------------------------------

    def test_a_month_is_told_out_of_the_database(self):
        gateway = self.node(self.engine())
        self.end(gateway)
        now = time.gmtime()
        year, month = (now.tm_year, now.tm_mon - 1) if now.tm_mon > 1 else (now.tm_year - 1, 12)
        begin, name = calendar.timegm((year, month, 1, 0, 0, 0)) // 60, f"{year}-{month:02}"
        day, days = 1440, calendar.monthrange(year, month)[1]
        rows = [(begin - 1, 0, 100), (begin, 80, 100), (begin + 3 * day + 5, 40, 100), (begin + 3 * day + 6, 70, 100),
                (begin + days * day - 1, 1000, 1000), (begin + days * day, 0, 100)]
        with sqlite3.connect(f"{self.folder}/a.db") as database:
            database.executemany("INSERT INTO budget_minutes VALUES (?, 'cache cache', 'x', ?, ?)", rows)
        gateway = self.node(self.engine())
        said = gateway.admin(f"/admin/v1/budgets?month={name}").json
        cache = said["budgets"][2]
        self.assertEqual((said["complete"], cache["good"], cache["total"], cache["met"]), (True, 1190, 1300, True))
        self.assertEqual((cache["worst_day"]["day"], cache["worst_day"]["ratio"]), (f"{name}-04", 0.55))
        self.assertEqual(said["budgets"][0]["worst_day"], None)
        table = self.told(gateway, "--month", name)
        self.assertTrue(table.startswith(f"{name}, by UTC, of all nodes.\n"), table)
        self.assertRegex(table, rf"(?m)^cache .* 91\.54% +1300 +83\.08% +{name}-04 55\.00% +met$")
        self.assertIn(", until now, by UTC", self.told(gateway, "--month", code=1))  # of its first day
        self.assertIn("expected a month such as 2027-01", self.told(gateway, "--month", "2026-13", code=1))

    # ---- rules for Prometheus --------------------------------------------------------------------

    def test_the_rules_are_those_that_come_with_the_program(self):
        printed = subprocess.run([PROGRAM, "rules"], capture_output=True, text=True, check=True).stdout
        kept = (ROOT / "deploy/prometheus/rules/budgets.rules.yml").read_text()
        self.assertEqual(printed, kept, "write it again: penstock rules > deploy/prometheus/rules/budgets.rules.yml")

    def test_promtool_takes_the_rules_of_any_configuration(self):
        path = self.folder / "own.yaml"
        path.write_text(json.dumps({"budgets": [
            {"name": "first", "of": "first_token", "below": "2s", "for": "99.9%", "alert": "page"},
            {"name": "half", "hit_ratio": "50%", "alert": "page"}]}))
        rules = self.folder / "own.rules.yml"
        done = subprocess.run([PROGRAM, "rules", "--config", path], capture_output=True, text=True, check=True)
        rules.write_text(done.stdout)
        checked = subprocess.run(["promtool", "check", "rules", rules], capture_output=True, text=True, check=False)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        self.assertIn("PenstockBudgetBurnFast", done.stdout)
        bad = subprocess.run([PROGRAM, "rules", "--config", self.folder / "none.yaml"], capture_output=True, text=True,
                             check=False)
        self.assertEqual(bad.returncode, 2)
        self.assertIn("none.yaml: cannot be read", bad.stderr)
