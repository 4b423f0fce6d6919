"""The service map: who depends on whom, and how well that goes."""

import subprocess

from harness.penstock import Scenario, answering, plain, polite, wait_until
from harness.redis_server import RedisServer


class Map(Scenario):
    def edges(self, gateway):
        return {(edge["to"], edge["what"]): edge for edge in gateway.admin("/admin/v1/map").json["edges"]}

    def test_shows_what_was_measured(self):
        redis = RedisServer()
        self.addCleanup(redis.close)
        broken = self.engine(answering(lambda request: plain(b'{"error":{"message":"no"}}', "500 Oh")))
        good = self.to(self.engine())
        engines = good["engines"] + [{"name": "bad", "kind": "openai", "url": broken.url, "health": "off"}]
        gateway = self.gateway(good, {
            "engines": engines, "models": [{"name": "m", "engines": ["e"]}, {"name": 'w"\\', "engines": ["bad"]}],
            "cache": {"redis": {"urls": [redis.url]}}})
        wait_until(lambda: gateway.metric("penstock_redis_up") == 1, "Redis is reached")
        for number in range(8):
            gateway.ask(f"question {number}", temperature=0)
            gateway.ask("question 1", temperature=0)
        for number in range(3):
            gateway.ask(f"question {number}", model='w"\\')
        said = gateway.admin("/admin/v1/map").json
        nodes = {node["id"]: node for node in said["nodes"]}
        self.assertEqual(set(nodes), {"clients", "gateway", "engine:e", "engine:bad", "redis", "database"})
        self.assertTrue(nodes["redis"]["healthy"] and nodes["database"]["healthy"] and nodes["gateway"]["healthy"])
        seconds, edges = said["window_seconds"], {(e["to"], e["what"]): e for e in said["edges"]}
        self.assertGreater(seconds, 0)
        self.assertAlmostEqual(edges["engine:e", "m"]["per_second"] * seconds, 8, places=6)
        self.assertEqual(edges["engine:e", "m"]["errors_ratio"], 0)
        self.assertGreaterEqual(edges["engine:bad", 'w"\\']["errors_ratio"], 1 / 2)
        chat = edges["gateway", "chat"]
        self.assertAlmostEqual(chat["per_second"] * seconds, 19, places=6)
        self.assertAlmostEqual(chat["errors_ratio"], 3 / 19)
        self.assertTrue(0 < chat["p50_ms"] <= chat["p95_ms"] <= chat["p99_ms"], chat)
        self.assertGreater(edges["redis", "commands"]["per_second"], 0)
        self.assertGreater(edges["database", "queries"]["per_second"], 0)
        self.assertEqual(edges["gateway", "embeddings"]["per_second"], 0)
        self.assertIsNone(edges["gateway", "embeddings"]["p95_ms"])

        drawn = gateway.admin("/admin/v1/map?format=dot")
        self.assertEqual(drawn.headers["content-type"], "text/vnd.graphviz")
        svg = subprocess.run(["dot", "-Tsvg"], input=drawn.body, capture_output=True, check=True)
        self.assertEqual(svg.stderr, b"")
        for text in (b">penstock<", b">redis<", b">e<", b">chat<", b'>w&quot;\\<'):
            self.assertIn(text, svg.stdout)
        self.assertNotIn(b">embeddings<", svg.stdout)

    def test_a_word_that_means_nothing_is_refused(self):
        gateway = self.gateway(self.to(self.engine()))
        answer = gateway.admin("/admin/v1/map?format=png")
        self.assertEqual(answer.status, 400)
        self.assertIn("expected json or dot", answer.error["message"])

    def test_what_is_only_timed_rests_while_the_metrics_are_off(self):
        gateway = self.gateway(self.to(self.engine(answering(polite))), {"features": {"prometheus_metrics": False}})
        gateway.ask(temperature=0)
        edge = self.edges(gateway)["engine:e", "m"]
        self.assertGreater(edge["per_second"], 0)
        self.assertIsNone(edge["mean_ms"])
