"""Every error with cause and cure: docs/errors.md is what the program says, and the program says
what docs/errors.md does.

Each test provokes the errors of a section on the running program. What comes must be one of the
section's messages, and each of its messages must have come, but for those that say here why they
cannot be made to.
"""

import contextlib
import gzip
import json
import pathlib
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import unittest

from harness.keys import base64url, bearer, make_key
from harness.penstock import (BASE, CANARY, DONE, KEY, LAST_CHUNK, LIMIT, PROGRAM, SANITIZED,
                              STREAM_HEAD, TOKEN, Process, Scenario, Wire, answering, chunk, completion,
                              delta, merged, plain, question, run, stream, wait_until)
from harness.postgres import Postgres
from harness.redis_server import RedisServer

HOME = pathlib.Path(__file__).parents[2]


class Entry:
    def __init__(self, title, messages):
        self.title = title
        self.messages = messages


class Page:
    """docs/errors.md: the entries of each section."""

    def __init__(self):
        self.text = (HOME / "docs/errors.md").read_text()
        self.sections = {}
        for section in re.split(r"^## ", self.text, flags=re.M)[1:]:
            title, _, rest = section.partition("\n")
            self.sections[title] = [
                Entry(heading, messages.splitlines()) for heading, messages, cause, cure in
                re.findall(r"^### ([^\n]+)\n\n```text\n(.+?)\n```\n\n\*\*Cause\*\*: (.+?)\n\n\*\*Cure\*\*: (.+?)\n",
                           rest, flags=re.M | re.S)]
            assert len(self.sections[title]) == len(re.findall("^### ", rest, flags=re.M)), title

    @property
    def messages(self):
        return [m for entries in self.sections.values() for e in entries for m in e.messages]


PAGE = Page()
PLACE = re.compile(r"<[a-z]+>")


def fits(pattern, message):
    """Whether the message is one of this pattern's, whose <places> stand for something."""
    return re.fullmatch(".+".join(map(re.escape, PLACE.split(pattern))), message, re.S)


def said(pattern):
    """How much a pattern says of itself."""
    return len(PLACE.sub("", pattern))


def best(messages, message):
    """The pattern that says most of a message."""
    return max((p for p in messages if fits(p, message)), key=said, default=None)


class Told:
    """What came of a section."""

    def __init__(self, test, section):
        self.test = test
        self.entries = PAGE.sections[section]
        self.seen = set()

    def take(self, message, title=None):
        """Takes note of a message; it must be on the page, below `title` if that is given."""
        found = [(best(e.messages, message), e) for e in self.entries if title in (None, e.title)]
        found = [(p, e) for p, e in found if p]
        self.test.assertTrue(found, f"not in docs/errors.md below {title or 'this section'}: {message}")
        pattern, entry = max(found, key=lambda f: said(f[0]))
        self.seen.add((entry.title, pattern))
        return entry

    def lacks_only(self, reasons):
        """Each message came but those that `reasons` names, and each of these still stands there."""
        all_messages = {(e.title, m) for e in self.entries for m in e.messages}
        missing = {m for _, m in all_messages - self.seen}
        self.test.assertEqual(missing, set(reasons))


def get(path="/livez", *fields, line=None, host=("Host: test",)):
    lines = [line or f"GET {path} HTTP/1.1", *host, *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


# Bytes, and the code that they are refused with.
BAD_HTTP = [
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20, "invalid_http"),  # TLS
    (get(line="GET /\x01 HTTP/1.1"), "invalid_http"),
    (get("/a/../b"), "invalid_http"),
    (get(line="GET / FTP/1.1"), "invalid_http"),
    (get(line="GET / HTTP/1.1 "), "invalid_http"),
    (get("/", ": x"), "invalid_http"),
    (get("/", "a(b: x"), "invalid_http"),
    (get("/", "a : x"), "invalid_http"),
    (get("/", " folded"), "invalid_http"),
    (get("/", "a: \x01"), "invalid_http"),
    (get("/", "a: b\rc"), "invalid_http"),
    (get("/", "a: b\nc"), "invalid_http"),
    (get("/", host=()), "invalid_http"),
    (get("/", host=("Host: a", "Host: b")), "invalid_http"),
    (get("/", "Content-Length: +1"), "invalid_http"),
    (get("/", "Content-Length: 1", "Transfer-Encoding: chunked"), "invalid_http"),
    (get("/", "Transfer-Encoding: chunked", line="POST / HTTP/1.0"), "invalid_http"),
    (get("/", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), "invalid_http"),
    (get("/", "Transfer-Encoding: chunked, chunked"), "invalid_http"),
    (get("/", "Transfer-Encoding: gzip"), "invalid_http"),
    (get("/", "Transfer-Encoding: chunked") + b"zz\r\n", "invalid_http"),
    (get(line="X" * 40 + " / HTTP/1.1"), "not_implemented"),
    (get("/", "Transfer-Encoding: zippy"), "not_implemented"),
    (get("/", "Expect: the-best"), "expectation_failed"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http_version_not_supported"),
    (get("/" + "x" * 9000), "header_too_large"),
    (get("/", "a: " + "x" * 9000), "header_too_large"),
    (get("/", *(f"a{i}: b" for i in range(101))), "header_too_large"),
    (get("/", *(f"a{i}: " + "x" * 4000 for i in range(9))), "header_too_large"),
    (get("/", "Content-Length: 99999999"), "request_too_large"),
]

CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": f"Hello? {CANARY}"}]

# Path, body (bytes are sent as they are), header fields, and the code that comes.
BAD_QUESTIONS = [
    (CHAT, b"{", {}, "invalid_json"),
    (CHAT, b"", {}, "invalid_json"),
    (CHAT, b"[]", {}, "invalid_json"),
    (CHAT, b'{"a":0' + b"".join(b',"%d":0' % i for i in range(100_001)) + b"}", {}, "invalid_json"),
    (CHAT, b'{"model":"m","model":"m"}', {}, "duplicate_member"),
    (CHAT, {"model": "m"}, {}, "missing_required_parameter"),
    ("/v1/batches", {"x": 1}, {}, "missing_required_parameter"),
    (CHAT, {"model": 1}, {}, "invalid_type"),
    (CHAT, {"model": "a\nb", "messages": HELLO}, {}, "invalid_value"),
    (CHAT, {"model": "m", "messages": HELLO, "stream_options": {}}, {}, "invalid_value"),
    (CHAT, {"model": "", "messages": HELLO}, {}, "empty_string"),
    ("/v1/embeddings", {"model": "m", "input": ""}, {}, "empty_string"),
    (CHAT, {"model": "m", "messages": []}, {}, "empty_array"),
    (CHAT, {"model": "m" * 300, "messages": HELLO}, {}, "string_above_max_length"),
    (CHAT, {"model": "m", "messages": HELLO, "n": 0}, {}, "integer_below_min_value"),
    (CHAT, {"model": "m", "messages": HELLO, "n": 129}, {}, "integer_above_max_value"),
    ("/chat/completions", question(), {}, "unknown_url"),
    (CHAT, question(model="nobody"), {}, "model_not_found"),
    (CHAT, b"{}", {"content-type": "text/plain"}, "unsupported_content_type"),
    (CHAT, b"{}", {"content-encoding": "br"}, "unsupported_content_encoding"),
    (CHAT, b"{}", {"content-encoding": "\u00e9"}, "unsupported_content_encoding"),
    (CHAT, b"{}", {"content-encoding": "gzip"}, "invalid_content_encoding"),
    (CHAT, b"{}", {"content-encoding": "deflate"}, "invalid_content_encoding"),
    (CHAT, gzip.compress(bytes(40 << 20)), {"content-encoding": "gzip"}, "request_too_large"),
    (CHAT, b"{}", {"x-penstock-engine": "e"}, "unknown_field"),
]


def redirected(_):
    return plain(b"", "302 Found", ["Location: http://127.0.0.1:1/"])


def silent(call):
    """An engine that takes the question and says nothing."""
    call.request()
    call.gone()


# An engine's script, and the code that comes of asking it; its settings and the request's fields.
BAD_ENGINES = [
    (answering(lambda r: plain(b"<html>")), "engine_error", {}, {}),
    (answering(redirected), "engine_error", {}, {}),
    (answering(lambda r: plain(b"x", headers=["Content-Encoding: gzip"])), "engine_error", {}, {}),
    (lambda call: call.request(), "engine_error", {}, {}),
    (lambda call: (call.request(), call.send("HTTP/1.1 200 OK\r\n")), "engine_error", {}, {}),
    (lambda call: (call.request(), call.send(plain(completion())[:-5])), "engine_error", {}, {}),
    (answering(lambda r: b"SMTP ready\r\n\r\n"), "engine_error", {}, {}),
    (answering(lambda r: b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"), "engine_error", {}, {}),
    (answering(lambda r: plain(b"{}", "401 Unauthorized")), "engine_credentials_refused", {}, {}),
    (silent, "engine_timeout", {"timeout": {"total": "50ms"}}, {}),
    (silent, "engine_timeout", {}, {"x-request-timeout-ms": "50"}),
]


class Clients(Scenario):
    def setUp(self):
        super().setUp()
        self.told = Told(self, "For clients")

    def look(self, answer, code, headers=True):
        """An answer that must be this error, whole and as the page has it."""
        error = answer.error
        self.assertEqual(set(error) - {"problems"}, {"message", "type", "param", "code"}, error)
        self.assertEqual(error["code"], code, error)
        self.assertTrue(answer.headers["x-request-id"])
        self.told.take(error["message"], f"{answer.status} `{code}`")
        self.assertIn(f"| {answer.status} | `{code}` | `{error['type']}` |", PAGE.text)
        return error

    def test_each_error_of_a_client_comes_as_it_is_written(self):
        gateway = self.gateway(self.to(self.engine()), {
            "engines": [{"name": "e", "kind": "openai", "url": "http://127.0.0.1:1/v1"},
                        {"name": "f", "kind": "openai", "url": "http://127.0.0.1:1/v1"}],
            "listen": {"limits": {"first_header": "200ms", "body": "200ms"}},
            "admin": {"token": TOKEN}})
        allowing = self.gateway(self.to(self.engine()), {"listen": {"cors": {"origins": ["https://a.example"]}}})
        self.look(allowing.request("OPTIONS", CHAT, headers={
            "origin": "https://b.example", "access-control-request-method": "POST"}), "origin_not_allowed")
        with contextlib.ExitStack() as slow:
            # Those that take their time begin first.
            late = [(slow.enter_context(Wire(port)).send(data)) for port, data in (
                (gateway.port, b"GET /livez HTTP/1.1\r\n"),
                (gateway.admin_port, b"GET /livez HTTP/1.1\r\n"),
                (gateway.port, get("/", "Content-Length: 5")))]
            for data, code in BAD_HTTP:
                for port in (gateway.port, gateway.admin_port):
                    with self.subTest(data[:80], port=port), Wire(port) as wire:
                        self.look(wire.send(data).answer(), code)
            for path, body, fields, code in BAD_QUESTIONS:
                with self.subTest(path, code=code, body=str(body)[:60]):
                    headers = {"content-type": "application/json", **fields}
                    if not isinstance(body, bytes):
                        body = json.dumps(body).encode()
                    if not all(v.isascii() for v in headers.values()):
                        headers = {k: v.encode("latin-1") for k, v in headers.items()}
                    self.look(gateway.post(path, body, headers=headers), code)
            error = self.look(gateway.get(CHAT), "method_not_allowed")
            self.assertIn("POST", error["message"])
            self.look(gateway.ask(model="m"), "engine_unavailable")
            self.look(gateway.ask(model="m", headers={"cache-control": "only-if-cached"}, temperature=0), "not_cached")
            self.admin(gateway)
            self.look(self.gateway(self.to(self.engine()), {"admin": {"profiling": False}}).admin("/debug/pprof/heap"),
                      "profiling_off")
            for wire in late:
                self.look(wire.answer(), "request_timeout")
        self.keys_and_limits()
        self.records()
        self.engines()
        self.too_much()
        self.too_slow()
        self.draining()
        self.told.lacks_only({
            # it takes half a minute; the public listener's is provoked
            "The body did not come in time: nothing for <time>, or less than 1KiB a second.",
            # a build with a sanitizer, or no memory at the start
            "There is no profile of the heap: <reason>.",
            "The client left.",  # nobody is there to be told
            "The gateway failed to answer this request.",  # a fault of the machine
            # 1,024 questions would have to wait at once
            "The gateway is at its limit: engine <engine>: too many questions wait for the "
            "documents.",
        })

    def keys_and_limits(self):
        store = f"sqlite:{self.folder}/keys.db"
        priced = {"price": {"input": 1000, "output": 1000}}
        usage = {"prompt_tokens": 150, "completion_tokens": 150, "total_tokens": 300}
        thirsty = self.engine(answering(lambda r: plain(completion(usage=usage))))
        gateway = self.gateway(self.to(thirsty, **priced), {
            "auth": {"mode": "keys"}, "store": {"url": store},
            "models": [{"name": "m", "engines": ["e"]}, {"name": "n", "engines": ["e"]}]})

        def ask(key, text="Hello?", **more):
            return gateway.ask(text, headers=bearer(key), **more)
        self.look(gateway.ask(), "invalid_api_key")
        self.look(ask("nobody's"), "invalid_api_key")
        key, name = make_key(store, "t", "--models", "n", "--expires", "1999-01-01")
        self.look(ask(key), "invalid_api_key")
        key, name = make_key(store, "t", "--models", "n")
        self.look(ask(key), "model_not_allowed")
        self.assertEqual(run("keys", "revoke", name, "--store", store)[0], 0)
        wait_until(lambda: ask(key).status == 401, "it is revoked")
        self.look(ask(key), "invalid_api_key")
        self.assertEqual(ask(make_key(store, "t")[0], max_tokens=250).status, 200)
        for limits, count, code in ((("--requests", "1/h"), 2, "rate_limit_exceeded"),
                                    (("--requests", "0"), 1, "rate_limit_exceeded"),
                                    (("--tokens", "400/h"), 2, "rate_limit_exceeded"),
                                    (("--tokens", "100/h"), 1, "rate_limit_exceeded"),
                                    (("--spend-day", "0.004"), 1, "insufficient_quota"),
                                    (("--spend-month", "0"), 1, "insufficient_quota")):
            key, _ = make_key(store, "t", *limits)
            for i in range(count):
                answer = ask(key, f"{limits} {i}", max_tokens=250)
            self.look(answer, code)
        go_on = threading.Event()

        def slow(call):
            while call.request():
                go_on.wait(20)
                call.send(plain(completion()))
        engine = self.engine(slow)
        busy = self.gateway(self.to(engine), {"limits": {"inflight": 1}})
        first = threading.Thread(target=busy.ask)
        first.start()
        engine.wait_for(lambda e: len(e.calls) == 1)
        self.look(busy.ask("another"), "rate_limit_exceeded")
        go_on.set()
        first.join()
        # A budget, and a Redis that is not there to say what was spent.
        budget = self.gateway(self.to(self.engine()), {
            "limits": {"spend": {"day": 1}}, "cache": {"redis": {"urls": ["redis://127.0.0.1:1"]}}})
        self.look(budget.ask(), "limits_unavailable")
        nobody = self.engine(lambda call: call.close())
        tokens = self.gateway(self.to(self.engine()), {"auth": {"mode": "jwt", "jwt": {
            "issuer": "i", "audience": "a", "jwks_url": f"http://127.0.0.1:{nobody.port}/keys"}}})
        self.look(tokens.ask(), "invalid_api_key")
        self.look(tokens.ask(headers=bearer("nothing")), "invalid_api_key")
        head = base64url(b'{"alg":"RS256","kid":"k"}')
        claims = base64url(json.dumps({"iss": "i", "aud": "a", "sub": "s", "tenant": "t",
                                       "exp": int(time.time()) + 60}).encode())
        self.look(tokens.ask(headers=bearer(f"{head}.{claims}.{base64url(bytes(256))}")), "keys_unavailable")
        # Less than the program itself needs.
        full = self.gateway(self.to(self.engine()), {"memory": {"limit": "32MiB"}})
        self.fill(full)

    def fill(self, gateway):
        """Near the limit of memory a large body is refused before it is read, then questions are."""
        with Wire(gateway.port) as wire:
            wire.send(get(CHAT, "Content-Type: application/json", f"Content-Length: {30 << 20}",
                          line=f"POST {CHAT} HTTP/1.1"))
            self.look(wire.answer(), "overloaded")
        wait_until(lambda: self.is_full(gateway), "it is full")
        self.look(gateway.ask(), "overloaded")

    @staticmethod
    def is_full(gateway):
        return gateway.ask().status == 503

    def admin(self, gateway):
        as_operator = {"authorization": f"Bearer {TOKEN}"}
        for headers, code in (({}, "invalid_admin_token"),
                              ({"authorization": "Bearer wrong"}, "invalid_admin_token"),
                              ({"origin": "http://evil.example"}, "not_allowed")):
            self.look(gateway.admin("/admin/v1/status", headers=headers), code)
        self.look(gateway.admin("/nowhere", headers=as_operator), "unknown_url")
        self.look(gateway.admin("/livez", method="POST"), "method_not_allowed")
        self.look(gateway.admin("/admin/v1/log-level/loud", method="PUT", headers=as_operator),
                  "invalid_value")
        gateway.write({**gateway.config, "listne": {}})
        error = self.look(gateway.admin("/admin/v1/reload", method="POST", headers=as_operator),
                          "reload_refused")
        self.assertIn("listne", error["problems"][0])
        open_one = self.gateway(self.to(self.engine()))
        self.look(open_one.admin("/admin/v1/status", headers={"host": "evil.example"}), "not_allowed")

    def records(self):
        """What the admin API says of keys and tenants."""
        file = self.folder / "records.db"
        gateway = self.gateway(self.to(self.engine()), {
            "admin": {"token": TOKEN}, "store": {"url": f"sqlite:{file}"}})
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}

        def ask(method, path, body=None, **more):
            data = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
            return gateway.admin("/admin/v1/" + path, method=method, headers={**headers, **more}, body=data)

        def made(**more):
            answer = ask("POST", "keys", {"tenant": "t", "name": "k", **more})
            self.assertEqual(answer.status, 201, answer.body)
            return answer.json["id"]
        self.assertEqual(ask("POST", "tenants", {"name": "t"}).status, 201)
        expired, revoked, rotated = made(expires="1999-12-31"), made(), made()
        self.assertEqual(ask("DELETE", f"keys/{revoked}").status, 200)
        self.assertEqual(ask("POST", f"keys/{rotated}/rotate").status, 201)
        key = {"tenant": "t", "name": "k"}
        for method, path, body, code in (
                ("POST", "keys", {**key, "x": 1}, "unknown_member"),
                ("GET", "keys?x=1", None, "unknown_member"),
                ("POST", "keys", b'{"name":"a","name":"b"}', "duplicate_member"),
                ("GET", "keys?limit=1&limit=2", None, "duplicate_member"),
                ("POST", "keys", b"{", "invalid_json"), ("POST", "keys", b"[]", "invalid_json"),
                ("POST", "keys", {"tenant": "t"}, "missing_required_parameter"),
                ("POST", "keys", {**key, "limits": {"requests": 1}}, "invalid_value"),
                ("POST", "keys", {**key, "name": ""}, "invalid_value"),
                ("POST", "keys", {**key, "models": [""]}, "invalid_value"),
                ("POST", "keys", {**key, "models": ["m"] * 101}, "invalid_value"),
                ("POST", "keys", {**key, "tenant": ""}, "invalid_value"),
                ("POST", "tenants", {"name": "a b"}, "invalid_value"),
                ("POST", f"keys/{rotated}/rotate", {"grace": "91d"}, "invalid_value"),
                ("GET", "keys/nobody", None, "not_found"), ("GET", "tenants/nobody", None, "not_found"),
                ("POST", "tenants", {"name": "t"}, "conflict"),
                ("PATCH", f"keys/{revoked}", {"name": "x"}, "conflict"),
                ("POST", f"keys/{expired}/rotate", {}, "conflict"),
                ("POST", f"keys/{rotated}/rotate", {}, "conflict"),
                ("POST", "cache/warm", {}, "missing_required_parameter"),
                ("POST", "cache/warm", {"lines": [], "x": 1}, "unknown_member"),
                ("POST", "cache/warm", {"lines": [""]}, "invalid_value"),
                ("POST", "cache/warm", {"lines": [], "concurrency": 0}, "invalid_value"),
                ("POST", "cache/warm", {"lines": [], "rate": -1}, "invalid_value"),
                ("POST", "cache/warm", {"lines": [], "warming": "0"}, "conflict"),
                ("POST", "cache/warm", {"lines": [], "more": True}, None),
                ("POST", "cache/warm", {"lines": []}, "conflict"),
                ("DELETE", "cache/warm", None, None)):
            with self.subTest(method, path=path, body=str(body)[:60]):
                answer = ask(method, path, body)
                self.look(answer, code) if code else self.assertLess(answer.status, 300, answer)
        self.look(ask("POST", "keys", key, **{"content-type": "text/plain"}), "unsupported_content_type")
        self.assertEqual(ask("PUT", "features/prometheus_metrics", {"enabled": False}).status, 200)
        self.look(gateway.admin("/metrics"), "metrics_off")
        self.assertEqual(ask("PUT", "features/prometheus_metrics", {"enabled": None}).status, 200)
        # Somebody else writes, and does not end.
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            self.look(ask("POST", "tenants", {"name": "u"}), "store_unavailable")
            other.execute("ROLLBACK")

    def engines(self):
        for script, code, settings, headers in BAD_ENGINES:
            with self.subTest(code):
                gateway = self.gateway(self.to(self.engine(script), **settings))
                self.look(gateway.ask(headers=headers), code)
        broken = (lambda call: (call.request(), call.send(STREAM_HEAD + chunk(delta("Hel"))),
                                call.send(b"0\r\n\r\n")), "engine_error", {})
        mute = (lambda call: (call.request(), call.send(STREAM_HEAD + chunk(delta("Hel"))), call.gone()),
                "engine_timeout", {"timeout": {"between_tokens": "50ms"}})
        for script, code, settings in (broken, mute):
            gateway = self.gateway(self.to(self.engine(script), **settings))
            answer = gateway.ask(stream=True)
            self.assertEqual(answer.status, 200)
            self.assertNotIn("[DONE]", answer.events)
            self.event(answer.events[-1], code)
        gateway = self.gateway(self.to(self.engine(silent), timeout={"first_token": "50ms"}))
        self.look(gateway.ask(stream=True), "engine_timeout")

    def event(self, data, code):
        error = json.loads(data)["error"]
        self.assertEqual(set(error), {"message", "type", "param", "code"})
        self.assertEqual(error["code"], code)
        self.told.take(error["message"])

    def too_much(self):
        """One connection, and it is in use."""
        engine = self.engine(silent)
        gateway = self.gateway(self.to(engine, connections={"max": 1}),
                               {"listen": {"workers": 1}, "cache": {"answers": "off"}})
        with gateway.wire() as first:
            first.post(question())
            engine.wait_for(lambda e: e.calls)
            self.look(gateway.ask(headers={"x-request-timeout-ms": "100"}), "overloaded")

    def too_slow(self):
        """Two clients read one answer, larger than all buffers; one of them stops reading."""
        both = threading.Event()

        def script(call):
            call.request()
            call.send(STREAM_HEAD + chunk(delta("first")))
            both.wait(LIMIT)
            for _ in range(200):
                call.send(chunk(delta("x" * 60000)))
            call.send(chunk(delta(finish="stop")) + chunk(DONE) + LAST_CHUNK)
        gateway = self.gateway(self.to(self.engine(script)),
                               {"cache": {"memory": {"max_entry": "256KiB"}}})
        with gateway.wire(receive_buffer=4096) as stalled, gateway.wire() as reader:
            stalled.post(question(stream=True))
            stalled.until(b"first")
            reader.post(question(stream=True))
            wait_until(lambda: gateway.metric("penstock_cache_coalesced_requests_total"),
                       "one call for both")
            both.set()
            reader.until(b"[DONE]")
            last = stalled.until(b'"code":"client_too_slow"}}').rpartition(b"data: ")[2]
            self.event(last, "client_too_slow")

    def draining(self):
        engine = self.engine(silent)
        gateway = self.gateway(self.to(engine), {"listen": {"limits": {"drain": "10ms"}}})
        with gateway.wire() as wire:
            wire.post(question())
            engine.wait_for(lambda e: e.calls)
            gateway.signal(signal.SIGTERM)
            self.look(wire.answer(), "shutting_down")
        self.assertEqual(gateway.wait(), 0)


class TheCommandLine(Scenario):
    def test_each_error_of_the_command_line_comes_as_it_is_written(self):
        told = Told(self, "For operators: the command line")
        lines = self.folder / "bad.jsonl"
        lines.write_text("{}\n")
        empty = self.folder / "empty.txt"
        empty.write_text("\n")
        away = "http://127.0.0.1:1"
        for args in (("serv",), ("foo",), ("serve", "--zzzzzzz"), ("serve", "--confg", "x"),
                     ("--config", "x"), ("check", "a", "b"), ("ask", "a", "b"), ("check",),
                     ("serve", "--config"), ("ask", ""), ("load", "--zipf", "x"),
                     ("load", "--seed", "x"), ("load", "--rate", "0"), ("load", "--connections", "0"),
                     ("engine", "--sigma", "-1"), ("load", "--threads", "2", "--connections", "1"),
                     ("engine", "--errors", "60%", "--stalls", "60%"), ("completion", "zsh"),
                     ("ask", "--api-key", "a b", "x"), ("load", "--header", "x"),
                     ("load", "--header", "host: x", "--url", away),
                     ("load", "--model", "a", "--model", "b"),
                     ("load", "--unique", "--questions", "5"),
                     ("serve", "--config", "x", "--docs", "y"), ("ask", "--url", "x", "x"),
                     ("ask", "--url", "http://", "x"), ("ask", "--url", "http://a b", "x"),
                     ("ask", "--url", "http://me:secret@a", "x"),
                     ("load", "--url", "https://x"), ("load", "--url", "x"),
                     ("load", "--url", "http://a b"), ("load", "--url", "http://:80"),
                     ("load", "--url", "http://a:b"), ("load", "--file", self.folder),
                     ("load", "--file", lines), ("load", "--file", empty),
                     ("load", "--url", "http://192.0.2.1"), ("errors", "model_not_fuond"),
                     ("errors", "zzzzz")):
            with self.subTest(args):
                code, output = run(*args)
                self.assertEqual(code, 2, output)
                told.take(output.splitlines()[0])
                self.assertIn("--help` says what can be given.", output)
        told.lacks_only(())


# What stands in the file (beside what makes it listen anywhere), and how the problem begins.
BAD_SETTINGS = [
    "a: b: c", "a: [b", "a: @x", "a:\n\tb: 1", "- x", "x", "a: *nowhere",
    "a: " + "{b: " * 80 + "1" + "}" * 80, "a: " + "- " * 5000 + "1",
    "\xff", "a: 1\n---\nb: 2", "a: &x {b: *x}", "a: !tag x", "? [a]\n: b",
    "a: &x {b: 1}\nc:\n  <<: *x", "a: &x [1,1,1,1,1,1,1,1,1,1]\n"
    + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + ('x' if i == 0 else chr(97 + i))] * 10)}]\n"
              for i in range(6)),
    "listne: {}", "cache: {}\ncache: {}", "listen: {workers:3}",
    "listen:\n  address:\n  limits: [1]\n  workers: {a: b}", "listen: x",
    "listen: {workers: [1]}", "engines: [{name: e}]", "models: [{engines: [e]}]",
    "cache: {answers: sometimes}", "listen: {limits: {body: fast}}", "listen: {limits: {body: 32}}",
    "listen: {limits: {body_bytes: '${SPACED}'}}", "admin: {token: 'a b'}",
    "engines: [{name: e, kind: openai, url: http://a, api_key: \"a\\nb\"}]",
    "cache: {semantic: {enabled: true}}", "batching: {}", "engines: [{name: e, kind: anthropic}]",
    "admin: {token: '${NOT_SET_AT_ALL}'}", "admin: {token: '${BAD_TEXT}'}", "admin: {token: '${a b}'}",
    "admin: {token: '${A'}", "admin: {token: '${file:/nowhere}'}", "listen: {address: '${SPACED}'}",
    "listen: {compression: {encodings: [deflate]}}",
    "listen: {address: 0.0.0.0:1}", "admin: {address: 0.0.0.0:1}",
    "listen: {address: 127.0.0.1:9}\nadmin: {address: 127.0.0.1:9}",
    "engines: []", "engines: [{name: e, kind: simulated}, {name: e, kind: simulated}]",
    "engines: [{name: e, kind: simulated, url: http://a}]",
    "engines: [{name: e, kind: openai, url: http://a, headers: {'a b': c}}]",
    "engines: [{name: e, kind: openai, url: http://a, headers: {host: c}}]",
    "engines: [{name: e, kind: openai, url: http://a, headers: {a: c, A: d}}]",
    "listen: {address: 127.0.0.1:9}\nengines: [{name: e, kind: openai, url: http://127.0.0.1:9/v1}]",
    "engines: [{name: e, kind: openai, url: http://a, health: {path: ready}}]",
    "engines: [{name: e, kind: simulated, simulated: {errors: 60%, stalls: 60%}}]",
    "engines: [{name: e, kind: openai, url: http://a}, {name: f, kind: openai, url: http://b}]",
    "models: [{name: m, engines: []}]", "models: [{name: m, engines: [x]}]",
    "models: [{name: m, engines: [handbook]}, {name: m, engines: [handbook]}]",
    "models: [{name: m, engines: [handbook], aliases: ['*']}]",
    "models: [{name: '*', engines: [handbook], aliases: [a]}]",
    "engines: [{name: e, kind: documents, path: /nowhere}]",
    "engines: [{name: e, kind: openai, url: https://a, tls: {ca: /nowhere}}]",
    "cache: {memory: {size: 1MiB, max_entry: 2MiB}}",
    "auth: {mode: jwt, jwt: {jwks_url: http://id.example/keys}}", "limits: {models: {handbok: {requests: 1/s}}}",
    "limits: {models: {'a b': {requests: 1/s}}}", "store: {replicas: ['postgresql://r/d']}",
    "store: {url: 'postgresql://a/b', replicas: ['sqlite:x']}",
    "cache: {redis: {urls: ['http://a']}}", "limits: {shared: redis}",
    "\n".join(f"a{i}: 1" for i in range(300)),
]


class TheConfiguration(Scenario):
    def test_each_error_of_a_configuration_comes_as_it_is_written(self):
        told = Told(self, "For operators: the configuration")
        file = self.folder / "penstock.yaml"
        environment = {"BAD_TEXT": "\udcff", "SPACED": "a b"}
        for text in BAD_SETTINGS:
            with self.subTest(text[:60]):
                file.write_bytes(text.encode("latin-1"))
                code, output = run("check", file, cwd=self.folder, env=environment)
                self.assertEqual(code, 2, output)
                for line in output.splitlines()[:-1]:
                    self.problem(told, file, line)
        for content in (None, b" " * (2 << 20)):
            file.unlink()
            if content:
                file.write_bytes(content)
            code, output = run("check", file)
            self.assertEqual(code, 2, output)
            self.problem(told, file, output.splitlines()[0])
            file.touch()
        told.lacks_only({"nested too deeply"})  # the library's bound; ours comes first

    def problem(self, told, file, line):
        """FILE:LINE:COLUMN: KEY: MESSAGE; expected WHAT; did you mean "KEY"?"""
        self.assertTrue(line.startswith(f"{file}:"), line)
        rest = re.sub(r"^(:\d+:\d+)?: ", "", line[len(str(file)):])
        rest = re.sub(r'; did you mean ".*"\?$', "", rest)
        rest = re.sub(r"; expected .*$", "", rest)
        # Where nothing is known of the key the message comes at once, and may have a colon too.
        known = [m for e in told.entries for m in e.messages]
        key, _, message = rest.partition(": ")
        found = [text for text in (rest, message if re.fullmatch(r"[^\s\"`]+( \w+)?", key) else "")
                 if text and best(known, text)]
        self.assertTrue(found, f"not in docs/errors.md: {line}")
        rest = max(found, key=lambda text: said(best(known, text)))
        told.take(rest)


def taken_port(test):
    """A port that somebody else has."""
    listener = socket.create_server(("127.0.0.1", 0))
    test.addCleanup(listener.close)
    return listener.getsockname()[1]


def records(output):
    """The log's lines."""
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


class TheStart(Scenario):
    def test_each_error_of_the_start_comes_as_it_is_written(self):
        told = Told(self, "For operators: the start")
        for environment, args in (({"PORT": "x"}, ()), ({"PORT": "8081"}, ()),
                                  ({"CACHING_ENABLED": "maybe"}, ()),
                                  ({"OPENAI_API_KEY": "a b"}, ()), ({}, ("--engine", "ftp://x"))):
            code, output = run("serve", *args, cwd=self.folder, env=environment)
            self.assertEqual(code, 2, output)
            told.take(output.splitlines()[0], "Without a configuration")

        no_pem = self.folder / "no.pem"
        no_pem.write_text("no certificate\n")
        port = taken_port(self)
        anyone = {"auth": {"allow_anonymous": True}}
        simulated = {"engines": [{"name": "s", "kind": "simulated"}]}
        for config in ({"listen": {"address": f"127.0.0.1:{port}"}},
                       {"admin": {"address": f"127.0.0.1:{port}"}},
                       {"listen": {"address": "203.0.113.7:0"}, **anyone},
                       {"listen": {"address": "[fe80::1]:0"}, **anyone},
                       {"engines": [{"name": "e", "kind": "openai", "url": "https://a",
                                     "tls": {"ca": str(no_pem)}}]},
                       {"cache": {"redis": {"urls": ["redis://127.0.0.1:x"]}}},
                       {"cache": {"redis": {"urls": ["rediss://127.0.0.1"], "ca": str(no_pem)}}}):
            file = self.folder / "penstock.yaml"
            file.write_text(json.dumps(merged(merged(BASE, simulated), config)))
            self.fails(told, run("serve", "--config", file))
        self.fails(told, run("serve", cwd=self.folder))
        self.fails(told, run("serve", "--docs", self.folder / "nowhere"))
        self.fails(told, run("serve", "--docs", no_pem))
        self.fails(told, run("serve", "--docs", self.folder, env={"TMPDIR": "/nowhere"}))
        file.write_text(json.dumps(merged(BASE, simulated)))
        limited = subprocess.run(["sh", "-c", f"ulimit -n 4; exec {PROGRAM} serve --config {file}"],
                                 capture_output=True, timeout=LIMIT, check=False)
        if not SANITIZED:  # a sanitizer's own start needs more
            self.assertEqual(limited.returncode, 1, limited)
            told.take(limited.stderr.decode().splitlines()[-1])
        told.lacks_only({
            *(["penstock: cannot start: <reason>; are there enough file descriptors (ulimit -n)?"]
              if SANITIZED else []),
            "<setting>: cannot listen on <address>: ports below 1024 need privileges",  # root has them
            "engine <engine>: the folder of documents <folder> cannot be read: <reason>",  # root can
            "engine <engine>: TLS cannot be set up",  # no memory
        })

    def fails(self, told, ended):
        code, output = ended
        self.assertEqual(code, 1, output)
        record = next(r for r in records(output) if r["level"] == "error")
        self.assertEqual(record["message"], "the gateway could not start")
        told.take(record["reason"])


class TheDatabase(Scenario):
    def test_each_complaint_of_the_database_comes_as_it_is_written(self):
        told = Told(self, "For operators: the database")
        for url in ("sqlite:a.db?mode=ro", "postgresql://u:p@h:port/d", "postgresql://u:p@h/d?nothing=1",
                    f"sqlite:{self.folder}/nowhere/a.db"):
            told.take(self.refused(url))
        path = self.folder / "a.db"
        self.newer(path, told)
        path = self.folder / "b.db"
        gateways = [self.locked(path), self.silent()]
        for gateway in gateways:
            for record in records(gateway.output):
                if record["message"] in ("a database does not answer", "the database cannot be written"):
                    told.take(record["message"])
        told.lacks_only(set())

    def with_store(self, url):
        return {"store": {"url": url}, "engines": [{"name": "s", "kind": "simulated"}]}

    def refused(self, url):
        file = self.folder / "penstock.yaml"
        file.write_text(json.dumps(merged(BASE, self.with_store(url))))
        code, output = run("serve", "--config", file, cwd=self.folder)
        self.assertEqual(code, 1, output)
        return next(r["reason"] for r in records(output) if r["message"] == "the gateway could not start")

    def newer(self, path, told):
        gateway = self.gateway(self.with_store(f"sqlite:{path}"))
        gateway.signal(signal.SIGINT)
        self.assertEqual(gateway.wait(), 0, gateway.output)
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            database.execute("INSERT INTO schema_version VALUES (999, 0)")
        told.take(self.refused(f"sqlite:{path}"))

    def locked(self, path):
        """Another program holds the file's lock for longer than it is waited for."""
        gateway = self.gateway(self.with_store(f"sqlite:{path}"))
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            self.assertEqual(gateway.ask("Hello?").status, 200)
            wait_until(lambda: "the database cannot be written" in gateway.output, "the complaint")
        wait_until(lambda: "the database can be written again" in gateway.output, "that it is over")
        return gateway

    def silent(self):
        """PostgreSQL is stopped, and goes on."""
        primary = self.enterContext(Postgres())
        gateway = self.gateway(self.with_store(primary.url()))
        primary.pause()
        wait_until(lambda: "a database does not answer" in gateway.output, "the complaint")
        self.assertEqual(gateway.ask("Hello?").status, 200)
        primary.go_on()
        wait_until(lambda: "a database answers again" in gateway.output, "that it is over")
        count = "SELECT count(*) FROM usage WHERE status = 200"
        wait_until(lambda: primary.sql(count, "gateway") == "1", "what was used meanwhile")
        return gateway


class WhileItRuns(Scenario):
    def test_each_complaint_of_the_log_comes_as_it_is_written(self):
        told = Told(self, "For operators: while it runs")
        for part in (self.bad_engines, self.bad_admin, self.bad_redis, self.bad_semantic, self.drain,
                     self.folder_that_goes, self.variables):
            gateways = part()
            for gateway in gateways:
                for record in records(gateway.output):
                    if record["level"] in ("warn", "error") and \
                            record["message"] != "the gateway could not start":
                        told.take(record["message"])
        told.lacks_only({
            "the documents cannot be indexed",  # a full disk
            "the semantic index is given up: memory is short",  # hundreds of thousands of vectors
            "changes of a folder are not announced: it is looked at every 5 s",  # no watches left
        })

    def bad_semantic(self):
        """An index that is none, and an embedding model that is not there."""
        index = self.folder / "index"
        index.mkdir()
        (index / "semantic.index").write_text("nothing that an index would be")
        engines = self.to(self.engine())
        gateway = self.gateway(engines, {
            "engines": [*engines["engines"], {"name": "v", "kind": "openai", "url": "http://127.0.0.1:1/v1",
                                              "health": "off"}],
            "models": [*engines["models"], {"name": "vectors", "engines": ["v"]}],
            "cache": {"semantic": {"enabled": True, "embedding_model": "vectors", "path": str(index)}}})
        self.assertEqual(gateway.ask().status, 200)
        return [gateway]

    def bad_engines(self):
        documents = self.documents(a="# A\n\ntext\n")
        away = self.gateway(documents, {
            "engines": [*documents["engines"],
                        {"name": "e", "kind": "openai", "url": "http://127.0.0.1:1/v1"}],
            "models": [*documents["models"], {"name": "*", "engines": ["e"]}]})
        self.assertEqual(away.ask(model="x").status, 503)
        self.assertEqual(away.get("/v1/models").status, 200)
        away.wait_for("did not list its models")
        strict = self.gateway(self.to(self.engine(
            answering(lambda r: plain(b"{}", "401 Unauthorized")))))
        self.assertEqual(strict.ask().status, 502)
        strict.wait_for("look at its api_key")
        broken = self.gateway(self.to(self.engine(answering(lambda r: stream(delta("Hel"))))))
        broken.ask(stream=True)
        broken.wait_for("cut short")
        elsewhere = self.gateway(self.to(self.engine(answering(lambda r: plain(b"{}", "404 Not Found")))))
        self.assertEqual(elsewhere.ask().status, 404)
        elsewhere.wait_for("nothing at this path")
        unwell = self.gateway(self.to(
            self.engine(answering(lambda r: plain(b"{}", "503 Service Unavailable"))), health={"interval": "20ms"}))
        unwell.wait_for("an engine is unhealthy")
        return away, strict, broken, elsewhere, unwell

    def bad_admin(self):
        gateway = self.gateway(self.to(self.engine()), {"admin": {"token": TOKEN}})
        self.assertEqual(gateway.admin("/admin/v1/status").status, 401)
        gateway.wait_for("missing or wrong")
        gateway.write({**gateway.config, "listne": {}})
        gateway.signal(signal.SIGHUP)
        gateway.wait_for("was not reloaded")
        moved = merged(gateway.config, {"listen": {"address": "127.0.0.1:9"}})
        gateway.write(moved)
        before = len(gateway.output)
        gateway.signal(signal.SIGHUP)
        gateway.wait_for("was not reloaded", after=before)
        reason = [r["reason"] for r in records(gateway.output) if "not reloaded" in r["message"]][-1]
        self.assertIn(re.sub(r"^\S+", "`<key>", reason) + "`", PAGE.text)
        return (gateway,)

    def bad_redis(self):
        gateway = self.gateway(self.to(self.engine()),
                               {"cache": {"redis": {"urls": ["redis://127.0.0.1:1"]}}})
        gateway.wait_for("Redis is away")
        redis = RedisServer("--maxmemory", "1")
        self.addCleanup(redis.close)
        full = self.gateway(self.to(self.engine()), {
            "limits": {"requests": "9/s"}, "cache": {"redis": {"urls": [redis.url]}}})
        full.wait_for("Redis is full")
        return gateway, full

    def drain(self):
        engine = self.engine(silent)
        gateway = self.gateway(self.to(engine), {"listen": {"limits": {"drain": "10ms"}}})
        with gateway.wire() as wire:
            wire.post(question())
            engine.wait_for(lambda e: e.calls)
            gateway.signal(signal.SIGTERM)
            self.assertEqual(gateway.wait(), 0)
        return (gateway,)

    def folder_that_goes(self):
        config = self.documents(a="# A\n\ntext\n")
        folder = self.folder / "docs"
        (folder / "bad.md").write_bytes(b"\xff\xff")
        (folder / "link.md").symlink_to(folder / "nowhere")
        gateway = self.gateway(config)
        gateway.wait_for("a document is left out")
        gateway.wait_for("documents are left out")
        folder.rename(self.folder / "gone")
        gateway.wait_for("the folder of documents cannot be read")
        return (gateway,)

    def variables(self):
        ended = []
        for args, variables in (
                (("--engine", "http://127.0.0.1:1/v1"),
                 {"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY, "PERFORMANCE_OPTIMIZATION_ENABLED": "false"}),
                ((), {"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}),
                ((), {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "http://127.0.0.1:8080/v1"})):
            # It cannot start, which is as well.
            gateway = Process("serve", "--docs", self.folder, *args, env={"TMPDIR": "/nowhere", **variables})
            self.addCleanup(gateway.kill)
            self.assertEqual(gateway.wait(), 1, gateway.output)
            ended.append(gateway)
        return ended


class AskingAndMeasuring(Scenario):
    def test_each_error_of_asking_and_measuring_comes_as_it_is_written(self):
        told = Told(self, "For operators: asking and measuring")
        self.ask(told)
        self.load(told)
        port = taken_port(self)
        for address in (f"127.0.0.1:{port}", "203.0.113.7:0", "[fe80::1]:0"):
            self.fails(told, "engine", "--listen", address)
        with open("/dev/full", "wb") as full:
            ended = subprocess.run([PROGRAM, "settings"], stdout=full, stderr=subprocess.PIPE,
                                   timeout=LIMIT, check=False)
        self.assertEqual(ended.returncode, 1)
        told.take(ended.stderr.decode().strip())
        told.lacks_only(())

    def fails(self, told, *args):
        code, output = run(*args)
        self.assertEqual(code, 1, output)
        for line in output.splitlines():
            if line.startswith("penstock "):
                told.take(line)

    def ask(self, told):
        self.fails(told, "ask", "--url", "http://127.0.0.1:1", "Hello?")
        for answer, *args in ((plain(b"", "500 Broken"), "--model", "m"),
                              (plain(b'{"error":{"message":"no"}}', "400 No"), "--model", "m"),
                              (plain(b'{"error":{}}'), "--model", "m"),
                              (stream(b'data: {"error":"boom"}\n\n'), "--model", "m"),
                              (plain(b'{"data":[]}'),),
                              (plain(b"<html>"), "--model", "m"),
                              (plain(b"{}"), "--model", "m"),
                              (stream(delta("Hel")), "--model", "m"),
                              (stream(b"data: " + b"x" * (2 << 20)), "--model", "m")):
            engine = self.engine(answering(lambda _, answer=answer: answer))
            self.fails(told, "ask", "--url", engine.url, *args, "Hello?")

    def load(self, told):
        self.fails(told, "load", "--url", "http://127.0.0.1:1")
        self.fails(told, "load", "--url", "http://a..b")
        refusing = self.engine(answering(lambda r: plain(b'{"error":{"message":"no"}}', "400 No")))
        mute = self.engine(answering(lambda r: plain(b"", "500 Broken")))
        stuck = self.engine(silent)
        quick = ("--warmup", "0s", "--duration", "100ms", "--connections", "1")
        self.fails(told, "load", "--url", refusing.url, *quick, "--rate", "100")
        self.fails(told, "load", "--url", mute.url, *quick, "--rate", "1")
        good = self.engine()
        code, output = run("load", "--url", good.url, *quick, "--json", "/nowhere/load.json")
        self.assertEqual(code, 1, output)
        told.take(output.splitlines()[-1])
        process = Process("load", "--url", stuck.url, "--warmup", "0s", "--duration", "1h",
                          "--connections", "1", "--timeout", "1h")
        self.addCleanup(process.kill)
        stuck.wait_for(lambda e: e.calls)
        process.signal(signal.SIGINT)
        self.assertEqual(process.wait(), 1, process.output)
        for line in process.output.splitlines():
            if line.startswith("penstock "):
                told.take(line)


class KeysAndTenants(Scenario):
    def test_each_error_of_keys_and_tenants_comes_as_it_is_written(self):
        told = Told(self, "For operators: keys, tokens and tenants")
        store = ("--store", f"sqlite:{self.folder}/keys.db")

        def does(*args):
            code, output = run(*args, *store)
            self.assertEqual(code, 0, output)
            return re.search(r"key_\w{16}|$", output).group()
        does("tenants", "create", "t")
        create = ("keys", "create", "--tenant", "t", "--name", "k")
        expired, revoked, rotated = does(*create, "--expires", "1999-12-31"), does(*create), does(*create)
        does("keys", "revoke", revoked)
        does("keys", "rotate", rotated)
        for args in (("keys", "show", "nobody"), ("keys", "create", "--tenant", "u", "--name", "k"),
                     ("tenants", "show", "u"), ("tenants", "create", "t"), ("keys", "rotate", expired),
                     ("keys", "rotate", revoked), ("keys", "rotate", rotated),
                     ("keys", "create", "--tenant", "t", "--name", ""),
                     (*create, "--models", "m" * 257), (*create, "--models", ",".join(["m"] * 101)),
                     ("keys", "create", "--tenant", "a b", "--name", "k"), ("tenants", "create", "a b"),
                     ("keys", "rotate", rotated, "--grace", "91d"), ("keys", "creat"),
                     ("keys", "list", "x"), ("keys", "list", "--requests", "1/s"), ("keys", "update", "x"),
                     ("keys", "show", "x", "--tenant", "t"), ("keys", "show", "x", "--grace", "1h")):
            with self.subTest(args):
                code, output = run(*args, *store)
                self.assertIn(code, (1, 2), output)
                told.take(output.splitlines()[0])
        jwt = {"auth": {"mode": "jwt", "jwt": {
            "issuer": "i", "audience": "a", "jwks_url": "http://127.a.example/jwks"}}}
        file = self.folder / "bad.yaml"
        file.write_text(json.dumps(merged(merged(BASE, self.to(self.engine())), jwt)))
        code, output = run("serve", "--config", file, cwd=self.folder)
        self.assertEqual(code, 1, output)
        [reason] = [r["reason"] for r in records(output) if r["level"] == "error"]
        told.take(reason)
        keys = self.engine(answering(lambda r: plain(b'{"keys":[{"kty":"oct"}]}')))
        jwt["auth"]["jwt"]["jwks_url"] = f"http://127.0.0.1:{keys.port}/jwks"
        gateway = self.gateway(self.to(self.engine()), jwt)
        gateway.wait_for("cannot be fetched")
        for record in records(gateway.output):
            if record["level"] == "warn":
                told.take(record["message"])
        told.lacks_only({
            # the database would have to be away
            "changes of keys cannot be read; known keys go on",
            "the database is away: usage waits in its files, and unknown keys are refused",
            "the database cannot be used",
            "a credential could not be checked",
            "what was spent so far cannot be known",
            "feedback could not be kept",
            "a key cannot be read", "a tenant cannot be read",  # a newer version's
            "a key of tokens is left out",  # beside one that is good, which needs a real key
            "auth.jwt.jwks_url: the URL <url> <reason>",  # the configuration refuses it before
            "penstock <command>: others are changing it at the same time",
        })


class TheLedger(Scenario):
    def test_each_complaint_of_the_ledger_comes_as_it_is_written(self):
        told = Told(self, "For operators: the ledger of usage")
        spool = self.folder / "penstock.db-spool"
        spool.mkdir()
        (spool / "0.spool").write_bytes(b"no file of ours" * 100)
        gateway = self.gateway(self.to(self.engine()), {"store": {"url": f"sqlite:{self.folder}/penstock.db"}})
        gateway.wait_for("is set aside")
        for record in records(gateway.output):
            if record["level"] in ("warn", "error"):
                told.take(record["message"])
        for args in (("--by", "modle"), ("--by", "zzzzzzzz"), ("--by", "day,month"),
                     ("--by", "model,model"), ("--since", "soon"), ("--until", "soon"),
                     ("--since", "2026-11-02", "--until", "2026-11-01"), ("--format", "xml"),
                     ("--status", "ok"), ("people",)):
            code, output = run("usage", *args, cwd=self.folder)
            self.assertEqual(code, 2, output)
            told.take(output.splitlines()[0])
        (self.folder / "none.jsonl").write_text('{"prompts": []}\n')
        (self.folder / "label.jsonl").write_text('{"prompt": "why?", "label": "hard"}\n')
        for args in ((), ("--format", "xml"), ("nowhere",), ("none.jsonl",), ("label.jsonl",)):
            code, output = run("complexity", *args, cwd=self.folder)
            self.assertEqual(code, 2, output)
            told.take(output.splitlines()[0])
        for args in (("--format", "xml"), ("--window", "2d")):
            code, output = run("budgets", *args)
            self.assertEqual(code, 2, output)
            told.take(output.splitlines()[0])
        code, output = run("usage", "--store", f"sqlite:{self.folder}/none.db", cwd=self.folder)
        self.assertEqual(code, 1, output)
        told.take(output.splitlines()[0])
        told.lacks_only({
            # tests/scenarios/test_budgets.py has the first; the second takes a week
            "the last minutes of the budgets could not be written down",
            "minutes of the budgets were given up: the store was away for a week",
            # src/store/ledger_test.cc and ledger_kill_test.cc have these:
            "usage rows wait for the store",  # a database that is away
            "usage rows are dropped: there is no room for more",  # for long
            "usage rows wait in memory: the spool cannot grow",  # a disk that is full
            "a usage row is set aside",  # a database that refuses a row
            # no disk that fails is to be had
            "the usage spool cannot be synced",
            # root may do all of it
            "store.url: the spool folder <folder> cannot be made: <reason>",
            "store.url: the spool folder <folder> cannot be opened: <reason>",
            "store.url: <folder>/lock cannot be opened: <reason>",
            "store.url: <folder>/lock cannot be locked: <reason>",
            # for 64 processes
            "store.url: all places in the spool folder <folder> are in use, one by <process>",
        })


class ThePage(unittest.TestCase):
    def test_is_what_the_program_prints(self):
        self.assertEqual(run("errors"), (0, PAGE.text), "docs/errors.md is written by `penstock errors`")

    def test_a_code_is_explained_alone(self):
        code, output = run("errors", "model_not_found")
        self.assertEqual(code, 0)
        self.assertIn(output, PAGE.text)
        self.assertIn("**Cure**", output)

    def sources(self, *folders):
        for folder in folders:
            for file in sorted((HOME / "src" / folder).glob("*.cc")):
                if not file.name.endswith("_test.cc"):
                    yield file, re.sub(r'"\s*\n\s*"', "", file.read_text())

    def test_refusals_are_made_from_the_table_alone(self):
        for file, text in self.sources("admin", "dialect", "gateway", "route", "app"):
            if file.name == "engine_command.cc":
                continue
            # The simulated engine's own refusals are an engine's.
            self.assertNotRegex(text, r"\brefus\w*\.code = |\bRefusal refus\w*;", file)

    def test_has_what_http_refuses(self):
        messages = PAGE.messages
        count = 0
        for file, text in self.sources("http"):
            found = re.findall(r'(?:bad\(|BadMessage\{|bad = \{|refuse\(\{)(?:4\d\d|50[15])[^";]*"([^"]+)"([^;]*)',
                               text)
            count += len(found)
            for what, rest in found:
                if "Limit::" in rest.split(")")[0]:
                    continue  # told with its value: gateway/refused.cc
                self.assertIn(what[0].upper() + what[1:] + ".", messages, file)
        self.assertGreater(count, 30)

    def test_has_what_the_log_complains_of(self):
        messages = PAGE.messages
        count = 0
        for file, text in self.sources("admin", "app", "engine", "gateway", "cache", "http"):
            for message in re.findall(r'\blog_?\.(?:warning|error)\(\s*"([^"]+)"', text):
                count += 1
                if message == "the gateway could not start":
                    self.assertIn(message, PAGE.text)
                else:
                    self.assertTrue(best(messages, message + "x" * message.endswith(": ")), (file, message))
        self.assertGreater(count, 10)


if __name__ == "__main__":
    unittest.main()
