"""Scenarios from outside: a real program, real sockets, and scripts for the engine and the client.

    class Streams(Scenario):
        def test_a_reset_becomes_an_error_event(self):
            engine = self.engine(lambda call: (call.request(), call.send(b"..."), call.reset()))
            gateway = self.gateway(openai(engine))
            answer = gateway.ask("Hello?", stream=True)

Everything listens on a port of the system's choosing, waits for conditions with a limit and never by
the clock, and ends with its test. After each test the program must have ended with exit code 0, and
neither a secret, nor the text of a question, nor a sanitizer's report may stand in what it wrote.
"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import select
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

LIMIT = 20.0  # seconds that any single condition may take to come true, on a slow machine too
SANITIZED = bool(os.environ.get("PENSTOCK_SANITIZE"))
PROGRAM = pathlib.Path(os.environ.get("PENSTOCK_BIN") or
                       pathlib.Path(__file__).parents[2] / "build/release/penstock").resolve()

# Stands in every key and every question of the scenarios, and must never be written anywhere.
CANARY = "canary-c41fd1e5"
TOKEN = f"token-{CANARY}"
KEY = f"sk-{CANARY}"

REPORTS = re.compile(r"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:|"
                     r"terminate called|Assertion .* failed")


def wait_until(condition, what, limit=LIMIT):
    """The condition's first true value; fails the test if there is none in time."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit} s: {what}")
        select.select([], [], [], 0.005)


def stop_process(pid):
    """SIGSTOP, and its effect: a thread on another core runs on until the kernel reaches it there."""
    def state(task):
        try:
            return (task / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:  # it has just ended
            return "X"
    os.kill(pid, signal.SIGSTOP)
    tasks = pathlib.Path(f"/proc/{pid}/task")
    wait_until(lambda: all(state(task) in "TtXZ" for task in tasks.glob("*")), f"process {pid} stands still")


# ---- processes -------------------------------------------------------------------------------

class Process:
    """A run of the program; its output is collected as it comes."""

    def __init__(self, *args, cwd=None, env=None, stdin=None, descriptors=None, within=(), log=None):
        """`log`: a file that gets the output too; then only its last lines are kept here."""
        keep = ("PATH", "HOME", "LANG", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS")
        variables = {name: os.environ[name] for name in keep if name in os.environ}
        variables.update(env or {})
        self.command = [*within, str(PROGRAM), *map(str, args)]  # a command that becomes the program
        if descriptors:  # as a hard limit, which the program cannot raise
            self.command = ["sh", "-c", f'ulimit -n {descriptors} && exec "$@"', "sh", *self.command]
        self._lines = []
        self._log = log
        self._more = threading.Condition()
        self.process = subprocess.Popen(self.command, cwd=cwd, env=variables,
                                        stdin=stdin or subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self._more:
                self._lines.append(line.decode("utf-8", "backslashreplace"))
                if self._log:
                    self._log.write(line)
                    self._log.flush()
                    del self._lines[:-1000]
                self._more.notify_all()
        if self._log:
            self._log.close()
        with self._more:
            self._lines.append("")  # the end
            self._more.notify_all()

    @property
    def output(self):
        with self._more:
            return "".join(self._lines)

    def wait_for(self, pattern, limit=LIMIT, after=0):
        """The first match in the output behind position `after`; fails if the program ends before."""
        expression = re.compile(pattern)

        def look():
            match = expression.search(self.output, after)
            if not match and not self._reader.is_alive():
                raise AssertionError(f"{self.command} ended without {pattern!r}:\n{self.output}")
            return match
        with self._more:
            end = time.monotonic() + limit
            while not (match := look()):
                if not self._more.wait(timeout=max(0.0, end - time.monotonic())) and \
                        time.monotonic() >= end:
                    raise AssertionError(f"no {pattern!r} within {limit} s in:\n{self.output}")
            return match

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        stop_process(self.process.pid)

    def go_on(self):
        self.signal(signal.SIGCONT)

    def wait(self, limit=LIMIT):
        """The exit code."""
        try:
            code = self.process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"{self.command} did not end within {limit} s:\n{self.output}") from None
        self._reader.join(timeout=LIMIT)
        return code

    def running(self):
        return self.process.poll() is None

    def kill(self):
        if self.running():
            self.process.kill()
        self.process.wait()
        self._reader.join(timeout=LIMIT)
        self.process.stdout.close()


def run(*args, limit=LIMIT, **options):
    """Runs the program to its end: (exit code, output)."""
    process = Process(*args, **options)
    try:
        return process.wait(limit), process.output
    finally:
        process.kill()


class Answer:
    """An answer, read whole."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {}
        for name, value in headers:  # a field that comes twice is a list (RFC 9110 section 5.3)
            name = name.lower()
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]

    @property
    def text(self):
        """What a chat completion says."""
        return self.json["choices"][0]["message"]["content"]

    @property
    def cache(self):
        return self.headers.get("x-penstock-cache", "").split(";")[0].strip()

    @property
    def events(self):
        """The data of a stream's events."""
        return [line[5:].strip() for line in self.body.decode().split("\n")
                if line.startswith("data:")]

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:2000]!r}>"


def question(text="Hello?", model="m", **more):
    """The body of a chat completion's request."""
    return {"model": model, "messages": [{"role": "user", "content": f"{text} {CANARY}"}], **more}


class Gateway(Process):
    """`penstock serve`, ready."""

    def __init__(self, config, folder, **options):
        self.file = pathlib.Path(folder) / "penstock.yaml"
        self.write(config)
        super().__init__("serve", "--config", self.file, cwd=folder, **options)
        self.port = int(self.wait_for(r"listening on http://127\.0\.0\.1:(\d+)").group(1))
        self.admin_port = int(self.wait_for(r"admin on http://127\.0\.0\.1:(\d+)").group(1))

    def write(self, config):
        # JSON is YAML too. Text stays as it is, for what JSON cannot say.
        self.file.write_text(config if isinstance(config, str) else json.dumps(config, indent=1))

    def request(self, method, path, body=None, headers=None, port=None):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=LIMIT)
        with contextlib.closing(connection):
            if isinstance(body, (dict, list)):
                body = json.dumps(body)
                headers = {"content-type": "application/json", **(headers or {})}
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.getheaders(), answer.read())

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, body, **options):
        return self.request("POST", path, body=body, **options)

    def ask(self, text="Hello?", headers=None, **more):
        return self.post("/v1/chat/completions", question(text, **more), headers=headers)

    def admin(self, path, method="GET", **options):
        return self.request(method, path, port=self.admin_port, **options)

    def metrics(self):
        """All series: {(name, ((label, value), ...)): number}."""
        series = {}
        for line in self.admin("/metrics").body.decode().splitlines():
            match = re.fullmatch(r"(\w+)(?:\{(.*?)\})? (\S+)(?: # .*)?", line)
            if match:
                labels = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match.group(2) or "")
                series[match.group(1), tuple(labels)] = float(match.group(3))
        return series

    def metric(self, name, **labels):
        """The sum of a metric's series that have these labels; None if there is none."""
        values = [value for (known, have), value in self.metrics().items()
                  if known == name and labels.items() <= dict(have).items()]
        return sum(values) if values else None

    def wire(self, **options):
        return Wire(self.port, **options)


# ---- a client that sends exact bytes ---------------------------------------------------------

class Wire:
    """A connection of which every byte is ours."""

    def __init__(self, port, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(LIMIT)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)
        return self

    def post(self, body, path="/v1/chat/completions", headers=()):
        """Sends a request with a Content-Length."""
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"POST {path} HTTP/1.1", "Host: test", "Content-Type: application/json",
                 f"Content-Length: {len(body)}", *headers, "", ""]
        return self.send("\r\n".join(lines).encode() + body)

    def more(self):
        """Reads once; False at the end or at a reset."""
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            data = b""
        self.buffer += data
        return bool(data)

    def until(self, mark):
        """Reads up to and with `mark`."""
        seen = 0  # of a long answer each byte is looked at once
        while (at := self.buffer.find(mark, max(0, seen - len(mark) + 1))) < 0:
            seen = len(self.buffer)
            if not self.more():
                raise AssertionError(f"closed before {mark!r}: {self.buffer[:2000]!r}")
        end = at + len(mark)
        data, self.buffer = self.buffer[:end], self.buffer[end:]
        return data

    def exactly(self, count):
        while len(self.buffer) < count:
            if not self.more():
                raise AssertionError(f"closed {count - len(self.buffer)} bytes early")
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def head(self):
        """An answer's status and header fields."""
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        fields = [(n.strip(), v.strip()) for n, _, v in (f.partition(":") for f in lines[1:-2])]
        return int(lines[0].split(" ")[1]), fields

    def chunk(self):
        """One chunk's bytes; empty at the last."""
        size = int(self.until(b"\r\n").split(b";")[0], 16)
        data = self.exactly(size)
        self.until(b"\r\n")
        return data

    def rest_of_chunks(self):
        """All chunks up to the last, joined."""
        body = b""
        while data := self.chunk():
            body += data
        return body

    def answer(self):
        """One whole answer, by its own framing. Interim answers are passed over."""
        status, fields = self.head()
        while status < 200:
            status, fields = self.head()
        names = {n.lower(): v for n, v in fields}
        if names.get("transfer-encoding", "").lower() == "chunked":
            body = self.rest_of_chunks()
        elif "content-length" in names:
            body = self.exactly(int(names["content-length"]))
        elif status in (204, 304):
            body = b""
        else:
            body = self.rest()
        return Answer(status, fields, body)

    def rest(self):
        """Everything up to the end."""
        while self.more():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def closed(self):
        """True once the other side has closed and sent nothing more; False if it sent something."""
        return self.rest() == b""

    def reset(self):
        """Leaves without a word."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


# ---- an engine that follows a script ---------------------------------------------------------

class Request:
    def __init__(self, line, fields, body):
        self.method, self.path, self.version = line.split(" ", 2)
        self.fields = fields  # as they came, in order
        self.headers = {name.lower(): value for name, value in fields}
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)


class Call:
    """A connection to the scripted engine, in the hands of its script."""

    def __init__(self, engine, connection):
        self.engine = engine
        self.wire = Wire.__new__(Wire)
        self.wire.socket, self.wire.buffer = connection, b""

    def request(self):
        """The next request on this connection; None when the gateway has closed it."""
        while b"\r\n\r\n" not in self.wire.buffer:
            if not self.wire.more():
                return None
        lines = self.wire.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        fields = [(n.strip(), v.strip()) for n, _, v in (f.partition(":") for f in lines[1:-2])]
        headers = {n.lower(): v for n, v in fields}
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            body = self.wire.rest_of_chunks()
        else:
            body = self.wire.exactly(int(headers.get("content-length", 0)))
        request = Request(lines[0], fields, body)
        with self.engine.changed:
            self.engine.requests.append(request)
            self.engine.changed.notify_all()
        return request

    def send(self, data):
        self.wire.send(data if isinstance(data, bytes) else data.encode())

    def reset(self):
        self.wire.reset()

    def close(self):
        self.wire.socket.close()

    def gone(self):
        """Waits until the gateway has closed or reset this connection; when that was."""
        while self.wire.more():
            pass
        return time.monotonic()


class Engine:
    """An engine that does what its script says: called with each connection, on a thread of its own."""

    def __init__(self, script):
        self.script = script
        self.requests = []
        self.connections = 0
        self.errors = []
        self.changed = threading.Condition()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self._open = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.settimeout(LIMIT * 3)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.changed:
                self.connections += 1
                self._open.append(connection)
                self.changed.notify_all()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            self.script(Call(self, connection))
        except (OSError, ValueError, AssertionError):
            pass  # the gateway left, or the test is over: what matters is what the client saw
        except Exception as error:  # pylint: disable=broad-except
            self.errors.append(error)
        finally:
            connection.close()

    def wait_for(self, condition, what="the engine's condition", limit=LIMIT):
        with self.changed:
            if not self.changed.wait_for(lambda: condition(self), timeout=limit):
                raise AssertionError(f"not within {limit} s: {what}")

    @property
    def calls(self):
        """The questions that reached it: not its list of models, not health checks."""
        return [r for r in self.requests if r.method == "POST"]

    def close(self):
        # A thread that is blocked in accept is not woken by close alone.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=LIMIT)


# What an engine would answer.

def completion(text="Hello.", model="m", **more):
    return json.dumps({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model,
                       "choices": [{"index": 0, "finish_reason": "stop", "logprobs": None,
                                    "message": {"role": "assistant", "content": text}}],
                       "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
                       **more}).encode()


def delta(text=None, finish=None, **more):
    """One event of a stream."""
    return b"data: " + json.dumps(
        {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
         "choices": [{"index": 0, "delta": {} if text is None else {"content": text},
                      "finish_reason": finish}], **more}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
STREAM_HEAD = (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n")


def plain(body, status="200 OK", headers=()):
    """An answer with a Content-Length."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json",
             f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"


def stream(*events):
    """A whole streamed answer, an event a chunk."""
    return STREAM_HEAD + b"".join(map(chunk, events)) + LAST_CHUNK


def answering(make):
    """A script that answers every request of a connection with what `make(request)` returns."""
    def script(call):
        while request := call.request():
            call.send(make(request))
    return script


def polite(request):
    """An engine without faults: answers plainly or as a stream, as asked."""
    if request.method == "GET":
        return plain(json.dumps({"object": "list", "data": [
            {"id": "m", "object": "model", "created": 1, "owned_by": "test"}]}).encode())
    if request.json.get("stream"):
        return stream(delta("Hel"), delta("lo."), delta(finish="stop"), DONE)
    return plain(completion())


# ---- scenarios -------------------------------------------------------------------------------

def merged(base, more):
    """The first, with what the second says over it; sections are merged, all else is replaced."""
    result = dict(base)
    for name, value in more.items():
        both = isinstance(value, dict) and isinstance(result.get(name), dict)
        result[name] = merged(result[name], value) if both else value
    return result


BASE = {
    "listen": {"address": "127.0.0.1:0", "workers": 2, "limits": {"drain": "5s", "drain_delay": "0s"}},
    "admin": {"address": "127.0.0.1:0"},
}


class Scenario(unittest.TestCase):
    """Starts what a test needs, and ends it."""

    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="penstock-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.expected_exit = 0
        self.gateways = 0

    def gateway(self, *configs, **options):
        """A gateway with BASE and these settings over it, and a database of its own."""
        self.gateways += 1
        config = merged(BASE, {"store": {"url": f"sqlite:./gateway-{self.gateways}.db"}})
        for more in configs:
            config = merged(config, more)
        gateway = Gateway(config, self.folder, **options)
        gateway.config = config
        self.addCleanup(self.end, gateway)
        return gateway

    def end(self, gateway):
        """Ends a gateway and looks at what it has written."""
        try:
            if gateway.running():
                metrics = gateway.admin("/metrics").body.decode()
                self.assertNotIn(CANARY, metrics)
                gateway.signal(signal.SIGINT)
                self.assertEqual(gateway.wait(), self.expected_exit, gateway.output)
            self.look_at(gateway.output)
        finally:
            gateway.kill()

    def look_at(self, output):
        self.assertNotIn(CANARY, output, "a secret or a question's text was written")
        self.assertIsNone(REPORTS.search(output), output)

    def engine(self, script=None):
        engine = Engine(script or answering(polite))
        self.addCleanup(engine.close)
        self.addCleanup(lambda: self.assertEqual(engine.errors, []))
        return engine

    def to(self, engine, **more):
        """Settings with this engine behind the model `m`. It is asked nothing but questions."""
        return {"engines": [merged({"name": "e", "kind": "openai", "url": engine.url, "api_key": KEY,
                                    "health": "off"}, more)],
                "models": [{"name": "m", "engines": ["e"]}],
                "cache": {"answers": "all"}}

    def documents(self, **files):
        """Settings with a folder of these documents behind the model `handbook`."""
        folder = self.folder / "docs"
        folder.mkdir(exist_ok=True)
        for name, text in files.items():
            (folder / f"{name}.md").write_text(text)
        return {"engines": [{"name": "handbook", "kind": "documents", "path": str(folder)}],
                "models": [{"name": "handbook", "engines": ["handbook"]}]}
