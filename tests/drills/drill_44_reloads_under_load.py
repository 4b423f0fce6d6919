"""44: 100 reloads under load, each with other settings: no failed request, nothing leaks.

P10: a reload loses no request. Half of them by the signal, half by the admin API; streams that began
under one configuration end under another.
"""

import json
import pathlib
import signal
import threading
import time

from drills.drill import Drill, wait_until
from harness.penstock import answering, merged, polite


class TheDrill(Drill):
    def settings(self):
        return self.engine_behind(answering(polite))

    def variant(self, i):
        """Everything that a reload may change takes another value."""
        config = json.loads(json.dumps(self.gateway_config))
        for engine in config["engines"]:
            engine["timeout"] = {"total": f"{100 + i}s", "between_tokens": f"{30 + i % 7}s"}
            engine["headers"] = {"x-reload": str(i)}
        config["models"][0]["aliases"] = [f"alias-{i}"]
        return merged(config, {
            "listen": {"limits": {"body_bytes": f"{8 + i % 3}MiB", "write_stall": f"{20 + i % 9}s"}},
            "cache": {"ttl": {"default": f"{60 + i}s"}, "answers": ("all", "off", "safe")[i % 3]},
            "logging": {"level": ("debug", "info")[i % 2]}})

    def threads(self):
        return len(list(pathlib.Path(f"/proc/{self.gateway.process.pid}/task").iterdir()))

    def ask_on(self, stop, number):
        """(asked, failed) of one client, by turns plain and streamed, until it is told to stop."""
        asked = failed = 0
        with self.wire() as wire:
            while not stop.wait(0.01):
                stream = asked % 2 == 1
                answer = wire.post(self.question(f"client {number} question {asked % 20}", stream=stream)).answer()
                asked += 1
                failed += answer.status != 200 or (stream and answer.events[-1] != "[DONE]")
        return asked, failed

    def fault(self):
        figures, count, clients = self.figures, self.pick(100, 6), self.pick(8, 3)
        stop, results, threads = threading.Event(), [], self.threads()
        asking = [threading.Thread(target=lambda n=n: results.append(self.ask_on(stop, n))) for n in range(clients)]
        for thread in asking:
            thread.start()
        reached = wrong = 0
        try:
            for i in range(count):
                self.gateway.write(self.variant(i))
                done = self.counted("penstock_config_reloads_total", result="success")
                if i % 2:
                    wrong += self.gateway.admin("/admin/v1/reload", "POST").status != 200
                else:
                    self.gateway.signal(signal.SIGHUP)
                wait_until(lambda n=done: self.counted("penstock_config_reloads_total", result="success") == n + 1,
                           "it is reloaded")
                # In force at every worker, one of which answers.
                reached += bool(wait_until(lambda n=i: self.ask(f"reload {n}", model=f"alias-{n}").status == 200,
                                           "the new alias is known"))
        finally:
            stop.set()
            for thread in asking:
                thread.join()
        self.gateway.write(self.gateway_config)
        wrong += self.gateway.admin("/admin/v1/reload", "POST").status != 200
        figures.equal("reloads that failed", wrong, 0)
        figures.equal("reloads in force", reached, count)
        figures.equal(f"failed requests, of {sum(asked for asked, _ in results)} of {clients} clients",
                      sum(failed for _, failed in results), 0)
        # The last reload's note in the audit log has a thread while it is written.
        end = time.monotonic() + 5
        while self.threads() > threads and time.monotonic() < end:
            time.sleep(0.05)
        figures.equal(f"threads afterwards, before {threads}", self.threads(), threads)
