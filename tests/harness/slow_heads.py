"""Clients that send a head byte by byte, thousands of them, in a process of their own.

    slow = SlowHeads(gateway.port, count=5000, ramp=8, seconds=30)
    report = slow.wait()     # {cut, first, last, others, peak}: what became of each connection

Each slot holds a connection and sends one byte of an endless head a second; when it is cut it
connects anew, until `seconds` have passed. Then all that are open are waited for. The slots begin
one after the other within `ramp` seconds, so that what is measured is how many are open, and not how
many can connect at one moment.
"""

import heapq
import json
import resource
import select
import socket
import sys
import time

from harness.apart import Apart

HEAD = b"GET /v1/models HTTP/1.1\r\nHost: slow\r\nX-Slow: "
EVERY = 1.0      # seconds between two bytes
PATIENCE = 60.0  # seconds for a connection that nobody cuts


class SlowHeads(Apart):
    def __init__(self, port, count, ramp, seconds):
        self.count = count
        super().__init__(__name__, port, count, ramp, seconds, patience=PATIENCE)


# ---- in the process --------------------------------------------------------------------------

class Slot:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.born = time.monotonic()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.at = 0
        self.answer = b""

    def send(self):
        try:
            self.socket.send(HEAD[self.at:self.at + 1] or b"a")
            self.at += 1
        except OSError:
            pass  # it is being cut: what it says is read

    def read(self):
        """False at the end."""
        try:
            data = self.socket.recv(4096)
        except OSError:
            data = b""
        self.answer += data
        return bool(data)


def main(port, count, ramp, seconds):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    begin = time.monotonic()
    poller, slots, due = select.epoll(), {}, []
    report = {"cut": 0, "first": PATIENCE, "last": 0.0, "others": [], "peak": 0}

    def connect():
        slot = Slot(port)
        slots[slot.socket.fileno()] = slot
        poller.register(slot.socket, select.EPOLLIN)
        heapq.heappush(due, (slot.born, id(slot), slot))
        report["peak"] = max(report["peak"], len(slots))

    def ended(slot):
        lived = time.monotonic() - slot.born
        del slots[slot.socket.fileno()]
        slot.socket.close()
        if slot.answer.startswith(b"HTTP/1.1 408 "):
            report["cut"] += 1
            report["first"] = min(report["first"], lived)
            report["last"] = max(report["last"], lived)
        else:
            report["others"].append(repr(slot.answer[:100]))
        if time.monotonic() - begin < seconds:
            connect()

    started = 0
    while (started < count or slots) and time.monotonic() - begin < seconds + PATIENCE:
        while started < count and time.monotonic() >= begin + started * ramp / count:
            connect()
            started += 1
        while due and due[0][0] <= time.monotonic():
            at, _, slot = heapq.heappop(due)
            if slots.get(slot.socket.fileno()) is slot:
                slot.send()
                heapq.heappush(due, (at + EVERY, id(slot), slot))
        wait = due[0][0] - time.monotonic() if due else 1.0
        if started < count:
            wait = min(wait, begin + started * ramp / count - time.monotonic())
        for number, _ in poller.poll(max(0.0, wait)):
            slot = slots[number]
            if not slot.read():
                ended(slot)
    report["others"] += ["never cut"] * len(slots)
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
