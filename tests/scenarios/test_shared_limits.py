"""Two gateways, one Redis: limits are counted together, and go on without it."""

import time

from harness.penstock import Scenario, answering, completion, plain, wait_until
from harness.redis_server import RedisServer


class SharedLimits(Scenario):
    def setUp(self):
        super().setUp()
        self.redis = RedisServer()
        self.addCleanup(self.redis.close)

    def nodes(self, limits, price=None, script=None, timeout="1s"):
        """Two gateways that have found each other. On a busy machine Redis may not answer within the
        50 ms that are the default, and a node that has no answer decides by its own share."""
        self.behind = self.engine(script)
        config = self.to(self.behind)
        if price:
            config["engines"][0]["price"] = price
        made = []
        for name in ("a", "b"):
            made.append(self.gateway(config, {
                "limits": limits, "cache": {"redis": {"urls": [self.redis.url], "timeout": timeout}},
                "store": {"url": f"sqlite:{self.folder}/{name}.db"}}))
        wait_until(lambda: self.redis.ask("ZCARD", "penstock:limit:nodes") == 2,
                   "both nodes are counted")
        # Each learns of the other with its next word.
        words = self.redis.ask("ZRANGE", "penstock:limit:nodes", 0, -1, "WITHSCORES")[1::2]
        wait_until(lambda: not set(words) & set(
            self.redis.ask("ZRANGE", "penstock:limit:nodes", 0, -1, "WITHSCORES")[1::2]),
            "both nodes have counted")
        return made

    def spent(self):
        """Billionths, of the only sum that there is."""
        (key,) = self.redis.ask("KEYS", "penstock:spend:*")
        return int(self.redis.ask("GET", key))

    def test_requests_are_counted_over_both(self):
        a, b = self.nodes({"requests": "20/h"})
        answers = [(a, b)[i % 2].ask(f"question {i}") for i in range(24)]
        self.assertEqual([answer.status for answer in answers], [200] * 20 + [429] * 4)
        self.assertEqual(answers[19].headers["x-ratelimit-remaining-requests"], "0")
        self.assertGreater(int(answers[-1].headers["retry-after"]), 100)
        self.assertLessEqual(int(answers[-1].headers["retry-after"]), 180)

    def test_a_kept_answer_counts_too(self):
        a, b = self.nodes({"requests": "10/h"})
        answers = [(a, b)[i % 2].ask(temperature=0) for i in range(12)]
        self.assertEqual([answer.status for answer in answers], [200] * 10 + [429] * 2)
        self.assertEqual(len(self.behind.calls), 1)

    def test_tokens_are_settled_for_both(self):
        usage = {"prompt_tokens": 50, "completion_tokens": 50, "total_tokens": 100}
        a, b = self.nodes({"tokens": "1000/h"},
                          script=answering(lambda request: plain(completion(usage=usage))))
        self.assertEqual(a.ask(max_tokens=900).status, 200)
        # What was reserved and not used reaches the other one soon: 900 are left of 1000.
        wait_until(lambda: b.ask(max_tokens=700).status == 200, "the tokens that were given back")
        self.assertEqual(a.ask(max_tokens=950).status, 429)

    def test_money_is_counted_over_both_and_refused_without_redis(self):
        usage = {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}
        a, b = self.nodes({"spend": {"day": 0.01}}, price={"input": 1, "output": 2},
                          script=answering(lambda request: plain(completion(usage=usage))))
        answers = []
        for i in range(5):
            answers.append((a, b)[i % 2].ask(f"question {i}", max_tokens=1000).status)
            if answers[-1] == 200:  # 0.003 each, settled within a moment
                wait_until(lambda n=len(answers): self.spent() == n * 3_000_000, "it is settled")
        self.assertEqual(answers, [200, 200, 200, 429, 429])
        self.redis.kill()
        answer = a.ask(max_tokens=1)
        self.assertEqual((answer.status, answer.error["code"]), (503, "limits_unavailable"))
        self.assertEqual(a.metric("penstock_ratelimit_unshared_total", decision="refused"), 1)

    def test_without_redis_each_enforces_its_half_and_nobody_fails(self):
        a, b = self.nodes({"requests": "40/h"})
        self.assertEqual([gateway.ask().status for gateway in (a, b)], [200, 200])
        self.assertEqual(a.metric("penstock_ratelimit_unshared_total"), 0)
        self.redis.kill()
        statuses = {}
        longest = 0
        for gateway in (a, b):
            statuses[gateway] = []
            for i in range(30):
                begun = time.monotonic()
                statuses[gateway].append(gateway.ask(f"question {i}").status)
                longest = max(longest, time.monotonic() - begun)
        for gateway in (a, b):
            self.assertLessEqual(set(statuses[gateway]), {200, 429})
            # Half of 40, less half of the two that both know of, or of the one that it knew of.
            self.assertIn(statuses[gateway].count(200), (19, 20))
            self.assertGreaterEqual(gateway.metric("penstock_ratelimit_unshared_total", decision="share"), 29)
        self.assertLess(longest, 2)
        self.redis.start()
        wait_until(lambda: a.metric("penstock_redis_up") == 1, "Redis is reached again")
        # What both admitted meanwhile is owed: nothing is left.
        wait_until(lambda: a.ask("later").status == 429 and b.ask("later").status == 429,
                   "both are told what the other one admitted")

    def test_redis_that_hangs_costs_one_wait(self):
        a, b = self.nodes({"requests": "100000/h"}, timeout="50ms")
        self.assertEqual([gateway.ask().status for gateway in (a, b)], [200, 200])
        self.redis.stop()
        times = []
        for i in range(50):
            begun = time.monotonic()
            self.assertEqual(a.ask(f"question {i}").status, 200)
            times.append(time.monotonic() - begun)
        self.redis.go_on()
        # The first few find out, one after the other; the others do not wait.
        self.assertLess(sorted(times)[25], 0.04)
        wait_until(lambda: a.metric("penstock_redis_up") == 1, "Redis answers again")
        self.assertEqual(b.ask("later").status, 200)
