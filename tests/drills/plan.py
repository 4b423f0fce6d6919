"""Every fault that the gateway is drilled for: by which script, or what its drill waits for.

`docs/drills.md` shows this table; `python3 -m drills.plan --write` writes it there, and a test
compares. A drill is added by its script, `drill_NN_*.py`, and by taking its `waits_for` away.
"""

import dataclasses
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
PAGE = HERE.parents[1] / "docs/drills.md"
BEGIN, END = "<!-- the plan: begin -->\n", "<!-- the plan: end -->\n"

# What drills wait for: the part of the gateway that the fault is injected into is not there yet.
ENGINES = "retries, breakers and failover"
STORE = "store, access and limits"
TRANSPORT = "HTTP/2 and transport"
PACKAGES = "packages and upgrades"
# The gateway can be drilled already, the script is not written.
SCRIPT = "its script"
TOPICS = {ENGINES, STORE, TRANSPORT, PACKAGES, SCRIPT}

PROMISES = {
    "P1": ("no byte of one request or tenant reaches another", "17 20 52 68"),
    "P2": ("framing is unambiguous or refused", "16 17 52"),
    "P3": ("a truncated stream never looks complete and is never cached", "2 6 7 8 11"),
    "P4": ("engines see at most 1.2 times the calls while they fail", "12 13 15"),
    "P5": ("no retry after the client's first byte", "2"),
    "P6": ("Redis lost: at most 50 ms more, no 5xx", "18 19 20 21 22 23 24 25 26"),
    "P7": ("no stale answer after an invalidation was lost", "26 27"),
    "P8": ("the database lost: known keys go on", "29 30 31 32"),
    "P9": ("usage counted exactly once", "29 33 36"),
    "P10": ("restart, reload and upgrade lose no request", "40 41 42 43 44 45"),
    "P11": ("memory bounded by configuration", "10 38 46 51 53 54 55 56 57 58 59 60 61 62 63"),
    "P12": ("one bad client or engine slows the others' p99 by less than twice", "5 46 49 50 53"),
    "P13": ("a client never chooses an address", "66"),
    "P14": ("no secret or question text in logs, metrics, traces", "every drill"),
    "P15": ("limits exact with Redis; without, off by at most one lease a node", "18 19"),
    "P16": ("work is cancelled on disconnect or deadline", "47"),
}


@dataclasses.dataclass(frozen=True)
class Row:
    number: int
    fault: str
    expected: str
    waits_for: str = ""

    @property
    def scripts(self):
        return sorted(HERE.glob(f"drill_{self.number:02}_*.py"))


PLAN = [Row(*row) for row in (
    (1, "engine killed before its first byte", "another engine, 200", ENGINES),
    (2, "engine killed after 5 chunks", "error event, no [DONE], partial usage, not cached"),
    (3, "connection refused", "failover within 1 s, breaker opens", ENGINES),
    (4, "engine accepts, says nothing", "504 at the first-token time-out"),
    (5, "engine drips a byte every 10 s", "total cap; others unaffected"),
    (6, "engine stalls in the middle of a stream", "error event at `between_tokens`"),
    (7, "reset in the middle of a stream", "as 2"),
    (8, "malformed events", "error event, not cached"),
    (9, "chunks split inside UTF-8", "byte-identical output"),
    (10, "one line of 10 MiB in a stream", "capped, memory bounded"),
    (11, "stream without [DONE]", "marked truncated, not cached"),
    (12, "60 s of 500s", "engine calls at most 1.2 times; back within 60 s of recovery", ENGINES),
    (13, "429 with Retry-After", "concurrency shrinks, breaker stays closed", ENGINES),
    (14, "engine flaps every 3 s", "open time grows; others at least 99.9 %", ENGINES),
    (15, "all engines down", "503 within 50 ms, or stale, or the fallback", ENGINES),
    (16, "engine's bad Content-Length or Transfer-Encoding", "502, closed"),
    (17, "extra bytes after an engine's body", "never reach the next client"),
    (18, "Redis killed", "200; limits go on with what was left"),
    (19, "Redis stopped for 30 s", "50 ms more at most, then away"),
    (20, "Redis replies after the time-out", "connection closed, replies never crossed"),
    (21, "Redis out of memory", "writes skipped, served"),
    (22, "Redis turned replica", "re-discovered"),
    (23, "Redis loading", "away, no client error"),
    (24, "SCRIPT FLUSH", "reloaded, no wrong decision"),
    (25, "CLIENT PAUSE WRITE", "as 19"),
    (26, "CLIENT KILL of the tracking link", "no stale read"),
    (27, "invalidation overtakes the read", "old value not kept"),
    (28, "slot moved in a cluster of 3", "no errors"),
    (29, "PostgreSQL restarted at once", "keys go on; all usage lands"),
    (30, "PostgreSQL stopped", "data path unaffected"),
    (31, "max_connections=5", "pool waits, capped"),
    (32, "replica 10 s behind", "own writes read back"),
    (33, "failover by pg_promote", "writes resume within 10 s, no duplicates"),
    (34, "disk full", "counted, served"),
    (35, "SQLite locked, reader held", "retried; WAL at most 64 MiB"),
    (36, "gateway killed under load", "replay without duplicates"),
    (37, "64 file descriptors", "accept pauses, no spin, recovers"),
    (38, "memory limit and large bodies", "sheds, not killed"),
    (39, "clock changed by an hour", "timers monotonic, TTLs and limits sane"),
    (40, "SIGTERM with 100 streams", "all finish"),
    (41, "SIGTERM with an endless stream", "error event at the drain limit, exit 0"),
    (42, "new binary under load", "no failed request", PACKAGES),
    (43, "bad configuration on reload", "old kept, metric and log say so"),
    (44, "100 reloads under load", "no leak, no failure"),
    (45, "certificate swapped; mismatched key", "new used; bad refused", TRANSPORT),
    (46, "client reads 1 byte/s", "engine paused, cut at `write_stall`"),
    (47, "client leaves", "engine call cancelled within 100 ms"),
    (48, "the leader's client leaves", "followers answered"),
    (49, "slowloris, 5000 connections", "cut at 10 s; good p99 under twice"),
    (50, "slow body", "408"),
    (51, "1 MiB header; 10,000 headers", "431, no growth"),
    (52, "smuggling corpus", "exact status, closed"),
    (53, "HTTP/2 rapid reset, 100,000", "GOAWAY; at most 100 calls in flight", TRANSPORT),
    (54, "CONTINUATION flood", "closed at 8", TRANSPORT),
    (55, "PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty-frame floods", "closed", TRANSPORT),
    (56, "HPACK bomb", "header cap", TRANSPORT),
    (57, "zero window", "cut at `write_stall`", TRANSPORT),
    (58, "JSON 1,000,000 deep", "400"),
    (59, "1,000,000 members; 1e999", "400"),
    (60, "duplicate member names", "400"),
    (61, "invalid UTF-8, lone surrogate", "400"),
    (62, "1 MiB gzip of 10 GiB", "413 at the limit"),
    (63, "colliding keys", "linear time"),
    (64, "CR, LF, ANSI in model and user", "one log line, escaped"),
    (65, "a million unknown model names", "series count constant"),
    (66, "addresses in body, headers, Host", "400; no connection made"),
    (67, "SQL in a key", "401, flat timing"),
    (68, "one question, two tenants", "two engine calls"),
    (69, "1000 clients at the moment of expiry", "one engine call"),
    (70, "DNS fails", "last good addresses", ENGINES),
    (71, "link down and up", "time-out, recovers", ENGINES),
)]


def tables():
    """The plan in Markdown."""
    lines = ["| # | fault | expected | shown by |", "|---|---|---|---|"]
    for row in PLAN:
        shown = f"waits for {row.waits_for}" if row.waits_for else f"`./dev drill {row.number}`"
        lines.append(f"| {row.number} | {row.fault} | {row.expected} | {shown} |")
    lines += ["", "| # | promise | drills |", "|---|---|---|"]
    lines += [f"| {name} | {text} | {drills} |" for name, (text, drills) in PROMISES.items()]
    return "\n".join(lines) + "\n"


def main():
    if sys.argv[1:] == ["--write"]:
        before, rest = PAGE.read_text().split(BEGIN)
        PAGE.write_text(before + BEGIN + tables() + END + rest.split(END)[1])
    else:
        print(tables(), end="")


if __name__ == "__main__":
    main()
