"""50: bodies that stop, or come too slowly: 408, and the connection is closed.

30 s without a byte; or under 1 KiB a second, once 10 s have passed. With a length and in chunks; a
body that is slow within reason is answered. P12: one bad client slows the others' p99 by less than twice.
"""

import json
import threading
import time

from drills.drill import Drill
from harness.penstock import answering, polite

GRACE = 10.0  # seconds in which any rate will do


class TheDrill(Drill):
    def config(self):
        config = super().config()
        self.limit = self.pick(30.0, 0.5)
        config["listen"]["limits"] |= {"body": f"{int(self.limit * 1000)}ms"}
        return config

    def settings(self):
        return self.engine_behind(answering(polite))

    def begin(self, chunked, size):
        wire = self.wire()
        wire.socket.settimeout(90)
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
        self.count_sent()
        return wire.send(f"POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
                         f"{framing}\r\n\r\n".encode())

    def piece(self, data, chunked):
        return b"%x\r\n%s\r\n" % (len(data), data) if chunked else data

    def refused(self, wire, begun):
        """(status, whether it is closed, seconds)"""
        with wire:
            status = wire.answer().status
            return status, wire.closed(), time.monotonic() - begun

    def stops(self, i):
        """So much that its rate is good for minutes, then nothing."""
        chunked = i % 2 == 1
        wire = self.begin(chunked, 1 << 20)
        wire.send(self.piece(b" " * 200_000, chunked))
        return self.refused(wire, time.monotonic())

    def never_begins(self, i):
        """No byte of it: its rate is none."""
        return self.refused(self.begin(i % 2 == 1, 1000), time.monotonic())

    def drips(self, i):
        """Every half second some bytes, 500 a second."""
        chunked = i % 2 == 1
        wire, begun = self.begin(chunked, 1 << 20), time.monotonic()
        stop = threading.Event()

        def drip():
            while not stop.wait(0.5):
                try:
                    wire.send(self.piece(b" " * 250, chunked))
                except OSError:
                    return
        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            return self.refused(wire, begun)
        finally:
            stop.set()
            dripping.join()

    def patient(self, i):
        """Slow, but within reason: 2 KiB a second for longer than the grace; in the quick form for less."""
        chunked, seconds = i % 2 == 1, self.pick(15, 1)
        body = json.dumps(self.question(f"patient {i}")).encode()
        body = b" " * (2048 * seconds - len(body)) + body
        with self.begin(chunked, len(body)) as wire:
            for at in range(0, len(body), 512):
                wire.send(self.piece(body[at:at + 512], chunked))
                time.sleep(0.25)
            wire.send(b"0\r\n\r\n" if chunked else b"")
            return wire.answer().status

    def judge(self, what, results, low, high):
        self.figures.equal(f"{what}: 408 and closed", sum((s, c) == (408, True) for s, c, _ in results), len(results))
        self.figures.between(f"{what}: the first after", min(t for _, _, t in results), low, high, "s")
        self.figures.between(f"{what}: the last after", max(t for _, _, t in results), low, high, "s")

    def rehearse(self):
        for wire in [self.begin(i % 2 == 1, 1000) for i in range(self.pick(50, 8))]:
            wire.socket.close()  # nothing of these is an answered request
            self.count_sent(-1)
        self.ask()

    def fault(self):
        figures, count = self.figures, self.pick(50, 8)
        kinds = [self.stops, self.patient, *self.pick([self.drips, self.never_begins], [])]
        results = self.many(len(kinds) * count, lambda i: kinds[i % len(kinds)](i // len(kinds)))
        self.judge("stopped", results[0::len(kinds)], self.limit * 0.99, self.limit + 2.0)
        figures.equal("slow within reason: status", sorted(set(results[1::len(kinds)])), [200])
        if self.quick:
            figures.note("under 1 KiB a second", "the 10 s of grace are fixed: full form only")
        else:
            self.judge("under 1 KiB a second", results[2::len(kinds)], GRACE * 0.99, GRACE + 3.0)
            self.judge("not a byte", results[3::len(kinds)], GRACE * 0.99, GRACE + 3.0)
        figures.equal("questions that reached the engine", len(self.ill.calls), count)
        figures.equal("requests counted as 408", self.counted("penstock_http_requests_total", code="408"),
                      count * (len(kinds) - 1))
