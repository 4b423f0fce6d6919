"""The program's life: start, reload, drain, and the exit codes that tell what was wrong."""

import json
import os
import signal
import socket
import threading
import time

from harness.penstock import (BASE, DONE, LAST_CHUNK, SANITIZED, Process, STREAM_HEAD, Scenario, chunk, delta,
                              merged, question, run, wait_until)


def refuses(port):
    """True if nothing listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return True
    return False


class Start(Scenario):
    def refused(self, config, code, *words, **options):
        file = self.folder / "bad.yaml"
        file.write_text(config if isinstance(config, str) else json.dumps(config))
        got, output = run("serve", "--config", file, cwd=self.folder, **options)
        self.assertEqual(got, code, output)
        for word in words:
            self.assertIn(word, output)
        self.look_at(output)

    def test_a_key_that_is_misspelt_is_named_with_its_place(self):
        self.refused("listen:\n  adress: 127.0.0.1:0\n", 2, "bad.yaml:2:3", "adress", "address")

    def test_a_feature_to_come_is_refused_by_name(self):
        self.refused("batching:\n  enabled: true\n", 2, "batching")
        self.refused("features:\n  performance_optimization: false\n", 2, "features.performance_optimization")

    def test_what_is_no_yaml_is_told_with_its_place(self):
        self.refused("listen: [\n", 2, "bad.yaml")

    def test_a_missing_file_is_told(self):
        code, output = run("serve", "--config", self.folder / "gone.yaml")
        self.assertEqual(code, 2, output)
        self.assertIn("gone.yaml", output)

    def test_a_missing_folder_is_told(self):
        config = merged(BASE, {"engines": [{"name": "d", "kind": "documents", "path": "./gone"}],
                               "models": [{"name": "d", "engines": ["d"]}]})
        self.refused(config, 2, "bad.yaml:1:", "engines[0].path", "gone")

    def test_without_a_file_a_missing_folder_is_told(self):
        code, output = run("serve", "--docs", self.folder / "gone", env={"PORT": "0"})
        self.assertIn(code, (1, 2), output)
        self.assertIn("gone", output)

    def test_a_taken_port_is_told(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            self.refused(merged(BASE, self.documents(a="# A\n")) | {"listen": {"address": address}},
                         1, address)
            self.refused(merged(BASE, self.documents(a="# A\n")) | {"admin": {"address": address}},
                         1, address)

    def test_a_second_gateway_on_the_same_port_is_told(self):
        """SO_REUSEPORT must not let two programs share a port without knowing."""
        gateway = self.gateway(self.documents(a="# A\n"))
        config = merged(gateway.config, {"listen": {"address": f"127.0.0.1:{gateway.port}"}})
        self.refused(config, 1, str(gateway.port))

    def test_off_loopback_without_authentication_is_refused(self):
        self.refused({"listen": {"address": "0.0.0.0:0"}}, 2, "allow_anonymous")
        self.refused({"admin": {"address": "0.0.0.0:0"}}, 2, "token")

    def test_an_unreadable_document_does_not_stop_the_others(self):
        settings = self.documents(a="# Good\n\nA sound passage about turbines.\n")
        (self.folder / "docs/b.md").write_bytes(b"# Bad\n\n\xff\xfe not UTF-8\n")
        os.symlink(self.folder / "nowhere", self.folder / "docs/c.md")
        gateway = self.gateway(settings)
        answer = gateway.post("/v1/chat/completions", {
            "model": "handbook", "messages": [{"role": "user", "content": "turbines"}]})
        self.assertIn("sound passage", answer.text)

    def test_it_is_ready_at_once(self):
        begin = time.monotonic()
        gateway = self.gateway(self.documents(a="# A\n"))
        wait_until(lambda: gateway.get("/readyz").status == 200, "ready")
        self.assertLess(time.monotonic() - begin, 10 if SANITIZED else 1)

    def test_the_embedded_defaults_serve_a_folder(self):
        folder = self.folder / "docs"
        folder.mkdir()
        (folder / "a.md").write_text("# Turbines\n\nThey turn.\n")
        if not refuses(8081):
            self.skipTest("the default admin port is taken on this machine")
        process = Process("serve", "--docs", folder, env={"PORT": "0"})
        self.addCleanup(process.kill)
        port = int(process.wait_for(r"listening on http://127\.0\.0\.1:(\d+)").group(1))
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: test\r\n\r\n")
            self.assertIn(b" 200 ", connection.recv(100))
        process.signal(signal.SIGINT)
        self.assertEqual(process.wait(), 0)


class Drain(Scenario):
    def held_stream(self, gateway, engine, wire):
        wire.post(question(stream=True))
        wire.until(b"one")

    def scripted(self):
        go = threading.Event()
        self.addCleanup(go.set)

        def script(call):
            call.request()
            call.send(STREAM_HEAD + chunk(delta("one")))
            go.wait(20)
            call.send(chunk(delta("two", finish="stop")) + chunk(DONE) + LAST_CHUNK)
        return self.engine(script), go

    def test_what_runs_is_finished_and_nothing_new_is_taken(self):
        engine, go = self.scripted()
        gateway = self.gateway(self.to(engine), {"listen": {"limits": {"drain": "15s"}}})
        with gateway.wire() as wire, gateway.wire() as idle:
            idle.send(b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n").answer()
            self.held_stream(gateway, engine, wire)
            gateway.signal(signal.SIGTERM)
            self.assertTrue(idle.closed(), "an idle connection is closed")
            wait_until(lambda: refuses(gateway.port), "new connections are refused")
            self.assertTrue(gateway.running())
            go.set()
            wire.until(b"[DONE]")
            self.assertEqual(gateway.wait(), 0)

    def test_readiness_goes_first(self):
        engine, go = self.scripted()
        gateway = self.gateway(self.to(engine), {"listen": {"limits": {"drain_delay": "1500ms"}}})
        self.assertEqual(gateway.get("/readyz").status, 200)
        gateway.signal(signal.SIGTERM)
        wait_until(lambda: gateway.get("/readyz").status == 503, "readiness is gone")
        self.assertEqual(gateway.get("/livez").status, 200)
        self.assertEqual(gateway.wait(), 0)

    def test_a_second_signal_ends_the_delay(self):
        engine, go = self.scripted()
        gateway = self.gateway(self.to(engine), {"listen": {"limits": {"drain_delay": "10m"}}})
        gateway.signal(signal.SIGTERM)
        wait_until(lambda: gateway.get("/readyz").status == 503, "readiness is gone")
        gateway.signal(signal.SIGTERM)
        self.assertEqual(gateway.wait(), 0)

    def test_a_stream_without_end_is_told_at_the_limit(self):
        engine, go = self.scripted()
        gateway = self.gateway(self.to(engine), {"listen": {"limits": {"drain": "300ms"}}})
        with gateway.wire() as wire:
            self.held_stream(gateway, engine, wire)
            gateway.signal(signal.SIGTERM)
            rest = wire.rest()
            self.assertIn(b'"error"', rest)
            self.assertNotIn(b"[DONE]", rest)
            self.assertEqual(gateway.wait(), 0)


class Reload(Scenario):
    def test_a_good_file_takes_effect_and_open_connections_stay(self):
        engine = self.engine()
        gateway = self.gateway(self.to(engine))
        with gateway.wire() as wire:
            self.assertEqual(wire.post(question(model="renamed")).answer().status, 404)
            settings = merged(gateway.config, {"models": [{"name": "renamed", "engines": ["e"]}]})
            gateway.write(settings)
            gateway.signal(signal.SIGHUP)
            gateway.wait_for("configuration was reloaded")
            wait_until(lambda: gateway.ask(model="renamed").status == 200, "the new model")
            self.assertEqual(wire.post(question(model="renamed")).answer().status, 200)
            self.assertEqual(gateway.ask(model="m").status, 404)
        self.assertEqual(gateway.metric("penstock_config_reloads_total", result="success"), 1)

    def test_a_bad_file_changes_nothing_and_says_why(self):
        engine = self.engine()
        gateway = self.gateway(self.to(engine))
        gateway.write("models:\n  - nmae: other\n")
        gateway.signal(signal.SIGHUP)
        gateway.wait_for("nmae")
        self.assertEqual(gateway.ask().status, 200)
        wait_until(lambda: gateway.metric("penstock_config_last_reload_successful") == 0, "the metric")
        self.assertEqual(gateway.metric("penstock_config_reloads_total", result="error"), 1)
        gateway.write(gateway.config)
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: gateway.metric("penstock_config_last_reload_successful") == 1, "the metric")

    def test_a_request_under_way_keeps_the_settings_it_began_with(self):
        go = threading.Event()

        def script(call):
            call.request()
            call.send(STREAM_HEAD + chunk(delta("one")))
            go.wait(20)
            call.send(chunk(delta(finish="stop")) + chunk(DONE) + LAST_CHUNK)
        self.addCleanup(go.set)
        engine, other = self.engine(script), self.engine()
        gateway = self.gateway(self.to(engine))
        with gateway.wire() as wire:
            wire.post(question(stream=True))
            wire.until(b"one")
            gateway.write(merged(gateway.config, {"engines": self.to(other)["engines"]}))
            gateway.signal(signal.SIGHUP)
            gateway.wait_for("configuration was reloaded")
            go.set()
            wire.until(b"[DONE]")
        self.assertEqual(gateway.ask("another").status, 200)
        self.assertEqual(len(other.calls), 1)

    def test_a_change_of_the_cache_takes_effect_for_bytes_already_known(self):
        engine = self.engine()
        gateway = self.gateway(self.to(engine))
        self.assertEqual([gateway.ask().cache for _ in range(3)], ["miss", "hit", "hit"])
        gateway.write(merged(gateway.config, {"cache": {"answers": "off"}}))
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: gateway.ask().cache == "bypass", "the cache is off")

    def test_many_reloads_under_load_lose_no_request(self):
        engine = self.engine()
        gateway = self.gateway(self.to(engine))
        stop, failures, count = threading.Event(), [], [0]

        def ask_on():
            with gateway.wire() as wire:
                while not stop.is_set():
                    answer = wire.post(question(f"question {count[0] % 50}")).answer()
                    count[0] += 1
                    if answer.status != 200:
                        failures.append(answer)
        threads = [threading.Thread(target=ask_on) for _ in range(4)]
        for thread in threads:
            thread.start()
        for i in range(20):
            settings = merged(gateway.config, {"cache": {"ttl": {"default": f"{i + 1}h"}}})
            gateway.write(settings)
            gateway.signal(signal.SIGHUP)
            wait_until(lambda n=i: gateway.metric("penstock_config_reloads_total",
                                                  result="success") == n + 1, "a reload")
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertGreater(count[0], 100)
