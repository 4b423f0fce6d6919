"""33: failover by pg_promote: usage is written on within 10 s, without duplicates.

P9: usage is counted exactly once. The primary is killed under load and its replica promoted; the URL
names both. Commits wait for the replica, so that what the database had said yes to is there; what it
had not said yes to is given to the new primary again.
"""

import contextlib
import time

from drills.drill import wait_until
from drills.stores import PostgresDrill
from harness.postgres import PASSWORD, Postgres, free_port

WITHIN = 10.0


class TheDrill(PostgresDrill):
    def store(self):
        self.ports = [free_port(), free_port()]
        self.postgres = self.server(Postgres(port=self.ports[0]))
        self.replicated()
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return {"url": f"postgresql://penstock:{PASSWORD}@{hosts}/gateway"}

    def replicated(self):
        """The other port gets a replica, which every commit waits for."""
        other = self.ports[self.postgres.port == self.ports[0]]
        self.replica = self.server(Postgres(self.postgres, port=other))
        self.postgres.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.postgres.sql("SELECT pg_reload_conf()")
        wait_until(lambda: self.postgres.sql("SELECT sync_state FROM pg_stat_replication") == "sync",
                   "commits wait for the replica")

    def fault(self):
        figures = self.figures
        resumed, times = [], self.pick(4, 1)
        with self.load() as load:
            for i in range(times):
                if i > 0:
                    self.replicated()
                before = load.count
                wait_until(lambda: load.count > before + 20 and self.ledger_of_mine() > 0, "rows are written")
                resumed.append(self.fail_over())
        for i, seconds in enumerate(resumed):
            figures.at_most(f"failover {i + 1}: until rows are written again, of the kill", seconds, WITHIN, "s")
        figures.at_least("requests with a known key", load.count, self.pick(1000, 30))
        figures.equal("of them failed", load.failed, 0)
        figures.equal("rows that were dropped", self.counted("penstock_usage_records_total", result="dropped"), 0)
        figures.equal("rows with the same id", self.rows(
            "SELECT count(*) - count(DISTINCT id) FROM usage"), 0)
        answer = self.ask_with_key("a new key", self.new_key())
        figures.equal("a key that is made on the new primary", answer.status, 200)
        self.landing(within=WITHIN)

    def fail_over(self):
        begun = time.monotonic()
        self.postgres.kill()
        self.replica.promote()
        self.postgres = self.replica
        have = self.ledger_of_mine()
        with contextlib.suppress(AssertionError):
            wait_until(lambda: self.ledger_of_mine() > have, "rows are written", 3 * WITHIN)
            return time.monotonic() - begun
        return float("inf")
