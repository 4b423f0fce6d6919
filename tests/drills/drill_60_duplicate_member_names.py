"""60: member names that stand twice: 400, because two programs would read two questions.

Outermost and further in, near and far, written the same way or escaped.
"""

from drills.json_attack import PLAIN, JsonAttack, with_value

MANY = ",".join(f'"k{i}":{i}' for i in range(50_000))


class TheDrill(JsonAttack):
    def attacks(self):
        return {
            "model": '{"model":"m","model":"other",' + PLAIN + "}",
            "model, one of them escaped": '{"model":"m","\\u006dodel":"other",' + PLAIN + "}",
            "messages": '{"model":"m","messages":[],' + PLAIN + "}",
            "stream": '{"model":"m","stream":false,"stream":true,' + PLAIN + "}",
            "an unknown member": '{"model":"m","x":1,"x":1,' + PLAIN + "}",
            "an empty name": with_value('{"":1,"":2}'),
            "further in": with_value('{"a":{"b":[{"c":1,"d":2,"c":3}]}}'),
            "in a message": '{"model":"m","messages":[{"role":"user","role":"system","content":"x"}]}',
            "in a tool's schema": '{"model":"m",' + PLAIN + ',"tools":[{"type":"function","function":'
                                  '{"name":"f","name":"g"}}]}',
            "outside ASCII, one escaped": with_value('{"\u00fc":1,"\\u00fc":2}'),
            "a surrogate pair, one escaped": with_value('{"\U0001f600":1,"\\ud83d\\ude00":2}'),
            "a solidus, one escaped": with_value('{"a/b":1,"a\\/b":2}'),
            "three times": with_value('{"a":1,"a":2,"a":3}'),
            "the first and the last of 50,000": with_value("{" + MANY + ',"k0":1}'),
            "neighbours behind 50,000": with_value("{" + MANY + ',"z":1,"z":2}'),
        }
