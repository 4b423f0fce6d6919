"""The fault proxy itself: that each toxic does what it says, and that without any it is in nobody's way."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
import unittest

from harness.fault_proxy import FaultProxy
from harness.penstock import wait_until


class Echo:
    """A server that sends back what it gets, until it ends."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.ends = []  # how each connection ended
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            try:
                while data := connection.recv(1 << 18):
                    connection.sendall(data)
                self.ends.append("end")
            except OSError as error:
                self.ends.append(type(error).__name__)

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Toxics(unittest.TestCase):
    def setUp(self):
        self.echo = Echo()
        self.addCleanup(self.echo.close)
        self.proxy = FaultProxy(self.echo.port)
        self.addCleanup(self.proxy.close)

    def connect(self):
        client = socket.create_connection(("127.0.0.1", self.proxy.port), timeout=20)
        self.addCleanup(client.close)
        return client

    def read(self, client, count):
        data = b""
        while len(data) < count and (more := client.recv(1 << 18)):
            data += more
        return data

    def echoed(self, client, data=b"hello"):
        """The seconds that the way there and back takes."""
        begin = time.monotonic()
        client.sendall(data)
        self.assertEqual(self.read(client, len(data)), data)
        return time.monotonic() - begin

    def test_healthy_it_passes_all_bytes_and_both_ends(self):
        client = self.connect()
        data = bytes(range(256)) * 40_000
        sender = threading.Thread(target=lambda: (client.sendall(data),
                                                  client.shutdown(socket.SHUT_WR)))
        sender.start()
        self.assertEqual(self.read(client, len(data) + 1), data)
        sender.join()
        wait_until(lambda: self.echo.ends == ["end"], "the client's end is passed on")
        wait_until(lambda: self.proxy.open == 0, "nothing stays open")

    def test_it_is_fast_enough_not_to_be_what_is_measured(self):
        client = self.connect()
        size = 64 * 1024 * 1024
        sender = threading.Thread(target=lambda: client.sendall(bytes(size)))
        begin = time.monotonic()
        sender.start()
        left = size
        while left:
            left -= len(client.recv(1 << 20))
        sender.join()
        rate = size / (time.monotonic() - begin) / 1e6
        print(f"both ways at once: {rate:.0f} MB/s")
        self.assertGreater(rate, 10)

    def test_latency_delays_and_keeps_the_order(self):
        client = self.connect()
        self.proxy.downstream.set(latency=0.2, jitter=0.05)
        self.assertGreaterEqual(self.echoed(client), 0.14)
        data = bytes(range(256)) * 4000
        # Late, but not slow: not 0.2 s for each piece.
        sender = threading.Thread(target=lambda: [client.sendall(data[i:i + 8192])
                                                  for i in range(0, len(data), 8192)])
        begin = time.monotonic()
        sender.start()
        self.assertEqual(self.read(client, len(data)), data)
        sender.join()
        self.assertLess(time.monotonic() - begin, 10)

    def test_a_change_reaches_who_waits_already(self):
        client = self.connect()
        self.proxy.upstream.set(latency=1000)
        client.sendall(b"hello")
        client.settimeout(0.1)
        with self.assertRaises(TimeoutError):
            client.recv(1)
        client.settimeout(20)
        self.proxy.clear()
        self.assertEqual(self.read(client, 5), b"hello")

    def test_bandwidth_is_kept(self):
        client = self.connect()
        self.proxy.downstream.set(bandwidth=100)
        seconds = self.echoed(client, bytes(50 * 1024))
        self.assertGreaterEqual(seconds, 0.44)

    def test_slow_close_delays_the_end_alone(self):
        client = self.connect()
        self.proxy.upstream.set(slow_close=0.3)
        self.assertLess(self.echoed(client), 10)
        begin = time.monotonic()
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(client.recv(1), b"")
        self.assertGreaterEqual(time.monotonic() - begin, 0.29)

    def test_timeout_swallows_and_then_closes(self):
        client = self.connect()
        self.echoed(client)
        self.proxy.downstream.set(timeout=0.3)
        begin = time.monotonic()
        client.sendall(b"lost")
        self.assertEqual(client.recv(10), b"")
        self.assertGreaterEqual(time.monotonic() - begin, 0.29)

    def test_timeout_zero_holds_the_connection_until_it_is_cleared(self):
        client = self.connect()
        self.proxy.upstream.set(timeout=0)
        client.sendall(b"lost")
        client.settimeout(0.2)
        with self.assertRaises(TimeoutError):
            client.recv(1)
        client.settimeout(20)
        self.proxy.clear()
        self.echoed(client, b"found")

    def test_reset_peer_resets_both_sides(self):
        client = self.connect()
        self.echoed(client)
        self.proxy.downstream.set(reset_peer=0.05)
        with self.assertRaises(ConnectionResetError):
            client.recv(1)
        wait_until(lambda: self.echo.ends == ["ConnectionResetError"], "the server's side is reset")

    def test_reset_after_bytes(self):
        self.proxy.downstream.set(reset_bytes=3)
        client = self.connect()
        client.sendall(b"hello")
        with self.assertRaises(ConnectionResetError):
            while client.recv(1):
                pass

    def test_reset_at_a_word(self):
        client = self.connect()
        self.echoed(client)
        self.proxy.reset()
        with self.assertRaises(ConnectionResetError):
            client.recv(1)
        wait_until(lambda: self.proxy.open == 0, "nothing stays open")
        self.echoed(self.connect())

    def test_slicer_cuts_into_pieces(self):
        client = self.connect()
        self.proxy.downstream.set(slicer=10, slicer_variation=5, slicer_delay=0.01)
        client.sendall(bytes(100))
        pieces = []
        while sum(pieces) < 100:
            pieces.append(len(client.recv(1000)))
        self.assertGreater(len(pieces), 3)
        self.assertLess(max(pieces), 100)

    def test_limit_data_closes_behind_so_many_bytes(self):
        self.proxy.downstream.set(limit_data=7)
        client = self.connect()
        client.sendall(b"hello, world")
        self.assertEqual(self.read(client, 100), b"hello, ")

    def test_a_server_that_is_away_is_a_reset(self):
        self.echo.close()
        with self.assertRaises(ConnectionResetError):
            self.connect().recv(1)

    def test_an_unknown_toxic_is_told(self):
        with self.assertRaisesRegex(ValueError, "latencey"):
            self.proxy.upstream.set(latencey=1)


class Command(unittest.TestCase):
    def test_it_follows_its_standard_input(self):
        echo = Echo()
        self.addCleanup(echo.close)
        with subprocess.Popen([sys.executable, "-m", "harness.fault_proxy", "--to",
                               f"127.0.0.1:{echo.port}", "--downstream", "limit_data=3"], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            port = int(process.stdout.readline().rpartition(":")[2])

            def answer():
                with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
                    client.sendall(b"hello")
                    client.shutdown(socket.SHUT_WR)
                    data = b""
                    while more := client.recv(10):
                        data += more
                    return data
            self.assertEqual(answer(), b"hel")
            process.stdin.write("downstream limit_data=none\n")
            process.stdin.flush()
            wait_until(lambda: answer() == b"hello", "the limit is gone")
            _, errors = process.communicate("sideways latency=1\n", timeout=20)
            self.assertIn("not understood: sideways", errors)
            self.assertEqual(process.returncode, 0)


if __name__ == "__main__":
    unittest.main()
