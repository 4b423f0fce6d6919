"""6: an engine stalls in the middle of a stream: error event at between_tokens, no [DONE], not cached.

P3: a truncated stream never looks complete and is never cached.
"""

from drills.drill import CANARY, Drill, broken_off
from harness.penstock import STREAM_HEAD, chunk, delta


def stalls(call):
    call.request()
    call.send(STREAM_HEAD + chunk(delta(f"one {CANARY}")))
    call.gone()  # silent, until the gateway lets go


class TheDrill(Drill):
    def settings(self):
        self.limit = self.pick(5.0, 0.4)
        return self.engine_behind(stalls, timeout={"between_tokens": f"{int(self.limit * 1000)}ms"})

    def fault(self):
        figures, count = self.figures, self.pick(200, 10)
        results = self.many(count, lambda i: self.timed(lambda: self.ask(f"question {i}", stream=True)))
        answers = [answer for answer, _ in results]
        figures.equal("streams that brought what came before it", sum(
            b"one " in answer.body for answer in answers), count)
        figures.equal("streams with an error event at their end, without [DONE]",
                      sum(map(broken_off, answers)), count)
        times = [seconds for _, seconds in results]
        figures.at_least("the first was told after", min(times), self.limit * 0.99, "s")
        # All begin at once, from threads of one script: the last may begin late.
        figures.at_most("the last was told after", max(times), self.limit + 2.0, "s")
        figures.equal("calls counted as timed out", self.outcomes("timeout"), count)
        self.ask("question 0", stream=True)
        figures.equal("calls to the engine, with one question again", len(self.ill.calls), count + 1)
