"""Engines that fail: what the client sees, what is kept, and what becomes of the connection."""

import json
import socket
import threading
import time

from harness.penstock import (CANARY, DONE, KEY, LAST_CHUNK, SANITIZED, STREAM_HEAD, Scenario, answering,
                              chunk, completion, delta, plain, polite, question, stream)

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

# Answers that have no meaning or two; each is a 502 and the end of that connection.
GARBAGE = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "an unknown version": b"HTTP/9.9 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "Content-Length twice": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "Content-Length with a sign": OK + b"Content-Length: +2\r\n\r\n{}",
    "Content-Length with Transfer-Encoding":
        OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "an unknown transfer coding": OK + b"Transfer-Encoding: xchunked\r\n\r\n{}",
    "a bad chunk size": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}",
    "a folded field": OK + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
    "a bare LF": OK + b"X: a\nContent-Length: 2\r\n\r\n{}",
    "NUL in a value": OK + b"X: a\0b\r\nContent-Length: 2\r\n\r\n{}",
    "a head without end": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000,
    "a body that is cut off": OK + b"Content-Length: 1000\r\n\r\n{}",
    "chunks that are cut off": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}",
    "nothing": b"",
}


class Engines(Scenario):
    def test_one_that_refuses_connections_is_a_503(self):
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        gateway = self.gateway({
            "engines": [{"name": "e", "kind": "openai", "url": f"http://127.0.0.1:{port}/v1"}],
            "models": [{"name": "m", "engines": ["e"]}]})
        answer = gateway.ask()
        self.assertEqual(answer.status, 503, answer)
        self.assertEqual(set(answer.error), {"message", "type", "param", "code"})
        self.assertNotIn(str(port), answer.body.decode())
        self.assertEqual(answer.error["message"], "Engine e cannot be reached.")
        self.assertEqual(gateway.metric("penstock_engine_requests_total", outcome="connect_error"), 1)

    def test_one_whose_connections_are_all_in_use_is_a_503(self):
        engine = self.engine(lambda call: (call.request(), call.gone()))
        gateway = self.gateway(self.to(engine, connections={"max": 1}),
                               {"cache": {"answers": "off"}, "listen": {"workers": 1}})
        with gateway.wire() as wire:
            wire.post(question())
            engine.wait_for(lambda e: e.calls)
            answer = gateway.ask(headers={"x-request-timeout-ms": "200"})
        self.assertEqual(answer.status, 503)
        self.assertEqual(answer.error["message"],
                         "The gateway is at its limit: all connections to engine e are in use.")

    def test_garbage_is_a_502_and_nothing_is_kept(self):
        for name, data in GARBAGE.items():
            with self.subTest(name):
                engine = self.engine(lambda call, data=data: (call.request(), call.send(data),
                                                              call.close()))
                gateway = self.gateway(self.to(engine))
                for _ in range(2):
                    answer = gateway.ask()
                    self.assertEqual(answer.status, 502, answer)
                self.assertEqual(engine.connections, 2)
                self.assertEqual(len(engine.calls), 2)
                self.end(gateway)

    def test_bytes_behind_an_answer_never_reach_the_next_client(self):
        def script(call):
            while call.request():
                call.send(plain(completion("mine")) + plain(completion("not yours")))
        engine = self.engine(script)
        gateway = self.gateway(self.to(engine))
        for i in range(5):
            self.assertEqual(gateway.ask(f"question {i}").text, "mine")
        self.assertEqual(engine.connections, 5)

    def test_bytes_that_come_late_behind_an_answer_never_reach_the_next_client(self):
        sent = threading.Semaphore(0)

        def script(call):
            while call.request():
                call.send(plain(completion("mine")))
                call.send(plain(completion("not yours")))
                sent.release()
        engine = self.engine(script)
        gateway = self.gateway(self.to(engine))
        for i in range(20):
            self.assertEqual(gateway.ask(f"question {i}").text, "mine")
            # Once they are there. Bytes that cross the next request on their way are its answer, for
            # all that HTTP/1.1 can tell.
            self.assertTrue(sent.acquire(timeout=10))

    def test_a_connection_is_used_again_and_a_stale_one_costs_no_error(self):
        def script(call):
            # Two answers a connection, then it closes behind the gateway's back.
            for _ in range(2):
                if call.request():
                    call.send(plain(completion()))
        engine = self.engine(script)
        gateway = self.gateway(self.to(engine), {"listen": {"workers": 1}})
        for i in range(10):
            answer = gateway.ask(f"question {i}")
            self.assertEqual(answer.status, 200, answer)
        self.assertEqual(engine.connections, 5)

    def test_its_own_refusals_are_passed_on(self):
        error = json.dumps({"error": {"message": "slow down", "type": "rate_limit_error",
                                      "param": None, "code": "rate_limit_exceeded"}}).encode()
        for status, outcome in (("429 Too Many Requests", "rate_limited"),
                                ("400 Bad Request", "client_error"),
                                ("500 Internal Server Error", "server_error")):
            with self.subTest(status):
                engine = self.engine(answering(
                    lambda _, s=status: plain(error, s, ["Retry-After: 7", "X-Should-Retry: false"])))
                gateway = self.gateway(self.to(engine))
                for _ in range(2):
                    answer = gateway.ask()
                    self.assertEqual(answer.status, int(status[:3]))
                    self.assertEqual(answer.json, json.loads(error))
                    self.assertEqual(answer.headers["retry-after"], "7")
                self.assertEqual(len(engine.calls), 2, "a refusal is not kept")
                self.assertEqual(gateway.metric("penstock_engine_requests_total", outcome=outcome), 2)
                self.end(gateway)

    def test_its_refusals_become_openais_error_object(self):
        four = {"message", "type", "param", "code"}
        said = {
            "no members": (b'{"error":{"message":"bad"}}', "400 Bad Request", "bad",
                           "invalid_request_error"),
            "a string": (b'{"error":"busy"}', "429 Too Many Requests", "busy", "rate_limit_error"),
            "a detail": (b'{"detail":"Not Found"}', "404 Not Found", "Not Found",
                         "invalid_request_error"),
            "a message": (b'{"message":"no route"}', "503 Service Unavailable", "no route",
                          "server_error"),
            "HTML": (b"<h1>\x01Bad</h1>\n", "502 Bad Gateway", "<h1>\x01Bad</h1>", "server_error"),
            "nothing": (b"", "500 Internal Server Error",
                        "The engine answered with status 500.", "server_error"),
        }
        for name, (body, status, message, kind) in said.items():
            for way in ("length", "chunks"):
                def make(_, body=body, status=status, way=way):
                    if way == "length":
                        return plain(body, status, ["Retry-After: 7"])
                    return (f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nRetry-After: 7\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n").encode() + \
                        (chunk(body) if body else b"") + LAST_CHUNK
                engine = self.engine(answering(make))
                gateway = self.gateway(self.to(engine))
                for path, more in (("chat/completions", {}), ("chat/completions", {"stream": True}),
                                   ("completions", {"prompt": "x"}), ("embeddings", {"input": "x"})):
                    with self.subTest(name, way=way, path=path, **more):
                        asked = question(**more) if path.startswith("chat") else {"model": "m", **more}
                        answer = gateway.post(f"/v1/{path}", asked)
                        self.assertEqual(answer.status, int(status[:3]))
                        self.assertEqual(set(answer.error), four)
                        self.assertEqual((answer.error["message"], answer.error["type"]),
                                         (message, kind))
                        self.assertEqual(answer.headers["content-type"], "application/json")
                        self.assertEqual(answer.headers["retry-after"], "7")
                # What the gateway does not understand passes as it came.
                self.assertEqual(gateway.post("/v1/audio/speech", {"model": "m"}).body, body)
                self.end(gateway)

    def test_a_refusal_of_the_gateways_own_key_is_the_operators(self):
        error = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY[:5]}***",
                                      "type": "invalid_request_error", "param": None,
                                      "code": "invalid_api_key"}}).encode()
        for status in ("401 Unauthorized", "403 Forbidden"):
            engine = self.engine(answering(lambda _, s=status: plain(error, s)))
            for answers in ("all", "off"):
                gateway = self.gateway(self.to(engine), {"cache": {"answers": answers}})
                for stream_too in (False, True):
                    with self.subTest(status, answers=answers, stream=stream_too):
                        answer = gateway.ask(stream=stream_too)
                        self.assertEqual(answer.status, 502)
                        self.assertEqual(answer.error["code"], "engine_credentials_refused")
                        self.assertEqual(answer.error["message"],
                                         "Engine e refused the gateway's credentials.")
                self.assertEqual(gateway.post("/v1/audio/speech", {"model": "m"}).status, 502)
                line = gateway.wait_for(r".*refused the gateway's credentials.*").group(0)
                self.assertIn("api_key", line)
                self.assertIn("error", line.lower())
                self.assertNotIn("Incorrect", gateway.output)
                self.assertEqual(
                    gateway.metric("penstock_engine_requests_total", outcome="client_error"), 3)
                self.end(gateway)

    def test_what_is_no_json_is_no_success(self):
        html = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
        said = {
            "204": b"HTTP/1.1 204 No Content\r\n\r\n",
            "304": b"HTTP/1.1 304 Not Modified\r\n\r\n",
            "empty": plain(b""),
            "empty chunks": OK + b"Transfer-Encoding: chunked\r\n\r\n" + LAST_CHUNK,
            "text": plain(b"hello"),
            "an array": plain(b"[1]"),
            "the half of an object": plain(b'{"choices":['),
            "HTML": html + b"Content-Length: 4\r\n\r\n<h1>",
            "HTML in chunks":
                html + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(b" <h1>") + LAST_CHUNK,
            "much text": plain(b"x" * 1_000_000),
        }
        for name, data in said.items():
            engine = self.engine(answering(lambda _, d=data: d))
            for answers in ("all", "off"):
                gateway = self.gateway(self.to(engine), {"cache": {"answers": answers}})
                for path, more in (("chat/completions", {}), ("chat/completions", {"stream": True}),
                                   ("completions", {"prompt": "x"}), ("embeddings", {"input": "x"})):
                    with self.subTest(name, answers=answers, path=path, **more):
                        asked = question(**more) if path.startswith("chat") else {"model": "m", **more}
                        answer = gateway.post(f"/v1/{path}", asked)
                        self.assertEqual(answer.status, 502, answer)
                        self.assertEqual(answer.error["message"], "Engine e: its answer is not JSON.")
                other = gateway.post("/v1/audio/speech", {"model": "m"})
                self.assertEqual(other.status, int(data[9:12]))
                self.end(gateway)

    def test_white_space_ahead_of_a_large_answer_is_no_fault(self):
        body = b"\n" * 70_000 + completion("y" * 1_000_000)
        engine = self.engine(answering(lambda _: plain(body)))
        gateway = self.gateway(self.to(engine), {"cache": {"answers": "off"}})
        self.assertEqual(gateway.ask().body, body)

    def test_the_form_that_was_asked_for_is_made_of_the_other(self):
        events = stream(delta("Hel"), delta("lo.", "stop"), DONE)
        engine = self.engine(answering(
            lambda r: plain(completion()) if r.json.get("stream") else events))
        for answers in ("all", "off"):
            with self.subTest(answers):
                gateway = self.gateway(self.to(engine), {"cache": {"answers": answers}})
                answer = gateway.ask("one", stream=True, stream_options={"include_usage": True})
                self.assertTrue(answer.headers["content-type"].startswith("text/event-stream"))
                self.assertEqual(answer.events[-1], "[DONE]")
                self.assertEqual(json.loads(answer.events[-2])["usage"]["total_tokens"], 5)
                self.assertNotIn("usage", gateway.ask("two", stream=True).body.decode())
                answer = gateway.ask("three")
                self.assertEqual(answer.headers["content-type"], "application/json")
                self.assertEqual(answer.text, "Hello.")
                self.end(gateway)

    def test_a_stream_that_broke_is_no_plain_answer(self):
        engine = self.engine(answering(lambda _: stream(delta("Hel"))))
        for answers in ("all", "off"):
            gateway = self.gateway(self.to(engine), {"cache": {"answers": answers}})
            answer = gateway.ask()
            self.assertEqual(answer.status, 502)
            self.assertEqual(answer.error["message"], "Engine e: its stream ended without [DONE].")
            gateway.wait_for(r"engine e: its stream ended without \[DONE\]")
            self.end(gateway)

    def test_one_that_says_nothing_is_a_504(self):
        engine = self.engine(lambda call: (call.request(), call.gone()))
        gateway = self.gateway(self.to(engine, timeout={"total": "300ms"}))
        begin = time.monotonic()
        answer = gateway.ask()
        self.assertEqual(answer.status, 504)
        self.assertEqual(answer.error["message"],
                         "Engine e did not end its answer within timeout.total.")
        self.assertGreater(time.monotonic() - begin, 0.29)
        self.assertEqual(gateway.metric("penstock_engine_requests_total", outcome="timeout"), 1)
        gateway.wait_for(r"engine e did not end its answer within timeout\.total")

    def test_a_stream_that_does_not_end_in_time_says_so(self):
        engine = self.engine(lambda call: (call.request(), call.send(STREAM_HEAD + chunk(delta("x"))),
                                           call.gone()))
        for answers in ("all", "off"):
            gateway = self.gateway(self.to(engine, timeout={"total": "300ms"}),
                                   {"cache": {"answers": answers}})
            answer = gateway.ask(stream=True)
            self.assertEqual(json.loads(answer.events[-1])["error"]["message"],
                             "Engine e did not end its answer within timeout.total.")
            gateway.wait_for(r"engine e did not end its answer within timeout\.total")
            self.end(gateway)

    def test_a_stream_that_does_not_begin_in_time_is_a_504(self):
        engine = self.engine(lambda call: (call.request(), call.gone()))
        gateway = self.gateway(self.to(engine, timeout={"first_token": "300ms"}))
        self.assertEqual(gateway.ask(stream=True).status, 504)

    def test_one_that_drips_ends_at_the_total(self):
        def script(call):
            call.request()
            call.send(OK + b"Content-Length: 100000\r\n\r\n")
            while True:
                call.send(b" ")
                time_step(0.05)
        gateway = self.gateway(self.to(self.engine(script), timeout={"total": "500ms"}))
        begin = time.monotonic()
        self.assertIn(gateway.ask().status, (502, 504))
        self.assertLess(time.monotonic() - begin, 10)

    def test_the_clients_own_patience_ends_a_call(self):
        engine = self.engine(lambda call: (call.request(), call.gone()))
        gateway = self.gateway(self.to(engine))
        for headers in ({"x-request-timeout-ms": "300"}, {"x-stainless-read-timeout": "0.3"},
                        {"x-stainless-timeout": "0.3"}):
            with self.subTest(headers):
                begin = time.monotonic()
                answer = gateway.ask(f"{headers}", headers=headers)
                self.assertEqual(answer.status, 504)
                self.assertEqual(
                    answer.error["message"],
                    "Engine e did not end its answer within the time that the client gave it.")
                self.assertLess(time.monotonic() - begin, 5)

    def test_a_question_reaches_it_as_it_came(self):
        engine = self.engine()
        gateway = self.gateway(self.to(engine))
        body = (b'{ "tools" : [{"type":"function","function":{"name":"f"}}],\n "model":"m",'
                b'"messages":[{"role":"user","content":"\\u00e9 \xc3\xa9"}], "unknown":1.50,'
                b' "response_format":{"type":"json_object"},"n":2,"logprobs":true }')
        answer = gateway.request("POST", "/v1/chat/completions", body=body, headers={
            "content-type": "application/json", "authorization": f"Bearer client-{CANARY}",
            "connection": "x-hop", "x-hop": "1", "x-custom": "kept",
            "cookie": "a=b"})
        self.assertEqual(answer.status, 200)
        call = engine.calls[0]
        self.assertEqual(call.body, body)
        self.assertEqual(call.headers["authorization"], f"Bearer {KEY}")
        self.assertEqual(call.headers["x-custom"], "kept")
        self.assertEqual(call.headers["host"], f"127.0.0.1:{engine.port}")
        for dropped in ("x-hop", "cookie"):
            self.assertNotIn(dropped, call.headers)
        self.assertEqual(call.headers.get("x-request-id"), answer.headers["x-request-id"])

    def test_a_field_that_claims_to_be_the_gateways_own_is_refused(self):
        engine = self.engine()
        gateway = self.gateway(self.to(engine))
        for _ in range(3):  # also once the answer is known by the question's very bytes
            self.assertEqual(gateway.ask().status, 200)
        for name in ("x-penstock-engine", "X-Penstock-Anything", "x-penstock-" + "a" * 1000):
            answer = gateway.ask(headers={name: "http://127.0.0.1:1"})
            self.assertEqual((answer.status, answer.error["code"]), (400, "unknown_field"), answer)
            self.assertIn(name.lower()[:64], answer.error["message"])
            self.assertLess(len(answer.body), 300)
        self.assertEqual(len(engine.calls), 1)

    def test_a_model_may_have_another_name_there(self):
        engine = self.engine()
        settings = self.to(engine)
        settings["models"] = [{"name": "m", "engines": ["e"], "upstream_name": "org/real-name"}]
        gateway = self.gateway(settings)
        body = b'{"messages":[{"role":"user","content":"\\"model\\":\\"m\\""}],  "model" : "m", "n":1}'
        gateway.request("POST", "/v1/chat/completions", body=body,
                        headers={"content-type": "application/json"})
        self.assertEqual(engine.calls[0].body, body.replace(b' : "m"', b' : "org/real-name"'))

    def test_all_its_models_are_served_by_the_star(self):
        engine = self.engine()
        settings = self.to(engine)
        settings["models"] = [{"name": "*", "engines": ["e"]}]
        gateway = self.gateway(settings)
        self.assertEqual([m["id"] for m in gateway.get("/v1/models").json["data"]], ["m"])
        self.assertEqual(gateway.ask(model="any-name").status, 200)

    def test_other_paths_pass_through_untouched(self):
        replies = {"/v1/audio/speech": (b"\x00\xff\x01RIFF", "audio/wav")}

        def make(request):
            body, kind = replies.get(request.path, (request.body, "application/octet-stream"))
            return (b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
                    % (kind.encode(), len(body))) + body
        engine = self.engine(answering(make))
        gateway = self.gateway(self.to(engine))
        sound = gateway.post("/v1/audio/speech", {"model": "m", "input": "x"})
        self.assertEqual((sound.status, sound.body), (200, b"\x00\xff\x01RIFF"))
        self.assertEqual(sound.headers["content-type"], "audio/wav")
        form = (b'--XX\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
                b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
                + bytes(range(256)) * 100 + b"\r\n--XX--\r\n")
        for _ in range(2):  # never from the cache
            echo = gateway.request("POST", "/v1/audio/transcriptions?a=b", body=form, headers={
                "content-type": "multipart/form-data; boundary=XX"})
            self.assertEqual((echo.status, echo.body), (200, form))
        self.assertEqual([c.path for c in engine.calls],
                         ["/v1/audio/speech"] + ["/v1/audio/transcriptions?a=b"] * 2)
        self.assertEqual(engine.calls[1].headers["content-type"],
                         "multipart/form-data; boundary=XX")

    def test_a_large_body_passes_whole(self):
        engine = self.engine()
        gateway = self.gateway(self.to(engine))
        text = "x" * (4 if SANITIZED else 20) * 1024 * 1024
        self.assertEqual(gateway.ask(text).status, 200)
        self.assertIn(text[:1000], engine.calls[0].json["messages"][0]["content"])
        self.assertGreater(len(engine.calls[0].body), len(text))

    def test_a_large_answer_passes_whole(self):
        text = "y" * 3_000_000
        engine = self.engine(answering(lambda _: plain(completion(text))))
        gateway = self.gateway(self.to(engine))
        self.assertEqual(gateway.ask().text, text)
        self.assertEqual(gateway.ask().cache, "hit")

    def test_small_writes_to_it_are_not_held_back(self):
        """A body that comes apart from its head must not wait for an acknowledgement (40 ms)."""
        engine = self.engine()
        gateway = self.gateway(self.to(engine), {"cache": {"answers": "off"}})
        gateway.ask()
        times = []
        for _ in range(30):
            begin = time.monotonic()
            self.assertEqual(gateway.ask().status, 200)
            times.append(time.monotonic() - begin)
        self.assertLess(sorted(times)[15], 0.03)

    def test_streams_and_plain_answers_share_one_entry(self):
        engine = self.engine(answering(lambda r: polite(r)))
        gateway = self.gateway(self.to(engine))
        self.assertEqual(gateway.ask(stream=True).cache, "miss")
        whole = gateway.ask()
        self.assertEqual((whole.cache, whole.text), ("hit", "Hello."))
        self.assertEqual(gateway.ask(stream=True).cache, "hit")
        self.assertEqual(len(engine.calls), 1)

    def test_what_must_not_be_kept_is_not(self):
        cut = {
            "no finish reason": stream(delta("Hel"), delta("lo."), DONE),
            "no [DONE]": stream(delta("Hello."), delta(finish="stop")),
            "filtered": stream(delta("He"), delta(finish="content_filter"), DONE),
            "an error event": stream(delta("He"), b'data: {"error":{"message":"x"}}\n\n'),
            "cut off": STREAM_HEAD + chunk(delta("He")) + chunk(delta(finish="stop")) + chunk(DONE)[:-4],
            "plain without finish": plain(completion().replace(b'"stop"', b"null")),
            "plain and filtered": plain(completion().replace(b'"stop"', b'"content_filter"')),
            "plain and broken": plain(b'{"choices":'),
        }
        for name, data in cut.items():
            with self.subTest(name):
                engine = self.engine(lambda call, data=data: (call.request(), call.send(data),
                                                              call.close()))
                gateway = self.gateway(self.to(engine))
                for _ in range(2):
                    gateway.ask(stream=not name.startswith("plain"))
                self.assertEqual(len(engine.calls), 2)
                self.end(gateway)

    def test_only_what_is_safe_is_kept_by_default(self):
        engine = self.engine()
        gateway = self.gateway(self.to(engine), {"cache": {"answers": "safe"}})
        for more, second in (({}, "bypass"), ({"temperature": 0}, "hit"), ({"seed": 3}, "hit"),
                             ({"temperature": 0.7}, "bypass"),
                             ({"temperature": 0, "tools": [{"type": "function"}]}, "hit"),
                             ({"temperature": 0, "store": True}, "bypass")):
            with self.subTest(more):
                gateway.ask(**more)
                self.assertEqual(gateway.ask(**more).cache, second)

    def test_the_last_chunk_need_not_come_with_the_rest(self):
        def script(call):
            while call.request():
                call.send(STREAM_HEAD + chunk(delta("Hello.", finish="stop")) + chunk(DONE))
                call.send(LAST_CHUNK)
        gateway = self.gateway(self.to(self.engine(script)))
        self.assertEqual(gateway.ask(stream=True).events[-1], "[DONE]")


def time_step(seconds):
    """The pace of a scripted engine; no test waits by it."""
    time.sleep(seconds)
