"""Processes that are started, pinned, measured and ended. Linux, Python's own library only."""

import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time

FILES = 65536


class Failure(Exception):
    """The run cannot go on; the text says why."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def allow_files():
    """Raises this process's limit of open files as far as it may; returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (max(hard, FILES), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            break
        except (ValueError, OSError):
            continue
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def descendants(pid):
    """The process and all below it."""
    parents = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat") as f:
                parents[int(entry)] = int(f.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [pid]
    for parent in found:
        found += [child for child, its in parents.items() if its == parent]
    return found


def cpu_us(pid):
    """CPU time that the process, its threads and children have used, in microseconds."""
    total = 0
    for each in descendants(pid):
        try:
            for task in os.listdir(f"/proc/{each}/task"):
                with open(f"/proc/{each}/task/{task}/schedstat") as f:
                    total += int(f.read().split()[0])
        except OSError:
            continue
    return total / 1000


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    raise Failure(f"process {pid} is gone")


class Server:
    """A program that listens. Ends with the `with` block, whatever happens in it."""

    def __init__(self, name, command, port, core, log, path="/", started=None):
        self.name, self.port, self.log = name, port, log
        self.began = time.monotonic()
        with open(log, "wb") as out:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                preexec_fn=lambda: os.sched_setaffinity(0, {core}))
        self.pid = self.process.pid
        try:
            self.wait_for(path)
        except BaseException:
            self.end()
            raise

    def wait_for(self, path):
        """Until it answers 200 on `path`, or, where that is None, until it accepts."""
        while time.monotonic() < self.began + 15:
            if self.process.poll() is not None:
                break
            try:
                if path is None:
                    socket.create_connection(("127.0.0.1", self.port), 1).close()
                else:
                    connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
                    connection.request("GET", path)
                    if connection.getresponse().status != 200:
                        raise OSError("not ready")
                    connection.close()
                self.ready_after = time.monotonic() - self.began
                return
            except (OSError, http.client.HTTPException):
                time.sleep(0.0005)
        with open(self.log, errors="replace") as f:
            tail = "".join(f.readlines()[-10:])
        raise Failure(f"{self.name} did not start:\n{tail}")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def cpu_us(self):
        return cpu_us(self.pid)

    def rss_kib(self):
        return rss_kib(self.pid)

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def run(command, core, timeout, good=(0,)):
    """Runs a load generator on one core; its standard output."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        timeout=timeout, preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    if done.returncode not in good:
        raise Failure(f"{' '.join(command)}\nended with {done.returncode}:\n"
                      + done.stderr.decode(errors="replace")[-2000:])
    return done.stdout.decode()


def last_json(text, prefix=""):
    for line in reversed(text.splitlines()):
        if line.startswith(prefix + "{"):
            return json.loads(line[len(prefix):])
    raise Failure(f"no figures in:\n{text[-2000:]}")
