"""What is answered from memory, and what is not."""

import signal

from harness.penstock import (DONE, Scenario, answering, completion, delta, plain, question, stream)


def post(gateway, body, path="/v1/chat/completions", **options):
    return gateway.post(path, body, **options)


class Cache(Scenario):
    def counting(self):
        """An engine whose every answer is another one."""
        count = iter(range(1000))

        def make(request):
            if not request.json.get("stream"):
                return plain(completion(f"answer {next(count)}"))
            wanted = request.json.get("stream_options", {}).get("include_usage")
            usage = [b'data: {"object":"chat.completion.chunk","choices":[],"usage":'
                     b'{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\n\n'] if wanted else []
            return stream(delta(f"answer {next(count)}"), delta(finish="stop"), *usage, DONE)
        return self.engine(answering(make))

    def test_what_was_streamed_to_one_who_wants_no_usage_has_it_for_all_others(self):
        for options in (None, {}, {"include_usage": False}):
            with self.subTest(options=options):
                engine = self.counting()
                gateway = self.gateway(self.to(engine))
                more = {} if options is None else {"stream_options": options}
                first = post(gateway, question(stream=True, **more))
                self.assertNotIn(b"usage\":{", first.body)
                plainly = post(gateway, question())
                self.assertEqual(plainly.cache, "hit")
                self.assertEqual(plainly.json["usage"]["total_tokens"], 5)
                streamed = post(gateway, question(stream=True, stream_options={"include_usage": True}))
                self.assertEqual(streamed.cache, "hit")
                self.assertIn(b'"total_tokens":5', streamed.body)
                self.assertEqual(len(engine.calls), 1)

    def test_the_documents_streamed_answer_has_its_usage_when_it_is_asked_for_plainly(self):
        gateway = self.gateway(self.documents(gates="# Gates\n\nThe upper gate is closed by a wheel.\n"))
        asked = question("Who closes the upper gate?", model="handbook")
        self.assertEqual(post(gateway, {**asked, "stream": True}).status, 200)
        plainly = post(gateway, asked)
        self.assertEqual(plainly.cache, "hit")
        self.assertGreater(plainly.json["usage"]["completion_tokens"], 0)

    def test_a_query_or_a_field_that_the_engine_sees_is_part_of_the_question(self):
        engine = self.counting()
        gateway = self.gateway(self.to(engine))
        ways = [{}, {"path": "/v1/chat/completions?version=2"},
                {"headers": {"openai-organization": "a"}}, {"headers": {"openai-organization": "b"}}]
        for way in ways * 3:
            post(gateway, question(), **way)
        self.assertEqual(len(engine.calls), len(ways))
        # What says who asks, and not what, is no part of it.
        again = post(gateway, question(), headers={"user-agent": "another", "x-stainless-os": "Linux",
                                                  "traceparent": "00-1-2-01"})
        self.assertEqual(again.cache, "hit")

    def test_other_settings_of_the_engine_are_another_engine(self):
        first, second = self.counting(), self.counting()
        gateway = self.gateway(self.to(first))
        post(gateway, question())
        self.assertEqual(post(gateway, question()).cache, "hit")
        gateway.write({**gateway.config, **self.to(second)})
        gateway.signal(signal.SIGHUP)
        gateway.wait_for("the configuration was reloaded")
        self.assertEqual(post(gateway, question()).cache, "miss")
        self.assertEqual(len(second.calls), 1)

    def test_every_cache_control_of_a_request_counts(self):
        engine = self.counting()
        gateway = self.gateway(self.to(engine))
        post(gateway, question())
        with gateway.wire() as wire:
            wire.post(question(), headers=["Cache-Control: no-transform", "Cache-Control: no-store"])
            self.assertEqual(wire.answer().headers["x-penstock-cache"], "bypass; reason=no-store")
        self.assertEqual(post(gateway, question(), headers={"cache-control": "max-age=0"}).cache, "miss")
        self.assertEqual(gateway.metric("penstock_cache_requests_total", result="bypass"), 1)

    def test_known_bytes_under_another_type_are_not_a_question(self):
        engine = self.counting()
        gateway = self.gateway(self.to(engine))
        for _ in range(3):
            post(gateway, question())
        self.assertEqual(post(gateway, question(), headers={"content-type": "text/plain"}).status, 415)

    def test_an_answer_with_tools_is_kept_like_any_other(self):
        engine = self.counting()
        gateway = self.gateway(self.to(engine))
        tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
        post(gateway, question(tools=tools))
        self.assertEqual(post(gateway, question(tools=tools)).cache, "hit")
        self.assertEqual(post(gateway, question()).cache, "miss")
