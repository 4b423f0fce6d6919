"""Names of models, and what only passes through: forms, other paths, ranges."""

import json
import socket

from harness.penstock import Scenario, answering, completion, plain, question

LIST = plain(json.dumps({"object": "list", "data": [{"id": "org/own", "object": "model"}]}).encode())


def form(disposition, model="m"):
    return (f"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"model\"\r\n\r\nsound\r\n"
            f"--b\r\nContent-Disposition: {disposition}\r\n\r\n{model}\r\n--b--\r\n").encode()


class Passthrough(Scenario):
    def to_large(self, engine, **more):
        return {**self.to(engine), "models": [
            {"name": "meta/Llama", "engines": ["e"], "upstream_name": "large", "aliases": ["small"]}],
            **more}

    def test_a_model_is_found_by_its_escaped_name_and_by_its_alias(self):
        gateway = self.gateway(self.to_large(self.engine()))
        for path in ("meta/Llama", "meta%2FLlama", "meta%2fLlama"):
            answer = gateway.get(f"/v1/models/{path}")
            self.assertEqual((answer.status, answer.json.get("id")), (200, "meta/Llama"), answer)
        self.assertEqual(gateway.get("/v1/models/small").json["id"], "small")
        self.assertEqual([one["id"] for one in gateway.get("/v1/models").json["data"]],
                         ["meta/Llama", "small"])
        self.assertEqual(gateway.get("/v1/models/meta%252FLlama").status, 404)
        self.assertEqual(gateway.get("/v1/models/..%2F..%2Flivez").status, 400)

    def test_an_engine_that_is_away_is_named_without_its_address(self):
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        gateway = self.gateway({
            "engines": [{"name": "away", "kind": "openai", "url": f"http://127.0.0.1:{port}/v1"}],
            "models": [{"name": "*", "engines": ["away"]}]})
        for path in ("/v1/models/x", "/v1/models"):
            answer = gateway.get(path)
            self.assertEqual((answer.status, answer.error["code"]), (503, "engine_unavailable"))
            self.assertIn("away", answer.error["message"])
            self.assertNotIn(str(port), answer.body.decode())

    def test_a_model_that_an_engine_lists_without_an_owner_has_one(self):
        engine = self.engine(answering(lambda _: LIST))
        gateway = self.gateway({**self.to(engine), "models": [{"name": "*", "engines": ["e"]}]})
        model = gateway.get("/v1/models/org%2Fown").json
        self.assertEqual((model["id"], model["owned_by"]), ("org/own", "e"))
        self.assertGreater(model["created"], 1_600_000_000)

    def test_no_method_passes_that_could_bring_back_the_key_of_the_engine(self):
        engine = self.engine(answering(lambda _: plain(b"{}")))
        gateway = self.gateway(self.to(engine))
        for method in ("TRACE", "TRACK", "get", "PROPFIND"):
            answer = gateway.request(method, "/v1/files")
            self.assertEqual((answer.status, answer.headers.get("allow")),
                             (405, "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"), answer)
        self.assertEqual(engine.requests, [])
        for method in ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"):
            self.assertEqual(gateway.request(method, "/v1/files").status, 200)

    def test_a_form_goes_on_with_the_name_that_the_engine_knows(self):
        engine = self.engine(answering(lambda _: plain(b"{}")))
        gateway = self.gateway(self.to_large(engine))
        for disposition in ('form-data; name="model"', "form-data; NAME=model"):
            for name in ("small", "meta/Llama"):
                answer = gateway.request("POST", "/v1/audio/transcriptions", form(disposition, name), {
                    "content-type": "multipart/form-data; boundary=b"})
                self.assertEqual(answer.status, 200, answer)
                self.assertEqual(engine.calls[-1].body, form(disposition, "large"))

    def test_ranges_of_parameters_are_the_engines_to_judge(self):
        engine = self.engine(answering(lambda _: plain(completion())))
        gateway = self.gateway(self.to(engine))
        for more in ({"max_tokens": -1}, {"max_tokens": 0}, {"temperature": 5}):
            self.assertEqual(gateway.ask(**more).status, 200, more)
            self.assertEqual(engine.calls[-1].json | more, engine.calls[-1].json)
            answer = gateway.post("/v1/completions", {"model": "m", "prompt": "x", **more})
            self.assertEqual(answer.status, 200, answer)
        self.assertEqual(gateway.ask(n=129).error["param"], "n")

    def test_other_paths_take_any_json(self):
        engine = self.engine(answering(lambda _: plain(b"{}")))
        gateway = self.gateway(self.to(engine))
        for body in ({"model": "m", "store": "x"}, [{"model": 7}], {"model": 7}):
            answer = gateway.post("/v1/files", body)
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(engine.calls[-1].json, body)

