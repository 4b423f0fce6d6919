"""19: Redis is stopped for 30 s: 50 ms more at most, then it is away and nobody waits; no 5xx.

P6: Redis lost: at most 50 ms more, no 5xx. P15: limits without Redis are off by at most one lease.
"""

import time

from drills.drill import Drill, answering, merged, polite, wait_until
from harness.flood import Flood
from harness.redis_server import RedisServer

ROWS = 60_000


class TheDrill(Drill):
    patience = 40.0  # it is tried again up to 30 s later

    def settings(self):
        self.redis = RedisServer()
        self._exit.callback(self.redis.close)
        return merged(self.engine_behind(answering(polite)), {
            "limits": {"models": {"m": {"requests": "1000000/h"}}},
            "cache": {"redis": {"urls": [self.redis.url]}}})

    def rehearse(self):
        """Bounded memory fills up before it is compared: SQLite's page cache takes some ten thousand rows."""
        if not self.quick:
            rows = Flood(self.gateway.port, "models", 0, ROWS)
            self._exit.callback(rows.close)
            rows.wait()
            self.count_sent(ROWS)
        self.fault()

    def fault(self):
        figures, soon = self.figures, self.soon
        wait_until(lambda: self.metric("penstock_redis_up") == 1, "Redis is reached", self.patience)
        before = max(self.timed(lambda i=i: self.ask(f"before {i}"))[1] for i in range(20))
        begun = time.monotonic()
        lasts = self.pick(30, 1.5)
        self.redis.stop()
        answers = []
        while time.monotonic() < begun + lasts:
            answers.append(self.timed(lambda: self.ask(f"question {len(answers)}")))
        self.redis.go_on()
        times = sorted(seconds for _, seconds in answers)
        figures.equal("answers that are no 200", sum(answer.status != 200 for answer, _ in answers), 0)
        figures.at_most("the slowest answer", times[-1], 0.05 + soon + 2 * before, " s")
        figures.at_most("an answer in the middle", times[len(times) // 2], 0.02 + soon / 2, " s")
        figures.at_most("answers that waited for it", sum(seconds > 0.045 for seconds in times),
                        len(times) // 10 + 5)
        wait_until(lambda: self.metric("penstock_redis_up") == 1, "Redis is reached again", self.patience)
        figures.equal("an answer when it is back", self.ask("later").status, 200)
