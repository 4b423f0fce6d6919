"""64: line ends and terminal sequences in model, user, paths and fields: one log line each, escaped.

Nobody can forge a record, nor make an operator's terminal obey. In JSON and as text. P14.
"""

import json
import pathlib
import re

from drills.drill import CANARY, Drill, wait_until
from harness.penstock import Gateway, answering, merged, polite

FORGED = "forged-record"
EVIL = {
    "LF and a record": f'm\n{{"level":"error","message":"{FORGED}"}}',
    "CR": f"m\r{FORGED}",
    "CR LF and a line of text": f"m\r\n00:00:00.000 error {FORGED}",
    "quotes that end the value": f'm","message":"{FORGED}","x":"',
    "a backslash at the end": "m\\",
    "ANSI colours": "m\x1b[31mred\x1b[0m",
    "ANSI: clear the screen": "m\x1b[2J\x1b[H",
    "a window's title": "m\x1b]0;title\x07",
    "a link": "m\x1b]8;;http://127.0.0.1/\x1b\\here\x1b]8;;\x1b\\",
    "C1: CSI of one character": "m\u009b31mred",
    "NUL": "m\x00rest",
    "DEL and backspaces": "m\x7f\x08\x08\x08",
    "a line separator": "m\u2028next",
    "text that runs backwards": "m\u202egnol",
    "isolates": "m\u2066x\u2069",
}
# Raw bytes in a head: refused, or said escaped.
HEADS = {
    "an escape in a field": b"X-Name: \x1b[31m",
    "a bare CR in a field": b"X-Name: a\rb",
    "C1 in a field": b"X-Name: \xc2\x9b31m",
    "a byte over 127 in a request id": b"X-Request-Id: \x9b31m",
    "a request id with a quote": b'X-Request-Id: a","level":"error',
    "a user agent": b"User-Agent: \xe2\x80\xae" + FORGED.encode(),
}
PATHS = ["/v1/%0d%0a" + FORGED, "/v1/%1b%5b31m", "/v1/a%0ab?x=%0a", "/v1/chat/completions?a=%0d%0a" + FORGED,
         "/v1/models/%1b%5d0;t%07", "/v1/models/a%C2%9B31m", "/v1/models/x%E2%80%AEy", "/%22,%22level%22:%22error"]
RAW = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


class TheDrill(Drill):
    def settings(self):
        return self.engine_behind(answering(polite))

    def attack(self, gateway, count):
        """Sends everything to a gateway; `count` is told of each request. The statuses."""
        statuses = []
        for text in EVIL.values():
            for more in ({"model": text}, {"user": text}, {"metadata": {"key": text}},
                         {"messages": [{"role": text, "content": f"{text} {CANARY}"}]}):
                count()
                statuses.append(gateway.post("/v1/chat/completions", {**self.question(text), **more}).status)
        for path in PATHS:
            for method in ("GET", "POST"):
                with gateway.wire() as wire:
                    count()
                    wire.send(f"{method} {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
                    statuses.append(wire.answer().status)
        for field in HEADS.values():
            with gateway.wire() as wire:
                count()
                wire.send(b"GET /v1/models HTTP/1.1\r\nHost: test\r\n" + field + b"\r\n\r\n")
                statuses.append(wire.answer().status)
        return statuses

    def lines_of(self, gateway, begin, count, access):
        """What was logged since, once all of it is there."""
        def lines():
            text = gateway.output[begin:]
            return text.split("\n")[:-1] if text.endswith("\n") else []
        wait_until(lambda: sum(map(access, lines())) >= count, "all requests are logged")
        return lines()

    def fault(self):
        figures, begin, sent = self.figures, len(self.gateway.output), self.sent
        statuses = self.attack(self.gateway, self.count_sent)
        mine, usual = self.sent - sent, {200, 400, 404, 405, 415}
        lines = self.lines_of(self.gateway, begin, mine,
                              lambda line: '"request"' in line and "bystander" not in line)
        records, broken = [], 0
        for line in lines:
            try:
                records.append(json.loads(line))
            except ValueError:
                broken += 1
        figures.equal(f"statuses other than {sorted(usual)}", sorted(set(statuses) - usual), [])
        figures.equal("JSON: lines that are no record", broken, 0)
        figures.equal("JSON: records of requests, of those sent", sum(
            r["message"] == "request" and r.get("model") != "bystander" for r in records), mine)
        figures.equal("JSON: lines with a control character", sum(bool(RAW.search(line)) for line in lines), 0)
        figures.equal("JSON: forged records", sum(r["message"] == FORGED or r["level"] == "error" for r in records), 0)
        self.as_text()

    def as_text(self):
        """The same at another gateway, whose log is text."""
        folder = pathlib.Path(self.folder) / f"text-{self.turn}"
        folder.mkdir()
        gateway = Gateway(merged(self.gateway_config, {"logging": {"format": "text"}}), folder)
        self._exit.callback(gateway.kill)
        begin, sent = len(gateway.output), []
        self.attack(gateway, lambda: sent.append(1))
        lines = self.lines_of(gateway, begin, len(sent), lambda line: " request " in f"{line} ")
        figures, record = self.figures, re.compile(r"\d\d:\d\d:\d\d\.\d{3} +\w+ ")
        figures.equal("text: lines that begin like no record", [x for x in lines if not record.match(x)][:3], [])
        figures.equal("text: records of requests, of those sent", sum(" request " in line for line in lines), len(sent))
        figures.equal("text: lines with a control character", sum(bool(RAW.search(line)) for line in lines), 0)
        figures.equal("text: forged records", sum(bool(re.match(rf"\S+ +error .*{FORGED}", x)) for x in lines), 0)
        figures.equal("text: secrets and texts", CANARY in gateway.output, False)
        gateway.kill()
