"""52: every message that two programs could read in two ways: its exact status, closed, nothing behind it read.

P1 and P2: what follows in the same connection never becomes a request; an engine counts. Each comes
whole, and in two packets cut wherever one can cut. What is unusual and right gets its answer.
"""

from drills.drill import Drill
from harness.penstock import answering, polite
from scenarios.test_framing import ACCEPTED, BODY, CHUNKED, LENGTH, ONE_CHUNK, REFUSED, post

LAST = b"0\r\n\r\n"
GET = b"GET /v1/models HTTP/1.1\r\nHost: test\r\n"
MORE = {
    # Transfer-Encoding, dressed up so that one program sees it and the next does not
    "chunked in quotes": (post('Transfer-Encoding: "chunked"', body=ONE_CHUNK + LAST), 501),
    "chunked with a parameter": (post("Transfer-Encoding: chunked;q=1", body=ONE_CHUNK + LAST), 501),
    "chunked behind a vertical tab": (post("Transfer-Encoding: \x0bchunked", body=ONE_CHUNK + LAST), 400),
    "chunked behind a NUL": (post("Transfer-Encoding: chunked\0", body=ONE_CHUNK + LAST), 400),
    "chunked behind a no-break space": (post("Transfer-Encoding: \xa0chunked", body=ONE_CHUNK + LAST), 501),
    "chunked and identity in two fields": (post(CHUNKED, "Transfer-Encoding: identity", body=ONE_CHUNK + LAST), 400),
    "identity and chunked in two fields": (post("Transfer-Encoding: identity", CHUNKED, body=ONE_CHUNK + LAST), 400),
    "chunked in two fields": (post(CHUNKED, CHUNKED, body=ONE_CHUNK + LAST), 400),
    "chunked with an empty element": (post("Transfer-Encoding: chunked,", body=ONE_CHUNK + LAST), 400),
    "an empty element, then chunked": (post("Transfer-Encoding: ,chunked", body=ONE_CHUNK + LAST), 501),
    "identity": (post("Transfer-Encoding: identity", LENGTH, body=BODY), 400),
    "gzip alone": (post("Transfer-Encoding: gzip", body=BODY), 400),
    "chunked, folded": (post("Transfer-Encoding:\r\n chunked", body=ONE_CHUNK + LAST), 400),
    "chunked behind a bare LF": (post("X-A: b\nTransfer-Encoding: chunked", body=ONE_CHUNK + LAST), 400),
    "chunked behind a bare CR": (post("X-A: b\rTransfer-Encoding: chunked", body=ONE_CHUNK + LAST), 400),
    "a space before Transfer-Encoding": (post(" Transfer-Encoding: chunked", LENGTH, body=BODY), 400),
    "a space behind Transfer-Encoding": (post("Transfer-Encoding : chunked", LENGTH, body=BODY), 400),
    "chunked with a length of 0": (post("Content-Length: 0", CHUNKED, body=ONE_CHUNK + LAST), 400),
    "chunked on HTTP/1.0 with keep-alive": (
        post(CHUNKED, "Connection: keep-alive", version="HTTP/1.0", body=ONE_CHUNK + LAST), 400),
    # Content-Length
    "two different lengths": (post(LENGTH, "Content-Length: 0", body=BODY), 400),
    "a length with a fraction": (post("Content-Length: 5.0", body=BODY), 400),
    "a length with an exponent": (post("Content-Length: 1e1", body=BODY), 400),
    "a length of two words": (post("Content-Length: 5 5", body=BODY), 400),
    "a length with a comma": (post("Content-Length: 5,", body=BODY), 400),
    "a length in other digits": (post("Content-Length: \xb2", body=BODY), 400),
    "a length behind a no-break space": (post("Content-Length: \xa05", body=BODY), 400),
    "a length with a NUL": (post("Content-Length: 5\0", body=BODY), 400),
    "a length over 64 bits": (post("Content-Length: 18446744073709551617", body=BODY), 400),
    "a length over the limit": (post("Content-Length: 9999999999999999999"), 413),
    "a folded length": (post("Content-Length: 0\r\n 5", body=BODY), 400),
    # lines and names
    "an empty line first": (b"\r\n" + GET + b"\r\n", 400),
    "a bare LF first": (b"\n" + GET + b"\r\n", 400),
    "CR CR LF": (GET + b"X: a\r\r\n\r\n", 400),
    "LF CR": (GET + b"X: a\n\r\r\n", 400),
    "a tab in a name": (GET + b"X\tY: a\r\n\r\n", 400),
    "a name in quotes": (GET + b'"Content-Length": 0\r\n\r\n', 400),
    "a name with a byte over 127": (GET + b"Content-Length\xff: 0\r\n\r\n", 400),
    "a name with brackets": (GET + b"Content(Length): 0\r\n\r\n", 400),
    "a form feed in a value": (GET + b"X: a\x0cb\r\n\r\n", 400),
    "an escape in a value": (GET + b"X: \x1b[31m\r\n\r\n", 400),
    # the request line
    "a tab in the request line": (b"GET\t/v1/models HTTP/1.1\r\nHost: test\r\n\r\n", 400),
    "a space at its end": (b"GET /v1/models HTTP/1.1 \r\nHost: test\r\n\r\n", 400),
    "a space first": (b" " + GET + b"\r\n", 400),
    "a space in the target": (b"GET /v1/a b HTTP/1.1\r\nHost: test\r\n\r\n", 400),
    "a bare CR in it": (b"GET /v1/models\r HTTP/1.1\r\nHost: test\r\n\r\n", 400),
    "a target over 127": (b"GET /v1/\xc3\xa9 HTTP/1.1\r\nHost: test\r\n\r\n", 400),
    "a version in lower case": (b"GET /v1/models http/1.1\r\nHost: test\r\n\r\n", 400),
    "HTTP/1.2": (b"GET /v1/models HTTP/1.2\r\nHost: test\r\n\r\n", 505),
    "HTTP/1.10": (b"GET /v1/models HTTP/1.10\r\nHost: test\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /v1/models HTTP/0.9\r\nHost: test\r\n\r\n", 505),
    "a method of 33 letters": (b"A" * 33 + b" /v1/models HTTP/1.1\r\nHost: test\r\n\r\n", 501),
    "CONNECT": (b"CONNECT test:80 HTTP/1.1\r\nHost: test\r\n\r\n", 400),
    "a target of another scheme": (b"GET ftp://test/v1/models HTTP/1.1\r\nHost: test\r\n\r\n", 400),
    # Host
    "two equal Hosts": (GET + b"Host: test\r\n\r\n", 400),
    "a Host of two names": (post(LENGTH, host="Host: test, other", body=BODY), 400),
    "a Host with a user": (post(LENGTH, host="Host: other@test", body=BODY), 400),
    "a Host with a path": (post(LENGTH, host="Host: test/other", body=BODY), 400),
    "no Host, absolute target": (b"GET http://test/v1/models HTTP/1.1\r\n\r\n", 400),
    # chunks
    "a space before a chunk size": (post(CHUNKED, body=b" 1\r\nx\r\n" + LAST), 400),
    "an underscore in a chunk size": (post(CHUNKED, body=b"1_0\r\nx\r\n" + LAST), 400),
    "a negative chunk size": (post(CHUNKED, body=b"-1\r\nx\r\n" + LAST), 400),
    "a bare LF in an extension": (post(CHUNKED, body=b"1;a\nx\r\n" + LAST), 400),
    "a bare CR in an extension": (post(CHUNKED, body=b"1;a\rb\r\nx\r\n" + LAST), 400),
    "a bare CR behind a chunk size": (post(CHUNKED, body=b"1\rx\r\n" + LAST), 400),
    "a chunk without its line end": (post(CHUNKED, body=b"1\r\nx" + LAST), 400),
    "a bare LF at the end of trailers": (post(CHUNKED, body=b"0\r\n\n"), 400),
    "a bare LF behind a trailer": (post(CHUNKED, body=b"0\r\nX: a\n\r\n"), 400),
    "trailers of over 8 KiB": (post(CHUNKED, body=b"0\r\n" + b"X: " + b"a" * 9000 + b"\r\n\r\n"), 400),
    "an expectation that nobody knows": (post(LENGTH, "Expect: 200-maybe", body=BODY), 417),
}


class TheDrill(Drill):
    def config(self):
        config = super().config()
        config["models"][0]["aliases"] = ["handbook"]  # whom the scenarios' questions go to
        return config

    def settings(self):
        return self.engine_behind(answering(polite))

    def smuggled(self):
        body = b'{"model":"m","messages":[{"role":"user","content":"smuggled"}],"user":"smuggled"}'
        return post(f"Content-Length: {len(body)}", body=body)

    def send(self, data, status, cut=None):
        """None, or what was wrong."""
        with self.wire() as wire:
            self.count_sent()
            behind = self.smuggled()
            wire.send(data[:cut])
            if cut is not None:
                wire.send(data[cut:])
            wire.send(behind)
            answer = wire.answer()
            rest = wire.rest()
            if (answer.status, answer.headers.get("connection", "").lower(), rest) != (status, "close", b""):
                return f"cut at {cut}: {answer} and {rest!r}"
            return None

    def fault(self):
        figures, corpus, step = self.figures, {**REFUSED, **MORE}, self.pick(1, 64)
        cuts = [(name, data, status, cut) for name, (data, status) in corpus.items()
                for cut in [None, *range(1, min(len(data), 600), step)]]
        wrong = {}
        for result in self.many(4, lambda n: [(name, self.send(data, status, cut))
                                              for name, data, status, cut in cuts[n::4]]):
            for name, what in result:
                wrong.setdefault(name, []).extend([what] if what else [])
        for name, (_, status) in corpus.items():
            figures.equal(f"{name}: other than {status} and closed", wrong[name], [])
        figures.equal(f"requests that were smuggled, behind {len(cuts)} messages",
                      sum(b"smuggled" in call.body for call in self.ill.calls), 0)
        figures.equal("questions that reached the engine", len(self.ill.calls), 0)
        for name, data in ACCEPTED.items():
            with self.wire() as wire:
                self.count_sent(2)
                answers = [wire.send(data + data).answer().status, wire.answer().status]
                figures.equal(f"{name}, twice: answers", answers, [200, 200])

    def rehearse(self):
        for data, status in REFUSED.values():
            self.send(data, status)
