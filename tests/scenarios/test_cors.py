"""Pages of other origins: what a browser is told. The browser itself is in clients/."""

import json

from harness.penstock import Scenario, answering, completion, plain, polite, question

APP = "https://app.example"
READABLE = ("x-request-id", "x-penstock-cache", "x-penstock-engine", "retry-after", "retry-after-ms",
            "x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens", "age", "server-timing")


def cors(answer):
    """What an answer says to browsers, but for the list of what may be read."""
    return {name.removeprefix("access-control-"): value for name, value in answer.headers.items()
            if name.startswith("access-control-") and name != "access-control-expose-headers"}


class Cors(Scenario):
    def open_to(self, *origins, engine=None, **more):
        return self.gateway(self.to(engine or self.engine()), {"listen": {"cors": {
            "origins": list(origins)}}}, more)

    def preflight(self, gateway, origin=APP, path="/v1/chat/completions", **headers):
        asked = {"origin": origin, "access-control-request-method": "POST",
                 "access-control-request-headers": "authorization,content-type,x-stainless-os"}
        asked.update({name.replace("_", "-"): value for name, value in headers.items()})
        return gateway.request("OPTIONS", path, headers=asked)

    def test_a_preflight_is_answered_by_the_gateway_alone(self):
        engine = self.engine()
        gateway = self.open_to(APP, engine=engine)
        for path in ("/v1/chat/completions", "/v1/models", "/v1/audio/speech"):
            answer = self.preflight(gateway, path=path)
            self.assertEqual((answer.status, answer.body), (204, b""), answer)
            self.assertNotIn("content-length", answer.headers)
            self.assertEqual(cors(answer), {
                "allow-origin": APP, "allow-credentials": "true",
                "allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
                "allow-headers": "authorization,content-type,x-stainless-os", "max-age": "7200"})
            self.assertIn("origin", answer.headers["vary"])
        self.assertEqual(engine.requests, [])
        self.assertEqual(gateway.metric("penstock_http_requests_total", method="OPTIONS", code="204"), 3)

    def test_a_preflight_into_a_private_network_is_allowed_where_it_is_asked_for(self):
        gateway = self.open_to(APP)
        self.assertNotIn("allow-private-network", cors(self.preflight(gateway)))
        answer = self.preflight(gateway, access_control_request_private_network="true")
        self.assertEqual(cors(answer)["allow-private-network"], "true")

    def test_a_preflight_of_another_origin_is_told_why_not(self):
        gateway = self.open_to(APP)
        for origin in ("https://evil.example", "https://app.example.evil.example", "null",
                       "http://app.example", "https://app.example:8443"):
            answer = self.preflight(gateway, origin)
            self.assertEqual(answer.status, 403, origin)
            self.assertEqual(answer.error["code"], "origin_not_allowed")
            self.assertIn("listen.cors.origins", answer.error["message"])
            self.assertEqual(cors(answer), {})

    def test_every_answer_says_who_may_read_it(self):
        limited = ["X-RateLimit-Remaining-Requests: 59"]
        engine = self.engine(answering(
            lambda r: polite(r) if r.method == "GET" or r.json.get("stream")
            else plain(completion(), headers=limited)))
        gateway = self.open_to(APP, engine=engine)
        asked = {"origin": APP}
        answers = {
            "a miss": gateway.ask(headers=asked),
            "a hit": gateway.ask(headers=asked),
            "a hit by its bytes": gateway.ask(headers=asked),
            "a stream": gateway.ask("Another?", stream=True, headers=asked),
            "a list of models": gateway.get("/v1/models", headers=asked),
            "an unknown model": gateway.ask(model="other", headers=asked),
            "no JSON": gateway.request("POST", "/v1/chat/completions", body="{",
                                       headers={"content-type": "application/json", **asked}),
            "an unknown path": gateway.get("/v2", headers=asked),
            "health": gateway.get("/livez", headers=asked),
            "too large": gateway.request("POST", "/v1/chat/completions", headers={
                "content-length": "99999999999", "content-type": "application/json", **asked}),
        }
        self.assertEqual([answers[n].cache for n in ("a miss", "a hit", "a hit by its bytes")],
                         ["miss", "hit", "hit"])
        self.assertEqual(answers["too large"].status, 413)
        for name, answer in answers.items():
            with self.subTest(name):
                self.assertEqual(cors(answer), {"allow-origin": APP, "allow-credentials": "true"})
                readable = answer.headers["access-control-expose-headers"].split(", ")
                for field in READABLE:
                    self.assertIn(field, readable)
                self.assertIn("origin", answer.headers["vary"].split(", "))

    def test_another_origin_is_answered_and_may_not_read_it(self):
        gateway = self.open_to(APP)
        for answer in (gateway.ask(headers={"origin": "https://evil.example"}),
                       gateway.ask(headers={"origin": "https://evil.example"}),
                       gateway.ask()):
            self.assertEqual((answer.status, cors(answer)), (200, {}))
            self.assertNotIn("access-control-expose-headers", answer.headers)

    def test_every_origin_may_be_let_in_without_its_credentials(self):
        gateway = self.open_to("*", APP)
        for origin in ("https://anyone.example", "null"):
            self.assertEqual(cors(gateway.ask(headers={"origin": origin})), {"allow-origin": "*"})
            self.assertEqual(self.preflight(gateway, origin).headers["access-control-allow-origin"], "*")
        self.assertEqual(cors(gateway.ask(headers={"origin": APP})),
                         {"allow-origin": APP, "allow-credentials": "true"})

    def test_without_origins_nothing_is_said(self):
        gateway = self.gateway(self.to(self.engine()))
        answer = gateway.ask(headers={"origin": APP})
        self.assertEqual((answer.status, cors(answer)), (200, {}))
        self.assertNotIn("origin", answer.headers.get("vary", ""))
        self.assertEqual(self.preflight(gateway).status, 405)

    def test_an_engines_word_on_origins_is_not_the_gateways(self):
        open_wide = ["Access-Control-Allow-Origin: *", "Access-Control-Allow-Credentials: true",
                     "Vary: Origin"]
        engine = self.engine(answering(lambda _: plain(completion(), headers=open_wide)))
        gateway = self.open_to(APP, engine=engine)
        answer = gateway.ask(headers={"origin": "https://evil.example"})
        self.assertEqual((answer.status, cors(answer)), (200, {}))
        self.assertNotIn("origin", engine.calls[0].headers)

    def test_a_page_and_a_program_share_their_answers(self):
        engine = self.engine()
        gateway = self.open_to(APP, engine=engine)
        self.assertEqual(gateway.ask(headers={"origin": APP, "sec-fetch-site": "cross-site",
                                              "referer": APP + "/"}).cache, "miss")
        self.assertEqual(gateway.ask().cache, "hit")
        self.assertEqual(len(engine.calls), 1)

    def test_origins_change_with_a_reload(self):
        gateway = self.open_to(APP)
        other = "https://other.example"
        self.assertEqual(self.preflight(gateway, other).status, 403)
        gateway.config["listen"]["cors"]["origins"] = [other]
        gateway.write(gateway.config)
        self.assertEqual(gateway.admin("/admin/v1/reload", method="POST").status, 200)
        self.assertEqual(self.preflight(gateway, other).status, 204)
        self.assertEqual(self.preflight(gateway).status, 403)
        self.assertEqual(cors(gateway.ask(headers={"origin": APP})), {})

    def test_an_options_that_asks_nothing_beforehand_is_a_request_like_others(self):
        gateway = self.open_to(APP)
        answer = gateway.request("OPTIONS", "/v1/chat/completions", headers={"origin": APP})
        self.assertEqual(answer.status, 405)
        self.assertEqual(json.loads(answer.body)["error"]["code"], "method_not_allowed")
        body = question(stream=False)
        self.assertEqual(gateway.post("/v1/chat/completions", body).status, 200)
