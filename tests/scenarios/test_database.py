"""Two gateways, one PostgreSQL with a replica: as many connections as were allowed, and every answer counted."""

import secrets
import string
import threading
import zlib

from harness.keys import bearer, make_key
from harness.penstock import Scenario, Wire, answering, polite, question, run, wait_until
from harness.postgres import Postgres

DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
TOTAL = 48  # of pool.total, where it is not configured
ACTIVE = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'penstock'"


def forged_key():
    """Well formed: only the database knows that nobody has it."""
    key = "pk_" + "".join(secrets.choice(DIGITS) for _ in range(43))
    rest, check = zlib.crc32(key.encode()), ""
    for _ in range(6):
        check = DIGITS[rest % 62] + check
        rest //= 62
    return key + check


class TwoNodes(Scenario):
    def test_stay_within_the_connections_of_all_at_full_load(self):
        primary = Postgres(max_connections=TOTAL + 20)
        self.addCleanup(primary.close)
        replica = Postgres(primary, max_connections=TOTAL + 20)
        self.addCleanup(replica.close)
        config = {**self.to(self.engine(answering(polite))), "auth": {"mode": "keys"},
                  "store": {"url": primary.url(), "replicas": [replica.url()]}}
        nodes = [self.gateway(config) for _ in range(2)]
        key, _ = make_key(primary.url(), "acme")
        answered, refused, over = [0], [0], threading.Event()
        lock = threading.Lock()

        def ask(node, forged):
            with Wire(node.port) as wire:
                turn = 0
                while not over.is_set():
                    turn += 1
                    body = question(f"{threading.get_ident()} {turn}")
                    wire.post(body, headers=[f"Authorization: Bearer {forged_key() if forged else key}"])
                    status = wire.answer().status
                    with lock:
                        answered[0] += status == 200
                        refused[0] += status == 401

        clients = [threading.Thread(target=ask, args=(nodes[i % 2], i % 4 < 2)) for i in range(40)]
        for client in clients:
            client.start()
        most = 0

        def look():
            nonlocal most
            most = max(most, int(primary.sql(ACTIVE)) + int(replica.sql(ACTIVE)))
            return answered[0] > 2000 and refused[0] > 2000

        try:
            wait_until(look, "two thousand answers of each kind", 60)
            # An operator comes beside it, with a connection of his own.
            code, output = run("usage", "--store", primary.url(), "--today")
            self.assertEqual(code, 0, output)
        finally:
            over.set()
            for client in clients:
                client.join()
        self.assertLessEqual(most, TOTAL)
        self.assertGreater(most, 4)
        for node in nodes:
            self.assertEqual(node.ask(headers=bearer(key)).status, 200)
        wait_until(lambda: int(primary.sql("SELECT coalesce(sum(count), 0) FROM usage WHERE status = 200",
                                           "gateway")) == answered[0] + 2, "each answer is counted", 20)
