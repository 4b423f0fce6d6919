"""What every drill has in common, so that a script holds its fault and its own line alone.

    class TheDrill(Drill):
        '''6: an engine stalls in the middle of a stream: error event at between_tokens.'''

        def settings(self):            # before the gateway starts: engines, time-outs
            return self.engine_behind("m", script, timeout={"between_tokens": "2s"})

        def fault(self):               # under load; everything is measured around it
            answers = self.many(self.pick(50, 5), lambda i: self.ask(f"question {i}", stream=True))
            self.figures.equal("streams with [DONE]", sum(...), 0)

`fault` runs once before as a rehearsal, so that memory is compared between equals: engines begin anew
between the two (`calls`), `counted` counts from the second's begin, and questions that go through
`ask` and `question` differ in `turn`, so that the cache knows nothing of the first.

Around the fault, in every drill, without a word of its own:

    good clients ask throughout, get exactly their own answers, and are not stalled; where P12 says
    so, their p99 is less than twice what it was
    each request that was sent is counted once; nothing stays under way
    memory of its own and file descriptors are back within 5 %
    the program lives, ends with 0 when asked to; a sanitizer has nothing to say
    neither a key, nor a question's nor an answer's text is in logs, metrics or the admin API

The quick form takes a second or two for `./dev test`; the full form has the real limits and numbers.
"""

import contextlib
import pathlib
import signal
import tempfile
import threading
import time
import traceback

from drills import ledger
from drills.figures import Figures
from drills.looks import Watch, broken_off
from drills.plan import PROMISES
from harness.bystanders import MODEL, Bystanders
from harness.fault_proxy import FaultProxy
from harness.penstock import (BASE, CANARY, KEY, LIMIT, REPORTS, SANITIZED, TOKEN, Engine, Gateway, Wire,
                              answering, merged, polite, question, wait_until)

# A page here and there is not a leak: malloc keeps up to 1 MiB for good (observe/process.cc), and 5 %
# of a program of 12 MiB is less than that.
MEMORY_SLACK = 1024 * 1024
# SQLite keeps the pages of the rows that it has written, up to a bound (store/sqlite_file.cc): measured.
ROW = 420
DATABASE_PAGES = 16 * 1024 * 1024
# Where a secret could come out, beside the log.
PAGES = ("/metrics", "/health", "/admin/v1/status", "/admin/v1/settings", "/admin/v1/models",
         "/admin/v1/cache", "/admin/v1/openapi.json")
# Below this, a p99 is this machine's scheduler and not the gateway.
NOISE = 0.05
# What nobody calls a stall, on a machine that is busy with the script itself.
STALL = 0.5


class DrillWire(Wire):
    """A raw connection whose questions are counted; what `send` sends, its script counts in `drill.sent`."""

    def __init__(self, drill, **options):
        self.drill = drill
        super().__init__(drill.gateway.port, **options)

    def post(self, body, **options):
        self.drill.count_sent()
        return super().post(body, **options)


class Drill:
    """A fault; subclasses say which. `run` is not to be overridden, or the general checks are lost."""

    bystanders_pace = 100.0  # questions a second
    keeps_ledger = True      # False: the drill looks at the ledger itself
    gateway_ends = False     # True: the fault ends the gateway, with code 0
    patience = 10.0          # seconds in which things must be as they were before

    def __init__(self, number, quick):
        self.number = number
        self.quick = quick
        self.figures = Figures()
        self.sent = 0
        self.turn = 0
        self._engines = []
        self._before = {}
        self._lock = threading.Lock()
        self._exit = contextlib.ExitStack()

    # ---- what a script says

    def settings(self):
        """Settings over the base: usually of `engine_behind`."""
        raise NotImplementedError

    def fault(self):
        """Breaks something and adds figures. Runs twice: what the first run needed for good (buffers,
        the allocator's heaps) is no growth, what the second one needs again is."""
        raise NotImplementedError

    def rehearse(self):
        """The first run; nothing of it is judged. Overridden where less is enough, or twice too much."""
        self.fault()

    # ---- what a script may use

    def pick(self, full, quick):
        return quick if self.quick else full

    @property
    def soon(self):
        """What is promised within 100 ms; a sanitizer makes everything several times as slow."""
        return 1.0 if SANITIZED else 0.1

    def engine(self, script=None):
        """An engine that follows a script; ends with the drill."""
        engine = Engine(script or answering(polite))
        self._engines.append(engine)
        self._exit.callback(engine.close)
        self._exit.callback(lambda: engine.errors and self.figures.equal("errors of the script", engine.errors, []))
        return engine

    def proxy(self, port):
        """A fault proxy in front of a port; ends with the drill."""
        proxy = FaultProxy(port)
        self._exit.callback(proxy.close)
        return proxy

    def behind(self, engine, model="m", **more):
        """Settings with this engine, or proxy, behind a model."""
        return {"engines": [merged({"name": model, "kind": "openai", "url": engine.url, "api_key": KEY,
                                    "health": "off",
                                    "connections": {"idle": "200ms"}}, more)],
                "models": [{"name": model, "engines": [model]}]}

    def engine_behind(self, script, **more):
        """The same with an engine of this script, as `self.ill`."""
        self.ill = self.engine(script)
        return self.behind(self.ill, **more)

    def count_sent(self, count=1):
        with self._lock:
            self.sent += count

    def question(self, text="Hello?", model="m", **more):
        return question(f"turn {self.turn}: {text}", model, **more)

    def ask(self, text="Hello?", headers=None, **more):
        self.count_sent()
        text = f"turn {self.turn}: {text}"
        return self.gateway.ask(text, headers={"authorization": f"Bearer {TOKEN}", **(headers or {})}, **more)

    def wire(self, **options):
        return DrillWire(self, **options)

    def many(self, count, function):
        """`function(i)` for each i at the same time; the results in order."""
        results, errors = [None] * count, []

        def one(i):
            try:
                results[i] = function(i)
            except Exception as error:  # pylint: disable=broad-except
                errors.append(error)
        threads = [threading.Thread(target=one, args=(i,), daemon=True) for i in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return results

    def timed(self, function):
        """(what it returns, seconds)"""
        begin = time.monotonic()
        result = function()
        return result, time.monotonic() - begin

    def metric(self, name, **labels):
        """The sum of the series that have these labels, now."""
        return int(self.gateway.metric(name, **labels) or 0)

    def added_memory(self, what, before, each, bound):
        """A figure: the most since `before`, shared among `each`."""
        if SANITIZED:
            self.figures.note(what, "a sanitizer keeps freed memory on purpose")
        else:
            self.figures.at_most(what, max(0, self.watch.most_memory() - before) // each, bound, "B")

    def counted(self, name, **labels):
        """By how much that has grown since the fault began."""
        before = sum(value for (known, have), value in self._before.items()
                     if known == name and labels.items() <= dict(have).items())
        return self.metric(name, **labels) - int(before)

    def outcomes(self, outcome, model="m"):
        """Calls of the engine behind this model that ended so."""
        return self.counted("penstock_engine_requests_total", engine=model, outcome=outcome)

    def questions_in_ledger(self):
        """How many requests the ledger has once the gateway has ended; None: there is none. A script
        whose database is another one says here what that has."""
        file = self.folder / "penstock.db"
        return ledger.questions(file) if file.exists() else None

    # ---- what happens in every drill

    def run(self):
        """The figures."""
        with self._exit:
            try:
                self._prepare()
                self._measure()
                self._end()
            except Exception:  # pylint: disable=broad-except
                output = self.gateway.output[-2000:] if hasattr(self, "gateway") else ""
                self.figures.add("the script", "broke", f"{traceback.format_exc()}\n{output}", False)
        return self.figures

    def start(self, config):
        """The gateway under test."""
        return Gateway(config, self.folder)

    def config(self):
        mine = self.settings()
        base = merged(BASE, {"logging": {"access": "all", "level": "debug"}, "cache": {"answers": "all"}})
        good = self.behind(self.good, MODEL)
        return merged(base, {**mine, "engines": mine["engines"] + good["engines"],
                             "models": mine["models"] + good["models"]})

    def _prepare(self):
        self.folder = pathlib.Path(self._exit.enter_context(tempfile.TemporaryDirectory(prefix="penstock-")))
        self.bystanders = Bystanders(CANARY)
        self._exit.callback(self.bystanders.close)
        self.good = type("Good", (), {"url": f"http://127.0.0.1:{self.bystanders.engine_port}/v1"})
        self.gateway_config = self.config()
        self.gateway = self.start(self.gateway_config)
        self._exit.callback(self.gateway.kill)
        self.watch = Watch(self.gateway.process.pid)
        self._exit.callback(self.watch.close)

    def _rehearse(self):
        self.bystanders.go(self.gateway.port, rate=self.bystanders_pace, window="rehearsal")
        figures, self.figures = self.figures, Figures()
        self.rehearse()
        self.figures = figures
        self.count_sent(self.bystanders.rest()["sent"])
        self._all_done()
        for engine in self._engines:
            engine.requests.clear()
        self.turn += 1

    def _measure(self):
        if not self.gateway_ends:
            self._rehearse()
        descriptors, memory = self._rested(self.watch.descriptors), self._rested(self.watch.own_memory)
        self.watch.forget()
        self._before = self.gateway.metrics()

        self.bystanders.go(self.gateway.port, rate=self.bystanders_pace)
        time.sleep(self.pick(3.0, 0.4))  # likewise: the latencies without the fault
        self.bystanders.window("fault")
        begun = time.monotonic()
        try:
            self.fault()
            time.sleep(max(0.0, begun + 0.3 - time.monotonic()))  # the others must have asked meanwhile
        finally:
            report = self.bystanders.rest()
        self.count_sent(report["sent"])
        self._look_at_bystanders(report)
        if self.gateway_ends:
            self.figures.note("counts, memory, file descriptors afterwards", "the gateway has ended")
            return
        self._look_at_counts()
        self._look_at_resources(descriptors, memory)

    def _rested(self, value):
        """A value once it no longer changes: connections that are not used are closed after a while."""
        last = [value(), time.monotonic()]

        def settled():
            now = value()
            if now != last[0]:
                last[:] = [now, time.monotonic()]
            return time.monotonic() - last[1] > 0.3
        with contextlib.suppress(AssertionError):  # memory may waver for ever, a little
            wait_until(settled, "it rests", limit=3)
        return value()

    def _look_at_bystanders(self, report):
        figures = self.figures
        figures.equal("good clients: questions without exactly their answer", len(report["failures"]), 0)
        for failure in report["failures"][:3]:
            figures.note("good clients: for example", failure)
        before, during, direct = map(report["windows"].get, ("before", "fault", "fault, direct"))
        if not before or not during or not direct:
            figures.equal("good clients: answered before and during the fault", bool(before and during), True)
            return
        # The quick form runs beside other tests, on any machine, and most full ones take the machine's
        # time themselves: there it looks for stalls only.
        promised = str(self.number) in PROMISES["P12"][1].split() and not self.quick
        bound = max(2 * before["p99"], (NOISE if promised else STALL) * (5 if SANITIZED else 1)) + direct["p99"]
        figures.at_most(f"good clients: p99 of {during['count']}, before {before['p99'] * 1000:.0f} ms, "
                        f"past the gateway {direct['p99'] * 1000:.0f} ms", during["p99"], bound, "s")

    def _all_done(self):
        with contextlib.suppress(AssertionError):
            wait_until(lambda: self.metric("penstock_http_requests_total") >= self.sent, "all are counted", self.patience)
            wait_until(lambda: self.metric("penstock_engine_in_flight") == 0, "no call goes on",
                       self.patience)

    def _look_at_counts(self):
        self._all_done()
        figures = self.figures
        figures.equal("requests counted, of those sent", self.metric("penstock_http_requests_total"), self.sent)
        figures.equal("requests under way afterwards", self.metric("penstock_http_requests_in_flight"), 0)
        figures.equal("engine calls under way afterwards", self.metric("penstock_engine_in_flight"), 0)

    def _look_at_resources(self, descriptors, memory):
        allowed = descriptors * 105 // 100
        with contextlib.suppress(AssertionError):
            wait_until(lambda: self.watch.descriptors() <= allowed, "descriptors are closed", self.patience)
        self.figures.at_most(f"file descriptors afterwards, before {descriptors}, most {self.watch.most_descriptors}",
                             self.watch.descriptors(), allowed)
        if SANITIZED:
            self.figures.note("memory afterwards", "a sanitizer keeps freed memory on purpose")
            return
        kept = self.counted("penstock_cache_used_bytes")  # answers of the fault that may be kept: no leak
        pages = min(ROW * self.counted("penstock_engine_requests_total"), DATABASE_PAGES)
        allowed = memory + max(memory // 20, MEMORY_SLACK) + max(0, kept) + pages
        with contextlib.suppress(AssertionError):
            wait_until(lambda: self.watch.own_memory() <= allowed, "memory is given back", self.patience)
        self.figures.at_most(f"memory afterwards, before {memory / 2**20:.1f} MiB, {kept / 2**20:.1f} MiB in the cache, "
                             f"most {self.watch.most_memory() / 2**20:.1f} MiB", self.watch.own_memory(), allowed, "B")

    def _end(self):
        self.figures.equal("the program lives", self.gateway.running(), not self.gateway_ends)
        seen = ""
        if self.gateway.running():
            answers = {page: self.gateway.admin(page) for page in PAGES}
            self.figures.equal("the admin listener's pages that answer",
                               sum(answer.status == 200 for answer in answers.values()), len(PAGES))
            seen = "".join(answer.body.decode("utf-8", "replace") for answer in answers.values())
            counted = self.metric("penstock_http_requests_total") - self._unbilled()
            self.gateway.signal(signal.SIGTERM)
        self.figures.equal("its exit code", self.gateway.wait(LIMIT), 0)
        if seen:
            self._look_at_ledger(counted)
        report = REPORTS.search(self.gateway.output)
        self.figures.equal("sanitizers and assertions", report.group(0) if report else "silent", "silent")
        at = max(self.gateway.output.find(CANARY), seen.find(CANARY))
        self.figures.equal("secrets and texts in logs, metrics, admin API", "none" if at < 0 else
                           (self.gateway.output + seen)[max(0, at - 200):at + 50], "none")


    def _unbilled(self):
        """What a browser asks beforehand is no question."""
        return self.metric("penstock_http_requests_total", method="OPTIONS")

    def _look_at_ledger(self, counted):
        questions = self.questions_in_ledger() if self.keeps_ledger else None
        if questions is not None:
            self.figures.equal("requests in the ledger, of those counted", questions, counted)


# What scripts need beside it.
__all__ = ["CANARY", "Drill", "broken_off", "wait_until"]
