"""16: an engine's Content-Length or Transfer-Encoding is bad: 502, its connection closed, nothing cached.

P2: framing is unambiguous or refused, on the engines' side too.
"""

from drills.drill import CANARY, Drill
from harness.penstock import completion

BODY = completion(f"Hello. {CANARY}")
SIZE = b"%d" % len(BODY)
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
BAD = {
    "two different lengths": (b"Content-Length: 5\r\nContent-Length: " + SIZE, BODY),
    "a list of lengths": (b"Content-Length: " + SIZE + b", " + SIZE, BODY),
    "a signed length": (b"Content-Length: +" + SIZE, BODY),
    "a length of 20 digits": (b"Content-Length: " + b"9" * 20, BODY),
    "a length that is no number": (b"Content-Length: many", BODY),
    "a length and chunked": (b"Content-Length: " + SIZE + b"\r\nTransfer-Encoding: chunked", CHUNKED),
    "chunked, then identity": (b"Transfer-Encoding: chunked, identity", CHUNKED),
    "an unknown coding": (b"Transfer-Encoding: xchunked", CHUNKED),
    "chunked twice": (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", CHUNKED),
    "a chunk of a bad size": (b"Transfer-Encoding: chunked", b"0x10\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk of 17 digits": (b"Transfer-Encoding: chunked", b"1" * 17 + b"\r\n" + BODY),
    "a chunk without its line end": (b"Transfer-Encoding: chunked", CHUNKED.replace(b"\r\n0\r\n", b"0\r\n")),
    "a space before the colon": (b"Content-Length : " + SIZE, BODY),
    "a folded field": (b"Content-Length: " + SIZE + b"\r\nX-Folded: a\r\n b", BODY),
}


class TheDrill(Drill):
    def settings(self):
        self.kept_open = []
        return self.engine_behind(self.ambiguous)

    def ambiguous(self, call):
        request = call.request()
        name = request.json["messages"][0]["content"].split("<")[1].split(">")[0]
        fields, body = BAD[name]
        call.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + fields + b"\r\n\r\n" + body)
        if call.request():  # a second question on it, instead of its end
            self.kept_open.append(name)

    def fault(self):
        figures, count = self.figures, self.pick(25, 2)
        for name in BAD:
            before = len(self.ill.calls)
            for i in (1, 2):
                answers = self.many(count, lambda i: self.ask(f"<{name}> {i}"))
            figures.equal(f"{name}: status", sorted({a.status for a in answers}), [502])
            figures.equal(f"{name}: calls to the engine, none kept", len(self.ill.calls) - before, 2 * count)
        figures.equal("connections that were used again", self.kept_open, [])
        figures.equal("calls counted as broken", self.outcomes("protocol_error"), 2 * count * len(BAD))
