"""67: SQL in a key: 401, flat timing.

Whatever stands in a credential is compared by its digest and bound as a value: it is nobody's key, it
changes nothing, and how long the refusal takes tells nothing of the keys that there are.
"""

import statistics
import time

from drills.drill import Drill
from harness.keys import bearer, make_key
from harness.penstock import polite, question, answering

TRIES = (
    "' OR '1'='1", "' OR 1=1 --", "'; DROP TABLE api_keys; --", "') UNION SELECT digest FROM api_keys --",
    "pk_' OR ''='", "\\'; --", "$1", "%", "_", "pk_%", "{\"$ne\":null}", "admin'--", "1; SELECT pg_sleep(5)",
)


class TheDrill(Drill):
    def settings(self):
        self.store = f"sqlite:{self.folder}/penstock.db"
        return {**self.engine_behind(answering(polite)), "auth": {"mode": "keys"}}

    def start(self, config):
        gateway = super().start(config)
        self.key, _ = make_key(self.store, "acme")
        self.bystanders.key = self.key
        return gateway

    def fault(self):
        figures = self.figures
        statuses, slowest = [], 0.0
        for sql in TRIES:
            for headers in ({"authorization": f"Bearer {sql}"}, {"api-key": sql}, {"x-api-key": sql}):
                answer, seconds = self.timed(lambda: self.ask(sql, headers=headers))
                statuses.append(answer.status)
                slowest = max(slowest, seconds)
        figures.equal("refused with 401", statuses.count(401), len(statuses))
        figures.at_most("the slowest refusal", slowest, 1.0, "s")

        good = self.key
        tries = {"SQL": TRIES[0], "shaped like a key": "pk_" + "0" * 49, "near a real one": good[:-6] + "000000",
                 "a real one from its fourth character on": "pk_x" + good[4:]}
        times = {name: [] for name in tries}
        with self.wire() as wire:
            for _ in range(self.pick(2000, 200)):
                for name, key in tries.items():
                    begun = time.perf_counter()
                    wire.post(question(), headers=[f"Authorization: Bearer {key}"])
                    wire.answer()
                    times[name].append(time.perf_counter() - begun)
        medians = {name: statistics.median(values) for name, values in times.items()}
        for name, value in medians.items():
            figures.note(f"time to refuse, {name}", f"{value * 1e6:.0f} us")
        figures.at_most("the slowest kind of the fastest", max(medians.values()) / min(medians.values()), 1.5, "x")
        answer = self.ask("still there?", headers=bearer(good))
        figures.equal("the good key afterwards", answer.status, 200)
