"""Sends the same bytes to the three, and says where they disagree about the end of a request.

What a server made of a connection is a list, an item for each request that it saw:

    passed    reached the engine and was answered from there: which one it was, and its body's size
    answered  the server itself answered: it knew where the request ends
    refused   the server did not take it for a request, said so and closed
    waits     the server wanted more of it, until its patience was over

Two disagree about an end where both went on and saw different requests, or one waited for more of
what was whole to the other. A refusal has no end, and disagrees with nobody: it is the strict answer.
"""

import asyncio
import collections
import re

from differential.strict import TOKEN
from harness.penstock import LIMIT

ECHO = re.compile(rb"echo " + TOKEN + rb" \S*t=(\d+)&n=(\d)\S* (\d+);")
REFUSALS = {400, 405, 411, 413, 414, 417, 421, 431, 501, 505}  # of what is no request to be had

HOP_BY_HOP = {"transfer-encoding", "te", "trailer", "upgrade", "http2-settings", "keep-alive",
              "proxy-connection", "expect"}

Item = collections.namedtuple("Item", "kind which size status")


def item(kind, which=None, size=None, status=None):
    return Item(kind, which, size, status)


class Broken(Exception):
    """What came is no row of answers."""


def take_answer(data):
    """(status, fields, body, the rest) of the first answer."""
    head, mark, rest = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    status = re.match(rb"HTTP/1\.[01] (\d{3})", lines[0])
    if not mark or not status:
        raise Broken(data[:200])
    status = int(status.group(1))
    fields = {n.strip().lower(): v.strip() for n, _, v in (line.partition(b":") for line in lines[1:])}
    if status < 200 or status in (204, 304):
        return status, fields, b"", rest
    if b"content-length" in fields:
        size = int(fields[b"content-length"])
        return status, fields, rest[:size], rest[size:]
    if fields.get(b"transfer-encoding", b"").lower() == b"chunked":
        body = b""
        while True:
            size, _, rest = rest.partition(b"\r\n")
            count = int(size, 16)
            body, rest = body + rest[:count], rest[count + 2:]
            if count == 0:
                return status, fields, body, rest
    return status, fields, rest, b""


def made_of(data):
    """The list of what a server made of a connection, by what it answered."""
    items, closes = [], False
    while data:
        if not data.startswith(b"HTTP/"):  # HTTP/0.9: a body and nothing else, from nginx
            items.append(item("answered", status=9))
            closes = True
            break
        status, fields, body, data = take_answer(data)
        if status < 200:
            if status == 101:
                break
            continue
        echo = ECHO.search(body)
        closes = fields.get(b"connection", b"").lower() == b"close"
        if echo:
            items.append(item("passed", int(echo.group(2)), int(echo.group(3)), status))
        elif status in (408, 504):  # HAProxy passes on what it has, and waits for the engine to answer
            items.append(item("waits"))
        elif status in REFUSALS and (closes or not data):
            items.append(item("refused", status=status))
        else:
            items.append(item("answered", status=status))
    if not closes and (not items or items[-1].kind != "waits"):
        items.append(item("waits"))  # closed without a word
    return items


def first_disagreement(a, b):
    """Where the two lists disagree about an end, or None."""
    for i, (one, other) in enumerate(zip(a, b)):
        kinds = {one.kind, other.kind}
        if "refused" in kinds or kinds == {"waits"}:
            return None
        if "waits" in kinds:
            return i
        if kinds == {"passed"} and (one.which, one.size) != (other.which, other.size):
            return i
    return None


class Result:
    """What the three made of one attack."""

    def __init__(self, kind, name, data):
        self.kind, self.name, self.data = kind, name, data
        self.made = {}
        self.faults = []

    def disagreements(self):
        """{(server, server): the place}, of pairs that disagree about an end."""
        names = list(self.made)
        pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1:]]
        places = {pair: first_disagreement(self.made[pair[0]], self.made[pair[1]]) for pair in pairs}
        return {pair: place for pair, place in places.items() if place is not None}

    def judge(self):
        """Adds to `faults` what the gateway did that the strict one would not have done."""
        ours = self.made["penstock"]
        for pair, place in self.disagreements().items():
            if not any(one.kind == "refused" for one in ours[:place + 1]):
                self.faults.append(f"{pair[0]} and {pair[1]} disagree about request {place + 1}, and the "
                                   "gateway did not refuse")
        for i, one in enumerate(ours):
            if one.kind != "refused":
                continue
            if i + 1 < len(ours):
                self.faults.append("something was answered behind a refusal")

    def lenient(self):
        """The others that refused a request that the gateway took."""
        first = self.made["penstock"][0]
        if first.kind != "passed":
            return []
        return [name for name, made in self.made.items() if made[0].kind == "refused"]

    def told(self):
        lines = [f"{self.kind}: {self.name}", f"  {self.data!r}"]
        for name, made in self.made.items():
            lines.append(f"  {name:<9}" + ", ".join(
                f"{one.kind} {one.which if one.which else ''}{f' ({one.size} bytes)' if one.which else ''}"
                f"{one.status if one.kind in ('refused', 'answered') else ''}" for one in made))
        return "\n".join(lines + [f"  FAULT: {fault}" for fault in self.faults])


class Comparison:
    """Three servers that run, and the attacks that they are sent."""

    AT_ONCE = 48

    def __init__(self, servers):
        self.servers = servers
        self.next_id = 0
        self.results = []

    async def connection(self, server, data):
        """All that comes back on one connection until the server closes it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        received = b""
        try:
            writer.write(data)
            while more := await asyncio.wait_for(reader.read(65536), LIMIT):
                received += more
        except ConnectionError:
            pass  # a server that closes on what it has not read resets
        except asyncio.TimeoutError:
            raise AssertionError(f"{server.name} neither answers nor closes: {data!r}, {received!r}") from None
        finally:
            writer.close()
        return received

    async def attack(self, kind, name, template):
        self.next_id += 1
        number = b"%08d" % self.next_id
        result = Result(kind, name, template.replace(b"@ID@", number))
        result.template = template
        answers = await asyncio.gather(*(self.connection(s, result.data) for s in self.servers))
        for server, data in zip(self.servers, answers):
            try:
                result.made[server.name] = made_of(data)
            except (Broken, ValueError) as error:
                result.made[server.name] = [item("broken")]
                result.faults.append(f"{server.name} answered what is no answer: {error}")
            if server.name == "penstock":
                self.look_at_the_engine(result, server, number)
        result.judge()
        return result

    @staticmethod
    def look_at_the_engine(result, server, number):
        """What reached the engine is what was answered from there, and not a request more."""
        seen = server.engine.requests.pop(number.decode(), [])
        which = [int(re.search(r"&n=(\d)", request.target).group(1)) for request in seen]
        passed = [one.which for one in result.made["penstock"] if one.kind == "passed"]
        if which != passed:
            result.faults.append(f"the engine saw the requests {which}, the client answers to {passed}")
        # Written anew, and not passed on: what is between two neighbours stays between them.
        result.faults += [f"the engine got the client's {name}" for request in seen
                          for name, _ in request.fields if name in HOP_BY_HOP]

    async def run(self, attacks, until=None):
        """All of the attacks, or as many as begin before the time `until`."""
        waiting = asyncio.Semaphore(self.AT_ONCE)
        loop = asyncio.get_running_loop()
        running = set()

        async def one(attack):
            try:
                self.results.append(await self.attack(*attack))
            finally:
                waiting.release()
        for attack in attacks:
            await waiting.acquire()
            if until and loop.time() > until:
                waiting.release()
                break
            task = asyncio.create_task(one(attack))
            running.add(task)
            task.add_done_callback(running.discard)
        await asyncio.gather(*running)
        # On a machine that is busy a server may wait in vain for what was sent: what looks like a
        # fault is looked at again alone, and is one where it shows itself each time.
        for i, result in enumerate(self.results):
            for _ in range(2):
                if self.results[i].faults:
                    self.results[i] = await self.attack(result.kind, result.name, result.template)

    @property
    def faults(self):
        return [result for result in self.results if result.faults]

    def report(self):
        """A table: by class, how often they disagreed about an end, and who refused what of it."""
        rows = [("class", "attacks", "ends differ", "nginx alone took", "haproxy alone took",
                 "both took, ours refused", "ours took, one refused", "all refused", "faults")]
        for kind in dict.fromkeys(result.kind for result in self.results):
            of_kind = [result for result in self.results if result.kind == kind]
            refused = [tuple(any(i.kind == "refused" for i in r.made[name])
                             for name in ("nginx", "haproxy", "penstock")) for r in of_kind]
            who = collections.Counter(refused)
            rows.append((kind, len(of_kind), sum(bool(r.disagreements()) for r in of_kind),
                         who[(False, True, True)], who[(True, False, True)], who[(False, False, True)],
                         sum(bool(r.lenient()) for r in of_kind), who[(True, True, True)],
                         sum(bool(r.faults) for r in of_kind)))
        widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
        return "\n".join("  ".join(str(cell).ljust(width) if i == 0 else str(cell).rjust(width)
                                   for i, (cell, width) in enumerate(zip(row, widths))) for row in rows)
