"""All that Penstock is run with, on loopback, from Debian's packages:

    clients -> HAProxy -> two gateways -> three simulated engines
                             |-> Redis, PostgreSQL with a replica
               Prometheus -> Alertmanager -> the gateways' incidents

Each part is the one that the tests use; what HAProxy, Prometheus and Alertmanager are told is what
deploy/ has, with the addresses filled in.
"""

import pathlib

from harness.alertmanager import Alertmanager
from harness.haproxy import HAProxy
from harness.keys import make_key
from harness.penstock import Gateway, Process, wait_until
from harness.postgres import Postgres
from harness.prometheus import Prometheus
from harness.redis_server import RedisServer, free_port
from harness.watching import alertmanager_config, prometheus_config

ENGINES = {"small": "gpu-a", "large": "gpu-b", "embed": "gpu-c"}  # by their model


class Stack:
    """`hold`: as in prometheus_config()."""

    # All clients have one address here, and are no flood.
    EDGE = 100_000

    def __init__(self, folder, hold=None, say=lambda text: None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.parts = {}  # what there is to close, the first one last
        try:
            self.begin(hold, say)
        except BaseException:
            self.close()
            raise

    def begin(self, hold, say):
        say("PostgreSQL, and a replica of it")
        self.primary = self.parts["primary"] = Postgres()
        self.replica = self.parts["replica"] = Postgres(self.primary)
        say("Redis")
        self.redis = self.parts["redis"] = RedisServer()
        say("three simulated engines")
        self.engine_ports = {name: free_port() for name in ENGINES.values()}
        for name in ENGINES.values():
            self.start_engine(name)
        say("two gateways")
        self.ports = {name: (free_port(), free_port()) for name in "ab"}
        for name in "ab":
            self.start_gateway(name)
        self.key, self.key_id = make_key(self.primary.url("gateway"), "acme")
        say("HAProxy")
        self.proxy = self.parts["haproxy"] = HAProxy(self.ports["a"][0], self.ports["b"][0], self.EDGE)
        say("Alertmanager and Prometheus")
        admins = [self.ports[name][1] for name in "ab"]
        self.manager = self.parts["alertmanager"] = Alertmanager(
            alertmanager_config(self.folder, admins[0], wait="1s", interval="5s"))
        own = free_port()
        watches = prometheus_config(self.folder, admins, self.manager.port, self.proxy.stats_port, own, hold=hold)
        self.prometheus = self.parts["prometheus"] = Prometheus(None, config=watches, port=own)

    def engine(self, name):
        return self.parts[f"engine {name}"]

    def gateway(self, name):
        return self.parts[f"gateway {name}"]

    def start_engine(self, name):
        model = next(model for model, engine in ENGINES.items() if engine == name)
        engine = Process("engine", "--listen", f"127.0.0.1:{self.engine_ports[name]}", "--model", model,
                         "--first-token", "20ms", "--tokens", "40", "--tokens-per-second", "1000")
        self.parts[f"engine {name}"] = engine
        engine.wait_for("listening on")

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
        }

    def start_gateway(self, name):
        folder = self.folder / f"gateway-{name}"
        folder.mkdir(exist_ok=True)
        self.parts[f"gateway {name}"] = Gateway(self.settings(name), folder)

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

    def pids(self):
        return {name: part.process.pid for name, part in self.parts.items()}

    def close(self):
        for name, part in reversed(self.parts.items()):
            if name.startswith("gateway") and part.running():
                part.signal(2)
                part.wait(20)
        for part in reversed(self.parts.values()):
            (getattr(part, "close", None) or getattr(part, "kill", None) or (lambda p=part: p.__exit__()))()
        self.parts = {}
