"""Bodies that are no sound JSON, or no sound question: a clear 400 that says what and where."""

import json
import time

from harness.penstock import Scenario

MESSAGES = '"messages":[{"role":"user","content":"x"}]'


def with_value(value):
    return '{"model":"m",' + MESSAGES + f',"x":{value}}}'


# Drills 58 to 61, and what else a parser may be asked to believe.
BROKEN = {
    "nothing": "",
    "white space": "  \n",
    "a piece of an object": '{"model":"m"',
    "something behind the object": '{"model":"m",' + MESSAGES + "} {}",
    "an array": "[]",
    "a string": '"model"',
    "single quotes": "{'model':'m'}",
    "a comma too many": '{"model":"m",' + MESSAGES + ",}",
    "a comment": '{"model":"m",/* no */' + MESSAGES + "}",
    "NaN": with_value("NaN"),
    "a number over a double's range": with_value("1e999"),
    "a number with a leading zero": with_value("01"),
    "a control byte in a string": with_value('"a\nb"'),
    "an unknown escape": with_value('"\\q"'),
    "a lone surrogate": with_value('"\\ud800"'),
    "a surrogate pair in the wrong order": with_value('"\\udc00\\ud800"'),
    "invalid UTF-8": b'{"model":"m","messages":[{"role":"user","content":"\xff\xfe"}]}',
    "overlong UTF-8": b'{"model":"m","messages":[{"role":"user","content":"\xc0\xaf"}]}',
    "a name twice": '{"model":"m","model":"n",' + MESSAGES + "}",
    "a name twice, further in": with_value('{"a":1,"a":2}'),
    "a name twice, once escaped": '{"model":"m","mod\\u0065l":"n",' + MESSAGES + "}",
    "a million levels of arrays": with_value("[" * 1_000_000),
    "a million levels of arrays, closed": with_value("[" * 1_000_000 + "]" * 1_000_000),
    "a million levels of objects": with_value('{"a":' * 1_000_000),
    "a million members": with_value("{" + ",".join(f'"k{i}":{i}' for i in range(1_000_000)) + "}"),
}

# Sound JSON that is no question, and the parameter that the answer must name.
UNSOUND = {
    "no model": ({"messages": [{"role": "user", "content": "x"}]}, "model"),
    "a model that is a number": ({"model": 7, "messages": []}, "model"),
    "an empty model": ({"model": "", "messages": []}, "model"),
    "no messages": ({"model": "m"}, "messages"),
    "messages that are text": ({"model": "m", "messages": "x"}, "messages"),
    "stream that is text": ({"model": "m", "messages": [{"role": "user", "content": "x"}],
                             "stream": "yes"}, "stream"),
}


class BadJson(Scenario):
    def setUp(self):
        super().setUp()
        self.behind = self.engine()

    def send(self, gateway, body, content_type="application/json"):
        return gateway.request("POST", "/v1/chat/completions", body=body,
                               headers={"content-type": content_type})

    def test_broken_json_is_a_400_and_reaches_no_engine(self):
        gateway = self.gateway(self.to(self.behind))
        for name, body in BROKEN.items():
            with self.subTest(name):
                begin = time.monotonic()
                answer = self.send(gateway, body)
                self.assertEqual(answer.status, 400, answer)
                self.assertEqual(set(answer.error), {"message", "type", "param", "code"})
                self.assertEqual(answer.error["type"], "invalid_request_error")
                self.assertLess(len(answer.body), 1000)
                self.assertLess(time.monotonic() - begin, 10)
        self.assertEqual(self.behind.calls, [])
        self.assertEqual(gateway.metric("penstock_validation_errors_total", kind="json"), len(BROKEN))
        self.assertEqual(gateway.ask().status, 200)

    def test_what_is_no_question_is_told_by_its_parameter(self):
        gateway = self.gateway(self.to(self.behind))
        for name, (body, param) in UNSOUND.items():
            with self.subTest(name):
                answer = self.send(gateway, json.dumps(body))
                self.assertEqual(answer.status, 400, answer)
                self.assertEqual(answer.error["param"], param)
        self.assertEqual(self.behind.calls, [])

    def test_another_kind_of_body_is_a_415(self):
        gateway = self.gateway(self.to(self.behind))
        for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
            self.assertEqual(self.send(gateway, "x=1", content_type).status, 415)
        good = '{"model":"m",' + MESSAGES + "}"
        self.assertEqual(self.send(gateway, good, "application/json; charset=utf-8").status, 200)

    def test_what_is_odd_and_sound_passes(self):
        gateway = self.gateway(self.to(self.behind))
        for value in ('"\\ud83d\\ude00"', "1e308", "-0.0", "12345678901234567890123", '"\\u0000"',
                      "[[[[[[[[]]]]]]]]", "null", '{"":{}}'):
            with self.subTest(value):
                self.assertEqual(self.send(gateway, with_value(value)).status, 200)

    def test_wrong_methods_and_places(self):
        gateway = self.gateway(self.to(self.behind))
        self.assertEqual(gateway.get("/v1/chat/completions").status, 405)
        self.assertEqual(gateway.get("/nowhere").status, 404)
        self.assertEqual(gateway.get("/metrics").status, 404)
        self.assertEqual(gateway.get("/admin/v1/status").status, 404)
        self.assertEqual(self.behind.requests, [])
