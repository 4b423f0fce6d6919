"""Bodies that come in their own time: in pieces, slowly, behind heads of every size."""

import json
import signal
import time

from harness.penstock import Scenario, answering, completion, plain, question


class Bodies(Scenario):
    def body(self, size=100):
        return json.dumps(question("x" * size)).encode()

    def test_a_body_that_comes_after_a_head_that_says_close_is_answered(self):
        gateway = self.gateway(self.to(self.engine()))
        for version, fields in (("1.1", "Connection: close\r\n"), ("1.0", ""),
                                ("1.1", "Connection: close\r\nExpect: 100-continue\r\n")):
            for size in (100, 300_000):
                with self.subTest(version=version, fields=fields, size=size), gateway.wire() as wire:
                    body = self.body(size)
                    wire.send(f"POST /v1/chat/completions HTTP/{version}\r\nHost: t\r\n"
                              f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                              f"{fields}\r\n".encode())
                    time.sleep(0.05)  # the head is to be read before the body has come
                    wire.send(body[:50])
                    time.sleep(0.05)
                    wire.send(body[50:])
                    self.assertEqual(wire.answer().status, 200)
                    self.assertTrue(wire.closed())

    def test_chunks_behind_a_head_that_says_close_are_answered(self):
        gateway = self.gateway(self.to(self.engine()))
        with gateway.wire() as wire:
            wire.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nConnection: close\r\n"
                      b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
            time.sleep(0.05)
            body = self.body()
            wire.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
            self.assertEqual(wire.answer().status, 200)

    def test_a_body_under_way_at_a_drain_is_answered(self):
        gateway = self.gateway(self.to(self.engine()))
        with gateway.wire() as wire:
            body = self.body()
            wire.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
                      b"Content-Length: %d\r\n\r\n" % len(body) + body[:-40])
            gateway.get("/livez")
            gateway.signal(signal.SIGTERM)
            time.sleep(0.3)
            wire.send(body[-40:])
            self.assertEqual(wire.answer().status, 200)
            self.assertTrue(wire.closed())
        self.assertEqual(gateway.wait(), 0)

    def test_a_body_that_drips_is_cut_off(self):
        gateway = self.gateway(self.to(self.engine()))
        with gateway.wire() as wire:
            wire.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
                      b"Content-Length: 100000\r\n\r\n")
            wire.socket.settimeout(0.2)
            begun = time.monotonic()
            while time.monotonic() < begun + 20:
                wire.send(b" ")
                try:
                    if wire.more():
                        break
                except TimeoutError:
                    pass
            self.assertIn(b" 408 ", wire.buffer[:20])
            self.assertLess(time.monotonic() - begun, 13)

    def test_a_head_of_any_size_may_have_chunks(self):
        gateway = self.gateway(self.to(self.engine(answering(lambda _: plain(completion())))))
        body = self.body()
        for size in (4095, 4096, 8192, 16384):
            head = (b"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
                    b"Transfer-Encoding: chunked\r\n")
            while len(head) < size - 2:
                left = size - 2 - len(head)
                value = min(left, 5000) - 8 if left <= 5000 or left > 5040 else 4900
                head += b"X-P: " + b"p" * (value + 1) + b"\r\n"
            head += b"\r\n"
            with self.subTest(size=size), gateway.wire() as wire:
                self.assertEqual(len(head), size)
                wire.send(head)
                time.sleep(0.05)
                wire.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
                self.assertEqual(wire.answer().status, 200)
