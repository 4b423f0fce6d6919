"""43: a bad configuration on reload: the old one stays in force, metric and log say so.

By the signal and by the admin API, while good clients ask. P10: a reload loses no request.
"""

import json
import re
import signal
import time

from drills.drill import Drill, wait_until
from harness.penstock import answering, merged, polite


class TheDrill(Drill):
    def settings(self):
        return self.engine_behind(answering(polite))

    def bad_files(self):
        """{name: (text, line, column of what is wrong)}; None where there is no such place."""
        def placed(lines, at):
            line = next(i for i, text in enumerate(lines, 1) if at in text)
            return "\n".join(lines) + "\n", line, lines[line - 1].index(at) + 1
        good = json.dumps(self.gateway_config)
        wrong_engine = merged(self.gateway_config, {"models": [{"name": "m", "engines": ["nobody"]}]})
        return {
            "no YAML": placed(["cache:", "listen: {address: [}"], "}"),
            "an unknown section": placed(["listen: {}", "lissten: {}"], "lissten"),
            "an unknown option": placed(["listen:", "  limits:", "    body_byts: 1MiB"], "body_byts"),
            "a number that is text": placed(["listen:", "  workers: many"], "many"),
            "a duration without a unit": placed(["listen:", "  limits:", "    drain: 30"], "30"),
            "a size out of range": placed(["cache:", "  memory:", "    size: -1MiB"], "-1MiB"),
            "a name twice": ("cache:\n  answers: all\ncache:\n  answers: off\n", 3, 1),
            "an engine that nobody has": (json.dumps(wrong_engine), None, None),
            "cut off": (good[:len(good) // 2], None, None),
            "binary": ("\x00\x01\x02", None, None),
            "no file": (None, None, None),
        }

    def reload(self, by_signal):
        """What was said of it: the log's line, and the admin API's answer or None."""
        before = len(self.gateway.output)
        said = None
        time.sleep(0.11)  # of one message, the log takes ten a second
        if by_signal:
            self.gateway.signal(signal.SIGHUP)
        else:
            said = self.gateway.admin("/admin/v1/reload", "POST")
        return self.gateway.wait_for(r"[^\n]*the configuration was not reloaded[^\n]*\n", after=before).group(0), said

    def rehearse(self):
        self.gateway.write("listen: [")
        for by_signal in (True, False):
            self.reload(by_signal)
        self.ask()
        self.gateway.write(self.gateway_config)
        self.gateway.admin("/admin/v1/reload", "POST")

    def fault(self):
        figures, places, says, kept = self.figures, [], [], []
        bad, rounds = self.bad_files(), self.pick(5, 1)
        for turn in range(rounds):
            for i, (name, (text, line, column)) in enumerate(bad.items()):
                for by_signal in self.pick((True, False), (i % 2 == 0,)):
                    self.gateway.file.unlink(missing_ok=True) if text is None else self.gateway.write(text)
                    logged, said = self.reload(by_signal)
                    if line and not re.search(rf"penstock\.yaml:{line}:{column}\b", logged):
                        places.append(f"{name}: not {line}:{column} in {logged}")
                    if not by_signal and (said.status, bool(said.error["message"])) != (409, True):
                        says.append(f"{name}: {said}")
                    if (self.metric("penstock_config_last_reload_successful") != 0
                            or self.ask(f"{turn} {name} {by_signal}").status != 200):
                        kept.append(name)
        count = self.pick(2, 1) * rounds * len(bad)
        figures.equal("log lines without file, line and column of what is wrong", places, [])
        figures.equal("reloads by the admin API that were no 409 with its reason", says, [])
        figures.equal("times that the metric did not say so, or the old was not in force", kept, [])
        figures.equal("reloads counted as failed",
                      self.counted("penstock_config_reloads_total", result="error"), count)
        figures.equal("reloads counted as good", self.counted("penstock_config_reloads_total", result="success"), 0)
        self.gateway.write(self.gateway_config)
        self.gateway.signal(signal.SIGHUP)
        wait_until(lambda: self.metric("penstock_config_last_reload_successful") == 1, "the good one is in force")
        figures.equal("then a good one: reloads counted as good",
                      self.counted("penstock_config_reloads_total", result="success"), 1)
        figures.equal("questions that the engine saw", len(self.ill.calls), count)
