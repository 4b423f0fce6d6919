"""51: heads of 1 MiB and of 10,000 fields: 431, closed, and no growth.

P11: memory is bounded: a connection holds no more of a head than `header_bytes`, 32 KiB.
"""

from drills.drill import Drill
from harness.penstock import answering, polite

MIB = 1 << 20
LINE = b"GET /v1/models HTTP/1.1\r\nHost: test\r\n"
HEADS = {
    "one value of 1 MiB": LINE + b"X-Large: " + b"a" * MIB + b"\r\n\r\n",
    "one name of 1 MiB": LINE + b"X" * MIB + b": a\r\n\r\n",
    "a value of 1 MiB, never ended": LINE + b"X-Large: " + b"a" * MIB,
    "fields of 1 KiB, 1 MiB together": LINE + b"".join(
        b"X-%d: %s\r\n" % (i, b"a" * 1000) for i in range(1024)) + b"\r\n",
    "10,000 fields": LINE + b"".join(b"X-%d: a\r\n" % i for i in range(10_000)) + b"\r\n",
    "10,000 fields of one name": LINE + b"X: a\r\n" * 10_000 + b"\r\n",
    "10,000 cookies": LINE + b"Cookie: a=b\r\n" * 10_000 + b"\r\n",
    "101 fields": LINE + b"X: a\r\n" * 100 + b"\r\n",
    "a target of 1 MiB": b"GET /v1/" + b"a" * MIB + b" HTTP/1.1\r\nHost: test\r\n\r\n",
    "a query of 1 MiB": b"GET /v1/models?" + b"a=1&" * (MIB // 4) + b" HTTP/1.1\r\nHost: test\r\n\r\n",
    "white space of 1 MiB before a value": LINE + b"X-Space:" + b" " * MIB + b"a\r\n\r\n",
    "a Host of 1 MiB": b"GET /v1/models HTTP/1.1\r\nHost: " + b"h" * MIB + b"\r\n\r\n",
}


class TheDrill(Drill):
    def settings(self):
        return self.engine_behind(answering(polite))

    def send(self, head):
        """(status, whether it was closed and nothing else was answered)"""
        with self.wire() as wire:
            self.count_sent()
            wire.send(head)  # all of it is taken: else a client would see a reset and no 431
            return wire.answer().status, wire.closed()

    def fault(self):
        figures, clients, rounds = self.figures, self.pick(50, 5), self.pick(10, 1)
        before = self.watch.memory()
        for name, head in HEADS.items():
            results = sum(self.many(clients, lambda _, h=head: [self.send(h) for _ in range(rounds)]), [])
            figures.equal(f"{name}: {rounds * clients} times, 431 and closed",
                          sum(result == (431, True) for result in results), rounds * clients)
        figures.equal("requests counted as 431", self.counted("penstock_http_requests_total", code="431"),
                      rounds * clients * len(HEADS))
        # Buffers grow by doubling: 64 KiB for the one that goes over 32 KiB, and the one before.
        self.added_memory(f"memory at most added by each of {clients} clients", before, clients, 128 << 10)
