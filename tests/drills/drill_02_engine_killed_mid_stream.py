"""2: an engine is killed after five chunks: error event, no [DONE], partial usage, not cached.

P3: a truncated stream never looks complete and is never cached. P5: no retry behind the first byte.
"""

from drills.drill import CANARY, Drill, broken_off
from harness.penstock import STREAM_HEAD, chunk, delta

CHUNKS = 5


def killed(call):
    call.request()
    call.send(STREAM_HEAD)
    for i in range(CHUNKS):
        usage = {"prompt_tokens": 7, "completion_tokens": i + 1, "total_tokens": 8 + i}
        call.send(chunk(delta(f"word{i} {CANARY} ", usage=usage)))
    call.close()  # what the kernel does for a process that is killed


class TheDrill(Drill):
    def settings(self):
        return self.engine_behind(killed)

    def fault(self):
        figures, count = self.figures, self.pick(200, 10)
        for times in (1, 2):  # the same questions again: nothing of the first time was kept
            answers = self.many(count, lambda i: self.ask(f"question {i}", stream=True))
            bodies = [answer.body.decode() for answer in answers]
            figures.equal("streams that brought all that came before it", sum(
                all(f"word{i} " in body for i in range(CHUNKS)) for body in bodies), count)
            figures.equal("streams with an error event at their end, without [DONE]",
                          sum(map(broken_off, answers)), count)
            figures.equal("calls to the engine: none retried, none kept", len(self.ill.calls), times * count)
        figures.equal("calls counted as broken", self.outcomes("protocol_error"), 2 * count)
        figures.equal("partial usage counted: output tokens",
                      self.counted("penstock_tokens_total", engine="m", type="output"), 2 * count * CHUNKS)
