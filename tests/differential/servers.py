"""What the same bytes are sent to: nginx, HAProxy and the gateway, each in front of the raw engine."""

import asyncio
import collections
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

from differential.strict import Ambiguous, take_request
from harness.penstock import BASE, LIMIT, Gateway, merged

# A client that sends no more is told so after this time, by each of the three: how it is seen that a
# server waits for more of a request. Long for a machine that is busy.
PATIENCE_MS = 1000

NUMBER = re.compile(r"t=(\d{8})")

NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid;
error_log {folder}/nginx.log; {user}
events {{ worker_connections 2048; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  client_header_timeout {patience}ms; client_body_timeout {patience}ms; keepalive_timeout {patience}ms;
  lingering_time 1s; lingering_timeout 100ms;
  upstream engine {{ server 127.0.0.1:{engine}; keepalive 16; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://engine; proxy_http_version 1.1; proxy_set_header Connection "";
    }}
  }}
}}
"""

HAPROXY = """
global
  maxconn 4000
defaults
  mode http
  timeout connect 5s
  timeout server 5s
  timeout client {patience}ms
  timeout http-request {patience}ms
  timeout http-keep-alive {patience}ms
frontend front
  bind 127.0.0.1:{port}
  default_backend engine
backend engine
  server one 127.0.0.1:{engine}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RawEngine:
    """One socket server: sees how many requests come, and where each ends, and answers each."""

    def __init__(self, name):
        self.name = name
        self.requests = collections.defaultdict(list)  # by the number of the attack
        self.ambiguous = []  # (why, the bytes)
        self.server = None

    async def start(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=512)
        self.port = self.server.sockets[0].getsockname()[1]

    async def _serve(self, reader, writer):
        data = b""
        try:
            while more := await reader.read(65536):
                data += more
                while taken := take_request(data):
                    request, size = taken
                    data = data[size:]
                    number = NUMBER.search(request.target)
                    self.requests[number.group(1) if number else None].append(request)
                    writer.write(self._answer(request))
                await writer.drain()
        except Ambiguous as error:
            self.ambiguous.append((str(error), data))
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        except (ConnectionError, asyncio.CancelledError):
            pass  # the proxy left, or the comparison is over
        finally:
            writer.close()

    @staticmethod
    def _answer(request):
        echo = f"echo {request.method} {request.target} {len(request.body)};"
        body = json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "data": [],
                           "choices": [{"index": 0, "finish_reason": "stop",
                                        "message": {"role": "assistant", "content": echo}}]}).encode()
        return (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                % (len(body), body))


class Proxy:
    """nginx or HAProxy from Debian, on a free port."""

    def __init__(self, name, template, command, folder, engine):
        self.name, self.engine = name, engine
        for attempt in range(5):  # the port may be taken between now and then
            self.port = free_port()
            file = pathlib.Path(folder) / f"{name}.conf"
            file.write_text(template.format(folder=folder, port=self.port, engine=engine.port,
                                            patience=PATIENCE_MS,
                                            user="user root;" if os.geteuid() == 0 else ""))
            self.log = open(pathlib.Path(folder) / f"{name}.out", "ab")
            program = shutil.which(command[0]) or f"/usr/sbin/{command[0]}"
            self.process = subprocess.Popen([program, *command[1:], str(file)], cwd=folder,
                                            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
            if self._answers():
                return
            self.close()
        raise AssertionError(f"{name} does not start: see {folder}")

    def _answers(self):
        end = time.monotonic() + LIMIT
        while time.monotonic() < end and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self.process.poll() is None
            except OSError:
                time.sleep(0.01)
        return False

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=LIMIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


def nginx(folder, engine):
    return Proxy("nginx", NGINX, ["nginx", "-p", str(folder), "-c"], folder, engine)


def haproxy(folder, engine):
    return Proxy("haproxy", HAPROXY, ["haproxy", "-db", "-f"], folder, engine)


def penstock(folder, engine):
    patience = f"{PATIENCE_MS}ms"
    gateway = Gateway(merged(BASE, {
        "listen": {"limits": {"first_header": patience, "body": patience, "idle": patience}},
        "engines": [{"name": "e", "kind": "openai", "url": f"http://127.0.0.1:{engine.port}/v1"}],
        "models": [{"name": "handbook", "engines": ["e"]}, {"name": "*", "engines": ["e"]}],
        "cache": {"answers": "off"}}), folder)
    gateway.name, gateway.engine = "penstock", engine
    return gateway


def versions():
    """Of the other two."""
    said = []
    for command in (["nginx", "-v"], ["haproxy", "-v"]):
        program = shutil.which(command[0]) or f"/usr/sbin/{command[0]}"
        output = subprocess.run([program, command[1]], capture_output=True, text=True, check=True)
        said.append(re.search(r"[\w/ ]*\d+\.\d+\.\d+\S*", output.stdout + output.stderr).group(0))
    return ", ".join(said)


