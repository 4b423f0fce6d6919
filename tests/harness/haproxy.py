"""A real HAProxy with deploy/haproxy/haproxy.cfg, on free ports.

    with HAProxy(gateway_a.port, gateway_b.port) as proxy:
        proxy.port, proxy.stats_port
"""

import ctypes
import os
import pathlib
import signal
import subprocess

from harness.penstock import wait_until
from harness.redis_server import free_port

CONFIG = pathlib.Path(__file__).parents[2] / "deploy/haproxy/haproxy.cfg"


class HAProxy:
    def __init__(self, a, b, edge=1000, port=None, stats_port=None, log=None):
        self.port, self.stats_port = port or free_port(), stats_port or free_port()
        libc = ctypes.CDLL(None)
        self.process = subprocess.Popen(
            ["haproxy", "-db", "-f", CONFIG], stdin=subprocess.DEVNULL, stdout=log or subprocess.DEVNULL,
            stderr=log or subprocess.DEVNULL, preexec_fn=lambda: libc.prctl(1, signal.SIGKILL),  # PR_SET_PDEATHSIG
            env={**os.environ, "PENSTOCK_BIND": f"127.0.0.1:{self.port}", "PENSTOCK_A": f"127.0.0.1:{a}",
                 "PENSTOCK_B": f"127.0.0.1:{b}", "PENSTOCK_STATS": f"127.0.0.1:{self.stats_port}",
                 "PENSTOCK_EDGE": str(edge)})
        wait_until(lambda: self.up() == {"a", "b"}, "haproxy sees both gateways")

    def metrics(self):
        done = subprocess.run(["curl", "-sf", f"http://127.0.0.1:{self.stats_port}/metrics"], capture_output=True,
                              text=True, check=False)
        return done.stdout

    def up(self):
        """The gateways that get requests."""
        lines = self.metrics().splitlines()
        return {name for name in "ab" for line in lines
                if line.startswith("haproxy_server_status{") and f'server="{name}"' in line and 'state="UP"' in line
                and line.endswith(" 1")}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
