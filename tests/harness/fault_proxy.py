"""A TCP proxy that makes connections ill: what stands between two programs, at a script's word.

    proxy = FaultProxy(engine.port)             # in front of an engine, on a free port
    proxy.downstream.set(latency=0.2, jitter=0.05)
    proxy.downstream.set(limit_data=4096)       # on connections that are open already, too
    proxy.clear()

or by hand, with commands such as `downstream latency=0.2` and `clear` on its standard input:

    python3 -m harness.fault_proxy --to 127.0.0.1:9000 --listen 127.0.0.1:9001 --downstream bandwidth=64

Each direction (upstream: towards the server; downstream: towards the client) has its own toxics, the
seven of toxiproxy, and any of them may be on at once:

    latency, jitter      seconds that each piece is late; the order of the bytes stays
    bandwidth            KiB a second
    slow_close           seconds that an end is late
    timeout              nothing passes, what comes is lost; closed after so many seconds, 0: never
    reset_peer           both sides are reset (RST) after so many seconds
    reset_bytes          both sides are reset after so many bytes of a connection
    slicer               bytes that a piece has on average; with slicer_variation and slicer_delay
    limit_data           closed after so many bytes of a connection
"""

import argparse
import asyncio
import collections
import contextlib
import random
import socket
import struct
import sys
import threading

PIECE = 128 * 1024
HELD = 256 * 1024             # bytes under way in a direction, beside the sockets' own
HELD_BY_LATENCY = 8 * 1024 * 1024
NAMES = ("latency", "jitter", "bandwidth", "slow_close", "timeout", "reset_peer", "reset_bytes",
         "slicer", "slicer_variation", "slicer_delay", "limit_data")


class Toxics:
    """What is wrong with one direction. Attributes are the names above; None is healthy."""

    def __init__(self, loop):
        self._loop = loop
        self._changed = asyncio.Event()
        self._values = dict.fromkeys(NAMES)

    def __getattr__(self, name):
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(name) from None

    def set(self, **values):
        """Changes some; from any thread. Whoever waits because of an old value looks again."""
        unknown = set(values) - set(NAMES)
        if unknown:
            raise ValueError(f"no such toxic: {', '.join(sorted(unknown))}")
        self._values = {**self._values, **values}
        self._loop.call_soon_threadsafe(self._tell)

    def clear(self):
        self.set(**dict.fromkeys(NAMES))

    def _tell(self):
        self._changed.set()
        self._changed = asyncio.Event()

    async def pause(self, seconds):
        """Waits so long; True if something was changed meanwhile."""
        if seconds is not None and seconds <= 0:
            return False
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
            return True
        except asyncio.TimeoutError:
            return False


class Reset(Exception):
    """Both sides of the connection are to be reset."""


class Close(Exception):
    """Both sides of the connection are to be closed."""


class Pipe:
    """One direction of one connection: a task that reads, one that lets go when it is time."""

    def __init__(self, source, target, toxics):
        self.source, self.target, self.toxics = source, target, toxics
        self.loop = asyncio.get_running_loop()
        self.begun = self.loop.time()
        self.passed = 0
        self._queue = collections.deque()  # (when it came, bytes); empty bytes: the end
        self._held = 0
        self._moved = asyncio.Event()

    async def run(self):
        tasks = [asyncio.create_task(t) for t in (self._read(), self._write(), self._watch())]
        try:
            done, _ = await asyncio.wait(tasks[1:], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self):
        while True:
            while self._held >= (HELD_BY_LATENCY if self.toxics.latency else HELD):
                await self._wait()
            try:
                data = await self.loop.sock_recv(self.source, PIECE)
            except OSError:
                data = None  # the reset of one side is the reset of the other
            self._queue.append((self.loop.time(), data))
            self._held += len(data or b"")
            self._moved.set()
            if not data:
                return

    async def _wait(self):
        self._moved.clear()
        await self._moved.wait()

    async def _write(self):
        while True:
            while not self._queue:
                await self._wait()
            came, data = self._queue[0]
            await self._be_late(came)
            self._queue.popleft()
            self._held -= len(data or b"")
            self._moved.set()
            if data is None:
                raise Reset
            if not data:
                return await self._end()
            if self.toxics.timeout is None:  # else it is lost
                await self._send(data)

    async def _be_late(self, came):
        jitter = random.uniform(-1, 1)
        while (latency := self.toxics.latency) is not None:
            until = came + max(0.0, latency + jitter * (self.toxics.jitter or 0))
            if not await self.toxics.pause(until - self.loop.time()):
                return

    async def _end(self):
        while self.toxics.timeout is not None:
            await self.toxics.pause(None)
        end = self.loop.time()
        while (late := self.toxics.slow_close) is not None:
            if not await self.toxics.pause(end + late - self.loop.time()):
                break
        with contextlib.suppress(OSError):
            self.target.shutdown(socket.SHUT_WR)

    async def _send(self, data):
        view = memoryview(data)
        while view:
            toxics, size, seconds = self.toxics, len(view), 0.0
            if toxics.slicer:
                spread = toxics.slicer_variation or 0
                size = min(size, max(1, round(toxics.slicer + random.uniform(-spread, spread))))
                seconds = toxics.slicer_delay or 0.0
            if toxics.bandwidth:
                size = min(size, max(1, int(toxics.bandwidth * 1024 / 20)))  # evenly: 20 a second
                seconds += size / (toxics.bandwidth * 1024)
            # Not before 0: a limit may be set behind what has passed already.
            for limit in (toxics.limit_data, toxics.reset_bytes):
                if limit is not None:
                    size = min(size, max(0, int(limit) - self.passed))
            if size:
                await self.loop.sock_sendall(self.target, view[:size])
                self.passed += size
                view = view[size:]
            if toxics.reset_bytes is not None and self.passed >= toxics.reset_bytes:
                raise Reset
            if toxics.limit_data is not None and self.passed >= toxics.limit_data:
                raise Close
            if seconds:
                await toxics.pause(seconds)

    async def _watch(self):
        """What happens by the clock, whether bytes come or not."""
        since = {}
        while True:
            waits = []
            for name, error in (("reset_peer", Reset), ("timeout", Close)):
                seconds = getattr(self.toxics, name)
                if seconds is None or (name == "timeout" and seconds == 0):
                    since.pop(name, None)
                    continue
                left = since.setdefault(name, self.loop.time()) + seconds - self.loop.time()
                if left <= 0:
                    raise error
                waits.append(left)
            await self.toxics.pause(min(waits, default=None))


class FaultProxy:
    """Listens, and passes each connection on to `to` as its toxics allow. A thread of its own."""

    def __init__(self, to, listen=("127.0.0.1", 0)):
        self.to = to if isinstance(to, tuple) else ("127.0.0.1", to)
        self.accepted = 0
        self.open = 0
        self._tasks = set()
        self._listener = socket.create_server(listen, backlog=1024)
        self._listener.setblocking(False)
        self.address = self._listener.getsockname()
        self.port = self.address[1]
        self._loop = asyncio.new_event_loop()
        self.upstream, self.downstream = Toxics(self._loop), Toxics(self._loop)
        self._task = self._loop.create_task(self._serve())
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    def clear(self):
        self.upstream.clear()
        self.downstream.clear()

    def reset(self):
        """Resets every connection that is open now, on both sides."""
        self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in list(self._tasks)])

    def close(self):
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(timeout=20)
        self._listener.close()

    def _run(self):
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._task)
        self._loop.close()

    async def _serve(self):
        try:
            while True:
                client, _ = await self._loop.sock_accept(self._listener)
                self.accepted += 1
                task = asyncio.create_task(self._connection(client))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        finally:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connection(self, client):
        server = socket.socket()
        pair = (client, server)
        self.open += 1
        hard = True
        tasks = []
        try:
            for side in pair:
                side.setblocking(False)
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.sock_connect(server, self.to)
            tasks = [asyncio.create_task(Pipe(client, server, self.upstream).run()),
                     asyncio.create_task(Pipe(server, client, self.downstream).run())]
            await asyncio.gather(*tasks)
            hard = False
        except Close:
            hard = False
        except (Reset, OSError):
            pass  # and so does a cancellation: `reset`, `close`
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.open -= 1
            end(pair, hard)


def end(pair, hard):
    """Closes both sides; `hard` with a reset, though there may be bytes under way."""
    for side in pair:
        with contextlib.suppress(OSError):
            if hard:
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        side.close()


# ---- by hand ---------------------------------------------------------------------------------

def toxics_of(words):
    """`latency=0.2 jitter=none` as values."""
    pairs = (word.split("=", 1) for word in words)
    return {name: None if value == "none" else float(value) for name, value in pairs}


def address_of(text):
    host, _, port = text.rpartition(":")
    return host or "127.0.0.1", int(port)


def main():
    parser = argparse.ArgumentParser(prog="fault_proxy", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=address_of, required=True, metavar="HOST:PORT")
    parser.add_argument("--listen", type=address_of, default=("127.0.0.1", 0), metavar="HOST:PORT")
    for direction in ("upstream", "downstream"):
        parser.add_argument(f"--{direction}", nargs="+", default=[], metavar="TOXIC=VALUE")
    arguments = parser.parse_args()
    proxy = FaultProxy(arguments.to, arguments.listen)
    proxy.upstream.set(**toxics_of(arguments.upstream))
    proxy.downstream.set(**toxics_of(arguments.downstream))
    print("listening on %s:%d" % proxy.address, flush=True)
    for line in sys.stdin:  # until its end, or Ctrl-C
        words = line.split()
        try:
            if words in (["clear"], ["reset"]):
                getattr(proxy, words[0])()
            elif words and words[0] in ("upstream", "downstream"):
                getattr(proxy, words[0]).set(**toxics_of(words[1:]))
            elif words:
                raise ValueError("upstream|downstream TOXIC=VALUE..., clear or reset")
        except ValueError as error:
            print(f"not understood: {line.strip()}: {error}", file=sys.stderr)
    proxy.close()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
