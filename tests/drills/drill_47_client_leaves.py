"""47: a client leaves: its engine call is cancelled within 100 ms.

P16: work is cancelled on disconnect. Plain and streamed, before and in the middle of the answer, by an
end and by a reset, shared with nobody.
"""

import collections
import threading
import time

from drills.drill import CANARY, Drill, wait_until
from harness.penstock import STREAM_HEAD, chunk, delta


class TheDrill(Drill):
    def settings(self):
        self.gone = collections.Counter()
        self.ends = {}
        self.changed = threading.Condition()
        return self.engine_behind(self.waits)

    def waits(self, call):
        request = call.request()
        if request.json.get("stream"):
            call.send(STREAM_HEAD + chunk(delta(f"one {CANARY}")))
        end = call.gone()
        with self.changed:
            self.ends[request.json["user"]] = end
            self.changed.notify_all()

    def leave(self, number, stream, reset):
        """The seconds from a client's leaving to the end of its call at the engine."""
        user = f"{self.turn}-{number}-{stream}-{reset}"
        with self.wire() as wire:
            wire.post(self.question(f"question {number}", stream=stream, user=user))
            self.ill.wait_for(lambda e: any(c.json["user"] == user for c in e.calls[-50:]), "the question there")
            if stream:
                wire.until(b"one")
            left = time.monotonic()
            wire.reset() if reset else wire.socket.close()
        with self.changed:
            if not self.changed.wait_for(lambda: user in self.ends, timeout=20):
                return float("inf")
        return self.ends[user] - left

    def fault(self):
        figures, count = self.figures, self.pick(50, 4)
        for stream in (False, True):
            for reset in (False, True):
                times = sorted(self.leave(i, stream, reset) for i in range(count))
                what = f"{'streamed' if stream else 'plain'}, {'reset' if reset else 'closed'}: call ended after"
                figures.at_most(f"{what}, p50", times[count // 2], self.soon, "s")
                figures.at_most(f"{what}, last of {count}", times[-1], self.soon * self.pick(1, 5), "s")
        wait_until(lambda: self.outcomes("cancelled") == 4 * count, "they are counted")
        figures.equal("calls counted as cancelled", self.outcomes("cancelled"), 4 * count)
        figures.equal("requests counted as left (499)",
                      self.counted("penstock_http_requests_total", code="499"), 4 * count)
