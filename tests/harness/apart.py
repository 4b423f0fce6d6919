"""A module of the harness that runs in a process of its own, and prints one line of JSON at its end."""

import json
import subprocess
import sys


class Apart:
    """The process, in a script's hands: `python3 -m MODULE ARGUMENTS`."""

    def __init__(self, module, *arguments, patience):
        self._patience = patience  # seconds for its end, once it has said what it did
        self._process = subprocess.Popen([sys.executable, "-W", "ignore", "-m", module, *map(str, arguments)],
                                         text=True, stdout=subprocess.PIPE)

    def wait(self):
        line = self._process.stdout.readline()
        self._process.stdout.close()
        self._process.wait(timeout=self._patience)
        return json.loads(line)

    def close(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
