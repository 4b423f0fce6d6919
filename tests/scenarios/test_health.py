"""Engines are asked in the background how they are, and their calls tell too."""

import re
import socket
import threading
import time

from harness.penstock import (KEY, Process, Scenario, answering, polite, plain, question,
                              wait_until)

QUICK = {"interval": "50ms", "timeout": "300ms", "healthy_after": 2, "unhealthy_after": 3}
OPEN = {"cache": {"answers": "off"}}


class Ward:
    """Answers checks as it is told to, and questions politely."""

    def __init__(self, **statuses):
        self.statuses = {"/health": 200, "/v1/models": 200, **statuses}

    def __call__(self, request):
        path = request.path.split("?")[0]
        if request.method != "GET":
            return polite(request)
        if self.statuses.get(path, 404) == 200:
            return plain(b"{}")
        return plain(b'{"detail": "no"}', status=f"{self.statuses.get(path, 404)} Because")


class Health(Scenario):
    def ward(self, **statuses):
        ward = Ward(**statuses)
        engine = self.engine(answering(ward))
        engine.ward = ward
        return engine

    def healthy(self, gateway, value, engine="e"):
        wait_until(lambda: gateway.metric("penstock_engine_healthy", engine=engine) == value,
                   f"penstock_engine_healthy is {value}")

    def ready(self, gateway):
        both = {gateway.get("/readyz").status, gateway.admin("/readyz").status}
        self.assertEqual(len(both), 1, "both listeners say the same")
        return both.pop() == 200

    def check(self, gateway, engine="e"):
        return gateway.admin("/health").json["checks"][f"engine:{engine}"][0]

    # ---- what is asked

    def test_health_at_the_origin_is_asked_first_and_without_credentials(self):
        engine = self.ward()
        gateway = self.gateway(self.to(engine, health={"interval": "50ms"}))
        engine.wait_for(lambda e: len(e.requests) >= 4)
        self.assertEqual({r.path for r in engine.requests}, {"/health"})
        for request in engine.requests:
            self.assertNotIn("authorization", request.headers)
            self.assertIn("penstock/", request.headers["user-agent"])
        self.assertEqual(engine.connections, 1, "one connection is kept for them")
        self.healthy(gateway, 1)
        self.assertGreaterEqual(
            gateway.metric("penstock_engine_health_checks_total", engine="e", result="success"), 3)

    def test_models_are_asked_where_there_is_no_health(self):
        for status in (301, 401, 404, 405):
            engine = self.ward(**{"/health": status})
            gateway = self.gateway(self.to(engine, query={"api-version": "1"},
                                           health={"interval": "50ms"}))
            engine.wait_for(lambda e: len(e.requests) >= 4)
            targets = [r.path for r in engine.requests]
            self.assertEqual(targets[0], "/health")
            self.assertEqual(set(targets[1:]), {"/v1/models?api-version=1"})
            self.assertEqual(engine.requests[1].headers["authorization"], f"Bearer {KEY}")
            self.healthy(gateway, 1)

    def test_one_that_tells_nothing_is_not_asked_again(self):
        for status in (401, 403, 404, 405):
            engine = self.ward(**{"/health": 404, "/v1/models": status})
            gateway = self.gateway(self.to(engine, health={"interval": "20ms"}))
            gateway.wait_for("cannot be asked how it is: its calls alone tell")
            self.assertIn(f"GET models was answered with {status}", gateway.output)
            asked = len(engine.requests)
            # Ten intervals of it.
            time.sleep(0.2)
            self.assertEqual(len(engine.requests), asked)
            self.healthy(gateway, 1)
            self.assertTrue(self.ready(gateway))

    def test_a_path_that_is_given_is_asked_alone_with_the_credentials(self):
        engine = self.ward(**{"/ready": 404})
        gateway = self.gateway(self.to(engine, query={"v": "1"}, health={**QUICK, "path": "/ready"}))
        self.healthy(gateway, 0)
        self.assertEqual({r.path for r in engine.requests}, {"/ready?v=1"})
        self.assertEqual(engine.requests[0].headers["authorization"], f"Bearer {KEY}")
        self.assertEqual(self.check(gateway)["output"], "GET /ready was answered with 404")

    def test_off_is_off(self):
        engine = self.ward()
        gateway = self.gateway(self.to(engine, health="off"), OPEN)
        self.assertEqual(gateway.ask().status, 200)
        self.assertEqual([r.method for r in engine.requests], ["POST"])
        self.healthy(gateway, 1)

    def test_the_projects_own_engine_answers(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        engine = Process("engine", "--listen", f"127.0.0.1:{port}")
        self.addCleanup(engine.kill)
        engine.wait_for("listening")
        gateway = self.gateway({
            "engines": [{"name": "e", "kind": "openai", "url": f"http://127.0.0.1:{port}/v1",
                         "health": QUICK}],
            "models": [{"name": "m", "engines": ["e"]}]})
        wait_until(lambda: gateway.metric("penstock_engine_health_checks_total", engine="e",
                                          result="success") > 2, "checks that go well")
        engine.kill()
        self.healthy(gateway, 0)
        self.assertEqual(self.check(gateway)["output"], "it cannot be reached")
        self.assertNotIn(str(port), gateway.admin("/health").body.decode())

    # ---- what follows

    def test_one_that_is_unwell_is_told_of_and_asked_all_the_same(self):
        engine = self.ward()
        gateway = self.gateway(self.to(engine, health=QUICK), OPEN)
        self.assertTrue(self.ready(gateway))
        engine.ward.statuses["/health"] = 503
        gateway.wait_for("an engine is unhealthy")
        self.healthy(gateway, 0)
        self.assertEqual(gateway.metric("penstock_model_healthy_engines", model="m"), 0)
        self.assertEqual(self.check(gateway), {"status": "fail",
                                               "output": "GET /health was answered with 503"})
        self.assertFalse(self.ready(gateway))
        self.assertEqual(gateway.get("/livez").status, 200)
        self.assertEqual(gateway.ask().status, 200, "it is the only one: it is asked all the same")
        self.assertFalse(self.ready(gateway), "one answer does not outweigh the checks")

        engine.ward.statuses["/health"] = 200
        gateway.wait_for("an engine is healthy again")
        self.healthy(gateway, 1)
        self.assertTrue(self.ready(gateway))
        self.assertEqual(gateway.metric("penstock_model_healthy_engines", model="m"), 1)
        self.assertEqual(len(re.findall("an engine is unhealthy", gateway.output)), 1)

    def test_one_that_says_nothing_is_unwell(self):
        hold = threading.Event()
        self.addCleanup(hold.set)
        engine = self.engine(lambda call: (call.request(), hold.wait(30)))
        gateway = self.gateway(self.to(engine, health={**QUICK, "timeout": "50ms"}))
        self.healthy(gateway, 0)
        self.assertEqual(self.check(gateway)["output"], "it did not answer within health.timeout")

    def test_another_engine_keeps_it_ready(self):
        engine = self.ward(**{"/health": 500})
        gateway = self.gateway(self.to(engine, health=QUICK))
        self.healthy(gateway, 0)
        self.assertFalse(self.ready(gateway))
        both = self.documents(a="# A\n\nOne.")
        config = self.to(engine, health=QUICK)
        gateway = self.gateway({"engines": config["engines"] + both["engines"],
                                "models": config["models"] + both["models"]})
        self.healthy(gateway, 0)
        wait_until(lambda: self.ready(gateway), "it is ready")
        health = gateway.admin("/health")
        self.assertEqual((health.status, health.json["status"]), (200, "warn"))
        self.assertEqual(self.check(gateway)["status"], "warn")

    # ---- calls tell too

    def test_calls_that_fail_in_a_row_make_it_suspect_but_never_unready(self):
        failing = threading.Event()
        failing.set()

        def answer(request):
            return plain(b"{}", status="500 Broken") if failing.is_set() else polite(request)

        engine = self.engine(answering(answer))
        gateway = self.gateway(self.to(engine), OPEN, {"ejection": {"consecutive": 3}})
        for _ in range(2):
            gateway.ask()
        self.healthy(gateway, 1)
        gateway.ask()
        self.healthy(gateway, 0)
        self.assertEqual(self.check(gateway), {"status": "warn", "output": "the last 3 calls failed"})
        self.assertTrue(self.ready(gateway), "calls alone never take the last engine away")
        failing.clear()
        self.assertEqual(gateway.ask().status, 200)
        self.healthy(gateway, 1)

    def test_what_is_no_fault_of_the_engine_is_not_held_against_it(self):
        over = threading.Event()
        self.addCleanup(over.set)

        def answer(request):
            if "slow" in request.json["messages"][0]["content"]:
                over.wait(30)
            return plain(b'{"error": {"message": "no"}}', status="429 Too Many")

        engine = self.engine(answering(answer))
        gateway = self.gateway(self.to(engine), OPEN, {"ejection": {"consecutive": 1}})
        self.assertEqual(gateway.ask().status, 429)
        self.assertEqual(gateway.ask("slow", headers={"x-request-timeout-ms": "50"}).status, 504)
        with gateway.wire() as wire:
            wire.post(question("slow"))
            engine.wait_for(lambda e: len(e.calls) == 3)
        wait_until(lambda: gateway.metric("penstock_engine_requests_total", engine="e",
                                          outcome="cancelled") == 1, "the call was called off")
        self.healthy(gateway, 1)

    # ---- reloads

    def test_a_reload_keeps_what_is_known_of_engines_that_stay(self):
        engine, other = self.ward(**{"/health": 503}), self.ward()
        config = self.to(engine, health=QUICK)
        gateway = self.gateway(config)
        self.healthy(gateway, 0)
        more = {**self.to(other, name="f", health=QUICK)["engines"][0]}
        gateway.write({**gateway.config, "engines": config["engines"] + [more]})
        self.assertEqual(gateway.admin("/admin/v1/reload", method="POST").status, 200)
        self.assertEqual(gateway.metric("penstock_engine_healthy", engine="e"), 0)
        self.healthy(gateway, 1, engine="f")

        # Taken out, it is not asked any more, and nothing is said of it.
        gateway.write({**gateway.config, "engines": [more],
                       "models": [{"name": "m", "engines": ["f"]}]})
        self.assertEqual(gateway.admin("/admin/v1/reload", method="POST").status, 200)
        shown = gateway.admin("/metrics").body.decode()
        self.assertIn('penstock_engine_healthy{engine="f"} 1', shown)
        self.assertNotIn('penstock_engine_healthy{engine="e"}', shown)
        self.assertTrue(self.ready(gateway))
        asked, others = len(engine.requests), len(other.requests)
        other.wait_for(lambda e: len(e.requests) >= others + 6, "several intervals")
        self.assertLessEqual(len(engine.requests), asked + 1)

        # Switched off, the verdict of the checks is no more.
        gateway.write({**gateway.config, "engines": [{**config["engines"][0], "health": "off"}]})
        self.assertEqual(gateway.admin("/admin/v1/reload", method="POST").status, 200)
        self.healthy(gateway, 1)
