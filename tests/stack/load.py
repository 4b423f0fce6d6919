"""Mixed load: what applications send on a day on which everything happens."""

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
    """Clients at `port`, each with a connection of its own, until the time is up."""

    def __init__(self, port, key, seconds, clients=8):
        self.port, self.key = port, key
        self.end = time.monotonic() + seconds
        self.statuses = collections.Counter()
        self.failures = []  # a connection that broke, a stream without its end
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.client, args=(seed,)) for seed in range(clients)]
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
        if what < 0.40:  # asked before by somebody
            path, body = chat(f"What is question {number % 30} about?", temperature=0)
        elif what < 0.60:
            path, body = chat(f"Explain {number} step by step, and why it is prime.", "large")
        elif what < 0.75:
            path, body = chat(f"Tell me of {number % 200}.", stream=True, stream_options={"include_usage": True})
        elif what < 0.80:
            path, body = PATHS["completions"], {"model": "small", "prompt": f"Once {number % 50}"}
        elif what < 0.90:
            path, body = PATHS["embeddings"], {"model": "embed", "input": f"text {number % 100}"}
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
                if answer.status >= 500 or (streamed and not text.rstrip().endswith(b"data: [DONE]")):
                    self.failures.append(f"{path}: {answer.status} {text[-200:]!r}")
            time.sleep(0.01)
        connection.close()
