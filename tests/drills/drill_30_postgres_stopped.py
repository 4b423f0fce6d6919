"""30: PostgreSQL is stopped (SIGSTOP): the data path is unaffected.

P8: the database lost: known keys go on. Its connections are open and say nothing: nobody with a known
key notices; an unknown key is refused soon, as what can be tried again, and works once the server goes on.
"""

import time

from drills.drill import wait_until
from drills.stores import PostgresDrill, p99
from harness.postgres import Postgres

REFUSED_WITHIN = 3.0


class TheDrill(PostgresDrill):
    def store(self):
        self.postgres = self.server(Postgres())
        return {"url": self.postgres.url()}

    def fault(self):
        figures = self.figures
        unknown = [self.new_key() for _ in range(self.pick(20, 3))]
        with self.load() as before:
            before.go_on(self.pick(10.0, 0.7), 20)
        self.postgres.pause()
        begun = time.monotonic()
        try:
            with self.load() as during:
                answers = self.many(len(unknown), lambda i: self.timed(
                    lambda: self.ask_with_key(f"unknown {i}", unknown[i])))
                none = self.ask_with_key("no key at all", "pk_nobody")
                # Longer than the writer's patience with one batch, so that it is given twice.
                during.go_on(self.pick(40.0, 0.5), 20)
        finally:
            self.postgres.go_on()
        figures.note("stopped for", f"{time.monotonic() - begun:.1f} s")
        figures.at_least("requests with a known key meanwhile", during.count, self.pick(1000, 20))
        figures.equal("of them failed", during.failed, 0)
        figures.equal("failed before", before.failed, 0)
        figures.at_most(f"their p99, before {before.p99() * 1000:.1f} ms, past the gateway "
                        f"{p99(during.direct) * 1000:.1f} ms", during.p99(), during.bound(before), "s")
        figures.equal("unknown keys: refused with 503 keys_unavailable",
                      sum(a.status == 503 and a.error["code"] == "keys_unavailable" for a, _ in answers), len(unknown))
        figures.at_most("the slowest of these refusals", max(took for _, took in answers), REFUSED_WITHIN, "s")
        figures.equal("what is no key at all", none.status, 401)
        _, took = self.timed(lambda: wait_until(lambda: self.ask_with_key("now known", unknown[0]).status == 200,
                                                "an unknown key is found again"))
        figures.at_most("until an unknown key is found, when it goes on", took, 5.0, "s")
        statuses = [self.ask_with_key(f"now known {i}", key).status for i, key in enumerate(unknown)]
        figures.equal("all of them found then", statuses.count(200), len(unknown))
        figures.equal("rows that were dropped", self.counted("penstock_usage_records_total", result="dropped"), 0)
        self.landing(within=15.0)
