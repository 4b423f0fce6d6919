"""11: a stream ends in order, but without its [DONE]: marked truncated by an error event, not cached.

P3: a truncated stream never looks complete and is never cached.
"""

from drills.drill import CANARY, Drill, broken_off
from harness.penstock import LAST_CHUNK, STREAM_HEAD, chunk, delta

WORDS = delta(f"all of it {CANARY}") + delta(finish="stop")
CLOSED = STREAM_HEAD.replace(b"Transfer-Encoding: chunked", b"Connection: close")


def ends(call):
    """By turns: in chunks that end in order, or with the connection."""
    while call.request():
        if call.engine.connections % 2:
            call.send(STREAM_HEAD + chunk(WORDS) + LAST_CHUNK)
        else:
            call.send(CLOSED + WORDS)
            return


class TheDrill(Drill):
    def settings(self):
        return self.engine_behind(ends)

    def fault(self):
        figures, count = self.figures, self.pick(200, 10)
        for times in (1, 2):
            answers = self.many(count, lambda i: self.ask(f"question {i}", stream=True))
            figures.equal("streams that brought all words", sum(b"all of it" in a.body for a in answers), count)
            figures.equal("streams with an error event at their end, without [DONE]",
                          sum(map(broken_off, answers)), count)
            figures.equal("calls to the engine: none kept", len(self.ill.calls), times * count)
        figures.equal("calls counted as broken", self.outcomes("protocol_error"), 2 * count)
        # A plain question that the engine answers with such a stream must not become a whole answer.
        figures.equal("plain questions: status", sorted({a.status for a in self.many(
            count, lambda i: self.ask(f"plain {i}"))}), [502])
