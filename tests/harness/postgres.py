"""A real PostgreSQL 15 for scenarios and drills: a primary, a streaming replica, pgbouncer in front.

    with Postgres() as primary, Postgres(primary) as replica, Bouncer(primary) as bouncer:
        settings = {"store": {"url": primary.url("gateway"), "replicas": [replica.url("gateway")]}}
        primary.sql("SELECT count(*) FROM usage", "gateway")
        primary.pause(); primary.go_on()       # SIGSTOP and SIGCONT, for all of its processes
        primary.kill(); primary.start()        # kill -9
        replica.promote()

Everything lives in a temporary folder, on free ports, as the user postgres where this is root, and ends
by its own process id: also when the script is killed.

    python3 -m harness.postgres COMMAND...     runs a command with a database: $PENSTOCK_DATABASE
"""

import ctypes
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from harness.penstock import CANARY, stop_process

BIN = pathlib.Path("/usr/lib/postgresql/15/bin")
BOUNCER = pathlib.Path("/usr/sbin/pgbouncer")
PASSWORD = f"database-{CANARY}"


class Missing(RuntimeError):
    """A program that is not installed."""


def need(program):
    if not program.exists():
        raise Missing(f"{program} is not there: apt-get install postgresql-15 pgbouncer")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def as_postgres():
    """What makes a child one of the user postgres, and lets it end with this process."""
    owner = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    libc = ctypes.CDLL(None)

    def become():
        if owner:
            os.initgroups("postgres", owner.pw_gid)
            os.setgid(owner.pw_gid)
            os.setuid(owner.pw_uid)
        libc.prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG

    return become


def own_folder(name):
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"penstock-{name}-"))
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    return folder


def run(*words, **more):
    done = subprocess.run(words, preexec_fn=as_postgres(), stdin=subprocess.DEVNULL, cwd="/tmp",
                          capture_output=True, text=True, **more)
    if done.returncode != 0:
        raise RuntimeError(f"{words[0]} failed: {done.stderr.strip()}")
    return done.stdout


def wait_for(what, done, seconds=30):
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.02)


class Postgres:
    """A primary, or the replica of one. `settings` are postgresql.conf's: max_connections=5."""

    def __init__(self, of=None, port=None, **settings):
        need(BIN / "postgres")
        self.folder = own_folder("postgres")
        self.data = self.folder / "data"
        self.port = port or free_port()
        self.settings = {"fsync": "off", "max_connections": 100, "wal_keep_size": "256MB",
                         "max_wal_size": "2GB", "wal_receiver_timeout": "2s",
                         "wal_retrieve_retry_interval": "200ms", **settings}
        self.process = None
        if of is None:
            run(BIN / "initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8",
                "--locale=C.UTF-8")
            (self.data / "pg_hba.conf").write_text(
                "host all penstock 127.0.0.1/32 scram-sha-256\n"
                "host all postgres 127.0.0.1/32 trust\n"
                "host replication postgres 127.0.0.1/32 trust\n")
            self.start()
            self.sql(f"CREATE ROLE penstock LOGIN CREATEDB PASSWORD '{PASSWORD}'")
            self.sql("CREATE DATABASE gateway OWNER penstock")
        else:
            run(BIN / "pg_basebackup", "-D", self.data, "-R", "-X", "stream", "-c", "fast", "--no-sync",
                "-d", of.own_url("postgres"))
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        words = [BIN / "postgres", "-D", self.data, "-c", f"port={self.port}", "-c", "listen_addresses=127.0.0.1",
                 "-c", "unix_socket_directories="]
        for name, value in self.settings.items():
            words += ["-c", f"{name}={value}"]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(words, preexec_fn=as_postgres(), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd="/tmp")
        wait_for("PostgreSQL starts", self.answers)

    def answers(self):
        if self.process.poll() is not None:
            raise RuntimeError("PostgreSQL ended: " + (self.folder / "log").read_text()[-2000:])
        return subprocess.run([BIN / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)],
                              check=False).returncode == 0

    def end(self, number):
        if self.process is None:
            return
        self.go_on()
        self.process.send_signal(number)
        self.process.wait()
        self.process = None

    def stop(self):
        """As `pg_ctl stop -m immediate` does."""
        self.end(signal.SIGQUIT)

    def kill(self):
        self.end(signal.SIGKILL)

    def pause(self):
        self.for_all(stop_process)

    def go_on(self):
        self.for_all(lambda pid: os.kill(pid, signal.SIGCONT))

    def for_all(self, act):
        """The postmaster first, so that it makes no more children."""
        act(self.process.pid)
        for child in self.children():
            try:
                act(child)
            except ProcessLookupError:
                pass

    def children(self):
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            if int(parent) == self.process.pid:
                yield int(entry.name)

    def promote(self):
        self.sql("SELECT pg_promote(true)")

    def url(self, database="gateway", options=""):
        """As the gateway has it, with a password."""
        return f"postgresql://penstock:{PASSWORD}@127.0.0.1:{self.port}/{database}{options}"

    def own_url(self, database="gateway"):
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def sql(self, text, database="postgres"):
        """What psql prints: rows as lines, columns divided by |."""
        return run(BIN / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.own_url(database),
                   "-c", text).strip()

    def caught_up(self, replica):
        """Whether the replica has all that the primary had written when this was called."""
        at = self.sql("SELECT pg_current_wal_lsn()")
        return lambda: replica.sql(f"SELECT pg_last_wal_replay_lsn() >= '{at}'") == "t"


class Bouncer:
    """pgbouncer in transaction mode, as a gateway's operator would run it."""

    def __init__(self, of, size=4):
        need(BOUNCER)
        self.folder = own_folder("bouncer")
        self.port = free_port()
        (self.folder / "users.txt").write_text(f'"penstock" "{PASSWORD}"\n')
        (self.folder / "bouncer.ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={of.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {self.port}\nunix_socket_dir =\nauth_type = scram-sha-256\n"
            f"auth_file = {self.folder}/users.txt\npool_mode = transaction\ndefault_pool_size = {size}\n")
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([BOUNCER, "-q", self.folder / "bouncer.ini"], stdin=subprocess.DEVNULL,
                                            preexec_fn=as_postgres(), stdout=log, stderr=log, cwd="/tmp")
        wait_for("pgbouncer starts", self.answers)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def answers(self):
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def url(self, database="gateway", options=""):
        return f"postgresql://penstock:{PASSWORD}@127.0.0.1:{self.port}/{database}{options}"

    def close(self):
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def main(words):
    with Postgres() as primary:
        return subprocess.run(words, env={**os.environ, "PENSTOCK_DATABASE": primary.url()}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
