"""9: chunks and packets are split inside of UTF-8 sequences: byte-identical output, from the cache too."""

from drills.drill import CANARY, Drill
from harness.penstock import DONE, LAST_CHUNK, STREAM_HEAD, chunk, delta

EVENTS = b"".join([delta(f"Grüße, 世界 😀 {CANARY}"), delta('"\\\n\u2028 e\u0301 👩‍👩‍👧'), delta(finish="stop"), DONE])
# Not escaped, as most engines write it: the bytes themselves are cut.
WHOLE = EVENTS.decode().encode().replace(b"\\u00fc", "ü".encode()).replace(b"\\u4e16\\u754c", "世界".encode()) \
    .replace(b"\\ud83d\\ude00", "😀".encode())


def cut(call):
    """In chunks of one byte, two, three ... by turns."""
    while call.request():
        size = 1 + len(call.engine.calls) % 7
        call.send(STREAM_HEAD + b"".join(chunk(WHOLE[i:i + size]) for i in range(0, len(WHOLE), size)) + LAST_CHUNK)


class TheDrill(Drill):
    def settings(self):
        self.ill = self.engine(cut)
        self.link = self.proxy(self.ill.port)
        # Packets of a few bytes, on top of it.
        self.link.downstream.set(slicer=40, slicer_variation=39, slicer_delay=self.pick(0.002, 0.0002))
        return self.behind(self.link)

    def fault(self):
        figures, count = self.figures, self.pick(100, 10)
        for kind in ("from the engine", "from the cache"):
            answers = self.many(count, lambda i: self.ask(
                f"question {i}", stream=True, stream_options={"include_usage": True}))
            figures.equal(f"{kind}: byte-identical, of {len(WHOLE)} bytes", sum(a.body == WHOLE for a in answers), count)
            figures.equal(f"{kind}: hits", sum(a.cache == "hit" for a in answers), 0 if "engine" in kind else count)
        figures.equal("calls to the engine", len(self.ill.calls), count)
