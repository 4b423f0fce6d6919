"""58: JSON nested a million levels deep: 400 at once, whatever it is nested in.

P11: memory is bounded: nothing recurses, nothing grows with the depth.
"""

from drills.json_attack import JsonAttack


class TheDrill(JsonAttack):
    def attacks(self):
        deep = self.pick(1_000_000, 100_000)
        return {
            "arrays, never closed": '{"model":"m","x":' + "[" * deep,
            "arrays": '{"model":"m","x":' + "[" * deep + "]" * deep + "}",
            "objects, never closed": '{"model":"m","x":' + '{"a":' * deep,
            "objects": '{"model":"m","x":' + '{"a":' * deep + "1" + "}" * deep + "}",
            "by turns": '{"model":"m","x":' + '[{"a":' * (deep // 2) + "1" + "}]" * (deep // 2) + "}",
            "in a message's content": '{"model":"m","messages":[{"role":"user","content":' + "[" * deep
                                      + "]" * deep + "}]}",
            "outermost": "[" * deep + "]" * deep,
        }
