"""deploy/haproxy/haproxy.cfg in front of two gateways: what each side notices of it, and what it does not."""

import json
import signal
import threading

from harness.haproxy import CONFIG, HAProxy
from harness.penstock import (DONE, LAST_CHUNK, LIMIT, STREAM_HEAD, Scenario, Wire, chunk, completion, delta, plain,
                              question, stream, wait_until)

DRAIN = {"listen": {"limits": {"drain_delay": "3s", "drain": "20s"}}}


class BehindHAProxy(Scenario):
    def setUp(self):
        super().setUp()
        self.go_on = threading.Event()  # what the engine waits for in the middle of a slow answer
        self.addCleanup(self.go_on.set)
        self.gone = threading.Event()  # a slow answer's call was ended from the gateway's side
        self.behind = self.engine(self.script)
        self.gateways_of = [self.gateway(self.to(self.behind), DRAIN) for _ in range(2)]
        self.proxy = HAProxy(*(gateway.port for gateway in self.gateways_of))
        self.addCleanup(self.proxy.__exit__)

    def script(self, call):
        """Answers at once; to `silent` never, and `slow` stops behind the first piece."""
        while request := call.request():
            text = request.json["messages"][0]["content"]
            if "silent" in text:
                call.gone()
                self.gone.set()
                return
            if "slow" in text:
                call.send(STREAM_HEAD + chunk(delta("first")))
                self.go_on.wait(3 * LIMIT)
                call.send(chunk(delta(" last", finish="stop")) + chunk(DONE) + LAST_CHUNK)
            elif request.json.get("stream"):
                call.send(stream(delta("Hello."), delta(finish="stop"), DONE))
            else:
                call.send(plain(completion()))

    def client(self):
        wire = Wire(self.proxy.port)
        self.addCleanup(wire.socket.close)
        return wire

    def ask(self, text, **more):
        wire = self.client()
        wire.post(question(text, **more))
        return wire.answer()

    def requests(self, gateway):
        return gateway.metric("penstock_http_requests_total", route="chat") or 0

    def test_a_client_that_leaves_before_its_answer_ends_the_engines_call(self):
        for streamed in (False, True):
            with self.subTest(streamed=streamed):
                self.gone.clear()
                wire = self.client()
                wire.post(question(f"silent {streamed}", stream=streamed))
                wait_until(lambda: any("silent " + str(streamed) in str(call.json) for call in self.behind.calls),
                           "the engine is asked")
                wire.socket.close()
                self.assertTrue(self.gone.wait(LIMIT), "the engine works for nobody")

    def test_a_streams_pieces_are_not_held_back(self):
        wire = self.client()
        wire.post(question("slow", stream=True))
        wire.until(b"first")  # the engine has no more than that until we say so
        self.go_on.set()
        wire.until(DONE)

    def test_a_gateway_that_drains_gets_nothing_new_and_finishes_what_it_has(self):
        wire = self.client()
        wire.post(question("slow", stream=True))
        wire.until(b"first")
        leaving = next(one for one in self.gateways_of if one.metric("penstock_http_requests_in_flight"))
        name = "ab"[self.gateways_of.index(leaving)]
        before = self.requests(leaving)
        leaving.signal(signal.SIGTERM)
        wait_until(lambda: name not in self.proxy.up(), "HAProxy sees that it drains")
        self.assertEqual(leaving.get("/livez").status, 200)  # whoever comes now is still let in
        answers = [self.ask(f"question {i}") for i in range(10)]
        self.assertEqual([answer.status for answer in answers], [200] * 10)
        self.assertEqual(self.requests(leaving), before)
        self.go_on.set()
        wire.until(DONE)
        self.assertEqual(leaving.wait(), 0)

    def test_without_a_gateway_a_client_gets_an_error_of_the_api(self):
        for gateway in self.gateways_of:
            gateway.signal(signal.SIGINT)
        for gateway in self.gateways_of:
            self.assertEqual(gateway.wait(), 0)
        answer = self.ask("Is anybody there?")
        self.assertEqual((answer.status, answer.error["code"]), (503, "edge_no_gateway"))
        self.assertEqual(answer.headers["retry-after"], "1")
        self.assertEqual(answer.headers["content-type"], "application/json")

    def test_every_message_of_its_own_has_the_form_of_the_api(self):
        lines = [line.strip() for line in CONFIG.read_text().splitlines()]
        said = [line for line in lines if line.startswith(("http-error ", "http-request return status 429"))]
        self.assertEqual([line.split(" status ")[1].split()[0] for line in said],
                         ["502", "503", "504", "429"])
        for line in said:
            error = json.loads(line.split(" string '")[1].rpartition("'")[0])["error"]
            self.assertEqual(sorted(error), ["code", "message", "param", "type"])
