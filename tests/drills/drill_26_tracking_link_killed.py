"""26: the connections that tell of changes are killed: nothing is given that was changed meanwhile.

P7: no stale answer after an invalidation was lost. Each round kills all connections to Redis, takes the
value away before they are back, and asks: the old answer would come out of memory.
"""

from drills.levels import RedisDrill


class TheDrill(RedisDrill):
    def fault(self):
        self.up()
        stale, rounds = 0, self.pick(60, 8)
        for i in range(rounds):
            text = f"question {i}"
            answer, value = self.keep(text)
            self.ask(text)
            self.redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            self.redis.ask("DEL", value)
            stale += self.ask(text).text == answer.text
        self.figures.equal("old answers, of rounds", stale, 0)
        self.figures.at_least("rounds", rounds, 8)
