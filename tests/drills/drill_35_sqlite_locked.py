"""35: SQLite is locked by another program, and another reads for long: retried; WAL at most 64 MiB.

A program that holds the database's lock keeps nobody waiting but the ledger, which tries again. One that
holds a transaction open for reading keeps the log from being emptied: it grows up to its bound, and what
comes after waits in the spool. Nothing is lost either way.
"""

import contextlib
import sqlite3
import time

from drills.drill import wait_until
from drills.stores import StoreDrill

MOST = 64 * 2 ** 20


class TheDrill(StoreDrill):
    def store(self):
        self.file = self.folder / "penstock.db"
        # With the texts of questions a few rows are a long log.
        return {"url": f"sqlite:{self.file}", "usage": {"record_text": "full"}}

    def rehearse(self):
        """Batches with many texts take memory that the allocator keeps: that is no growth of the fault."""
        super().rehearse()
        if not self.quick:
            self.read_on()

    def fault(self):
        self.lock()
        self.read_on()
        figures = self.figures
        figures.equal("rows that were dropped", self.counted("penstock_usage_records_total", result="dropped"), 0)
        self.landing(within=15.0)

    def lock(self):
        """Longer, in the full form, than the gateway waits for a lock at once."""
        figures, held = self.figures, self.pick(15.0, 1.0)
        fresh = self.new_key()
        with contextlib.closing(self.another()) as other:
            other.execute("BEGIN IMMEDIATE")
            written, begun = self.written(), time.monotonic()
            with self.load() as load:
                status = self.ask_with_key("unknown", fresh).status
                load.go_on(held, 20)
            figures.equal("locked: rows written", self.written() - written, 0)
            other.execute("ROLLBACK")
        figures.note("locked for", f"{time.monotonic() - begun:.1f} s")
        figures.at_least("locked: requests with a known key", load.count, 20)
        figures.equal("locked: of them failed", load.failed, 0)
        figures.equal("locked: an unknown key, which is only read", status, 200)
        figures.at_most("until they are in the database, when it is free", self.landed(), 10.0, "s")

    def read_on(self):
        figures = self.figures
        with contextlib.closing(self.another()) as other:
            other.execute("BEGIN")
            other.execute("SELECT count(*) FROM usage").fetchone()  # from here on it holds what it sees
            size, count = self.pick((64 * 1024, 1400), (1024, 50))
            before, most = self.file.stat().st_size, 0
            with self.load(size=size) as load:
                end = time.monotonic() + 180
                while load.count < count and time.monotonic() < end:
                    most = max(most, self.log())
                    time.sleep(0.02)
            most = max(most, self.log())
            figures.at_least("read for long: requests with a known key", load.count, count)
            figures.equal("of them failed", load.failed, 0)
            figures.at_most("the most that the log had", most, MOST, "B")
            figures.note("rows that wait in the spool", str(self.metric("penstock_usage_queue_records")))
            other.execute("ROLLBACK")
        figures.at_most("until all is in the database, when nobody reads", self.landed(90.0), self.pick(60.0, 10.0), "s")
        if not self.quick:
            wait_until(lambda: self.log() < 16 * 2 ** 20, "the log is emptied")
            figures.at_least("by what the database grew, all of it through the log", self.file.stat().st_size - before,
                             MOST, "B")

    def another(self):
        """Another program: this one."""
        return sqlite3.connect(self.file, timeout=10, isolation_level=None)

    def log(self):
        with contextlib.suppress(FileNotFoundError):
            return self.file.with_name(self.file.name + "-wal").stat().st_size
        return 0

    def written(self):
        return self.metric("penstock_usage_records_total", result="written")

    def rows(self, statement):
        with contextlib.closing(self.another()) as database:
            return database.execute(statement).fetchone()[0]
