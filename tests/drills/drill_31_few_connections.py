"""31: PostgreSQL takes five connections at most: the pool waits, and is capped.

P8: known keys go on. First the gateway's pool is told of it, and stays under it whatever it has to do;
then other programs have taken some of those that it counts on: what it cannot get it goes without.
"""

import contextlib
import subprocess
import threading
import time

from drills.drill import wait_until
from drills.stores import PostgresDrill
from harness.postgres import BIN, Postgres, as_postgres

MOST = 5
MINE = 2  # of them, for the script's own looks
HELD = 0.5  # seconds: less than anybody waits for a connection
GATEWAY = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'penstock' AND application_name <> 'other'"


class TheDrill(PostgresDrill):
    def store(self):
        self.postgres = self.server(Postgres(max_connections=MOST, superuser_reserved_connections=MINE))
        return {"url": self.postgres.url(), "pool": {"total": MOST - MINE}}

    def fault(self):
        figures = self.figures
        fresh = [self.new_key() for _ in range(self.pick(100, 40))]
        half = len(fresh) // 2
        with self.load() as load:
            wait_until(lambda: self.metric("penstock_db_pool_connections_max") == MOST - MINE, "it has its whole share")
            with self.held():
                statuses, most = self.storm(fresh[:half])
            figures.between("connections of the gateway, while its questions wait", most, 1, MOST - MINE)
            figures.equal("unknown keys found, all at once", statuses.count(200), half)
            with self.taken(MOST - MINE - 1):
                statuses, most = self.storm(fresh[half:])
                figures.equal("unknown keys found with it, at once or when asked again", statuses.count(200),
                              len(fresh) - half)
                figures.at_most("until what is answered now is in the database", self.landed_since(), 10.0, "s")
                # The keys may have been known by then, as new ones of the database; what landed was sent.
                most = max(most, self.rows(GATEWAY))
                figures.equal("connections of the gateway, of the one that is left", most, 1)
        figures.at_least("requests with a known key", load.count, 20)
        figures.equal("of them failed", load.failed, 0)
        figures.equal("rows that were dropped", self.counted("penstock_usage_records_total", result="dropped"), 0)
        self.landing(within=10.0)

    @contextlib.contextmanager
    def held(self):
        """The table of keys is locked for a while, so that whoever asks for one keeps a connection."""
        def locked():
            lock = self.psql(self.postgres.own_url(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            lock.stdin.write(b"BEGIN; LOCK TABLE api_keys;\n\\echo locked\n")
            lock.stdin.flush()
            if lock.stdout.readline() == b"locked\n":
                return lock
            lock.communicate()  # there was no place for it yet
            return None
        lock = wait_until(locked, "the table is locked")
        release = threading.Timer(HELD, lock.stdin.close)
        release.start()
        try:
            yield
        finally:
            release.join()
            lock.wait()
            lock.stdout.close()

    def storm(self, keys):
        """Unknown keys, all at once, and each again while it cannot be checked: (their ends, connections)."""
        seen, over = [], threading.Event()

        def look():
            while not over.is_set():
                seen.append(self.rows(GATEWAY))

        def one(i):
            end = time.monotonic() + 30
            while (answer := self.ask_with_key(f"unknown {i}", keys[i])).status == 503 and time.monotonic() < end:
                pass
            return answer.status
        looks = threading.Thread(target=look, daemon=True)
        looks.start()
        statuses = self.many(len(keys), one)
        over.set()
        looks.join()
        return statuses, max(seen)

    def landed_since(self):
        """Seconds until what has been answered so far is there, though the load goes on."""
        asked, begun = self.answered, time.monotonic()
        with contextlib.suppress(AssertionError):
            wait_until(lambda: self.ledger_of_mine() >= asked, "landed", 20)
            return time.monotonic() - begun
        return float("inf")

    @contextlib.contextmanager
    def taken(self, count):
        """Another program's connections, as many of those that are not reserved; the gateway's are ended for it."""
        others = []
        try:
            def have():
                while len(others) < count:
                    others.append(self.psql(self.postgres.url(options="?application_name=other"), "-c",
                                            "SELECT pg_sleep(600)"))
                for other in [o for o in others if o.poll() is not None]:  # it found no place
                    others.remove(other)
                self.rows("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                          "WHERE usename = 'penstock' AND application_name <> 'other'")
                return self.rows("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'other'") >= count
            wait_until(have, "others have taken the connections")
            yield
        finally:
            for other in others:
                other.kill()
                other.wait()

    def rows(self, statement):
        """A connection that has just ended still takes its place for a moment."""
        return wait_until(lambda: self.try_rows(statement), "the script has a connection")[0]

    def try_rows(self, statement):
        try:
            return [super().rows(statement)]
        except RuntimeError as error:
            if "too many clients" not in str(error) and "reserved" not in str(error):
                raise
            return None

    @staticmethod
    def psql(url, *more, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL):
        return subprocess.Popen([BIN / "psql", "-X", "-q", "-d", url, *more], preexec_fn=as_postgres(), cwd="/tmp",
                                stdin=stdin, stdout=stdout, stderr=subprocess.DEVNULL)
