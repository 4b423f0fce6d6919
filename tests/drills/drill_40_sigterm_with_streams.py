"""40: SIGTERM with 100 streams under way: all of them come to their end, then the program ends with 0.

P10: a restart loses no request. Who comes later is refused at the door, and finds the next instance.
"""

import json
import socket
import threading
import time

import signal

from drills.drill import CANARY, Drill, wait_until
from harness.penstock import DONE, LAST_CHUNK, STREAM_HEAD, chunk, delta

PIECES = 20


def refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # it came while the door fell shut: nothing was asked, knock again
        pass
    return False


class TheDrill(Drill):
    gateway_ends = True

    def config(self):
        config = super().config()
        config["listen"]["limits"] |= {"drain": self.pick("30s", "10s")}
        return config

    def settings(self):
        self.ended = threading.Event()
        return self.engine_behind(self.slow)

    def slow(self, call):
        """Half of the words, and the others only behind the signal, at an engine's pace."""
        request = call.request()
        call.send(STREAM_HEAD + chunk(delta(request.json["user"])))
        self.ended.wait(60)
        for i in range(PIECES):
            call.send(chunk(delta(f" word{i} {CANARY}")))
            time.sleep(self.pick(10.0, 0.4) / PIECES)
        call.send(chunk(delta(finish="stop")) + chunk(DONE) + LAST_CHUNK)

    def stream(self, i):
        """(the answer, when it ended)"""
        answer = self.ask(f"question {i}", stream=True, user=f"user-{i}")
        return answer, time.monotonic()

    def whole(self, i, answer):
        texts = [json.loads(event)["choices"][0]["delta"].get("content", "") for event in answer.events[:-1]]
        said = f"user-{i}" + "".join(f" word{n} {CANARY}" for n in range(PIECES))
        return answer.status == 200 and answer.events[-1] == "[DONE]" and "".join(texts) == said

    def fault(self):
        figures, count, signalled = self.figures, self.pick(100, 20), []

        def end():
            self.ill.wait_for(lambda e: len(e.calls) == count, "all streams are under way", limit=60)
            self.bystanders.rest()  # they would knock at a closed door from now on
            self.gateway.signal(signal.SIGTERM)
            signalled.append(time.monotonic())
            wait_until(lambda: refused(self.gateway.port), "nobody else comes in")
            figures.at_most("the door was closed after", time.monotonic() - signalled[0], 1.0, "s")
            self.ended.set()
        ender = threading.Thread(target=end)
        ender.start()
        results = self.many(count, self.stream)
        ender.join()
        figures.equal("streams that brought every word and [DONE]",
                      sum(self.whole(i, answer) for i, (answer, _) in enumerate(results)), count)
        figures.at_least("the first ended, after the signal", min(end for _, end in results) - signalled[0],
                         self.pick(9.0, 0.3), "s")
        self.gateway.wait(self.pick(30, 10))
        figures.at_most("the program ended, after the last stream",
                        time.monotonic() - max(end for _, end in results), 1.0, "s")
