"""curl, as it is on the machine."""

import json
import subprocess
import time

from harness.penstock import LIMIT, STREAM_HEAD, Scenario, chunk, delta, question


class Curl(Scenario):
    def curl(self, *args, body=None, check=True):
        done = subprocess.run(["curl", "-sS", "--noproxy", "*", "--max-time", str(LIMIT), *args],
                              input=body, capture_output=True, timeout=2 * LIMIT, check=False)
        if check:
            self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done

    def ask(self, gateway, body, *args, **more):
        return self.curl("-H", "content-type: application/json", "--data-binary", "@-", *args,
                         f"http://127.0.0.1:{gateway.port}/v1/chat/completions",
                         body=json.dumps(body).encode(), **more)

    def test_plain_answers_over_one_connection(self):
        gateway = self.gateway(self.to(self.engine()))
        url = f"http://127.0.0.1:{gateway.port}/v1/models"
        done = self.curl("-v", url, url)
        self.assertEqual(done.stdout.count(b'"object":"list"'), 2)
        self.assertRegex(done.stderr, rb"(?i)re-using existing connection")

    def test_a_stream_comes_as_it_is_made(self):
        gateway = self.gateway(self.to(self.engine()))
        done = self.ask(gateway, question(stream=True), "-N", "-i")
        self.assertIn(b"content-type: text/event-stream", done.stdout)
        self.assertTrue(done.stdout.endswith(b"data: [DONE]\n\n"), done.stdout)

    def test_a_head_is_an_answer_without_its_body(self):
        gateway = self.gateway(self.to(self.engine()))
        done = self.curl("-I", f"http://127.0.0.1:{gateway.port}/v1/models")
        self.assertTrue(done.stdout.startswith(b"HTTP/1.1 200 OK\r\n"))

    def test_a_large_question_is_announced_and_taken(self):
        gateway = self.gateway(self.to(self.engine()))
        done = self.ask(gateway, question("x" * (2 << 20)), "-v", "-H", "expect: 100-continue")
        self.assertIn(b"100 Continue", done.stderr)
        self.assertIn(b"Hello.", done.stdout)

    def test_one_that_is_too_large_is_refused_with_its_reason(self):
        gateway = self.gateway(self.to(self.engine()), {"listen": {"limits": {"body_bytes": "1MiB"}}})
        for expect in ("expect: 100-continue", "expect:"):
            done = self.ask(gateway, question("x" * (4 << 20)), "-w", "%{http_code}", "-H", expect)
            self.assertTrue(done.stdout.endswith(b"413"), done.stdout)
            self.assertIn(b"listen.limits.body_bytes", done.stdout)

    def test_a_body_in_chunks(self):
        gateway = self.gateway(self.to(self.engine()))
        done = self.ask(gateway, question(), "-H", "transfer-encoding: chunked")
        self.assertIn(b"Hello.", done.stdout)

    def test_the_old_protocol_is_spoken_too(self):
        gateway = self.gateway(self.to(self.engine()))
        self.assertIn(b"Hello.", self.ask(gateway, question(), "--http1.0").stdout)
        stream = self.ask(gateway, question(stream=True), "--http1.0", "-N").stdout
        self.assertTrue(stream.endswith(b"data: [DONE]\n\n"), stream)

    def test_an_offer_of_http2_is_passed_over(self):
        gateway = self.gateway(self.to(self.engine()))
        done = self.ask(gateway, question(), "--http2", "-w", "%{http_version}")
        self.assertTrue(done.stdout.endswith(b"1.1"), done.stdout)
        self.assertIn(b"Hello.", done.stdout)

    def test_one_that_loses_patience_ends_the_engines_call(self):
        gone = []

        def script(call):
            call.request()
            call.send(STREAM_HEAD + chunk(delta("Hel")))
            gone.append(call.gone())
        engine = self.engine(script)
        gateway = self.gateway(self.to(engine))
        begun = time.monotonic()
        done = self.ask(gateway, question(stream=True), "-N", "--max-time", "0.5", check=False)
        self.assertEqual(done.returncode, 28)
        self.assertIn(b"Hel", done.stdout)
        engine.wait_for(lambda e: gone, "the end of the call")
        self.assertLess(gone[0] - begun, LIMIT)
