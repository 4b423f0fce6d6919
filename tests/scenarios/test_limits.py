"""How much may be asked: requests, tokens, requests at a time, money."""

import json
import threading

from harness.keys import bearer, make_key
from harness.penstock import (STREAM_HEAD, Scenario, answering, chunk, completion, delta, plain,
                              question, run, wait_until)


def priced(tokens):
    """An engine whose every answer used so many tokens of input and output."""
    usage = {"prompt_tokens": tokens, "completion_tokens": tokens, "total_tokens": 2 * tokens}
    return answering(lambda request: plain(completion(usage=usage)))


class Limits(Scenario):
    def limited(self, *more, script=None, keys=False):
        self.store = f"sqlite:{self.folder}/limits.db"
        self.behind = self.engine(script)
        auth = {"auth": {"mode": "keys"}} if keys else {}
        return self.gateway(self.to(self.behind), {"store": {"url": self.store}}, auth, *more)

    def refused(self, answer, code="rate_limit_exceeded"):
        self.assertEqual((answer.status, answer.error["code"]), (429, code), answer)
        return answer.error["message"]

    def test_requests_are_limited_and_the_headers_say_what_is_left(self):
        gateway = self.limited({"limits": {"requests": "3/m"}})
        for left in (2, 1, 0):
            headers = gateway.ask().headers
            self.assertEqual(headers["x-ratelimit-limit-requests"], "3")
            self.assertEqual(headers["x-ratelimit-remaining-requests"], str(left))
            self.assertEqual(headers["ratelimit-policy"], '"requests";q=3;w=60')
            self.assertIn(f'"requests";r={left};t=', headers["ratelimit"])
        answer = gateway.ask()
        self.assertIn("3 in a minute", self.refused(answer))
        self.assertIn("Try again in", answer.error["message"])
        self.assertLessEqual(int(answer.headers["retry-after"]), 20)
        self.assertGreater(int(answer.headers["retry-after-ms"]), 15000)
        self.assertRegex(answer.headers["x-ratelimit-reset-requests"], r"^(1m)?\d+s$")
        self.assertEqual(gateway.metric("penstock_ratelimit_decisions_total", limit="requests",
                                        decision="refused"), 1)

    def test_a_kept_answer_counts_as_a_request_and_costs_no_tokens(self):
        gateway = self.limited({"limits": {"requests": "4/m", "tokens": "1000/m"}})
        first = gateway.ask(temperature=0, max_tokens=100)
        self.assertEqual(first.headers["x-ratelimit-limit-tokens"], "1000")
        for _ in range(3):
            answer = gateway.ask(temperature=0, max_tokens=100)
            self.assertEqual((answer.status, answer.cache), (200, "hit"))
        # What was reserved for the one call has come back but for what it used.
        self.assertEqual(answer.headers["x-ratelimit-remaining-tokens"], "995")
        self.refused(gateway.ask(temperature=0, max_tokens=100))

    def test_tokens_are_taken_ahead_and_settled(self):
        gateway = self.limited({"limits": {"tokens": "1000/h"}}, script=priced(50))
        self.assertEqual(gateway.ask("1", max_tokens=800).status, 200)
        self.assertEqual(gateway.ask("2", max_tokens=800).status, 200)
        message = self.refused(gateway.ask("3", max_tokens=900))
        self.assertIn("Limit of tokens reached", message)
        never = gateway.ask(max_tokens=2000)
        self.assertIn("more than the limit", self.refused(never))
        self.assertEqual(never.headers["x-should-retry"], "false")
        self.assertNotIn("retry-after", never.headers)

    def test_who_leaves_before_the_count_pays_for_what_was_answered(self):
        def script(call):
            while request := call.request():
                if not request.json.get("stream"):
                    call.send(plain(completion()))
                    continue
                call.send(STREAM_HEAD)
                for i in range(50):
                    call.send(chunk(delta(f"word{i} ")))
                call.gone()
                return
        gateway = self.limited({"limits": {"tokens": "10000/d"}}, script=script)
        before = int(gateway.ask("before", max_tokens=1).headers["x-ratelimit-remaining-tokens"])
        with gateway.wire() as wire:
            wire.post(question("leaving", stream=True, max_tokens=1000))
            wire.until(b"word49 ")
        wait_until(lambda: gateway.metric("penstock_engine_in_flight") == 0, "its call has ended")
        after = int(gateway.ask("after", max_tokens=1).headers["x-ratelimit-remaining-tokens"])
        self.assertGreaterEqual(before - after, 50)  # and what it asked
        self.assertLessEqual(before - after, 400)
        wait_until(lambda: json.loads(run("usage", "--by", "status", "--today", "--format", "json", "--store",
                                          self.store)[1])["total"]["tokens"]["output"] >= 50, "it is in the ledger")

    def test_feedback_counts_as_a_request(self):
        gateway = self.limited({"limits": {"requests": "2/h"}})
        said = {"request_id": "r", "rating": "up", "comment": "Good."}
        statuses = [gateway.post("/v1/feedback", said).status for _ in range(3)]
        self.assertEqual(statuses, [201, 201, 429])

    def test_so_many_at_a_time(self):
        go_on = threading.Event()

        def script(call):
            while call.request():
                go_on.wait(20)
                call.send(plain(completion()))
        gateway = self.limited({"limits": {"inflight": 2}}, script=script)
        answers = []
        asking = [threading.Thread(target=lambda i=i: answers.append(gateway.ask(f"{i}").status))
                  for i in range(2)]
        for one in asking:
            one.start()
        self.behind.wait_for(lambda engine: len(engine.calls) == 2)
        self.assertIn("at a time", self.refused(gateway.ask()))
        go_on.set()
        for one in asking:
            one.join()
        self.assertEqual(answers, [200, 200])
        self.assertEqual(gateway.ask().status, 200)

    def test_money_is_counted_and_survives_a_restart(self):
        # 1000 tokens each way at 1 and 2 a thousandth of a million: 0.003 a question.
        config = ({"limits": {"spend": {"day": 0.01}}}, )
        gateway = self.limited(*config, script=priced(1000))
        priced_engine = self.to(self.behind, price={"input": 1, "output": 2})
        gateway.kill()
        gateway = self.gateway(priced_engine, {"store": {"url": self.store}}, *config)
        answers = [gateway.ask(f"{i}", max_tokens=1000).status for i in range(4)]
        self.assertEqual(answers, [200, 200, 200, 429])
        message = self.refused(gateway.ask("5", max_tokens=1000), "insufficient_quota")
        self.assertIn("for the day", message)
        # What is kept costs nothing.
        self.assertEqual(gateway.ask("1", max_tokens=1000).cache, "hit")
        self.assertAlmostEqual(gateway.metric("penstock_cost_total"), 0.009)
        gateway.signal(15)
        self.assertEqual(gateway.wait(), 0)
        again = self.gateway(priced_engine, {"store": {"url": self.store}}, *config)
        self.refused(again.ask("6", max_tokens=1000), "insufficient_quota")

    def test_keys_tenants_models_and_all_together_have_limits_of_their_own(self):
        gateway = self.limited(
            {"models": [{"name": "m", "engines": ["e"]}, {"name": "n", "engines": ["e"]}],
             "tenants": [{"name": "acme", "limits": {"requests": "5/h"}}],
             "limits": {"requests": "2/h", "models": {"n": {"requests": "3/h"}},
                        "global": {"requests": "9/h"}}}, keys=True)
        own, _ = make_key(self.store, "acme", "--requests", "1/h")
        plain_key, _ = make_key(self.store, "acme")
        stranger, _ = make_key(self.store, "beta")
        free, _ = make_key(self.store, "beta", "--requests", "none")

        def ask(key, **more):
            return gateway.ask(headers=bearer(key), **more)
        self.assertEqual(ask(own).status, 200)                               # all: 1, acme: 1
        self.assertRegex(self.refused(ask(own)), "for key key_")
        self.assertEqual([ask(plain_key).status for _ in range(4)], [200] * 4)  # all: 5, acme: 5
        self.assertIn("for tenant acme", self.refused(ask(plain_key)))
        self.assertEqual([ask(stranger).status for _ in range(2)], [200] * 2)   # all: 7
        self.assertRegex(self.refused(ask(stranger)), "for key key_")
        self.assertEqual(ask(free, model="n").status, 200)                      # all: 8, n: 1
        self.assertEqual(ask(free, model="n").status, 200)                      # all: 9, n: 2
        self.assertIn("all together", self.refused(ask(free, model="n")))

    def test_a_models_limit_holds_for_all_who_ask_it(self):
        gateway = self.limited({"models": [{"name": "m", "engines": ["e"]}],
                                "limits": {"models": {"m": {"requests": "3/h"}}}}, keys=True)
        keys = [make_key(self.store, name)[0] for name in ("a", "b")]
        self.assertEqual([gateway.ask(headers=bearer(keys[i % 2]), temperature=0).status
                          for i in range(3)], [200] * 3)
        self.assertIn("for model m", self.refused(gateway.ask(headers=bearer(keys[0]),
                                                              temperature=0)))

    def test_a_limit_that_is_changed_holds_at_once_and_what_was_used_still_counts(self):
        gateway = self.limited(keys=True)
        key, name = make_key(self.store, "acme", "--requests", "2/h")
        self.assertEqual([gateway.ask(headers=bearer(key)).status for _ in range(3)],
                         [200, 200, 429])
        code, output = run("keys", "update", name, "--requests", "4/h", "--store", self.store)
        self.assertEqual(code, 0, output)
        wait_until(lambda: gateway.ask(headers=bearer(key)).status == 200, "the new limit")
        self.assertEqual(gateway.ask(headers=bearer(key)).headers["x-ratelimit-limit-requests"], "4")

    def test_nobody_raises_its_own_limit(self):
        gateway = self.limited({"admin": {"token": "admin-token"}}, keys=True)
        key, name = make_key(self.store, "acme", "--requests", "1/h")
        body = json.dumps({"limits": {"requests": "none"}}).encode()
        for port in (gateway.port, gateway.admin_port):
            answer = gateway.request("PATCH", f"/admin/v1/keys/{name}", body=body, port=port,
                                     headers={"content-type": "application/json", **bearer(key)})
            self.assertIn(answer.status, (401, 404), answer)
        self.assertEqual(gateway.ask(headers={**bearer(key), "x-ratelimit-limit-requests": "100"}
                                     ).status, 200)
        self.refused(gateway.ask(headers=bearer(key)))

    def test_none_and_zero_say_what_they_say(self):
        gateway = self.limited({"limits": {"requests": 0}})
        self.assertIn("its limit is 0", self.refused(gateway.ask()))
        gateway = self.limited({"limits": {"requests": "none"}})
        self.assertNotIn("x-ratelimit-limit-requests", gateway.ask().headers)
