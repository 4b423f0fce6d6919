"""41: SIGTERM with streams that never end: each gets an error event at `drain`, the exit code is 0.

P10: a restart does not wait for ever, and what it cuts off cannot be taken for whole.
"""

import signal
import threading
import time

from drills.drill import CANARY, Drill, broken_off
from harness.penstock import STREAM_HEAD, chunk, delta


class TheDrill(Drill):
    gateway_ends = True

    def config(self):
        config = super().config()
        self.drain = self.pick(30.0, 0.6)
        config["listen"]["limits"] |= {"drain": f"{int(self.drain * 1000)}ms"}
        return config

    def settings(self):
        self.let_go = threading.Semaphore(0)
        return self.engine_behind(self.endless)

    def endless(self, call):
        request = call.request()
        if not request.json.get("stream"):
            call.gone()  # a plain answer that never comes
            return
        call.send(STREAM_HEAD)
        try:
            while True:
                call.send(chunk(delta(f"on {CANARY} ")))
                time.sleep(0.05)
        finally:
            self.let_go.release()

    def fault(self):
        figures, count, plain, signalled = self.figures, self.pick(100, 20), self.pick(20, 5), []

        def end():
            self.ill.wait_for(lambda e: len(e.calls) == count + plain, "all are under way", limit=60)
            self.bystanders.rest()
            self.gateway.signal(signal.SIGTERM)
            signalled.append(time.monotonic())
        ender = threading.Thread(target=end)
        ender.start()
        results = self.many(count + plain, lambda i: self.until_cut(f"question {i}", i < count))
        ender.join()
        streams, others = results[:count], results[count:]
        figures.equal("streams with an error event at their end, without [DONE]",
                      sum(broken_off(answer) for answer, _ in streams), count)
        figures.equal("plain questions: status", sorted({answer.status for answer, _ in others}), [503])
        ends = [end - signalled[0] for _, end in results]
        figures.at_least("the first was cut after", min(ends), self.drain * 0.99, "s")
        figures.at_most("the last was cut after", max(ends), self.drain + 1.0, "s")
        figures.equal("engine calls that were let go", sum(self.let_go.acquire(timeout=5) for _ in range(count)), count)
        self.gateway.wait(10)
        figures.at_most("the program ended after", time.monotonic() - signalled[0], self.drain + 2.0, "s")

    def until_cut(self, text, stream):
        """(the answer, when it ended)"""
        with self.wire() as wire:
            wire.socket.settimeout(self.drain + 20)
            answer = wire.post(self.question(text, stream=stream)).answer()
            return answer, time.monotonic()
