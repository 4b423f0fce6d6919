"""Streamed answers: relayed as they come, held back by a slow client, ended when the client leaves."""

import json
import threading
import time

from harness.penstock import (DONE, LAST_CHUNK, SANITIZED, STREAM_HEAD, Scenario, answering, chunk,
                              delta, plain, completion, question, stream, wait_until)

# The promise is 100 ms; a sanitizer makes everything several times as slow.
SOON = 1.0 if SANITIZED else 0.1


class Streams(Scenario):
    def test_events_are_relayed_one_by_one(self):
        go = threading.Semaphore(0)

        def script(call):
            call.request()
            call.send(STREAM_HEAD)
            for i in range(5):
                go.acquire(timeout=20)
                call.send(chunk(delta(f"word{i} ")))
            call.send(chunk(delta(finish="stop")) + chunk(DONE) + LAST_CHUNK)
        gateway = self.gateway(self.to(self.engine(script)))
        with gateway.wire() as wire:
            wire.post(question(stream=True))
            for i in range(5):
                go.release()  # the next event is sent only now
                if i == 0:
                    status, fields = wire.head()
                    self.assertEqual(status, 200)
                    names = {n.lower(): v for n, v in fields}
                    self.assertEqual(names["x-accel-buffering"], "no")
                last = wire.chunk()
                self.assertIn(f"word{i}".encode(), last)
            # The end may come in the same piece as the last word.
            self.assertIn(b"[DONE]", last + wire.rest_of_chunks())

    def test_an_answer_is_byte_identical_however_it_is_cut(self):
        events = [delta("Grüße, 世界 😀"), delta("\n\"quoted\"\\"), delta(finish="stop"), DONE]
        whole = b"".join(events)

        def script(call):
            call.request()
            call.send(STREAM_HEAD)
            for byte in whole:  # inside of UTF-8 sequences too
                call.send(chunk(bytes([byte])))
            call.send(LAST_CHUNK)
        gateway = self.gateway(self.to(self.engine(script)), {"cache": {"answers": "off"}})
        answer = gateway.ask(stream=True, stream_options={"include_usage": True})
        self.assertEqual(answer.body, whole)

    def test_unknown_fields_pass_as_they_came(self):
        events = [delta("x", system_fingerprint="fp", extra={"a": [1]}),
                  b'data: {"id":"1","choices":[{"index":0,"delta":{"reasoning_content":"hm",'
                  b'"tool_calls":[{"index":0,"id":"t","function":{"arguments":"{"}}]},'
                  b'"logprobs":null,"finish_reason":null}]}\n\n',
                  b": a comment\n\n", delta(finish="stop"), DONE]

        def script(call):
            while call.request():
                call.send(stream(*events))
        gateway = self.gateway(self.to(self.engine(script)), {"cache": {"answers": "off"}})
        answer = gateway.ask(stream=True, stream_options={"include_usage": True})
        self.assertEqual(answer.body, b"".join(events))

    def test_usage_that_the_gateway_asked_for_is_taken_out_again(self):
        asked = []

        def script(call):
            while request := call.request():
                asked.append(request.json.get("stream_options"))
                call.send(stream(delta("x", usage=None), delta(finish="stop", usage=None),
                                 b'data: {"id":"1","choices":[],"usage":{"prompt_tokens":3,'
                                 b'"completion_tokens":2,"total_tokens":5}}\n\n', DONE))
        gateway = self.gateway(self.to(self.engine(script)), {"cache": {"answers": "off"}})
        answer = gateway.ask(stream=True)
        self.assertEqual(asked, [{"include_usage": True}])
        self.assertEqual(answer.events[-1], "[DONE]")
        for event in answer.events[:-1]:
            self.assertNotEqual(json.loads(event)["choices"], [])
        self.assertEqual(gateway.metric("penstock_tokens_total", type="output"), 2)

    def test_usage_that_nobody_asked_for_is_taken_out(self):
        events = (delta("x", usage=None), delta(finish="stop", usage=None),
                  b'data: {"id":"1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,'
                  b'"total_tokens":5}}\n\n', DONE)
        engine = self.engine(answering(lambda _: stream(*events)))
        for answers in ("off", "all"):
            gateway = self.gateway(self.to(engine), {"cache": {"answers": answers}})
            for options in ({"include_usage": False}, None, {}):
                with self.subTest(answers=answers, options=options):
                    answer = gateway.ask(stream=True, stream_options=options)
                    self.assertEqual(answer.events[-1], "[DONE]")
                    self.assertEqual(len(answer.events), 3)
                    self.assertNotIn("usage", answer.body.decode())
            whole = gateway.ask(stream=True, stream_options={"include_usage": True})
            self.assertEqual(whole.body, b"".join(events))
            self.end(gateway)

    def test_what_breaks_a_stream_is_told_and_never_looks_complete(self):
        begun = STREAM_HEAD + chunk(delta("one ")) + chunk(delta("two "))
        ends = {
            "a reset": lambda call: call.reset(),
            "a close in the middle of a chunk": lambda call: call.send(b"50\r\nabc"),
            "a close without the last chunk": lambda call: None,
            "an end without [DONE]": lambda call: call.send(LAST_CHUNK),
            "a bad chunk": lambda call: call.send(b"zz\r\n"),
        }
        for name, end in ends.items():
            with self.subTest(name):
                engine = self.engine(lambda call, end=end: (call.request(), call.send(begun),
                                                            end(call), call.close()))
                gateway = self.gateway(self.to(engine))
                for _ in range(2):
                    answer = gateway.ask(stream=True)
                    self.assertEqual(answer.status, 200)
                    self.assertIn("one ", answer.body.decode())
                    self.assertIn("error", json.loads(answer.events[-1]))
                    self.assertNotIn("[DONE]", answer.events)
                self.assertEqual(len(engine.calls), 2, "nothing of it is kept")
                self.end(gateway)

    def test_usage_of_a_stream_that_broke_is_counted(self):
        engine = self.engine(lambda call: (
            call.request(), call.send(STREAM_HEAD + chunk(delta("x", usage={
                "prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}))), call.reset()))
        for answers in ("off", "all"):
            gateway = self.gateway(self.to(engine), {"cache": {"answers": answers}})
            self.assertIn("error", json.loads(gateway.ask(stream=True).events[-1]))
            self.assertEqual(gateway.metric("penstock_tokens_total", type="input"), 3)
            self.assertEqual(gateway.metric("penstock_tokens_total", type="output"), 1)
            self.end(gateway)

    def test_an_answer_ends_at_done_though_the_engine_stays(self):
        events = STREAM_HEAD + chunk(delta("x")) + chunk(delta(finish="stop")) + chunk(DONE)
        behind = {"nothing": b"", "a comment": chunk(b": bye\n\n"), "a reset": None}
        for name, data in behind.items():
            for answers in ("off", "all"):
                with self.subTest(name, answers=answers):
                    def script(call, data=data):
                        call.request()
                        call.send(events)
                        if data is None:
                            call.reset()
                        else:
                            call.send(data)
                            call.gone()
                    engine = self.engine(script)
                    gateway = self.gateway(self.to(engine), {"cache": {"answers": answers}})
                    begin = time.monotonic()
                    answer = gateway.ask(stream=True)
                    self.assertLess(time.monotonic() - begin, 5)
                    self.assertEqual(answer.events[-1], "[DONE]")
                    self.assertEqual(len(answer.events), 3)
                    if answers == "all":
                        self.assertEqual(gateway.ask(stream=True).cache, "hit")
                    self.assertEqual(
                        gateway.metric("penstock_engine_requests_total", outcome="success"), 1)
                    self.end(gateway)

    def test_a_done_without_its_empty_line_is_an_event_still(self):
        whole = delta("x", finish="stop") + DONE
        for cut in (whole[:-1], whole[:-2] + b"\r\n"):
            engine = self.engine(lambda call, cut=cut: (
                call.request(), call.send(STREAM_HEAD + chunk(cut)), call.gone()))
            gateway = self.gateway(self.to(engine), {"cache": {"answers": "off"}})
            answer = gateway.ask(stream=True)
            self.assertEqual(answer.body, cut + b"\n")
            self.end(gateway)

    def test_a_last_chunk_that_comes_late_keeps_the_connection(self):
        def script(call):
            while call.request():
                call.send(STREAM_HEAD + chunk(delta("x", finish="stop")) + chunk(DONE))
                time.sleep(0.05)  # later than the answer's end at the client
                call.send(LAST_CHUNK)
        engine = self.engine(script)
        gateway = self.gateway(self.to(engine), {"cache": {"answers": "off"},
                                                 "listen": {"workers": 1}})
        for _ in range(3):
            self.assertEqual(gateway.ask(stream=True).events[-1], "[DONE]")
            wait_until(lambda: gateway.metric("penstock_engine_connections", state="idle") == 1,
                       "the connection is kept")
        self.assertEqual(engine.connections, 1)

    def test_a_stall_ends_at_its_limit(self):
        engine = self.engine(lambda call: (call.request(), call.send(STREAM_HEAD + chunk(delta("one"))),
                                           call.gone()))
        gateway = self.gateway(self.to(engine, timeout={"between_tokens": "300ms"}))
        begin = time.monotonic()
        answer = gateway.ask(stream=True)
        self.assertIn("error", json.loads(answer.events[-1]))
        self.assertNotIn("[DONE]", answer.events)
        self.assertGreater(time.monotonic() - begin, 0.29)
        self.assertLess(time.monotonic() - begin, 10)

    def test_an_event_without_end_is_capped(self):
        def script(call):
            call.request()
            call.send(STREAM_HEAD)
            for _ in range(10 * 16):
                call.send(chunk(b"x" * 65536))
            call.send(LAST_CHUNK)
        gateway = self.gateway(self.to(self.engine(script)))
        answer = gateway.ask(stream=True)
        self.assertIn("error", json.loads(answer.events[-1]))
        self.assertEqual(gateway.get("/livez").status, 200)

    def leaves(self, leave, **more):
        """How long after the client left the engine's connection was closed."""
        gone = []
        done = threading.Event()

        def script(call):
            call.request()
            if more.get("stream"):
                call.send(STREAM_HEAD + chunk(delta("one")))
            gone.append(call.gone())
            done.set()
        engine = self.engine(script)
        gateway = self.gateway(self.to(engine))
        with gateway.wire() as wire:
            wire.post(question(**more))
            engine.wait_for(lambda e: e.calls, "the question at the engine")
            if more.get("stream"):
                wire.until(b"one")
            left = time.monotonic()
            leave(wire)
            self.assertTrue(done.wait(20), "the engine's call goes on without a client")
        wait_until(lambda: gateway.metric("penstock_engine_requests_total", outcome="cancelled") == 1,
                   "the call counts as cancelled")
        return gone[0] - left

    def test_a_client_that_leaves_ends_its_call(self):
        self.assertLess(self.leaves(lambda wire: wire.socket.close()), SOON)

    def test_a_client_that_resets_ends_its_call(self):
        self.assertLess(self.leaves(lambda wire: wire.reset()), SOON)

    def test_a_client_that_leaves_in_the_middle_of_a_stream_ends_it(self):
        self.assertLess(self.leaves(lambda wire: wire.socket.close(), stream=True), SOON)

    def test_a_client_that_resets_in_the_middle_of_a_stream_ends_it(self):
        self.assertLess(self.leaves(lambda wire: wire.reset(), stream=True), SOON)

    def test_a_client_that_does_not_read_holds_the_engine_back_and_is_let_go(self):
        sent = [0]
        done = threading.Event()

        def script(call):
            call.request()
            call.send(STREAM_HEAD)
            event = chunk(delta("z" * 60000))
            try:
                for _ in range(2000):  # 120 MB
                    call.send(event)
                    sent[0] += len(event)
            finally:
                done.set()
        engine = self.engine(script)
        for answers in ("all", "off"):  # through the table of shared calls, and straight
            with self.subTest(answers):
                done.clear()
                sent[0] = 0
                gateway = self.gateway(self.to(engine), {"cache": {"answers": answers}},
                                       {"listen": {"limits": {"write_stall": "500ms"}}})
                with gateway.wire(receive_buffer=4096) as wire:
                    wire.post(question(stream=True))
                    wire.until(b"zzz")
                    self.assertTrue(done.wait(20), "the engine is never let go")
                self.assertLess(sent[0], 40_000_000)
                self.end(gateway)

    def test_fifty_streams_at_once_do_not_mix(self):
        def script(call):
            while request := call.request():
                mark = request.json["messages"][0]["content"].split()[0]
                call.send(stream(*[delta(f"{mark} ") for _ in range(20)], delta(finish="stop"), DONE))
        gateway = self.gateway(self.to(self.engine(script)))
        wires = [gateway.wire() for _ in range(50)]
        for i, wire in enumerate(wires):
            wire.post(question(f"mark{i}", stream=True))
        for i, wire in enumerate(wires):
            answer = wire.answer()
            text = "".join(json.loads(e)["choices"][0]["delta"].get("content", "")
                           for e in answer.events[:-1])
            self.assertEqual(text, f"mark{i} " * 20)
            wire.socket.close()

    def test_a_plain_answer_that_breaks_off_is_no_whole_answer(self):
        whole = plain(completion("x" * 100_000))
        engine = self.engine(lambda call: (call.request(), call.send(whole[:60_000]), call.reset()))
        gateway = self.gateway(self.to(engine))
        self.assertEqual(gateway.ask().status, 502)
