"""27: a value is changed while it is being read: the old one is not kept.

P7: no stale answer after an invalidation was lost. A proxy holds Redis's reply back until the value is
gone; reply and invalidation then come together. Whoever asked, plainly or for a stream, gets what was there; the
next one asks anew.
"""

import threading
import time

from drills.drill import merged, wait_until
from drills.levels import RedisDrill


class TheDrill(RedisDrill):
    def redis_settings(self):
        found = super().redis_settings()
        self.link = self.proxy(self.redis.port)
        return merged(found, {"urls": [f"redis://127.0.0.1:{self.link.port}"], "timeout": "2s"})

    def fault(self):
        self.up()
        rounds, kept_old, read_old = self.pick(20, 3), 0, 0
        for i in range(rounds):
            text = f"question {i}"
            answer, value = self.keep(text)
            old = answer.text
            # Memory forgets it, Redis has it.
            self.gateway.admin("/admin/v1/features/caching", method="PUT", body={"enabled": False})
            self.gateway.admin("/admin/v1/features/caching", method="PUT", body={"enabled": None})
            gets = self.gets()
            self.link.downstream.set(latency=0.25)
            got = []
            reader = threading.Thread(target=lambda text=text, i=i: got.append(
                self.ask(text, stream=i % 2 == 1)))
            reader.start()
            wait_until(lambda: self.gets() > gets, "it is being read", 5)
            self.redis.ask("DEL", value)
            reader.join()
            self.link.clear()
            time.sleep(0.05)
            read_old += old in got[0].body.decode()
            kept_old += self.ask(text).text == old
        self.figures.at_least("rounds in which the old one was on its way", read_old, 1)
        self.figures.equal("rounds in which it was kept", kept_old, 0)

    def gets(self):
        for line in self.redis.ask("INFO", "commandstats").split(b"\r\n"):
            if line.startswith(b"cmdstat_get:calls="):
                return int(line.split(b"=")[1].split(b",")[0])
        return 0
