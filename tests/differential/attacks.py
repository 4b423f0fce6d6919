"""Bytes of which two servers may think differently where a request ends.

Each attack is the bytes of one connection. `@ID@` is replaced by a number of its own, by which the
engine's requests are told apart; `n=1` is the request under attack, `n=2` one that is hidden in or
behind it, `n=3` the last of the connection.
"""

import random
import re

from scenarios.test_framing import ACCEPTED, REFUSED

BODY = b'{"model":"handbook","messages":[{"role":"user","content":"metrics"}]}'
CHAT = b"/v1/chat/completions?t=@ID@&n=1"
PLAIN = b"/v1/attacked?t=@ID@&n=1"  # any body passes through there
HIDDEN = b"GET /v1/hidden?t=@ID@&n=2 HTTP/1.1\r\nHost: test\r\n\r\n"
LAST = b"GET /v1/last?t=@ID@&n=3 HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"


def length(data):
    """Of what is sent: the number takes another place than its mark."""
    return len(data.replace(b"@ID@", b"%08d" % 0))


def head(*fields, line=b"POST " + PLAIN + b" HTTP/1.1", host=b"Host: test", end=b"\r\n"):
    return end.join([line, *([host] if host is not None else []), *fields, b"", b""])


def json_head(*fields, **more):
    return head(b"Content-Type: application/json", *fields, **more, line=b"POST " + CHAT + b" HTTP/1.1")


def chunk(data):
    return b"%x\r\n%s\r\n" % (length(data), data)


LAST_CHUNK = b"0\r\n\r\n"
TE = b"Transfer-Encoding: chunked"


def coding_attacks():
    """Transfer-Encoding that one may not see, with a Content-Length that then decides."""
    fields = [
        TE, b"transfer-encoding: chunked", b"TRANSFER-ENCODING: CHUNKED", b"Transfer-Encoding: Chunked",
        b"Transfer-Encoding:chunked", b"Transfer-Encoding:  chunked", b"Transfer-Encoding:\tchunked",
        b"Transfer-Encoding: chunked ", b"Transfer-Encoding: chunked\t", b"Transfer-Encoding : chunked",
        b"Transfer-Encoding\t: chunked", b" Transfer-Encoding: chunked",
        b"Transfer-Encoding:\x0bchunked", b"Transfer-Encoding: \x0cchunked",
        b"Transfer-Encoding: chunked\x0b", b"Transfer-Encoding\x00: chunked",
        b"Transfer-Encoding: chunked\x00", b"Transfer-Encoding: \x00chunked",
        b"Transfer-Encoding: chu\x00nked", b"Transfer-Encoding:\r\n chunked",
        b"Transfer-Encoding: \r\n\tchunked", b"Transfer-Encoding:\n chunked",
        b"Transfer-Encoding\r\n : chunked", b"X: y\r\n Transfer-Encoding: chunked",
        b"X: y\nTransfer-Encoding: chunked", b"X: y\rTransfer-Encoding: chunked",
        b"X: y\r\rTransfer-Encoding: chunked", b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding: chunkedx", b"Transfer-Encoding: chunked;q=1",
        b'Transfer-Encoding: "chunked"', b"Transfer-Encoding: chunked,", b"Transfer-Encoding: ,chunked",
        b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: chunked, identity",
        b"Transfer-Encoding: identity, chunked", b"Transfer-Encoding: identity",
        b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: gzip",
        b"Transfer-Encoding: deflate, chunked", b"Transfer-Encoding: x, chunked", b"Transfer-Encoding:",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked", b"Transfer_Encoding: chunked",
        b"Transfer Encoding: chunked", b"Transfer-Encoding\xa0: chunked",
        b"Transfer-Encoding: \xa0chunked", b"Transfer-Encoding: chunk\xe9d",
        b"X-Transfer-Encoding: chunked", b"TE: chunked",
        b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
        b"no colon\r\nTransfer-Encoding: chunked", b": nameless\r\nTransfer-Encoding: chunked",
        b"X-\x80: y\r\nTransfer-Encoding: chunked", b"Content-Encoding: chunked",
    ]
    whole = LAST_CHUNK + HIDDEN                           # by its length all is one body
    short = b"%x\r\n" % length(HIDDEN)                    # by its length the body ends behind the size
    for field in fields:
        name = field.decode("latin-1")
        yield f"{name} | alone", head(field) + chunk(BODY) + LAST_CHUNK
        yield f"{name} | CL.TE", head(b"Content-Length: %d" % length(whole), field) + whole
        yield f"{name} | TE.CL", head(field, b"Content-Length: %d" % len(short)) + chunk(HIDDEN) + LAST_CHUNK
        yield f"{name} | HTTP/1.0", head(field, b"Content-Length: %d" % length(whole),
                                         line=b"POST " + PLAIN + b" HTTP/1.0") + whole
        yield f"{name} | question", json_head(field) + chunk(BODY) + LAST_CHUNK


def length_attacks():
    """A Content-Length of more than one reading."""
    forms = ["%d", "+%d", "-%d", "0%d", "00000000000000000%d", "000000000000000000000%d", " %d", "\t%d",
             "%d ", "%d\t", "%d,%d", "%d, %d", "%d,", ",%d", "%d, 0", "0, %d", "0x%x", "%x", "0%o",
             "%d.0", "%de0", "%d_", "1_%d", "%d;", '"%d"', "'%d'", "", "%d %d", "%d 0", "\x0b%d",
             "%d\x0b", "%d\x00", "\x00%d", "\xa0%d", "\r\n %d", "%d\r\n ", "%d\r\nContent-Length: %d",
             "%d\r\nContent-Length: 0", "0\r\nContent-Length: %d", "%d\r\nContent-Length:",
             "%d\r\nContent-Length : 0", "%d\r\nContent_Length: 0", "%d\r\nContent-Length\x00: 0",
             "%d\rContent-Length: 0", "%d\nContent-Length: 0", "%d\r\nConnection: Content-Length",
             "184467440737095516%d",
             "42949672%d", "92233720368547758%d", "NaN", "%d;a=b", "%d/1", "(%d)"]
    for form in forms:
        for name, body in (("body", BODY), ("hidden", HIDDEN), ("question", BODY)):
            count = form.count("%")
            value = (form % ((length(body),) * count)).encode("latin-1")
            make = json_head if name == "question" else head
            yield f"Content-Length: {form} | {name}", make(b"Content-Length: " + value) + body
    for field in ("Content-Length %d", "Content-Length : %d", "Content-Length\t: %d", " Content-Length: %d",
                  "Content-Length\x00: %d", "Content_Length: %d", "Content-Length\xa0: %d",
                  "X: y\nContent-Length: %d",
                  "X: y\rContent-Length: %d", "X: y\r\n Content-Length: %d", "Content-Length;: %d"):
        yield f"{field} | hidden", head((field % length(HIDDEN)).encode("latin-1")) + HIDDEN
    for method in (b"GET", b"DELETE", b"OPTIONS", b"PUT", b"PATCH", b"TRACE", b"get", b"FOO"):
        line = method + b" " + PLAIN + b" HTTP/1.1"
        yield f"{method.decode()} with a length", head(b"Content-Length: %d" % length(HIDDEN),
                                                       line=line) + HIDDEN
        yield f"{method.decode()} in chunks", head(TE, line=line) + chunk(HIDDEN) + LAST_CHUNK
        yield f"{method.decode()} without", head(line=line) + HIDDEN


def chunk_attacks():
    """Chunks that one may count otherwise."""
    size = b"%x" % length(HIDDEN)
    sizes = [b"0" + size, b"000000000000000" + size, b"00000000000000000" + size, b"0x" + size, b"+" + size,
             b"-" + size, b" " + size, b"\t" + size, size + b" ", size + b"\t", size + b"  ", size + b"\x0b",
             size + b"\x00", size + b"\xa0", size + b";", size + b";a", size + b";a=b", size + b'; a="b"',
             size + b" ;a=b", size + b' ;a="\r\n', size + b";a=\n", size + b";\r", size + b";a\rb",
             size + b";\x00",
             size + b";\x01", size + b";" + b"e" * 2000, size + b",", size + b"_", b"1_" + size, size + b"g",
             size + b".", b"", size.upper(), b"1" + b"0" * 15 + size, b"1" + b"0" * 16, b"f" * 16,
             b"8" + b"0" * 15,
             b"100000000" + size, b"-0", b"\xef\xbc\x91"]
    for form in sizes:
        name = form.decode("latin-1").replace(size.decode(), "S")[:40]
        yield f"chunk size {name}", head(TE) + form + b"\r\n" + HIDDEN + b"\r\n" + LAST_CHUNK
        yield f"last chunk size {name}", head(TE) + chunk(BODY) + form.replace(size,
            b"0") + b"\r\n\r\n" + HIDDEN
    for name, ends in {"LF": (b"\n", b"\r\n", b"\r\n"), "LF behind data": (b"\r\n", b"\n", b"\r\n"),
                       "LF at all": (b"\n", b"\n", b"\n"), "CR": (b"\r", b"\r\n", b"\r\n"),
                       "CR behind data": (b"\r\n", b"\r", b"\r\n"), "nothing behind data": (b"\r\n", b"",
                           b"\r\n"),
                       "two behind data": (b"\r\n", b"\r\n\r\n", b"\r\n"),
                       "any two bytes behind data": (b"\r\n", b"XX", b"\r\n"),
                       "LF at the end": (b"\r\n", b"\r\n", b"\n"), "CR CR LF": (b"\r\r\n", b"\r\n", b"\r\n"),
                       "LF CR": (b"\n\r", b"\r\n", b"\r\n")}.items():
        first, second, third = ends
        yield f"chunks that end in {name}", (head(TE) + size + first + HIDDEN + second + b"0" + third + third)
        yield f"question in chunks that end in {name}", (
            json_head(TE) + b"%x" % len(BODY) + first + BODY + second + b"0" + third + third)
    yield "chunk longer than its size", head(TE) + b"5\r\n" + HIDDEN + b"\r\n" + LAST_CHUNK
    yield "chunk shorter than its size", head(TE) + b"%x\r\n%s\r\n%s" % (length(HIDDEN) + 4, HIDDEN,
        LAST_CHUNK)
    yield "no last chunk", head(TE) + chunk(BODY)
    yield "an extension that hides a request", head(TE) + b"0;\r\n\r\n" + HIDDEN
    for trailer in (b"X: y", b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Host: other",
                    b" folded: x", b"no colon", b"X : y", b"X: y\n", b"X: a\x00b", b": y", b"X: y\rZ: y",
                    b"GET /v1/hidden?t=@ID@&n=2 HTTP/1.1"):
        yield f"trailer {trailer.decode('latin-1')}", head(TE) + chunk(BODY) + b"0\r\n" + trailer + b"\r\n\r\n"


def line_attacks():
    """What ends a line, and a head."""
    lines = head(b"Content-Length: %d" % length(BODY))
    for name, end in {"LF": b"\n", "CR": b"\r", "CR CR LF": b"\r\r\n", "LF CR": b"\n\r", "VT": b"\x0b",
                      "NUL": b"\0",
                      "LF LF": b"\n\n", "CR LF space": b"\r\n "}.items():
        yield f"all lines end in {name}", lines.replace(b"\r\n", end) + BODY
        for i in range(3):
            parts = lines.split(b"\r\n")
            first, rest = b"\r\n".join(parts[:i + 1]), b"\r\n".join(parts[i + 1:])
            yield f"line {i} ends in {name}", first + end + rest + BODY
        yield f"the head ends in {name}", lines[:-2] + end + BODY
    for name, before in {"CR LF": b"\r\n", "two CR LF": b"\r\n\r\n", "LF": b"\n", "a space": b" ",
                         "NUL": b"\0",
                         "CR": b"\r", "a byte order mark": b"\xef\xbb\xbf"}.items():
        yield f"{name} before it", before + lines + BODY
        yield f"{name} between two", lines + BODY + before
    for field in (b"X\x00: y", b"X: \x00", b"X: \x01y", b"X: \x7f", b"X: y\x0bz", b"X\x0b: y", b"X Y: z",
                  b"X;Y: z", b"(X): z", b"\"X\": z", b"X\xff: z", b"X: \xff", b"X: \x85", b"X:", b"X",
                  b":", b": y", b"X: y\r\n  z", b"X: y\r\n\tContent-Length: 0", b"\xe2\x84\xaa: y",
                  b"X: " + b"y" * 7000, b"X: " + b"y" * 9000,
                  b"\r\nX: y", b"X: y\r\r\n", b"X: y\r", b"{X}: y", b"X/Y: z"):
        name = field[:40].decode("latin-1")
        yield f"field {name}", head(field, b"Content-Length: %d" % length(BODY)) + BODY
        yield f"first field {name}", head(b"Host: test", b"Content-Length: %d" % length(HIDDEN),
                                          host=field) + HIDDEN


def start_attacks():
    """Request lines, versions and hosts."""
    body = b"Content-Length: %d" % length(HIDDEN)
    for line in (b"POST @ HTTP/1.0", b"POST @ HTTP/1.2", b"POST @ HTTP/1.10", b"POST @ HTTP/01.1",
                 b"POST @ HTTP/1.01", b"POST @ HTTP/2.0", b"POST @ HTTP/0.9", b"POST @", b"POST @ ",
                 b"POST @ http/1.1", b"POST @ HTTP /1.1", b"POST @ HTTP/1.1 ", b"POST @  HTTP/1.1",
                 b"POST  @ HTTP/1.1", b" POST @ HTTP/1.1", b"POST\t@\tHTTP/1.1", b"POST\x0b@ HTTP/1.1",
                 b"POST @\x0cHTTP/1.1", b"POST @ HTTP/1.1 HTTP/1.1", b"POST @ HTTP/1.1x",
                 b"POST @ XTTP/1.1", b"POST @ ICAP/1.1", b"POST @\x00 HTTP/1.1", b"POST @\x01 HTTP/1.1",
                 b"POST @\xff HTTP/1.1", b"POST @#f HTTP/1.1", b"POST @ x HTTP/1.1",
                 b"POST @%00 HTTP/1.1", b"POST @%0d%0a HTTP/1.1", b"POST @\\ HTTP/1.1",
                 b"POST @\" HTTP/1.1", b"PO:ST @ HTTP/1.1", b"P\x00ST @ HTTP/1.1", b"post @ HTTP/1.1",
                 b"POST HTTP/1.1", b"@ HTTP/1.1", b"POST http://test@ HTTP/1.1",
                 b"POST http://other@ HTTP/1.1", b"POST HTTP://test@ HTTP/1.1",
                 b"POST https://test@ HTTP/1.1", b"POST ftp://test@ HTTP/1.1", b"POST test@ HTTP/1.1",
                 b"POST /\x00@ HTTP/1.1", b"POST http://a:b@test@ HTTP/1.1", b"POST http://@ HTTP/1.1",
                 b"POST http://test:x@ HTTP/1.1", b"POST //test@ HTTP/1.1", b"POST *@ HTTP/1.1",
                 b"POST x:@ HTTP/1.1", b"PRI * HTTP/2.0",
                 b"CONNECT test:80 HTTP/1.1"):
        yield f"line {line.decode('latin-1')}", head(body, line=line.replace(b"@", PLAIN, 1)
                                                   if b"a:b@" not in line else line.replace(b"test@",
                                                       b"test" + PLAIN)) + HIDDEN
    for host in (None, b"Host:", b"Host: a b", b"Host: a/b", b"Host: a,b", b"Host: a@b", b"Host: a#b",
                 b"Host: a?b", b"Host: a\r\nHost: a", b"Host: a\r\nHost: b", b"Host : a", b"Host: a:b",
                 b"Host: a:99999", b"Host: [::1]", b"Host: [", b"Host: a\x00", b"Host: \xff", b"HOST: a",
                 b"Host: a\r\n b", b"host: a\r\nHost: a", b"Host: ..",
                 b"Host: a\\b", b"Host: a%00", b"Host: \"a\"", b"Host: <a>", b"Host: a;b"):
        name = "no Host" if host is None else host.decode("latin-1")
        yield f"{name} | 1.1", head(body, host=host) + HIDDEN
        yield f"{name} | 1.0", head(body, b"Connection: keep-alive", host=host,
                                    line=b"POST " + PLAIN + b" HTTP/1.0") + HIDDEN
    for fields in (b"Expect: 100-continue", b"Expect: 100-Continue", b"Expect: 100-continue, x",
                   b"Expect: x", b"Expect:", b"Expect: 100-continue\r\nExpect: 100-continue",
                   b"Expect: 200-ok", b"Upgrade: websocket\r\nConnection: Upgrade",
                   b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
                   b"Connection: close", b"Connection: close, keep-alive", b"Connection: keep-alive",
                   b"Connection: Host", b"Connection: Content-Length",
                   b"Connection: x\r\nConnection: close", b"Proxy-Connection: close",
                   b"Keep-Alive: timeout=0", b"TE: trailers", b"Trailer: Content-Length",
                   b"Content-Encoding: gzip", b"Content-Type: message/http",
                   b"X-HTTP-Method-Override: GET",
                   b"Content-Range: bytes 0-1/2"):
        name = fields.decode("latin-1")
        yield f"{name} | length", head(fields, body) + HIDDEN
        yield f"{name} | chunks", head(fields, TE) + chunk(HIDDEN) + LAST_CHUNK
        yield f"{name} | neither", head(fields) + HIDDEN


def scenarios():
    """Those of the scenarios of framing."""
    for name, data in {**{n: d for n, (d, _) in REFUSED.items()}, **ACCEPTED}.items():
        yield name, data.replace(b"/v1/chat/completions", CHAT).replace(b"/livez", PLAIN)


CLASSES = {"transfer codings": coding_attacks, "lengths": length_attacks, "chunks": chunk_attacks,
           "ends of lines, fields": line_attacks, "request lines, hosts, connections": start_attacks,
           "the scenarios of framing": scenarios}


def table():
    """All of them: (class, name, bytes)."""
    for kind, attacks in CLASSES.items():
        for name, data in attacks():
            yield kind, name, data + LAST


# ---- at random -------------------------------------------------------------------------------------

PIECES = [b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b"\0", b"\x0b", b"\x0c", b"\x01", b"\x7f",
          b"\x85", b"\xa0", b"\xff", b":", b",", b";", b"0", b"1", b"-", b"+", b"_", b"x", b'"',
          b"\r\n ", b"\n ", b"chunked", b"Content-Length: 0\r\n", b"Content-Length: 5\r\n", TE + b"\r\n",
          b"Transfer-Encoding: identity\r\n", b"Host: other\r\n", b"Connection: close\r\n",
          b"Expect: 100-continue\r\n", LAST_CHUNK,
          b"5\r\nhello\r\n", HIDDEN]
IDS = re.compile(rb"t=@ID@&n=\d")


def mutated(seed, count):
    """The table's, each changed in one to three places."""
    chance = random.Random(seed)
    bases = list(table())
    for number in range(count):
        kind, name, base = chance.choice(bases)
        data = base[:-len(LAST)]
        for _ in range(chance.choice((1, 1, 2, 3))):
            at = chance.randrange(len(data) + 1)
            action = chance.randrange(5)
            if action == 0:
                data = data[:at] + data[at + 1 + chance.randrange(3):]
            elif action == 1:
                data = data[:at] + chance.choice(PIECES) + data[at + 1:]
            elif action == 2 and b"\r\n" in data:
                lines = data.split(b"\r\n")
                lines.insert(chance.randrange(len(lines)), chance.choice(lines))
                data = b"\r\n".join(lines)
            else:
                data = data[:at] + chance.choice(PIECES) + data[at:]
        data += LAST
        # What the engine sees must still be told apart.
        if b"ID" not in IDS.sub(b"", data):
            yield "at random", f"{seed}/{number} of {kind}: {name}", data
