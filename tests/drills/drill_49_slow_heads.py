"""49: slowloris: 5,000 connections that send a head byte by byte: each cut at first_header, 10 s.

P12: one bad client slows the others' p99 by less than twice.
"""

from drills.drill import Drill
from harness.penstock import answering, polite
from harness.slow_heads import SlowHeads


class TheDrill(Drill):
    def config(self):
        config = super().config()
        self.limit = self.pick(10.0, 0.4)
        config["listen"]["limits"] |= {"first_header": f"{int(self.limit * 1000)}ms"}
        return config

    def settings(self):
        return self.engine_behind(answering(polite))

    def attack(self, seconds):
        slow = SlowHeads(self.gateway.port, self.pick(5000, 200), self.limit * 0.8, seconds)
        self._exit.callback(slow.close)
        report = slow.wait()
        self.count_sent(report["cut"])
        return report

    def rehearse(self):
        self.alone = self.watch.memory()
        self.attack(0)

    def fault(self):
        figures = self.figures
        report = self.attack(self.limit * 3)
        figures.equal("connections open at once", report["peak"], self.pick(5000, 200))
        figures.at_least("connections cut with 408", report["cut"], 3 * report["peak"])
        figures.equal("connections that ended otherwise", report["others"][:3], [])
        figures.at_least("the first was cut after", report["first"], self.limit * 0.95, "s")
        figures.at_most("the last was cut after", report["last"], self.limit + 3.0, "s")
        self.added_memory("memory at most added by each connection", self.alone, report["peak"],
                          self.pick(8, 64) << 10)
        figures.equal("requests counted as 408", self.counted("penstock_http_requests_total", code="408"),
                      report["cut"])
