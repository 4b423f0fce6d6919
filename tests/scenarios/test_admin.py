"""The operator's listener: who may use it, and what it shows."""

import contextlib
import json
import re

from harness.penstock import BASE, CANARY, SANITIZED, TOKEN, Scenario, Wire, merged, run, wait_until

# Of what exists, every series is there from the start.
METRICS = """
http_requests_total http_request_duration_seconds_bucket http_requests_in_flight
http_request_size_bytes_bucket http_response_size_bytes_bucket http_open_connections
http_connections_total http_client_aborts_total request_overhead_seconds_bucket
engine_requests_total engine_request_duration_seconds_bucket
engine_time_to_first_token_seconds_bucket engine_time_per_output_token_seconds_bucket
engine_in_flight engine_healthy engine_health_checks_total model_healthy_engines
engine_connections engine_connect_duration_seconds_bucket
stream_chunks_total stream_interruptions_total tokens_total request_tokens_bucket
cache_requests_total cache_entries cache_used_bytes cache_capacity_bytes cache_evictions_total
cache_coalesced_requests_total validation_errors_total
config_reloads_total config_last_reload_successful ready draining
metrics_series metrics_render_duration_seconds auth_requests_total
event_loop_lag_seconds_bucket worker_busy_seconds_total
ratelimit_decisions_total ratelimit_decision_duration_seconds_bucket cost_total
db_up db_pool_connections db_pool_connections_max db_pool_pending_requests
usage_records_total usage_queue_records engagement_active_users engagement_sessions_total
engagement_repeat_questions_total engagement_abandoned_total engagement_feedback_total
engagement_questions_per_session_bucket
question_complexity_ratio_bucket questions_total
""".split()


class Admin(Scenario):
    def guarded(self):
        return self.gateway(self.to(self.engine()), {"admin": {"token": TOKEN}})

    def test_health_and_metrics_are_open_and_the_api_is_not(self):
        gateway = self.guarded()
        for path in ("/livez", "/readyz", "/health", "/metrics", "/"):
            self.assertEqual(gateway.admin(path).status, 200, path)
        for path in ("/admin/v1/status", "/admin/v1/settings"):
            self.assertEqual(gateway.admin(path).status, 401, path)
            bad = gateway.admin(path, headers={"authorization": "Bearer wrong"})
            self.assertEqual(bad.status, 401, path)
            good = gateway.admin(path, headers={"authorization": f"Bearer {TOKEN}"})
            self.assertEqual(good.status, 200, path)
            self.assertNotIn(CANARY, good.body.decode())

    def test_other_web_pages_cannot_reach_it(self):
        gateway = self.gateway(self.to(self.engine()))
        own = f"http://127.0.0.1:{gateway.admin_port}"
        for headers, status in (
                ({}, 200), ({"origin": own}, 200), ({"host": "localhost"}, 200),
                ({"origin": "http://evil.example"}, 403), ({"origin": "null"}, 403),
                ({"host": "evil.example"}, 403), ({"host": f"evil.example:{gateway.admin_port}"}, 403),
                ({"sec-fetch-site": "cross-site"}, 403)):
            answer = gateway.admin("/admin/v1/status", headers=headers)
            self.assertEqual(answer.status, status, headers)

    def test_a_query_parameter_is_not_shown(self):
        gateway = self.gateway(self.to(self.engine(), query={"key": CANARY}))
        shown = gateway.admin("/admin/v1/settings").body.decode()
        self.assertIn('query: {"key": "***"}', shown)
        self.assertNotIn(CANARY, shown)

    def test_a_password_in_a_url_is_shown_nowhere(self):
        gateway = self.gateway(self.to(self.engine()))
        bad = self.to(self.engine())
        bad["engines"][0]["url"] = f"http://me:{CANARY}@127.0.0.1:1/v1"
        gateway.write(merged(BASE, bad))
        answer = gateway.admin("/admin/v1/reload", method="POST")
        self.assertEqual(answer.status, 409)
        self.assertIn("http://***@127.0.0.1:1/v1", answer.error["message"])
        self.assertIn("api_key", answer.error["message"])
        self.assertNotIn(CANARY, answer.body.decode())
        code, output = run("check", gateway.file)
        self.assertEqual(code, 2)
        self.look_at(output)  # and the log is looked at when the gateway ends

    def test_a_reload_that_fails_says_why(self):
        gateway = self.gateway(self.to(self.engine()))
        before = gateway.config
        gateway.write({**before, "listen": {**before["listen"], "limits": {"drain": "x", "body": "y"}}})
        error = gateway.admin("/admin/v1/reload", method="POST").error
        self.assertIn("listen.limits.drain", error["message"])
        self.assertIn("listen.limits.drain", error["problems"][0])

    def test_errors_name_the_request(self):
        gateway = self.gateway(self.to(self.engine()))
        for path, method in (("/nowhere", "GET"), ("/livez", "POST"), ("/livez", "GET")):
            self.assertEqual(len(gateway.admin(path, method=method).headers["x-request-id"]), 36)
            own = gateway.admin(path, method=method, headers={"x-request-id": "mine"})
            self.assertEqual(own.headers["x-request-id"], "mine")
        answer = gateway.admin("/admin/v1/reload", method="POST", body=b" " * (1 << 20 | 1))
        self.assertEqual(answer.status, 413)
        self.assertIn("x-request-id", answer.headers)
        self.assertIn("1MiB", answer.error["message"])
        self.assertNotIn("listen.limits", answer.error["message"])
        with Wire(gateway.admin_port) as wire:
            answer = wire.send(b"GET /livez HTTP/1.1\r\n\r\n").answer()
        self.assertEqual(answer.status, 400)
        self.assertRegex(answer.error["message"], r"^[A-Z].*\.$")
        self.assertIn("x-request-id", answer.headers)

    def test_another_method_is_told_which_ones_there_are(self):
        for gateway, headers in ((self.gateway(self.to(self.engine())), {}),
                                 (self.guarded(), {"authorization": f"Bearer {TOKEN}"})):
            for path, method, allow in (
                    ("/metrics", "POST", "GET, HEAD"), ("/livez", "DELETE", "GET, HEAD"),
                    ("/", "PUT", "GET, HEAD"), ("/admin/v1/status", "POST", "GET, HEAD"),
                    ("/admin/v1/reload", "GET", "POST"), ("/admin/v1/log-level/debug", "GET", "PUT")):
                answer = gateway.admin(path, method=method, headers=headers)
                self.assertEqual((answer.status, answer.headers.get("allow")), (405, allow), path)

    def test_only_whole_paths_are_taken(self):
        gateway = self.gateway(self.to(self.engine()))
        for level, status in (("debug", 200), ("loud", 400), ("foo/debug", 404), ("", 404),
                              ("debug/", 404)):
            answer = gateway.admin(f"/admin/v1/log-level/{level}", method="PUT")
            self.assertEqual(answer.status, status, level)

    def test_refused_tokens_are_logged_and_counted(self):
        gateway = self.guarded()

        def ask(**headers):
            return gateway.admin("/admin/v1/status", headers=headers).status
        self.assertEqual(ask(), 401)
        for _ in range(30):
            self.assertEqual(ask(authorization=f"Bearer wrong-{CANARY}"), 401)
        self.assertEqual(ask(authorization=f"Bearer {TOKEN}"), 200)
        for result, count in (("missing", 1), ("invalid", 30), ("success", 1)):
            self.assertEqual(gateway.metric("penstock_auth_requests_total", method="admin_token",
                                            result=result), count, result)
        told = re.compile(r'the admin token was missing or wrong.*"from":"127\.0\.0\.1:\d+".*'
                          r'"result":"(\w+)","times":(\d+)')
        # The last ones are told of too, by and by.
        wait_until(lambda: sum(int(t) for _, t in told.findall(gateway.output)) == 31, "31 told of")
        self.assertLess(len(told.findall(gateway.output)), 10)
        self.assertEqual(told.findall(gateway.output)[0], ("missing", "1"))

    def test_idle_connections_do_not_keep_a_probe_out(self):
        gateway = self.gateway(self.to(self.engine()))
        with contextlib.ExitStack() as stack:
            for _ in range(300):
                wire = stack.enter_context(Wire(gateway.admin_port))
                answer = wire.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").answer()
                self.assertEqual(answer.status, 200)
            for path in ("/livez", "/metrics"):
                self.assertEqual(gateway.admin(path).status, 200, path)

    def test_its_document_describes_what_is_there(self):
        gateway = self.gateway(self.to(self.engine()))
        document = gateway.admin("/admin/v1/openapi.json").json
        self.assertTrue(document["openapi"].startswith("3.1"))
        for path, methods in document["paths"].items():
            for operation in methods.values():
                responses = operation["responses"]
                self.assertIn("content", next(responses[one] for one in ("200", "201", "202") if one in responses), path)
            # What stands for braces must be made first: test_admin_keys.py.
            if SANITIZED and path.endswith("pprof/heap"):
                continue  # the memory is the sanitizer's
            if "get" in methods and "{" not in path:
                # A look at the CPU takes half a minute where nothing else is said.
                answer = gateway.admin(path + "?seconds=1" * path.endswith("/profile"))
                self.assertEqual(answer.status, 200, path)
                media = answer.headers["content-type"].split(";")[0]
                content = methods["get"]["responses"]["200"]["content"]
                self.assertIn(media, content, path)
                schema = document["components"]["schemas"][content[media]["schema"]["$ref"].split("/")[-1]]
                if "properties" in schema:
                    self.assertLessEqual(set(schema["required"]), set(answer.json), path)
                    self.assertLessEqual(set(answer.json), set(schema["properties"]), path)
        self.assertIn("409", document["paths"]["/admin/v1/reload"]["post"]["responses"])

        def references(value):
            if isinstance(value, dict):
                for name, inner in value.items():
                    yield from [inner] if name == "$ref" else references(inner)
            elif isinstance(value, list):
                for inner in value:
                    yield from references(inner)
        for reference in references(document):
            kind, name = reference.removeprefix("#/components/").split("/")
            self.assertIn(name, document["components"][kind])

    def test_every_metric_is_there_from_the_start(self):
        gateway = self.gateway(self.to(self.engine()))
        text = gateway.admin("/metrics").body.decode()
        missing = [name for name in METRICS if f"\npenstock_{name}" not in text]
        self.assertEqual(missing, [])
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                self.assertIn(f"# HELP {line.split()[2]} ", text)

    def test_counters_agree_with_what_was_asked(self):
        engine = self.engine()
        gateway = self.gateway(self.to(engine))
        for i in range(30):
            gateway.ask(f"question {i % 10}")
        gateway.ask(model="unknown")
        self.assertEqual(gateway.metric("penstock_http_requests_total", code="200", method="POST"), 30)
        self.assertEqual(gateway.metric("penstock_http_requests_total", code="404"), 1)
        self.assertEqual(gateway.metric("penstock_cache_requests_total", level="memory", result="hit"), 20)
        self.assertEqual(gateway.metric("penstock_cache_requests_total", level="memory", result="miss"), 10)
        self.assertEqual(gateway.metric("penstock_engine_requests_total", engine="e", outcome="success"), 10)
        self.assertEqual(gateway.metric("penstock_tokens_total", type="output"), 20)
        self.assertEqual(gateway.metric("penstock_cache_entries", level="memory"), 10)

    def test_names_from_outside_make_no_series(self):
        gateway = self.gateway(self.to(self.engine()))

        def series():
            return len(gateway.admin("/metrics").body.splitlines())
        gateway.ask(model="unknown-0")
        gateway.get("/v1/unknown/0")
        # A statement of the database has its series from when it is first asked.
        wait_until(lambda: gateway.metric("penstock_usage_records_total", result="written"), "it is written down")
        before = series()
        for i in range(300):
            gateway.ask(model=f"unknown-{i}")
        self.assertEqual(series(), before)

    def test_the_metrics_come_in_the_format_that_is_asked_for(self):
        gateway = self.gateway(self.to(self.engine()))
        plain = gateway.admin("/metrics")
        self.assertIn("text/plain", plain.headers["content-type"])
        self.assertNotIn(b"# EOF", plain.body)
        open_metrics = gateway.admin("/metrics", headers={
            "accept": "application/openmetrics-text; version=1.0.0"})
        self.assertIn("application/openmetrics-text", open_metrics.headers["content-type"])
        self.assertTrue(open_metrics.body.endswith(b"# EOF\n"))
        refused = gateway.admin("/metrics", headers={"accept": "application/openmetrics-text;q=0"})
        self.assertIn("text/plain", refused.headers["content-type"])

    def test_a_bound_on_label_values_leaves_closed_sets_alone(self):
        gateway = self.gateway(self.to(self.engine()), {"metrics": {"max_label_values": 1}})
        gateway.ask()
        self.assertEqual(gateway.metric("penstock_http_requests_total", code="200", method="POST"), 1)
        self.assertEqual(gateway.metric("penstock_engine_requests_total", engine="e", model="m",
                                        outcome="success"), 1)
        for label in ("code", "outcome", "result"):
            self.assertNotIn(f'{label}="other"', gateway.admin("/metrics").body.decode())

    def test_the_metrics_say_how_many_they_are(self):
        gateway = self.gateway(self.to(self.engine()))

        def agree():
            lines = [line for line in gateway.admin("/metrics").body.decode().splitlines()
                     if not line.startswith("#")]
            return gateway.metric("penstock_metrics_series") == len(lines)
        # It is of the scrape before: an operation of the database that is new between the two is not in it.
        wait_until(agree, "two scrapes in a row have as many")
        self.assertGreater(gateway.metric("penstock_metrics_render_duration_seconds"), 0)

    def test_the_metrics_path_does_not_hide_what_is_there(self):
        gateway = self.gateway(self.to(self.engine()))
        config = self.folder / "bad.yaml"
        paths = set(gateway.admin("/admin/v1/openapi.json").json["paths"]) - {"/metrics"}
        self.assertIn("/", paths)
        for path in (*paths, "/debug/pprof/heap"):
            config.write_text(json.dumps({"metrics": {"path": path}}))
            code, output = run("check", config)
            self.assertEqual(code, 2, path)
            self.assertIn("metrics.path", output)
            self.assertIn("has something else there", output)

    def test_a_change_is_logged_with_who(self):
        gateway = self.guarded()
        answer = gateway.admin("/admin/v1/reload", method="POST",
                               headers={"authorization": f"Bearer {TOKEN}"})
        self.assertEqual(answer.status, 200, answer)
        gateway.wait_for("127.0.0.1")
        self.assertEqual(gateway.metric("penstock_config_reloads_total", result="success"), 1)
        self.assertEqual(gateway.admin("/admin/v1/reload", method="POST").status, 401)
