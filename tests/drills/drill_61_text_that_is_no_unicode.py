"""61: bytes that are no UTF-8, and surrogates that stand alone: 400, in values and in names.

What one program repairs and the next refuses must not pass.
"""

from drills.json_attack import PLAIN, JsonAttack, with_value

BYTES = {
    "a byte that never stands in UTF-8": b"\xff",
    "a continuation alone": b"\x80",
    "two bytes, one missing": b"\xc3",
    "three bytes, one missing": b"\xe2\x82",
    "four bytes, one missing": b"\xf0\x9f\x98",
    "overlong, two bytes": b"\xc0\xaf",
    "overlong, three bytes": b"\xe0\x80\xaf",
    "overlong, four bytes": b"\xf0\x80\x80\xaf",
    "an overlong NUL": b"\xc0\x80",
    "a surrogate as three bytes": b"\xed\xa0\x80",
    "above the last character": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "Latin-1": "caf\u00e9".encode("latin-1"),
}
ESCAPES = {
    "a high surrogate alone": "\\ud800",
    "a low surrogate alone": "\\udc00",
    "in the wrong order": "\\udc00\\ud800",
    "two high ones": "\\ud800\\ud800",
    "a high one before an ordinary escape": "\\ud800\\u0041",
    "a high one before text": "\\ud83dabc",
    "three digits": "\\u12",
    "no digits": "\\uzzzz",
    "an unknown escape": "\\x41",
}


def corpus():
    for name, bad in BYTES.items():
        yield f"{name}, in the question", b'{"model":"m","messages":[{"role":"user","content":"a' + bad + b'b"}]}'
        yield f"{name}, in a name", b'{"model":"m",' + PLAIN.encode() + b',"a' + bad + b'":1}'
    yield "bytes that are no UTF-8, in the model", b'{"model":"m\xff",' + PLAIN.encode() + b"}"
    yield "UTF-16", ('{"model":"m",' + PLAIN + "}").encode("utf-16")
    for name, bad in ESCAPES.items():
        yield f"{name}, in the question", '{"model":"m","messages":[{"role":"user","content":"' + bad + '"}]}'
        yield f"{name}, in a name", with_value('{"' + bad + '":1}')
        yield f"{name}, in the model", '{"model":"' + bad + '",' + PLAIN + "}"
    for name, bad in {"NUL": "\0", "LF": "\n", "tab": "\t", "escape": "\x1b"}.items():
        yield f"a raw {name} in a string", with_value(f'"a{bad}b"')


class TheDrill(JsonAttack):
    def attacks(self):
        return dict(corpus())
