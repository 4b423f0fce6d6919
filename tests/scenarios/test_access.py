"""Who may ask: keys, tokens, tenants, and whose answers are given to whom."""

import json
import statistics
import time

from harness.keys import Provider, base64url, bearer, make_key
from harness.penstock import KEY, SANITIZED, Engine, Scenario, answering, plain, polite, question, run, wait_until


class Keys(Scenario):
    def guarded(self, *more, engine=None):
        self.store = f"sqlite:{self.folder}/keys.db"
        self.behind = engine or self.engine()
        return self.gateway(self.to(self.behind), {"auth": {"mode": "keys"},
                                                   "store": {"url": self.store}}, *more)

    def refused(self, answer, status=401, code="invalid_api_key"):
        self.assertEqual((answer.status, answer.error["code"]), (status, code), answer)
        return answer

    def test_only_who_has_a_key_may_ask(self):
        gateway = self.guarded()
        answer = self.refused(gateway.ask())
        self.assertEqual(answer.headers["www-authenticate"], "Bearer")
        self.assertEqual(answer.headers["x-should-retry"], "false")
        self.assertIn("Authorization: Bearer", answer.error["message"])
        for wrong in (KEY, "pk_" + "0" * 49, "pk_", "' OR '1'='1", "x" * 7000):
            self.refused(gateway.ask(headers={"authorization": f"Bearer {wrong}"}))
        self.refused(gateway.ask(headers={"authorization": "Basic YTpi"}))
        self.refused(gateway.get("/v1/models"))
        self.refused(gateway.post("/v1/anything", {}))
        self.assertEqual(gateway.get("/livez").status, 200)
        self.assertEqual(len(self.behind.calls), 0)

        key, _ = make_key(self.store, "acme")
        for headers in (bearer(key), {"authorization": f"bearer  {key}"}, {"api-key": key},
                        {"x-api-key": key}):
            self.assertEqual(gateway.ask(headers=headers).status, 200, headers)
        self.assertNotIn(key, str(self.behind.requests[-1].fields))
        self.assertEqual(gateway.metric("penstock_auth_requests_total", method="key",
                                        result="success"), 4)
        self.assertGreaterEqual(gateway.metric("penstock_auth_requests_total", method="key",
                                               result="invalid"), 5)

    def test_a_kept_answer_is_for_those_who_may_ask(self):
        gateway = self.guarded()
        key, _ = make_key(self.store, "acme")
        for cache in ("miss", "hit", "hit"):
            self.assertEqual(gateway.ask(headers=bearer(key), temperature=0).cache, cache)
        self.refused(gateway.ask(temperature=0))

    def test_a_revoked_key_is_refused_within_a_second_also_for_kept_answers(self):
        gateway = self.guarded()
        key, name = make_key(self.store, "acme")
        for _ in range(3):
            self.assertEqual(gateway.ask(headers=bearer(key), temperature=0).status, 200)
        code, output = run("keys", "revoke", name, "--store", self.store)
        self.assertEqual(code, 0, output)
        begun = time.monotonic()
        wait_until(lambda: gateway.ask(headers=bearer(key), temperature=0).status == 401, "refused")
        self.assertLess(time.monotonic() - begun, 4.0 if SANITIZED else 1.5)
        self.assertIn("revoked", gateway.ask(headers=bearer(key)).error["message"])

    def test_an_expired_key_and_one_that_was_rotated_are_refused(self):
        gateway = self.guarded()
        key, _ = make_key(self.store, "acme", "--expires", "1s")
        self.assertEqual(gateway.ask(headers=bearer(key)).status, 200)
        wait_until(lambda: gateway.ask(headers=bearer(key)).status == 401, "expired")
        old, name = make_key(self.store, "acme")
        self.assertEqual(gateway.ask(headers=bearer(old)).status, 200)
        code, output = run("keys", "rotate", name, "--grace", "1s", "--store", self.store)
        self.assertEqual(code, 0, output)
        self.assertEqual(gateway.ask(headers=bearer(old)).status, 200)
        wait_until(lambda: gateway.ask(headers=bearer(old)).status == 401, "its grace is over")

    def test_a_key_has_its_models(self):
        gateway = self.guarded({"models": [{"name": "m", "engines": ["e"]},
                                           {"name": "n", "engines": ["e"], "aliases": ["nn"]}]})
        key, _ = make_key(self.store, "acme", "--models", "n")
        self.assertEqual(gateway.ask(headers=bearer(key), model="n").status, 200)
        self.assertEqual(gateway.ask(headers=bearer(key), model="nn").status, 200)
        self.refused(gateway.ask(headers=bearer(key), model="m"), 403, "model_not_allowed")
        listed = gateway.get("/v1/models", headers=bearer(key)).json["data"]
        self.assertEqual({model["id"] for model in listed}, {"n", "nn"})

    def test_a_tenant_has_its_models_and_another_key_does_not_get_its_kept_answers(self):
        gateway = self.guarded({"models": [{"name": "m", "engines": ["e"]},
                                           {"name": "n", "engines": ["e"]}],
                                "tenants": [{"name": "small", "models": ["n"]}]})
        small, _ = make_key(self.store, "small")
        large, _ = make_key(self.store, "large")
        for _ in range(2):
            self.assertEqual(gateway.ask(headers=bearer(large), temperature=0).status, 200)
        self.refused(gateway.ask(headers=bearer(small), temperature=0), 403, "model_not_allowed")

    def test_one_question_of_two_tenants_is_two_calls_and_of_two_keys_of_one_is_one(self):
        gateway = self.guarded({"tenants": [{"name": "apart", "cache": {"scope": "key"}}]})
        keys = {name: make_key(self.store, name.split("-")[0])[0]
                for name in ("a-1", "a-2", "b-1", "apart-1", "apart-2")}
        for name, cache in (("a-1", "miss"), ("a-2", "hit"), ("b-1", "miss"), ("a-1", "hit"),
                            ("apart-1", "miss"), ("apart-2", "miss"), ("apart-1", "hit")):
            answer = gateway.ask("Who am I?", headers=bearer(keys[name]), temperature=0)
            self.assertEqual((name, answer.cache), (name, cache))
        self.assertEqual(len(self.behind.calls), 4)

    def test_how_long_a_refusal_takes_tells_nothing_of_the_key(self):
        gateway = self.guarded()
        good, _ = make_key(self.store, "acme")
        self.assertEqual(gateway.ask(headers=bearer(good)).status, 200)
        # Wrong in the last characters, in the first, and of no shape at all: each often refused, so
        # that the database is asked by none of them.
        tries = {"near": good[:-8] + "00000000", "far": "pk_" + good[:2:-1], "shapeless": "nothing"}
        times = {name: [] for name in tries}
        with gateway.wire() as wire:
            for _ in range(300):
                for name, key in tries.items():
                    begun = time.perf_counter()
                    wire.post(question(), headers=[f"Authorization: Bearer {key}"])
                    self.assertEqual(wire.answer().status, 401)
                    times[name].append(time.perf_counter() - begun)
        medians = [statistics.median(values) for values in times.values()]
        self.assertLess(max(medians), 2 * min(medians), medians)

    def test_off_loopback_a_gateway_that_tells_nobody_apart_does_not_start(self):
        file = self.folder / "open.yaml"
        file.write_text(json.dumps({"listen": {"address": "0.0.0.0:0"}}))
        code, output = run("serve", "--config", file, cwd=self.folder)
        self.assertEqual(code, 2, output)
        self.assertIn("auth.mode is none", output)


class Tokens(Scenario):
    def setUp(self):
        super().setUp()
        self.provider = Provider(self.folder)
        self.jwks = self.provider.jwks
        self.source = Engine(answering(lambda request: plain(self.jwks)))
        self.addCleanup(self.source.close)
        self.behind = self.engine()

    def guarded(self, *more):
        return self.gateway(self.to(self.behind), {"auth": {"mode": "jwt", "jwt": {
            "issuer": "https://id.example", "audience": "penstock",
            "jwks_url": f"http://127.0.0.1:{self.source.port}/keys"}}}, *more)

    def test_a_signed_token_is_its_tenants(self):
        gateway = self.guarded()
        token = self.provider.token()
        wait_until(lambda: gateway.ask(headers=bearer(token)).status == 200, "the keys have come")
        for cache in ("miss", "hit"):
            self.assertEqual(gateway.ask(headers=bearer(token), temperature=0).cache, cache)
        other = self.provider.token(tenant="beta", sub="bob")
        self.assertEqual(gateway.ask(headers=bearer(other), temperature=0).cache, "miss")

    def test_a_forged_token_is_refused(self):
        gateway = self.guarded()
        good = self.provider.token()
        wait_until(lambda: gateway.ask(headers=bearer(good)).status == 200, "the keys have come")
        head, body, signature = good.split(".")
        other = Provider(self.folder, "other")
        now = int(time.time())
        unsigned = base64url(json.dumps({"alg": "none", "typ": "JWT"}).encode())
        changed = base64url(json.dumps({"iss": "https://id.example", "aud": "penstock", "sub": "root",
                                        "tenant": "acme", "exp": now + 600}).encode())
        forged = {
            "alg none": f"{unsigned}.{body}.",
            "alg none, signed": f"{unsigned}.{body}.{signature}",
            "other claims": f"{head}.{changed}.{signature}",
            "another's key": other.token(header={"kid": "provider"}),
            "an unknown key": other.token(),
            "expired": self.provider.token(exp=now - 120, iat=now - 700),
            "not yet": self.provider.token(nbf=now + 600),
            "for another": self.provider.token(aud="elsewhere"),
            "by another": self.provider.token(iss="https://evil.example"),
            "no end": self.provider.token(exp=None),
            "no tenant": self.provider.token(tenant=None),
            "cut": good[:-10],
        }
        for name, token in forged.items():
            answer = gateway.ask(headers=bearer(token))
            self.assertEqual((name, answer.status), (name, 401), answer)
            self.assertIn("not accepted", answer.error["message"])
        self.assertEqual(gateway.ask(headers=bearer(good)).status, 200)

    def test_a_new_key_of_the_provider_is_taken_and_an_old_one_stays_while_it_is_away(self):
        gateway = self.guarded()
        first = self.provider.token()
        wait_until(lambda: gateway.ask(headers=bearer(first)).status == 200, "the keys have come")
        second = Provider(self.folder, "second")
        keys = json.loads(self.provider.jwks)["keys"] + json.loads(second.jwks)["keys"]
        self.jwks = json.dumps({"keys": keys}).encode()
        token = second.token()
        wait_until(lambda: gateway.ask(headers=bearer(token)).status == 200, "rotated", limit=30)
        self.source.close()
        self.assertEqual(gateway.ask(headers=bearer(self.provider.token(sub="carol"))).status, 200)
