"""Half an hour of everything at once, and nothing may grow: `./dev soak --minutes 30`.

Around one gateway: good clients whose every answer is compared, hits, misses and streams at a
constant pace, an engine that is ill, clients that leave, mumble and dawdle (visitors.py); the
configuration is reloaded and the documents change all the while. After a sixth of the time, which is
warm-up, memory must stay within 2 %, file descriptors and threads must stay as they are, series must
not grow, and good clients must get every answer.
"""

import argparse
import contextlib
import json
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from drills.drill import Watch
from drills.figures import Figures, shown
from harness.bystanders import MODEL, Bystanders
from harness.penstock import (BASE, CANARY, LIMIT, PROGRAM, REPORTS, SANITIZED, Gateway, Process, merged, wait_until)

RELOAD = 10.0     # seconds between two reloads
DOCUMENTS = 7.0   # and between two changes of the documents
VISITS = 20.0     # a second
SEGMENT = 20      # seconds of one run of `penstock load`
SEED = 1

ILL = ["--first-token", "20ms", "--tokens-per-second", 500, "--tokens", 40, "--errors", "5%", "--stalls", "2%",
       "--disconnects", "5%", "--rate-limited", "5%"]
QUICK = ["--first-token", "5ms", "--tokens-per-second", 2000, "--tokens", 50, "--slots", 256]
SLOW = ["--first-token", "100ms", "--tokens-per-second", 40, "--tokens", 100, "--slots", 256]

# Name: what is asked of which model, and whether every answer must be good.
LOADS = {
    "hits": (["--model", "quick", "--rate", 400, "--questions", 2000], True),
    "misses": (["--model", "quick", "--rate", 100, "--unique"], True),
    "streams": (["--model", "slow", "--rate", 5, "--stream", "--unique"], True),
    "documents": (["--model", "handbook", "--rate", 20, "--questions", 500], True),
    "an engine that is ill": (["--model", "ill", "--rate", 20, "--stream", "--unique"], False),
}


class Load(threading.Thread):
    """`penstock load`, again and again; adds up what came back."""

    def __init__(self, url, name, options):
        super().__init__(daemon=True)
        self.name, self.options, self.url = name, options, url
        self.asked = self.failed = 0
        self.example = ""
        self.until = threading.Event()

    def run(self):
        while not self.until.is_set():
            command = [str(PROGRAM), "load", "--url", self.url, "--connections", "64", "--warmup", "0s", "--duration",
                       f"{SEGMENT}s", "--timeout", "15s", "--json", "-", *map(str, self.options)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            try:
                report = json.loads(done.stdout)
            except ValueError:
                self.failed += 1
                self.example = done.stdout + done.stderr
                continue
            self.asked += report["answers"]
            self.failed += report["failed"]
            if report["failed"]:
                self.example = done.stderr[-500:]


class Series:
    """A figure over time."""

    def __init__(self, read):
        self.read = read
        self.values = []

    def look(self, at):
        self.values.append((at, self.read()))

    def median(self, begin, end):
        return statistics.median(v for at, v in self.values if begin <= at <= end)

    def slope(self, begin, end):
        """Per second, by least squares."""
        points = [(at, v) for at, v in self.values if begin <= at <= end]
        return statistics.linear_regression(*zip(*points)).slope if len(points) > 2 else 0.0


class Soak:
    def __init__(self, minutes):
        self.seconds = minutes * 60
        self.figures = Figures()
        self.reloads = self.changes = 0
        self._exit = contextlib.ExitStack()

    # ---- what stands around

    def run(self):
        with self._exit:
            self._prepare()
            self._soak()
            self._judge()
            self._end()
        return self.figures

    def _engine(self, name, options):
        engine = Process("engine", "--listen", "127.0.0.1:0", "--model", name, "--seed", SEED, *options)
        self._exit.callback(engine.kill)
        port = engine.wait_for(r"http://127\.0\.0\.1:(\d+)").group(1)
        return {"name": name, "kind": "openai", "url": f"http://127.0.0.1:{port}/v1",
                "timeout": {"first_token": "5s", "between_tokens": "2s", "total": "30s"}}

    def _prepare(self):
        self.folder = pathlib.Path(self._exit.enter_context(tempfile.TemporaryDirectory(prefix="penstock-soak-")))
        self.docs = self.folder / "docs"
        self.docs.mkdir()
        for i in range(20):
            self._write_document(i)
        self.bystanders = Bystanders(CANARY)
        self._exit.callback(self.bystanders.close)
        engines = [self._engine(*one) for one in (("quick", QUICK), ("slow", SLOW), ("ill", ILL))]
        engines.append({"name": MODEL, "kind": "openai", "url": f"http://127.0.0.1:{self.bystanders.engine_port}/v1"})
        engines.append({"name": "handbook", "kind": "documents", "path": str(self.docs)})
        config = merged(BASE, {
            "engines": engines, "models": [{"name": e["name"], "engines": [e["name"]]} for e in engines],
            # Small enough to be full after the warm-up.
            "cache": {"answers": "all", "memory": {"size": "16MiB"}, "ttl": {"default": "1m"}},
            "listen": {"limits": {"first_header": "5s", "body": "5s", "write_stall": "5s"}},
            "logging": {"access": "none"}})
        # What a reload changes: an engine, an alias, limits; questions under way go on with the old.
        other = merged(config, {"listen": {"limits": {"idle": "1m"}}})
        other["engines"] = [*engines, {**engines[0], "name": "spare"}]
        other["models"] = [*config["models"][1:], {**config["models"][0], "aliases": ["fast"]}]
        self.configs = [config, other]
        self.gateway = Gateway(config, self.folder)
        self._exit.callback(self.gateway.kill)
        self.watch = Watch(self.gateway.process.pid)
        self._exit.callback(self.watch.close)
        wait_until(lambda: self.gateway.get("/readyz").status == 200, "it is ready")

    def _write_document(self, i):
        (self.docs / f"page-{i}.md").write_text(
            f"# Page {i}\n\n" + "\n\n".join(f"## Part {j}\n\nNumber {j} of change {self.changes}. " + "Words. " * 50
                                            for j in range(20)))

    # ---- the half hour

    def _soak(self):
        port = self.gateway.port
        url = f"http://127.0.0.1:{port}"
        self.loads = [(Load(url, name, options), good) for name, (options, good) in LOADS.items()]
        visitors = subprocess.Popen([sys.executable, "-W", "ignore", "-m", "soak.visitors", str(port), str(VISITS),
                                     str(SEED)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._exit.callback(visitors.kill)
        self.bystanders.go(port, rate=50.0)
        for load, _ in self.loads:
            load.start()
        self.series = {
            "memory": Series(self.watch.memory),
            "file descriptors": Series(self.watch.descriptors),
            "threads": Series(lambda: len(list(pathlib.Path(f"/proc/{self.gateway.process.pid}/task").iterdir()))),
            "metric series": Series(lambda: int(self.gateway.metric("penstock_metrics_series"))),
        }
        begin = time.monotonic()
        due = {self._reload: RELOAD, self._change: DOCUMENTS, self._tell: 60.0}
        last = dict.fromkeys(due, begin)
        while (now := time.monotonic()) - begin < self.seconds:
            if not self.gateway.running():
                break
            for series in self.series.values():
                series.look(now - begin)
            for what, every in due.items():
                if now - last[what] >= every:
                    last[what] = now
                    what()
            time.sleep(max(0.0, 1.0 - (time.monotonic() - now)))
        for load, _ in self.loads:
            load.until.set()
        self.report = self.bystanders.rest()
        for load, _ in self.loads:
            load.join()
        self.visits = json.loads(visitors.communicate(timeout=60)[0])

    def _reload(self):
        self.reloads += 1
        self.gateway.write(self.configs[self.reloads % 2])
        if self.reloads % 4 < 2:
            self.gateway.signal(signal.SIGHUP)
        else:
            answer = self.gateway.admin("/admin/v1/reload", method="POST")
            if answer.status != 200:
                self.figures.equal("a reload", answer.body, b"done")

    def _change(self):
        self.changes += 1
        self._write_document(self.changes % 20)

    def _tell(self):
        print("  " + ", ".join(f"{name} {shown(s.values[-1][1], 'B' if name == 'memory' else '')}"
                               for name, s in self.series.items()), flush=True)

    # ---- what it comes to

    def _judge(self):
        figures = self.figures
        warm = self.seconds / 6
        span = max(10.0, min(120.0, (self.seconds - warm) / 5))
        for name, series in self.series.items():
            first, last = series.median(warm, warm + span), series.median(self.seconds - span, self.seconds)
            unit = "B" if name == "memory" else ""
            if name == "memory" and SANITIZED:
                figures.note(name, "a sanitizer keeps freed memory on purpose")
                continue
            # Descriptors go with connections, which come and go: the median may move by a few.
            slack = {"memory": 0.02 * first, "file descriptors": max(4, 0.1 * first)}.get(name, 0)
            growth = series.slope(warm, self.seconds) * 3600
            figures.at_most(f"{name}: median of the last {span:.0f} s; after the warm-up {shown(first, unit)}, "
                            f"trend {shown(growth, unit)} an hour", last, first + slack, unit)
        failures = self.report["failures"]
        figures.equal(f"good clients: of {self.report['sent']} questions, without exactly their answer", len(failures), 0)
        for failure in failures[:3]:
            figures.note("good clients: for example", failure)
        for load, good in self.loads:
            if good:
                figures.equal(f"{load.name}: of {load.asked}, failed", load.failed, 0)
                if load.failed:
                    figures.note(f"{load.name}: for example", load.example)
            else:
                figures.note(f"{load.name}: of {load.asked}, failed", str(load.failed))
        figures.at_least("visitors", sum(self.visits.values()), self.seconds * VISITS / 2)
        figures.equal("reloads that went well", int(self.gateway.metric("penstock_config_reloads_total", result="success")),
                      self.reloads)
        metric = self.gateway.metric
        with contextlib.suppress(AssertionError):
            wait_until(lambda: metric("penstock_engine_in_flight") == 0, "no call goes on", limit=40)
        figures.equal("requests under way afterwards", int(metric("penstock_http_requests_in_flight")), 0)
        figures.equal("engine calls under way afterwards", int(metric("penstock_engine_in_flight")), 0)
        figures.at_most("the cache, of its 16 MiB", int(metric("penstock_cache_used_bytes")), 16 << 20, "B")

    def _end(self):
        self.figures.equal("the program lives", self.gateway.running(), True)
        self.gateway.signal(signal.SIGTERM)
        self.figures.equal("its exit code", self.gateway.wait(LIMIT), 0)
        output = self.gateway.output
        report = REPORTS.search(output)
        self.figures.equal("sanitizers and assertions", report.group(0) if report else "silent", "silent")
        self.figures.equal("secrets and texts in its log", CANARY in output, False)


def main():
    parser = argparse.ArgumentParser(prog="./dev soak", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--minutes", type=float, default=30, metavar="N", help="how long [30]; a sixth is warm-up")
    minutes = parser.parse_args().minutes
    print(f"{minutes:g} minutes of {PROGRAM}", flush=True)
    figures = Soak(minutes).run()
    print(figures.table())
    print("passed" if figures.good else "FAILED")
    return 0 if figures.good else 1


if __name__ == "__main__":
    sys.exit(main())
