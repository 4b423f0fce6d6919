"""What the drills of hostile JSON have in common: each body gets its 400, soon, and costs no memory.

A script names its bodies in `attacks`; a connection takes the next question after each of them,
because its framing was never in doubt.
"""

from drills.drill import CANARY, Drill
from harness.penstock import LIMIT, SANITIZED, answering, polite

PLAIN = '"messages":[{"role":"user","content":"' + CANARY + '"}]'


def with_value(value):
    """A question that is sound but for one member's value."""
    return '{"model":"m",' + PLAIN + f',"x":{value}}}'


class JsonAttack(Drill):
    at_once = 2       # clients that send the same
    longest = 1.0     # seconds for an answer

    def attacks(self):
        """{name: body}"""
        raise NotImplementedError

    def settings(self):
        self.bodies = {name: body if isinstance(body, bytes) else body.encode()
                       for name, body in self.attacks().items()}
        return self.engine_behind(answering(polite))

    def send(self, body):
        """(status, error's message, seconds) of each of `rounds` times on one connection."""
        with self.wire() as wire:
            answers = [self.timed(lambda: wire.post(body).answer()) for _ in range(self.pick(5, 1))]
        return [(answer.status, answer.error["message"], seconds) for answer, seconds in answers]

    def fault(self):
        figures, slowest, messages = self.figures, 0.0, ""
        largest = max(map(len, self.bodies.values()))
        before = self.watch.memory()
        for name, body in self.bodies.items():
            results = sum(self.many(self.at_once, lambda _, b=body: self.send(b)), [])
            figures.equal(f"{name}: status", sorted({status for status, _, _ in results}), [400])
            slowest = max(slowest, *(seconds for _, _, seconds in results))
            messages += "".join(message for _, message, _ in results)
        figures.at_most("the slowest 400", slowest, LIMIT if SANITIZED else self.longest, "s")
        figures.equal("questions that reached the engine", len(self.ill.calls), 0)
        figures.equal("texts of questions in the messages", CANARY in messages, False)
        # Each holds its body, and what it takes to read it: the places of its tokens, its names.
        self.added_memory(f"memory at most added, {self.at_once} bodies of {largest / 2**20:.1f} MiB", before, 1,
                          self.at_once * (3 * largest + 2**22))
