"""What drills look at: a process as the system sees it, and a stream that says it is not whole."""

import contextlib
import json
import os
import pathlib
import threading


class Watch:
    """Memory and file descriptors of a process, as the system sees them; maxima as it goes."""

    def __init__(self, pid):
        self.pid = pid
        self.most_descriptors = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.wait(0.02):
            with contextlib.suppress(OSError):
                self.most_descriptors = max(self.most_descriptors, self.descriptors())

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def _memory(self, name):
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
        raise ProcessLookupError(self.pid)

    def memory(self):
        return self._memory("VmRSS:")

    def own_memory(self):
        """Without what is mapped of files: the ledger's spool comes and goes with the load, and its pages
        are the kernel's to take back."""
        return self._memory("RssAnon:") + self._memory("RssShmem:")

    def most_memory(self):
        """Since `forget`; the kernel's own figure, so that no peak falls between two looks."""
        return self._memory("VmHWM:")

    def forget(self):
        pathlib.Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        self.most_descriptors = 0

    def close(self):
        self._stop.set()
        self._thread.join()


def broken_off(answer):
    """True if a stream says itself that it is not whole: an error event at its end, and no [DONE]."""
    events = [line[5:].strip() for line in answer.body.decode("utf-8", "replace").split("\n")
              if line.startswith("data:")]
    return (answer.status == 200 and bool(events) and "[DONE]" not in events
            and events[-1].startswith("{") and "error" in json.loads(events[-1]))
