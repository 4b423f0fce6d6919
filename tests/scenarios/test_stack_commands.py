"""./dev stack as its user has it: started, asked, broken, ended, with nothing left behind."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

from harness.penstock import PROGRAM, wait_until

TESTS = pathlib.Path(__file__).parents[1]
PARTS = {"primary", "replica", "redis", "engine gpu-a", "engine gpu-b", "engine gpu-c", "gateway a", "gateway b",
         "haproxy", "alertmanager", "prometheus"}


class Commands(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="penstock-stack-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.addCleanup(lambda: self.stack("down"))

    def stack(self, *words):
        """(exit code, what it said)"""
        done = subprocess.run([sys.executable, "-W", "ignore", "-m", "stack", *words], cwd=TESTS, text=True,
                              env={**os.environ, "PENSTOCK_STACK": str(self.folder), "PENSTOCK_BIN": str(PROGRAM)},
                              capture_output=True, check=False, timeout=120)
        return done.returncode, done.stdout + done.stderr

    def up(self):
        code, said = self.stack("up", "--free-ports")
        self.assertEqual(code, 0, said)
        self.assertIn("curl http://127.0.0.1:", said)
        state = json.loads((self.folder / "parts.json").read_text())
        self.assertEqual(set(state["parts"]), PARTS)
        self.pids = {name: part["pid"] for name, part in state["parts"].items()}
        return state

    def there(self):
        return {name for name, pid in self.pids.items() if pathlib.Path(f"/proc/{pid}").exists()}

    def test_it_says_what_is_broken_and_ends_whole(self):
        self.assertEqual(self.stack("status")[0], 1)
        state = self.up()
        self.assertEqual(self.stack("status")[0], 0)
        code, said = self.stack()
        self.assertEqual(code, 0)
        self.assertIn("runs already", said)
        os.kill(self.pids["engine gpu-b"], signal.SIGKILL)
        os.kill(self.pids["redis"], signal.SIGSTOP)
        code, said = self.stack("status")
        self.assertEqual(code, 1)
        self.assertRegex(said, r"engine gpu-b +IS GONE")
        self.assertRegex(said, r"redis +STANDS STILL")
        self.assertIn("Not well: redis, engine gpu-b", said)
        self.assertIn('"', (self.folder / "logs/gateway-a").read_text())
        self.assertEqual(self.stack("down")[0], 0)
        self.assertEqual(self.there(), set())
        folders = [part["folder"] for part in state["parts"].values() if part["folder"]]
        self.assertEqual([folder for folder in folders if pathlib.Path(folder).exists()], [])

    def test_what_a_killed_one_left_is_ended(self):
        state = self.up()
        os.kill(state["pid"], signal.SIGKILL)
        # What depends on that process ends with it; the others do not.
        wait_until(lambda: not self.there() & {"haproxy", "prometheus", "alertmanager"}, "these end")
        self.assertIn("gateway a", self.there())
        self.assertIn("./dev stack down ends them", self.stack("status")[1])
        code, said = self.stack("down")
        self.assertEqual(code, 0)
        self.assertIn("gateway a", said)
        wait_until(lambda: not self.there(), "nothing is left")

    def test_a_word_that_means_nothing_is_refused(self):
        self.assertEqual(self.stack("dwon")[0], 2)
        self.assertEqual(self.stack("load", "many")[0], 2)


if __name__ == "__main__":
    unittest.main()
