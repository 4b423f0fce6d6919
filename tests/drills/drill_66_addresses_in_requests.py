"""66: addresses in bodies, fields, Host, targets and an engine's redirect: no connection is made to them.

P13: a client never chooses an address. A field that claims to be the gateway's own is a 400; all others
are the engine's to read, and no more than text here. Canaries listen where the addresses point to.
"""

import json
import socket
import threading

from drills.drill import Drill, wait_until
from harness.penstock import answering, completion, plain

# What other gateways take an address or a provider from.
FIELDS = ("x-portkey-custom-host", "x-portkey-config", "x-portkey-provider", "x-forwarded-host", "x-forwarded-server",
          "x-original-url", "x-rewrite-url", "x-original-host", "x-host", "x-http-host-override", "x-upstream",
          "x-backend", "x-target-url", "x-base-url", "base-url", "api-base", "x-api-base", "x-llm-base-url",
          "helicone-target-url", "helicone-openai-api-base", "x-litellm-api-base", "cf-connecting-ip", "via",
          "x-envoy-original-path", "x-envoy-original-dst-host", "x-proxy-url", "proxy", "location", "referer",
          "origin", "openai-base-url", "x-engine", "x-wap-profile", "destination", "alt-used", "x-real-ip")
OWN = ("x-penstock-engine", "x-penstock-url", "x-penstock-upstream", "x-penstock-route", "x-penstock-config",
       "x-penstock-anything")
MEMBERS = ("base_url", "api_base", "url", "endpoint", "api_url", "proxy", "custom_host", "azure_endpoint",
           "openai_api_base", "organization", "provider", "route", "webhook", "user")


class Canaries:
    """Ports to which nobody may connect."""

    def __init__(self, count=4):
        self.seen = []
        self.listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
        self.ports = [listener.getsockname()[1] for listener in self.listeners]
        for listener in self.listeners:
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.seen.append(listener.getsockname()[1] if listener.fileno() >= 0 else 0)
            connection.close()

    def close(self):
        for listener in self.listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()


class TheDrill(Drill):
    def settings(self):
        self.canaries = Canaries()
        self._exit.callback(self.canaries.close)
        return self.engine_behind(answering(self.redirects))

    def redirects(self, request):
        """An engine that sends some questions elsewhere."""
        if b"redirect" in request.body:
            return plain(b"{}", "307 Temporary Redirect", [f"Location: {self.address(0)}/v1/chat/completions"])
        return plain(completion())

    def address(self, i, scheme="http"):
        return f"{scheme}://127.0.0.1:{self.canaries.ports[i % len(self.canaries.ports)]}"

    def raw(self, line, *fields, body=b"", host="Host: test"):
        """The status of one request, every byte of which is ours."""
        with self.wire() as wire:
            self.count_sent()
            lines = [line, host, "Content-Type: application/json", f"Content-Length: {len(body)}", *fields, "", ""]
            return wire.send("\r\n".join(lines).encode("latin-1") + body).answer().status

    def post(self, *fields, target="/v1/chat/completions", host="Host: test", **more):
        body = json.dumps(self.question(f"question {self.sent}", **more)).encode()
        return self.raw(f"POST {target} HTTP/1.1", *fields, body=body, host=host)

    def fault(self):
        figures, rounds = self.figures, self.pick(3, 1)
        for _ in range(rounds):
            self.round()
        figures.equal("connections to the canaries", len(self.canaries.seen), 0)
        hosts = {request.headers["host"] for request in self.ill.calls}
        figures.equal("Host of every call to the engine", hosts, {f"127.0.0.1:{self.ill.port}"})
        own = {name for request in self.ill.calls for name in request.headers if name.startswith("x-penstock-")}
        figures.equal("fields of the gateway's own that the engine saw", own, set())
        # The canaries are awake: each sees the connection that is made on purpose.
        for port in self.canaries.ports:
            socket.create_connection(("127.0.0.1", port)).close()
        figures.equal("canaries that see a connection", self.awake(), len(self.canaries.ports))
        self.canaries.seen.clear()

    def awake(self):
        wait_until(lambda: len(set(self.canaries.seen)) == len(self.canaries.ports), "all canaries are awake")
        return len(set(self.canaries.seen))

    def round(self):
        figures = self.figures
        addresses = [self.address(i, scheme) for i, scheme in enumerate(("http", "https", "ws", "file"))]
        addresses += [address.split("//")[1] for address in addresses[:2]] + ["169.254.169.254", "//127.0.0.1:80/"]

        def statuses(send, things):
            return sorted({send(thing) for thing in things})
        pairs = [(name, address) for name in FIELDS for address in addresses]
        figures.equal("in fields that others obey: status", statuses(
            lambda pair: self.post(f"{pair[0]}: {pair[1]}"), pairs), [200])
        figures.equal("in fields that claim to be our own: status", statuses(
            lambda name: self.post(f"{name}: {addresses[0]}"), OWN), [400])
        figures.equal("in Host: status", statuses(lambda a: self.post(host=f"Host: {a}"), [
            "169.254.169.254", addresses[0].split("//")[1], "localhost:1", "[::1]:80"]), [200])
        figures.equal("in Host, no name: status", statuses(lambda a: self.post(host=f"Host: {a}"), [
            addresses[0], "a@127.0.0.1", "127.0.0.1/x", "a, 127.0.0.1"]), [400])
        targets = [addresses[0], addresses[1], "http://169.254.169.254"]
        figures.equal("as an absolute target: status", statuses(lambda a: self.post(
            target=f"{a}/v1/chat/completions", host=f"Host: {a.split('//')[1]}"), targets), [200])
        figures.equal("as an absolute target, and Host another: status", statuses(lambda a: self.post(
            target=f"{a}/v1/chat/completions"), targets), [400])
        figures.equal("as a target of another kind: status", statuses(lambda line: self.raw(line), [
            f"CONNECT {addresses[4]} HTTP/1.1", f"GET {addresses[2]}/v1/models HTTP/1.1",
            f"GET {addresses[4]}/v1/models HTTP/1.1", f"GET //{addresses[4]}/v1/models HTTP/1.1",
            f"POST /v1/{addresses[0]}/v1/chat/completions HTTP/1.1"]), [400])
        figures.equal("as a path or a query: status", sorted({
            self.raw("GET http://169.254.169.254/latest/meta-data/ HTTP/1.1", host="Host: 169.254.169.254"),
            self.raw(f"GET /proxy/{addresses[4]} HTTP/1.1")}), [404])
        figures.equal("in a query: status", statuses(lambda name: self.post(
            target=f"/v1/chat/completions?{name}={addresses[0]}"), MEMBERS), [200])
        figures.equal("in members of the body: status", statuses(
            lambda pair: self.post(**{pair[0]: pair[1]}), [(m, a) for m in MEMBERS for a in addresses]), [200])
        figures.equal("in a list of fallbacks: status", self.post(
            fallbacks=[{"model": "m", "api_base": addresses[0]}], extra_body={"base_url": addresses[1]}), 200)
        figures.equal("as a model's name: status", statuses(lambda name: self.post(model=name), [
            addresses[0], f"openai/{addresses[0]}/v1", f"m@{addresses[4]}", f"custom/{addresses[4]}"]), [404])
        image = [{"type": "text", "text": f"question {self.sent}"},
                 {"type": "image_url", "image_url": {"url": f"{addresses[0]}/x.png"}},
                 {"type": "file", "file": {"file_url": f"{addresses[1]}/x.pdf"}}]
        calls = len(self.ill.calls)
        figures.equal("of an image, the engine's to fetch: status", self.post(
            messages=[{"role": "user", "content": image}]), 200)
        figures.equal("of an image: times that it came to the engine as it was", [
            call.json["messages"][0]["content"] for call in self.ill.calls[calls:]].count(image), 1)
        figures.equal("in an engine's redirect: status", self.post(metadata={"please": "redirect"}), 502)
