"""38: a memory limit and large bodies: sheds, not killed.

P11: memory is bounded by configuration. Many clients send bodies that together are several times what
the program may take: some are turned away with a 503, the others are answered, and the limit holds.
"""

import collections
import json
import threading

from drills.drill import Drill
from harness.penstock import SANITIZED, answering, polite, wait_until

MIB = 2 ** 20


class TheDrill(Drill):
    def settings(self):
        self.limit = 2000 if SANITIZED else self.pick(400, 128)  # MiB
        self.size = self.pick(24, 8) * MIB
        return {**self.engine_behind(answering(polite)), "memory": {"limit": f"{self.limit}MiB"},
                "cache": {"answers": "all", "memory": {"size": "64MiB"}}}

    def rehearse(self):
        self.flood(4)

    def fault(self):
        self.flood(self.limit * 3 * MIB // self.size)

    def flood(self, clients):
        figures, size = self.figures, self.size
        ends, lock = collections.Counter(), threading.Lock()
        body = json.dumps(self.question("x" * size)).encode()
        self.watch.forget()

        def client(number):
            with self.wire() as wire:
                head = (f"POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
                        f"x-number: {number}\r\nContent-Length: {len(body)}\r\n\r\n").encode()
                self.count_sent()
                end = "cut"
                try:
                    wire.send(head)
                    for at in range(0, len(body), MIB):
                        wire.send(body[at:at + MIB])
                except OSError:
                    pass
                try:
                    end = wire.answer().status
                except (OSError, AssertionError, ValueError):
                    pass
                with lock:
                    ends[end] += 1
        self.many(clients, client)
        figures.note(f"{clients} bodies of {size // MIB} MiB against {self.limit} MiB", str(dict(ends)))
        figures.at_least("answered", ends[200], 1)
        figures.at_least("turned away", ends[503] + ends["cut"], 1)
        figures.equal("other ends", clients - ends[200] - ends[503] - ends["cut"], 0)
        figures.at_most("the most memory", self.watch.most_memory(), self.limit * MIB, "B")
        wait_until(lambda: self.ask("afterwards").status == 200, "questions are answered again", 10)
