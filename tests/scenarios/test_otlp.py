"""What a backend of OpenTelemetry gets: each kind of request against the tree of spans that it is to be,
and what becomes of requests where the backend is away, slow, or answers with an error.
"""

import json
import os
import signal
import threading
import time

from harness.keys import bearer, make_key
from harness.otlp import Backend
from harness.penstock import (CANARY, STREAM_HEAD, Scenario, answering, chunk, completion, delta, plain, question,
                              wait_until)
from harness.postgres import Postgres
from harness.redis_server import RedisServer

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
REQUEST = "POST /v1/chat/completions"
LOOKUP = ("penstock.cache.lookup", [])
CALL = ("chat m", [("POST", [])])
QUICK = {**os.environ, "OTEL_BSP_SCHEDULE_DELAY": "50"}


class Otlp(Scenario):
    def setUp(self):
        super().setUp()
        self.backend = Backend()
        self.addCleanup(self.look_at_spans)
        self.addCleanup(self.backend.close)

    def look_at_spans(self):
        for _, headers, body in self.backend.requests:
            self.assertNotIn(CANARY.encode(), body)
            self.assertNotIn(CANARY, str(headers))

    def exporting(self, *configs, env=QUICK, **tracing):
        return self.gateway({"tracing": {"endpoint": self.backend.url, "sample": "100%", **tracing}}, *configs, env=env)

    def trace(self, answer):
        return self.backend.wait_for(answer.headers["x-request-id"])

    def tree(self, trace, *below):
        self.assertEqual(trace.tree(), (REQUEST, list(below)))
        return trace

    def has(self, span, kind, status, **attributes):
        self.assertEqual((span.kind, span.status), (kind, status), span)
        for name, value in attributes.items():
            self.assertEqual(span.attributes.get(name.replace("__", ".")), value, (name, span))

    # ---- ten golden trees -----------------------------------------------------------------------

    def test_a_memory_hit(self):
        gateway = self.exporting(self.to(self.engine()))
        gateway.ask(temperature=0)
        for _ in range(2):  # by its meaning, then by its bytes
            answer = gateway.ask(temperature=0)
        complexity = float(answer.headers["x-penstock-complexity"].partition(";")[0])
        trace = self.tree(self.trace(answer))
        self.has(trace.root, "server", "unset", http__request__method="POST", http__route="/v1/chat/completions",
                 http__response__status_code=200, penstock__cache__result="hit", penstock__cache__level="memory",
                 gen_ai__request__model="m", penstock__attempts=0, penstock__complexity=complexity)
        shown = gateway.admin("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
        self.assertIn(f'trace_id="{trace.root.trace_id}"', shown.body.decode())  # the exemplar of its duration
        self.assertEqual(self.backend.resources[0]["service.name"], "penstock")
        self.assertEqual(self.backend.scopes[0][0], "penstock")
        self.assertEqual(self.backend.requests[0][0], "/v1/traces")
        self.assertLess(abs(trace.root.begin / 1e9 - time.time()), 30)

    def test_a_redis_hit(self):
        redis = RedisServer()
        self.addCleanup(redis.close)
        config = {"cache": {"redis": {"urls": [redis.url], "timeout": "1s"}}}
        behind = self.engine()
        first = self.gateway(self.to(behind), config)
        wait_until(lambda: first.metric("penstock_redis_up") == 1, "Redis is reached")
        first.ask(temperature=0)
        wait_until(lambda: redis.ask("KEYS", "penstock:cache:*"), "it is in Redis")
        second = self.exporting(self.to(behind), config)
        wait_until(lambda: second.metric("penstock_redis_up") == 1, "Redis is reached")
        trace = self.tree(self.trace(second.ask(temperature=0)), LOOKUP,
                          ("penstock.cache.lookup", [("GET", [])]))
        self.has(trace.root, "server", "unset", penstock__cache__result="hit", penstock__cache__level="redis")
        self.has(trace.named("GET"), "client", "unset", db__system__name="redis", db__operation__name="GET")
        self.assertEqual([s.attributes["penstock.cache.result"] for s in trace.spans if s.name == LOOKUP[0]],
                         ["miss", "hit"])

    def test_a_miss(self):
        behind = self.engine()
        gateway = self.exporting(self.to(behind))
        trace = self.tree(self.trace(gateway.ask(temperature=0, max_tokens=9, headers={"traceparent": CALLER})),
                          LOOKUP, CALL)
        self.assertEqual((trace.root.trace_id, trace.root.parent_id), (CALLER[3:35], CALLER[36:52]))
        call, attempt = trace.named("chat m"), trace.named("POST")
        self.has(call, "client", "unset", gen_ai__operation__name="chat", gen_ai__provider__name="openai",
                 gen_ai__request__model="m", gen_ai__request__max_tokens=9)
        self.assertGreater(call.attributes["gen_ai.usage.output_tokens"], 0)
        port = int(behind.url.rsplit(":", 1)[1].split("/")[0])
        self.has(attempt, "client", "unset", http__request__method="POST", http__response__status_code=200,
                 penstock__engine="e", server__address="127.0.0.1", server__port=port)
        self.assertEqual(behind.calls[0].headers["traceparent"], f"00-{attempt.trace_id}-{attempt.span_id}-01")
        self.assertLessEqual(trace.root.begin, attempt.begin)
        self.assertLessEqual(attempt.end, trace.root.end)

    def test_a_stream(self):
        gateway = self.exporting(self.to(self.engine()))
        trace = self.tree(self.trace(gateway.ask(stream=True)), LOOKUP, CALL)
        self.has(trace.root, "server", "unset", penstock__stream=True, penstock__cache__result="miss")
        self.assertEqual((trace.root.events, trace.named("chat m").events), (["first_token"], ["first_token"]))

    def test_a_coalesced_request(self):
        may = threading.Event()
        self.addCleanup(may.set)

        def make(request):
            may.wait(20)
            return plain(completion())
        gateway = self.exporting(self.to(self.engine(answering(make))))
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(gateway.ask(temperature=0))) for _ in range(2)]
        for i, thread in enumerate(threads):
            thread.start()
            wait_until(lambda: gateway.metric("penstock_http_requests_in_flight") == i + 1, "it is under way")
        may.set()
        for thread in threads:
            thread.join()
        by_result = {t.root.attributes["penstock.cache.result"]: t for t in map(self.trace, answers)}
        self.tree(by_result["miss"], LOOKUP, CALL)
        followed = self.tree(by_result["coalesced"], LOOKUP, ("penstock.coalesce.wait", []))
        self.has(followed.named("penstock.coalesce.wait"), "internal", "unset")
        self.assertEqual(followed.named("penstock.coalesce.wait").links, [by_result["miss"].root.trace_id])

    def test_a_limit(self):
        gateway = self.exporting(self.to(self.engine()), {"limits": {"requests": "1/h"}})
        self.assertEqual(gateway.ask().status, 200)
        answer = gateway.ask("another")
        self.assertEqual(answer.status, 429)
        trace = self.tree(self.trace(answer))
        self.has(trace.root, "server", "unset", http__response__status_code=429, penstock__limit__decision="refused",
                 penstock__error="rate_limit_exceeded")

    def test_bad_input(self):
        gateway = self.exporting(self.to(self.engine()))
        answer = gateway.post("/v1/chat/completions", {"model": "m"})
        self.assertEqual(answer.status, 400)
        self.has(self.tree(self.trace(answer)).root, "server", "unset", http__response__status_code=400)

    def test_an_engines_error(self):
        gateway = self.exporting(self.to(self.engine(answering(
            lambda _: plain(b'{"error": {"message": "no"}}', status="503 Service Unavailable")))), sample="0%")
        trace = self.tree(self.trace(gateway.ask(temperature=0)), LOOKUP, CALL)
        self.has(trace.root, "server", "error", http__response__status_code=503)
        for name in ("chat m", "POST"):
            self.has(trace.named(name), "client", "error", error__type="503")
        self.assertEqual(trace.root.flags & 1, 0)  # kept though it was not sampled

    def test_an_engine_that_is_not_there(self):
        behind = self.engine()
        gateway = self.exporting(self.to(behind), sample="0%")
        behind.close()
        trace = self.tree(self.trace(gateway.ask(temperature=0)), LOOKUP, CALL)
        self.has(trace.root, "server", "error", http__response__status_code=503)
        self.has(trace.named("POST"), "client", "error", error__type="connect_error")

    def test_a_client_that_leaves(self):
        def script(call):
            call.request()
            call.send(STREAM_HEAD + chunk(delta("one ")))
            call.gone()
        gateway = self.exporting(self.to(self.engine(script)))
        with gateway.wire() as wire:
            wire.post(question(stream=True), headers=["x-request-id: leaver"])
            wire.until(b"one ")
        trace = self.tree(self.backend.wait_for("leaver"), LOOKUP, CALL)
        self.has(trace.root, "server", "unset", http__response__status_code=499)
        self.has(trace.named("POST"), "client", "unset")

    def test_a_database_that_is_away(self):
        postgres = Postgres()
        self.addCleanup(postgres.close)
        url = postgres.url()
        (key, _), (other, _) = (make_key(url, "acme") for _ in range(2))
        gateway = self.exporting(self.to(self.engine()), {"store": {"url": url}, "auth": {"mode": "keys"}})
        trace = self.tree(self.trace(gateway.ask(headers=bearer(key))), ("SELECT api_keys", []), LOOKUP, CALL)
        self.has(trace.named("SELECT api_keys"), "client", "unset", db__system__name="postgresql",
                 db__query__summary="SELECT api_keys")
        text = trace.named("SELECT api_keys").attributes["db.query.text"]
        self.assertRegex(text, r"^SELECT .* FROM .*api_keys.* = \$1 ")
        self.assertEqual([s.attributes["db.system.name"] for s in self.flushed_with(trace)], ["postgresql"])
        postgres.stop()
        answer = gateway.ask(headers=bearer(other))
        trace = self.trace(answer)
        self.has(trace.named("SELECT api_keys"), "client", "error", error__type="unavailable")
        self.has(trace.root, "server", "error", http__response__status_code=503)
        failed = wait_until(lambda: [s for s in self.backend.flushes() if s.status == "error"], "the rows cannot be written")
        self.assertIn(failed[0].attributes["error.type"], ("unreachable", "timeout", "exhausted", "broken"))

    # ---- rows of usage, texts -----------------------------------------------------------------------

    def flushed_with(self, trace):
        return wait_until(lambda: [s for s in self.backend.flushes() if trace.root.trace_id in s.links],
                          "the write of its row has come")

    def test_the_write_of_rows_is_told_with_whose_they_are(self):
        gateway = self.exporting(self.to(self.engine()), {"store": {"usage": {"flush": "300ms"}}})
        traces = [self.trace(gateway.ask(f"question {i}")) for i in range(3)]
        spans = {s.span_id: s for t in traces for s in self.flushed_with(t)}.values()
        self.assertEqual(sum(s.attributes["db.operation.batch.size"] for s in spans), 3)
        for span in spans:
            self.has(span, "internal", "unset", db__system__name="sqlite")
            self.assertFalse(span.parent_id)
            self.assertEqual(len(span.links), span.attributes["db.operation.batch.size"])
            self.assertGreater(span.end, span.begin)

    def test_what_nobody_keeps_has_no_write_either(self):
        gateway = self.exporting(self.to(self.engine()), sample="0%")
        gateway.ask("unseen")
        wait_until(lambda: gateway.metric("penstock_usage_records_total", result="written") >= 1, "the row is written")
        seen = self.trace(gateway.ask("seen", headers={"traceparent": CALLER}))
        self.assertEqual([s.links for s in self.flushed_with(seen)], [[CALLER[3:35]]])
        self.assertEqual(len(self.backend.flushes()), 1)

    def texts(self, span):
        return [json.loads(span.attributes[name]) for name in ("gen_ai.input.messages", "gen_ai.output.messages")]

    def test_texts_where_the_operator_wants_them(self):
        gateway = self.exporting(self.to(self.engine()), record_text=True)

        def said(role, content, **more):
            return [{"role": role, "parts": [{"type": "text", "content": content}], **more}]

        def ask(text, **more):
            return gateway.post("/v1/chat/completions", {
                "model": "m", "messages": [{"role": "user", "content": text}], **more})
        asked, answered = said("user", "Why?"), said("assistant", "Hello.", finish_reason="stop")
        for stream in (False, True):
            for place in ("chat m", REQUEST, REQUEST):  # of the call; then of the cache, by meaning and by bytes
                trace = self.trace(ask("Why?", temperature=0, stream=stream))
                if stream and place == "chat m":
                    place = REQUEST  # one answer is kept for both forms
                self.assertEqual(self.texts(trace.named(place)), [asked, answered], (stream, place))
        trace = self.trace(ask("Why not?", stream=True))
        self.assertEqual(self.texts(trace.named("chat m")), [said("user", "Why not?"), answered])

    def test_no_texts_where_nobody_asked_for_them(self):
        gateway = self.exporting(self.to(self.engine()))
        for stream in (False, True):
            trace = self.trace(gateway.ask(CANARY, stream=stream))
            self.assertFalse([s for s in trace.spans if "gen_ai.input.messages" in s.attributes])

    # ---- the keep rule, and the variables ---------------------------------------------------------

    def test_only_what_is_sampled_failed_or_slow_is_sent(self):
        go_on = threading.Event()

        def make(request):
            text = request.json["messages"][0]["content"]
            if text.startswith("slow"):
                go_on.wait(0.4)
            return plain(completion())
        gateway = self.exporting(self.to(self.engine(answering(make))), sample="0%", slow="300ms")
        gateway.ask("quick", headers={"x-request-id": "quick"})
        gateway.ask("called", headers={"x-request-id": "called", "traceparent": CALLER})
        gateway.ask("slow", headers={"x-request-id": "slow"})
        self.backend.wait_for("slow")
        self.backend.wait_for("called")
        requests = [t for t in self.backend.traces().values() if t.root.name == REQUEST]
        self.assertEqual({t.root.attributes["penstock.request_id"] for t in requests}, {"called", "slow"})
        self.assertEqual(len(gateway.admin("/admin/v1/traces").json["traces"]), 3)
        wait_until(lambda: sum(len(s.links) for s in self.backend.flushes()) == 2, "their rows' writes have come")
        wait_until(lambda: gateway.metric("penstock_telemetry_spans_total", result="exported")
                   == 8 + len(self.backend.flushes()), "all are counted")

    def test_the_variables_of_opentelemetry(self):
        gateway = self.gateway(self.to(self.engine()), env={
            **QUICK, "OTEL_EXPORTER_OTLP_ENDPOINT": self.backend.url + "/otel",
            "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=a%20b",
            "OTEL_SERVICE_NAME": "gate", "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test",
            "OTEL_TRACES_SAMPLER": "always_on"})
        self.trace(gateway.ask())
        path, headers, _ = self.backend.requests[0]
        self.assertEqual((path, headers["x-tenant"]), ("/otel/v1/traces", "a b"))
        resource = self.backend.resources[0]
        self.assertEqual((resource["service.name"], resource["deployment.environment"]), ("gate", "test"))
        self.assertTrue(resource["service.instance.id"])

    # ---- a backend in trouble -------------------------------------------------------------------

    def answered(self, gateway, count=50):
        """So many questions, each answered at once; the slowest in seconds."""
        worst = 0
        for i in range(count):
            begun = time.monotonic()
            self.assertEqual(gateway.ask(f"question {i}").status, 200)
            worst = max(worst, time.monotonic() - begun)
        return worst

    def ends_soon(self, gateway):
        begun = time.monotonic()
        gateway.signal(signal.SIGINT)
        self.assertEqual(gateway.wait(), 0, gateway.output)
        self.assertLess(time.monotonic() - begun, 2.5 if not os.environ.get("PENSTOCK_SANITIZE") else 10)

    def test_a_backend_that_is_away(self):
        gateway = self.exporting(self.to(self.engine()))
        self.backend.close()
        self.answered(gateway)
        gateway.wait_for("traces are not exported")
        wait_until(lambda: gateway.metric("penstock_telemetry_spans_total", result="failed") >= 150, "they are counted")
        self.ends_soon(gateway)

    def test_a_backend_that_does_not_answer(self):
        self.backend.hold.clear()
        gateway = self.exporting(self.to(self.engine()), env={**QUICK, "OTEL_BSP_MAX_QUEUE_SIZE": "10"})
        self.assertLess(self.answered(gateway), 2)
        wait_until(lambda: gateway.metric("penstock_telemetry_spans_total", result="dropped") > 0, "drops are counted")
        self.assertLessEqual(gateway.metric("penstock_telemetry_span_queue"), 10)
        self.ends_soon(gateway)

    def test_a_backend_that_answers_with_500_and_then_well(self):
        self.backend.status = 500
        gateway = self.exporting(self.to(self.engine()))
        self.answered(gateway, 5)
        gateway.wait_for("traces are not exported")
        self.backend.status = 200
        self.trace(gateway.ask("again"))
        gateway.wait_for("traces are exported again")

    def test_what_waits_at_the_end_is_sent(self):
        gateway = self.exporting(self.to(self.engine()), env={**QUICK, "OTEL_BSP_SCHEDULE_DELAY": "60000"})
        answer = gateway.ask()
        self.ends_soon(gateway)
        self.trace(answer)

    def test_the_start_does_not_wait_for_the_library(self):
        self.backend.hold.clear()
        gateway = self.exporting(self.to(self.engine()))
        self.assertEqual(gateway.get("/readyz").status, 200)
