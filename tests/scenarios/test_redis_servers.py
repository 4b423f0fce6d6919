"""The cache over the kinds of servers there are: a cluster, sentinels, TLS with a user, Valkey."""

import subprocess
import threading
import time

from harness.penstock import wait_until
from harness.redis_server import RedisCluster, RedisSentinel, RedisServer, free_port
from scenarios.test_cache_levels import Counting


class Servers(Counting):
    def over(self, redis):
        self.behind = self.counting()
        made = [self.gateway(self.to(self.behind), {"cache": {"redis": {"timeout": "1s", **redis}},
                                                    "limits": {"requests": "100000/s"}}) for _ in range(2)]
        for gateway in made:
            wait_until(lambda g=gateway: g.metric("penstock_redis_up") == 1, "Redis is reached", 20)
        return made

    def test_a_cluster(self):
        cluster = RedisCluster(3)
        self.addCleanup(cluster.close)
        a, b = self.over({"urls": cluster.urls[:1]})
        texts = [f"question {i}" for i in range(12)]
        for text in texts:
            self.look(a.ask(text), "miss")
        for text in texts:
            wait_until(lambda t=text: b.ask(t).headers["x-penstock-cache"].startswith("hit"), "it is there for both")
        self.assertEqual(len(self.behind.calls), len(texts))
        done = a.admin("/admin/v1/cache/purge", method="POST", body={"model": "m"}).json
        self.assertTrue(done["told"], done)
        wait_until(lambda: b.metric("penstock_cache_entries", level="memory") == 0, "the other one forgets")
        self.look(b.ask(texts[0]), "miss", "answer 13")

    def test_a_slot_that_moves_under_load(self):
        cluster = RedisCluster(3)
        self.addCleanup(cluster.close)
        a, b = self.over({"urls": cluster.urls[:1]})
        self.look(a.ask("moving"), "miss")
        keys = lambda: [key for node in cluster.nodes for key in node.ask("KEYS", "penstock:cache:*")]  # noqa: E731
        wait_until(keys, "it is in Redis")
        name = keys()[0]
        slot = cluster.slot(name.decode())
        ended, wrong = threading.Event(), []

        def load(gateway):
            number = 0
            while not ended.is_set():
                number += 1
                answers = (gateway.ask("moving"), gateway.ask(f"question {number % 50}"))
                wrong.extend(answer for answer in answers if answer.status != 200)
                if answers[0].text != "answer 1":
                    wrong.append(answers[0])
        clients = [threading.Thread(target=load, args=(gateway,)) for gateway in (a, b, a, b)]
        for client in clients:
            client.start()
        owner = next(i for i, node in enumerate(cluster.nodes) if name in node.ask("KEYS", "penstock:cache:*"))
        for to in (1, 2, 3):
            cluster.move_slot(slot, to=(owner + to) % 3)
            time.sleep(0.5)
        ended.set()
        for client in clients:
            client.join()
        self.assertEqual(wrong, [])
        self.assertEqual(len({call for call in self.texts_asked() if call.startswith("moving")}), 1)

    def texts_asked(self):
        return [request.json["messages"][0]["content"] for request in self.behind.requests]

    def test_a_failover_by_sentinels(self):
        service = RedisSentinel()
        self.addCleanup(service.close)
        a, b = self.over({"urls": service.urls, "sentinel": service.name})
        a.ask("one")
        wait_until(lambda: b.ask("one").headers["x-penstock-cache"].startswith("hit"), "it is there for both")
        service.kill(0)
        end = time.monotonic() + 30
        while True:
            text = f"question {time.monotonic()}"
            self.assertEqual(a.ask(text).status, 200)
            time.sleep(0.1)
            if b.ask(text).headers["x-penstock-cache"] == "hit; level=redis":
                break
            self.assertLess(time.monotonic(), end, "the new master is not used")


    def works(self, server, **redis):
        """Kept, known to the other, purged, and counted together."""
        a, b = self.over({"urls": [server.url], **redis})
        self.look(a.ask("one", headers={"x-penstock-cache-tags": "t"}), "miss", "answer 1")
        wait_until(lambda: b.ask("one").headers["x-penstock-cache"].startswith("hit"), "it is there for both")
        purged = a.admin("/admin/v1/cache/purge", method="POST", body={"tag": "t"}).json
        self.assertTrue(purged["told"], (purged, server.ask("ACL", "LOG")))
        wait_until(lambda: b.metric("penstock_cache_entries", level="memory") == 0, "the other one forgets")
        self.look(b.ask("one"), "miss", "answer 2")
        for gateway in (a, b):
            self.assertEqual(gateway.metric("penstock_cache_requests_total", level="redis", result="error") or 0, 0)
            self.assertNotIn("NOPERM", gateway.output)
        return a, b

    def test_tls_and_a_user_with_few_rights(self):
        key, certificate = self.folder / "key.pem", self.folder / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-keyout", key, "-out", certificate, "-subj", "/CN=127.0.0.1", "-days", "2",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        port = free_port()
        rights = ["~penstock:*", "&penstock:*", "+@read", "+@write", "+@scripting", "+@connection", "+@pubsub", "+time",
                  "-@dangerous"]
        server = RedisServer("--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key),
                             "--tls-auth-clients", "no", "--user", "penstock", "on", ">secret", *rights)
        self.addCleanup(server.close)
        secured = {"urls": [f"rediss://127.0.0.1:{port}"], "ca": str(certificate), "username": "penstock",
                   "password": "secret"}
        self.works(server, **secured)
        self.assertEqual(server.ask("ACL", "LOG"), [])
        # Whoever cannot be believed is not told a password.
        stranger = self.gateway(self.to(self.behind), {"cache": {"redis": {**secured, "ca": "", "timeout": "1s"}}})
        self.assertEqual(stranger.ask("two").status, 200)
        self.assertEqual(stranger.metric("penstock_redis_up"), 0)

    def test_valkey(self):
        server = RedisServer(program="valkey-server")
        self.addCleanup(server.close)
        self.assertIn(b"valkey_version", server.ask("INFO", "server"))
        self.works(server)
