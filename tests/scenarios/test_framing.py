"""HTTP/1.1 framing (RFC 9112 section 6.3): one meaning, or refused with this very status and closed."""

import json

from harness.penstock import Scenario

BODY = b'{"model":"handbook","messages":[{"role":"user","content":"metrics"}]}'


def post(*fields, version="HTTP/1.1", body=b"", line=None, host="Host: test"):
    start = line or f"POST /v1/chat/completions {version}"
    head = "\r\n".join([start, *([host] if host else []), "Content-Type: application/json", *fields])
    return head.encode("latin-1") + b"\r\n\r\n" + body


LENGTH = f"Content-Length: {len(BODY)}"
CHUNKED = "Transfer-Encoding: chunked"
ONE_CHUNK = b"%x\r\n%s\r\n" % (len(BODY), BODY)

# What is sent, and the status it must get; every one of them closes the connection.
REFUSED = {
    "Transfer-Encoding with Content-Length": (post(LENGTH, CHUNKED, body=BODY), 400),
    "Content-Length with Transfer-Encoding": (post(CHUNKED, LENGTH, body=BODY), 400),
    "Transfer-Encoding that does not end in chunked": (post("Transfer-Encoding: chunked, identity"), 400),
    "chunked twice": (post("Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"), 400),
    "Transfer-Encoding on HTTP/1.0": (post(CHUNKED, version="HTTP/1.0", body=b"0\r\n\r\n"), 400),
    "an empty Transfer-Encoding": (post("Transfer-Encoding:"), 400),
    "an unknown transfer coding": (post("Transfer-Encoding: xchunked"), 501),
    "an unknown coding before chunked": (post("Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 501),
    "Content-Length repeated": (post(LENGTH, LENGTH, body=BODY), 400),
    "Content-Length as a list": (post(f"{LENGTH}, {len(BODY)}", body=BODY), 400),
    "Content-Length with a plus": (post(f"Content-Length: +{len(BODY)}", body=BODY), 400),
    "Content-Length with a minus": (post("Content-Length: -1"), 400),
    "Content-Length in hexadecimal": (post("Content-Length: 0x10", body=BODY), 400),
    "Content-Length of 20 digits": (post("Content-Length: 00000000000000000001", body=b"x"), 400),
    "an empty Content-Length": (post("Content-Length:"), 400),
    "a space before the colon": (post("Content-Length : 0"), 400),
    "a tab before the colon": (post("Content-Length\t: 0"), 400),
    "a folded field": (post("X-Folded: a\r\n b"), 400),
    "a folded first field": (b"GET /livez HTTP/1.1\r\n Host: test\r\n\r\n", 400),
    "a field without a colon": (post("Content-Length 0"), 400),
    "a field without a name": (post(": value"), 400),
    "a bare LF after the request line": (b"GET /livez HTTP/1.1\nHost: test\r\n\r\n", 400),
    "a bare LF after a field": (b"GET /livez HTTP/1.1\r\nHost: test\nX: y\r\n\r\n", 400),
    "a bare LF as the empty line": (b"GET /livez HTTP/1.1\r\nHost: test\r\n\n", 400),
    "a bare CR in a value": (post("X-Value: a\rb"), 400),
    "NUL in a value": (post("X-Value: a\0b"), 400),
    "NUL in a name": (post("X-\0Name: a"), 400),
    "a control byte in a value": (post("X-Value: a\x01b"), 400),
    "DEL in a value": (post("X-Value: a\x7fb"), 400),
    "NUL in the target": (post(line="GET /livez\0 HTTP/1.1"), 400),
    "no Host": (post(LENGTH, host=None, body=BODY), 400),
    "two Hosts": (post("Host: other", LENGTH, body=BODY), 400),
    "an unknown version": (b"GET /livez HTTP/3.0\r\nHost: test\r\n\r\n", 505),
    "no version": (b"GET /livez\r\nHost: test\r\n\r\n", 400),
    "two spaces in the request line": (b"GET  /livez HTTP/1.1\r\nHost: test\r\n\r\n", 400),
    "a method that is no token": (b"G@T /livez HTTP/1.1\r\nHost: test\r\n\r\n", 400),
    "a TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64) + b"\r\n\r\n", 400),
    "a chunk size of 17 digits": (post(CHUNKED, body=b"00000000000000001\r\nx\r\n0\r\n\r\n"), 400),
    "a chunk size that is no number": (post(CHUNKED, body=b"zz\r\n"), 400),
    "a chunk size with a sign": (post(CHUNKED, body=b"+1\r\nx\r\n0\r\n\r\n"), 400),
    "a chunk size with 0x": (post(CHUNKED, body=b"0x1\r\nx\r\n0\r\n\r\n"), 400),
    "an empty chunk size": (post(CHUNKED, body=b"\r\nx\r\n0\r\n\r\n"), 400),
    "a chunk that is longer than it says": (post(CHUNKED, body=b"1\r\nxy\r\n0\r\n\r\n"), 400),
    "a bare LF after a chunk size": (post(CHUNKED, body=b"1\nx\r\n0\r\n\r\n"), 400),
    "a bare LF after a chunk": (post(CHUNKED, body=b"1\r\nx\n0\r\n\r\n"), 400),
    "a trailer without a colon": (post(CHUNKED, body=b"0\r\nGET /livez HTTP/1.1\r\n\r\n"), 400),
    "a target of another host": (
        post(LENGTH, line="POST http://other/v1/chat/completions HTTP/1.1", body=BODY), 400),
    "a target with a user": (
        post(LENGTH, line="POST http://a:b@test/v1/chat/completions HTTP/1.1", body=BODY), 400),
    "a chunk extension of over 1 KiB": (post(CHUNKED, body=b"1;" + b"e" * 1100 + b"\r\nx\r\n0\r\n\r\n"), 400),
    "chunk extensions of over 1 KiB together": (
        post(CHUNKED, body=(b"1;" + b"e" * 100 + b"\r\nx\r\n") * 12 + b"0\r\n\r\n"), 400),
}

# What is unusual and right.
ACCEPTED = {
    "a plain request": post(LENGTH, body=BODY),
    "names in any case": post(LENGTH.upper(), body=BODY),
    "white space around a value": post(f"Content-Length: \t {len(BODY)} \t", body=BODY),
    "an empty value": post("X-Empty:", LENGTH, body=BODY),
    "a value of tabs": post("X-Tabs: a" + "\t" * 8000 + "b", LENGTH, body=BODY),
    "bytes over 127 in a value": post("X-Name: caf\xe9", LENGTH, body=BODY),
    "a chunked body": post(CHUNKED, body=ONE_CHUNK + b"0\r\n\r\n"),
    "chunked in capitals": post("Transfer-Encoding: Chunked", body=ONE_CHUNK + b"0\r\n\r\n"),
    "a body in chunks of one byte": post(
        CHUNKED, body=b"".join(b"1\r\n%c\r\n" % c for c in BODY) + b"0\r\n\r\n"),
    "a chunk extension": post(CHUNKED, body=ONE_CHUNK.replace(b"\r\n", b";a=b\r\n", 1) + b"0\r\n\r\n"),
    "trailers": post(CHUNKED, body=ONE_CHUNK + b"0\r\nX-Trailer: a\r\nHost: other\r\n\r\n"),
    "the absolute form of the target": post(
        LENGTH, line="POST http://test/v1/chat/completions HTTP/1.1", body=BODY),
}


class Framing(Scenario):
    def handbook(self):
        return self.gateway(self.documents(switches="# Metrics\n\nMetrics can be turned off.\n"))

    def test_what_could_be_read_in_two_ways_is_refused_and_closed(self):
        gateway = self.handbook()
        for name, (data, status) in REFUSED.items():
            with self.subTest(name), gateway.wire() as wire:
                # A second request behind it must never be answered: it would be a smuggled one.
                wire.send(data + b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n")
                answer = wire.answer()
                self.assertEqual(answer.status, status, answer)
                self.assertEqual(answer.headers.get("connection", "").lower(), "close")
                self.assertEqual(set(json.loads(answer.body)["error"]),
                                 {"message", "type", "param", "code"})
                self.assertTrue(wire.closed())
        self.assertGreaterEqual(gateway.metric("penstock_validation_errors_total", kind="framing"),
                                len(REFUSED))

    def test_what_is_unusual_and_right_is_answered(self):
        gateway = self.handbook()
        for name, data in ACCEPTED.items():
            with self.subTest(name), gateway.wire() as wire:
                for _ in range(2):  # the connection goes on
                    answer = wire.send(data).answer()
                    self.assertEqual(answer.status, 200, answer)

    def test_heads_and_bodies_may_come_byte_by_byte(self):
        gateway = self.handbook()
        for name in ("a plain request", "a chunked body", "trailers"):
            with self.subTest(name), gateway.wire() as wire:
                for byte in ACCEPTED[name]:
                    wire.send(bytes([byte]))
                self.assertEqual(wire.answer().status, 200)

    def test_a_path_has_one_meaning(self):
        gateway = self.handbook()
        for target in ("/v1/../livez", "/v1/%2e%2e/livez", "//livez", "/v1/models/..%2f..%2flivez",
                       "/livez/.", "/livez%00", "livez", "*"):
            with self.subTest(target), gateway.wire() as wire:
                answer = wire.send(f"GET {target} HTTP/1.1\r\nHost: test\r\n\r\n".encode()).answer()
                self.assertIn(answer.status, (400, 404), answer)
