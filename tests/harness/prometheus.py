"""A real Prometheus that scrapes what it is told to, on a free port, in a folder of its own.

    with Prometheus(gateway.admin_port) as prometheus:
        prometheus.wait_for('up == 1')
        prometheus.query('rate(penstock_http_requests_total[5s])')
"""

import contextlib
import ctypes
import http.client
import json
import pathlib
import signal
import subprocess
import tempfile
import urllib.parse

from harness.penstock import LIMIT, wait_until
from harness.redis_server import free_port

CONFIG = """
global: {scrape_interval: 250ms, scrape_timeout: 250ms}
scrape_configs:
  - job_name: penstock
    static_configs: [{targets: ["127.0.0.1:%d"]}]
"""


class Prometheus:
    """`config`: a file of its own, in place of one that scrapes `target`."""

    def __init__(self, target, *features, config=None, port=None, log=None):
        self.folder = tempfile.TemporaryDirectory(prefix="penstock-prometheus-")
        if config is None:
            config = pathlib.Path(self.folder.name) / "prometheus.yml"
            config.write_text(CONFIG % target)
        self.port = port or free_port()
        libc = ctypes.CDLL(None)
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={self.folder.name}/data",
             f"--web.listen-address=127.0.0.1:{self.port}", *(f"--enable-feature={one}" for one in features)],
            stdin=subprocess.DEVNULL, stdout=log or subprocess.DEVNULL, stderr=log or subprocess.DEVNULL,
            preexec_fn=lambda: libc.prctl(1, signal.SIGKILL))  # PR_SET_PDEATHSIG
        wait_until(lambda: self.get("/-/ready") is not None, "prometheus is ready")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    def get(self, path):
        """The body of a good answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
        with contextlib.closing(connection):
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                body = answer.read()
            except OSError:
                return None
            return body if answer.status == 200 else None

    def query(self, expression):
        """[({label: value}, number)]"""
        body = self.get("/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        if body is None:
            raise AssertionError(f"prometheus refuses {expression}")
        return [(one["metric"], float(one["value"][1])) for one in json.loads(body)["data"]["result"]]

    def alerts(self):
        """The names of those that fire."""
        alerts = json.loads(self.get("/api/v1/alerts"))["data"]["alerts"]
        return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}

    def rules(self):
        groups = json.loads(self.get("/api/v1/rules"))["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def wait_for(self, expression):
        return wait_until(lambda: self.query(expression), f"{expression} has a value")
