"""The same bytes to nginx, HAProxy and the gateway: where two disagree about the end of a request, the
gateway is the strict one. `./dev fuzz differential` does more of it (tests/differential)."""

import asyncio

from differential import run
from differential.attacks import BODY, LAST, TE, chunk, head, json_head, length, mutated, table
from differential.compare import Comparison, Result, first_disagreement, item, made_of
from differential.servers import NUMBER, RawEngine, nginx
from differential.strict import Request
from harness.penstock import Scenario

AT_RANDOM = 500
PASSED, HIDDEN, REFUSED, WAITS = (item("passed", 1, 5, 200), item("passed", 2, 0, 200),
                                  item("refused", status=400), item("waits"))

# What the gateway takes although another refuses it, and why it may.
TAKEN = {
    "white space": "RFC 9112 section 5.1: a tab is white space too; nginx takes spaces alone",
    "Host:": "RFC 9112 section 3.2: an empty Host, and one that no name server knows, are Hosts",
    "Expect:": "RFC 9110 section 5.3: a list may come in several fields",
    "Upgrade:": "RFC 9110 section 7.8: a server may ignore Upgrade; the engine never sees it",
}


class LaxServer:
    """Believes a Content-Length where there is a Transfer-Encoding too: what the comparison must see."""

    name = "penstock"

    def __init__(self):
        self.engine = RawEngine("lax")

    async def start(self):
        await self.engine.start()
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    async def _serve(self, reader, writer):
        data = b""
        while more := await reader.read(65536):
            data += more
            while b"\r\n\r\n" in data:
                start, _, rest = data.partition(b"\r\n\r\n")
                fields = {n.lower(): v for n, _,
                          v in (line.partition(b": ") for line in start.split(b"\r\n"))}
                size = int(fields.get(b"content-length", 0))
                if len(rest) < size:
                    break
                number = NUMBER.search(start.split(b"\r\n")[0].decode("latin-1"))
                if not number:  # no request of ours: refused, as anybody would
                    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    writer.close()
                    return
                target = start.split(b" ")[1].decode()
                body = f"echo POST {target} {size};".encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                data = rest[size:]
                self.engine.requests[number.group(1)].append(Request(b"POST", target.encode(), 1, [], b""))
                if b"connection" in fields:
                    writer.close()
                    return


class Differential(Scenario):
    def test_where_two_disagree_the_gateway_is_the_strict_one(self):
        attacks = [*table(), *mutated(1, AT_RANDOM)]
        comparison = asyncio.run(run.compare(self.folder, attacks))
        self.assertGreater(len(comparison.results), len(attacks) - AT_RANDOM)
        self.assertEqual([result.told() for result in comparison.faults], [], comparison.report())
        self.assertEqual(comparison.exit_code, 0, comparison.output)
        self.look_at(comparison.output)
        # What reaches the engine from the gateway has one reading, by the strictest reader there is.
        self.assertEqual(comparison.servers[-1].engine.ambiguous, [])
        made = [result.made for result in comparison.results if result.kind != "at random"]
        for server in ("nginx", "haproxy", "penstock"):
            # All three were there, and took what is good and refused what is bad.
            self.assertGreater(sum(one[server][0].kind == "passed" for one in made), 100, server)
            self.assertGreater(sum(one[server][0].kind == "refused" for one in made), 100, server)
        for result in comparison.results:
            if result.kind != "at random" and result.lenient():
                name = result.name.replace("\t", "white space")
                self.assertTrue(any(known in name for known in TAKEN), result.told())

    def test_the_comparison_sees_a_server_that_is_not_strict(self):
        async def compare():
            engine, lax = RawEngine("nginx"), LaxServer()
            await engine.start()
            await lax.start()
            other = await asyncio.to_thread(nginx, self.folder, engine)
            try:
                comparison = Comparison([other, lax])
                body = chunk(BODY) + b"0\r\n\r\n"
                await comparison.run([
                    ("good", "plain", head(b"Content-Length: 5") + b"hello" + LAST),
                    ("lax", "chunks are not seen", head(TE) + body + LAST),
                    ("lax", "chunks are not seen in a question", json_head(TE) + body + LAST),
                    ("lax", "the length is believed", head(TE,
                                                           b"Content-Length: %d" % length(body)) + body + LAST)])
                return {result.name: bool(result.faults) for result in comparison.results}
            finally:
                other.close()
                engine.server.close()
                lax.server.close()
                lax.engine.server.close()
        self.assertEqual(asyncio.run(compare()), {
            "plain": False, "chunks are not seen": True, "chunks are not seen in a question": True,
            "the length is believed": False})  # nginx refuses that, and so disagrees with nobody

    def test_what_a_disagreement_is(self):
        for one, other, place in (
                ([PASSED, HIDDEN], [PASSED, HIDDEN], None),
                ([PASSED], [item("passed", 1, 6, 200)], 0),           # another length of the body
                ([PASSED, HIDDEN], [PASSED, WAITS], 1),               # one waits where the other has all
                ([PASSED, HIDDEN], [PASSED, item("passed", 3, 0, 200)], 1),
                ([REFUSED], [PASSED, HIDDEN], None),                  # a refusal has no end
                ([item("answered", status=404), HIDDEN], [PASSED, item("passed", 3, 0, 200)], 1),
                ([PASSED], [PASSED, HIDDEN], None)):                  # one closed behind its answer
            self.assertEqual(first_disagreement(one, other), place, (one, other))
            self.assertEqual(first_disagreement(other, one), place, (one, other))

    def test_the_gateway_must_have_refused_before_the_place_of_a_disagreement(self):
        for ours, faults in (([REFUSED], 0), ([PASSED, REFUSED], 0), ([PASSED, HIDDEN], 2), ([PASSED,
            WAITS], 2),
                             ([REFUSED, HIDDEN], 1)):
            result = Result("kind", "name", b"")
            result.made = {"nginx": [PASSED, HIDDEN], "haproxy": [PASSED, WAITS], "penstock": ours}
            result.judge()
            self.assertEqual(len(result.faults), faults, (ours, result.faults))

    def test_answers_are_told_apart(self):
        refused = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        echo = b"echo GET /x?t=00000001&n=2 5;"
        passed = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(echo), echo)
        self.assertEqual(made_of(b"HTTP/1.1 100 Continue\r\n\r\n" + passed + refused),
                         [item("passed", 2, 5, 200), REFUSED])
        self.assertEqual(made_of(b""), [WAITS])
        self.assertEqual(made_of(passed), [item("passed", 2, 5, 200), WAITS])
        self.assertEqual(made_of(passed.replace(b"OK", b"OK\r\nConnection: close")), [item("passed", 2,
            5, 200)])
        self.assertEqual(made_of(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"), [WAITS])
