"""34: the disk is full: requests are served, and what is dropped is counted.

The database and its spool lie on 8 MiB of their own (a tmpfs that only the gateway sees), which are
filled up under load. Rows wait in memory then, up to the queue's bound; what comes after is dropped,
and said. When there is room again rows are written again, and each request is a row or counted as dropped.
"""

import contextlib
import os
import pathlib
import shutil
import subprocess

from drills import ledger
from drills.drill import wait_until
from drills.stores import ALL, StoreDrill
from harness.penstock import Gateway, merged

SIZE, MORE = "8m", "64m"


def own_mounts():
    """Before a command: it gets mounts of its own, which needs root or a namespace in which one is it."""
    words = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    mounts = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    if not any(line.split()[4] == "/" for line in mounts):  # in a chroot: / cannot be made private
        words += ["--propagation", "unchanged"]
    return words


class TheDrill(StoreDrill):
    def store(self):
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        self.queue = self.pick(1500, 1000)
        # One worker: the spool of each takes some of the disk for itself beforehand.
        return {"url": f"sqlite:{self.disk}/penstock.db", "usage": {"queue": self.queue}}

    def settings(self):
        return merged(super().settings(), {"listen": {"workers": 1}})

    def launch(self, config):
        mount = f'mount -t tmpfs -o size={SIZE},mode=0700 penstock "$0" && exec "$@"'
        gateway = Gateway(config, self.folder, within=[*own_mounts(), "sh", "-c", mount, str(self.disk)])
        self._exit.callback(self.unmount)
        # The disk as the gateway has it; it stays there when the gateway has ended.
        inside = os.open(f"/proc/{gateway.process.pid}/root{self.disk}", os.O_PATH | os.O_DIRECTORY)
        self._exit.callback(lambda: os.close(inside))
        self.real = pathlib.Path(f"/proc/self/fd/{inside}")
        return gateway

    def unmount(self):
        """In a chroot the mount may have been seen outside, and be there still."""
        if self.disk.is_mount():
            subprocess.run(["umount", "--lazy", self.disk], check=True)

    def rehearse(self):
        """Without the full disk: what is dropped in the first run would be missing in the second."""
        with self.load() as load:
            load.go_on(0, self.pick(1500, 50))

    def fault(self):
        figures = self.figures
        figures.at_most("the disk", os.statvfs(self.real).f_blocks * os.statvfs(self.real).f_frsize, 8 * 2 ** 20, "B")
        written = self.written()
        self.fill()
        figures.at_most("left of it when it is full", self.left(), 64 * 1024, "B")
        with self.load(clients=8, pause=0.0) as load:
            wait_until(lambda: load.count > self.queue and self.dropped() > 0, "more than may wait", 60)
        during, dropped = self.written() - written, self.dropped()
        figures.at_least("requests on a full disk", load.count, self.queue)
        figures.equal("of them failed", load.failed, 0)
        figures.note("rows written meanwhile", str(during))
        figures.at_least("rows counted as dropped", dropped, 1)
        self.until(lambda: "usage rows are dropped" in self.gateway.output)
        figures.equal("said in the log", "usage rows are dropped" in self.gateway.output, True)

        waiting = self.metric("penstock_usage_queue_records")
        self.make_room()
        figures.note("rows that waited for room", str(waiting))
        before = self.written()
        _, took = self.timed(lambda: self.until(lambda: self.written() >= before + waiting))
        figures.at_most("until they are written", took, 15.0, "s")
        figures.at_least("of them written", self.written() - before, waiting)
        before, dropped, answers = self.written(), self.dropped(), self.pick(500, 40)
        statuses = self.many(8, lambda i: [self.ask_with_key(f"afterwards {i} {j}").status
                                           for j in range(answers // 8)])
        figures.equal("requests that fail when there is room", sum(s != 200 for some in statuses for s in some), 0)
        self.until(lambda: self.written() >= before + answers)
        figures.at_least("rows written when there is room", self.written() - before, answers)
        figures.equal("rows dropped when there is room", self.dropped() - dropped, 0)
        self.lost = self.dropped()

    @staticmethod
    def until(condition):
        with contextlib.suppress(AssertionError):
            wait_until(condition, "rows are written again", 20)

    def written(self):
        return self.metric("penstock_usage_records_total", result="written")

    def dropped(self):
        return self.metric("penstock_usage_records_total", result="dropped")

    def left(self):
        disk = os.statvfs(self.real)
        return disk.f_bavail * disk.f_frsize

    def fill(self):
        """All of it: what is given back meanwhile is taken too."""
        with open(self.real / "filler", "ab", buffering=0) as filler:
            with contextlib.suppress(OSError):
                while filler.write(b"x" * 4096):
                    pass

    def make_room(self):
        """The filler goes, and the disk becomes larger, so that what waits has its place beside the spool."""
        (self.real / "filler").unlink()
        who = ["--mount"] if os.geteuid() == 0 else ["--user", "--preserve-credentials", "--mount"]
        subprocess.run(["nsenter", "--target", str(self.gateway.process.pid), "--root", *who,
                        "mount", "-o", f"remount,size={MORE}", str(self.disk)], check=True)

    def questions_in_ledger(self):
        """Those that were dropped are counted too: none is lost without a word."""
        copy = self.folder / "copy"
        shutil.copytree(self.real, copy)
        return ledger.ask(copy / "penstock.db", ALL) + self.lost
