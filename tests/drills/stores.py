"""What drills of the database have in common: clients with keys, and a look at what has landed.

    class TheDrill(StoreDrill):
        def store(self):                 # the settings of `store`; servers are started here
            self.postgres = self.server(Postgres())
            return {"url": self.postgres.url()}

        def fault(self):
            with self.load() as load:    # clients with a known key, who ask without a pause
                ...
            self.figures.equal("failed", load.failed, 0)

Questions of the script go to the model m, those of the good clients to another: so the script can wait
for its own rows while the others go on. All of them together are compared when the gateway has ended.
"""

import threading
import time

from drills.drill import NOISE, STALL, Drill, merged, wait_until
from harness.keys import bearer
from harness.penstock import SANITIZED, Wire, answering, polite

ALL = "SELECT coalesce(sum(count), 0) FROM usage"


class Load:
    """Clients on connections of their own; each asks what nobody has asked before."""

    def __init__(self, drill, key, clients, pause, size):
        self.statuses, self.times, self.failures = [], [], []
        self.direct = []  # seconds of the same, past the gateway: what the machine and the script take
        self._drill, self._key, self._pause, self._more = drill, key, pause, "x" * size
        self._lock, self._over = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(i,), daemon=True) for i in range(clients)]
        self._threads.append(threading.Thread(target=self._past, daemon=True))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _client(self, number):
        with self._drill.wire() as wire:
            turn = 0
            while not self._over.is_set():
                turn += 1
                body = self._drill.question(f"client {number} question {turn} of {time.monotonic()} {self._more}")
                begun = time.monotonic()
                try:
                    status = wire.post(body, headers=[f"Authorization: Bearer {self._key}"]).answer().status
                except (OSError, AssertionError, ValueError) as error:
                    with self._lock:
                        self.failures.append(repr(error))
                    return
                self._drill.count_answer(status)
                with self._lock:
                    self.statuses.append(status)
                    self.times.append(time.monotonic() - begun)
                if self._pause:
                    self._over.wait(self._pause)

    def _past(self):
        with Wire(self._drill.ill.port) as wire:
            while not self._over.is_set():
                begun = time.monotonic()
                wire.post(self._drill.question("past the gateway")).answer()
                with self._lock:
                    self.direct.append(time.monotonic() - begun)
                self._over.wait(self._pause)

    @property
    def count(self):
        with self._lock:
            return len(self.statuses) + len(self.failures)

    def go_on(self, seconds, count):
        """For so long, and for so many questions where the machine is slow."""
        end = time.monotonic() + seconds
        wait_until(lambda: time.monotonic() > end and self.count >= count, f"{count} questions in {seconds} s",
                   seconds + 60)

    @property
    def failed(self):
        """How many had another end than their answer."""
        return self.count - self.statuses.count(200)

    def p99(self):
        return p99(self.times)

    def bound(self, before):
        """Of the p99 in comparison to another load's: within noise, which the others past the gateway show.
        The quick form, beside other tests, looks for stalls only."""
        noise = STALL if self._drill.quick else NOISE
        return max(1.5 * before.p99(), before.p99() + noise * (5 if SANITIZED else 1)) + p99(self.direct)


def p99(times):
    times = sorted(times)
    return times[min(len(times) - 1, len(times) * 99 // 100)] if times else float("inf")


class StoreDrill(Drill):
    """`store` says what database it is; keys are made by the admin API, as an operator makes them."""

    def store(self):
        """The settings under `store`."""
        raise NotImplementedError

    answered = 0

    def settings(self):
        return {**self.engine_behind(answering(polite)), "auth": {"mode": "keys"},
                "store": merged({"pool": {"idle": "1s"}}, self.store())}

    def start(self, config):
        gateway = self.launch(config)
        self._exit.callback(gateway.kill)  # also where its key cannot be made
        gateway.admin("/admin/v1/tenants", method="POST", body={"name": "acme"})
        self.key = self.bystanders.key = self.new_key(gateway)
        return gateway

    def launch(self, config):
        return super().start(config)

    def new_key(self, gateway=None):
        """One that the gateway has made, and does not know yet when it is shown."""
        made = (gateway or self.gateway).admin("/admin/v1/keys", method="POST", body={"tenant": "acme", "name": "test"})
        assert made.status == 201, made
        return made.json["key"]

    def server(self, server):
        """A database's server, which ends with the drill."""
        self._exit.callback(server.close)
        return server

    def load(self, clients=4, pause=0.005, size=0):
        return Load(self, self.key, clients, pause, size)

    def ask_with_key(self, text="Hello?", key=None, **more):
        answer = self.ask(text, headers=bearer(key or self.key), **more)
        self.count_answer(answer.status)
        return answer

    def count_answer(self, status):
        with self._lock:
            self.answered += status == 200

    def rehearse(self):
        """Without the fault: what it costs once is not of the gateway's making."""
        with self.load():
            time.sleep(0.3)
        self.landed()

    # ---- what has landed

    def rows(self, statement):
        """A number out of the database."""
        raise NotImplementedError

    def ledger_of_mine(self):
        """Good answers to the script's questions, as the database has them."""
        return self.rows(ALL + " WHERE model = 'm' AND status = 200")

    def landed(self, within=20.0):
        """Seconds until the database has all that the script was answered; infinite if it never has."""
        begun = time.monotonic()
        try:
            wait_until(lambda: self.ledger_of_mine() >= self.answered, "all have landed", within)
        except AssertionError:
            return float("inf")
        return time.monotonic() - begun

    def landing(self, within):
        """The figures of it, while the good clients go on."""
        within *= 3 if SANITIZED else 1
        self.figures.at_most("until all that was answered is in the database", self.landed(within), within, "s")
        self.figures.equal("the script's answers in the database, of those it got", self.ledger_of_mine(), self.answered)

    def questions_in_ledger(self):
        return self.rows(ALL)


class PostgresDrill(StoreDrill):
    """The server that has the ledger at the end is `self.postgres`."""

    def rows(self, statement):
        return int(self.postgres.sql(statement, "gateway"))
