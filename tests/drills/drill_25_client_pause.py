"""25: CLIENT PAUSE WRITE: writes are not answered, as when Redis hangs; nobody waits long, no 5xx.

P6: Redis lost: at most 50 ms more, no 5xx.
"""

import threading
import time

from drills.drill import wait_until
from drills.levels import RedisDrill


class TheDrill(RedisDrill):
    def fault(self):
        self.up()
        before = max(self.timed(lambda i=i: self.ask(f"before {i}"))[1] for i in range(20))
        lasts = self.pick(20, 1.5)
        self.redis.ask("CLIENT", "PAUSE", str(int(lasts * 1000)), "WRITE")
        stop = threading.Event()
        results, threads = self.load(4, stop)
        time.sleep(lasts)
        stop.set()
        for thread in threads:
            thread.join()
        self.redis.ask("CLIENT", "UNPAUSE")
        self.judge(results)
        self.figures.at_most("the slowest answer", max(seconds for _, _, seconds in results),
                             0.1 + self.soon + 2 * before, "s")
        wait_until(lambda: self.metric("penstock_redis_up") == 1, "Redis is reached again", self.patience)
        self.figures.equal("an answer when it is back", self.ask("later").status, 200)
