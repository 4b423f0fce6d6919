"""What is seen of a request, step by step: on the admin listener, by the command, and by engines."""

import json
import os
import re
import threading

from harness.penstock import (CANARY, STREAM_HEAD, Scenario, answering, chunk, completion, delta, plain, run,
                              wait_until)
from scenarios.test_errors import Told

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE = CALLER[3:35]


class Traces(Scenario):
    def trace(self, gateway, answer):
        """The trace of an answer, as the admin API has it as soon as the request has ended."""
        path = f"/admin/v1/traces/{answer.headers['x-request-id']}"
        found = wait_until(lambda: (t := gateway.admin(path)).status == 200 and t, "the request has ended")
        self.assertNotIn(CANARY.encode(), found.body)
        return found.json

    def command(self, gateway, *args, code=0):
        got, output = run("trace", *args, "--admin", f"http://127.0.0.1:{gateway.admin_port}")
        self.assertEqual(got, code, output)
        self.assertNotIn(CANARY, output)
        return output

    def names(self, trace):
        return [(span["depth"], span["name"]) for span in trace["spans"]]

    def test_a_miss_then_a_hit(self):
        gateway = self.gateway(self.to(self.engine()))
        missed = self.trace(gateway, gateway.ask(temperature=0))
        self.assertEqual(self.names(missed), [(0, "POST /v1/chat/completions"), (1, "penstock.cache.lookup"),
                                              (1, "chat m"), (2, "POST")])
        self.assertEqual([missed[k] for k in ("status", "cache", "model", "engine", "attempts", "failure")],
                         [200, "miss", "m", "e", 1, None])
        self.assertEqual(missed["spans"][1]["result"], "miss")
        self.assertEqual(missed["spans"][3]["status"], 200)
        self.assertEqual(missed["output_tokens"] > 0, True)
        for headers in ({}, {"x-request-id": "mine-1"}):
            hit = self.trace(gateway, gateway.ask(temperature=0, headers=headers))
            self.assertEqual((hit["cache"], hit["level"], hit["attempts"]), ("hit", "memory", 0))
            self.assertEqual(hit["request_id"], headers.get("x-request-id", hit["request_id"]))
            self.assertEqual(self.names(hit)[0], (0, "POST /v1/chat/completions"))

    def test_where_the_time_went_and_where_the_error_began(self):
        go_on = threading.Event()
        self.addCleanup(go_on.set)

        def script(call):
            while call.request():
                go_on.wait(0.3)
                call.send(plain(b'{"error": {"message": "broken"}}', status="500 Internal Server Error"))
        gateway = self.gateway(self.to(self.engine(script)))
        answer = gateway.ask()
        self.assertEqual(answer.status, 500)
        trace = self.trace(gateway, answer)
        self.assertEqual(trace["bottleneck"]["name"], "POST")
        self.assertGreater(trace["bottleneck"]["share"], 0.9)
        self.assertEqual(trace["failure"], {"began_in": "POST", "error": "server_error",
                                            "passed_through": ["chat m", "POST /v1/chat/completions"]})
        shown = self.command(gateway, answer.headers["x-request-id"])
        self.assertRegex(shown, r"Most of the time went into POST to e: [\d.]+ ms \(\d+ %\)\.")
        self.assertIn("The error began in POST: server_error, and passed through chat m, "
                      "POST /v1/chat/completions.", shown)
        self.assertRegex(shown, r"    POST +[\d.]+ ms  \|.*#.*\|  FAILED e, server_error, 500")
        self.assertIn(trace["trace_id"], self.command(gateway, trace["trace_id"]))

    def test_the_last_ones_are_listed(self):
        gateway = self.gateway(self.to(self.engine()), {"tracing": {"ring": 3}})
        self.assertIn("No request yet", self.command(gateway))
        for i in range(4):
            gateway.ask(f"question {i}", headers={"x-request-id": f"id-{i}"})
        self.assertEqual(gateway.post("/v1/chat/completions", {"model": "none"},
                                      headers={"x-request-id": "wrong"}).status, 400)
        wait_until(lambda: gateway.admin("/admin/v1/traces").json["traces"][0]["request_id"] == "wrong", "all ended")
        ids = [t["request_id"] for t in gateway.admin("/admin/v1/traces").json["traces"]]
        self.assertEqual(ids, ["wrong", "id-3", "id-2"])
        self.assertEqual([t["request_id"] for t in gateway.admin("/admin/v1/traces?failed=true").json["traces"]],
                         ["wrong"])
        self.assertEqual(gateway.admin("/admin/v1/traces?slow=1h&limit=2").json, {"ring": 3, "traces": []})
        lines = self.command(gateway, "--limit", "2").splitlines()
        self.assertEqual([line.split()[-1] for line in lines], ["REQUEST", "wrong", "id-3"])
        self.assertIn("missing_required_parameter", lines[1])
        self.assertEqual(json.loads(self.command(gateway, "--format", "json"))["ring"], 3)
        self.assertIn("There is no request `id-0` among the last 3",
                      self.command(gateway, "id-0", code=1))
        for bad in ("limit=0", "limit=x", "failed=1", "slow=soon", "what=1"):
            self.assertEqual(gateway.admin(f"/admin/v1/traces?{bad}").status, 400, bad)

    def test_a_message_that_was_no_request_is_there_too(self):
        gateway = self.gateway(self.to(self.engine()))
        with gateway.wire() as wire:
            wire.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-request-id: odd\r\n"
                      b"content-length: 1\r\ncontent-length: 2\r\n\r\n")
            self.assertEqual(wire.answer().status, 400)
        trace = wait_until(lambda: (t := gateway.admin("/admin/v1/traces/odd")).status == 200 and t, "seen").json
        self.assertEqual((trace["status"], trace["failure"]), (400, None))

    def test_a_stream_says_when_its_first_token_came(self):
        gateway = self.gateway(self.to(self.engine()))
        trace = self.trace(gateway, gateway.ask(stream=True))
        self.assertEqual((trace["stream"], trace["status"]), (True, 200))
        self.assertGreater(trace["first_token_ms"], 0)
        self.assertGreater(trace["spans"][-2]["first_token_ms"], 0)

    def test_a_stream_that_breaks_has_failed(self):
        def script(call):
            call.request()
            call.send(STREAM_HEAD + chunk(delta("one")))
            call.reset()
        gateway = self.gateway(self.to(self.engine(script)))
        trace = self.trace(gateway, gateway.ask(stream=True))
        self.assertEqual((trace["status"], trace["failure"]["began_in"]), (200, "POST"))

    def test_who_waits_for_anothers_call_says_whose(self):
        may = threading.Event()
        self.addCleanup(may.set)

        def make(request):
            may.wait(20)
            return plain(completion())
        gateway = self.gateway(self.to(self.engine(answering(make))))
        answers = {}

        def ask(name):
            answers[name] = gateway.ask(temperature=0, headers={"x-request-id": name})
        threads = [threading.Thread(target=ask, args=(name,)) for name in ("first", "second")]
        for i, thread in enumerate(threads):
            thread.start()
            wait_until(lambda: gateway.metric("penstock_http_requests_in_flight") == i + 1, "it is under way")
        may.set()
        for thread in threads:
            thread.join()
        leader, follower = (self.trace(gateway, answers[name]) for name in ("first", "second"))
        self.assertEqual(follower["cache"], "coalesced")
        (wait,) = [span for span in follower["spans"] if span["name"] == "penstock.coalesce.wait"]
        self.assertEqual(wait["linked_trace_id"], leader["trace_id"])
        self.assertEqual(follower["bottleneck"]["name"], "penstock.coalesce.wait")

    # ---- what goes in and out -------------------------------------------------------------------

    def told(self, settings=None, headers=None, env=None):
        """(what the engine was told, the trace)."""
        engine = self.engine()
        gateway = self.gateway(self.to(engine), settings or {}, env=env)
        answer = gateway.ask(headers=headers or {})
        return engine.calls[0].headers, self.trace(gateway, answer)

    def test_an_engine_is_told_whose_part_it_is(self):
        fields, trace = self.told()
        match = re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-00", fields["traceparent"])
        self.assertEqual(match.group(1), trace["trace_id"])
        self.assertEqual(match.group(2), trace["spans"][-1]["span_id"])

    def test_a_callers_context_goes_on_as_it_came_where_nobody_gets_our_spans(self):
        fields, trace = self.told(headers={"traceparent": CALLER, "tracestate": "a=b", "baggage": f"secret={CANARY}"})
        self.assertEqual((fields["traceparent"], fields["tracestate"]), (CALLER, "a=b"))
        self.assertNotIn("baggage", fields)
        self.assertEqual((trace["trace_id"], trace["parent_span_id"]), (TRACE, CALLER[36:52]))

    def test_a_caller_may_be_linked_or_ignored(self):
        headers = {"traceparent": CALLER, "tracestate": "a=b"}
        fields, trace = self.told({"tracing": {"incoming": "link"}}, headers)
        self.assertEqual((trace["linked_trace_id"], trace["parent_span_id"]), (TRACE, None))
        self.assertNotIn(TRACE, fields["traceparent"])
        self.assertNotIn("tracestate", fields)
        fields, trace = self.told({"tracing": {"incoming": "ignore"}}, headers)
        self.assertNotIn("linked_trace_id", trace)
        self.assertNotIn(TRACE, fields["traceparent"])

    def test_a_bad_context_is_none(self):
        fields, trace = self.told(headers={"traceparent": CALLER.upper()})
        self.assertNotEqual(trace["trace_id"], TRACE)
        self.assertIn(trace["trace_id"], fields["traceparent"])

    def test_no_propagator_tells_nobody(self):
        fields, _ = self.told(env={**os.environ, "OTEL_PROPAGATORS": "none"}, headers={"traceparent": CALLER})
        self.assertEqual(fields["traceparent"], CALLER)  # an end-to-end field like others

    def test_logs_and_the_ledger_name_the_trace(self):
        gateway = self.gateway(self.to(self.engine()), {"logging": {"access": "all"}})
        answer = gateway.ask()
        trace = self.trace(gateway, answer)
        line = gateway.wait_for(r'\{[^\n]*"request_id":"' + answer.headers["x-request-id"] + r'"[^\n]*').group()
        self.assertEqual(json.loads(line)["trace_id"], trace["trace_id"])

    # ---- the switch -----------------------------------------------------------------------------

    def test_it_can_be_turned_off(self):
        engine = self.engine()
        gateway = self.gateway(self.to(engine), {"features": {"opentelemetry_tracing": False}})
        answer = gateway.ask(headers={"traceparent": CALLER})
        self.assertEqual(engine.calls[0].headers["traceparent"], CALLER)
        gateway.ask("without")
        self.assertNotIn("traceparent", engine.calls[1].headers)
        gone = gateway.admin(f"/admin/v1/traces/{answer.headers['x-request-id']}")
        self.assertEqual(gone.status, 404)
        self.assertIn("tracing is off", gone.error["message"])
        on = gateway.admin("/admin/v1/features/opentelemetry_tracing", "PUT", body={"enabled": True})
        self.assertEqual(on.status, 200)
        self.trace(gateway, gateway.ask("again"))

    def test_the_environment_turns_it_off(self):
        gateway = self.gateway(self.to(self.engine()),
                               env={**os.environ, "OPENTELEMETRY_TRACING_ENABLED": "false"})
        gateway.ask()
        self.assertEqual(gateway.admin("/admin/v1/traces").json["traces"], [])


class TraceErrors(Scenario):
    def test_each_error_of_traces_comes_as_it_is_written(self):
        told = Told(self, "For operators: traces")
        for args in (("--format", "xml"), ("--slow", "soon"), ("x", "--failed"), ("--token", "a b")):
            with self.subTest(args):
                code, output = run("trace", *args)
                self.assertEqual(code, 2, output)
                told.take(output.splitlines()[0])
        others = [self.engine(answering(lambda _, answer=answer: answer)).url.removesuffix("/v1")
                  for answer in (plain(b"", "500 Broken"), plain(b"{}"), plain(b'{"error":{"message":"no"}}', "400 No"))]
        for url in ("http://127.0.0.1:1", *others):
            code, output = run("trace", "x", "--admin", url)
            self.assertEqual(code, 1, output)
            told.take(output.splitlines()[0])
        gateway = self.gateway(self.to(self.engine()), env={
            **os.environ, "OTEL_PROPAGATORS": "b3", "OTEL_EXPORTER_OTLP_HEADERS": "none"})
        for variable in ("OTEL_PROPAGATORS", "OTEL_EXPORTER_OTLP_HEADERS"):
            told.take(json.loads(gateway.wait_for(r'\{[^\n]*"message":"' + variable + r'[^\n]*').group())["message"])
        told.lacks_only({"traces are not exported", "traces are exported again"})  # seen in scenarios.otlp
