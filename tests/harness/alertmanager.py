"""A real Alertmanager, on a free port, in a folder of its own.

    with Alertmanager(config_file) as alertmanager:
        alertmanager.port
"""

import ctypes
import http.client
import signal
import subprocess
import tempfile

from harness.penstock import LIMIT, wait_until
from harness.redis_server import free_port


class Alertmanager:
    def __init__(self, config, port=None, log=None):
        self.folder = tempfile.TemporaryDirectory(prefix="penstock-alertmanager-")
        self.port = port or free_port()
        libc = ctypes.CDLL(None)
        self.process = subprocess.Popen(
            ["prometheus-alertmanager", f"--config.file={config}", f"--storage.path={self.folder.name}",
             f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address="],
            stdin=subprocess.DEVNULL, stdout=log or subprocess.DEVNULL, stderr=log or subprocess.DEVNULL,
            preexec_fn=lambda: libc.prctl(1, signal.SIGKILL))  # PR_SET_PDEATHSIG
        wait_until(self.ready, "alertmanager is ready")

    def ready(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
        try:
            connection.request("GET", "/-/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()
