"""10: one line of 10 MiB in a stream: capped with an error event, memory bounded.

P11: memory is bounded: an event may have 1 MiB, and no more of it is held.
"""

from drills.drill import CANARY, Drill, broken_off
from harness.penstock import DONE, LAST_CHUNK, STREAM_HEAD, chunk, delta

MIB = 1024 * 1024
LINE = 10 * MIB


def endless(call):
    call.request()
    call.send(STREAM_HEAD + chunk(delta(f"good {CANARY}")) + b"%x\r\ndata: {\"x\":\"" % LINE)
    for _ in range(LINE // 65536):
        call.send(b"x" * 65536)
    call.send(b"\r\n" + chunk(DONE) + LAST_CHUNK)


class TheDrill(Drill):
    def settings(self):
        return self.engine_behind(endless)

    def fault(self):
        figures, count = self.figures, self.pick(40, 5)
        before, answers = self.watch.memory(), []
        rounds = self.pick(20, 2)
        for _ in range(rounds):
            answers += self.many(count, lambda i: self.ask(f"question {i}", stream=True))
        figures.equal("good events passed, then an error event, no [DONE]",
                      sum(broken_off(a) and b"good " in a.body for a in answers), rounds * count)
        figures.at_most("bytes of it that came through", max(len(a.body) for a in answers), 64 * 1024, "B")
        figures.equal("calls to the engine: none kept", len(self.ill.calls), rounds * count)
        self.added_memory(f"memory at most added by each of {count} streams of 10 MiB", before, count, 3 * MIB)
