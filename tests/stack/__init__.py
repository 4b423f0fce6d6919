"""All that Penstock is run with, on loopback, from Debian's packages:

    clients -> HAProxy -> two gateways -> three simulated engines
                             |-> Redis, PostgreSQL with a replica
               Prometheus -> Alertmanager -> the gateways' incidents

Each part is the one that the tests use; what HAProxy, Prometheus and Alertmanager are told is what
deploy/ has, with the addresses filled in.
"""

import os
import contextlib
import pathlib
import socket
import sys

from harness.alertmanager import Alertmanager
from harness.haproxy import HAProxy
from harness.keys import make_key
from harness.penstock import Gateway, Process, wait_until
from harness.postgres import Postgres
from harness.prometheus import Prometheus
from harness.redis_server import RedisServer, free_port
from harness.watching import alertmanager_config, prometheus_config

ENGINES = {"small": "gpu-a", "large": "gpu-b", "embed": "gpu-c"}  # by their model


# Where each part is looked for. The API's and the admin listener's are those of a gateway by itself, so that
# `penstock ask` and `penstock cache` find them; Redis and PostgreSQL leave theirs to the machine's own.
PORTS = {"api": 8080, "admin a": 8081, "admin b": 8082, "gateway a": 8091, "gateway b": 8092,
         "gpu-a": 9001, "gpu-b": 9002, "gpu-c": 9003, "haproxy": 8405, "prometheus": 9090, "alertmanager": 9093,
         "redis": 16379, "primary": 15432, "replica": 15433}


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what has ended may still be remembered
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Stack:
    """`hold`: as in prometheus_config(). `ports`: those that are wanted, as in PORTS; free ones for all else.
    `tell` is called with the stack whenever there is something new in it."""

    # All clients have one address here, and are no flood.
    EDGE = 100_000

    def __init__(self, folder, hold=None, ports=None, tell=lambda stack: None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "logs").mkdir(exist_ok=True)
        self.parts = {}  # what there is to close, the first one last
        self.wanted, self.taken, self.tell = ports or {}, [], tell
        try:
            self.begin(hold)
        except BaseException:
            self.close()
            raise

    def begin(self, hold):
        self.primary = self.add("primary", Postgres(port=self.port("primary")))
        self.replica = self.add("replica", Postgres(self.primary, port=self.port("replica")))
        self.redis = self.add("redis", RedisServer(port=self.port("redis")))
        for name, log in (("primary", self.primary.folder / "log"), ("replica", self.replica.folder / "log"),
                          ("redis", pathlib.Path(self.redis.folder.name) / "log")):
            link = self.folder / "logs" / name
            link.unlink(missing_ok=True)
            link.symlink_to(log)
        self.engine_ports = {name: self.port(name) for name in ENGINES.values()}
        for name in ENGINES.values():
            self.start_engine(name)
        self.ports = {name: (self.port(f"gateway {name}"), self.port(f"admin {name}")) for name in "ab"}
        for name in "ab":
            self.start_gateway(name)
        self.key, self.key_id = make_key(self.primary.url("gateway"), "acme")
        with self.log("haproxy") as log:
            self.proxy = self.add("haproxy", HAProxy(self.ports["a"][0], self.ports["b"][0], self.EDGE,
                                                     self.port("api"), self.port("haproxy"), log))
        admins = [self.ports[name][1] for name in "ab"]
        with self.log("alertmanager") as log:
            self.manager = self.add("alertmanager", Alertmanager(
                alertmanager_config(self.folder, admins[0], wait="1s", interval="5s"), self.port("alertmanager"), log))
        own = self.port("prometheus")
        watches = prometheus_config(self.folder, admins, self.manager.port, self.proxy.stats_port, own, hold=hold)
        with self.log("prometheus") as log:
            self.prometheus = self.add("prometheus", Prometheus(None, config=watches, port=own, log=log))

    def add(self, name, part):
        self.parts[name] = part
        self.tell(self)
        return part

    def port(self, name):
        wanted = self.wanted.get(name)
        if wanted is None or is_free(wanted):
            return wanted or free_port()
        self.taken.append(wanted)
        return free_port()

    def log(self, name):
        """A file for what the part writes, behind what it wrote before."""
        return (self.folder / "logs" / name.replace(" ", "-")).open("ab")

    def engine(self, name):
        return self.parts[f"engine {name}"]

    def gateway(self, name):
        return self.parts[f"gateway {name}"]

    def start_engine(self, name):
        model = next(model for model, engine in ENGINES.items() if engine == name)
        engine = Process("engine", "--listen", f"127.0.0.1:{self.engine_ports[name]}", "--model", model,
                         "--first-token", "20ms", "--tokens", "40", "--tokens-per-second", "1000", log=self.log(name))
        self.add(f"engine {name}", engine).wait_for("listening on")

    def settings(self, name):
        public, admin = self.ports[name]
        return {
            "listen": {"address": f"127.0.0.1:{public}", "workers": 1},
            "admin": {"address": f"127.0.0.1:{admin}"},
            "engines": [{"name": engine, "kind": "openai", "url": f"http://127.0.0.1:{port}/v1",
                         "health": {"path": "/v1/models", "interval": "1s", "timeout": "1s"},
                         "price": {"input": 0.15, "output": 0.60}} for engine, port in self.engine_ports.items()],
            "models": [{"name": model, "engines": [engine]} for model, engine in ENGINES.items()],
            "cache": {"answers": "all", "redis": {"urls": [self.redis.url]}},
            "auth": {"mode": "keys"},
            "limits": {"requests": "100000/m"},
            "store": {"url": self.primary.url("gateway"), "replicas": [self.replica.url("gateway")]},
            "metrics": {"tenants": ["acme"]},
        }

    def start_gateway(self, name):
        folder = self.folder / f"gateway-{name}"
        folder.mkdir(exist_ok=True)
        env = {**os.environ, "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental"}
        self.add(f"gateway {name}", Gateway(self.settings(name), folder, env=env, log=self.log(f"gateway {name}")))

    def restart_gateway(self, name):
        """As a release does it: told to end, waited for, started again."""
        gateway = self.gateway(name)
        gateway.signal(15)
        gateway.wait(60)
        self.start_gateway(name)
        wait_until(lambda: name in self.proxy.up(), f"haproxy sees gateway {name} again")

    def places(self):
        """[(what, where)] for whoever looks."""
        local = "http://127.0.0.1:"
        return [("API, through HAProxy", f"{local}{self.proxy.port}/v1"), ("a key for it", self.key),
                ("its models", ", ".join(ENGINES)),
                *((f"admin of gateway {name}", f"{local}{admin}") for name, (_, admin) in self.ports.items()),
                ("HAProxy's metrics", f"{local}{self.proxy.stats_port}/metrics"),
                ("Prometheus", f"{local}{self.prometheus.port}"),
                ("Alertmanager", f"{local}{self.manager.port}"),
                ("incidents", f"{local}{self.ports['a'][1]}/admin/v1/incidents"),
                ("Redis", self.redis.url), ("PostgreSQL", self.primary.own_url("gateway")),
                ("its replica", self.replica.own_url("gateway"))]

    def close(self):
        """All of it, whatever has ended already or does not want to."""
        for name, part in reversed(self.parts.items()):
            if name.startswith("gateway") and part.running():
                with self.going_on(name):
                    part.go_on()
                    part.signal(2)
                    part.wait(20)
        for name, part in reversed(self.parts.items()):
            with self.going_on(name):
                (getattr(part, "close", None) or getattr(part, "kill", None) or part.__exit__)()
        self.parts = {}

    @staticmethod
    @contextlib.contextmanager
    def going_on(name):
        try:
            yield
        except Exception as error:  # pylint: disable=broad-except
            print(f"{name} did not end well: {error}", file=sys.stderr)
