"""39: the clock is set forward and back by an hour: timers monotonic, TTLs and limits sane.

What waits and what is limited goes by a clock that nobody sets; what is written down goes by the one
that shows the time. libfaketime puts another one before the program, and moves it while it runs.
"""

import pathlib
import time

from drills.drill import Drill
from harness.keys import bearer, make_key
from harness.penstock import SANITIZED, Gateway, answering, polite

LIBRARY = next(iter(sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
HOUR = 3600


class TheDrill(Drill):
    def settings(self):
        self.store = f"sqlite:{self.folder}/penstock.db"
        return {**self.engine_behind(answering(polite)), "auth": {"mode": "keys"},
                "cache": {"answers": "all", "ttl": {"default": "1h", "jitter": "0%"}}}

    def start(self, config):
        if LIBRARY is None:
            raise AssertionError("libfaketime is not there: apt-get install faketime")
        self.clock = self.folder / "clock"
        self.set_clock(0)
        env = {"LD_PRELOAD": str(LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(self.clock),
               "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1"}
        if SANITIZED:
            env["ASAN_OPTIONS"] = "verify_asan_link_order=0:detect_leaks=0"
        gateway = Gateway(config, self.folder, env=env)
        self.limited, _ = make_key(self.store, "acme", "--requests", "20/h")
        self.free, _ = make_key(self.store, "acme")
        self.bystanders.key = self.free
        return gateway

    def set_clock(self, seconds):
        self.clock.write_text(f"{seconds:+d}s\n")

    def rehearse(self):
        """A limit that is used up in the first run would be so in the second."""
        self.many(50, lambda i: self.ask(f"rehearsal {i}", headers=bearer(self.free)))
        self.date()

    def fault(self):
        figures = self.figures

        def use(count):
            return [self.ask("limited", headers=bearer(self.limited)).status for _ in range(count)].count(200)
        asked, kept = use(10), self.ask("kept", headers=bearer(self.free)).cache
        figures.equal("of the limit's 20 an hour, used", asked, 10)
        figures.equal("the question to be kept", kept, "miss")
        for name, seconds in (("an hour forward", HOUR), ("an hour back", -HOUR)):
            self.set_clock(seconds)
            date = self.date()
            figures.between(f"{name}: the clock that the program shows", date, seconds - 5, seconds + 5, "s")
            figures.equal(f"{name}: what is kept", self.ask("kept", headers=bearer(self.free)).cache, "hit")
            figures.equal(f"{name}: let through by the limit", use(5), 5)
            answer, took = self.timed(lambda: self.ask("patient", headers={**bearer(self.free),
                                                                           "x-request-timeout-ms": "5000"}))
            figures.equal(f"{name}: a question with 5 s of time", answer.status, 200)
            figures.at_most(f"{name}: its time", took, 2.0, "s")
        figures.equal("of the limit's 20, let through when all are used", use(5), 0)
        self.set_clock(0)

    def date(self):
        """The program's clock, as an offset to the machine's: of its newest log line."""
        before = len(self.gateway.output)
        self.ask("what time is it", headers=bearer("pk_nobody"))
        shown = self.gateway.wait_for(r'"time":"([^".]*)[^"]*","level":"\w+","message":"request"[^\n]*"status":401',
                                      after=before).group(1)
        return time.mktime(time.strptime(shown + " UTC", "%Y-%m-%dT%H:%M:%S %Z")) - time.timezone - time.time()
