"""A secret in a key, a header, a URL, a question or an answer is written nowhere.

Every scenario looks for the canary in what its gateways logged and counted. This one puts it everywhere
at once, has every line written that can be, and looks at all that an operator is shown.
"""

import json
import urllib.parse

from harness.keys import bearer
from harness.otlp import Backend
from harness.penstock import (CANARY, DONE, SANITIZED, Scenario, answering, completion, delta, merged, plain, question,
                              run, stream, wait_until)

SECRET = CANARY.encode()
SHOWN = ("/metrics", "/health", "/admin/v1/status", "/admin/v1/settings", "/admin/v1/models", "/admin/v1/cache",
         "/admin/v1/cache/entries", "/admin/v1/traces", "/admin/v1/map", "/admin/v1/map?format=dot", "/admin/v1/budgets",
         "/debug/pprof/profile?seconds=1", "/debug/pprof/heap?format=folded", "/debug/pprof/heap?format=svg",
         "/debug/pprof/cmdline", "/debug/pprof/symbol?0x1234", "/admin/v1/incidents", "/admin/v1/audit", "/admin/v1/usage", "/admin/v1/keys", "/admin/v1/features")


class Canary(Scenario):
    def behind(self, request):
        """Answers with the canary, as well as failing with it."""
        text = request.body.decode("utf-8", "replace") if request.body else ""
        if "fail" in text:
            return plain(json.dumps({"error": {"message": f"no {CANARY}", "type": CANARY, "code": CANARY}}).encode(),
                         "500 Oh")
        if "nonsense" in text:
            return plain(f"<html>{CANARY}".encode())
        if '"stream": true' in text or '"stream":true' in text:
            return stream(delta(CANARY), delta(finish="stop"), DONE)
        return plain(completion(f"The answer is {CANARY}."))

    def test_is_written_nowhere(self):
        backend = Backend()
        self.addCleanup(backend.close)
        engine = self.engine(answering(self.behind))
        settings = merged(self.to(engine, headers={"x-secret": CANARY}, query={"key": CANARY}), {
            "auth": {"mode": "none"}, "logging": {"level": "debug", "access": "all"},
            "tracing": {"endpoint": backend.url, "sample": "100%"}, "store": {"url": f"sqlite:{self.folder}/a.db"}})
        gateway = self.gateway(settings)
        headers = {**bearer(CANARY), "cookie": f"session={CANARY}", "x-anything": CANARY, "user-agent": CANARY,
                   "baggage": f"secret={CANARY}", "x-session-id": "s"}
        told = []

        def ask(*args, **more):
            told.append(gateway.ask(*args, headers=headers, **more))

        for _ in range(2):  # a miss and a hit
            ask("plainly", temperature=0)
            ask("in pieces", temperature=0, stream=True)
        ask("fail")
        ask("nonsense")
        ask("too hot", temperature=CANARY)
        ask("nobody", model=CANARY)
        ask("a user", user=CANARY)
        gateway.request("POST", "/v1/chat/completions?key=" + CANARY, body=question(), headers=headers)
        gateway.request("POST", f"/v1/{CANARY}", body=question(), headers=headers)
        gateway.request("GET", f"/{CANARY}?{CANARY}", headers=headers)
        gateway.request("POST", "/v1/chat/completions", body=f'{{"{CANARY}": ', headers={
            **headers, "content-type": "application/json"})
        with gateway.wire() as wire:
            wire.send(f"{CANARY} / HTTP/1.1\r\n{CANARY}\r\n\r\n".encode()).rest()
        # What the client itself sent it may read again; what an engine said of itself, not.
        self.assertEqual([answer.status for answer in told[:4]], [200] * 4)
        for answer in told[4:6]:
            self.assertGreaterEqual(answer.status, 500)
        gateway.admin("/admin/v1/feedback", method="POST", body={})
        gateway.admin(f"/admin/v1/{CANARY}")
        gateway.admin("/admin/v1/traces/" + CANARY)

        wait_until(lambda: len(backend.traces()) >= 10, "the traces are exported")
        for path in SHOWN:
            if SANITIZED and "/heap" in path:
                continue  # the memory is the sanitizer's
            answer = gateway.admin(path)
            self.assertEqual(answer.status, 200, path)
            self.assertNotIn(SECRET, answer.body, path)
        for seen in gateway.admin("/admin/v1/traces").json["traces"]:
            whole = gateway.admin("/admin/v1/traces/" + urllib.parse.quote(seen["request_id"]))
            self.assertNotIn(SECRET, whole.body)
        self.assertNotIn(CANARY, repr(backend.traces()))
        for command in (("trace", "--admin", f"http://127.0.0.1:{gateway.admin_port}"),
                        ("budgets", "--admin", f"http://127.0.0.1:{gateway.admin_port}"),
                        ("usage", "--config", gateway.file, "--by", "tenant,key,model,engine,route,status")):
            self.assertNotIn(CANARY, run(*command, cwd=self.folder)[1], command)
        self.end(gateway)  # looks at the log
        self.assertGreater(gateway.output.count('"trace_id"') + gateway.output.count("trace_id="), 10)
        for file in self.folder.iterdir():
            if file.is_file() and file != gateway.file:
                self.assertNotIn(SECRET, file.read_bytes(), file.name)
