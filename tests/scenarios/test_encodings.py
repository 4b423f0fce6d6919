"""Questions in gzip and deflate: read as what they mean, within the same limits as plain ones."""

import gzip
import json
import zlib

from harness.penstock import LIMIT, Scenario, question, wait_until

CHAT = "/v1/chat/completions"


def packed(body, encoding):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return gzip.compress(body) if "gzip" in encoding.lower() else zlib.compress(body)


class Encodings(Scenario):
    def post(self, gateway, body, encoding, path=CHAT, **headers):
        return gateway.request("POST", path, body, {
            "content-type": "application/json", "content-encoding": encoding, **headers})

    def test_the_engine_gets_the_plain_body(self):
        engine = self.engine()
        gateway = self.gateway(self.to(engine))
        for i, encoding in enumerate(("gzip", "X-GZIP", "deflate", "Deflate")):
            for path in (CHAT, "/v1/files"):
                asked = question(f"question {i}", n=1)
                answer = self.post(gateway, packed(asked, encoding), encoding, path)
                self.assertEqual(answer.status, 200, answer)
                call = engine.calls[-1]
                self.assertEqual(call.json, asked)
                self.assertEqual(call.headers["content-length"], str(len(call.body)))
                self.assertNotIn("content-encoding", call.headers)

    def test_a_long_body_comes_whole(self):
        engine = self.engine()
        gateway = self.gateway(self.to(engine))
        for size in (65536, 65537, 3_000_000):  # short ones, of 64 KiB, are decoded in one go
            body = json.dumps(question(f"{size}")).encode()
            body = body[:-1] + b" " * (size - len(body)) + b"}"
            answer = self.post(gateway, packed(body, "gzip"), "gzip")
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(engine.calls[-1].body, body)

    def test_identity_is_no_encoding(self):
        engine = self.engine()
        gateway = self.gateway(self.to(engine))
        answer = self.post(gateway, json.dumps(question()).encode(), "identity")
        self.assertEqual(answer.status, 200, answer)
        self.assertNotIn("content-encoding", engine.calls[-1].headers)

    def test_the_cache_knows_the_question_whatever_it_came_in(self):
        engine = self.engine()
        gateway = self.gateway(self.to(engine))
        body = json.dumps(question()).encode()
        self.assertEqual(self.post(gateway, packed(body, "gzip"), "gzip").cache, "miss")
        for _ in (1, 2):
            self.assertEqual(self.post(gateway, packed(body, "gzip"), "gzip").cache, "hit")
            self.assertEqual(self.post(gateway, packed(body, "deflate"), "deflate").cache, "hit")
            self.assertEqual(gateway.post(CHAT, question()).cache, "hit")
        # And bytes that are known in plain are nothing to one who calls them gzip.
        self.assertEqual(self.post(gateway, body, "gzip").status, 400)
        self.assertEqual(len(engine.calls), 1)

    def test_another_encoding_is_a_415_that_says_what_is_taken(self):
        gateway = self.gateway(self.to(self.engine()))
        for path in (CHAT, "/v1/files"):
            for encoding in ("br", "zstd", "gzip, gzip", "identity, gzip"):
                answer = self.post(gateway, packed(question(), "gzip"), encoding, path)
                self.assertEqual(answer.status, 415, answer)
                self.assertEqual(answer.error["code"], "unsupported_content_encoding")
                self.assertIn(encoding, answer.error["message"])
                self.assertEqual(answer.headers["accept-encoding"], "gzip, deflate")

    def test_a_damaged_body_is_a_400(self):
        engine = self.engine()
        gateway = self.gateway(self.to(engine))
        whole = packed(question(), "gzip")
        flipped = whole[:-6] + bytes([whole[-6] ^ 1]) + whole[-5:]  # in its checksum
        for bad in (whole[:-1], whole[:20], whole[:5], whole + b"x", whole + whole, flipped,
                    json.dumps(question()).encode(), packed(question(), "deflate")):
            answer = self.post(gateway, bad, "gzip")
            self.assertEqual((answer.status, answer.error["code"]),
                             (400, "invalid_content_encoding"), answer)
        self.assertEqual(engine.calls, [])
        self.assertEqual(gateway.metric("penstock_validation_errors_total", kind="json"), 8)

    def test_the_limit_counts_decoded_bytes(self):
        engine = self.engine()
        gateway = self.gateway(self.to(engine), {"listen": {"limits": {"body_bytes": "100KiB"}}})
        body = json.dumps(question()).encode()
        for encoding in ("gzip", "deflate"):
            at_limit = body[:-1] + b" " * (100 * 1024 - len(body)) + b"}"
            self.assertEqual(self.post(gateway, packed(at_limit, encoding), encoding).status, 200)
            answer = self.post(gateway, packed(at_limit + b" ", encoding), encoding)
            self.assertEqual(answer.status, 413, answer)
            self.assertIn("listen.limits.body_bytes", answer.error["message"])

    def test_a_client_that_leaves_ends_the_decoding(self):
        gateway = self.gateway(self.to(self.engine()), {"listen": {"limits": {"body_bytes": "1GiB"}}})
        bomb = packed(bytes(900 << 20), "gzip")
        wire = gateway.wire()
        wire.send((f"POST {CHAT} HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
                   f"Content-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n").encode() + bomb)
        wait_until(lambda: gateway.metric("penstock_http_requests_in_flight") == 1, "it is under way")
        wire.reset()
        wait_until(lambda: gateway.metric("penstock_http_requests_total", code="499"), "it has ended",
                   limit=LIMIT / 2)
