"""4: an engine is stopped (SIGSTOP): it accepts and says nothing. 504 at the first-token time-out.

It goes on again (SIGCONT), and so does the service.
"""

from drills.drill import Drill
from harness.penstock import Process


class TheDrill(Drill):
    def settings(self):
        self.process = Process("engine", "--listen", "127.0.0.1:0", "--model", "m", "--first-token", "0s",
                               "--tokens-per-second", "0", "--slots", 1000, "--answer-bytes", 40)
        self._exit.callback(self.process.kill)
        self.url = self.process.wait_for(r"listening on (http://\S+)").group(1)
        self.limit = self.pick(5.0, 0.4)
        return self.behind(self, timeout={"first_token": f"{int(self.limit * 1000)}ms",
                                          "total": f"{int(self.limit * 1500)}ms"})

    def asked(self, count, text, stream):
        return self.many(count, lambda i: self.timed(lambda: self.ask(f"{text} {i}", stream=stream)))

    def fault(self):
        figures, count = self.figures, self.pick(100, 10)
        figures.equal("before: answered", sum(a.status == 200 for a, _ in self.asked(count, "before", True)), count)
        self.process.stop()
        try:
            for stream, limit in ((True, self.limit), (False, self.limit * 1.5)):
                kind = "streams" if stream else "plain"
                results = self.asked(count, f"stopped {kind}", stream)
                figures.equal(f"{kind}: 504, code engine_timeout", sum(
                    a.status == 504 and a.error["code"] == "engine_timeout" for a, _ in results), count)
                times = [seconds for _, seconds in results]
                figures.at_least(f"{kind}: the first 504 after", min(times), limit * 0.99, "s")
                figures.at_most(f"{kind}: the last 504 after", max(times), limit + 2.0, "s")
        finally:
            self.process.go_on()
        figures.equal("calls counted as timed out", self.outcomes("timeout"), 2 * count)
        figures.equal("afterwards: answered", sum(a.status == 200 for a, _ in self.asked(count, "after", True)), count)
