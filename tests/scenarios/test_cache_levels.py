"""Two gateways and one Redis: what one has asked the other knows, and what changes both forget."""

import json
import threading
import time

from harness.penstock import Scenario, answering, completion, plain, run, wait_until
from harness.redis_server import RedisServer


class Counting(Scenario):
    """An engine whose every answer is another one."""

    def counting(self, script=None):
        self.number = 0
        lock = threading.Lock()

        def make(request):
            with lock:
                self.number += 1
                number = self.number
            return script(request, number) if script else plain(completion(f"answer {number}"))

        return self.engine(answering(make))

    def look(self, answer, header, text=None, status=200):
        """What the answer says of the cache, and which of the engine's it is."""
        self.assertEqual((answer.status, answer.headers.get("x-penstock-cache")), (status, header), answer)
        if text:
            self.assertEqual(answer.text, text)
        return answer


class OnRedis(Counting):
    def setUp(self):
        super().setUp()
        self.redis = RedisServer("--enable-debug-command", "yes")
        self.addCleanup(self.redis.close)

    def nodes(self, count=2, script=None, timeout="1s", cache=None, redis=None):
        """Gateways on one Redis. On a busy machine it may not answer within the 50 ms that are the default."""
        self.behind = self.counting(script)
        made = []
        for i in range(count):
            made.append(self.gateway(self.to(self.behind), {
                "cache": {"redis": {"urls": [self.redis.url], "timeout": timeout, **(redis or {})}, **(cache or {})},
                "store": {"url": f"sqlite:{self.folder}/{i}.db"}}))
        for gateway in made:
            wait_until(lambda g=gateway: g.metric("penstock_redis_up") == 1, "Redis is reached")
        return made

    def values(self):
        return self.redis.ask("KEYS", "penstock:cache:*")

    def stored(self, count=1):
        wait_until(lambda: len(self.values()) == count, "it is in Redis")

    def vouched(self):
        """Until what was written is known to be watched: the look behind the write has been answered."""
        self.stored()
        wait_until(lambda: self.redis.ask("INFO", "stats").split(b"tracking_total_keys:")[1][:1] != b"0",
                   "a change would be told")


class CacheLevels(OnRedis):
    def test_what_one_has_asked_the_other_knows(self):
        a, b = self.nodes()
        self.look(a.ask(), "miss", "answer 1")
        self.look(a.ask(), "hit; level=memory", "answer 1")
        self.stored()
        answer = self.look(b.ask(), "hit; level=redis", "answer 1")
        self.assertIn("age", answer.headers)
        self.look(b.ask(), "hit; level=memory", "answer 1")
        self.look(b.ask(stream=True), "hit; level=memory")
        self.assertEqual(len(self.behind.calls), 1)
        self.assertEqual(b.metric("penstock_cache_requests_total", level="redis", result="hit"), 1)
        self.assertEqual(a.metric("penstock_cache_requests_total", level="redis", result="miss"), 1)

    def test_what_changes_in_redis_leaves_the_memory_of_all(self):
        a, b = self.nodes()
        a.ask()
        self.vouched()
        self.look(b.ask(), "hit; level=redis", "answer 1")
        for gateway in (a, b):
            self.look(gateway.ask(), "hit; level=memory", "answer 1")
        self.redis.ask("DEL", *self.values())
        for gateway in (a, b):
            wait_until(lambda g=gateway: g.metric("penstock_cache_entries", level="memory") == 0, "it is forgotten")
        self.look(a.ask(), "miss", "answer 2")

    def test_a_lost_connection_takes_back_what_it_vouched_for(self):
        a, b = self.nodes()
        a.ask()
        self.vouched()
        self.look(b.ask(), "hit; level=redis", "answer 1")
        for _ in range(3):
            self.redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            self.redis.ask("DEL", *self.values())
            # Whoever is asked first asks the engine; the other one finds its answer in Redis.
            first = a.ask()
            self.assertEqual(first.cache, "miss", first)
            self.stored()
            self.look(b.ask(), "hit; level=redis", first.text)
            for gateway in (a, b):
                wait_until(lambda g=gateway: g.ask().headers["x-penstock-cache"] == "hit; level=memory",
                           "it is in memory again")

    def test_memory_goes_on_when_redis_is_killed(self):
        a, b = self.nodes()
        a.ask()
        self.vouched()
        b.ask()
        self.redis.kill()
        for gateway in (a, b):
            for _ in range(20):
                self.look(gateway.ask(), "hit; level=memory", "answer 1")
            self.look(gateway.ask("another"), "miss")
            self.look(gateway.ask("another"), "hit; level=memory")
        self.assertEqual(len(self.behind.calls), 3)
        self.redis.start()
        for gateway in (a, b):
            wait_until(lambda g=gateway: g.metric("penstock_redis_up") == 1, "Redis is reached again", 30)

    def test_a_damaged_value_is_a_miss(self):
        a, b = self.nodes()
        a.ask()
        self.stored()
        (name,) = self.values()
        for damage in (("SETRANGE", name, 20, "xxxx"), ("SETRANGE", name, 2, b"\x09"), ("SET", name, ""),
                       ("SET", name, "PS" * 40)):
            self.redis.ask(*damage)
            damaged = self.redis.ask("GET", name)
            wait_until(lambda: b.metric("penstock_cache_entries", level="memory") == 0, "it is forgotten")
            self.look(b.ask(), "miss")
            wait_until(lambda d=damaged: self.redis.ask("GET", name) != d, "a good one takes its place")
        self.redis.ask("DEL", name)
        self.redis.ask("LPUSH", name, "no string")
        wait_until(lambda: b.metric("penstock_cache_entries", level="memory") == 0, "it is forgotten")
        self.look(b.ask(), "miss")

    def test_large_values_are_compressed(self):
        a, b = self.nodes(script=lambda request, number: plain(completion("word " * 20_000)))
        a.ask()
        self.stored()
        self.assertLess(self.redis.ask("STRLEN", self.values()[0]), 5000)
        self.assertEqual(self.look(b.ask(), "hit; level=redis").text, "word " * 20_000)

    def test_an_age_comes_along_and_ends_everywhere(self):
        a, b = self.nodes(cache={"ttl": {"default": "8s", "jitter": "0"},
                                 "stale": {"while_revalidate": "0s", "if_error": "0s"}})
        a.ask()
        self.stored()
        self.assertLessEqual(self.redis.ask("PTTL", self.values()[0]), 8000)
        time.sleep(1.1)
        self.assertIn(int(self.look(b.ask(), "hit; level=redis").headers["age"]), range(1, 8))
        wait_until(lambda: b.ask().text == "answer 2", "its time is over", 20)

    def test_without_tracking_purges_are_looked_for(self):
        a, b = self.nodes(redis={"tracking": False})
        a.ask()
        self.stored()
        self.look(b.ask(), "hit; level=redis")
        self.look(b.ask(), "hit; level=memory")


class Purges(OnRedis):
    def purge(self, gateway, **what):
        answer = gateway.admin("/admin/v1/cache/purge", method="POST", body=what)
        self.assertEqual(answer.status, 200, answer)
        return answer.json

    def test_a_tag_that_is_purged_on_one_is_gone_on_all(self):
        a, b = self.nodes()
        for text, tags in (("one", "prices, de"), ("two", "prices"), ("three", "news")):
            a.ask(text, headers={"x-penstock-cache-tags": tags})
        self.stored(3)
        for text in ("one", "two", "three"):
            self.look(b.ask(text), "hit; level=redis")
        done = self.purge(a, tag="prices")
        self.assertEqual((done["entries"], done["told"]), (2, True))
        wait_until(lambda: b.metric("penstock_cache_entries", level="memory") == 1, "the other one forgets")
        for gateway in (b, a):
            self.look(gateway.ask("three"), "hit; level=memory", "answer 3")
        # What still lies in Redis is not given either.
        self.look(b.ask("one"), "miss", "answer 4")
        self.look(a.ask("two"), "miss", "answer 5")
        wait_until(lambda: a.ask("one").text == "answer 4", "the new one is there for both")

    def test_models_tenants_entries_and_all(self):
        (a,) = self.nodes(1)
        a.ask("one")
        (entry,) = a.admin("/admin/v1/cache/entries").json["entries"]
        self.assertEqual((entry["model"], entry["tags"], entry["status"]), ("m", [], 200))
        self.assertEqual(self.purge(a, entry=entry["entry"])["entries"], 1)
        for what, count in (({"model": "other"}, 0), ({"model": "m"}, 1), ({"tenant": "acme"}, 0), ({"all": True}, 1)):
            self.look(a.ask("one"), "miss")
            self.assertEqual(self.purge(a, **what)["entries"], count, what)
            self.purge(a, all=True)
        for body, told in (({}, "Missing required parameter"), ({"tag": "a", "model": "m"}, "not several"),
                           ({"tga": "a"}, "no member 'tga'"), ({"all": False}, "expected true"),
                           ({"entry": "xyz"}, "64 hexadecimal digits")):
            answer = a.admin("/admin/v1/cache/purge", method="POST", body=body)
            self.assertEqual(answer.status, 400, answer)
            self.assertIn(told, answer.error["message"])
        changes = a.admin("/admin/v1/audit").json["changes"]
        self.assertIn(("cache.purge", "m"), [(change["action"], change["object"]) for change in changes])

    def test_what_is_on_its_way_is_purged_too(self):
        begun, go = threading.Event(), threading.Event()

        def slow(_, number):
            if number == 1:
                begun.set()
                go.wait(10)
            return plain(completion(f"answer {number}"))

        a, b = self.nodes(script=slow)
        first = threading.Thread(target=a.ask)
        first.start()
        self.assertTrue(begun.wait(10))
        self.purge(b, model="m")
        wait_until(lambda: a.admin("/admin/v1/cache").status == 200, "it is there")
        time.sleep(0.3)  # until the other node has heard of it, which nothing shows
        go.set()
        first.join()
        self.look(a.ask(), "miss", "answer 2")

    def test_who_could_not_be_told_is_told_later(self):
        a, b = self.nodes()
        a.ask(headers={"x-penstock-cache-tags": "prices"})
        self.vouched()
        b.ask()
        self.redis.stop()
        self.addCleanup(self.redis.go_on)
        done = self.purge(a, tag="prices")
        self.assertEqual((done["entries"], done["told"]), (1, False))
        self.assertTrue(done["reason"])
        self.redis.go_on()
        wait_until(lambda: b.metric("penstock_cache_entries", level="memory") == 0, "the other one forgets", 20)


class OneCall(OnRedis):
    def slow(self, seconds=0.5):
        def script(_, number):
            time.sleep(seconds)
            return plain(completion(f"answer {number}"))
        return script

    def ask_all(self, gateways, count):
        answers, lock = [], threading.Lock()

        def ask(gateway):
            answer = gateway.ask()
            with lock:
                answers.append(answer)

        clients = [threading.Thread(target=ask, args=(gateways[i % len(gateways)],)) for i in range(count)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        return answers

    def test_equal_questions_to_both_are_one_call(self):
        a, b = self.nodes(script=self.slow())
        for number in range(1, 4):
            begun = time.monotonic()
            answers = self.ask_all((a, b), 40)
            took = time.monotonic() - begun
            self.assertEqual([answer.status for answer in answers], [200] * 40)
            self.assertEqual({answer.text for answer in answers}, {f"answer {number}"})
            self.assertEqual(len(self.behind.calls), number)
            self.assertLess(took, 2.0)
            self.stored()  # behind the last answer
            a.admin("/admin/v1/cache/purge", method="POST", body={"all": True})
            wait_until(lambda: b.metric("penstock_cache_entries", level="memory") == 0, "the other one forgets")
            wait_until(lambda: b.ask(headers={"cache-control": "only-if-cached"}).status == 504, "and knows of it")

    def test_a_leader_that_is_killed_hands_over(self):
        a, b = self.nodes(script=lambda _, number: time.sleep(30 if number == 1 else 0) or plain(
            completion(f"answer {number}")))
        lost = threading.Thread(target=lambda: self.assertRaises(Exception, a.ask))
        lost.start()
        wait_until(lambda: self.redis.ask("KEYS", "penstock:lease:*"), "the lease is there")
        follower = threading.Thread(target=b.ask)
        follower.start()
        time.sleep(0.3)
        a.kill()
        begun = time.monotonic()
        follower.join()
        lost.join()
        self.assertLess(time.monotonic() - begun, 6)
        self.assertEqual(b.ask().text, "answer 2")

    def test_one_that_fails_hands_over(self):
        def script(_, number):
            time.sleep(0.3)
            if number == 1:
                return plain(b'{"error":{"message":"no"}}', status=500)
            return plain(completion(f"answer {number}"))
        a, b = self.nodes(script=script)
        answers = self.ask_all((a, b), 10)
        self.assertLessEqual(len(self.behind.calls), 3)
        self.assertIn(200, [answer.status for answer in answers])
        wait_until(lambda: not self.redis.ask("KEYS", "penstock:lease:*"), "no lease is left")

    def test_what_is_past_its_time_is_fetched_once_by_both(self):
        a, b = self.nodes(script=self.slow(0.3), cache={"ttl": {"default": "1s", "jitter": "0"}, "early_refresh": 0})
        a.ask()
        self.stored()
        b.ask()
        time.sleep(1.1)
        for gateway in (a, b):
            self.assertEqual(gateway.ask().cache, "stale")
        for gateway in (a, b):
            wait_until(lambda g=gateway: g.ask().text == "answer 2", "the next one is there for both")
        self.assertEqual(len(self.behind.calls), 2)


class Switches(OnRedis):
    def put(self, gateway, name, enabled):
        answer = gateway.admin(f"/admin/v1/features/{name}", method="PUT", body={"enabled": enabled})
        self.assertEqual(answer.status, 200, answer)
        return answer.json["features"][name]

    def test_the_redis_level_goes_and_comes_back(self):
        a, b = self.nodes()
        a.ask("one")
        self.stored()
        self.look(b.ask("one"), "hit; level=redis", "answer 1")
        self.assertEqual(self.put(b, "redis_caching", False), {"enabled": False, "configured": True, "set": False})
        # What came from there has left memory too; what is asked now stays here.
        self.look(b.ask("one"), "miss", "answer 2")
        self.look(b.ask("one"), "hit; level=memory", "answer 2")
        self.look(a.ask("one"), "hit; level=memory", "answer 1")
        self.assertEqual(len(self.values()), 1)
        self.assertTrue(self.put(b, "redis_caching", None)["enabled"])
        b.ask("two")
        self.stored(2)

    def test_the_whole_cache_goes_and_comes_back(self):
        (a,) = self.nodes(1)
        a.ask()
        self.put(a, "caching", False)
        for _ in range(2):
            self.look(a.ask(), "bypass; reason=off")
        self.assertEqual(a.metric("penstock_cache_entries", level="memory"), 0)
        self.put(a, "caching", True)
        a.ask("two")
        self.look(a.ask("two"), "hit; level=memory")
        answer = a.admin("/admin/v1/features/cashing", method="PUT", body={"enabled": True})
        self.assertEqual(answer.status, 404)
        self.assertIn("there are caching, redis_caching", answer.error["message"])

    def test_they_can_be_set_in_the_environment(self):
        self.behind = self.counting()
        gateway = self.gateway(self.to(self.behind), {"cache": {"redis": {"urls": [self.redis.url]}}},
                               env={"REDIS_CACHING_ENABLED": "false"})
        gateway.ask()
        self.look(gateway.ask(), "hit; level=memory")
        self.assertEqual(self.values(), [])


class Freshness(Counting):
    def aged(self, script=None, **cache):
        cache = {"ttl": {"default": "1s", "jitter": "0"}, "early_refresh": 0, **cache}
        self.behind = self.counting(script)
        return self.gateway(self.to(self.behind), {"cache": cache})

    def test_what_is_past_its_time_is_given_while_another_is_fetched(self):
        gateway = self.aged()
        gateway.ask()
        time.sleep(1.1)
        self.look(gateway.ask(), "stale; level=memory", "answer 1")
        wait_until(lambda: gateway.ask().text == "answer 2", "the other one is there")
        self.assertEqual(len(self.behind.calls), 2)
        self.look(gateway.ask(), "hit; level=memory", "answer 2")
        # Both calls have rows with what they used; who was given the old answer paid for the second.
        asked = int(gateway.metric("penstock_http_requests_total", route="chat"))
        used = wait_until(lambda: self.used(asked), "all of it is in the database")
        self.assertEqual((used["requests"] - used["hits"], used["tokens"]["output"]), (2, 4))

    def used(self, requests):
        code, output = run("usage", "--config", self.folder / "penstock.yaml", "--format", "json", cwd=self.folder)
        self.assertEqual(code, 0, output)
        total = json.loads(output)["total"]
        return total if total["requests"] == requests else None

    def test_and_where_the_engine_fails(self):
        def script(_, number):
            return plain(completion("answer 1")) if number == 1 else plain(b'{"error":{"message":"no"}}', status=500)
        gateway = self.aged(script, stale={"while_revalidate": "0s", "if_error": "1m"})
        gateway.ask()
        time.sleep(1.1)
        self.look(gateway.ask(), "stale; level=memory", "answer 1")
        self.assertEqual(len(self.behind.calls), 2)
        self.assertEqual(gateway.ask("another").status, 500)
        self.behind.close()
        self.look(gateway.ask(), "stale; level=memory", "answer 1")
        self.look(gateway.ask(stream=True), "stale; level=memory")

    def test_a_request_says_how_old_it_may_be(self):
        gateway = self.aged(ttl={"default": "1h", "jitter": "0"})
        self.look(gateway.ask(headers={"cache-control": "only-if-cached"}), "miss", status=504)
        self.assertEqual(len(self.behind.calls), 0)
        gateway.ask()
        self.look(gateway.ask(headers={"cache-control": "only-if-cached"}), "hit; level=memory", "answer 1")
        self.look(gateway.ask(headers={"cache-control": "max-age=100"}), "hit; level=memory", "answer 1")
        time.sleep(1.1)
        self.look(gateway.ask(headers={"cache-control": "max-age=1"}), "miss", "answer 2")
        self.look(gateway.ask(headers={"cache-control": "no-cache"}), "miss", "answer 3")
        self.look(gateway.ask(headers={"cache-control": "no-store"}), "bypass; reason=no-store", "answer 4")
        self.look(gateway.ask(), "hit; level=memory", "answer 3")

    def test_a_model_has_rules_of_its_own(self):
        self.behind = self.counting()
        models = [{"name": "m", "engines": ["e"], "cache": {"answers": "off"}},
                  {"name": "n", "engines": ["e"], "cache": {"answers": "all", "ttl": "1s"}}]
        gateway = self.gateway(self.to(self.behind), {"models": models, "cache": {
            "stale": {"while_revalidate": "0s", "if_error": "0s"}}})
        self.look(gateway.ask(temperature=0), "bypass; reason=off")
        self.look(gateway.ask(model="n", temperature=1), "miss")
        self.look(gateway.ask(model="n", temperature=1), "hit; level=memory")
        time.sleep(1.1)
        self.look(gateway.ask(model="n", temperature=1), "miss")
        self.assertIn("answers are not cached", gateway.output)

    def test_errors_are_not_kept(self):
        script = lambda *_: plain(b'{"error":{"message":"no"}}', status=400)  # noqa: E731
        gateway = self.aged(script)
        for _ in range(2):
            self.look(gateway.ask(), "bypass; reason=error", status=400)

    def test_refusals_are_kept_where_that_is_wanted(self):
        def script(_, number):
            return plain(b'{"error":{"message":"number %d","type":"invalid_request_error","param":null,"code":null}}'
                         % number, status=400)
        gateway = self.aged(script, ttl={"negative": "1s", "jitter": "0"})
        self.look(gateway.ask(), "miss", status=400)
        for more in ({}, {}, {"stream": True}, {}):
            answer = self.look(gateway.ask(**more), "hit; level=memory", status=400)
            self.assertEqual(answer.error["message"], "number 1")
        time.sleep(1.1)
        self.assertEqual(gateway.ask().error["message"], "number 2")
