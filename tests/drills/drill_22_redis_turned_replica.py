"""22: Redis has become a replica: it is left, nobody sees an error, and it is used again when it is a master.

P6: Redis lost: at most 50 ms more, no 5xx. A replica answers READONLY to whoever writes.
"""

import threading
import time

from drills.drill import wait_until
from drills.levels import RedisDrill
from harness.redis_server import RedisServer


class TheDrill(RedisDrill):
    def fault(self):
        self.up()
        other = RedisServer()
        self._exit.callback(other.close)
        stop = threading.Event()
        results, threads = self.load(4, stop)
        self.redis.ask("REPLICAOF", "127.0.0.1", str(other.port))
        there = len(self.values())
        time.sleep(self.pick(10, 1.5))
        # Its master has none: they go when it has taken over that one's data.
        self.figures.at_most("values in the replica", len(self.values()), there)
        self.redis.ask("REPLICAOF", "NO", "ONE")
        wait_until(lambda: self.values(), "it is written again", self.patience)
        stop.set()
        for thread in threads:
            thread.join()
        self.judge(results)
        self.figures.equal("Redis is up", self.metric("penstock_redis_up"), 1)
