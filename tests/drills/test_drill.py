"""What surrounds every drill must be able to fail: drills of faults that no gateway could hide."""

import os
import signal
import time
import unittest

from drills.drill import MODEL, Drill
from harness.penstock import CANARY, SANITIZED, polite, question


class Watched(Drill):
    """Nothing is wrong, but for what a test does in `fault`."""

    patience = 0.5
    spoil = staticmethod(lambda drill: None)

    def settings(self):
        return self.engine_behind(self.answers_all_but_one)

    @staticmethod
    def answers_all_but_one(call):
        while request := call.request():
            if "left alone" in request.body.decode():
                call.gone()
            else:
                call.send(polite(request))

    def rehearse(self):
        self.ask()

    def fault(self):
        self.figures.equal("own figure", self.ask().status, 200)
        self.spoil(self)


class GeneralChecks(unittest.TestCase):
    def failed(self, spoil):
        """The figures that fail when this is done during the fault."""
        drill = Watched(0, quick=True)
        drill.spoil = spoil
        figures = drill.run()
        self.assertEqual(figures.good, all(row.good for row in figures.rows))
        return [row.what.split(",")[0].split(":")[0] for row in figures.rows if not row.good]

    def test_nothing_fails_where_nothing_is_wrong(self):
        self.assertEqual(self.failed(lambda drill: None), [])

    def test_a_figure_of_its_own_fails_the_drill(self):
        self.assertEqual(self.failed(lambda drill: drill.figures.at_most("own bound", 2, 1)), ["own bound"])

    def test_a_request_that_is_not_counted_is_seen(self):
        self.assertEqual(self.failed(lambda drill: drill.count_sent()), ["requests counted"])

    def test_a_call_that_goes_on_and_its_descriptors_are_seen(self):
        def spoil(drill):
            drill.left = [drill.wire().post(question(f"left alone {i}")) for i in range(3)]
            drill.ill.wait_for(lambda e: len(e.calls) == 4)
        failed = self.failed(spoil)
        for what in ("requests counted", "requests under way afterwards", "engine calls under way afterwards",
                     "file descriptors afterwards"):
            self.assertIn(what, failed)

    def test_a_stall_of_the_others_is_seen(self):
        def spoil(drill):
            drill.gateway.stop()
            time.sleep(6.0 if SANITIZED else 1.5)  # the fault itself
            drill.gateway.go_on()
            drill.ask()
        self.assertEqual(self.failed(spoil), ["good clients"])

    @unittest.skipIf(SANITIZED, "a sanitizer keeps freed memory on purpose, which is not judged")
    def test_memory_that_is_kept_is_seen(self):
        def spoil(drill):
            drill.held = [drill.wire() for _ in range(60)]
            for wire in drill.held:  # a body that is announced and comes only in part
                wire.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n" +
                          b"x" * 900_000)
        failed = self.failed(spoil)
        self.assertIn("memory afterwards", failed)

    def test_an_answer_that_is_not_theirs_is_seen(self):
        def spoil(drill):
            # The cache has, under a bystander's question, what somebody else put there.
            drill.gateway.write({**drill.gateway_config, "engines": [
                {**e, "url": drill.ill.url} for e in drill.gateway_config["engines"]]})
            drill.gateway.signal(signal.SIGHUP)
            drill.gateway.wait_for("configuration was reloaded")
            time.sleep(0.3)  # of load with another's answers
        self.assertEqual(self.failed(spoil)[0], "good clients")

    def test_a_secret_in_a_log_is_seen(self):
        # A client's id of a request is logged; it is no place for a secret, but it serves here.
        def spoil(drill):
            drill.count_sent()
            drill.gateway.get("/v1/none", headers={"x-request-id": CANARY})
        self.assertEqual(self.failed(spoil), ["secrets and texts in logs"])

    def test_a_program_that_dies_is_seen(self):
        failed = self.failed(lambda drill: (os.kill(drill.gateway.process.pid, signal.SIGKILL),
                                            drill.gateway.process.wait()))
        self.assertTrue(failed)

    def test_bystanders_ask_all_kinds(self):
        kinds = {}
        self.failed(lambda drill: kinds.update({
            kind: drill.metric("penstock_cache_requests_total", result=kind) for kind in ("hit", "miss", "bypass")},
            calls=drill.outcomes("success", MODEL)))
        self.assertTrue(all(kinds.values()), kinds)


if __name__ == "__main__":
    unittest.main()
