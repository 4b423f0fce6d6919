"""Equal questions at the same time: one call to the engine, and an answer for each."""

import threading
import time

from harness.penstock import (DONE, LAST_CHUNK, STREAM_HEAD, Scenario, chunk, completion, delta, plain,
                              question, wait_until)


class Coalescing(Scenario):
    def held(self):
        """An engine that answers when it is told to, and settings for it."""
        go = threading.Event()

        def script(call):
            while request := call.request():
                streamed = request.json.get("stream")
                if streamed:
                    call.send(STREAM_HEAD + chunk(delta("one ")))
                go.wait(20)
                call.send(chunk(delta("two ", finish="stop")) + chunk(DONE) + LAST_CHUNK if streamed
                          else plain(completion("one two ")))
        engine = self.engine(script)
        self.addCleanup(go.set)
        return engine, go

    def all_joined(self, gateway, count):
        wait_until(lambda: gateway.metric("penstock_http_requests_in_flight") == count,
                   f"{count} requests under way")

    def test_twenty_equal_questions_are_one_call(self):
        engine, go = self.held()
        gateway = self.gateway(self.to(engine))
        wires = [gateway.wire() for _ in range(20)]
        for wire in wires:
            wire.post(question())
        self.all_joined(gateway, 20)
        go.set()
        answers = [wire.answer() for wire in wires]
        self.assertEqual({a.status for a in answers}, {200})
        self.assertEqual({a.text for a in answers}, {"one two "})
        self.assertEqual(sorted(a.cache for a in answers), ["coalesced"] * 19 + ["miss"])
        self.assertEqual(len(engine.calls), 1)
        self.assertEqual(gateway.ask().cache, "hit")
        self.assertEqual(gateway.metric("penstock_cache_coalesced_requests_total"), 19)

    def test_a_follower_of_a_stream_gets_it_from_its_beginning(self):
        engine, go = self.held()
        gateway = self.gateway(self.to(engine))
        with gateway.wire() as leader, gateway.wire() as follower:
            leader.post(question(stream=True))
            leader.until(b"one ")
            follower.post(question(stream=True))
            follower.until(b"one ")  # before the engine has said the rest
            go.set()
            for wire in (leader, follower):
                wire.until(b"[DONE]")
        self.assertEqual(len(engine.calls), 1)

    def test_the_leaders_leaving_ends_nothing_while_others_wait(self):
        engine, go = self.held()
        gateway = self.gateway(self.to(engine))
        with gateway.wire() as leader, gateway.wire() as follower:
            leader.post(question())
            engine.wait_for(lambda e: e.calls, "the call")
            follower.post(question())
            self.all_joined(gateway, 2)
            leader.reset()
            self.all_joined(gateway, 1)
            go.set()
            self.assertEqual(follower.answer().text, "one two ")
        self.assertEqual(len(engine.calls), 1)

    def test_a_leader_that_fails_hands_over_to_one_follower(self):
        first = threading.Event()

        def script(call):
            request = call.request()
            if not first.is_set():
                first.set()
                self.joined.wait(20)
                call.reset()
            elif request:
                call.send(plain(completion()))
        self.joined = threading.Event()
        engine = self.engine(script)
        gateway = self.gateway(self.to(engine))
        wires = [gateway.wire() for _ in range(5)]
        for wire in wires:
            wire.post(question())
        self.all_joined(gateway, 5)
        self.joined.set()
        statuses = sorted(wire.answer().status for wire in wires)
        # Its own client is told; one of those who followed asks again, and the others follow it.
        self.assertEqual(statuses, [200, 200, 200, 200, 502])
        self.assertEqual(len(engine.calls), 2)
        self.assertEqual(gateway.ask().status, 200)
        for wire in wires:
            wire.socket.close()

    def test_an_engine_that_goes_on_failing_is_asked_twice_and_no_more(self):
        go = threading.Event()

        def script(call):
            while call.request():
                go.wait(20)
                call.send(plain(b'{"error": {"message": "broken"}}', "500 Internal Server Error"))
        engine = self.engine(script)
        gateway = self.gateway(self.to(engine))
        wires = [gateway.wire() for _ in range(8)]
        for wire in wires:
            wire.post(question())
        self.all_joined(gateway, 8)
        go.set()
        self.assertEqual([wire.answer().status for wire in wires], [500] * 8)
        self.assertEqual(len(engine.calls), 2)

    def test_a_client_that_does_not_read_holds_nobody_up(self):
        event = delta("x" * 60000)

        def script(call):
            while call.request():
                call.send(STREAM_HEAD)
                for _ in range(200):
                    call.send(chunk(event))
                call.send(chunk(delta(finish="stop")) + chunk(DONE) + LAST_CHUNK)
        engine = self.engine(script)
        gateway = self.gateway(self.to(engine), {"cache": {"memory": {"max_entry": "1MiB"}}})
        with gateway.wire() as stalled, gateway.wire() as reader:
            stalled.post(question(stream=True))
            stalled.until(b"xxx")
            reader.post(question(stream=True))
            begun = time.monotonic()
            reader.until(b"[DONE]")
            # It would be held for write_stall, 30 s.
            self.assertLess(time.monotonic() - begun, 20)

    def test_what_may_not_be_shared_is_not(self):
        engine, go = self.held()
        go.set()
        gateway = self.gateway(self.to(engine), {"cache": {"coalesce": False}})
        wires = [gateway.wire() for _ in range(4)]
        for i, wire in enumerate(wires):
            wire.post(question(f"question {i}"))
        self.assertEqual([wire.answer().status for wire in wires], [200] * 4)
        self.assertEqual(len(engine.calls), 4)

    def test_without_coalescing_each_asks_for_itself(self):
        engine, go = self.held()
        gateway = self.gateway(self.to(engine), {"cache": {"coalesce": False}})
        wires = [gateway.wire() for _ in range(3)]
        for wire in wires:
            wire.post(question())
        engine.wait_for(lambda e: len(e.calls) == 3, "three calls")
        go.set()
        self.assertEqual([wire.answer().status for wire in wires], [200] * 3)
