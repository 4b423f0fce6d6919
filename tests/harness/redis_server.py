"""redis-servers, and valkey-servers, of Debian's, on free ports, in folders of their own.

    server = RedisServer()
    server.kill(); server.start()        # the same port again
    server.ask("GET", "key")             # one command, its answer as bytes, int, None or list

    cluster = RedisCluster(3, replicas=1)
    cluster.urls; cluster.kill(0)        # its replica takes over
    cluster.move_slot(cluster.slot("key"), to=2)

    service = RedisSentinel()            # a master, a replica, three sentinels
    service.urls; service.name
    service.kill(0); service.master      # another one, soon

Only processes that were started here are signalled.
"""

import pathlib
import signal
import socket
import subprocess
import tempfile

from harness.penstock import stop_process, wait_until


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RedisServer:
    def __init__(self, *arguments, config=None, program="redis-server", port=None):
        """`config`: the text of a file that the server rewrites, as a sentinel does."""
        self.program = program
        self.arguments = arguments
        self.folder = tempfile.TemporaryDirectory(prefix="penstock-redis-")
        self.config = ()
        if config is not None:
            self.config = (f"{self.folder.name}/conf",)
            pathlib.Path(self.config[0]).write_text(config)
        self.process = None
        # Another program may take the port between our look and the server's.
        for _ in range(5):
            self.port = port or free_port()
            self.start()
            if self.process.poll() is None:
                return
        raise AssertionError(f"{program} does not start")

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def start(self):
        self.process = subprocess.Popen(
            [self.program, *self.config, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--dir", self.folder.name, "--logfile", f"{self.folder.name}/log", *self.arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: self.process.poll() is not None or self._answers(), f"{self.program} answers")

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
        stop_process(self.process.pid)

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


class RedisCluster:
    """Masters 0 .. masters - 1 with equal shares of the slots; replica i of master j is node
    masters + j * replicas + i."""

    SLOTS = 16384

    def __init__(self, masters=3, replicas=0, *arguments, node_timeout_ms=1000):
        self.nodes, self.bus = [], []
        for _ in range(masters * (1 + replicas)):
            port = free_port()
            self.bus.append(port)
            self.nodes.append(RedisServer(
                "--cluster-enabled", "yes", "--cluster-port", str(port),
                "--cluster-node-timeout", str(node_timeout_ms),
                "--repl-diskless-sync-delay", "0", *arguments))
        for i, node in enumerate(self.nodes):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
            if i < masters:
                node.ask("CLUSTER", "ADDSLOTSRANGE", self.SLOTS * i // masters,
                         self.SLOTS * (i + 1) // masters - 1)
            if i > 0:
                self.nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", node.port, self.bus[i])
        wait_until(lambda: all(self._agrees(node) for node in self.nodes), "the cluster agrees")
        for i, node in enumerate(self.nodes[masters:]):
            node.ask("CLUSTER", "REPLICATE", self.id(i // replicas))
        wait_until(lambda: all(self.role(i) == "slave" and self._has_copy(i)
                               for i in range(masters, len(self.nodes))), "the replicas have a copy")

    @property
    def urls(self):
        return [node.url for node in self.nodes]

    def close(self):
        for node in self.nodes:
            node.close()

    def kill(self, i):
        self.nodes[i].kill()

    def start(self, i):
        self.nodes[i].start()

    def id(self, i):
        return self.nodes[i].ask("CLUSTER", "MYID").decode()

    def role(self, i):
        return self.nodes[i].ask("ROLE")[0].decode()

    def slot(self, key):
        return self._alive().ask("CLUSTER", "KEYSLOT", key)

    def owner(self, slot):
        """Which node has the slot; None: nobody."""
        for first, last, master, *_ in self._alive().ask("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(i for i, node in enumerate(self.nodes) if node.port == master[1])
        return None

    def move_slot(self, slot, to):
        """With its keys, as redis-cli --cluster reshard does."""
        start = self.owner(slot)
        source, target = self.nodes[start], self.nodes[to]
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", self.id(start))
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", self.id(to))
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 10):
            source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        # The new owner first: else both would send to each other.
        for node in [target, *(n for n in self.nodes if n is not target)]:
            if node.process.poll() is None and node.ask("ROLE")[0] == b"master":
                node.ask("CLUSTER", "SETSLOT", slot, "NODE", self.id(to))

    def _alive(self):
        return next(node for node in self.nodes if node.process.poll() is None)

    def _agrees(self, node):
        info = node.ask("CLUSTER", "INFO")
        return all(text in info for text in (
            b"cluster_state:ok", b"cluster_known_nodes:%d\r" % len(self.nodes),
            b"cluster_slots_ok:%d\r" % self.SLOTS))

    def _has_copy(self, i):
        return b"master_link_status:up" in self.nodes[i].ask("INFO", "replication")


class RedisSentinel:
    """servers[0] is the master at first, servers[1] its replica; `urls` are the sentinels'."""

    name = "penstock"

    def __init__(self, sentinels=3):
        at_once = ("--repl-diskless-sync-delay", "0")
        self.servers = [RedisServer(*at_once)]
        self.servers.append(RedisServer(*at_once, "--replicaof", "127.0.0.1", str(self.servers[0].port)))
        # A sentinel asks a master for its replicas once in ten seconds.
        wait_until(lambda: b"master_link_status:up" in self.servers[1].ask("INFO", "replication"),
                   "the replica has a copy")
        config = (f"sentinel monitor {self.name} 127.0.0.1 {self.servers[0].port} {sentinels // 2 + 1}\n"
                  f"sentinel down-after-milliseconds {self.name} 500\n"
                  f"sentinel failover-timeout {self.name} 3000\n")
        self.sentinels = [RedisServer("--sentinel", config=config) for _ in range(sentinels)]
        wait_until(lambda: all(self._ready(sentinel) for sentinel in self.sentinels),
                   "the sentinels know each other and the replica")

    @property
    def urls(self):
        return [sentinel.url for sentinel in self.sentinels]

    @property
    def master(self):
        """Which server the sentinels name."""
        _, port = self.sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)
        return next(i for i, server in enumerate(self.servers) if server.port == int(port))

    def kill(self, i):
        self.servers[i].kill()

    def start(self, i):
        self.servers[i].start()

    def close(self):
        for server in (*self.sentinels, *self.servers):
            server.close()

    def _ready(self, sentinel):
        words = sentinel.ask("SENTINEL", "MASTER", self.name)
        known = dict(zip(words[::2], words[1::2]))
        return (known[b"num-other-sentinels"] == b"%d" % (len(self.sentinels) - 1) and
                known[b"num-slaves"] == b"1")
