"""65: a million models, paths and header fields that nobody knows: not a series more, no memory beyond bounds.

P11: memory is bounded by configuration. Labels come from the configuration alone; what a client says
is counted as `other`. Answers to questions that differ are kept, within the cache's size.
"""

from drills.drill import Drill
from harness.flood import Flood
from harness.penstock import SANITIZED

MIB = 1 << 20
CACHE = 8 * MIB  # bytes


class TheDrill(Drill):
    def config(self):
        config = super().config()
        config["cache"] |= {"memory": {"size": f"{CACHE // MIB}MiB"}}
        config["logging"] |= {"access": "none"}  # a line for each of millions is another drill's matter
        return config

    def settings(self):
        return {"engines": [{"name": "simulated", "kind": "simulated",
                             "simulated": {"first_token": "0s", "first_token_sigma": 0, "tokens_per_second": 1000000,
                                           "tokens": 1, "slots": 1000}}],
                "models": [{"name": "simulated", "engines": ["simulated"]}]}

    def series(self):
        lines = self.gateway.admin("/metrics").body.decode().splitlines()
        return len([line for line in lines if line and not line.startswith("#")])

    def flood(self, kind, begin, count):
        """{status: how often}, seconds; from two processes."""
        floods = [Flood(self.gateway.port, kind, begin + half * count // 2, count // 2) for half in (0, 1)]
        for flood in floods:
            self._exit.callback(flood.close)
        reports = [flood.wait() for flood in floods]
        self.count_sent(count)
        statuses = {}
        for report in reports:
            for status, times in report["statuses"].items():
                statuses[status] = statuses.get(status, 0) + times
        return statuses, max(report["seconds"] for report in reports)

    def rehearse(self):
        for kind in ("models", "paths", "headers"):  # afterwards the cache is full, and the usage store's too
            self.flood(kind, 10_000_000, self.pick(40_000, 20_000))

    def fault(self):
        figures, count = self.figures, self.pick(1_000_000, 2_000)
        memory, series, known = self.watch.memory(), self.series(), self.metric("penstock_metrics_series")
        expectations = {
            "models": {"404": count},
            # Inside of the API a model is missing, where the method may pass at all.
            "paths": {"404": count // 2, "400": count // 4, "405": count // 4},
            "headers": {"200": count},
        }
        for kind, expected in expectations.items():
            self.watch.forget()
            statuses, seconds = self.flood(kind, 0, count)
            figures.equal(f"{kind}: answers, after {seconds:.1f} s", statuses, expected)
            figures.equal(f"{kind}: lines of /metrics, before {series}", self.series(), series)
            if not SANITIZED:
                figures.at_most(f"{kind}: memory at most, before {memory / MIB:.1f} MiB", self.watch.most_memory(),
                                memory + CACHE + 4 * MIB, "B")
        figures.equal("series, as the program counts them", self.metric("penstock_metrics_series"), known)
        figures.at_most("what the cache uses", self.metric("penstock_cache_used_bytes"), CACHE, "B")
        figures.equal("models that are labels", sorted({
            dict(labels)["model"] for _, labels in self.gateway.metrics() if "model" in dict(labels)}),
            ["bystander", "simulated"])
