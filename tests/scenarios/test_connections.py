"""Connections of clients: keep-alive, pipelining, 100-continue, limits, time-outs."""

import json
import socket
import time

from harness.penstock import LIMIT, SANITIZED, Scenario, wait_until

LIVEZ = b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n"


def ask(text, *fields):
    body = json.dumps({"model": "handbook", "messages": [{"role": "user", "content": text}]}).encode()
    lines = ["POST /v1/chat/completions HTTP/1.1", "Host: test", "Content-Type: application/json",
             f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode(), body


class Connections(Scenario):
    def handbook(self, limits=None, **listen):
        return self.gateway(self.documents(a="# Metrics\n\nMetrics can be turned off.\n"),
                            {"listen": {"limits": limits or {}, **listen}})

    def test_pipelined_requests_are_answered_in_order(self):
        with self.handbook().wire() as wire:
            # Cached ones, ones that wait for an engine, health and refusals, in one write.
            wire.send(b"".join(b"".join(ask(f"metrics {i % 7}", f"X-Request-Id: r{i}"))
                               + LIVEZ for i in range(50)))
            for i in range(50):
                answer = wire.answer()
                self.assertEqual((answer.status, answer.headers["x-request-id"]), (200, f"r{i}"))
                self.assertEqual(wire.answer().json["status"], "pass")

    def test_a_connection_is_kept_unless_one_side_says_otherwise(self):
        gateway = self.handbook()
        with gateway.wire() as wire:
            for _ in range(3):
                self.assertEqual(wire.send(LIVEZ).answer().status, 200)
            wire.send(b"GET /livez HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            self.assertEqual(wire.answer().headers["connection"].lower(), "close")
            self.assertTrue(wire.closed())
        with gateway.wire() as wire:
            wire.send(b"GET /livez HTTP/1.0\r\n\r\n")
            self.assertEqual(wire.answer().status, 200)
            self.assertTrue(wire.closed())

    def test_the_answer_to_head_has_no_body(self):
        with self.handbook().wire() as wire:
            wire.send(b"HEAD /livez HTTP/1.1\r\nHost: test\r\n\r\n" + LIVEZ)
            status, fields = wire.head()
            self.assertEqual(status, 200)
            self.assertIn("content-length", [n.lower() for n, _ in fields])
            self.assertEqual(wire.answer().json["status"], "pass")

    def test_a_client_that_waits_for_100_continue_gets_it(self):
        with self.handbook().wire() as wire:
            head, body = ask("metrics", "Expect: 100-continue")
            wire.send(head)
            self.assertEqual(wire.head()[0], 100)
            self.assertEqual(wire.send(body).answer().status, 200)

    def test_a_client_whose_body_is_refused_gets_no_100(self):
        with self.handbook({"body_bytes": "1KiB"}).wire() as wire:
            wire.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\n"
                      b"Content-Length: 4096\r\nExpect: 100-continue\r\n\r\n")
            self.assertEqual(wire.head()[0], 413)

    def test_what_is_too_large_is_refused_even_while_the_client_sends(self):
        gateway = self.handbook({"body_bytes": "64KiB", "header_bytes": "16KiB", "headers": 20})
        many = b"".join(b"X-%d: y\r\n" % i for i in range(30))
        large = {
            "a long line": (b"GET /livez HTTP/1.1\r\nHost: test\r\nX: " + b"x" * 9000 + b"\r\n\r\n", 431),
            "a long target": (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: test\r\n\r\n", 431),
            "a long head": (b"GET /livez HTTP/1.1\r\nHost: test\r\n"
                            + b"".join(b"X-%d: %s\r\n" % (i, b"x" * 4000) for i in range(5)) + b"\r\n", 431),
            "many fields": (b"GET /livez HTTP/1.1\r\nHost: test\r\n" + many + b"\r\n", 431),
            "a head without end": (b"GET /livez HTTP/1.1\r\nHost: test\r\nX: " + b"x" * 1_000_000, 431),
            "a long body": (b"POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\n"
                            b"Content-Length: 1000000\r\n\r\n" + b"x" * 1_000_000, 413),
            "a long chunked body": (b"POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\n"
                                    b"Transfer-Encoding: chunked\r\n\r\n"
                                    + (b"2000\r\n" + b"x" * 0x2000 + b"\r\n") * 100 + b"0\r\n\r\n", 413),
        }
        for name, (data, status) in large.items():
            with self.subTest(name), gateway.wire() as wire:
                # The answer must arrive though the client is still sending: a lingering close.
                wire.send(data)
                answer = wire.answer()
                self.assertEqual(answer.status, status, answer)
                self.assertTrue(wire.closed())
        self.assertEqual(gateway.get("/livez").status, 200)

    def test_heads_and_bodies_that_do_not_come_get_408(self):
        gateway = self.handbook({"first_header": "300ms", "body": "300ms"})
        late = {
            "nothing at all": b"",
            "half a head": b"GET /livez HTTP/1.1\r\nHost: te",
            "no body": ask("metrics")[0],
            "half a body": ask("metrics")[0] + b"{",
            "half a chunk": b"POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\n"
                            b"Transfer-Encoding: chunked\r\n\r\n10\r\nabc",
        }
        for name, data in late.items():
            with self.subTest(name), gateway.wire() as wire:
                begin = time.monotonic()
                answer = wire.send(data).answer()
                self.assertEqual(answer.status, 408)
                self.assertTrue(wire.closed())
                self.assertGreaterEqual(time.monotonic() - begin, 0.29)

    def test_a_slow_head_has_no_more_time_for_coming_in_pieces(self):
        with self.handbook({"first_header": "500ms"}).wire() as wire:
            begin = time.monotonic()
            wire.socket.settimeout(0.05)
            wire.send(b"GET /livez HTTP/1.1\r\n")
            while b"\r\n\r\n" not in wire.buffer and time.monotonic() - begin < LIMIT:
                try:
                    wire.send(b"X: y\r\n")
                    wire.more()
                except TimeoutError:
                    pass
            self.assertEqual(wire.head()[0], 408)
            self.assertLess(time.monotonic() - begin, LIMIT / 2)

    def test_an_idle_connection_is_closed_without_a_word(self):
        with self.handbook({"idle": "200ms"}).wire() as wire:
            self.assertEqual(wire.send(LIVEZ).answer().status, 200)
            self.assertTrue(wire.closed())

    def test_over_the_limit_of_connections_new_ones_wait(self):
        gateway = self.handbook({"connections": 4}, workers=1)
        wires = [gateway.wire() for _ in range(5)]
        try:
            for wire in wires[:4]:
                self.assertEqual(wire.send(LIVEZ).answer().status, 200)
            wires[4].send(LIVEZ)
            wires[4].socket.settimeout(0.3)
            with self.assertRaises(TimeoutError):
                wires[4].head()
            wires[0].socket.close()
            wires[4].socket.settimeout(LIMIT)
            self.assertEqual(wires[4].answer().status, 200)
        finally:
            for wire in wires:
                wire.socket.close()

    def test_one_slow_client_does_not_hold_up_another(self):
        gateway = self.handbook(workers=1)
        with gateway.wire() as slow, gateway.wire() as quick:
            slow.send(ask("metrics")[0])
            begin = time.monotonic()
            self.assertEqual(quick.send(LIVEZ).answer().status, 200)
            self.assertLess(time.monotonic() - begin, 2 if SANITIZED else 0.5)

    def test_a_thousand_connections_that_come_and_go_leave_nothing_behind(self):
        gateway = self.handbook()
        for _ in range(10):
            wires = [gateway.wire() for _ in range(100)]
            for i, wire in enumerate(wires):
                wire.send(LIVEZ if i % 2 else LIVEZ[:20])
            for i, wire in enumerate(wires):
                if i % 2:
                    self.assertEqual(wire.answer().status, 200)
                wire.reset()
        self.assertEqual(gateway.get("/livez").status, 200)

        def open_connections():
            return gateway.metric("penstock_http_open_connections", protocol="http/1.1") or 0
        wait_until(lambda: open_connections() <= 1, "connections are given back")

    def test_small_answers_are_not_held_back(self):
        """Nagle's algorithm against delayed acknowledgements shows as 40 ms between two writes."""
        gateway = self.handbook()
        with gateway.wire() as wire:
            wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
            times = []
            for _ in range(50):
                begin = time.monotonic()
                self.assertEqual(wire.send(LIVEZ).answer().status, 200)
                times.append(time.monotonic() - begin)
            self.assertLess(sorted(times)[25], 0.02)
