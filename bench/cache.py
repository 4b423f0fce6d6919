"""The cache by itself: how often it has what it is asked for, what it takes, what a hit costs.

`./dev bench --cache`; docs/cache-benchmarks.md says what is measured and how.
"""

import http.client
import json
import os
import re
import shutil
import statistics
import subprocess

from machine import Failure, Server, free_port, last_json, run, say
from parts import INSTANT, LOAD_CORE, MODEL, SERVER_CORE, Bench, row

PARTS = ["ratios", "bound", "workers", "trust", "pipeline", "levels"]
LOADS = {"steady": "steady", "scans": "with scans", "moving": "moving", "twice": "twice"}
DOORS = {"bytes": "by a request's bytes", "key": "by a question's key"}


def busy():
    """How busy the machine is with everything: processes that want to run, in the last minute."""
    return f"load average {os.getloadavg()[0]:.1f}"


def points(share):
    return f"{100 * share:.1f}"


def over(cell):
    return 100 * (cell["s3fifo"] - cell["lru"])


def table(cells):
    """Hit ratios in percent, for a page of docs or a terminal."""
    head = ["load", "Zipf", "cache", "optimum", "S3-FIFO", "LRU", "S3-FIFO over LRU"]
    rows = [[LOADS[cell["load"]], str(cell["zipf"] or ""), f"{cell['percent']} %",
             points(cell["optimum"]), points(cell["s3fifo"]), points(cell["lru"]),
             f"{over(cell):+.1f}"] for cell in cells]
    widths = [max(map(len, column)) for column in zip(head, *rows)]

    def line(words):
        return "| " + " | ".join(word.ljust(width) for word, width in zip(words, widths)) + " |"

    return "\n".join([line(head), "|" + "|".join("-" * (width + 2) for width in widths) + "|",
                      *map(line, rows)])


class CacheBench(Bench):
    """Adds Redis and what is in memory to what the other parts start."""

    def __init__(self, build, penstock, quick, rounds, seconds):
        super().__init__(penstock, None, None, quick, rounds, seconds)
        self.build = build

    def program(self, *parts):
        path = os.path.join(self.build, *parts)
        if not os.access(path, os.X_OK):
            raise Failure(f"there is no {path}; ./dev bench builds it")
        return path

    def lines_of(self, program, *arguments):
        out = subprocess.run([self.program("bench", program), *map(str, arguments)],
                             capture_output=True, text=True, check=True).stdout
        return [json.loads(line) for line in out.splitlines()]

    def start_redis(self, core):
        redis = shutil.which("redis-server")
        if redis is None:
            raise Failure("redis-server is not installed; ./dev bench installs it")
        port = free_port()
        command = [redis, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly",
                   "no", "--dir", self.directory]
        return Server("redis", command, port, core, self.path("redis.log"), None)

    # ---- memory -----------------------------------------------------------------------------

    def ratios(self):
        say("ratios: every load and size, a minute or two")
        cells = self.lines_of("cache_hits", "--requests", 200_000 if self.quick else 2_000_000)
        self.raw["ratios"] = cells
        print(table(cells))
        [cell] = [c for c in cells if (c["load"], c["zipf"], c["percent"]) == ("scans", 0.9, 10)]
        return [row("ratios", "hit ratio over LRU's, Zipf 0.9 with scans, a tenth of the keys",
                    over(cell), "pt", 3, at_most=False)]

    def bound(self):
        inserts = 300_000 if self.quick else 10_000_000
        say(f"bound: {inserts:,} inserts of mixed sizes")
        [one] = self.lines_of("cache_bound", "--inserts", inserts)
        self.raw["bound"] = one
        return [row("bound", f"greatest growth of the process in {inserts:,} inserts, to the size",
                    one["most"] / one["size"], "x", 1.05,
                    note=f"{one['most'] / 2**20:.1f} of {one['size'] / 2**20:.0f} MiB; "
                         f"{one['last'] / 2**20:.1f} at the end")]

    def workers(self):
        say("workers: one on either core, and both")
        rounds = self.lines_of("cache_workers", "--rounds", 2 if self.quick else 15)
        self.raw["workers"] = rounds
        rows = []
        for door, name in DOORS.items():
            ones = [one for one in rounds if one["door"] == door]
            waited = statistics.median(one["waited"] for one in ones)
            rows.append(row("workers", f"two workers to one, {name}",
                            statistics.median(one["ratio"] for one in ones), "x", 1.9,
                            at_most=False, note=f"waited {waited:.0%} for a core; {busy()}"))
        return rows

    def trust(self):
        """The least of many runs: the work is always the same, and what disturbs only adds."""
        say("trust: with and without")
        out = self.path("trust.json")
        subprocess.run([self.program("src", "cache_bench"),
                        "--benchmark_filter=^(Lookup|Trusted)/FindBytes/lru:0/zipf:0/.*/threads:1$",
                        f"--benchmark_repetitions={3 if self.quick else 40}",
                        "--benchmark_enable_random_interleaving=true", "--benchmark_min_time=0.05",
                        f"--benchmark_out={out}", "--benchmark_out_format=json"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        with open(out) as f:
            runs = [one for one in json.load(f)["benchmarks"] if one["run_type"] == "iteration"]
        self.raw["trust"] = runs
        without, with_it = (min(one["cpu_time"] for one in runs
                                if one["name"].startswith(f"{fixture}/"))
                            for fixture in ("Lookup", "Trusted"))
        return [row("trust", "a look-up by bytes, always the same answer", without, "ns"),
                row("trust", "the same with the trust check", with_it, "ns", note=busy())]

    # ---- Redis ------------------------------------------------------------------------------

    def pipeline(self):
        say("pipeline: answers read from Redis by one thread")
        rows = []
        steps = []
        with self.start_redis(SERVER_CORE) as redis:
            for waiting in (10, 100, 1000):
                ones = []
                for _ in range(self.rounds):
                    before = redis.cpu_us()
                    one = last_json(run([self.program("bench", "cache_redis"), str(redis.port),
                                         str(waiting), str(self.seconds)],
                                        LOAD_CORE, self.seconds + 60))
                    one["redis_cpu_us"] = (redis.cpu_us() - before) / one["hits"]
                    ones.append(one)
                steps.append(ones)
                rate = statistics.median(one["hits"] / one["seconds"] for one in ones)
                core = statistics.median(one["hits"] / one["cpu_seconds"] for one in ones)
                server = statistics.median(one["redis_cpu_us"] for one in ones)
                rows += [row("pipeline", f"{waiting} at a time: hits/s seen", rate, "/s",
                             note=busy()),
                         row("pipeline", f"{waiting} at a time: hits a second of its CPU", core,
                             "/s", 100_000 if waiting == 1000 else None, at_most=False,
                             note=f"{1e6 / core:.1f} us each; Redis's own {server:.1f} us")]
        self.raw["pipeline"] = steps
        return rows

    def start_level(self, engine, redis, memory):
        port, admin = free_port(), free_port()
        config = self.write(f"penstock-{port}.yaml", f"""
listen:
  address: 127.0.0.1:{port}
  workers: 1
  limits: {{drain_delay: 0s, drain: 1s}}
admin: {{address: "127.0.0.1:{admin}"}}
engines:
  - {{name: engine, kind: openai, url: "http://127.0.0.1:{engine.port}/v1"}}
models:
  - {{name: {MODEL}, engines: [engine]}}
cache: {{memory: {{size: {memory}}}, redis: {{urls: ["redis://127.0.0.1:{redis.port}"]}}}}
store: {{url: "sqlite:{self.path(f'usage-{port}.db')}"}}
""")
        command = [self.penstock, "serve", "--config", config]
        server = Server(f"penstock with {memory}", command, port, SERVER_CORE,
                        self.path(f"penstock-{port}.log"), "/readyz")
        server.admin_port = admin
        return server

    @staticmethod
    def results(gateway):
        """What its cache has answered so far: {(level, result): count}."""
        connection = http.client.HTTPConnection("127.0.0.1", gateway.admin_port, timeout=5)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        found = re.findall(r"^penstock_cache_requests_total\{([^}]*)\} ([0-9.e+]+)$", text, re.M)
        return {tuple(sorted(re.findall(r'(?:level|result)="(\w+)"', labels))): float(count)
                for labels, count in found}

    def levels(self):
        """The same questions to two gateways: one has them in memory, one has room for few."""
        bodies = self.write_questions()
        file = self.write("bodies.jsonl", "\n".join(bodies) + "\n")
        self.key = "none"
        figures = {"memory": [], "redis": []}
        with self.start_redis(SERVER_CORE) as redis, \
                self.start_engine(SERVER_CORE, *INSTANT) as engine, \
                self.start_level(engine, redis, "256MiB") as memory, \
                self.start_level(engine, redis, "1MiB") as small:
            say("levels: filling the caches")
            size = self.fill(memory, bodies)
            for number in range(self.rounds):
                for name, server in (("memory", memory), ("redis", small)):
                    say(f"levels: round {number + 1} of {self.rounds}, {name}")
                    before, cpu = self.results(server), server.cpu_us()
                    one = self.load(server.url, SERVER_CORE, "--connections", "1", "--file", file,
                                    "--zipf", "0")
                    cpu = server.cpu_us() - cpu
                    after = self.results(server)
                    one["results"] = {" ".join(key): count - before.get(key, 0)
                                      for key, count in after.items()}
                    hits = one["results"].get(f"hit {name}", 0)
                    one["gateway_cpu_us"] = cpu / max(hits, 1)
                    # Every question is looked up in memory first, whoever has it.
                    one["share"] = hits / max(sum(one["results"].get(f"hit {level}", 0)
                                                  for level in figures) + self.missed(one), 1)
                    figures[name].append(one)
        self.raw["levels"] = figures
        p50 = {name: statistics.median(one["latency_us"]["p50"] for one in ones)
               for name, ones in figures.items()}
        rows = [row("levels", f"a hit from {name}: p50", p50[name], "us",
                    note=f"answers of {size:.0f} bytes; "
                         f"{min(one['share'] for one in ones):.1%} came from there")
                for name, ones in figures.items()]
        return rows + [row("levels", "added by Redis: p50", p50["redis"] - p50["memory"], "us", 150,
                           note=busy())]

    @staticmethod
    def missed(one):
        return one["results"].get("miss redis", 0) + one["results"].get("error redis", 0)
