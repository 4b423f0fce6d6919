"""A redis-server of Debian's, on a free port, in a folder of its own.

    server = RedisServer()
    server.kill(); server.start()        # the same port again
    server.ask("GET", "key")             # one command, its answer as bytes, int, None or list

Only the process that was started here is signalled.
"""

import signal
import socket
import subprocess
import tempfile

from harness.penstock import wait_until


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RedisServer:
    def __init__(self, *arguments):
        self.arguments = arguments
        self.folder = tempfile.TemporaryDirectory(prefix="penstock-redis-")
        self.process = None
        # Another program may take the port between our look and the server's.
        for _ in range(5):
            self.port = free_port()
            self.start()
            if self.process.poll() is None:
                return
        raise AssertionError("redis-server does not start")

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--dir", self.folder.name, "--logfile", f"{self.folder.name}/log", *self.arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: self.process.poll() is not None or self._answers(), "redis-server answers")

    def _answers(self):
        try:
            return self.ask("PING") == b"PONG"
        except OSError:
            return False
        except AssertionError:
            return True  # an error, such as that it is loading

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        self.go_on()
        self.kill()
        self.folder.cleanup()

    def ask(self, *words):
        words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(b"*%d\r\n" % len(words) +
                               b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
            with connection.makefile("rb") as answer:
                return self._value(answer)

    def _value(self, answer):
        line = answer.readline()
        if not line:
            raise ConnectionError("no answer")
        tag, rest = line[:1], line[1:-2]
        if tag == b"$":
            return None if rest == b"-1" else answer.read(int(rest) + 2)[:-2]
        if tag == b"*":
            return [self._value(answer) for _ in range(int(rest))]
        if tag == b"-":
            raise AssertionError(rest.decode())
        return int(rest) if tag == b":" else rest
