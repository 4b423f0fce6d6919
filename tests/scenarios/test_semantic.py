"""A question in other words is answered by what was said to the first; whatever fails is a plain miss."""

import csv
import io
import json
import re
import threading
import unittest

from harness.keys import bearer, make_key
from harness.penstock import answering, completion, merged, plain, question, run, stream, delta, DONE, wait_until
from harness.redis_server import RedisServer
from scenarios.test_cache_levels import Counting

ONE = "How do I reset the password of my account?"
ALIKE = "How can I reset the password of my account?"
OTHER = "Which rivers flow through the north of France?"


class Semantic(Counting):
    def behind_it(self):
        """An engine for `m`: numbered answers, plain or streamed as asked."""
        self.number = 0
        lock = threading.Lock()

        def make(request):
            with lock:
                self.number += 1
                text = f"answer {self.number}"
            if request.json.get("stream"):
                return stream(delta(text[:3]), delta(text[3:]), delta(finish="stop"), DONE)
            return plain(completion(text))
        return self.engine(answering(make))

    def settings(self, **semantic):
        """Settings with the simulated engine's embeddings, which know words and nothing of their meaning."""
        self.behind = self.behind_it()
        return merged(self.to(self.behind), {
            "engines": [*self.to(self.behind)["engines"],
                        {"name": "vectors", "kind": "simulated", "simulated": {"first_token": "0s"}}],
            "models": [*self.to(self.behind)["models"], {"name": "small-embed", "engines": ["vectors"]}],
            "cache": {"semantic": {"enabled": True, "embedding_model": "small-embed", "threshold": 0.85,
                                   **semantic}}})

    def alike(self, answer, text=None):
        self.look(answer, "hit; level=semantic", text)
        self.assertRegex(answer.headers["x-penstock-similarity"], r"^(0\.\d\d|1\.00)$")
        return float(answer.headers["x-penstock-similarity"])

    def counted(self, gateway, result):
        return gateway.metric("penstock_cache_requests_total", level="semantic", result=result)

    def purge(self, gateway, **what):
        answer = gateway.admin("/admin/v1/cache/purge", method="POST", body=what)
        self.assertEqual(answer.status, 200, answer)


class OtherWords(Semantic):
    def test_are_answered_plain_and_streamed(self):
        gateway = self.gateway(self.settings())
        first = self.look(gateway.ask(ONE), "miss", "answer 1")
        self.assertNotIn("x-penstock-similarity", first.headers)
        self.assertGreater(self.alike(gateway.ask(ALIKE), "answer 1"), 0.85)
        # It is never remembered as what it is not.
        self.alike(gateway.ask(ALIKE), "answer 1")
        streamed = gateway.ask(ALIKE, stream=True)
        self.alike(streamed)
        self.assertEqual(streamed.events[-1], "[DONE]")
        said = "".join(json.loads(event)["choices"][0]["delta"].get("content") or ""
                       for event in streamed.events[:-1] if json.loads(event)["choices"])
        self.assertEqual(said, "answer 1")
        self.look(gateway.ask(ONE), "hit; level=memory", "answer 1")
        self.look(gateway.ask(OTHER), "miss", "answer 2")
        self.assertEqual(len(self.behind.calls), 2)
        self.assertEqual((self.counted(gateway, "hit"), self.counted(gateway, "miss")), (3, 2))
        self.assertEqual(gateway.metric("penstock_cache_entries", level="semantic"), 2)
        wait_until(lambda: gateway.metric("penstock_usage_queue_records") == 0, "all is in the database")
        gateway.signal(2)
        gateway.wait()
        code, table = run("usage", "--config", self.folder / "penstock.yaml", "--by", "cache", "--format", "csv",
                          cwd=self.folder)
        self.assertEqual(code, 0, table)
        rows = {row["cache"]: int(row["requests"]) for row in csv.DictReader(io.StringIO(table))}
        self.assertEqual((rows["semantic"], rows["miss"], rows["memory"]), (3, 2, 1), table)

    def test_of_a_streamed_answer_make_a_plain_one(self):
        gateway = self.gateway(self.settings())
        self.look(gateway.ask(ONE, stream=True), "miss")
        self.alike(gateway.ask(ALIKE), "answer 1")

    def test_must_be_near_enough(self):
        gateway = self.gateway(self.settings(threshold=0.999))
        self.look(gateway.ask(ONE), "miss", "answer 1")
        self.look(gateway.ask(ALIKE), "miss", "answer 2")

    def test_with_anything_else_that_differs_are_another_question(self):
        gateway = self.gateway(self.settings(max_turns=2))
        self.look(gateway.ask(ONE, temperature=0), "miss", "answer 1")
        self.look(gateway.ask(ALIKE, temperature=1), "miss", "answer 2")
        self.look(gateway.ask(ALIKE, temperature=0, max_tokens=5), "miss", "answer 3")
        for number, system in ((4, "Be short."), (5, "Be long.")):
            self.look(gateway.post("/v1/chat/completions", {"model": "m", "messages": [
                {"role": "system", "content": system}, {"role": "user", "content": ONE}]}), "miss", f"answer {number}")
        self.alike(gateway.post("/v1/chat/completions", {"model": "m", "messages": [
            {"role": "system", "content": "Be long."}, {"role": "user", "content": ALIKE}]}), "answer 5")

    def test_are_not_looked_for_with_tools_images_or_a_long_conversation(self):
        gateway = self.gateway(self.settings())
        self.look(gateway.ask(ONE), "miss", "answer 1")
        tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
        image = [{"type": "text", "text": ALIKE}, {"type": "image_url", "image_url": {"url": "data:,"}}]
        turns = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
        for more in ({"tools": [tool], "messages": [{"role": "user", "content": ALIKE}]},
                     {"messages": [{"role": "user", "content": image}]},
                     {"messages": [*turns, {"role": "user", "content": ALIKE}]}):
            self.look(gateway.post("/v1/chat/completions", {"model": "m", **more}), "miss")
        self.assertEqual(gateway.metric("penstock_engine_requests_total", engine="vectors", outcome="success"), 1)
        self.assertEqual(self.counted(gateway, "miss"), 1)

    def test_a_clients_wishes_hold(self):
        gateway = self.gateway(self.settings())
        gateway.ask(ONE)
        self.look(gateway.ask(ALIKE, headers={"cache-control": "no-store"}), "bypass; reason=no-store", "answer 2")
        self.assertEqual(gateway.ask(ALIKE, headers={"cache-control": "only-if-cached"}).status, 504)
        self.alike(gateway.ask(ALIKE), "answer 1")
        self.look(gateway.ask(ALIKE, headers={"cache-control": "no-cache"}), "miss", "answer 3")
        self.look(gateway.ask(ALIKE), "hit; level=memory", "answer 3")

    def test_of_another_tenant_are_never_answered(self):
        store = f"sqlite:{self.folder}/keys.db"
        one, _ = make_key(store, "acme")
        other, _ = make_key(store, "umbrella")
        gateway = self.gateway(self.settings(), {"auth": {"mode": "keys"}, "store": {"url": store}})
        self.look(gateway.ask(ONE, headers=bearer(one)), "miss", "answer 1")
        self.look(gateway.ask(ALIKE, headers=bearer(other)), "miss", "answer 2")
        self.alike(gateway.ask(ALIKE, headers=bearer(one)), "answer 1")

    def test_of_what_was_purged_are_asked_anew(self):
        gateway = self.gateway(self.settings())
        gateway.ask(ONE, headers={"x-penstock-cache-tags": "accounts"})
        self.alike(gateway.ask(ALIKE), "answer 1")
        self.purge(gateway, tag="accounts")
        self.look(gateway.ask(ALIKE), "miss", "answer 2")
        self.assertEqual(gateway.metric("penstock_cache_entries", level="semantic"), 1)
        self.alike(gateway.ask(ONE), "answer 2")

    def test_many_at_once_are_one_call_for_their_vectors(self):
        gateway = self.gateway(self.settings(), {"listen": {"workers": 1}})
        clients = [threading.Thread(target=gateway.ask, args=(f"{3 ** number} {5 ** number} {7 ** number}",))
                   for number in range(40)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        calls = gateway.metric("penstock_engine_requests_total", engine="vectors", outcome="success")
        self.assertLess(calls, len(clients))
        self.assertEqual(self.counted(gateway, "miss"), len(clients))


class Warmed(Semantic):
    def warm(self, gateway, *questions):
        file = self.folder / "questions.jsonl"
        file.write_text("".join(json.dumps(question(text)) + "\n" for text in questions))
        code, output = run("cache", "warm", file, "--admin", f"http://127.0.0.1:{gateway.admin_port}")
        self.assertEqual(code, 0, output)
        return output

    def test_questions_are_found_in_other_words(self):
        gateway = self.gateway(self.settings())
        self.assertIn("1 kept", self.warm(gateway, ONE))
        self.alike(gateway.ask(ALIKE), "answer 1")
        self.assertEqual(len(self.behind.calls), 1)

    def test_questions_that_were_known_before_are_too(self):
        redis = RedisServer()
        self.addCleanup(redis.close)
        config = merged(self.settings(), {"cache": {"redis": {"urls": [redis.url], "timeout": "1s"}}})
        first, second = self.gateway(config), self.gateway(config)
        self.assertIn("1 kept", self.warm(first, ONE))
        wait_until(lambda: redis.ask("KEYS", "penstock:cache:*"), "it is in Redis")
        wait_until(lambda: second.metric("penstock_redis_up") == 1, "Redis is reached")
        self.assertIn("1 known", self.warm(second, ONE))
        self.alike(second.ask(ALIKE), "answer 1")

    def test_questions_without_their_model_are_kept_all_the_same(self):
        config = self.settings()
        config["engines"][1] = {"name": "vectors", "kind": "openai", "url": "http://127.0.0.1:1/v1", "health": "off"}
        gateway = self.gateway(config)
        self.assertIn("1 kept", self.warm(gateway, ONE))
        self.look(gateway.ask(ONE), "hit; level=memory", "answer 1")


class WithoutItsModel(Semantic):
    def broken(self, script):
        """Settings whose embedding model is this engine."""
        vectors = self.engine(script)
        config = self.settings()
        config["engines"][1] = {"name": "vectors", "kind": "openai", "url": vectors.url, "health": "off"}
        return config, vectors

    def test_an_embedding_engine_that_is_away_costs_nothing_but_hits(self):
        config, vectors = self.broken(None)
        vectors.close()
        gateway = self.gateway(config)
        for number, text in ((1, ONE), (2, ALIKE)):
            self.look(gateway.ask(text), "miss", f"answer {number}")
        self.look(gateway.ask(ALIKE), "hit; level=memory", "answer 2")
        self.assertEqual(self.counted(gateway, "error"), 2)

    def test_nor_does_one_that_never_answers_or_talks_nonsense(self):
        for script in (lambda call: (call.request(), call.gone()),
                       answering(lambda _: plain(b"{}")),
                       answering(lambda _: plain(b'{"data":[{"index":0,"embedding":[0,0]}]}')),
                       answering(lambda _: plain(b'{"data":[{"index":7,"embedding":[1]}]}')),
                       answering(lambda _: plain(b'{"error":{}}', status="500 Oh"))):
            config, _ = self.broken(script)
            gateway = self.gateway(config)
            self.look(gateway.ask(ONE), "miss", "answer 1")
            self.assertEqual(self.counted(gateway, "error"), 1)
            self.end(gateway)

    def test_one_that_is_away_is_left_alone(self):
        config, vectors = self.broken(answering(lambda _: plain(b'{"error":{}}', status="500 Oh")))
        gateway = self.gateway(config, {"listen": {"workers": 1}})
        for number in range(1, 13):
            self.look(gateway.ask(f"question {number}"), "miss", f"answer {number}")
        self.assertLess(len(vectors.calls), 12)
        self.assertEqual(self.counted(gateway, "error"), 12)

    def test_a_model_that_is_not_configured_is_refused(self):
        file = self.folder / "bad.yaml"
        file.write_text(json.dumps(self.settings(embedding_model="smal-embed")))
        code, output = run("check", file)
        self.assertEqual(code, 2, output)
        self.assertIn('cache.semantic.embedding_model: there is no model "smal-embed"', output)
        self.assertIn("small-embed", output)


class AfterARestart(Semantic):
    def setUp(self):
        super().setUp()
        self.redis = RedisServer()
        self.addCleanup(self.redis.close)

    def node(self, config):
        gateway = self.gateway(config)
        wait_until(lambda: gateway.metric("penstock_redis_up") == 1, "Redis is reached")
        return gateway

    def test_what_lies_in_redis_is_found_again(self):
        config = merged(self.settings(path=str(self.folder / "index")),
                        {"cache": {"redis": {"urls": [self.redis.url], "timeout": "1s"}}})
        gateway = self.node(config)
        self.look(gateway.ask(ONE), "miss", "answer 1")
        wait_until(lambda: self.redis.ask("KEYS", "penstock:cache:*"), "it is in Redis")
        self.end(gateway)
        gateway = self.node(config)
        self.alike(gateway.ask(ALIKE), "answer 1")
        self.end(gateway)
        (self.folder / "index" / "semantic.index").write_bytes(b"nothing that an index would be")
        gateway = self.node(config)
        self.assertEqual(len(re.findall("semantic index's file is of no use", gateway.output)), 1, gateway.output)
        self.look(gateway.ask(ALIKE), "miss", "answer 2")
        self.alike(gateway.ask(ONE + "!"), "answer 2")


if __name__ == "__main__":
    unittest.main()
