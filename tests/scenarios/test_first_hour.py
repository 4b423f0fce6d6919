"""A vendor in the first hour: the commands of README.md as they are printed, and their usual mistakes."""

import json
import re
import shlex
import signal
import socket
import ssl
import subprocess
import threading

from harness.penstock import (KEY, PROGRAM, Answer, Process, Scenario, answering, completion, plain, polite,
                              run)

README = (PROGRAM.parents[2] / "README.md")


def printed(marker):
    """The block of README.md behind the comment <!-- test: marker -->."""
    text = README.read_text()
    block = re.search(rf"<!-- test: {marker} -->\n+```(\w*)\n(.*?)```", text, re.S)
    assert block, f"README.md has no block marked {marker}"
    return block.group(2)


class FirstHour(Scenario):
    def simulated(self, *args):
        """`penstock engine`, quick; its URL."""
        process = Process("engine", "--listen", "127.0.0.1:0", "--first-token", "0s", "--tokens-per-second",
                          "0", "--tokens", "5", *args)
        self.addCleanup(process.kill)
        return process.wait_for(r"listening on (\S+)").group(1)

    def serve(self, *args, cwd=None, **env):
        """`penstock serve` on free ports; its address."""
        process = Process("serve", *args, cwd=cwd or self.folder, env={"PORT": "0", **env})
        self.addCleanup(self.end_of, process)
        process.url = process.wait_for(r"listening on (http://127\.0\.0\.1:\d+)").group(1)
        process.wait_for("admin on")
        return process

    def end_of(self, process):
        try:
            process.signal(signal.SIGINT)
            self.assertEqual(process.wait(), 0, process.output)
            self.look_at(process.output)
        finally:
            process.kill()

    def curl(self, command, gateway):
        """Runs a curl command of README.md against this gateway."""
        words = shlex.split(command.replace("\\\n", " ").replace("http://127.0.0.1:8080", gateway.url))
        self.assertEqual(words[0], "curl")
        done = subprocess.run([*words, "-sS", "--noproxy", "*", "--max-time", "20"], capture_output=True,
                              check=True, timeout=40)
        return Answer(0, [], done.stdout)

    def command(self, line, replaced):
        """The variables and the arguments of a printed `penstock serve`; what is ours is replaced."""
        for old, new in replaced.items():
            self.assertIn(old, line)
            line = line.replace(old, new)
        words = shlex.split(line)
        env = {}
        while "=" in words[0]:
            name, _, value = words.pop(0).partition("=")
            env[name] = value
        self.assertEqual(words[:2], ["build/release/penstock", "serve"])
        return words[2:], env

    # ---- the three ways of README.md ---------------------------------------------------------------

    def test_a_vendor_by_its_key_alone(self):
        line = printed("key").strip()
        args, env = self.command(line, {"sk-...": KEY})
        gateway = self.serve(*args, **env, OPENAI_BASE_URL=self.simulated("--api-key", KEY))
        said = self.curl(printed("ask").replace("MODEL", "simulated"), gateway)
        self.assertEqual(len(said.text.split()), 5)
        # Without the other variable it is the vendor itself.
        vendor = self.serve(*args, **env)
        self.assertEqual(vendor.process.poll(), None)

    def test_an_engine_by_its_url(self):
        url = self.simulated()
        args, env = self.command(printed("engine").strip(), {"http://127.0.0.1:8000/v1": url})
        gateway = self.serve(*args, **env)
        told = json.loads(gateway.wait_for(r".*engine engine.*").group())
        self.assertEqual((told["models"], told["at"]), ("*", url))
        self.assertEqual(len(self.curl(printed("ask").replace("MODEL", "simulated"), gateway).text.split()), 5)

    def test_a_file_of_five_lines(self):
        file = printed("file")
        self.assertEqual(len(file.strip().splitlines()), 5)
        file = file.replace("https://api.mistral.ai/v1", self.simulated("--api-key", KEY))
        # What no file of five lines says, so that the test can run beside others.
        (self.folder / "penstock.yaml").write_text(
            file + "listen: {address: 127.0.0.1:0}\nadmin: {address: 127.0.0.1:0}\n")
        args, env = self.command(printed("with-file").strip(), {"your-key": KEY})
        self.assertEqual(run("check", "penstock.yaml", cwd=self.folder, env=env)[0], 0)
        gateway = self.serve(*args, **env)
        self.assertEqual(len(self.curl(printed("ask").replace("MODEL", "simulated"), gateway).text.split()), 5)

    # ---- vendors that want it otherwise ------------------------------------------------------------

    def test_azure_by_its_own_header_and_query(self):
        def azure(request):
            path, _, query = request.path.partition("?")
            if request.headers.get("api-key") != KEY or "authorization" in request.headers:
                return plain(b'{"error":{"code":"401","message":"Access denied"}}', "401 Unauthorized")
            if query != "api-version=2024-10-21" or path != "/openai/deployments/my-gpt/chat/completions":
                return plain(b'{"error":{"code":"404","message":"Resource not found"}}', "404 Not Found")
            return polite(request)
        engine = self.engine(answering(azure))
        at = {"url": f"http://127.0.0.1:{engine.port}/openai/deployments/my-gpt"}
        with_both = {"auth": "api-key", "query": {"api-version": "2024-10-21"}}
        by_header = {"auth": "none", "headers": {"api-key": KEY}, "query": with_both["query"]}
        for settings in (with_both, by_header):
            gateway = self.gateway(self.to(engine, **at, **settings))
            for stream in (False, True):
                answer = gateway.ask(stream=stream, headers={"api-key": "of-the-client",
                                                             "authorization": "Bearer of-the-client"})
                self.assertEqual(answer.status, 200, answer)
            self.assertEqual(gateway.get("/v1/models").json["data"][0]["id"], "m")
            self.end(gateway)
        for settings, status in ((with_both | {"auth": "bearer"}, 502), (with_both | {"query": {}}, 404)):
            gateway = self.gateway(self.to(engine, **at, **settings))
            self.assertEqual(gateway.ask().status, status)
            self.end(gateway)

    def test_every_file_of_the_recipes_is_good(self):
        text = (README.parent / "docs/engines.md").read_text()
        text = text[text.index("## Recipes"):text.index("## Simulated engines")]
        files = re.findall(r"```yaml\n(.*?)```", text, re.S)
        self.assertGreaterEqual(len(files), 4)
        (self.folder / "company.pem").write_text("")
        for file in files:
            file = file.replace("/etc/ssl/certs/", f"{self.folder}/")
            (self.folder / "recipe.yaml").write_text(file)
            names = re.findall(r"\$\{(\w+)\}", file)
            code, output = run("check", "recipe.yaml", cwd=self.folder, env={n: KEY for n in names})
            self.assertEqual(code, 0, output + file)

    # ---- mistakes ----------------------------------------------------------------------------------

    def every_model(self, url, **more):
        return {"engines": [{"name": "e", "kind": "openai", "url": url, **more}],
                "models": [{"name": "handbook", "engines": ["h"]}, {"name": "*", "engines": ["e"]}]}

    def mistaken(self, url, **more):
        """A gateway whose engine is behind another one, as the documents are by default."""
        config = self.every_model(url, **more)
        (self.folder / "docs").mkdir(exist_ok=True)
        config["engines"].insert(0, {"name": "h", "kind": "documents", "path": str(self.folder / "docs")})
        return self.gateway(config)

    def test_a_wrong_or_missing_key_is_told_as_one(self):
        url = self.simulated("--api-key", "another")
        for more in ({"api_key": KEY}, {}):
            gateway = self.mistaken(url, **more)
            for answer in (gateway.ask(model="simulated"), gateway.get("/v1/models/simulated"),
                           gateway.ask(model="simulated", stream=True)):
                self.assertEqual(answer.status, 502, answer)
                self.assertEqual(answer.error["code"], "engine_credentials_refused")
                self.assertEqual(answer.error["message"], "Engine e refused the gateway's credentials.")
                self.assertEqual(answer.headers["x-should-retry"], "false")
            gateway.wait_for("an engine refused the gateway's credentials: look at its api_key")
            # Those that are configured are still listed.
            self.assertEqual([m["id"] for m in gateway.get("/v1/models").json["data"]], ["handbook"])
            self.end(gateway)

    def test_a_key_that_is_not_set_is_told_before_the_start(self):
        (self.folder / "penstock.yaml").write_text(
            "engines:\n  - {name: e, kind: openai, url: \"http://a/v1\", api_key: \"${NO_SUCH_KEY}\"}\n")
        code, output = run("serve", "--config", "penstock.yaml", cwd=self.folder)
        self.assertEqual(code, 2)
        self.assertIn("penstock.yaml:2:", output)
        self.assertIn("NO_SUCH_KEY", output)

    def test_a_path_that_was_forgotten_or_is_wrong(self):
        url = self.simulated()
        for wrong in (url.removesuffix("/v1"), url.replace("/v1", "/api"), url + "/chat/completions"):
            gateway = self.mistaken(wrong)
            self.assertEqual(gateway.ask(model="simulated").status, 404)
            gateway.wait_for("an engine has nothing at this path: look at the path of its url")
            answer = gateway.get("/v1/models/simulated")
            self.assertEqual(answer.status, 502)
            self.assertEqual(answer.error["message"], "Engine e: GET models was answered with 404; the path "
                                                      "in its url may be wrong or missing.")
            self.end(gateway)

    def test_a_model_that_the_engine_does_not_have_says_nothing_against_its_url(self):
        error = {"error": {"message": "The model `x` does not exist.", "type": "NotFoundError", "code": 404}}
        engine = self.engine(answering(lambda _: plain(json.dumps(error).encode(), "404 Not Found")))
        gateway = self.gateway(self.to(engine))
        self.assertEqual(gateway.ask().status, 404)
        self.assertNotIn("look at the path", gateway.output)

    def test_https_where_there_is_none_and_the_other_way_round(self):
        gateway = self.mistaken(self.simulated().replace("http:", "https:"))
        answer = gateway.get("/v1/models/simulated")
        self.assertEqual((answer.status, answer.error["message"]), (503, "Engine e cannot be reached."))
        gateway.wait_for("if it speaks no TLS, its url is http")
        self.end(gateway)
        gateway = self.mistaken(f"http://127.0.0.1:{self.tls_engine()}/v1")
        self.assertEqual(gateway.ask(model="simulated").status, 502)
        gateway.wait_for("an engine did not answer")

    def test_a_certificate_that_nobody_vouches_for_is_named(self):
        gateway = self.mistaken(f"https://127.0.0.1:{self.tls_engine()}/v1")
        self.assertEqual(gateway.ask(model="simulated").status, 503)
        gateway.wait_for("its certificate is not accepted: self-signed certificate")
        self.end(gateway)
        gateway = self.mistaken(f"https://127.0.0.1:{self.tls_engine()}/v1",
                                tls={"ca": str(self.folder / "cert.pem")})
        self.assertEqual(gateway.ask(model="simulated").text, "Hello.")

    def tls_engine(self):
        """An engine with a certificate of its own making; its port."""
        key, cert = self.folder / "key.pem", self.folder / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-keyout", key, "-out", cert, "-subj", "/CN=127.0.0.1", "-days", "2",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def answer():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(connection, server_side=True) as tls:
                        tls.recv(65536)
                        tls.sendall(plain(completion(), headers=["Connection: close"]))
                except OSError:
                    connection.close()
        threading.Thread(target=answer, daemon=True).start()
        return listener.getsockname()[1]

    def test_a_gateway_that_would_ask_itself_does_not_start(self):
        code, output = run("serve", "--engine", "http://localhost:8080/v1", cwd=self.folder)
        self.assertEqual(code, 2)
        self.assertIn("where this gateway itself listens", output)
        self.assertIn("PORT", output)

    def test_a_base_url_that_is_the_gateways_own_is_left_to_the_applications(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        process = Process("serve", cwd=self.folder, env={
            "OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1", "PORT": str(port)})
        self.addCleanup(process.kill)
        process.wait_for("OPENAI_BASE_URL is where this gateway itself listens")
