"""18: Redis is killed under load: no answer fails, limits go on with what was left, and come back.

P6: Redis lost: at most 50 ms more, no 5xx. P15: limits exact with Redis; without, off by at most one
lease a node.
"""

from drills.drill import Drill, answering, merged, polite, wait_until
from harness.redis_server import RedisServer

BEFORE = 20


class TheDrill(Drill):
    def settings(self):
        self.redis = RedisServer()
        self._exit.callback(self.redis.close)
        self.most = self.pick(1000, 100)
        return merged(self.engine_behind(answering(polite)), {
            "limits": {"models": {"m": {"requests": f"{self.most}/h"}}},
            "cache": {"redis": {"urls": [self.redis.url]}}})

    def left(self):
        """What a request is told that is left behind it; 0 where it is refused."""
        return int(self.ask("how much").headers["x-ratelimit-remaining-requests"])

    def rehearse(self):
        """Little of it: what is used up here would be missing later."""
        for kill in (True, False):
            wait_until(lambda: self.metric("penstock_redis_up") == 1, "Redis is reached")
            self.many(5, lambda i: self.ask(f"rehearsal {i}"))
            if kill:
                self.redis.kill()
                self.many(5, lambda i: self.ask(f"without {i}"))
                self.redis.start()

    def fault(self):
        figures = self.figures
        wait_until(lambda: self.metric("penstock_redis_up") == 1, "Redis is reached")
        left = self.left()
        figures.at_least("left at the beginning", left, self.most - 20)
        before = [self.timed(lambda i=i: self.ask(f"before {i}")) for i in range(BEFORE)]
        figures.equal("answers before, with Redis", sum(a.status == 200 for a, _ in before), BEFORE)

        self.redis.kill()
        answers = [self.timed(lambda i=i: self.ask(f"after {i}")) for i in range(left + BEFORE)]
        statuses = [answer.status for answer, _ in answers]
        figures.between("admitted without Redis: what was left", statuses.count(200),
                        left - BEFORE - 1, left - BEFORE + 1)
        figures.equal("answers that are neither 200 nor 429", len(statuses) - statuses.count(200)
                      - statuses.count(429), 0)
        # A busy machine is slow with Redis too.
        figures.at_most("the slowest answer", max(seconds for _, seconds in answers),
                        0.05 + self.soon + 2 * max(seconds for _, seconds in before), " s")

        self.redis.start()
        wait_until(lambda: self.metric("penstock_redis_up") == 1, "Redis is reached again")
        figures.equal("left where all was used, when Redis is back", self.left(), 0)
