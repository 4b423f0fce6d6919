"""46: clients read a byte a second: the engine is held back, and they are cut at write_stall.

P11: memory is bounded; P12: one bad client slows the others' p99 by less than twice.
"""

import threading
import time

from drills.drill import CANARY, Drill, wait_until
from harness.penstock import STREAM_HEAD, chunk, delta

EVENT = chunk(delta(f"{CANARY} " + "z" * 60_000))
MOST = 200 * 1024 * 1024


class TheDrill(Drill):
    def config(self):
        config = super().config()
        self.limit = self.pick(30.0, 0.5)
        config["listen"]["limits"] |= {"write_stall": f"{int(self.limit * 1000)}ms"}
        # Of an answer that may be kept, so much is held, however slowly it is read.
        config["cache"] |= {"memory": {"max_entry": "1MiB"}}
        return config

    def settings(self):
        return self.engine_behind(self.pours)

    def pours(self, call):
        call.request()
        call.send(STREAM_HEAD)
        taken = 0
        try:
            while taken < MOST:
                call.send(EVENT)
                taken += len(EVENT)
                time.sleep(0.02)  # 3 MB/s: fast for an engine, and no burden for the machine
        finally:
            with self.lock:
                self.taken.append((taken, time.monotonic()))

    def slow_clients(self):
        self.lock, self.taken = threading.Lock(), []
        wires = [self.wire(receive_buffer=4096) for _ in range(self.pick(20, 5))]
        for i, wire in enumerate(wires):
            wire.post(self.question(f"question {i}", stream=True))
        return wires

    def read_slowly(self, wires, seconds):
        """Until all engines are let go: a byte a second, which is the fault itself."""
        end = time.monotonic() + seconds
        while len(self.taken) < len(wires) and time.monotonic() < end:
            for wire in wires:
                wire.socket.recv(1)
            time.sleep(self.pick(1.0, 0.1))

    def rehearse(self):
        wires = self.slow_clients()
        self.read_slowly(wires, self.pick(4.0, 1.0))  # they leave before they are cut
        for wire in wires:
            wire.socket.close()

    def fault(self):
        figures, memory, begun = self.figures, self.watch.memory(), time.monotonic()
        wires = self.slow_clients()
        count = len(wires)
        self.read_slowly(wires, self.limit * 3 + 20)
        figures.equal("engine calls that were ended", len(self.taken), count)
        figures.at_most("bytes that the gateway took from an engine", max(t for t, _ in self.taken), 16 << 20, "B")
        figures.at_least("the first was cut after", min(t for _, t in self.taken) - begun, self.limit * 0.9, "s")
        figures.at_most("the last was cut after", max(t for _, t in self.taken) - begun, self.limit * 2 + 2, "s")
        self.added_memory("memory at most added by each client", memory, count, 3 << 20)
        wait_until(lambda: self.outcomes("cancelled") == count, "they are counted")
        figures.equal("calls counted as cancelled", self.outcomes("cancelled"), count)
        for wire in wires:
            wire.socket.close()
