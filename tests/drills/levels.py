"""What drills of the cache in Redis have in common: an engine whose every answer is another one; the
part of a second gateway is played by a plain client of Redis.

    class TheDrill(RedisDrill):
        def fault(self):
            answer, name = self.keep("a question")    # asked, and in Redis under this name
            self.redis.ask("DEL", name)               # as another gateway would change it
"""

import contextlib
import itertools
import threading
import time

from drills.drill import Drill, merged, wait_until
from harness.penstock import answering, completion, plain
from harness.redis_server import RedisServer

VALUES = "penstock:cache:*"


class RedisDrill(Drill):
    _kept = 0
    patience = 40.0  # Redis is tried again up to 30 s later

    def redis_settings(self):
        """Below `cache.redis`; servers are started here."""
        self.redis = RedisServer("--enable-debug-command", "yes")
        self._exit.callback(self.redis.close)
        return {"urls": [self.redis.url]}

    def settings(self):
        number, lock = itertools.count(1), threading.Lock()

        def make(_):
            with lock:
                return plain(completion(f"answer {next(number)}"))

        return merged(self.engine_behind(answering(make)), {"cache": {"redis": self.redis_settings()}})

    def up(self):
        wait_until(lambda: self.metric("penstock_redis_up") == 1, "Redis is reached", self.patience)

    def values(self):
        return self.redis.ask("KEYS", VALUES)

    def keep(self, text):
        """Asks until what was answered is in Redis too: behind failures it is left alone for a while. The
        answer, and its name there."""
        end = time.monotonic() + self.patience
        while True:
            self._kept += 1
            tag = f"kept-{self._kept}"
            answer = self.ask(text, headers={"x-penstock-cache-tags": tag})
            assert answer.status == 200, answer
            (entry,) = self.gateway.admin(f"/admin/v1/cache/entries?tag={tag}").json["entries"]
            name = f"penstock:cache:{{{entry['entry']}}}"
            with contextlib.suppress(AssertionError):
                wait_until(lambda n=name: self.redis.ask("EXISTS", n) == 1, f"{text} is in Redis", 1.0)
                return answer, name
            assert time.monotonic() < end, f"{text} is not in Redis"
            self.gateway.admin("/admin/v1/cache/purge", method="POST", body={"tag": tag})

    def load(self, count, stop):
        """Clients who ask what is kept and what is not, until `stop` is set; answers by what they say."""
        results, lock = [], threading.Lock()

        def client(number):
            turn = 0
            while not stop.is_set():
                turn += 1
                text = "what all ask" if turn % 2 else f"client {number} question {turn}"
                answer, seconds = self.timed(lambda text=text: self.ask(text))
                with lock:
                    results.append((text, answer, seconds))

        threads = [threading.Thread(target=client, args=(i,), daemon=True) for i in range(count)]
        for thread in threads:
            thread.start()
        return results, threads

    def judge(self, results, waited=0.05):
        figures = self.figures
        figures.at_least("requests", len(results), self.pick(500, 20))
        figures.equal("answers that are no 200", sum(a.status != 200 for _, a, _ in results), 0)
        times = sorted(seconds for _, _, seconds in results)
        figures.at_most("an answer in the middle", times[len(times) // 2], waited + self.soon, "s")
