"""17: an engine sends bytes behind its answer: they never reach the next client.

P1: no byte of one request reaches another. The extra bytes are a whole answer, so that whoever took
the connection again would believe it. They come in one packet with the answer, or while the connection
is idle; once the next question is on its way, nobody could tell them from its answer.
"""

import json
import threading

from drills.drill import Drill
from harness.penstock import DONE, completion, delta, plain, stream

POISON = plain(completion("poison"))


class TheDrill(Drill):
    def settings(self):
        self.late, self.sent_late = False, threading.Semaphore(0)
        return self.engine_behind(self.generous)

    def generous(self, call):
        while request := call.request():
            text = request.json["messages"][0]["content"]
            good = (stream(delta(text), delta(finish="stop"), DONE) if request.json.get("stream")
                    else plain(completion(text)))
            if self.late:
                call.send(good)
                self.answered.acquire(timeout=20)  # the client has it: the connection is idle
                call.send(POISON)
                self.sent_late.release()
            else:
                call.send(good + POISON)

    def wrong(self, text, stream):
        """1 if the answer is not the one to this question."""
        answer = self.ask(text, stream=stream)
        said = json.loads(answer.events[0])["choices"][0]["delta"]["content"] if stream else answer.text
        return f"turn {self.turn}: {text} " not in said or b"poison" in answer.body

    def fault(self):
        figures, clients, rounds, idle = self.figures, self.pick(50, 8), self.pick(40, 4), self.pick(200, 10)
        self.late = False
        wrong = self.many(clients, lambda number: sum(
            self.wrong(f"client {number} round {i}", i % 2 == 0) for i in range(rounds)))
        figures.equal("in one packet: answers that are another's", sum(wrong), 0)
        figures.equal("in one packet: calls to the engine", len(self.ill.calls), clients * rounds)
        self.late, self.answered = True, threading.Semaphore(0)
        wrong = 0
        for i in range(idle):
            wrong += self.wrong(f"idle {i}", i % 2 == 0)
            self.answered.release()
            self.sent_late.acquire(timeout=20)
        figures.equal("while idle: answers that are another's", wrong, 0)
        figures.equal("while idle: calls to the engine", len(self.ill.calls) - clients * rounds, idle)
        figures.equal("calls counted as good", self.outcomes("success"), clients * rounds + idle)
