"""Who asks on another gateway what is being answered follows it as it comes."""

import threading
import time

from harness.penstock import (DONE, LAST_CHUNK, STREAM_HEAD, chunk, completion, delta, plain, question,
                              wait_until)
from scenarios.test_cache_levels import OnRedis


class Live(OnRedis):
    def held(self, pieces=("one ", "two "), timeout="1s"):
        """Two gateways before an engine that says the first piece at once and the others when it may."""
        self.may = threading.Event()
        self.addCleanup(self.may.set)
        self.left = threading.Event()

        def script(call):
            while request := call.request():
                if not request.json.get("stream"):
                    self.may.wait(20)
                    call.send(plain(completion("".join(pieces))))
                    continue
                call.send(STREAM_HEAD + chunk(delta(pieces[0])))
                if self.gone_or_may(call):
                    return
                for piece in pieces[1:]:
                    call.send(chunk(delta(piece)))
                call.send(chunk(delta(finish="stop")) + chunk(DONE) + LAST_CHUNK)
        self.behind = self.engine(script)
        gateways = []
        for i in range(2):
            gateways.append(self.gateway(self.to(self.behind), {
                "cache": {"redis": {"urls": [self.redis.url], "timeout": timeout}},
                "store": {"url": f"sqlite:{self.folder}/{i}.db"}}))
        for gateway in gateways:
            wait_until(lambda g=gateway: g.metric("penstock_redis_up") == 1, "Redis is reached")
        return gateways

    def gone_or_may(self, call):
        call.wire.socket.settimeout(0.05)
        try:
            while not self.may.is_set():
                try:
                    if call.wire.socket.recv(1) == b"":
                        self.left.set()
                        return True
                except TimeoutError:
                    pass
        finally:
            call.wire.socket.settimeout(20)
        return False

    def under_way(self, gateway, count=1):
        wait_until(lambda: gateway.metric("penstock_http_requests_in_flight") == count, f"{count} under way")

    def led(self, gateway, **more):
        wire = gateway.wire()
        wire.post(question(**more))
        wait_until(lambda: self.redis.ask("KEYS", "penstock:lease:*"), "the lease is there")
        return wire

    def test_a_stream_is_followed_before_it_has_ended(self):
        a, b = self.held()
        with self.led(a, stream=True) as leader, b.wire() as follower, b.wire() as second:
            leader.until(b"one ")
            follower.post(question(stream=True))
            head = follower.until(b"one ")  # before the engine has said the rest
            self.assertIn(b"x-penstock-cache: coalesced", head)
            self.assertIn(b"text/event-stream", head)
            second.post(question(stream=True))
            second.until(b"one ")
            self.may.set()
            for wire in (leader, follower, second):
                wire.until(b"two ")
                wire.until(b"[DONE]")
        self.assertEqual(len(self.behind.calls), 1)
        self.stored()
        self.look(b.ask(), "hit; level=redis", "one two ")

    def test_a_plain_answer_is_everybodys_too(self):
        a, b = self.held()
        with self.led(a) as leader, b.wire() as follower:
            follower.post(question())
            self.under_way(b)
            self.may.set()
            for wire, cache in ((leader, "miss"), (follower, "coalesced")):
                answer = wire.answer()
                self.assertEqual((answer.text, answer.cache), ("one two ", cache))
        self.assertEqual(len(self.behind.calls), 1)

    def test_who_follows_keeps_a_call_going_that_its_client_has_left(self):
        for stream in (True, False):
            with self.subTest(stream=stream):
                a, b = self.held()
                leader = self.led(a, stream=stream)
                with b.wire() as follower:
                    follower.post(question(stream=stream))
                    if stream:
                        follower.until(b"one ")
                    else:
                        self.under_way(b)
                        wait_until(lambda: self.redis.ask("KEYS", "penstock:wanted:*"), "it is wanted")
                        time.sleep(0.3)  # and the leader knows
                    leader.reset()
                    self.under_way(a, 0)
                    time.sleep(1.5)  # a renewal of the lease, in which nothing may end
                    self.may.set()
                    if stream:
                        follower.until(b"[DONE]")
                    else:
                        self.assertEqual(follower.answer().text, "one two ")
                self.assertEqual(len(self.behind.calls), 1)
                self.redis.ask("FLUSHALL")
                self.end(a)
                self.end(b)

    def test_a_call_that_nobody_wants_any_more_ends(self):
        a, b = self.held()
        leader, follower = self.led(a, stream=True), b.wire()
        follower.post(question(stream=True))
        follower.until(b"one ")
        leader.reset()
        follower.reset()
        self.assertTrue(self.left.wait(10), "the engine is left")
        for kind in ("lease", "live", "wanted"):
            wait_until(lambda k=kind: not self.redis.ask("KEYS", f"penstock:{k}:*"), f"no {kind} is left in Redis")

    def test_a_plain_call_that_nobody_wants_any_more_ends(self):
        a, b = self.held()
        leader, follower = self.led(a), b.wire()
        follower.post(question())
        self.under_way(b)
        wait_until(lambda: self.redis.ask("KEYS", "penstock:wanted:*"), "it is wanted")
        time.sleep(0.3)
        leader.reset()
        follower.reset()
        wait_until(lambda: a.metric("penstock_engine_in_flight", engine="e") == 0, "the engine is left", 10)

    def test_who_comes_when_others_have_left_follows_too(self):
        a, b = self.held()
        with self.led(a, stream=True) as leader:
            first = b.wire()
            first.post(question(stream=True))
            first.until(b"one ")
            first.reset()
            for kind in ("live", "wanted"):
                wait_until(lambda k=kind: not self.redis.ask("KEYS", f"penstock:{k}:*"), f"no {kind} is left")
            with b.wire() as follower:
                follower.post(question(stream=True))
                follower.until(b"one ")
                self.may.set()
                for wire in (leader, follower):
                    wire.until(b"[DONE]")
        self.assertEqual(len(self.behind.calls), 1)

    def test_a_redis_that_is_slow_for_a_moment_breaks_nothing(self):
        pieces = ["one "] + [f"{number} " for number in range(40)]
        a, b = self.held(pieces, timeout="50ms")
        with self.led(a, stream=True) as leader, b.wire() as follower:
            follower.post(question(stream=True))
            follower.until(b"one ")
            for _ in range(3):
                self.redis.ask("DEBUG", "SLEEP", "0.2")
                time.sleep(0.1)
            self.may.set()
            for wire in (leader, follower):
                said = wire.until(b"[DONE]")
                self.assertEqual([f'"{number} "'.encode() in said for number in range(40)], [True] * 40)
        self.assertEqual(len(self.behind.calls), 1)

    def test_an_earlier_call_is_nobodys(self):
        """What was told of it still lies there."""
        a, b = self.held()
        for number in (1, 2):
            self.may.clear()
            with self.led(a, stream=True) as leader, b.wire() as follower:
                follower.post(question(stream=True))
                follower.until(b"one ")
                self.assertEqual(len(self.behind.calls), number)
                self.may.set()
                for wire in (leader, follower):
                    wire.until(b"[DONE]")
            self.assertTrue(self.redis.ask("KEYS", "penstock:live:*"))
            self.assertTrue(a.admin("/admin/v1/cache/purge", method="POST", body={"all": True}).json["told"])
            wait_until(lambda: not self.redis.ask("KEYS", "penstock:lease:*"), "no lease is left")

    def test_what_was_purged_meanwhile_is_asked_anew(self):
        """On the node that leads and on the other: who asks behind the purge is not given what was asked before."""
        a, b = self.held()
        with self.led(a, stream=True) as leader, b.wire() as follower, a.wire() as late, b.wire() as elsewhere:
            leader.until(b"one ")
            follower.post(question(stream=True))
            follower.until(b"one ")
            self.assertTrue(a.admin("/admin/v1/cache/purge", method="POST", body={"all": True}).json["told"])
            time.sleep(0.3)
            late.post(question(stream=True))
            elsewhere.post(question(stream=True))
            for gateway in (a, b):
                self.under_way(gateway, 2)
            self.assertEqual((late.buffer, elsewhere.buffer), (b"", b""))
            self.may.set()
            for wire in (leader, follower, late, elsewhere):
                wire.until(b"[DONE]")
        self.assertEqual(len(self.behind.calls), 2)

    def test_a_stream_whose_gateway_is_killed_says_so_and_is_asked_anew(self):
        a, b = self.held()
        leader, follower = self.led(a, stream=True), b.wire()
        follower.post(question(stream=True))
        follower.until(b"one ")
        a.kill()
        leader.reset()
        begun = time.monotonic()
        follower.until(b'"error"')
        self.assertLess(time.monotonic() - begun, 8)
        follower.reset()
        self.may.set()
        self.assertEqual(b.ask().text, "one two ")

    def test_a_redis_that_dies_meanwhile_takes_nothing_from_who_leads(self):
        a, b = self.held()
        with self.led(a, stream=True) as leader, b.wire() as follower:
            follower.post(question(stream=True))
            follower.until(b"one ")
            self.redis.kill()
            begun = time.monotonic()
            follower.until(b'"error"')
            self.assertLess(time.monotonic() - begun, 8)
            self.may.set()
            leader.until(b"[DONE]")
        self.redis.start()

    def test_a_long_one_comes_whole(self):
        pieces = ["one "] + [f"{number} " + "word " * 200 for number in range(2000)]  # 2 MB
        a, b = self.held(pieces)
        with self.led(a, stream=True) as leader, b.wire() as follower:
            follower.post(question(stream=True))
            follower.until(b"one ")
            self.may.set()
            answers = [wire.until(b"[DONE]").count(b"word ") for wire in (leader, follower)]
        self.assertEqual(answers, [400_000, 400_000])
        self.assertEqual(len(self.behind.calls), 1)
