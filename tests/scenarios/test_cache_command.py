"""`penstock cache`: what is kept is shown, purged, turned off, and answered ahead."""

import json
import time

from harness.penstock import TOKEN, Process, answering, completion, plain, question, run, wait_until
from scenarios.test_cache_levels import Counting, OnRedis
from scenarios.test_errors import Told


class CacheCommand:
    """What the tests of this file share."""

    def cache(self, gateway, *args, code=0, **options):
        ended, output = run("cache", *args, "--admin", f"http://127.0.0.1:{gateway.admin_port}", **options)
        self.assertEqual(ended, code, output)
        return output

    def ask_model(self, gateway, text, tags=""):
        headers = {"x-penstock-cache-tags": tags} if tags else {}
        return gateway.ask(text, headers=headers)


class OneNode(CacheCommand, Counting):
    def setUp(self):
        super().setUp()
        self.behind = self.counting()
        self.node = self.gateway(self.to(self.behind), {"store": {"url": f"sqlite:{self.folder}/a.db"}})

    def test_shows_what_is_kept_and_of_what_use_it_was(self):
        for text in ("a", "a", "b"):
            self.node.ask(text)
        output = self.cache(self.node, "stats")
        self.assertIn("redis level none (cache.redis.urls)", output)
        self.assertRegex(output, r"in memory   2 answers, \d+\.\d KiB of ")
        self.assertRegex(output, r"memory +1 +0 +2 +0 +33\.3 %")
        self.assertRegex(output, r"all +1 +2 +33\.3 %")
        self.assertEqual(json.loads(self.cache(self.node, "stats", "--format", "json"))["entries"], 2)

    def test_lists_and_purges(self):
        self.ask_model(self.node, "a", "prices,de")
        self.ask_model(self.node, "b")
        rows = self.cache(self.node, "list").splitlines()
        self.assertEqual(len(rows), 3, rows)
        tagged = self.cache(self.node, "list", "--tag", "prices").splitlines()
        self.assertEqual(len(tagged), 2, tagged)
        self.assertIn("prices,de", tagged[1])
        self.assertEqual(self.cache(self.node, "purge", "--tag", "prices"), "1 answer is gone from this node's memory.\n")
        self.look(self.node.ask("b"), "hit; level=memory")
        entry = self.cache(self.node, "list").splitlines()[1].split()[-1]
        self.cache(self.node, "purge", "--entry", entry)
        self.look(self.node.ask("b"), "miss")
        self.assertIn("There are more", self.cache_two_more())
        self.cache(self.node, "purge", "--all")
        self.assertEqual(len(self.cache(self.node, "list").splitlines()), 1)

    def cache_two_more(self):
        self.node.ask("c")
        return self.cache(self.node, "list", "--limit", "1")

    def test_turns_it_off_and_on(self):
        self.node.ask("a")
        self.assertIn("caching     off, set at run time", self.cache(self.node, "off"))
        self.look(self.node.ask("a"), "bypass; reason=off")
        self.cache(self.node, "on")
        self.look(self.node.ask("a"), "miss")
        self.look(self.node.ask("a"), "hit; level=memory")
        self.assertIn("redis level off", self.cache(self.node, "off", "--redis"))

    def test_wants_the_token(self):
        gateway = self.gateway(self.to(self.behind), {"admin": {"token": TOKEN}})
        self.assertIn("(401)", self.cache(gateway, "stats", code=1))
        self.assertIn("in memory", self.cache(gateway, "stats", "--token", TOKEN))

    # ---- warming --------------------------------------------------------------------------------

    def file(self, *lines):
        path = self.folder / "questions.jsonl"
        path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
        return path

    def test_warms_from_a_file_of_all_kinds_of_lines(self):
        chat = question("in JSON")
        batch = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": question("batch")}
        path = self.file(chat, "", batch, "in words", chat)
        output = self.cache(self.node, "warm", path, "--model", "m")
        self.assertRegex(output, r"4 questions in \d+\.\d s: 3 kept, 1 known, 0 refused, 0 failed")
        self.assertEqual(len(self.behind.calls), 3)
        for text in ("in JSON", "batch"):
            self.look(self.node.ask(text), "hit; level=memory")
        self.look(self.node.post("/v1/chat/completions", {
            "model": "m", "temperature": 0, "messages": [{"role": "user", "content": "in words"}]}), "hit; level=memory")
        # What is kept is not asked for again, and what was used is written down.
        self.assertIn("0 kept, 4 known", self.cache(self.node, "warm", path, "--model", "m"))
        self.assertEqual(len(self.behind.calls), 3)
        wait_until(lambda: self.used() == 3, "the calls are in the usage")

    def used(self):
        rows = json.loads(run("usage", "--by", "model,cache", "--format", "json",
                              "--store", f"sqlite:{self.folder}/a.db")[1])["groups"]
        return sum(row["requests"] for row in rows if row["cache"] == "miss")

    def test_says_what_it_could_not_warm(self):
        sampled = question("sampled", temperature=1)
        path = self.file("{bad", sampled, {"model": "nobody", "messages": [{"role": "user", "content": "x"}]}, {"a": 1},
                         "no model")
        safe = self.gateway(self.to(self.behind), {"cache": {"answers": "safe"}})
        output = self.cache(safe, "warm", path, code=1)
        self.assertIn("5 questions in", output)
        self.assertIn("0 kept, 0 known, 5 refused, 0 failed", output)
        for why in ("it is no JSON object", "reason=sampled", "`nobody` does not exist", "a request to none of",
                    "needs a model"):
            self.assertIn(why, output)

    def test_keeps_its_rate_and_is_stopped(self):
        path = self.file(*(question(f"q{i}") for i in range(200)))
        process = Process("cache", "warm", path, "--rate", "20", "--admin", f"http://127.0.0.1:{self.node.admin_port}")
        self.addCleanup(process.kill)
        began = time.monotonic()
        self.behind.wait_for(lambda e: len(e.calls) >= 10)
        took = time.monotonic() - began
        self.assertGreater(took, 0.2, "ten questions came in a tenth of the time")
        self.cache(self.node, "warm", path, code=1)  # another one
        self.cache(self.node, "warm", "--stop")
        self.assertEqual(process.wait(), 1, process.output)
        self.assertIn("the warming was stopped", process.output)
        self.assertLess(len(self.behind.calls), 150)

    def test_does_not_displace_what_is_there(self):
        body = "x" * 20_000
        engine = self.engine(answering(lambda request: plain(completion(body))))
        node = self.gateway(self.to(engine), {"cache": {"memory": {"size": "1MiB", "max_entry": "64KiB"}}})
        for i in range(20):
            node.ask(f"hot {i}")
        path = self.file(*(question(f"cold {i}") for i in range(200)))
        output = self.cache(node, "warm", path, code=1)
        self.assertIn("nothing is driven out for what is warmed", output)
        self.assertLess(len(engine.calls), 120, "it goes on although there is no room")
        for i in range(20):
            self.look(node.ask(f"hot {i}"), "hit; level=memory")

    def test_an_engine_that_fails_for_a_moment_is_asked_again(self):
        failing = [True, True]
        engine = self.engine(answering(
            lambda r: plain(b'{"error":{"message":"busy"}}', "503 Busy") if failing and failing.pop()
            else plain(completion("yes"))))
        node = self.gateway(self.to(engine))
        output = self.cache(node, "warm", self.file(question("a")))
        self.assertIn("1 kept, 0 known, 0 refused, 0 failed", output)

    def test_warms_when_it_starts(self):
        path = self.file(question("ahead"), "{bad")
        node = self.gateway(self.to(self.behind), {"cache": {"warm": {"file": str(path), "concurrency": 2}}})
        node.wait_for("the cache was warmed")
        node.wait_for("a line of the file to warm the cache from cannot be read")
        self.look(node.ask("ahead"), "hit; level=memory")


class Pairs(CacheCommand, Counting):
    """The simulated engine's vectors know words and nothing of their meaning."""

    def setUp(self):
        super().setUp()
        self.node = self.gateway({
            "engines": [{"name": "vectors", "kind": "simulated", "simulated": {"first_token": "0s"}}],
            "models": [{"name": "small-embed", "engines": ["vectors"]}]})

    def report(self, *args, code=0):
        ended, output = run("cache", "semantic", *args, "--model", "small-embed", "--url",
                            f"http://127.0.0.1:{self.node.port}", cwd=self.folder)
        self.assertEqual(ended, code, output)
        return output

    def test_that_come_with_the_program_show_what_each_threshold_would_do(self):
        output = self.report()
        self.assertRegex(output, r"^384 pairs, of which 190 mean the same\n")
        rows = [line.split() for line in output.splitlines() if line.startswith("0.") and "%" in line or " - " in line]
        self.assertEqual([row[0] for row in rows], [f"{n / 100:.2f}" for n in range(80, 100)])
        false_hits = [int(row[2]) for row in rows]
        self.assertEqual(false_hits, sorted(false_hits, reverse=True))
        self.assertGreater(false_hits[0], false_hits[-1])
        self.assertIn("Most alike of those that do not mean the same:", output)

    def test_of_ones_own(self):
        (self.folder / "ours.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in (
            {"a": "the same words", "b": "the same words", "same": True},
            {"a": "before 2020", "b": "before 2020", "same": False})))
        said = json.loads(self.report("ours.jsonl", "--format", "json"))
        self.assertEqual((said["pairs"], said["same"], said["thresholds"][-1]),
                         (2, 1, {"threshold": 0.99, "true_hits": 1, "false_hits": 1}))
        self.assertEqual(said["most_alike"][0], {"similarity": 1, "a": "before 2020", "b": "before 2020"})


class TwoNodes(CacheCommand, OnRedis):
    def test_what_is_purged_on_one_the_other_forgets(self):
        a, b = self.nodes()
        self.ask_model(a, "a", "prices")
        self.vouched()
        self.look(b.ask("a"), "hit; level=redis")
        self.look(b.ask("a"), "hit; level=memory")
        self.cache(a, "purge", "--tag", "prices")
        wait_until(lambda: b.ask("a").headers["x-penstock-cache"] == "miss", "the other one forgets it")

    def test_what_is_warmed_on_one_is_known_to_the_other(self):
        a, b = self.nodes()
        path = self.folder / "q.jsonl"
        path.write_text(json.dumps(question("a")) + "\n")
        self.cache(a, "warm", path)
        self.look(b.ask("a"), "hit; level=redis")
        self.assertIn("0 kept, 1 known", self.cache(a, "warm", path))
        self.cache(b, "purge", "--all")
        self.assertEqual(len(self.behind.calls), 1)

    def test_says_that_the_others_could_not_be_told(self):
        a, _ = self.nodes()
        self.redis.close()
        wait_until(lambda: a.metric("penstock_redis_up") == 0, "it is known to be away")
        output = self.cache(a, "purge", "--all", code=1)
        self.assertIn("the other nodes could not be told", output)


class CacheErrors(CacheCommand, Counting):
    def test_each_error_of_the_cache_comes_as_it_is_written(self):
        told = Told(self, "For operators: the cache")
        behind = self.counting()
        folder = self.folder
        (folder / "empty").write_text("")
        (folder / "blank").write_text("\n\n")
        (folder / "long").write_text("x" * (600 << 10) + "\nwhy?\n")
        for args in (("nothing",), ("stats", "--tag", "a"), ("purge",), ("purge", "--all", "--tag", "x"),
                     ("purge", "--tag", ""), ("stats", "--format", "xml"), ("warm", "x", "--rate", "-1"),
                     ("stats", "--token", "a b"), ("warm",), ("warm", folder / "empty"), ("stats", "x"),
                     ("stats", "--redis"), ("stats", "--all"), ("stats", "--stop"), ("semantic",),
                     ("semantic", "--model", "m", "--api-key", "a b"), ("semantic", folder / "long", "--model", "m"),
                     ("semantic", folder / "empty", "--model", "m")):
            with self.subTest(args):
                code, output = run("cache", *args)
                self.assertEqual(code, 2, output)
                told.take(output.splitlines()[0])

        def fails(*args):
            code, output = run("cache", *args)
            self.assertEqual(code, 1, output)
            for line in output.splitlines():
                if line.startswith("penstock cache: "):
                    told.take(line)

        fails("stats", "--admin", "http://127.0.0.1:1")
        for answer in (plain(b"", "500 Broken"), plain(b"{}"), plain(b'{"error":{"message":"no"}}', "400 No")):
            other = self.engine(answering(lambda _, answer=answer: answer))
            fails("purge", "--all", "--admin", other.url.removesuffix("/v1"))

        (folder / "pairs").write_text('{"a": "x", "b": "y", "same": true}\n')
        for data in (b"{}", b'{"data":[{"index":0,"embedding":[0]},{"index":1,"embedding":[1]}]}'):
            other = self.engine(answering(lambda _, data=data: plain(data)))
            fails("semantic", folder / "pairs", "--model", "m", "--url", other.url.removesuffix("/v1"))

        node = self.gateway(self.to(behind), {"cache": {"warm": {"file": "/nowhere/q.jsonl"}}})
        at = ("--admin", f"http://127.0.0.1:{node.admin_port}")
        fails("warm", folder / "blank", *at)
        fails("warm", folder / "long", "--model", "m", *at)
        node.wait_for("the cache is not warmed")
        (folder / "bad.jsonl").write_text("{bad\n")
        bad = self.gateway(self.to(behind), {"cache": {"warm": {"file": str(folder / "bad.jsonl")}}})
        bad.wait_for("a line of the file")
        for gateway in (node, bad):
            for line in gateway.output.splitlines():
                record = json.loads(line) if line.startswith("{") else {}
                if record.get("level") == "warn" and "warm" in record["message"]:
                    told.take(record["message"])
        told.lacks_only({
            # Seen above, where there is what it takes.
            "penstock cache: the other nodes could not be told: <reason>",
            "penstock cache: the memory of the cache is full, and nothing is driven out for what is warmed",
            "penstock cache: the warming was stopped",
            # Seen in scenarios.popular.
            "the cache is not warmed: the database does not say what was asked most",
            "what was asked most could not be written down",
            # Somebody else's warming in the quarter of a second between two looks.
            "penstock cache: <url>: another warming has begun meanwhile",
        })
