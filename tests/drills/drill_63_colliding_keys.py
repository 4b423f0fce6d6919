"""63: member names that collide in common hash functions: the time to read them grows as their number.

Names of one object are compared to find those that stand twice. A table of hashes would make of n
colliding names n squared comparisons. P11.
"""

import itertools
import struct

from drills.drill import Drill
from harness.penstock import answering, polite

WORD = (1 << 64) - 1
MURMUR = 0xc6a4a7935bd1e995  # the multiplier of libstdc++'s std::hash over text
INVERSE = pow(MURMUR, -1, 1 << 64)


def mixed(word):
    word = word * MURMUR & WORD
    word ^= word >> 47
    return word * MURMUR & WORD


def unmixed(word):
    word = word * INVERSE & WORD
    word ^= word >> 47
    return word * INVERSE & WORD


def printable(word):
    text = struct.pack("<Q", word)
    return text if all(0x20 <= byte < 0x7f and byte not in b'"\\' for byte in text) else None


def of_std_hash(count):
    """Names of one length that libstdc++'s std::hash takes for one: each place has some pairs of words
    behind which its state is the same."""
    places, choices, letters = 4, 18, itertools.product(range(0x30, 0x7b), repeat=8)
    state = 0xc70f6907 ^ (places * 16 * MURMUR & WORD)
    table = []
    for _ in range(places):
        target, pairs = None, []
        for guess in letters:
            if 0x5c in guess:
                continue
            first = bytes(guess[::-1])
            middle = (state ^ mixed(struct.unpack("<Q", first)[0])) * MURMUR & WORD
            if target is None:
                target = (middle ^ mixed(struct.unpack("<Q", b"penstock")[0])) * MURMUR & WORD
            second = printable(unmixed(middle ^ (target * INVERSE & WORD)))
            if second:
                pairs.append((first + second).decode())
            if len(pairs) == choices:
                break
        state = target
        table.append(pairs)
    return ["".join(parts) for parts in itertools.islice(itertools.product(*table), count)]


def of_pairs(pair, count):
    """Names of two words of one hash, in every order: 31 and 33 are the multipliers of Java, PHP, Python 2 ..."""
    return ["".join(parts) for parts in itertools.islice(itertools.product(pair, repeat=17), count)]


class TheDrill(Drill):
    def settings(self):
        self.most = self.pick(96_000, 32_000)
        self.families = {
            "ordinary names": [f"name-{i * 7919 % self.most:017}" for i in range(self.most)],
            "times 31, as Java": of_pairs(("Aa", "BB"), self.most),
            "times 33, as djb2": of_pairs(("Ez", "FY"), self.most),
            "libstdc++'s std::hash": of_std_hash(self.most),
            "one long beginning": [f"{'x' * 80}{i:06}" for i in range(self.most)],
            "descending": [f"{self.most - i:020}" for i in range(self.most)],
        }
        return self.engine_behind(answering(polite))

    def seconds(self, names):
        """The best of some times for an object of these names; the last is there twice, so that all were read."""
        body = ('{"model":"m","messages":[{"role":"user","content":"x"}],"x":{'
                + ",".join(f'"{name}":0' for name in [*names, names[-1]]) + "}}").encode()
        best = float("inf")
        with self.wire() as wire:
            for _ in range(self.pick(9, 3)):
                answer, took = self.timed(lambda: wire.post(body).answer())
                if answer.status != 400 or answer.error["code"] != "duplicate_member":
                    raise AssertionError(f"not all were read: {answer}")
                best = min(best, took)
        return best

    def rehearse(self):
        for names in self.families.values():
            self.seconds(names)

    def fault(self):
        figures, usual = self.figures, None
        for name, names in self.families.items():
            whole = self.seconds(names)
            usual = usual or whole
            figures.at_most(f"{name}: time for {self.most} names ({whole * 1000:.1f} ms), of that for ordinary ones",
                            whole / usual, 6.0, "times")
            if not self.quick:  # of fewer names, a busy machine is most of the time
                quarter, half = (self.seconds(names[:self.most // part]) for part in (4, 2))
                # n log n, and a byte's cost for a byte: a little over 4. n squared: 16.
                figures.at_most(f"{name}: of that for a quarter ({quarter * 1000:.1f} ms, half {half * 1000:.1f} ms)",
                                whole / quarter, 8.0, "times")
        figures.equal("questions that reached the engine", len(self.ill.calls), 0)
