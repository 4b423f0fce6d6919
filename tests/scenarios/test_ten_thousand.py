"""Ten thousand clients ask two gateways one and the same question, which nobody has asked before."""

import json
import resource
import selectors
import socket
import threading
import time

from harness.penstock import SANITIZED, completion, plain, question, wait_until
from scenarios.test_cache_levels import OnRedis

CLIENTS = 1_000 if SANITIZED else 10_000
CALL = 5.0  # seconds that the engine takes


class Crowd:
    """Connections that all ask at once; when each was answered, and what."""

    def __init__(self, ports, count):
        self.sockets = []
        for i in range(count):
            client = socket.create_connection(("127.0.0.1", ports[i % len(ports)]), timeout=20)
            client.setblocking(False)
            self.sockets.append(client)

    def ask(self, body, limit):
        data = json.dumps(body).encode()
        request = (b"POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
                   b"Content-Length: %d\r\n\r\n" % len(data)) + data
        selector, got, ended = selectors.DefaultSelector(), {}, {}
        for client in self.sockets:
            assert client.send(request) == len(request)
            selector.register(client, selectors.EVENT_READ)
            got[client] = b""
        end = time.monotonic() + limit
        while len(ended) < len(self.sockets) and time.monotonic() < end:
            for key, _ in selector.select(0.1):
                client = key.fileobj
                more = client.recv(65536)
                got[client] += more
                head, found, answer = got[client].partition(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                if not more or (found and length and len(answer) >= int(length)):
                    ended[client] = time.monotonic()
                    selector.unregister(client)
        return list(ended.values()), [got[client] for client in ended]

    def close(self):
        for client in self.sockets:
            client.close()


class TenThousand(OnRedis):
    def test_are_one_call_and_all_are_answered(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        called, lock = [], threading.Lock()

        def script(call):
            while call.request():
                with lock:
                    called.append(time.monotonic())
                time.sleep(CALL)
                call.send(plain(completion("the answer to all")))
                called.append(time.monotonic())
        self.behind = self.engine(script)
        gateways = [self.gateway(self.to(self.behind), {
            "cache": {"redis": {"urls": [self.redis.url], "timeout": "1s"}},
            "store": {"url": f"sqlite:{self.folder}/{i}.db"}}) for i in range(2)]
        for gateway in gateways:
            wait_until(lambda g=gateway: g.metric("penstock_redis_up") == 1, "Redis is reached")
        crowd = Crowd([gateway.port for gateway in gateways], CLIENTS)
        self.addCleanup(crowd.close)
        times, answers = crowd.ask(question(), limit=30)
        self.assertEqual(len(answers), CLIENTS)
        wrong = [answer for answer in answers
                 if not answer.startswith(b"HTTP/1.1 200") or b"the answer to all" not in answer]
        self.assertEqual(wrong[:1], [])
        self.assertEqual(len(self.behind.calls), 1)
        took = called[1] - called[0]
        print(f"the call took {took:.3f} s, the last of {CLIENTS} was answered {max(times) - called[0]:.3f} s "
              "after it had begun")
        if not SANITIZED:
            self.assertLessEqual(max(times) - called[0], 1.2 * took)
