"""How complex a question is: told to whoever asked, counted by model, written down, and shown."""

import json
import pathlib
import signal
import threading
import time

from harness.penstock import (DONE, Scenario, answering, completion, delta, merged, plain, question, run, stream,
                              wait_until)
from scenarios import test_usage

FIELD = "x-penstock-complexity"
LIGHT = "What is the capital of Norway?"
HARD = ("Design a distributed ledger for 12 regions without downtime, weigh the trade-offs between consistency "
        "and latency, then justify each step of the migration, and prove that no replica loses an entry.")
QUESTIONS = pathlib.Path(__file__).parents[2] / "docs/complexity/questions.jsonl"


class Complexity(Scenario):
    usage, total, settled = test_usage.Usage.usage, test_usage.Usage.total, test_usage.Usage.settled

    def told(self, answer, kind):
        """The score of an answer; its class is the one that is expected."""
        self.assertEqual(answer.status, 200, answer)
        self.assertRegex(answer.headers[FIELD], rf"^(0\.\d\d|1\.00); class={kind}$")
        return float(answer.headers[FIELD][:4])

    def asked(self, gateway, kind, model="m"):
        return gateway.metric("penstock_questions_total", model=model, **{"class": kind})

    def behind(self):
        return self.engine(answering(lambda request: stream(delta("a"), delta("b", finish="stop"), DONE)
                                     if request.json.get("stream") else plain(completion("ab"))))

    def test_is_told_with_misses_hits_and_streams_and_counted_each_time(self):
        gateway = self.gateway(self.to(self.behind()))
        first = gateway.ask(HARD, temperature=0)
        score = self.told(first, "complex")
        self.assertEqual(first.cache, "miss")
        hits = [gateway.ask(HARD, temperature=0), gateway.ask(HARD, temperature=0),  # by its meaning, then its bytes
                gateway.ask(HARD, temperature=0.0), gateway.ask(HARD, temperature=0, stream=True)]
        for hit in hits:
            self.assertEqual((hit.cache, self.told(hit, "complex")), ("hit", score))
        streamed = gateway.ask(LIGHT, temperature=0, stream=True)
        self.assertEqual(streamed.cache, "miss")
        light = self.told(streamed, "simple")
        paced = gateway.ask(LIGHT, temperature=0, stream=True, headers={"x-penstock-replay": "paced"})
        self.assertEqual((paced.cache, self.told(paced, "simple")), ("hit", light))
        self.assertEqual([self.asked(gateway, kind) for kind in ("simple", "moderate", "complex")], [2, 0, 5])
        name = "penstock_question_complexity_ratio"
        self.assertEqual(gateway.metric(f"{name}_count", model="m"), 7)
        self.assertAlmostEqual(gateway.metric(f"{name}_sum", model="m"), 5 * score + 2 * light, 6)

    def test_is_told_to_who_shares_a_call_and_to_who_passes_the_cache_by(self):
        go = threading.Event()
        self.addCleanup(go.set)

        def script(call):
            while call.request():
                go.wait(20)
                call.send(plain(completion("ab")))
        gateway = self.gateway(self.to(self.engine(script)))
        wires = [gateway.wire() for _ in range(3)]
        for wire in wires:
            wire.post(question(HARD, temperature=0))
        wait_until(lambda: gateway.metric("penstock_http_requests_in_flight") == 3, "all ask")
        go.set()
        answers = [wire.answer() for wire in wires]
        self.assertEqual(sorted(a.cache for a in answers), ["coalesced", "coalesced", "miss"])
        self.assertEqual(len({self.told(a, "complex") for a in answers}), 1)
        self.told(gateway.ask(HARD, headers={"cache-control": "no-store"}), "complex")
        self.assertEqual(self.asked(gateway, "complex"), 4)

    def test_what_asks_nothing_has_none(self):
        gateway = self.gateway(self.to(self.behind()))
        refused = gateway.ask(HARD, model="unknown")
        self.assertEqual(refused.status, 404)
        silent = gateway.post("/v1/chat/completions", {"model": "m", "messages": [
            {"role": "system", "content": HARD}]})
        listed = gateway.get("/v1/models")
        for answer in (refused, silent, listed):
            self.assertNotIn(FIELD, answer.headers)
        self.assertEqual([self.asked(gateway, kind) for kind in ("simple", "moderate", "complex")], [0, 0, 0])

    def test_series_are_there_from_the_start_and_stay_by_model(self):
        engine = self.behind()
        settings = merged(self.to(engine), {"models": [
            {"name": "m", "engines": ["e"], "aliases": ["mm"]}, {"name": "n", "engines": ["e"]}]})
        gateway = self.gateway(settings)
        for model in ("m", "n"):
            for kind in ("simple", "moderate", "complex"):
                self.assertEqual(self.asked(gateway, kind, model), 0)
            self.assertEqual(gateway.metric("penstock_question_complexity_ratio_count", model=model), 0)
        gateway.ask(HARD, model="mm", temperature=0)
        gateway.ask(HARD, model="mm", temperature=0)
        gateway.ask(HARD, model="mm", temperature=0)
        gateway.ask(LIGHT, model="n", temperature=0)
        self.assertEqual((self.asked(gateway, "complex"), self.asked(gateway, "simple", "n")), (3, 1))
        # Under other settings the same bytes are read anew, and still counted under their model.
        gateway.write(merged(gateway.config, {"models": [{"name": "n", "engines": ["e"]},
                                                         {"name": "m", "engines": ["e"], "aliases": ["mm"]}]}))
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: gateway.metric("penstock_config_reloads_total", result="success") == 1, "it is read again")
        for _ in range(3):
            gateway.ask(HARD, model="mm", temperature=0)
        self.assertEqual((self.asked(gateway, "complex"), self.asked(gateway, "complex", "n")), (6, 0))

    def test_completions_have_one_and_embeddings_none(self):
        gateway = self.gateway({"engines": [{"name": "e", "kind": "simulated", "simulated": {
            "first_token": "0s", "tokens_per_second": 100000}}], "models": [{"name": "m", "engines": ["e"]}]})
        self.told(gateway.post("/v1/completions", {"model": "m", "prompt": HARD}), "complex")
        vectors = gateway.post("/v1/embeddings", {"model": "m", "input": HARD})
        self.assertEqual(vectors.status, 200)
        self.assertNotIn(FIELD, vectors.headers)

    def test_is_written_down_and_shown_on_average(self):
        gateway = self.gateway(self.to(self.behind()))
        hard = self.told(gateway.ask(HARD, temperature=0), "complex")
        for _ in range(5):
            self.told(gateway.ask(HARD, temperature=0), "complex")
        light = self.told(gateway.ask(LIGHT, temperature=0), "simple")
        gateway.get("/v1/models")
        wait_until(lambda: self.total()["requests"] == 8, "all of it is in the database")
        self.settled(gateway)
        self.assertAlmostEqual(self.total()["complexity"], (6 * hard + light) / 7, 3)
        self.assertAlmostEqual(self.total("--cache", "memory")["complexity"], hard, 3)
        self.assertIsNone(self.total("--route", "models")["complexity"])
        self.assertRegex(self.usage().splitlines()[0], r" complexity$")
        api = gateway.admin("/admin/v1/usage?by=route").json
        by_route = {group["route"]: group["complexity"] for group in api["groups"]}
        self.assertAlmostEqual(by_route["chat"], (6 * hard + light) / 7, 3)
        self.assertIsNone(by_route["models"])

    def test_a_huge_question_is_scored_in_no_time(self):
        gateway = self.gateway(self.to(self.behind()))
        messages = [{"role": "user", "content": "prove it? " * 40} for _ in range(2000)]
        begun = time.monotonic()
        answer = gateway.post("/v1/chat/completions", {"model": "m", "messages": messages})
        self.assertLess(time.monotonic() - begun, 5)
        self.assertRegex(answer.headers[FIELD], r"class=")


class Command(Scenario):
    def test_says_what_made_a_score(self):
        code, output = run("complexity", "--question", HARD)
        self.assertEqual(code, 0)
        self.assertRegex(output, r"^0\.\d\d complex\n")
        self.assertRegex(output, r"(?m)^design +\d")
        made = json.loads(run("complexity", "--question", HARD, "--format", "json")[1])
        self.assertEqual(made["class"], "complex")
        self.assertIn("design", made["features"])

    def test_says_how_well_it_agrees_with_people(self):
        code, output = run("complexity", QUESTIONS)
        self.assertEqual(code, 0)
        self.assertIn("unseen: 100 questions", output)
        found = json.loads(run("complexity", QUESTIONS, "--format", "json")[1])
        self.assertEqual(len(found["questions"]), 300)
        for one in found["agreements"]:
            self.assertGreaterEqual(one["kappa_quadratic"], 0.7)

    def test_reads_requests_as_clients_send_them(self):
        file = self.folder / "requests.jsonl"
        file.write_text(json.dumps({"model": "m", "messages": [{"role": "user", "content": LIGHT}]}) + "\n")
        code, output = run("complexity", file)
        self.assertEqual(code, 0)
        self.assertRegex(output, r"(?m)^1 +0\.\d\d +simple ")

    def test_says_what_is_wrong_with_a_line(self):
        file = self.folder / "requests.jsonl"
        file.write_text('{"prompt": "why?"}\n{"messages": [')
        code, output = run("complexity", file)
        self.assertEqual(code, 2)
        self.assertIn("requests.jsonl: line 2 is no request with messages or a prompt", output)
