"""Requests of which no two are the same, pipelined, as fast as they are answered; a process of its own.

    flood = Flood(gateway.port, "models", begin=0, count=1_000_000)
    report = flood.wait()    # {statuses: {"404": 1000000}, seconds}
"""

import collections
import json
import re
import socket
import sys
import time

from harness.apart import Apart

BATCH = 128
PATIENCE = 600.0
STATUS = re.compile(rb"HTTP/1\.1 (\d\d\d)")


def post(fields, body):
    return (f"POST /v1/chat/completions HTTP/1.1\r\nHost: flood\r\nContent-Type: application/json\r\n{fields}"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


def model(i):
    """An unknown model, under an unknown user."""
    return post("", f'{{"model":"model-{i}","user":"user-{i}","messages":[{{"role":"user","content":"x"}}]}}')


def path(i):
    """An unknown path, inside of the API and outside, with methods, hosts and queries that nobody knows."""
    method = ("GET", "POST", "DELETE", f"METHOD-{i}")[i % 4]
    where = f"/v1/path-{i}" if i % 2 else f"/path-{i}"
    return f"{method} {where}?query-{i}={i} HTTP/1.1\r\nHost: host-{i}\r\nContent-Length: 0\r\n\r\n".encode()


def header(i):
    """A known question with a field that nobody knows: another question, since the engine may read it."""
    fields = f"X-Name-{i}: value-{i}\r\nUser-Agent: agent-{i}\r\nX-Request-Id: request-{i}\r\n"
    return post(fields, '{"model":"simulated","messages":[{"role":"user","content":"x"}]}')


KINDS = {"models": model, "paths": path, "headers": header}


class Flood(Apart):
    def __init__(self, port, kind, begin, count):
        super().__init__(__name__, port, kind, begin, count, patience=PATIENCE)


def main(port, kind, begin, count):
    make, statuses, start = KINDS[kind], collections.Counter(), time.monotonic()
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    for first in range(begin, begin + count, BATCH):
        requests = [make(i) for i in range(first, min(first + BATCH, begin + count))]
        connection.sendall(b"".join(requests))
        answers, seen = b"", []
        while len(seen) < len(requests):
            data = connection.recv(1 << 18)
            if not data:
                raise ConnectionError(f"closed behind {answers[-500:]!r}")
            answers += data
            seen = STATUS.findall(answers)
        statuses.update(status.decode() for status in seen)
    print(json.dumps({"statuses": statuses, "seconds": time.monotonic() - start}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
