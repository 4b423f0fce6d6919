"""What was asked most before is answered ahead when a gateway starts (`cache.warm.popular`)."""

import sqlite3

from harness.keys import bearer, make_key
from harness.penstock import wait_until
from scenarios.test_cache_levels import Counting


class Popular(Counting):
    def node(self, most=2, **more):
        self.url = f"sqlite:{self.folder}/a.db"
        return self.gateway(self.to(self.behind), {"cache": {"warm": {"popular": most}}, "store": {"url": self.url},
                                                   **more})

    def warmed(self, gateway):
        def state():
            said = gateway.admin("/admin/v1/cache/warm").json
            return said if said.get("source") and not said["running"] else None
        return wait_until(state, "the warming has ended")

    def rows(self):
        with sqlite3.connect(f"{self.folder}/a.db") as database:
            return database.execute("SELECT asked, body FROM popular_questions ORDER BY asked DESC").fetchall()

    def test_is_answered_ahead_at_the_next_start(self):
        self.behind = self.counting()
        gateway = self.node()
        self.assertEqual(self.warmed(gateway)["questions"], 0)
        for text, times in (("seldom", 1), ("often", 5), ("sometimes", 3)):
            for _ in range(times):
                gateway.ask(text, headers={"x-penstock-cache-tags": f"tag-{text}"})
        self.end(gateway)
        self.assertEqual([asked for asked, _ in self.rows()], [5, 3])
        self.assertEqual(len(self.behind.calls), 3)

        gateway = self.node()
        self.assertEqual(self.warmed(gateway)["kept"], 2)
        self.assertEqual(len(self.behind.calls), 5)
        self.look(gateway.ask("often"), "hit; level=memory")
        for _ in range(2):
            self.look(gateway.ask("sometimes"), "hit; level=memory")
        self.look(gateway.ask("seldom"), "miss")
        # With its tags.
        gateway.admin("/admin/v1/cache/purge", method="POST", body={"tag": "tag-often"})
        self.look(gateway.ask("often"), "miss")
        self.end(gateway)
        self.assertEqual([asked for asked, _ in self.rows()], [7, 5])

    def test_what_is_not_kept_is_not_counted(self):
        self.behind = self.counting()
        gateway = self.node(most=10)
        gateway.ask("no-store", headers={"cache-control": "no-store"})
        gateway.post("/v1/chat/completions?a=b", {"model": "m", "messages": [{"role": "user", "content": "query"}]})
        gateway.ask("header", headers={"openai-organization": "o"})
        gateway.ask("x" * 70_000)
        gateway.ask("counted")
        self.end(gateway)
        self.assertEqual(len(self.rows()), 1)
        self.assertIn("counted", self.rows()[0][1])

    def test_nothing_is_written_down_where_it_is_not_wanted(self):
        self.behind = self.counting()
        gateway = self.node(most=0)
        gateway.ask("a")
        self.end(gateway)
        self.assertEqual(self.rows(), [])

    def test_each_tenants_is_its_own(self):
        self.behind = self.counting()
        keys = [make_key(f"sqlite:{self.folder}/a.db", tenant)[0] for tenant in ("acme", "umbrella")]
        gateway = self.node(most=10, auth={"mode": "keys"})
        for _ in range(2):
            gateway.ask("ours", headers=bearer(keys[0]))
        self.end(gateway)
        gateway = self.node(most=10, auth={"mode": "keys"})
        self.assertEqual(self.warmed(gateway)["kept"], 1)
        self.look(gateway.ask("ours", headers=bearer(keys[0])), "hit; level=memory")
        self.look(gateway.ask("ours", headers=bearer(keys[1])), "miss")

    def test_a_database_that_does_not_answer_is_told(self):
        self.behind = self.counting()
        gateway = self.node()
        gateway.ask("a")
        self.end(gateway)
        with sqlite3.connect(f"{self.folder}/a.db") as database:
            database.execute("ALTER TABLE popular_questions RENAME TO gone")
        gateway = self.node()
        gateway.wait_for("does not say what was asked most")
        self.look(gateway.ask("a"), "miss")
        self.end(gateway)
        self.assertIn("what was asked most could not be written down", gateway.output)
