"""36: the gateway is killed (kill -9) under load: replay without duplicates.

P9: usage is counted exactly once. Every answer that a client has is in the ledger after the next start,
none twice; of what was under way at the kill, which no client has, each may be there or not.
"""

import contextlib
import http.client
import json
import random
import threading

from drills import ledger
from drills.drill import Drill
from harness.penstock import Gateway, question, wait_until

CLIENTS = 8


class TheDrill(Drill):
    def settings(self):
        return self.engine_behind(None)

    def rehearse(self):
        """A gateway of its own is killed: nothing of it stays in the one that is looked at."""
        self.many(20, lambda i: self.ask(f"rehearsal {i}"))

    def fault(self):
        figures = self.figures
        folder = self.folder / "killed"
        folder.mkdir()
        config = {**self.gateway_config, "logging": {"access": "none"}}
        kills = self.pick(20, 3)
        answered = begun = 0
        for _ in range(kills):
            gateway = Gateway(config, folder)
            self._exit.callback(gateway.kill)
            counts = self.load(gateway, random.uniform(0.3, 0.8))
            answered += counts["answered"]
            begun += counts["begun"]
        # Twice: what the first start has replayed is not replayed again.
        for _ in range(2):
            last = Gateway(config, folder)
            self._exit.callback(last.kill)
            with contextlib.suppress(AssertionError):
                wait_until(lambda: ledger.questions(folder / "penstock.db") >= answered, "replayed")
            last.signal(15)
            figures.equal("exit code of the gateway that replays", last.wait(), 0)
        counted = ledger.questions(folder / "penstock.db")
        lost, more = max(0, answered - counted), max(0, counted - begun)
        figures.note(f"{kills} kills: answers that clients have, of {begun} questions", str(answered))
        figures.equal("of them not in the ledger", lost, 0)
        figures.equal("requests in the ledger that nobody sent", more, 0)
        figures.at_most("in the ledger without an answer that a client has", counted - answered,
                        kills * CLIENTS)

    def load(self, gateway, seconds):
        """Asks, with hits and misses and streams, until the gateway is killed under it."""
        counts, lock = {"answered": 0, "begun": 0}, threading.Lock()
        stop = threading.Event()

        def client(number):
            connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
            i = 0
            while not stop.is_set():
                i += 1
                text = f"{number} {i}" if i % 3 else "the same"
                body = json.dumps(question(text, stream=i % 4 == 0))
                with lock:
                    counts["begun"] += 1
                try:
                    connection.request("POST", "/v1/chat/completions", body=body,
                                       headers={"content-type": "application/json"})
                    answer = connection.getresponse()
                    whole = answer.read()
                    good = answer.status == 200 and (i % 4 or b"[DONE]" in whole)
                except (OSError, http.client.HTTPException):
                    return
                if good:
                    with lock:
                        counts["answered"] += 1
        clients = [threading.Thread(target=client, args=(n,), daemon=True) for n in range(CLIENTS)]
        for one in clients:
            one.start()
        stop.wait(seconds)
        gateway.process.kill()
        for one in clients:
            one.join()
        gateway.kill()
        return counts
