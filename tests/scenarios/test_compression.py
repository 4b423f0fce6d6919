"""How answers are sent: compressed for clients that accept it, and kept streams at their pace."""

import ctypes
import gzip
import json
import time

from harness.penstock import (DONE, Scenario, Wire, answering, completion, delta, plain, question, stream,
                              wait_until)
from scenarios.test_cache_levels import OnRedis

MOST = 4 << 20  # bytes of a body
TEXT = " ".join(f"word {i * i}" for i in range(2000))


def undone(coding, body):
    """By the libraries themselves: Debian's Python has gzip alone."""
    if coding == "gzip":
        return gzip.decompress(body)
    room = ctypes.create_string_buffer(MOST)
    if coding == "zstd":
        decompress = ctypes.CDLL("libzstd.so.1").ZSTD_decompress
        decompress.argtypes, decompress.restype = [ctypes.c_void_p, ctypes.c_size_t] * 2, ctypes.c_size_t
        size = decompress(ctypes.cast(room, ctypes.c_void_p), MOST, body, len(body))
        assert size <= MOST, "no zstd"
        return room.raw[:size]
    size = ctypes.c_size_t(MOST)
    decompress = ctypes.CDLL("libbrotlidec.so.1").BrotliDecoderDecompress
    decompress.argtypes = [ctypes.c_size_t, ctypes.c_char_p, ctypes.POINTER(ctypes.c_size_t), ctypes.c_void_p]
    assert decompress(len(body), body, ctypes.byref(size), ctypes.cast(room, ctypes.c_void_p)) == 1, "no brotli"
    return room.raw[:size.value]


class Compression(Scenario):
    def gate(self, *more, text=TEXT):
        return self.gateway(self.to(self.engine(answering(lambda r: plain(completion(text))))), *more)

    def ask(self, gateway, accept, **more):
        return gateway.ask("Hello?", headers={"accept-encoding": accept} if accept else {}, **more)

    def text_of(self, answer):
        coding = answer.headers.get("content-encoding")
        return json.loads(undone(coding, answer.body) if coding else answer.body)["choices"][0]["message"]["content"]

    def test_every_way_to_an_answer_is_compressed_as_the_client_takes_it(self):
        for coding in ("gzip", "br", "zstd"):
            with self.subTest(coding):
                gateway = self.gate()
                sizes = []
                for expected in ("miss", "hit; level=memory", "hit; level=memory"):
                    answer = self.ask(gateway, coding)
                    self.assertEqual((answer.headers["x-penstock-cache"], answer.headers.get("content-encoding")),
                                     (expected, coding))
                    self.assertIn("accept-encoding", answer.headers["vary"])
                    self.assertEqual(self.text_of(answer), TEXT)
                    sizes.append(len(answer.body))
                # The dense one takes the place of the fast one, and is sent from then on.
                wait_until(lambda: len(self.ask(gateway, coding).body) < sizes[0], "the dense form")
                answer = self.ask(gateway, coding)
                self.assertEqual(self.text_of(answer), TEXT)
                self.assertEqual(answer.headers["x-penstock-cache"], "hit; level=memory")
                self.assertGreater(gateway.metric("penstock_http_uncompressed_bytes_total", encoding=coding),
                                   gateway.metric("penstock_http_compressed_bytes_total", encoding=coding))
                # Who takes none gets it as it is, and so does who takes another.
                whole = self.ask(gateway, None)
                self.assertNotIn("content-encoding", whole.headers)
                self.assertEqual(self.text_of(whole), TEXT)
                self.assertIn("accept-encoding", whole.headers["vary"])

    def test_the_first_of_the_configuration_that_the_client_takes(self):
        gateway = self.gate({"listen": {"compression": {"encodings": ["gzip", "br"]}}})
        for accept, coding in (("gzip, deflate, br, zstd", "gzip"), ("zstd", None), ("br;q=1, gzip;q=0.1", "br"),
                               ("identity", None), ("*;q=0", None), ("gzip;q=0, *", "br")):
            for _ in range(2):
                answer = self.ask(gateway, accept)
                self.assertEqual(answer.headers.get("content-encoding"), coding, accept)
                self.assertEqual(self.text_of(answer), TEXT)

    def test_small_answers_streams_and_none_where_it_is_off(self):
        self.assertNotIn("content-encoding", self.ask(self.gate(text="short"), "gzip").headers)
        gateway = self.gate()
        for _ in range(2):
            answer = self.ask(gateway, "gzip", stream=True)
            self.assertNotIn("content-encoding", answer.headers)
            self.assertIn(b"word 144", answer.body)
        off = self.gate({"listen": {"compression": {"encodings": []}}})
        for _ in range(2):
            self.assertNotIn("content-encoding", self.ask(off, "gzip").headers)

    def test_a_stream_that_was_kept_is_compressed_for_who_asks_in_one_piece(self):
        deltas = [delta(f"word {i * i} ") for i in range(1000)]
        gateway = self.gateway(self.to(self.engine(answering(lambda r: stream(*deltas, delta(finish="stop"), DONE)))))
        self.ask(gateway, "gzip", stream=True)
        answer = self.ask(gateway, "gzip")
        self.assertEqual((answer.headers["x-penstock-cache"], answer.headers["content-encoding"]),
                         ("hit; level=memory", "gzip"))
        self.assertTrue(self.text_of(answer).startswith("word 0 word 1 word 4 "))

    def test_a_large_answer_waits_for_nobody(self):
        text = TEXT * 20  # above what is compressed at once
        gateway = self.gate(text=text)
        self.assertNotIn("content-encoding", self.ask(gateway, "br").headers)
        wait_until(lambda: self.ask(gateway, "br").headers.get("content-encoding") == "br", "it is compressed", limit=60)
        self.assertEqual(self.text_of(self.ask(gateway, "br")), text)


class CompressedLevels(OnRedis):
    def test_what_is_purged_stays_so_in_every_coding(self):
        a, b = self.nodes(script=lambda request, number: plain(completion(f"{number} {TEXT}")))
        for node in (a, b):
            node.ask(headers={"accept-encoding": "gzip", "x-penstock-cache-tags": "t"})
        answer = b.ask(headers={"accept-encoding": "gzip"})
        self.assertEqual((answer.headers["content-encoding"], answer.headers["x-penstock-cache"]),
                         ("gzip", "hit; level=memory"))
        a.admin("/admin/v1/cache/purge", method="POST", body=json.dumps({"tag": "t"}).encode(),
                headers={"content-type": "application/json"})
        wait_until(lambda: b.ask(headers={"accept-encoding": "gzip"}).headers["x-penstock-cache"] == "miss", "the purge")
        self.assertTrue(json.loads(gzip.decompress(b.ask(headers={"accept-encoding": "gzip"}).body))["choices"][0][
            "message"]["content"].startswith("2 "))


class Replay(Scenario):
    def test_a_kept_stream_comes_at_once_or_as_fast_as_it_was_made(self):
        gateway = self.gateway({
            "engines": [{"name": "e", "kind": "simulated", "simulated": {
                "first_token": "300ms", "first_token_sigma": 0, "tokens_per_second": 50, "tokens": 20}}],
            "models": [{"name": "m", "engines": ["e"]}], "cache": {"answers": "all"}})

        def ask(replay, **more):
            begun = time.monotonic()
            answer = gateway.ask(headers={"x-penstock-replay": replay}, **more)
            return answer, time.monotonic() - begun

        made, took = ask("now", stream=True)
        self.assertEqual(made.headers["x-penstock-cache"], "miss")
        at_once, quick = ask("now", stream=True)
        paced, slow = ask("paced", stream=True)
        for answer in (at_once, paced):
            self.assertEqual(answer.headers["x-penstock-cache"], "hit; level=memory")
            self.assertIn("age", answer.headers)
            self.assertEqual(answer.body, made.body)
        self.assertLess(quick, took / 2)
        self.assertGreater(slow, took * 0.7)
        # It is a stream's matter alone.
        plain_one, quick = ask("paced")
        self.assertEqual(plain_one.headers["x-penstock-cache"], "hit; level=memory")
        self.assertLess(quick, took / 2)

    def test_who_leaves_ends_it_and_what_it_cannot_be_is_refused(self):
        gateway = self.gateway({
            "engines": [{"name": "e", "kind": "simulated", "simulated": {
                "first_token": "100ms", "first_token_sigma": 0, "tokens_per_second": 10, "tokens": 30}}],
            "models": [{"name": "m", "engines": ["e"]}], "cache": {"answers": "all"}})
        gateway.ask(stream=True)
        with Wire(gateway.port) as wire:
            wire.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                      b"X-Penstock-Replay: paced\r\nContent-Length: "
                      + str(len(body := json.dumps(question(stream=True)).encode())).encode() + b"\r\n\r\n" + body)
            wait_until(lambda: gateway.metric("penstock_http_requests_in_flight") == 1, "it is under way")
        wait_until(lambda: gateway.metric("penstock_http_requests_in_flight") == 0, "it has ended", limit=2)
        self.assertEqual(gateway.ask(headers={"x-penstock-replay": "slowly"}).status, 400)
