"""7: every connection to an engine is reset in the middle of its stream: error event, no [DONE], not cached.

P3: a truncated stream never looks complete and is never cached.
"""

import json
import threading

from drills.drill import CANARY, Drill, wait_until
from harness.penstock import STREAM_HEAD, chunk, delta

CHUNKS = 5


def holds(call):
    call.request()
    call.send(STREAM_HEAD + b"".join(chunk(delta(f"word{i} {CANARY} ")) for i in range(CHUNKS)))
    call.gone()


class TheDrill(Drill):
    def settings(self):
        self.ill = self.engine(holds)
        self.link = self.proxy(self.ill.port)
        return self.behind(self.link)

    def stream(self, text, begun):
        with self.wire() as wire:
            wire.post(self.question(text, stream=True))
            wire.until(b"word4")
            begun.release()
            return wire.until(b"\r\n0\r\n\r\n")

    def fault(self):
        figures, count = self.figures, self.pick(200, 10)
        for times in (1, 2):
            begun = threading.Semaphore(0)
            reset = threading.Thread(target=lambda: ([begun.acquire(timeout=20) for _ in range(count)],
                                                     self.link.reset()))
            reset.start()
            rests = self.many(count, lambda i: self.stream(f"question {i}", begun))
            reset.join()
            wait_until(lambda: self.link.open == 0, "all of them are reset")
            last = [rest.split(b"data: ")[-1].split(b"\n\n")[0] for rest in rests]
            figures.equal("streams with an error event at their end", sum("error" in json.loads(e) for e in last), count)
            figures.equal("streams with [DONE]", sum(b"data: [DONE]" in rest for rest in rests), 0)
            figures.equal("calls to the engine: none retried, none kept", len(self.ill.calls), times * count)
        figures.equal("calls counted as broken", self.outcomes("protocol_error"), 2 * count)
