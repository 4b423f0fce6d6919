"""23: Redis is loading its data: it is away, and no client sees an error.

P6: Redis lost: at most 50 ms more, no 5xx. It is restarted with a file that it takes its time for.
"""

import threading
import time

from drills.drill import wait_until
from drills.levels import RedisDrill
from harness.redis_server import RedisServer


class TheDrill(RedisDrill):
    def redis_settings(self):
        self.redis = RedisServer("--enable-debug-command", "yes", "--appendonly", "yes",
                                 "--key-load-delay", "100", "--loading-process-events-interval-bytes", "1024")
        self._exit.callback(self.redis.close)
        return {"urls": [self.redis.url]}

    def fault(self):
        self.up()
        self.redis.ask("DEBUG", "POPULATE", str(self.pick(60_000, 15_000)), "filler", "64")
        self.redis.ask("BGREWRITEAOF")
        wait_until(lambda: b"aof_rewrite_in_progress:0" in self.redis.ask("INFO", "persistence")
                   and b"aof_rewrite_scheduled:0" in self.redis.ask("INFO", "persistence"), "the file is written", 60)
        stop = threading.Event()
        results, threads = self.load(4, stop)
        time.sleep(0.2)
        self.redis.kill()
        self.redis.start()
        loading = 0
        end = time.monotonic() + self.pick(8, 1.5)
        while time.monotonic() < end:
            try:
                loading += b"loading:1" in self.redis.ask("INFO", "persistence")
            except (OSError, AssertionError):
                pass
            time.sleep(0.05)
        stop.set()
        for thread in threads:
            thread.join()
        self.judge(results)
        self.figures.at_least("looks that found it loading", loading, 1)
        wait_until(lambda: self.metric("penstock_redis_up") == 1, "Redis is reached again", self.patience)
        self.redis.ask("FLUSHALL")
