"""32: a replica is 10 s behind: own writes are read back.

P8. A gateway whose `max_lag` is under that leaves the replica out. One that may read from a replica so
far behind does so, and still sees what was written through it: keys are made, shown, used, changed and
revoked with both.
"""

import time

from drills.drill import wait_until
from drills.stores import PostgresDrill
from harness.keys import bearer
from harness.penstock import Gateway, merged
from harness.postgres import Postgres

BEHIND = 10  # seconds
REVOKED_WITHIN = 1.5


class TheDrill(PostgresDrill):
    def store(self):
        self.postgres = self.server(Postgres())
        self.replica = self.server(Postgres(self.postgres, recovery_min_apply_delay=f"{BEHIND}s"))
        return {"url": self.postgres.url(), "replicas": [self.replica.url()], "max_lag": "1s"}

    def fault(self):
        figures = self.figures
        wait_until(lambda: self.lag() > self.pick(0.7 * BEHIND, 1.5), "the replica is behind")
        wait_until(lambda: "a replica is left out" in self.gateway.output, "it is left out")
        figures.at_least("the replica's lag, as the gateway shows it", self.lag(), self.pick(0.7 * BEHIND, 1.5), "s")
        with self.load() as load:
            queries = self.on_replica()
            self.live("left out", self.gateway, self.pick(30, 2))
            figures.equal("left out: questions to the replica", self.on_replica() - queries, 0)
        figures.equal("requests with a known key that failed", load.failed, 0)

        folder = self.folder / "patient"
        folder.mkdir()
        config = merged(self.gateway_config, {"store": {"max_lag": "60s"}, "logging": {"access": "none"}})
        patient = Gateway(config, folder)
        self._exit.callback(patient.kill)
        wait_until(lambda: (patient.metric("penstock_db_up", role="replica") or 0) == 1, "it has its replica")
        wait_until(lambda: "a replica is used" in patient.output, "it is used")
        # It comes to the tables themselves as late as to all else.
        wait_until(lambda: "t" in str(self.replica.sql("SELECT to_regclass('api_keys') IS NOT NULL", "gateway")),
                   "it has the tables", BEHIND * 2 + 20)
        queries = self.on_replica()
        self.live("used", patient, self.pick(30, 2))
        figures.at_least("used: questions to the replica", self.on_replica() - queries, 1)
        self.elsewhere = int(patient.metric("penstock_http_requests_total"))
        patient.signal(15)
        figures.equal("exit code of the gateway that uses it", patient.wait(), 0)
        self.landing(within=10.0)

    def lag(self):
        return self.gateway.metric("penstock_db_replica_lag_seconds") or 0.0

    def on_replica(self):
        """Look-ups of keys that the replica was asked for: scans of their table."""
        return int(self.replica.sql("SELECT coalesce(sum(seq_scan + idx_scan), 0) FROM pg_stat_user_tables "
                                    "WHERE relname = 'api_keys'", "gateway"))

    def live(self, name, gateway, times):
        """Lives of keys: what of their own writes those who made them do not see."""
        unseen, unused, unchanged, slowest = [], [], [], 0.0
        for i in range(times):
            made = self.admin(gateway, "POST", "/admin/v1/keys", {"tenant": "acme", "name": f"key {i}"})
            key, path = made.json["key"], f"/admin/v1/keys/{made.json['id']}"
            if self.admin(gateway, "GET", path).status != 200:
                unseen.append(path)
            if self.admin(gateway, "GET", "/admin/v1/keys?tenant=acme").body.count(made.json["id"].encode()) != 1:
                unseen.append("the list of " + path)
            if (status := self.use(gateway, key, f"new {i}").status) != 200:
                unused.append(status)
            self.admin(gateway, "PATCH", path, {"name": f"renamed {i}"})
            if self.admin(gateway, "GET", path).json.get("name") != f"renamed {i}":
                unchanged.append(path)
            self.admin(gateway, "DELETE", path)
            if self.admin(gateway, "GET", path).json.get("state") != "revoked":
                unchanged.append(path)
            begun = time.monotonic()
            wait_until(lambda: self.use(gateway, key, f"revoked {i} {time.monotonic()}").status == 401, "refused", 30)
            slowest = max(slowest, time.monotonic() - begun)
        figures = self.figures
        figures.equal(f"{name}: keys that are not shown to whom made them, of {times}", unseen[:3], [])
        figures.equal(f"{name}: keys that do not work at once", unused[:3], [])
        figures.equal(f"{name}: changes that are not shown to whom made them", unchanged[:3], [])
        figures.at_most(f"{name}: until a revoked key is refused, at most", slowest, REVOKED_WITHIN, "s")

    def use(self, gateway, key, text):
        if gateway is self.gateway:
            return self.ask_with_key(text, key)
        answer = gateway.ask(text, headers=bearer(key))
        self.count_answer(answer.status)
        return answer

    def questions_in_ledger(self):
        return super().questions_in_ledger() - self.elsewhere

    @staticmethod
    def admin(gateway, method, path, body=None):
        return gateway.admin(path, method=method, body=body)
