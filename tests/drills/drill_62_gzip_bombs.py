"""62: a body that becomes 10 GiB when it is decoded: 413 at the limit, without the memory for it.

P11: memory is bounded: body_bytes counts decoded bytes, and what goes over it was never held. Decoding
goes on in small steps: who asks meanwhile does not wait for its end.
"""

import zlib

from drills.drill import Drill
from harness.penstock import LIMIT, SANITIZED, answering, polite

MIB = 1 << 20
BLOCK = 16 * MIB  # of zeros, of which the bombs are made
GZIP, ZLIB = 31, 15  # zlib's names of the formats


def bomb(size, window):
    """A body that decodes to `size` zeros. Its checksum is wrong; nobody comes as far as that."""
    packer = zlib.compressobj(9, zlib.DEFLATED, window)
    begin = packer.compress(bytes(BLOCK)) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(BLOCK)) + packer.flush(zlib.Z_FULL_FLUSH)  # refers to nothing before it
    return begin + block * (size // BLOCK - 1) + packer.flush(zlib.Z_FINISH)


class TheDrill(Drill):
    def settings(self):
        self.bombs = {
            "1 MiB of gzip": ("gzip", bomb(1 << 30, GZIP)),
            "1 MiB of deflate": ("deflate", bomb(1 << 30, ZLIB)),
            **self.pick({"gzip of 10 GiB": ("gzip", bomb(10 << 30, GZIP))}, {}),
            # Blocks without content: much comes in and nothing goes out.
            "empty blocks": ("deflate", b"\x78\x9c" + b"\x00\x00\x00\xff\xff" * self.pick(4_000_000, 200_000)),
        }
        self.statuses = {"empty blocks": 400}
        return self.engine_behind(answering(polite))

    def request(self, encoding, body, chunked):
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
        if chunked:
            pieces = [body[at:at + 1000] for at in range(0, len(body), 1000)]
            body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        return (f"POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
                f"Content-Encoding: {encoding}\r\n{framing}\r\n\r\n").encode() + body

    def send(self, request):
        """The status."""
        with self.wire() as wire:
            self.count_sent()
            return wire.send(request).answer().status

    def known(self, wire, body):
        """Seconds for a question whose answer is kept, while there are bombs."""
        _, seconds = self.timed(lambda: wire.post(body).answer())
        return seconds

    def rehearse(self):
        for encoding, body in self.bombs.values():
            self.send(self.request(encoding, body, False))

    def fault(self):
        figures, count = self.figures, self.pick(16, 4)
        body = self.question("known")
        self.ask("known")
        memory, slowest, held = self.watch.memory(), 0.0, 0
        with self.wire() as one, self.wire() as other:
            for name, (encoding, packed) in self.bombs.items():
                # Made before, so that the one who measures does not wait for that.
                requests = [self.request(encoding, packed, chunked) for chunked in (False, True)]
                results = self.many(count + 1, lambda i, r=requests: (
                    self.send(r[i % 2]) if i < count else self.beside(one, other, body)))
                figures.equal(f"{name}, {len(packed) / MIB:.1f} MiB: status", sorted(set(results[:count])),
                              [self.statuses.get(name, 413)])
                slowest = max(slowest, results[count])
                held = max(held, len(packed))
        figures.equal("questions that reached the engine", len(self.ill.calls), 1)
        figures.at_most("the slowest answer to who asked meanwhile", slowest, LIMIT if SANITIZED else 0.5, "s")
        self.added_memory(f"memory at most added by each of {count}, beside its {held / MIB:.1f} MiB", memory, count,
                          2 * held + MIB)

    def beside(self, one, other, body):
        """The slowest answer to two clients, while bombs are decoded."""
        slowest = 0.0
        for _ in range(self.pick(200, 40)):
            slowest = max(slowest, self.known(one, body), self.known(other, body))
        return slowest
