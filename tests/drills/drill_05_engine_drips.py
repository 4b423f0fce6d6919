"""5: an engine drips a byte every 10 s: cut at the total time-out, others unaffected.

Each byte comes within between_tokens, so that only the time for the whole answer ends it. P12: one
bad engine slows the others' p99 by less than twice.
"""

import json
import time

from drills.drill import Drill, broken_off
from harness.penstock import LAST_CHUNK, STREAM_HEAD, chunk, delta


class TheDrill(Drill):
    def settings(self):
        self.every, self.total = self.pick((10.0, 15.0), (0.1, 0.6))
        return self.engine_behind(self.drips, timeout={
            "first_token": "60s", "between_tokens": "60s", "total": f"{int(self.total * 1000)}ms"})

    def drips(self, call):
        request = call.request()
        if request.json.get("stream"):
            call.send(STREAM_HEAD + chunk(delta("good")))
        else:
            call.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
        for byte in b"data: {}" * 1000:
            time.sleep(self.every)  # the fault itself
            call.send(chunk(bytes([byte])) if request.json.get("stream") else bytes([byte]))
        call.send(LAST_CHUNK)

    def fault(self):
        figures, count = self.figures, self.pick(200, 10)
        results = self.many(count, lambda i: self.timed(lambda: self.ask(f"question {i}", stream=i % 2 == 0)))
        streams, plain = [a for a, _ in results[0::2]], [a for a, _ in results[1::2]]
        figures.equal("streams with an error event at their end, without [DONE]",
                      sum(map(broken_off, streams)), len(streams))
        figures.equal("plain answers: 504", sum(a.status == 504 for a in plain), len(plain))
        times = [seconds for _, seconds in results]
        figures.at_least("the first was cut after", min(times), self.total * 0.99, "s")
        figures.at_most("the last was cut after", max(times), self.total + 2.0, "s")
        figures.equal("calls counted as timed out", self.outcomes("timeout"), count)
