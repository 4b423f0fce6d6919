"""Profiles of a running gateway: where its processor time and its memory go."""

import os
import threading
import time
import xml.etree.ElementTree as xml

from harness.penstock import LIMIT, SANITIZED, Process, Scenario, Wire, answering, completion, plain, run, wait_until
from harness.pprof import Profile
from scenarios.test_errors import Told

SVG = "{http://www.w3.org/2000/svg}"


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Profiles(Scenario):
    def busy(self, gateway, seconds=20):
        """Hits of the cache, as many as two connections get, while the test goes on."""
        load = Process("load", "--url", f"http://127.0.0.1:{gateway.port}", "--model", "m", "--connections", "2",
                       "--warmup", "0s", "--duration", f"{seconds}s")
        self.addCleanup(load.kill)
        wait_until(lambda: gateway.metric("penstock_http_requests_total") > 100, "the load has begun")
        return load

    def profile(self, gateway, query):
        answer = gateway.admin("/debug/pprof/" + query)
        if SANITIZED and query.startswith("heap"):
            self.assertIn("sanitizer", answer.error["message"])
            self.skipTest("the memory is a sanitizer's")
        self.assertEqual(answer.status, 200, answer.body)
        return answer

    def test_the_cpus_is_what_the_process_used(self):
        gateway = self.gateway(self.to(self.engine()))
        load = self.busy(gateway, 8)
        before = cpu_seconds(gateway.process.pid)
        answer = self.profile(gateway, "profile?seconds=3")
        used = cpu_seconds(gateway.process.pid) - before
        self.assertEqual(answer.headers["content-type"], "application/octet-stream")
        profile = Profile(answer.body)
        self.assertEqual(profile.measures, [("samples", "count"), ("cpu", "nanoseconds")])
        self.assertEqual((profile.shown, profile.raw.period), ("cpu", 10_000_000))
        self.assertAlmostEqual(profile.raw.duration_nanos / 1e9, 3, delta=0.5)
        self.assertAlmostEqual(profile.raw.time_nanos / 1e9, time.time(), delta=60)
        counted = profile.sum("cpu") / 1e9
        self.assertGreater(used, 0.5)
        self.assertAlmostEqual(counted, used, delta=0.2 * used)
        # Nearly all of it is below the workers' loops, and the stacks get there.
        self.assertGreater(profile.sum("cpu", "penstock::Loop::run"), 0.8 * profile.sum("cpu"))
        self.assertGreater(profile.sum("cpu", "penstock::http::Connection"), 0.5 * profile.sum("cpu"))
        self.assertTrue(any(name.endswith("/penstock") for name in profile.files), profile.files)
        self.assertEqual(load.wait(LIMIT), 0)  # no request was hurt by the interruptions

    def test_a_flame_graph_is_a_picture_that_stands_alone(self):
        gateway = self.gateway(self.to(self.engine()))
        self.busy(gateway)
        answer = self.profile(gateway, "profile?seconds=1&format=svg")
        self.assertEqual(answer.headers["content-type"], "image/svg+xml")
        root = xml.fromstring(answer.body)
        titles = [one.text for one in root.iter(SVG + "title")]
        self.assertIn("CPU of penstock, 1 s", titles)
        self.assertTrue(any("penstock::http::Connection" in title and " %" in title for title in titles), titles)
        self.assertNotRegex(answer.body.decode().replace("http://www.w3.org/2000/svg", ""), r"https?://|@import|url\(")
        width = float(root.get("width"))
        for box in root.iter(SVG + "rect"):
            self.assertGreaterEqual(float(box.get("x")), 0)
            self.assertLessEqual(float(box.get("x")) + float(box.get("width")), width)

    def test_the_heaps_says_what_holds_the_memory(self):
        # 200 KB that do not compress.
        engine = self.engine(answering(lambda request: plain(completion(os.urandom(100_000).hex()))))
        gateway = self.gateway(self.to(engine), {"cache": {"memory": {"size": "256MiB"}}})
        before = Profile(self.profile(gateway, "heap").body)
        self.assertEqual([name for name, _ in before.measures],
                         ["alloc_objects", "alloc_space", "inuse_objects", "inuse_space"])
        self.assertEqual(before.shown, "inuse_space")
        for number in range(400):
            gateway.ask(f"answer {number}", temperature=0)
        kept = gateway.metric("penstock_cache_used_bytes", level="memory")
        after = Profile(self.profile(gateway, "heap").body)
        grown = after.sum("inuse_space") - before.sum("inuse_space")
        self.assertAlmostEqual(grown, kept, delta=0.35 * kept + 2e6)
        self.assertGreater(after.sum("inuse_space", "penstock::gateway::Keeper"), 0.8 * kept)
        self.assertGreater(after.sum("alloc_space"), after.sum("inuse_space"))
        self.assertLess(after.sum("inuse_space"), gateway.metric("process_resident_memory_bytes") * 1.1)

    def test_one_is_taken_at_a_time_and_not_for_long(self):
        gateway = self.gateway(self.to(self.engine()))
        answers = []
        first = threading.Thread(target=lambda: answers.append(gateway.admin("/debug/pprof/profile?seconds=3")))
        first.start()
        wait_until(lambda: "CPU profile" in gateway.output, "the first is logged")
        second = gateway.admin("/pprof/profile?seconds=1")
        self.assertEqual((second.status, second.error["code"]), (409, "conflict"))
        self.assertIn("already", second.error["message"])
        self.assertEqual(gateway.admin("/livez").status, 200)  # and the listener answers meanwhile
        gateway.admin("/debug/pprof/heap")
        first.join()
        self.assertEqual(answers[0].status, 200)
        for seconds in ("0", "61", "-1", "1.5", "x", ""):
            answer = gateway.admin("/debug/pprof/profile?seconds=" + seconds)
            self.assertEqual((answer.status, answer.error["param"]), (400, "seconds"), seconds)
            self.assertIn("1 to 60", answer.error["message"])
        answer = gateway.admin("/debug/pprof/heap?format=png")
        self.assertEqual((answer.status, answer.error["param"]), (400, "format"))
        self.assertEqual(gateway.admin("/debug/pprof/profile?hertz=1000").status, 400)
        self.profile(gateway, "profile?seconds=1")  # what was refused holds nothing

    def test_whoever_leaves_ends_it(self):
        gateway = self.gateway(self.to(self.engine()))
        with Wire(gateway.admin_port) as wire:
            wire.send(b"GET /debug/pprof/profile?seconds=60 HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
            wait_until(lambda: "CPU profile" in gateway.output, "it is logged")
        wait_until(lambda: gateway.admin("/debug/pprof/profile?seconds=1").status == 200, "the next one is taken")

    def test_the_end_of_the_gateway_waits_for_none(self):
        gateway = self.gateway(self.to(self.engine()))
        with Wire(gateway.admin_port) as wire:
            wire.send(b"GET /debug/pprof/profile?seconds=60 HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
            wait_until(lambda: "CPU profile" in gateway.output, "it is logged")
            begin = time.monotonic()
            self.end(gateway)
            self.assertLess(time.monotonic() - begin, 10)

    def test_the_token_and_the_setting_are_asked_first(self):
        guarded = self.gateway(self.to(self.engine()), {"admin": {"token": "right"}})
        off = self.gateway(self.to(self.engine()), {"admin": {"profiling": False}})
        for path in ("/debug/pprof/profile?seconds=1", "/debug/pprof/heap", "/debug/pprof/cmdline",
                     "/debug/pprof/symbol?0x1", "/pprof/profile?seconds=1", "/pprof/heap", "/pprof/cmdline",
                     "/pprof/symbol"):
            self.assertEqual(guarded.admin(path).status, 401, path)
            self.assertEqual(guarded.admin(path, headers={"authorization": "Bearer right"}).status,
                             404 if SANITIZED and path.endswith("/heap") else 200, path)
            answer = off.admin(path)
            self.assertEqual((answer.status, answer.error["code"]), (404, "profiling_off"), path)
            self.assertIn("admin.profiling", answer.error["message"])
        self.assertEqual(off.admin("/debug/pprof/symbol", method="POST", body=b"0x1").status, 404)

    def test_addresses_have_names_and_the_command_line_is_told(self):
        gateway = self.gateway(self.to(self.engine()))
        self.busy(gateway)
        profile = Profile(self.profile(gateway, "profile?seconds=1").body)
        place = next(one for one in profile.raw.location if one.mapping_id == 1 and one.line)
        name = profile.raw.string_table[profile.raw.function[place.line[0].function_id - 1].name]
        address = f"{place.address:#x}"
        for answer in (gateway.admin("/debug/pprof/symbol?" + address + "+0x10"),
                       gateway.admin("/pprof/symbol", method="POST", body=(address + "+0x10").encode())):
            self.assertEqual(answer.status, 200)
            lines = answer.body.decode().splitlines()
            self.assertEqual(lines[0], "num_symbols: 1")
            self.assertEqual(lines[1:], [f"{address} {name}", "0x10 [unknown]"])
        for text in ("", "x", "+++", "0x" + "f" * 40):
            self.assertEqual(gateway.admin("/pprof/symbol?" + text).body, b"num_symbols: 1\n")
        words = self.profile(gateway, "cmdline").body.split(b"\0")
        self.assertTrue(words[0].endswith(b"penstock"), words)
        self.assertEqual(words[1:3], [b"serve", b"--config"])

    def test_the_command_draws_and_tells(self):
        gateway = self.gateway(self.to(self.engine()))
        self.busy(gateway)
        admin = ("--admin", f"http://127.0.0.1:{gateway.admin_port}")
        code, output = run("profile", "--seconds", "1", *admin)
        self.assertEqual(code, 0, output)
        self.assertRegex(output, r"^\d+\.\d\d s of processor time in 1 s: \d\.\d\d cores\.\n\nOWN ")
        self.assertIn("FUNCTION", output)
        flame = self.folder / "flame.svg"
        code, output = run("profile", "--seconds", "1", "--out", flame, *admin)
        self.assertEqual(code, 0, output)
        self.assertIn("flame.svg has the flame graph", output)
        self.assertIn("penstock::", "".join(t.text for t in xml.parse(flame).getroot().iter(SVG + "title")))
        folded = self.folder / "stacks"
        code, output = run("profile", "--seconds", "1", "--format", "folded", "--out", folded, *admin)
        self.assertEqual(code, 0, output)
        for line in folded.read_text().splitlines():
            self.assertRegex(line, r"^.+ \d+$")
        code, output = run("profile", "--seconds", "1", "--out", "/nowhere/flame.svg", *admin)
        self.assertEqual(code, 1)
        self.assertIn("cannot write /nowhere/flame.svg: No such file", output)

    def test_the_command_shows_the_memory(self):
        gateway = self.gateway(self.to(self.engine()))
        admin = ("--admin", f"http://127.0.0.1:{gateway.admin_port}")
        self.profile(gateway, "heap")
        heap = self.folder / "heap.pb.gz"
        code, output = run("profile", "--heap", "--out", heap, *admin)
        self.assertEqual(code, 0, output)
        self.assertGreater(Profile(heap.read_bytes()).sum("inuse_space"), 0)
        code, output = run("profile", "--heap", *admin)
        self.assertRegex(output, r"^About \d+\.\d (KiB|MiB) in use\.")


class ProfileErrors(Scenario):
    def test_each_error_of_profiles_comes_as_it_is_written(self):
        told = Told(self, "For operators: profiles")
        for args in (("--heap", "--seconds", "3"), ("--format", "svg"), ("--out", "x.png"),
                     ("--out", "x", "--format", "png"), ("--token", "a b")):
            with self.subTest(args):
                code, output = run("profile", *args)
                self.assertEqual(code, 2, output)
                told.take(output.splitlines()[0])
        others = [self.engine(answering(lambda _, answer=answer: answer)).url.removesuffix("/v1")
                  for answer in (plain(b"", "500 Broken"), plain(b"<html>"),
                                plain(b'{"error":{"message":"no"}}', "400 No"))]
        for url in ("http://127.0.0.1:1", *others):
            code, output = run("profile", "--admin", url)
            self.assertEqual(code, 1, output)
            told.take(output.splitlines()[0])
        admin = f"http://127.0.0.1:{self.gateway(self.to(self.engine())).admin_port}"
        code, output = run("profile", "--seconds", "1", "--out", "/nowhere/x.svg", "--admin", admin)
        self.assertEqual(code, 1, output)
        told.take(output.splitlines()[0])
        told.lacks_only(set())
