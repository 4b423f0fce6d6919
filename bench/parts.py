"""What is measured: each part starts its servers, loads them and returns rows for the table.

Core 0 is the server's, core 1 the load generator's, but where one connection is measured: there
all share core 0, since waking a sleeping core would cost more than what is looked for.
"""

import bisect
import contextlib
import http.client
import os
import random
import re
import shutil
import socket
import statistics
import tempfile
import threading
import time

from machine import Failure, Server, allow_files, free_port, last_json, run, say

HERE = os.path.dirname(os.path.abspath(__file__))
QUESTIONS = 10_000
ORDER = 500_000
ZIPF = 0.9
BODY = 400
ANSWER = 1500
MODEL = "simulated"
SERVER_CORE, LOAD_CORE = 0, 1
MEBIBYTE = 1 << 20

# Fast enough to be no part of what is measured.
INSTANT = ["--first-token", "0s", "--tokens-per-second", "0", "--answer-bytes", "1200"]
PACED = ["--first-token", "100ms", "--sigma", "0.4", "--tokens-per-second", "30"]
SLOTS = ["--slots", "20000", "--queue", "20000"]


def row(part, what, value, unit, goal=None, at_most=True, note=""):
    """One line of the table. A goal is PASS or MISS; without one the figure stands by itself."""
    verdict = ""
    if goal is not None:
        verdict = "PASS" if (value <= goal if at_most else value >= goal) else "MISS"
    return {"part": part, "what": what, "value": value, "unit": unit, "goal": goal,
            "at_most": at_most, "verdict": verdict, "note": note}


class Bench:
    def __init__(self, penstock, yardstick, relay, quick, rounds, seconds):
        self.penstock, self.yardstick, self.relay = penstock, yardstick, relay
        self.quick = quick
        self.rounds = rounds
        self.seconds = seconds
        # In memory where there is such a place: nginx's cache shall not wait for a disk.
        shm = "/dev/shm"
        self.directory = tempfile.mkdtemp(
            prefix="penstock-bench-", dir=shm if os.access(shm, os.W_OK) else None)
        self.raw = {}

    def close(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        return self.path(name)

    # ---- servers ----------------------------------------------------------------------------

    def start_yardstick(self):
        port = free_port()
        command = [self.yardstick, "--port", str(port), "--body", str(ANSWER)]
        return Server("yardstick", command, port, SERVER_CORE, self.path("yardstick.log"))

    def start_relay(self, engine_port):
        port = free_port()
        command = [self.relay, "--engine", str(engine_port), "--port", str(port)]
        return Server("relay", command, port, SERVER_CORE, self.path("relay.log"), "/health")

    def start_engine(self, core, *options):
        port = free_port()
        command = [self.penstock, "engine", "--listen", f"127.0.0.1:{port}", *SLOTS, *options]
        return Server("engine", command, port, core, self.path("engine.log"), "/health")

    def make_key(self):
        """A key with limits that are counted and never reached; who knows no keys lets it pass."""
        self.store = f"sqlite:{self.path('keys.db')}"
        for command in (["tenants", "create", "bench"],
                        ["keys", "create", "--tenant", "bench", "--name", "bench", "--requests", "100000000/m",
                         "--tokens", "100000000/m", "--inflight", "100000"]):
            out = run([self.penstock, *command, "--store", self.store], LOAD_CORE, 30)
        self.key = re.search(r"pk_[0-9A-Za-z]{49}", out).group()

    def start_penstock(self, engine_port, answers, keys=False):
        port, admin = free_port(), free_port()
        name = "penstock, keys and limits" if keys else "penstock"
        store = self.store if keys else f"sqlite:{self.path(f'usage-{port}.db')}"
        config = self.write(f"penstock-{port}.yaml", f"""
listen:
  address: 127.0.0.1:{port}
  workers: 1
  limits: {{connections: 50000, idle: 10m, drain_delay: 0s, drain: 1s}}
admin: {{address: "127.0.0.1:{admin}"}}
engines:
  - name: engine
    kind: openai
    url: http://127.0.0.1:{engine_port}/v1
    connections: {{max: 10000, idle: 5m}}
models:
  - {{name: {MODEL}, engines: [engine]}}
cache: {{answers: {answers}}}
auth: {{mode: {'keys' if keys else 'none'}}}
store: {{url: "{store}"}}
""")
        command = [self.penstock, "serve", "--config", config]
        server = Server(name, command, port, SERVER_CORE, self.path(f"penstock-{port}.log"), "/readyz")
        server.admin_port = admin
        return server

    def start_nginx(self, engine_port):
        port = free_port()
        with open(os.path.join(HERE, "nginx.conf.in")) as f:
            text = f.read()
        directory = self.path("nginx")
        os.makedirs(directory, exist_ok=True)
        for name, value in {"dir": directory, "port": port, "engine": engine_port,
                            "user": "user root;" if os.geteuid() == 0 else ""}.items():
            text = text.replace(f"@{name}@", str(value))
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        command = [nginx, "-p", directory, "-c", self.write("nginx.conf", text)]
        return Server("nginx", command, port, SERVER_CORE, self.path("nginx.log"), None)

    # ---- load -------------------------------------------------------------------------------

    def load(self, url, core, *options, seconds=None, warmup="500ms", good=(0,)):
        seconds = seconds or self.seconds
        command = [self.penstock, "load", "--url", url, "--model", MODEL, "--json", "-",
                   "--duration", f"{int(seconds * 1000)}ms", "--warmup", warmup, *options]
        return last_json(run(command, core, seconds + 150, good))

    def wrk(self, url, seconds, connections=64):
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s",
                   os.path.join(HERE, "questions.lua"), url, "--", self.path("bodies"),
                   self.path("order"), self.key]
        return last_json(run(command, LOAD_CORE, seconds + 60), "RESULT ")

    # ---- hits -------------------------------------------------------------------------------

    def write_questions(self):
        draw = random.Random(1)
        words = "which valve opens before the water reaches its wheel and how is flow kept".split()
        bodies = []
        for i in range(QUESTIONS):
            start = (f'{{"model":"{MODEL}","messages":[{{"role":"user",'
                     f'"content":"Question {i:05}: ')
            end = '"}],"temperature":0}'
            text = ""
            while len(text) < BODY:
                text += draw.choice(words) + " "
            bodies.append(start + text[:BODY - len(start) - len(end)] + end)
        self.write("bodies", "\n".join(bodies) + "\n")
        sums, total = [], 0.0
        for i in range(QUESTIONS):
            total += (i + 1) ** -ZIPF
            sums.append(total)
        order = (bisect.bisect(sums, draw.random() * total) + 1 for _ in range(ORDER))
        self.write("order", "\n".join(str(min(i, QUESTIONS)) for i in order) + "\n")
        return bodies

    def fill(self, server, bodies):
        """Asks every question once; then some again, which must be hits. The answer's size."""
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)

        def ask(body):
            connection.request("POST", "/v1/chat/completions", body,
                               {"content-type": "application/json",
                                "authorization": f"Bearer {self.key}"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise Failure(f"{server.name} answered {answer.status}: {text[:300]!r}")
            return answer, len(text)

        for body in bodies:
            ask(body)
        sizes = []
        for body in bodies[::97]:
            answer, size = ask(body)
            sizes.append(size)
            word = answer.getheader("x-penstock-cache") or answer.getheader("x-cache") or ""
            if server.name != "yardstick" and not word.lower().startswith("hit"):
                raise Failure(f"{server.name} did not answer from its cache: {word!r}")
        connection.close()
        return statistics.median(sizes)

    def hits(self):
        bodies = self.write_questions()
        self.make_key()
        with contextlib.ExitStack() as stack:
            enter = stack.enter_context
            engine = enter(self.start_engine(LOAD_CORE, *INSTANT))
            servers = [enter(self.start_yardstick()), enter(self.start_nginx(engine.port)),
                       enter(self.start_penstock(engine.port, "safe")),
                       enter(self.start_penstock(engine.port, "safe", keys=True))]
            say("hits: filling the caches")
            sizes = {server.name: self.fill(server, bodies) for server in servers}
            figures = {server.name: [] for server in servers}
            for number in range(self.rounds):
                for server in servers:
                    say(f"hits: round {number + 1} of {self.rounds}, {server.name}")
                    self.wrk(server.url, 1)
                    before = server.cpu_us()
                    one = self.wrk(server.url, self.seconds)
                    one["cpu_us"] = (server.cpu_us() - before) / one["requests"]
                    one["per_second"] = one["requests"] / one["us"] * 1e6
                    figures[server.name].append(one)
        self.raw["hits"] = {"answer_bytes": sizes, "rounds": figures}

        rows = []
        middle = {}
        for name, ones in figures.items():
            m = {key: statistics.median(one[key] for one in ones)
                 for key in ("per_second", "p50_us", "p99_us", "cpu_us")}
            middle[name] = m
            failed = sum(one["failed"] for one in ones)
            note = f"answers of {sizes[name]:.0f} bytes" + (f", {failed} failed" if failed else "")
            rows += [row("hits", f"{name}: requests/s", m["per_second"], "/s", note=note),
                     row("hits", f"{name}: p50", m["p50_us"], "us"),
                     row("hits", f"{name}: p99", m["p99_us"], "us"),
                     row("hits", f"{name}: server CPU a request", m["cpu_us"], "us")]
        own, yard, nginx = middle["penstock"], middle["yardstick"], middle["nginx"]
        return rows + [
            row("hits", "CPU a request to yardstick's", own["cpu_us"] / yard["cpu_us"], "x", 1.25),
            row("hits", "CPU a request with keys and limits to without",
                middle["penstock, keys and limits"]["cpu_us"] / own["cpu_us"], "x", 1.05),
            row("hits", "CPU a request to nginx's", own["cpu_us"] / nginx["cpu_us"], "x", 0.6),
            row("hits", "p99 to nginx's", own["p99_us"] / nginx["p99_us"], "x", 1.0)]

    # ---- misses -----------------------------------------------------------------------------

    def pairs(self, engine, gateway, name, *options):
        """Direct and through, by turns; the medians of each, and the gateway's CPU a request."""
        direct, through = [], []
        for number in range(self.rounds):
            say(f"{name}: round {number + 1} of {self.rounds}")
            direct.append(self.load(engine.url, SERVER_CORE, "--connections", "1", "--unique",
                                    *options, seconds=self.seconds / 2))
            before, done = gateway.cpu_us(), self.count(gateway)
            one = self.load(gateway.url, SERVER_CORE, "--connections", "1", "--unique", *options,
                            seconds=self.seconds / 2)
            one["gateway_cpu_us"] = (gateway.cpu_us() - before) / max(self.count(gateway) - done, 1)
            through.append(one)
        self.raw.setdefault("pairs", {})[name] = {"direct": direct, "through": through}

        def middle(ones, key):
            return statistics.median(one["latency_us"][key] for one in ones)

        return {"direct_p50": middle(direct, "p50"), "direct_p99": middle(direct, "p99"),
                "through_p50": middle(through, "p50"), "through_p99": middle(through, "p99"),
                "cpu_us": statistics.median(one["gateway_cpu_us"] for one in through)}

    @staticmethod
    def count(gateway):
        """Requests that the gateway has answered, warm-up included, as it counts them itself."""
        connection = http.client.HTTPConnection("127.0.0.1", gateway.admin_port, timeout=5)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        found = re.findall(r"^penstock_http_requests_total\{[^}]*\} ([0-9.e+]+)$", text, re.M)
        return sum(map(float, found))

    def misses(self):
        with self.start_engine(SERVER_CORE, *INSTANT) as engine, \
                self.start_penstock(engine.port, "off") as gateway:
            m = self.pairs(engine, gateway, "misses")
        rows = [row("misses", "direct to the engine: p50", m["direct_p50"], "us"),
                row("misses", "direct to the engine: p99", m["direct_p99"], "us"),
                row("misses", "added p50", m["through_p50"] - m["direct_p50"], "us", 30),
                row("misses", "added p99", m["through_p99"] - m["direct_p99"], "us", 100),
                row("misses", "gateway CPU a request, one connection", m["cpu_us"], "us", 20)]
        return rows + self.most_misses()

    def most_misses(self):
        """The most requests/s whose p99 stays under a millisecond, the gateway alone on a core."""
        ladder = [4, 16, 32] if self.quick else [1, 2, 4, 8, 12, 16, 24, 32, 48, 64]
        steps = []
        with self.start_engine(LOAD_CORE, *INSTANT) as engine, \
                self.start_penstock(engine.port, "off") as gateway:
            for connections in ladder:
                say(f"misses: {connections} connections")
                before = gateway.cpu_us(), engine.cpu_us(), self.count(gateway), time.monotonic()
                one = self.load(gateway.url, LOAD_CORE, "--connections", str(connections),
                                "--unique", seconds=self.seconds / 2)
                passed = (time.monotonic() - before[3]) * 1e6
                one["gateway_busy"] = (gateway.cpu_us() - before[0]) / passed
                one["engine_busy"] = (engine.cpu_us() - before[1]) / passed
                one["gateway_cpu_us"] = ((gateway.cpu_us() - before[0])
                                         / max(self.count(gateway) - before[2], 1))
                steps.append(one)
            with self.start_relay(engine.port) as relay:
                relayed = []
                for connections in ladder[-3:]:
                    say(f"misses: raw relay, {connections} connections")
                    before = relay.cpu_us()
                    one = self.load(relay.url, LOAD_CORE, "--connections", str(connections),
                                    "--unique", seconds=self.seconds / 2)
                    one["relay_cpu_us"] = ((relay.cpu_us() - before)
                                           / (one["answers_per_second"] * (self.seconds / 2 + 0.5)))
                    relayed.append(one)
        floor = min(one["relay_cpu_us"] for one in relayed)
        self.raw["most_misses"] = steps
        self.raw["relayed_misses"] = relayed
        good = [one for one in steps if one["latency_us"]["p99"] < 1000] or steps[:1]
        best = max(good, key=lambda one: one["answers_per_second"])
        bound = ("the gateway's core" if best["gateway_busy"] > 0.9 else
                 f"core 1 (engine {best['engine_busy']:.0%}, generator "
                 f"{best['generator_cpu']:.0%}); the gateway's core was "
                 f"{best['gateway_busy']:.0%} busy")
        return [
            row("misses", "requests/s at p99 under 1 ms", best["answers_per_second"], "/s", 40_000,
                at_most=False, note=f"{best['connections']} connections, bounded by {bound}"),
            row("misses", "gateway CPU a request at that rate", best["gateway_cpu_us"], "us", 20),
            row("misses", "raw relay: CPU a request", floor, "us"),
            row("misses", "CPU a request to the raw relay's", best["gateway_cpu_us"] / floor, "x"),
            row("misses", "requests/s that this CPU time allows a core",
                1e6 / best["gateway_cpu_us"], "/s", note="by division, not measured")]

    def bodies(self):
        rows = []
        with self.start_engine(SERVER_CORE, *INSTANT) as engine, \
                self.start_penstock(engine.port, "off") as gateway:
            for size in ("1KiB", "100KiB", "1MiB", "10MiB"):
                m = self.pairs(engine, gateway, f"bodies of {size}", "--body-bytes", size)
                added = m["through_p50"] - m["direct_p50"]
                rows += [row("bodies", f"{size}: direct p50", m["direct_p50"], "us"),
                         # A direct call is one passage through a socket and the engine's reading
                         # of it: what the gateway adds shall be no more than that.
                         row("bodies", f"{size}: added p50", added, "us",
                             max(m["direct_p50"], 30)),
                         row("bodies", f"{size}: gateway CPU a request", m["cpu_us"], "us")]
        return rows

    # ---- streams ----------------------------------------------------------------------------

    def streamed(self, server, options, seconds):
        """Streams through a server: its load's figures, with CPU and memory of their steady part."""
        memory = server.rss_kib()
        samples = []
        ended = threading.Event()

        def watch():
            while not ended.wait(0.5):
                samples.append((time.monotonic(), server.rss_kib(), server.cpu_us()))

        watcher = threading.Thread(target=watch)
        watcher.start()
        began = time.monotonic()
        try:
            # Streams are longer than the run: none ends in it, which is no failure here.
            figures = self.load(server.url, LOAD_CORE, *options, seconds=seconds, warmup="4s",
                                good=(0, 1))
        finally:
            ended.set()
            watcher.join()
        # CPU over the steady time only: the connections have been made, none has ended.
        steady = [s for s in samples if began + 4.5 < s[0] < began + 4 + seconds - 0.5]
        passed = steady[-1][0] - steady[0][0]
        cpu = steady[-1][2] - steady[0][2]
        figures["busy"] = cpu / passed / 1e6
        figures["cpu_us_an_event"] = cpu / max(figures["events_per_second"] * passed, 1)
        figures["kib_grown"] = max(s[1] for s in samples) - memory
        return figures

    def streams(self):
        count = 500 if self.quick else 2000
        seconds = max(self.seconds, 6)
        tokens = str(int(30 * (seconds + 20)))
        options = ("--stream", "--unique", "--connections", str(count))
        rows, figures = [], {}
        with self.start_engine(LOAD_CORE, *PACED, "--tokens", tokens) as engine:
            say(f"streams: {count}, direct")
            figures["direct"] = self.load(engine.url, LOAD_CORE, *options, seconds=seconds,
                                          warmup="4s", good=(0, 1))
            time.sleep(1)  # until the engine has let go of them
            say(f"streams: {count}, through the raw relay")
            with self.start_relay(engine.port) as relay:
                figures["raw relay"] = self.streamed(relay, options, seconds)
            time.sleep(1)
            say(f"streams: {count}, through the gateway")
            with self.start_penstock(engine.port, "off") as gateway:
                figures["through"] = self.streamed(gateway, options, seconds)
        self.raw["streams"] = figures
        for name in ("direct", "raw relay", "through"):
            gap = figures[name]["gap_us"]
            rows += [row("streams", f"{name}: events/s", figures[name]["events_per_second"], "/s"),
                     row("streams", f"{name}: gap p99", gap["p99"] / 1000, "ms"),
                     row("streams", f"{name}: gap max", gap["max"] / 1000, "ms")]
        through, floor = figures["through"], figures["raw relay"]
        added = (through["gap_us"]["max"] - figures["direct"]["gap_us"]["max"]) / 1000
        failed = through["failed"]
        return rows + [
            row("streams", f"{count} streams: greatest gap added", added, "ms", 100,
                note=f"{failed} failed" if failed else ""),
            row("streams", "gateway CPU a relayed event", through["cpu_us_an_event"], "us", 6,
                note=f"its core {through['busy']:.0%} busy"),
            row("streams", "raw relay: CPU a relayed event", floor["cpu_us_an_event"], "us",
                note=f"its core {floor['busy']:.0%} busy"),
            row("streams", "CPU a relayed event to the raw relay's",
                through["cpu_us_an_event"] / floor["cpu_us_an_event"], "x"),
            row("streams", "gateway memory a stream", through["kib_grown"] / count, "KiB", 20)]

    # ---- idle connections, start --------------------------------------------------------------

    def idle(self):
        # The gateway takes half of the open files for connections, less those that it needs for itself.
        wanted = min(1000 if self.quick else 10_000, allow_files() // 2 - 500)
        held = []
        with self.start_engine(LOAD_CORE, *INSTANT) as engine, \
                self.start_penstock(engine.port, "off") as gateway:
            at_start = gateway.rss_kib()
            say(f"idle: {wanted} connections")
            try:
                for _ in range(wanted):
                    held.append(socket.create_connection(("127.0.0.1", gateway.port), 10))
                # Each has asked once: an idle connection is one that was used.
                for connection in held:
                    connection.sendall(b"GET /livez HTTP/1.1\r\nhost: bench\r\n\r\n")
                    if not connection.recv(4096).startswith(b"HTTP/1.1 200"):
                        raise Failure("idle: /livez did not answer 200")
                time.sleep(1)
                memory = gateway.rss_kib()
            finally:
                for connection in held:
                    connection.close()
        self.raw["idle"] = {"connections": wanted, "rss_kib": memory, "at_start_kib": at_start}
        return [row("idle", "gateway memory before", at_start / 1024, "MiB"),
                row("idle", f"gateway memory with {wanted:,} idle connections", memory / 1024,
                    "MiB", 60)]

    def start(self):
        times = []
        with self.start_engine(LOAD_CORE, *INSTANT) as engine:
            for _ in range(3 if self.quick else 10):
                with self.start_penstock(engine.port, "safe") as gateway:
                    times.append(gateway.ready_after * 1000)
        self.raw["start"] = {"ms": times}
        say("start: done")
        return [row("start", "from exec to /readyz", statistics.median(times), "ms", 100,
                    note=f"worst of {len(times)}: {max(times):.0f} ms")]
