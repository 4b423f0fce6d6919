"""69: 1000 clients ask for one answer at the moment when it expires: one engine call.

Those before the moment get the old answer, the others wait for one new one together: nothing is given
past its time here, nor fetched before it.
"""

import time

from drills.drill import Drill
from harness.penstock import completion, plain

TTL = 1.0


class TheDrill(Drill):
    def config(self):
        config = super().config()
        config["cache"] |= {"ttl": {"default": f"{int(TTL * 1000)}ms", "jitter": 0}, "early_refresh": 0,
                            "stale": {"while_revalidate": "0s", "if_error": "0s"}}
        return config

    def settings(self):
        return self.engine_behind(self.slow)

    def slow(self, call):
        while call.request():
            time.sleep(self.pick(2.0, 0.4))  # as an engine that thinks: all questions come meanwhile
            call.send(plain(completion(f"answer {len(self.ill.calls)}")))

    def connected(self):
        wires = [self.wire() for _ in range(self.pick(1000, 100))]
        for wire in wires:  # every connection is at its worker before it matters
            wire.send(b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n").answer()
        return wires

    def rehearse(self):
        wires = self.connected()
        for wire in wires:
            wire.post(self.question("What is asked by all?"))
        for wire in wires:
            wire.answer()
            wire.socket.close()

    def fault(self):
        figures, wires = self.figures, self.connected()
        body, count = self.question("What is asked by all?"), len(wires)
        first = self.ask("What is asked by all?")
        kept = time.monotonic()
        figures.equal("the first answer", (first.cache, first.text), ("miss", "answer 1"))
        around = self.pick(0.5, 0.1)  # seconds before and after the moment
        for i, wire in enumerate(wires):
            due = kept + TTL + around * (2 * i / count - 1)
            time.sleep(max(0.0, due - time.monotonic()))
            wire.post(body)
        sent = time.monotonic()
        answers = [wire.answer() for wire in wires]
        for wire in wires:
            wire.socket.close()
        took = sent - kept - TTL
        figures.between("the last question came, after the expiry", took, 0.0, self.pick(2.0, 0.4), "s")
        figures.equal("answers with 200", sum(a.status == 200 for a in answers), count)
        old, new = (sum(a.text == text for a in answers) for text in ("answer 1", "answer 2"))
        figures.equal("the old answer and the new one, together", old + new, count)
        figures.at_least("clients that waited together for the new one", new, 2)
        figures.equal("engine calls, with the first", len(self.ill.calls), 2)
