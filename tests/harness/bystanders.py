"""Those who must not notice a fault: good clients and their good engine, on both sides of a gateway.

The engine answers each question with the question, so that every client knows what it must get back:
a byte of somebody else's, a missing one, an error, a stream without its end is a failure. Questions
go round by plain and streamed, new to the cache and known to it. They come at a constant pace, and a
latency counts from when a question was meant to be sent, so that a gateway that stalls cannot hide it.

    bystanders = Bystanders()                # the engine is ready: bystanders.engine_port
    bystanders.go(gateway.port)              # keep-alive clients begin to ask
    bystanders.window("fault")               # latencies go under this name from now on
    report = bystanders.rest()               # they have had their answers, and are gone

They live in a process of their own, so that what a script does meanwhile is not in their latencies. A
few ask the engine directly, past the gateway: what is slow there too is the machine.
"""

import asyncio
import collections
import contextlib
import json
import subprocess
import sys
import time

MODEL = "bystander"
KNOWN = 20       # questions whose answers the cache has
DIRECT = 4       # clients that ask past the gateway
PATIENCE = 20.0  # seconds for one answer


class Bystanders:
    """The process, in a script's hands."""

    def __init__(self, secret):
        self.secret = secret
        self.key = secret  # what they show the gateway
        self._process = subprocess.Popen([sys.executable, "-W", "ignore", "-m", __name__], text=True,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.engine_port = self._answer()["engine"]

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError("the bystanders' process has ended")
        return json.loads(line)

    def _tell(self, **command):
        print(json.dumps(command), file=self._process.stdin, flush=True)
        return self._answer()

    def go(self, port, connections=8, rate=100.0, window="before"):
        self._tell(do="go", port=port, connections=connections, rate=rate, secret=self.secret, key=self.key)
        self.window(window)

    def window(self, name):
        self._tell(do="window", name=name)

    def rest(self):
        """What happened since `go`: {sent, failures, windows: {name: {count, p50, p99, max}}}, in seconds;
        of those who ask directly under "NAME, direct"."""
        return self._tell(do="rest")

    def close(self):
        self._process.stdin.close()
        self._process.wait(timeout=PATIENCE)
        self._process.stdout.close()


# ---- in the process --------------------------------------------------------------------------

async def read_message(reader):
    """Start line, fields and body of one message; None at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    line, *lines = head.decode("latin-1").split("\r\n")[:-2]
    fields = {n.strip().lower(): v.strip() for n, _, v in (f.partition(":") for f in lines)}
    if fields.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
    else:
        body = await reader.readexactly(int(fields.get("content-length", 0)))
    return line, fields, body


async def be_engine(reader, writer):
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while message := await read_message(reader):
            question = json.loads(message[2] or b"{}")
            text = question["messages"][-1]["content"] if question else ""
            writer.write(streamed(text) if question.get("stream") else whole(text))
            await writer.drain()
    writer.close()


def whole(text):
    body = json.dumps({"id": "1", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}).encode()
    return (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            % len(body)) + body


def streamed(text):
    deltas = [({"content": text[i:i + 8]}, None) for i in range(0, len(text), 8)] + [({}, "stop")]
    events = [json.dumps({"id": "1", "object": "chat.completion.chunk", "created": 1, "model": MODEL,
                          "choices": [{"index": 0, "delta": d, "finish_reason": f}]})
              for d, f in deltas] + ["[DONE]"]
    chunks = [f"data: {event}\n\n".encode() for event in events] + [b""]
    return (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks))


def text_of(message):
    """What an answer says; None if it is none, or not whole."""
    line, fields, body = message
    if line.split(" ")[1] != "200":
        return None
    if not fields["content-type"].startswith("text/event-stream"):
        return json.loads(body)["choices"][0]["message"]["content"]
    events = [line[6:] for line in body.decode().split("\n") if line.startswith("data: ")]
    if events[-1] != "[DONE]":
        return None
    return "".join(choice["delta"].get("content", "") for event in events[:-1]
                   for choice in json.loads(event)["choices"])


class Crowd:
    """The clients between a `go` and a `rest`."""

    def __init__(self, engine, port, connections, rate, secret, key):
        self.secret, self.key = secret, key
        self.sent = 0
        self.failures = []
        self.window = "before"
        self.latencies = collections.defaultdict(list)
        self._resting = asyncio.Event()
        begin = time.monotonic()
        step = connections / rate
        self._clients = [asyncio.create_task(self._client(i, port, begin + i / rate, step))
                         for i in range(connections)]
        self._clients += [asyncio.create_task(self._client(i, engine, begin + i / rate, step, ", direct"))
                          for i in range(DIRECT)]

    async def rest(self):
        self._resting.set()
        await asyncio.gather(*self._clients)
        return {"sent": self.sent, "failures": self.failures,
                "windows": {name: summary(values) for name, values in self.latencies.items()}}

    async def _client(self, number, port, due, step, kind=""):
        link, turn = None, number
        while True:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._resting.wait(), max(0.0, due - time.monotonic()))
            if self._resting.is_set():
                break
            try:
                link = link or await asyncio.open_connection("127.0.0.1", port)
                self.sent += not kind
                link = await asyncio.wait_for(self._ask(link, number, turn), PATIENCE)
                self.latencies[self.window + kind].append(time.monotonic() - due)
            except (OSError, ValueError, LookupError, EOFError, asyncio.TimeoutError) as error:
                self.failures.append(f"client {number}, question {turn}: {error!r}")
                link = None
            turn += 1
            due = max(due + step, time.monotonic() - 1)  # after a long stall no flood
        if link:
            link[1].close()

    async def _ask(self, link, number, turn):
        reader, writer = link
        known = turn % 4 < 2
        text = f"known {turn % KNOWN}" if known else f"client {number} question {turn} {time.monotonic()}"
        text = f"{text} {self.secret}"
        body = json.dumps({"model": MODEL, "stream": turn % 2 == 1,
                           "messages": [{"role": "user", "content": text}]}).encode()
        kept = "" if known else "Cache-Control: no-store\r\n"
        head = (f"POST /v1/chat/completions HTTP/1.1\r\nHost: bystander\r\nContent-Type: application/json"
                f"\r\nAuthorization: Bearer {self.key}\r\n{kept}Content-Length: {len(body)}\r\n\r\n")
        writer.write(head.encode() + body)
        message = await read_message(reader)
        if message is None:
            raise ValueError("closed without an answer")
        got = text_of(message)
        if got != text:
            raise ValueError(f"not the answer: {message[0]} {message[2][:300]!r}")
        if message[1].get("connection", "").lower() == "close":
            writer.close()
            return None
        return reader, writer


def summary(values):
    values = sorted(values)
    return {"count": len(values), "p50": values[len(values) // 2],
            "p99": values[min(len(values) - 1, len(values) * 99 // 100)], "max": values[-1]}


async def main():
    server = await asyncio.start_server(be_engine, "127.0.0.1", 0, backlog=1024)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    engine = server.sockets[0].getsockname()[1]
    print(json.dumps({"engine": engine}), flush=True)
    crowd = None
    while line := await commands.readline():
        command = json.loads(line)
        reply = {}
        match command.pop("do"):
            case "go":
                crowd = Crowd(engine, **command)
            case "window":
                crowd.window = command["name"]
            case "rest":
                reply = await crowd.rest()
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
