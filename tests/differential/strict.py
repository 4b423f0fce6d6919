"""Requests read by the strictest reading of RFC 9112: what it does not take could be read in two ways.

The raw engine reads with it what the proxies send, so that it sees each request and where it ends.
"""

import re

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
START = re.compile(rb"(" + TOKEN + rb") ([\x21-\x7e]+) HTTP/1\.([01])")
FIELD = re.compile(rb"(" + TOKEN + rb"):([\x20-\x7e\x80-\xff\t]*)")
SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})")


class Ambiguous(ValueError):
    """It could be read in two ways, or in none."""


class Request:
    def __init__(self, method, target, minor, fields, body):
        self.method, self.target, self.minor = method.decode(), target.decode(), minor
        self.fields, self.body = fields, body

    def all(self, name):
        return [value for key, value in self.fields if key == name]


def take_chunks(data):
    """(body, bytes of it all), or None while it is not whole."""
    body, at = b"", 0
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        if not SIZE.fullmatch(data[at:end]):
            raise Ambiguous("a chunk's size, or an extension")
        size, at = int(data[at:end], 16), end + 2
        if size == 0:
            break
        if len(data) < at + size + 2:
            return None
        if data[at + size:at + size + 2] != b"\r\n":
            raise Ambiguous("a chunk that does not end in CR LF")
        body, at = body + data[at:at + size], at + size + 2
    if len(data) < at + 2:
        return None
    if data[at:at + 2] != b"\r\n":
        raise Ambiguous("trailers")
    return body, at + 2


def take_request(data):
    """(request, its bytes), or None while it is not whole."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > 65536:
            raise Ambiguous("a head without an end")
        return None
    lines = data[:end].split(b"\r\n")
    start = START.fullmatch(lines[0])
    if not start:
        raise Ambiguous("the request line")
    fields = []
    for line in lines[1:]:
        field = FIELD.fullmatch(line)
        if not field:
            raise Ambiguous("a field line")
        fields.append((field.group(1).lower().decode(), field.group(2).strip(b" \t")))
    request = Request(start.group(1), start.group(2), int(start.group(3)), fields, b"")
    codings, lengths = request.all("transfer-encoding"), request.all("content-length")
    if len(request.all("host")) != 1:
        raise Ambiguous("not one Host")
    rest = data[end + 4:]
    if codings:
        if lengths or [one.lower() for one in codings] != [b"chunked"] or request.minor == 0:
            raise Ambiguous("Transfer-Encoding")
        taken = take_chunks(rest)
        if taken is None:
            return None
        request.body, size = taken
    else:
        if len(lengths) > 1 or (lengths and not re.fullmatch(rb"[0-9]{1,19}", lengths[0])):
            raise Ambiguous("Content-Length")
        size = int(lengths[0]) if lengths else 0
        if len(rest) < size:
            return None
        request.body = rest[:size]
    return request, end + 4 + size
