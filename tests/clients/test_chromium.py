"""Pages of other origins in a real Chromium: what it lets their scripts ask and read.

A page is served from an origin of its own. Its script does what the test says, and sends what came of
it to the server that the page came from.
"""

import http.server
import json
import os
import shutil
import signal
import subprocess
import threading

from harness.penstock import LIMIT, Scenario, answering, completion, delta, plain, polite, stream, DONE

PATIENCE = 5 * LIMIT  # a browser takes its time to start

SCRIPT = """<!doctype html><meta charset="utf-8"><title>a page</title><script type="module">
const ask = (body, more = {}) => fetch(`%(url)s/chat/completions`, { method: 'POST',
  headers: { 'content-type': 'application/json', authorization: 'Bearer of-the-page', 'x-stainless-lang': 'js' },
  body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'Hello?' }], ...body }), ...more });
const url = '%(url)s';
const told = {};
for (const [name, attempt] of Object.entries({%(attempts)s})) {
  try { told[name] = await attempt(); } catch (error) { told[name] = `${error.name}`; }
}
await fetch('/told', { method: 'POST', body: JSON.stringify(told) });
</script>"""


class Page:
    """A server whose pages run attempts, an origin of its own."""

    def __init__(self):
        self.script = b""
        self.told = None
        self.changed = threading.Condition()
        page = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = page.script if self.path == "/" else b""
                self.send_response(200 if body else 404)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                told = json.loads(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(204)
                self.end_headers()
                with page.changed:
                    page.told = told
                    page.changed.notify_all()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Chromium(Scenario):
    def page(self):
        page = Page()
        self.addCleanup(page.close)
        return page

    def run_page(self, page, gateway, **attempts):
        """What the page's attempts gave: name and JavaScript expression of a function."""
        page.script = (SCRIPT % {
            "url": f"http://127.0.0.1:{gateway.port}/v1",
            "attempts": ",".join(f"{name}: {code}" for name, code in attempts.items())}).encode()
        profile = self.folder / f"profile-{len(list(self.folder.iterdir()))}"
        log = open(self.folder / "chromium.log", "wb")  # pylint: disable=consider-using-with
        browser = subprocess.Popen(
            [shutil.which("chromium"), "--headless=new", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--no-first-run", "--no-proxy-server", "--disable-extensions",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             "--metrics-recording-only", "--password-store=basic", f"--user-data-dir={profile}",
             page.origin + "/"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, "HOME": str(self.folder)})
        try:
            with page.changed:
                if not page.changed.wait_for(lambda: page.told is not None, timeout=PATIENCE):
                    log.flush()
                    raise AssertionError("the page told nothing:\n" +
                                         (self.folder / "chromium.log").read_text("utf-8", "replace")[-3000:])
                return page.told
        finally:
            os.killpg(browser.pid, signal.SIGKILL)  # the session that was made for it
            browser.wait()
            log.close()

    def test_a_page_of_a_listed_origin_asks_and_reads(self):
        page = self.page()
        limits = ["X-RateLimit-Remaining-Requests: 59", "Retry-After: 1"]

        def answer(request):
            if request.json.get("stream"):
                return stream(*(delta(f"{i} ") for i in range(20)), delta(finish="stop"), DONE)
            return plain(completion("Grüß dich."), headers=limits)
        engine = self.engine(answering(lambda r: answer(r) if r.method == "POST" else polite(r)))
        gateway = self.gateway(self.to(engine), {"listen": {"cors": {"origins": [page.origin]}}})
        told = self.run_page(
            page, gateway,
            plain="""async () => { const a = await ask({}); const read = (n) => a.headers.get(n);
              return { status: a.status, text: (await a.json()).choices[0].message.content,
                id: read('x-request-id'), cache: read('x-penstock-cache'), engine: read('x-penstock-engine'),
                left: read('x-ratelimit-remaining-requests'), after: read('retry-after') }; }""",
            again="""async () => (await ask({})).headers.get('x-penstock-cache')""",
            streamed="""async () => { let text = '';
              const a = await ask({ stream: true, messages: [{ role: 'user', content: 'Another?' }] });
              const reader = a.body.pipeThrough(new TextDecoderStream()).getReader();
              for (;;) { const { done, value } = await reader.read(); if (done) break; text += value; }
              const events = text.split('\\n\\n').map((e) => e.slice('data: '.length));
              return { type: a.headers.get('content-type'), end: events.slice(-2),
                text: events.slice(0, -2).map((e) => JSON.parse(e).choices[0].delta.content ?? '').join('') }; }""",
            signed_in="""async () => (await ask({}, { credentials: 'include' })).status""",
            refused="""async () => { const a = await ask({ model: 'none' });
              return [a.status, (await a.json()).error.code]; }""",
            models="""async () => (await (await fetch(`${url}/models`)).json()).data.map((m) => m.id)""")
        self.assertTrue(told["plain"].pop("id"))
        self.assertEqual(told, {
            "plain": {"status": 200, "text": "Grüß dich.", "cache": "miss", "engine": "e", "left": "59",
                      "after": "1"},
            "again": "hit; level=memory",
            "streamed": {"type": "text/event-stream", "end": ["[DONE]", ""],
                         "text": "".join(f"{i} " for i in range(20))},
            "signed_in": 200, "refused": [404, "model_not_found"], "models": ["m"]})
        # The page's key goes no further, and the browser asked beforehand.
        self.assertNotIn("of-the-page", engine.calls[0].headers["authorization"])
        self.assertGreaterEqual(gateway.metric("penstock_http_requests_total", method="OPTIONS", code="204"), 1)

    def test_a_page_of_another_origin_is_kept_away_by_its_browser(self):
        page, listed = self.page(), self.page()
        engine = self.engine()
        gateway = self.gateway(self.to(engine), {"listen": {"cors": {"origins": [listed.origin]}}})
        told = self.run_page(
            page, gateway, asked="async () => (await ask({})).status",
            simple="async () => (await fetch(`${url}/models`)).status",
            blind="async () => (await fetch(`${url}/models`, { mode: 'no-cors' })).type")
        self.assertEqual(told, {"asked": "TypeError", "simple": "TypeError", "blind": "opaque"})
        self.assertEqual(engine.calls, [], "a question came through")
        self.assertEqual(gateway.metric("penstock_http_requests_total", method="OPTIONS", code="403"), 1)

    def test_every_origin_is_let_in_without_credentials_of_the_browser(self):
        page = self.page()
        gateway = self.gateway(self.to(self.engine()), {"listen": {"cors": {"origins": ["*"]}}})
        told = self.run_page(
            page, gateway, asked="async () => (await ask({})).status",
            signed_in="async () => (await ask({}, { credentials: 'include' })).status")
        self.assertEqual(told, {"asked": 200, "signed_in": "TypeError"})

    def test_a_page_that_is_left_ends_the_engines_call(self):
        page = self.page()
        gone = []

        def script(call):
            call.request()
            call.send(stream(delta("Hel")).removesuffix(b"0\r\n\r\n"))
            gone.append(call.gone())
        engine = self.engine(script)
        gateway = self.gateway(self.to(engine), {"listen": {"cors": {"origins": [page.origin]}}})
        told = self.run_page(page, gateway, left="""async () => {
            const leave = new AbortController();
            const a = await ask({ stream: true }, { signal: leave.signal });
            await a.body.getReader().read(); leave.abort(); return 'left'; }""")
        self.assertEqual(told, {"left": "left"})
        engine.wait_for(lambda _: gone, "the end of the call")
