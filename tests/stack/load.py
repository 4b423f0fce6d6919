"""Mixed load: what applications send on a day on which everything happens, and what operators do meanwhile.

After it every series that can move without a fault has moved: scenarios.stack names those that have not.
"""

import collections
import http.client
import json
import random
import threading
import time

PATHS = {"chat": "/v1/chat/completions", "completions": "/v1/completions", "embeddings": "/v1/embeddings"}


def chat(text, model="small", **more):
    return PATHS["chat"], {"model": model, "messages": [{"role": "user", "content": text}], **more}


class Load:
    """Clients at `port`, each with a connection of its own, until the time is up. `admins`: the gateways' admin
    ports, for an operator, who reloads, warms and purges."""

    def __init__(self, port, key, seconds, clients=8, admins=()):
        self.port, self.key, self.admins = port, key, admins
        self.end = time.monotonic() + seconds
        self.statuses = collections.Counter()
        self.streams = 0
        self.failures = []  # a connection that broke, a stream without its end, an operator who was refused
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.client, args=(seed,)) for seed in range(clients)]
        if admins:
            self.threads.append(threading.Thread(target=self.operator))
        for thread in self.threads:
            thread.start()

    def wait(self):
        for thread in self.threads:
            thread.join()
        return self

    def draw(self, chance):
        """(path, body, headers) of a request; most are of the good sort."""
        what = chance.random()
        number = chance.randrange(10**9)
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json",
                   "x-session-id": f"s{number % 20}"}
        if number % 3 == 0:
            headers["accept-encoding"] = chance.choice(["gzip", "br", "zstd"])
        if what < 0.40:  # asked before by somebody
            path, body = chat(f"What is question {number % 30} about?", temperature=0)
            if number % 20 == 0:  # what the other gateway keeps of it is old then
                headers["cache-control"] = "no-cache"
        elif what < 0.60:
            path, body = chat(f"Explain {number} step by step, and why it is prime.", "large")
        elif what < 0.75:
            path, body = chat(f"Tell me of {number % 200}.", stream=True, stream_options={"include_usage": True})
        elif what < 0.80:
            path, body = PATHS["completions"], {"model": "small", "prompt": f"Once {number % 50}"}
        elif what < 0.90:
            path, body = PATHS["embeddings"], {"model": "embed", "input": [f"text {number % 100 + i}" for i in range(20)]}
        elif what < 0.92:
            path, body = chat("Who is there?", "unknown")
        elif what < 0.94:
            path, body = chat("Hot?", temperature="very")
        elif what < 0.96:
            return PATHS["chat"], b'{"model": "small", "messages": [', headers
        elif what < 0.98:
            path, body = chat("Let me in.")
            headers["authorization"] = "Bearer pk_of_somebody_else"
        else:
            return "/v1/models", None, headers
        return path, json.dumps(body).encode(), headers

    def client(self, seed):
        chance = random.Random(seed)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while time.monotonic() < self.end:
            path, body, headers = self.draw(chance)
            if chance.random() < 0.02:
                self.leave(chance, headers)
            try:
                connection.request("GET" if body is None else "POST", path, body, headers)
                answer = connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                with self.lock:
                    self.failures.append(f"{path}: {error!r}")
                continue
            with self.lock:
                self.statuses[answer.status] += 1
                streamed = answer.getheader("content-type", "").startswith("text/event-stream")
                self.streams += streamed
                if answer.status >= 500 or (streamed and not text.rstrip().endswith(b"data: [DONE]")):
                    self.failures.append(f"{path}: {answer.status} {text[-200:]!r}")
            if answer.status == 200 and path == PATHS["chat"] and chance.random() < 0.05:
                self.say(connection, answer.getheader("x-request-id"), chance.choice(["up", "up", "down"]))
            time.sleep(0.01)
        connection.close()

    def leave(self, chance, headers):
        """One who has a new question, and no patience."""
        path, body = chat(f"Is {chance.randrange(10**9)} enough?", "large", stream=chance.random() < 0.5)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("POST", path, json.dumps(body), headers)
            if body["stream"]:
                connection.getresponse().read(1)
        except (OSError, http.client.HTTPException):
            pass  # nobody waits for it
        finally:
            connection.close()

    def say(self, connection, request, rating):
        """What a user thinks of an answer."""
        try:
            connection.request("POST", "/v1/feedback", json.dumps({"request_id": request, "rating": rating}),
                               {"authorization": f"Bearer {self.key}", "content-type": "application/json"})
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            connection.close()

    def operator(self):
        lines = [json.dumps(chat(f"Warm {number}?", temperature=0)[1]) for number in range(5)]
        turn = 0
        while time.monotonic() < self.end:
            for port in self.admins:
                for path, body in (("reload", {}), ("cache/warm", {"lines": lines, "tenant": "acme"})):
                    self.operate(port, path, body)
            # What one node is told reaches the memory of the other.
            self.operate(self.admins[turn % len(self.admins)], "cache/purge", {"model": "small"})
            turn += 1
            time.sleep(2)

    def operate(self, port, path, body):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request("POST", f"/admin/v1/{path}", json.dumps(body), {"content-type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status >= 400:
                with self.lock:
                    self.failures.append(f"{path}: {answer.status} {text[:200]!r}")
        except OSError as error:
            with self.lock:
                self.failures.append(f"{path}: {error!r}")
        finally:
            connection.close()
