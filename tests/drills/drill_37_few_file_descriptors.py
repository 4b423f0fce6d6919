"""37: 64 file descriptors: accepting pauses without spinning, who waits is served later, it recovers.

Half of those that the program does not need for itself are for clients; more clients wait in the
system's backlog until others leave.
"""

import collections
import json
import time

from drills.drill import Drill, wait_until
from harness.penstock import Gateway, answering, polite

FILES = 64


class TheDrill(Drill):
    def start(self, config):
        return Gateway(config, self.folder, descriptors=FILES)

    def settings(self):
        # What the program needs for itself is the same for any number of clients; of 64 little is left.
        return {**self.engine_behind(answering(polite)), "listen": {"workers": 1}}

    def cpu(self):
        """Seconds of CPU that the program has used."""
        with open(f"/proc/{self.gateway.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def open(self):
        return self.metric("penstock_http_open_connections")

    def idle_cost(self):
        """CPU a second with good clients alone, against which a spin would stand out."""
        begin, used, seconds = time.monotonic(), self.cpu(), self.pick(5.0, 0.3)
        time.sleep(seconds)
        return (self.cpu() - used) / (time.monotonic() - begin)

    def request(self, i):
        body = json.dumps(self.question(f"question {i}")).encode()
        return (f"POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n").encode() + body

    def finish(self, wire, request):
        with wire:
            self.count_sent()
            return wire.send(request[-1:]).answer().status

    def fault(self):
        figures, count = self.figures, self.pick(400, 60)
        alone = self.idle_cost()
        accepted = self.counted("penstock_http_connections_total")
        asked = [self.request(i) for i in range(count)]
        wires = [self.wire() for _ in range(count)]  # the system takes them, whoever accepts
        for wire, request in zip(wires, asked):
            wire.send(request[:-1])
        full = [0, time.monotonic()]

        def settled():
            now = self.open()
            if now != full[0]:
                full[:] = [now, time.monotonic()]
            return time.monotonic() - full[1] > 0.3
        wait_until(settled, "it is full")
        let_in = full[0]
        full = self.idle_cost()
        figures.between("connections that were let in, good clients' too", let_in, 9, FILES // 2)
        figures.at_most(f"CPU while full, without {alone * 100:.0f} %", full * 100, alone * 100 + 10, "%")
        # Each leaves with its answer, and makes room for another.
        results = self.many(count, lambda i: self.finish(wires[i], asked[i]))
        figures.equal("answers to all of them", collections.Counter(results), {200: count})
        figures.equal("questions that reached the engine", len(self.ill.calls), count)
        figures.equal("connections accepted meanwhile",
                      self.counted("penstock_http_connections_total") - accepted, count)
        answer, seconds = self.timed(lambda: self.ask("after"))
        figures.equal("afterwards: status", answer.status, 200)
        figures.at_most("afterwards: answered within", seconds, 1.0, "s")
