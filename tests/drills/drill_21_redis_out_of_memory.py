"""21: Redis is out of memory: writes are skipped, what is there is read, and everybody is served.

P6: Redis lost: at most 50 ms more, no 5xx. A Redis that is full still answers GET: it is not away.
"""

import threading
import time

from drills.drill import wait_until
from drills.levels import RedisDrill


class TheDrill(RedisDrill):
    def fault(self):
        self.up()
        kept, _ = self.keep("what was kept before")
        self.redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        self.redis.ask("CONFIG", "SET", "maxmemory", "1mb")
        stop = threading.Event()
        results, threads = self.load(4, stop)
        time.sleep(self.pick(10, 1))
        # Memory forgets it, Redis has it: read from there though nothing can be written.
        for enabled in (False, None):
            self.gateway.admin("/admin/v1/features/caching", method="PUT", body={"enabled": enabled})
        again = self.ask("what was kept before")
        stop.set()
        for thread in threads:
            thread.join()
        self.judge(results)
        self.figures.equal("what was kept before", again.text, kept.text)
        self.figures.at_least("writes that were refused", self.counted(
            "penstock_cache_requests_total", level="redis", result="error"), 1)
        self.figures.equal("Redis is up", self.metric("penstock_redis_up"), 1)
        before = len(self.values())
        self.redis.ask("CONFIG", "SET", "maxmemory", "0")
        self.ask("when there is room again")
        wait_until(lambda: len(self.values()) > before, "it is written again", self.patience)
