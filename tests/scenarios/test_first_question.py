"""The main job: a question over a folder of documents, the second time from the cache."""

import json

from harness.penstock import CANARY, Scenario, question, run, wait_until

SWITCHES = """# Switches

Everything can be turned off.

## The Redis cache

Set REDIS_CACHING_ENABLED to false to turn the Redis cache off.

## The metrics

Set PROMETHEUS_METRICS_ENABLED to false to turn the metrics off.
"""


class FirstQuestion(Scenario):
    def handbook(self, *more, **files):
        gateway = self.gateway(self.documents(**(files or {"switches": SWITCHES})), *more)
        # An answer of before the documents were read once is not kept for those who ask after.
        wait_until(lambda: gateway.get("/readyz").status == 200, "the documents are read")
        return gateway

    def ask(self, gateway, text="How do I turn the Redis cache off?", **more):
        return gateway.post("/v1/chat/completions", {
            "model": "handbook", "messages": [{"role": "user", "content": text}], **more})

    def test_it_is_answered_with_its_source_and_the_second_time_from_the_cache(self):
        gateway = self.handbook()
        first, second = self.ask(gateway), self.ask(gateway)
        self.assertEqual((first.status, first.cache), (200, "miss"), first)
        self.assertIn("REDIS_CACHING_ENABLED", first.text)
        self.assertIn("switches.md", first.text)
        self.assertIn("The Redis cache", first.text)
        self.assertGreater(first.json["usage"]["total_tokens"], 0)
        self.assertEqual(first.headers["x-penstock-engine"], "handbook")
        self.assertEqual((second.status, second.cache), (200, "hit"))
        self.assertEqual(second.body, first.body)
        self.assertIn("age", second.headers)
        self.assertEqual(gateway.metric("penstock_cache_requests_total", result="hit"), 1)

    def test_every_answer_names_itself_and_says_what_it_took(self):
        gateway = self.handbook()
        own = self.ask(gateway)
        self.assertTrue(own.headers["x-request-id"])
        self.assertRegex(own.headers["server-timing"], r"gateway;dur=\d")
        for _ in range(2):  # from the engine, then from the cache
            named = gateway.request("POST", "/v1/chat/completions", body={
                "model": "handbook", "messages": [{"role": "user", "content": "metrics"}]},
                headers={"x-request-id": "from-the-client-7"})
            self.assertEqual(named.headers["x-request-id"], "from-the-client-7")

    def test_equal_questions_in_other_words_of_json_are_one_entry(self):
        gateway = self.handbook()
        self.ask(gateway)
        text = "How do I turn the Redis cache off?"
        for body in (
                json.dumps({"messages": [{"content": text, "role": "user"}], "model": "handbook"}),
                json.dumps({"model": "handbook", "user": "someone",
                            "messages": [{"role": "user", "content": text}]}, indent=4),
                '{"model":"handbook","messages":[{"role":"user","content":"\\u0048'
                + text[1:] + '"}]}'):
            answer = gateway.request("POST", "/v1/chat/completions", body=body,
                                     headers={"content-type": "application/json"})
            self.assertEqual((answer.status, answer.cache), (200, "hit"), body)

    def test_a_stream_is_made_of_events_and_is_served_from_the_cache_too(self):
        gateway = self.handbook()
        first = self.ask(gateway, stream=True)
        self.assertEqual(first.status, 200)
        self.assertTrue(first.headers["content-type"].startswith("text/event-stream"))
        self.assertEqual(first.events[-1], "[DONE]")
        text = "".join(json.loads(e)["choices"][0]["delta"].get("content") or ""
                       for e in first.events[:-1])
        plain = self.ask(gateway)
        again = self.ask(gateway, stream=True)
        self.assertEqual(plain.text, text)
        self.assertEqual((plain.cache, again.cache), ("hit", "hit"))
        self.assertEqual(again.events[-1], "[DONE]")
        self.assertEqual("".join(json.loads(e)["choices"][0]["delta"].get("content") or ""
                                 for e in again.events[:-1]), text)

    def test_usage_stands_in_a_stream_only_where_it_was_asked_for(self):
        gateway = self.handbook()
        for _ in range(2):  # from the engine, then from the cache
            with_usage = self.ask(gateway, stream=True, stream_options={"include_usage": True})
            last = json.loads(with_usage.events[-2])
            self.assertEqual(last["choices"], [])
            self.assertGreater(last["usage"]["total_tokens"], 0)
            without = self.ask(gateway, stream=True)
            self.assertFalse(any(json.loads(e).get("usage") for e in without.events[:-1]))

    def test_what_is_not_there_is_said_honestly(self):
        gateway = self.handbook()
        answer = self.ask(gateway, "zyzzyva quagga?")
        self.assertEqual(answer.status, 200)
        self.assertNotIn("REDIS_CACHING_ENABLED", answer.text)
        self.assertEqual(answer.json["choices"][0]["finish_reason"], "stop")

    def test_a_changed_file_changes_the_answer(self):
        gateway = self.handbook()
        self.assertIn("REDIS_CACHING_ENABLED", self.ask(gateway).text)
        (self.folder / "docs/switches.md").write_text(SWITCHES.replace(
            "REDIS_CACHING_ENABLED", "THE_OTHER_SWITCH"))
        wait_until(lambda: "THE_OTHER_SWITCH" in self.ask(gateway).text,
                   "an answer out of the file as it is now")
        self.assertNotIn("REDIS_CACHING_ENABLED", self.ask(gateway).text)

    def test_a_replaced_folder_changes_the_answer_and_one_that_is_gone_is_said(self):
        gateway = self.handbook()
        self.assertIn("REDIS_CACHING_ENABLED", self.ask(gateway).text)
        docs = self.folder / "docs"
        docs.rename(self.folder / "docs.old")

        def check():
            return gateway.admin("/health").json["checks"]["engine:handbook"][0]
        wait_until(lambda: check()["status"] == "warn", "a health that says that the folder is gone")
        self.assertIn("cannot be read", check()["output"])
        self.assertIn("REDIS_CACHING_ENABLED", self.ask(gateway, seed=1).text)
        gateway.wait_for("the folder of documents cannot be read")
        (self.folder / "docs.new").mkdir()
        (self.folder / "docs.new/switches.md").write_text(SWITCHES.replace(
            "REDIS_CACHING_ENABLED", "THE_OTHER_SWITCH"))
        (self.folder / "docs.new").rename(docs)
        wait_until(lambda: "THE_OTHER_SWITCH" in self.ask(gateway).text,
                   "an answer out of the new folder")
        self.assertEqual(check(), {"status": "pass", "output": "3 passages"})

    def test_models_are_listed_and_unknown_ones_are_not_found(self):
        gateway = self.handbook()
        listed = gateway.get("/v1/models")
        self.assertEqual([m["id"] for m in listed.json["data"]], ["handbook"])
        self.assertEqual(gateway.get("/v1/models/handbook").json["id"], "handbook")
        self.assertEqual(gateway.get("/v1/models/other").status, 404)
        answer = gateway.post("/v1/chat/completions", question(model="other"))
        self.assertEqual(answer.status, 404)
        self.assertEqual(set(answer.error), {"message", "type", "param", "code"})
        self.assertEqual(answer.error["code"], "model_not_found")

    def test_the_cache_can_be_turned_off_and_passed_by(self):
        gateway = self.handbook({"cache": {"answers": "off"}})
        self.assertEqual([self.ask(gateway).cache for _ in range(2)], ["bypass", "bypass"])

    def test_one_request_can_pass_the_cache_by(self):
        gateway = self.handbook()
        body = {"model": "handbook", "messages": [{"role": "user", "content": "metrics"}]}
        for _ in range(2):
            answer = gateway.post("/v1/chat/completions", body,
                                  headers={"cache-control": "no-store"})
            self.assertEqual(answer.cache, "bypass")
        self.assertEqual(gateway.post("/v1/chat/completions", body).cache, "miss")

    def test_ask_streams_the_answer_and_says_how_it_came(self):
        gateway = self.handbook()
        for expected in ("miss", "hit"):
            code, output = run("ask", "--url", f"http://127.0.0.1:{gateway.port}",
                               "How do I turn the Redis cache off?")
            self.assertEqual(code, 0, output)
            self.assertIn("REDIS_CACHING_ENABLED", output)
            last = output.strip().splitlines()[-1]
            for word in ("handbook", expected, "tokens", "ms"):
                self.assertIn(word, last)

    def test_a_question_is_not_written_anywhere(self):
        gateway = self.handbook({"logging": {"level": "debug", "access": "all"}})
        self.ask(gateway, f"What about {CANARY}?")
        gateway.post("/v1/chat/completions", {"model": f"x-{CANARY}", "messages": []})
        gateway.request("POST", "/v1/chat/completions", body=f'{{"model": "{CANARY}',
                        headers={"content-type": "application/json",
                                 "authorization": f"Bearer {CANARY}", "cookie": f"a={CANARY}"})
        # The end of the scenario looks for it in the logs and the metrics.
