"""What was used is counted once, and `penstock usage` tells it, whatever ends the gateway."""

import csv
import io
import json
import threading

from harness.penstock import Scenario, run, wait_until


class Usage(Scenario):
    def usage(self, *args, code=0):
        """What `penstock usage` prints for the gateway in this test's folder."""
        found, output = run("usage", "--config", self.folder / "penstock.yaml", *args, cwd=self.folder)
        self.assertEqual(found, code, output)
        return output

    def total(self, *args):
        return json.loads(self.usage("--format", "json", *args))["total"]

    def settled(self, gateway):
        """Waits until nothing of what was recorded is on its way."""
        wait_until(lambda: gateway.metric("penstock_usage_queue_records") == 0, "all is in the database")

    def test_tells_calls_from_hits_and_refusals(self):
        engine = self.engine()
        gateway = self.gateway(self.to(engine))
        for number in range(3):
            self.assertEqual(gateway.ask(f"question {number}", temperature=0).status, 200)
        for _ in range(5):
            self.assertEqual(gateway.ask("question 1", temperature=0).status, 200)
        self.assertEqual(gateway.ask("Hello?", model="unknown").status, 404)
        wait_until(lambda: self.total()["requests"] == 9, "all of it is in the database")
        self.settled(gateway)
        total = self.total("--today")
        self.assertEqual(total["hits"], 5)
        self.assertEqual(total["errors"], 1)
        self.assertEqual((total["tokens"]["input"], total["tokens"]["output"]), (9, 6))
        self.assertEqual(self.total("--model", "m")["requests"], 8)
        self.assertEqual(self.total("--status", "404")["requests"], 1)
        self.assertEqual(self.total("--cache", "memory")["requests"], 5)
        self.assertEqual(self.total("--until", "2026-01-01", "--since", "2025-01")["requests"], 0)

        rows = list(csv.DictReader(io.StringIO(self.usage("--by", "engine,cache", "--format", "csv"))))
        self.assertEqual({(r["engine"], r["cache"]): r["requests"] for r in rows if r["engine"]},
                         {("e", "memory"): "5", ("e", "miss"): "3"})
        table = self.usage("--by", "day,model", "--p95").splitlines()
        self.assertRegex(table[0], r"^day +model +requests .* p95_ms$")
        self.assertRegex(table[-1], r"^total ")
        people = json.loads(self.usage("engagement", "--format", "json"))
        self.assertEqual(people["total"]["questions"], 9)
        self.assertRegex(self.usage("engagement"), r"(?m)^all ")

    def test_counts_each_request_once_over_kills(self):
        engine = self.engine()
        settings = {**self.to(engine), "store": {"url": f"sqlite:{self.folder}/penstock.db"}}
        begun = [0, 0]  # what was sent and what was answered
        lock = threading.Lock()
        for round_ in range(3):
            gateway = self.gateway(settings)
            stop = threading.Event()

            def ask(number, gateway=gateway, stop=stop, round_=round_):
                for i in range(10_000):
                    if stop.is_set():
                        return
                    text = f"{round_} {number} {i}" if i % 4 == 0 else "the same"
                    with lock:
                        begun[0] += 1
                    try:
                        status = gateway.ask(text, temperature=0).status
                    except OSError:  # it was killed
                        return
                    except Exception:  # pylint: disable=broad-except # or in the middle of its answer
                        if gateway.running():
                            raise
                        return
                    with lock:
                        begun[1] += status == 200

            threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
            for thread in threads:
                thread.start()
            already = begun[1]
            wait_until(lambda: begun[1] > already + 150 * (round_ + 1), "questions are answered")
            gateway.process.kill()
            gateway.wait()
            stop.set()
            for thread in threads:
                thread.join()
        gateway = self.gateway(settings)
        wait_until(lambda: self.total()["requests"] >= begun[1], "what was left is in the database")
        self.settled(gateway)
        counted = self.total()["requests"]
        self.assertLessEqual(begun[1], counted)
        self.assertLessEqual(counted, begun[0])

    def test_is_there_when_the_gateway_has_ended(self):
        gateway = self.gateway(self.to(self.engine()), {"store": {"url": f"sqlite:{self.folder}/penstock.db"}})
        self.assertEqual(gateway.ask().status, 200)
        self.end(gateway)
        self.assertEqual(self.total()["requests"], 1)
        self.assertEqual([p.name for p in (self.folder / "penstock.db-spool").iterdir()], ["lock"])

    def test_says_what_it_cannot_understand(self):
        for args, told in ((("--by", "modle"), "did you mean model?"),
                           (("--by", "day,month"), "one of hour, day and month"),
                           (("--by", "model,model"), "--by names model twice"),
                           (("--since", "yesterday"), "--since takes a day"),
                           (("--since", "2026-11-02", "--until", "2026-11-01"), "before it begins"),
                           (("--format", "xml"), "--format cannot be"),
                           (("--status", "ok"), "--status takes a status"),
                           (("--today", "--since", "7d"), "cannot be given together"),
                           (("people",), "it can be engagement")):
            code, output = run("usage", "--store", f"sqlite:{self.folder}/none.db", *args,
                               cwd=self.folder)
            self.assertEqual(code, 2, output)
            self.assertIn(told, output)
        code, output = run("usage", "--store", f"sqlite:{self.folder}/none.db", cwd=self.folder)
        self.assertEqual(code, 1)
        self.assertIn(f"there is no database {self.folder}/none.db yet", output)
        self.assertFalse((self.folder / "none.db").exists())
