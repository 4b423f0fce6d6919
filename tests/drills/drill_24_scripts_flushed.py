"""24: SCRIPT FLUSH under load: scripts are loaded again, and no decision is wrong.

P15: limits exact with Redis. Limits, leases and purges are scripts: each flush makes the next call of
each find nothing, and it is loaded and asked again.
"""

import threading
import time

from drills.drill import merged
from drills.levels import RedisDrill


class TheDrill(RedisDrill):
    def settings(self):
        self.most = self.pick(600, 60)
        return merged(super().settings(), {"limits": {"models": {"m": {"requests": f"{self.most}/h"}}}})

    def rehearse(self):
        """Little of it: what is used up here would be missing later."""
        self.up()
        self.redis.ask("SCRIPT", "FLUSH")
        self.many(3, lambda i: self.ask(f"rehearsal {i}"))

    def fault(self):
        self.up()
        left = int(self.ask("how much").headers["x-ratelimit-remaining-requests"])
        stop = threading.Event()

        def flush():
            while not stop.is_set():
                self.redis.ask("SCRIPT", "FLUSH")
                time.sleep(0.01)

        flusher = threading.Thread(target=flush, daemon=True)
        flusher.start()
        answers = [self.ask(f"question {i}") for i in range(left + 20)]
        done = self.gateway.admin("/admin/v1/cache/purge", method="POST", body={"model": "m"}).json
        stop.set()
        flusher.join()
        statuses = [answer.status for answer in answers]
        self.figures.between("admitted: what was left", statuses.count(200), left - 1, left + 1)
        self.figures.equal("answers that are neither 200 nor 429",
                           len(statuses) - statuses.count(200) - statuses.count(429), 0)
        self.figures.equal("a purge reached the other nodes", done["told"], True)
