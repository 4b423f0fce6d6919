"""The command line: help that is worth reading, checks, the simulated engine, asking, load."""

import json
import os
import pty
import select
import signal
import socket
import subprocess

from harness.penstock import (DONE, LIMIT, PROGRAM, Process, Scenario, answering, delta, plain,
                              question, run, stream)


class Commands(Scenario):
    def test_help_names_every_command_and_each_has_its_own(self):
        code, output = run("--help")
        self.assertEqual(code, 0)
        for command in ("serve", "check", "settings", "engine", "ask", "load"):
            self.assertIn(command, output)
            code, own = run(command, "--help")
            self.assertEqual(code, 0)
            self.assertGreater(len(own), 200, own)

    def test_a_wrong_command_line_is_code_2(self):
        for args in ((), ("nonsense",), ("serve", "--nonsense"), ("ask",), ("check",)):
            with self.subTest(args):
                code, output = run(*args)
                self.assertEqual(code, 2, output)
                self.assertTrue(output)

    def test_help_is_told_by_word_too_and_fits_a_terminal(self):
        self.assertEqual(run("help"), run("--help"))
        for command in ("serve", "check", "settings", "engine", "ask", "load", "help"):
            with self.subTest(command):
                code, output = run("help", command)
                self.assertEqual((code, output), run(command, "--help"))
                self.assertLessEqual(max(map(len, output.splitlines())), 100)
                self.assertNotRegex(output, r"REQUIRED|Excludes|:INT|UINT|TEXT|First steps")
        self.assertIn("[simulated]", run("engine", "--help")[1])
        code, output = run()
        self.assertEqual((code, output), (2, run("--help")[1]))

    def test_a_wrong_command_line_is_told_what_is_wrong_and_what_was_meant(self):
        for args, words in ((("serv",), 'unknown command "serv"; did you mean serve?'),
                            (("foo",), 'unknown command "foo"; there are serve, check'),
                            (("help", "laod"), "did you mean load?"),
                            (("--config", "x"), "`penstock serve --config`"),
                            (("serve", "--confg", "x"), "unknown option --confg; did you mean --config?"),
                            (("serve", "x"), '"x" is one word too many'),
                            (("ask", "how", "do", "I"), "put the question in quotes"),
                            (("ask",), "QUESTION is missing"),
                            (("ask", "--model", "a", "--model", "b", "c"), "--model is given 2 times"),
                            (("load", "--model", "a", "--model", "b"), "--model is given 2 times"),
                            (("load", "--connections", "x"),
                             '--connections takes a whole number, not "x"'),
                            (("load", "--zipf", "x"), '--zipf cannot be "x"'),
                            (("engine", "--seed", "-1"), '--seed takes a whole number, not "-1"'),
                            (("load", "--unique", "--questions", "5"), "cannot be given together"),
                            (("load", "--file", "/nowhere"), '"/nowhere" cannot be read: No such'),
                            (("serve", "--docs", ""), "--docs is empty"),
                            (("load", "--rate"), "--rate needs a value"),
                            (("engine", "--tokens", "0"), "--tokens must be at least 1"),
                            (("engine", "--sigma", "-1"), "--sigma must not be negative"),
                            (("engine", "--sigma", "nan"), "--sigma must not be negative"),
                            (("engine", "--tokens-per-second", "-1"), "--tokens-per-second must not")):
            with self.subTest(args):
                code, output = run(*args)
                self.assertEqual(code, 2, output)
                self.assertIn(words, output)

    def test_the_version_is_told(self):
        code, output = run("--version")
        self.assertEqual(code, 0)
        self.assertRegex(output, r"\d+\.\d+\.\d+")

    def test_check_prints_every_error_with_its_place(self):
        good = self.folder / "good.yaml"
        good.write_text("listen:\n  address: 127.0.0.1:0\n")
        self.assertEqual(run("check", good, cwd=self.folder)[0], 0)
        bad = self.folder / "bad.yaml"
        bad.write_text("listen:\n  adress: 127.0.0.1:0\n  limits:\n    body: fast\n"
                       "cache:\n  answers: sometimes\n")
        code, output = run("check", bad)
        self.assertEqual(code, 2, output)
        for words in (("bad.yaml:2:3", "address"), ("bad.yaml:4:", "body"),
                      ("bad.yaml:6:", "safe", "all", "off")):
            line = next((l for l in output.splitlines() if words[0] in l), "")
            for word in words:
                self.assertIn(word, line, output)

    def test_settings_are_printed_as_reference_and_schema(self):
        code, output = run("settings")
        self.assertEqual(code, 0)
        for key in ("listen.limits.body_bytes", "cache.answers", "engines[].url"):
            self.assertIn(key.split(".")[-1], output)
        code, output = run("settings", "--schema")
        self.assertEqual(code, 0)
        schema = json.loads(output)
        self.assertIn("2020-12", schema["$schema"])
        self.assertIn("listen", schema["properties"])

    def simulated(self, *args):
        process = Process("engine", "--listen", "127.0.0.1:0", *args)
        self.addCleanup(process.kill)
        port = int(process.wait_for(r"http://127\.0\.0\.1:(\d+)").group(1))
        return process, port

    def through(self, port):
        return self.gateway({"engines": [{"name": "sim", "kind": "openai",
                                          "url": f"http://127.0.0.1:{port}/v1"}],
                             "models": [{"name": "*", "engines": ["sim"]}],
                             "cache": {"answers": "all"}})

    def test_the_simulated_engine_answers_through_the_gateway(self):
        process, port = self.simulated("--first-token", "1ms", "--tokens-per-second", "5000")
        gateway = self.through(port)
        plain = gateway.post("/v1/chat/completions", question())
        self.assertEqual(plain.status, 200, plain)
        self.assertTrue(plain.text)
        streamed = gateway.ask("another", stream=True)
        self.assertEqual(streamed.events[-1], "[DONE]")
        self.assertTrue(gateway.get("/v1/models").json["data"])
        process.signal(signal.SIGTERM)
        self.assertEqual(process.wait(), 0)

    def test_load_measures_and_says_so_in_json(self):
        _, port = self.simulated("--first-token", "1ms", "--tokens-per-second", "5000")
        gateway = self.through(port)
        code, output = run("load", "--help")
        self.assertEqual(code, 0, output)
        code, output = run("load", "--url", f"http://127.0.0.1:{gateway.port}", "--duration", "1s",
                           "--connections", "4", "--json", "-", limit=60)
        self.assertEqual(code, 0, output)
        self.assertIn("p99", output)

    def test_load_refuses_a_rate_that_is_none_and_names_the_cure(self):
        for rate in ("0", "-1", "nan", "fast"):
            with self.subTest(rate):
                code, output = run("load", "--rate", rate, "--url", "http://127.0.0.1:1")
                self.assertEqual(code, 2, output)
                self.assertIn("without --rate the loop is closed", output)

    def test_load_says_what_every_answer_said_when_all_are_refused(self):
        gateway = self.gateway(self.documents(a="# A\n\ntext\n"))
        code, output = run("load", "--url", f"http://127.0.0.1:{gateway.port}", "--model", "nobody",
                           "--rate", "50", "--warmup", "0s", "--duration", "200ms", limit=60)
        self.assertEqual(code, 1, output)
        self.assertIn("10 of 10 requests failed", output)
        self.assertRegex(output, r"every answer was 404: .*nobody")
        self.assertLess(output.index("status "), output.index("requests failed"))
        self.assertIn("--model names another", output)

    def test_load_that_is_stopped_says_so(self):
        _, port = self.simulated("--first-token", "0s", "--tokens-per-second", "0")
        process = Process("load", "--url", f"http://127.0.0.1:{port}", "--model", "simulated",
                          "--connections", "1", "--warmup", "0s", "--duration", "1h", "--json",
                          self.folder / "load.json")
        self.addCleanup(process.kill)
        select.select([], [], [], 0.5)
        process.signal(signal.SIGINT)
        self.assertEqual(process.wait(), 0, process.output)
        self.assertRegex(process.output, r"stopped early, after \d+\.\d of 3600\.0 s")
        self.assertIn("1 connection, 1 thread", process.output)

    def test_load_without_a_server_says_how_to_start_one(self):
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        code, output = run("load", "--url", f"http://127.0.0.1:{port}", "--duration", "1s")
        self.assertEqual(code, 1, output)
        self.assertIn(f"cannot connect to http://127.0.0.1:{port}", output)
        self.assertIn("penstock serve", output)

    def test_load_stays_on_loopback_unless_told(self):
        code, output = run("load", "--url", "http://192.0.2.1:8080", "--duration", "1s")
        self.assertNotEqual(code, 0)
        self.assertIn("--allow-remote", output)

    def test_asking_a_gateway_that_is_away_is_code_1(self):
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        code, output = run("ask", "--url", f"http://127.0.0.1:{port}", "Anyone?")
        self.assertEqual(code, 1, output)
        self.assertIn(str(port), output)
        self.assertIn("penstock serve", output)

    def ask(self, answer, *args):
        """Asks an engine that answers every question so: (exit code, output)."""
        engine = self.engine(answering(lambda request: answer))
        return run("ask", "--url", engine.url, "--model", "m", *args, "Hello?")

    def test_an_answer_without_an_answer_in_it_is_an_error(self):
        for body, words in ((b'{"error":{"message":"out of memory"}}', "out of memory"),
                            (b'{"choices":[]}', "no choice"), (b"{}", "no choice"),
                            (b"<html>", "not JSON")):
            with self.subTest(body):
                code, output = self.ask(plain(body), "--plain")
                self.assertEqual(code, 1, output)
                self.assertIn(words, output)
                self.assertNotIn("tokens", output)
        code, output = self.ask(stream(DONE))
        self.assertEqual(code, 1, output)
        self.assertIn("no choice", output)

    def test_an_answer_that_is_empty_but_whole_is_none(self):
        code, output = self.ask(stream(delta(""), delta(finish="stop"), DONE))
        self.assertEqual(code, 0, output)

    def test_what_breaks_a_stream_stands_on_a_line_of_its_own(self):
        code, output = self.ask(stream(delta("Hel")))
        self.assertEqual(code, 1, output)
        self.assertRegex(output, r"^Hel\npenstock ask: .*ended before its end\n$")
        code, output = self.ask(stream(delta("Hel"), b'data: { "error": "boom"}\n\n'))
        self.assertEqual(code, 1, output)
        self.assertRegex(output, r"^Hel\npenstock ask: \S+: boom\n$")

    def test_an_engine_cannot_steer_the_terminal(self):
        engine = self.engine(answering(lambda request: stream(
            delta("\x1b]0;mine\x07\u009b31m"), delta("\u00e4\n\tb"), delta(finish="stop"), DONE)))
        args = [PROGRAM, "ask", "--url", engine.url, "--model", "m", "Hello?"]
        piped = subprocess.run(args, capture_output=True, timeout=LIMIT, check=True)
        self.assertIn("\x1b]0;mine\x07\u009b31m\u00e4\n\tb\n".encode(), piped.stdout)

        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        code = subprocess.run(args, stdout=theirs, stderr=subprocess.DEVNULL, timeout=LIMIT,
                              check=False).returncode
        shown = os.read(ours, 65536)
        os.close(theirs)
        self.assertEqual(code, 0)
        self.assertIn("\\x1b]0;mine\\x07\\x9b31m\u00e4".encode(), shown)
        self.assertNotIn(b"\x1b", shown)

    def test_a_url_without_a_host_is_said_to_be_one(self):
        code, output = run("ask", "--url", "http://", "Hello?")
        self.assertEqual(code, 2, output)
        self.assertIn("has no host", output)
