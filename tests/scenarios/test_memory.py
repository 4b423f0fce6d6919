"""What a burst needed is given back."""

import os
import threading

from harness.penstock import Scenario, wait_until


class Memory(Scenario):
    def test_memory_returns_to_within_a_tenth_after_a_burst(self):
        if os.environ.get("PENSTOCK_SANITIZE"):
            self.skipTest("a sanitizer keeps freed memory on purpose")
        gateway = self.gateway({
            "engines": [{"name": "e", "kind": "simulated",
                         "simulated": {"first_token": "200ms", "tokens": 50, "tokens_per_second": 1000,
                                       "slots": 5000}}],
            "models": [{"name": "m", "engines": ["e"]}],
            "cache": {"answers": "off"}})

        def resident():
            return gateway.metric("process_resident_memory_bytes")

        def ask():
            self.assertEqual(gateway.ask("x" * 200_000).status, 200)

        for _ in range(20):
            ask()
        before = resident()
        threads = [threading.Thread(target=ask) for _ in range(200)]
        for thread in threads:
            thread.start()
        wait_until(lambda: resident() > 1.3 * before, "the burst is felt")
        for thread in threads:
            thread.join()
        wait_until(lambda: resident() < 1.1 * before, f"memory is given back: {before} then {resident()}", limit=30)
