"""wget, as it is on the machine."""

import json
import subprocess

from harness.penstock import LIMIT, Scenario, question


class Wget(Scenario):
    def wget(self, gateway, path, *args):
        return subprocess.run(["wget", "-q", "--no-proxy", "--no-config", "-T", str(int(LIMIT)), "-t", "1",
                               "-O", "-", *args, f"http://127.0.0.1:{gateway.port}{path}"],
                              capture_output=True, timeout=2 * LIMIT, check=False)

    def ask(self, gateway, body, *args):
        return self.wget(gateway, "/v1/chat/completions", "--header=content-type: application/json",
                         f"--post-data={json.dumps(body)}", *args)

    def test_plain_and_streamed_answers(self):
        gateway = self.gateway(self.to(self.engine()))
        done = self.ask(gateway, question())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["choices"][0]["message"]["content"], "Hello.")
        done = self.ask(gateway, question(stream=True))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout.endswith(b"data: [DONE]\n\n"), done.stdout)
        done = self.wget(gateway, "/v1/models")
        self.assertEqual(json.loads(done.stdout)["data"][0]["id"], "m")

    def test_a_refusal_fails_and_can_be_read(self):
        gateway = self.gateway(self.to(self.engine()))
        done = self.ask(gateway, question(model="none"), "--content-on-error")
        self.assertEqual(done.returncode, 8)
        self.assertEqual(json.loads(done.stdout)["error"]["code"], "model_not_found")
