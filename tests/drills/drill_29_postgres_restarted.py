"""29: PostgreSQL is restarted at once (`-m immediate`) under load: keys go on; all usage lands.

P8: the database lost: known keys go on. P9: usage is counted exactly once: what was under way when the
server ended is given to it again, and counted by its id.
"""

import time

from drills.drill import wait_until
from drills.stores import PostgresDrill
from harness.postgres import Postgres


class TheDrill(PostgresDrill):
    def store(self):
        self.postgres = self.server(Postgres())
        return {"url": self.postgres.url()}

    def fault(self):
        figures = self.figures
        restarts = self.pick(10, 1)
        away = 0.0
        with self.load() as load:
            for _ in range(restarts):
                before = load.count
                self.postgres.stop()
                begun = time.monotonic()
                # Some are recorded while nobody is there to take them.
                wait_until(lambda: load.count >= before + self.pick(200, 20), "asked without a database")
                self.postgres.start()
                away += time.monotonic() - begun
                wait_until(self.moved_on, "the database takes rows again")
        figures.note(f"{restarts} restarts, the database away for", f"{away:.1f} s")
        figures.at_least("requests with a known key", load.count, self.pick(2000, 20))
        figures.equal("of them failed", load.failed, 0)
        figures.equal("rows that were dropped", self.counted("penstock_usage_records_total", result="dropped"), 0)
        self.landing(within=10.0)

    def moved_on(self):
        """Whether a row came to the database since the last look."""
        now, before = self.ledger_of_mine(), getattr(self, "seen", None)
        self.seen = now
        return before is not None and now > before
