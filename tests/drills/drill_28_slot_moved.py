"""28: a slot is moved in a cluster of three under load: no errors, and what lay in it is found again.

P6: Redis lost: at most 50 ms more, no 5xx. MOVED and ASK are followed; an answer whose slot has moved is
not vouched for by its former node any more, and is looked up again.
"""

import threading
import time

from drills.drill import wait_until
from drills.levels import RedisDrill
from harness.redis_server import RedisCluster


class TheDrill(RedisDrill):
    def redis_settings(self):
        self.cluster = RedisCluster(3)
        self._exit.callback(self.cluster.close)
        self.redis = self.cluster.nodes[0]
        return {"urls": self.cluster.urls[:2]}

    def there(self, name):
        return any(name.encode() in node.ask("KEYS", "penstock:cache:*") for node in self.cluster.nodes)

    def keep(self, text):
        self._kept += 1
        tag = f"kept-{self._kept}"
        answer = self.ask(text, headers={"x-penstock-cache-tags": tag})
        (entry,) = self.gateway.admin(f"/admin/v1/cache/entries?tag={tag}").json["entries"]
        name = f"penstock:cache:{{{entry['entry']}}}"
        wait_until(lambda: self.there(name), f"{text} is in Redis")
        return answer, name

    def fault(self):
        self.up()
        kept = [(f"question {i}", *self.keep(f"question {i}")) for i in range(self.pick(10, 2))]
        stop = threading.Event()
        results, threads = self.load(4, stop)
        time.sleep(0.2)
        for _, _, name in kept:
            slot = self.cluster.slot(name)
            self.cluster.move_slot(slot, (self.cluster.owner(slot) + 1) % 3)
        time.sleep(self.pick(3, 0.5))
        stop.set()
        for thread in threads:
            thread.join()
        self.judge(results)
        again = [self.ask(text) for text, _, _ in kept]
        self.figures.equal("answers that were found again", sum(
            a.text == old.text for a, (_, old, _) in zip(again, kept)), len(kept))
        self.figures.equal("of them from an engine", sum(a.cache == "miss" for a in again), 0)
        self.figures.equal("Redis is up", self.metric("penstock_redis_up"), 1)
