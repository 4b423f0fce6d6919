"""The servers that scenarios and drills break must break as they say."""

import subprocess
import unittest

from harness.postgres import BIN, Bouncer, Postgres, wait_for


class TheServers(unittest.TestCase):
    def test_a_replica_follows_and_takes_over(self):
        with Postgres() as primary, Postgres(primary) as replica:
            primary.sql("CREATE TABLE t (i int)", "gateway")
            primary.sql("INSERT INTO t VALUES (7)", "gateway")
            wait_for("the replica has it", primary.caught_up(replica))
            self.assertEqual("7", replica.sql("SELECT i FROM t", "gateway"))
            primary.kill()
            replica.promote()
            replica.sql("INSERT INTO t VALUES (8)", "gateway")
            self.assertEqual("7\n8", replica.sql("SELECT i FROM t ORDER BY i", "gateway"))
            primary.start()
            self.assertEqual("7", primary.sql("SELECT i FROM t", "gateway"))

    def test_a_paused_server_answers_nobody_until_it_goes_on(self):
        with Postgres(max_connections=20) as primary:
            self.assertEqual("20", primary.sql("SHOW max_connections"))
            primary.pause()
            asking = subprocess.Popen([BIN / "psql", "-X", "-A", "-t", "-d", primary.own_url(), "-c", "SELECT 1"],
                                      stdout=subprocess.PIPE, text=True)
            with self.assertRaises(subprocess.TimeoutExpired):
                asking.wait(0.3)
            primary.go_on()
            self.assertEqual("1", asking.communicate(timeout=10)[0].strip())

    def test_pgbouncer_leads_to_the_primary(self):
        with Postgres() as primary, Bouncer(primary) as bouncer:
            done = subprocess.run([BIN / "psql", "-X", "-A", "-t", "-d", bouncer.url(), "-c", "SELECT current_user"],
                                  capture_output=True, text=True, check=True)
            self.assertEqual("penstock", done.stdout.strip())


if __name__ == "__main__":
    unittest.main()
