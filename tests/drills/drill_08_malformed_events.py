"""8: an engine's stream has malformed events: error event, no [DONE], not cached.

P3: a truncated stream never looks complete and is never cached.
"""

from drills.drill import CANARY, Drill, broken_off
from harness.penstock import DONE, LAST_CHUNK, STREAM_HEAD, chunk, delta

BAD = {
    "broken JSON": b'data: {"choices":[{"index":0,"delta":{"content":"x\n\n',
    "no JSON": b"data: <html>busy</html>\n\n",
    "an array": b"data: [1,2]\n\n",
    "a number": b"data: 7\n\n",
    "text behind the object": b'data: {"choices":[]} trailing\n\n',
    "not UTF-8": b'data: {"choices":[{"index":0,"delta":{"content":"\xff\xfe"}}]}\n\n',
    "a NUL": b'data: {"choices":[{"index":0,"delta":{"content":"\x00"}}]}\n\n',
    "choices that are no array": b'data: {"choices":{"index":0}}\n\n',
}


def malformed(call):
    while request := call.request():
        name = request.json["messages"][0]["content"].split("<")[1].split(">")[0]
        call.send(STREAM_HEAD + chunk(delta(f"good {CANARY}")) + chunk(BAD[name]) +
                  chunk(delta(finish="stop")) + chunk(DONE) + LAST_CHUNK)


class TheDrill(Drill):
    def settings(self):
        return self.engine_behind(malformed)

    def fault(self):
        figures, count = self.figures, self.pick(25, 2)
        for name in BAD:
            before = len(self.ill.calls)
            for _ in (1, 2):
                answers = self.many(count, lambda i: self.ask(f"<{name}> {i}", stream=True))
                told = sum(broken_off(a) and b"good " in a.body for a in answers)
                figures.equal(f"{name}: good events passed, then an error event, no [DONE]", told, count)
            figures.equal(f"{name}: calls to the engine, none kept", len(self.ill.calls) - before, 2 * count)
        figures.equal("calls counted as broken", self.outcomes("protocol_error"), 2 * count * len(BAD))
