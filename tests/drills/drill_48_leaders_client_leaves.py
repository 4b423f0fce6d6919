"""48: the client whose question leads leaves: those who asked the same get their answer, of one engine call.

Plain, and in the middle of a stream; by an end and by a reset.
"""

import threading

from drills.drill import CANARY, Drill, wait_until
from harness.penstock import DONE, LAST_CHUNK, STREAM_HEAD, chunk, completion, delta, plain

WORDS = f"the one answer {CANARY}"


class TheDrill(Drill):
    def settings(self):
        self.go_on = {}
        return self.engine_behind(self.waits)

    def waits(self, call):
        while request := call.request():
            if request.json.get("stream"):
                call.send(STREAM_HEAD + chunk(delta("first ")))
            if not self.go_on[request.json["messages"][0]["content"]].wait(60):
                return
            if request.json.get("stream"):
                call.send(chunk(delta(WORDS)) + chunk(delta(finish="stop")) + chunk(DONE) + LAST_CHUNK)
            else:
                call.send(plain(completion(WORDS)))

    def in_flight(self):
        return self.metric("penstock_http_requests_in_flight")

    def round(self, text, stream, reset, followers):
        """Those of the followers who got all of it, and said that they shared it."""
        body = self.question(text, stream=stream)
        go = self.go_on[body["messages"][0]["content"]] = threading.Event()
        calls, left = len(self.ill.calls), self.counted("penstock_http_requests_total", code="499")
        leader = self.wire().post(body)
        self.ill.wait_for(lambda e: len(e.calls) > calls, "the leader's call")
        wires = [self.wire().post(body) for _ in range(followers)]
        # Good clients are under way beside them, a few at a time.
        wait_until(lambda: self.in_flight() > followers, "all are under way")
        if stream:
            for wire in [leader, *wires]:
                wire.until(b"first ")
        leader.reset() if reset else leader.socket.close()
        wait_until(lambda: self.counted("penstock_http_requests_total", code="499") > left, "the leader's end is seen")
        go.set()
        whole = 0
        for wire in wires:
            with wire:
                if stream:
                    rest = wire.until(b"\r\n0\r\n\r\n")
                    whole += WORDS.encode() in rest and b"data: [DONE]" in rest and b'"error"' not in rest
                else:
                    answer = wire.answer()
                    whole += answer.status == 200 and answer.text == WORDS and answer.cache == "coalesced"
        return whole

    def fault(self):
        figures, rounds, followers = self.figures, self.pick(25, 1), self.pick(40, 8)
        for stream in (False, True):
            for reset in (False, True):
                what = f"{'streamed' if stream else 'plain'}, leader {'reset' if reset else 'closed'}"
                before = len(self.ill.calls)
                whole = sum(self.round(f"{what} {i}", stream, reset, followers) for i in range(rounds))
                figures.equal(f"{what}: followers with the whole answer", whole, rounds * followers)
                figures.equal(f"{what}: engine calls", len(self.ill.calls) - before, rounds)
        figures.equal("calls counted as good", self.outcomes("success"), 4 * rounds)
        figures.equal("calls counted as cancelled", self.outcomes("cancelled"), 0)
