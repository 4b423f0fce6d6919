"""Clients that no gateway wishes for: they leave in the middle, mumble, dawdle, and ask for what is not.

A process of its own, at a constant pace, until its standard input ends; then it prints what it did.
None of them counts what it gets: that nobody else notices them is what the soak is about.
"""

import asyncio
import collections
import contextlib
import json
import random
import socket
import struct
import sys

PATIENCE = 20.0  # seconds that any visit may take


def question(model, text, **more):
    return json.dumps({"model": model, "messages": [{"role": "user", "content": text}], **more}).encode()


def post(body, path="/v1/chat/completions", fields=""):
    return (f"POST {path} HTTP/1.1\r\nHost: soak\r\nContent-Type: application/json\r\n{fields}"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


class Visitors:
    def __init__(self, port, seed):
        self.port = port
        self.random = random.Random(seed)
        self.number = 0
        self.visits = collections.Counter()

    def text(self):
        self.number += 1
        return f"visit {self.number} {self.random.random()}"

    async def open(self):
        return await asyncio.open_connection("127.0.0.1", self.port)

    @staticmethod
    def reset(writer):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    # ---- who comes

    async def leaves_in_a_stream(self):
        reader, writer = await self.open()
        writer.write(post(question("slow", self.text(), stream=True)))
        await reader.read(self.random.randrange(1, 3000))
        self.reset(writer)

    async def leaves_before_the_answer(self):
        _, writer = await self.open()
        writer.write(post(question("slow", self.text())))
        await asyncio.sleep(self.random.random() / 5)
        writer.close()

    async def leaves_in_the_request(self):
        _, writer = await self.open()
        whole = post(question("slow", self.text() * 50))
        writer.write(whole[:self.random.randrange(1, len(whole))])
        await asyncio.sleep(self.random.random() / 5)
        (writer.close if self.random.random() < .5 else lambda: self.reset(writer))()

    async def comes_and_says_nothing(self):
        _, writer = await self.open()
        await asyncio.sleep(self.random.random())
        writer.close()

    async def reads_slowly(self):
        reader, writer = await self.open()
        writer.write(post(question("slow", self.text(), stream=True)))
        for _ in range(40):
            if not await reader.read(200):
                break
            await asyncio.sleep(.1)
        writer.close()

    async def sends_rubbish(self):
        reader, writer = await self.open()
        writer.write(self.random.choice([
            b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n", post(b"{" * 5000), post(b'{"model": 1}'),
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\n",
            b"GET /v1/models HTTP/1.1\r\nHost: a\r\n" + b"X: " + b"y" * 40_000 + b"\r\n\r\n"]))
        await reader.read()
        writer.close()

    async def asks_for_what_is_not(self):
        reader, writer = await self.open()
        text = self.text().replace(" ", "-")
        writer.write(post(question(f"model-{text}", "?"), fields=f"X-{text}: {text}\r\n"))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"GET /v1/{text}?{text} HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n".encode())
        await reader.read()
        writer.close()

    async def asks_something_large(self):
        reader, writer = await self.open()
        writer.write(post(question("quick", self.text() + "x" * self.random.randrange(1 << 20)),
                          fields="Connection: close\r\n"))
        await reader.read()
        writer.close()

    KINDS = (leaves_in_a_stream, leaves_before_the_answer, leaves_in_the_request, comes_and_says_nothing,
             reads_slowly, sends_rubbish, asks_for_what_is_not, asks_something_large)

    async def visit(self, kind):
        with contextlib.suppress(OSError, EOFError, asyncio.TimeoutError):
            await asyncio.wait_for(kind(self), PATIENCE)
        self.visits[kind.__name__] += 1

    async def come(self, rate, until):
        under_way = set()
        while not until.is_set():
            task = asyncio.create_task(self.visit(self.random.choice(self.KINDS)))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(until.wait(), 1 / rate)
        await asyncio.gather(*under_way)


async def main():
    port, rate, seed = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    until = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), until.set)  # readable at its end
    visitors = Visitors(port, seed)
    await visitors.come(rate, until)
    print(json.dumps(visitors.visits))


if __name__ == "__main__":
    asyncio.run(main())
