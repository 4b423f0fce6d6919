"""68: one question of two tenants: two engine calls.

P1: no byte of one tenant reaches another: not out of the cache, and not by one call for both.
"""

import threading

from drills.drill import Drill
from harness.keys import bearer, make_key
from harness.penstock import completion, plain


class TheDrill(Drill):
    def settings(self):
        self.store = f"sqlite:{self.folder}/penstock.db"
        self.numbers = iter(range(10 ** 9))
        self.lock = threading.Lock()
        return {**self.engine_behind(self.answer), "auth": {"mode": "keys"}}

    def answer(self, call):
        """No two answers are alike: whose is whose can be told."""
        while call.request():
            with self.lock:
                number = next(self.numbers)
            call.send(plain(completion(f"answer {number}")))

    def start(self, config):
        gateway = super().start(config)
        self.keys = {tenant: [make_key(self.store, tenant)[0] for _ in range(2)] for tenant in "ab"}
        self.bystanders.key = self.keys["a"][0]
        return gateway

    def fault(self):
        figures, count = self.figures, self.pick(200, 20)
        shared = crossed = 0
        for i in range(count):
            before = len(self.ill.calls)
            # All four at once: also those that would share one call under way.
            asked = [(tenant, key) for tenant in "ab" for key in self.keys[tenant]]
            answers = self.many(4, lambda n, i=i, asked=asked: self.ask(f"question {i}", headers=bearer(asked[n][1])))
            texts = {tenant: {answers[n].text for n in range(4) if asked[n][0] == tenant} for tenant in "ab"}
            crossed += bool(texts["a"] & texts["b"])
            shared += len(self.ill.calls) - before == 2
        figures.equal("questions with an answer that both tenants got", crossed, 0)
        figures.equal("questions that came to two calls, one a tenant", shared, count)
        hits = [self.ask(f"question {i}", headers=bearer(self.keys["b"][1])).cache for i in range(count)]
        figures.equal("kept for their own tenant", hits.count("hit"), count)
