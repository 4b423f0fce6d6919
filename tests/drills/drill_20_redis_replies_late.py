"""20: Redis replies after the time-out: the connection is closed, and no reply is given to another.

P1: no byte of one request reaches another. P6: Redis lost: at most 50 ms more, no 5xx. A proxy makes
every reply late by more than a request waits; each answer must be its own question's all the same.
"""

import threading
import time

from drills.drill import merged, wait_until
from drills.levels import RedisDrill
from harness.penstock import answering, completion, plain


class TheDrill(RedisDrill):
    def redis_settings(self):
        found = super().redis_settings()
        self.slow = self.proxy(self.redis.port)
        return merged(found, {"urls": [f"redis://127.0.0.1:{self.slow.port}"]})

    def settings(self):
        settings = super().settings()
        self.ill.script = answering(lambda r: plain(completion(r.json["messages"][-1]["content"])))
        return settings

    def fault(self):
        self.up()
        texts = [f"question {i}" for i in range(self.pick(40, 6))]
        for text in texts:
            self.ask(text)
        stop = threading.Event()
        self.slow.downstream.set(latency=0.12, jitter=0.05)
        results, threads = self.load(4, stop)
        time.sleep(self.pick(10, 1))
        late = [(text, self.ask(text)) for text in texts]
        self.slow.clear()
        stop.set()
        for thread in threads:
            thread.join()
        self.judge(results)
        wrong = [a for text, a, _ in results if f": {text} " not in a.text]
        wrong += [a for text, a in late if f": {text} " not in a.text]
        self.figures.equal("answers to another's question", len(wrong), 0)
        self.figures.at_least("replies that came too late", self.counted("penstock_redis_errors_total", kind="timeout"),
                              1)
        wait_until(lambda: self.metric("penstock_redis_up") == 1, "Redis is reached again", self.patience)
