"""59: an object of a million members, and numbers that no double can hold: 400.

P11: memory is bounded: members are counted as they are read.
"""

from drills.json_attack import JsonAttack, with_value


class TheDrill(JsonAttack):
    def attacks(self):
        # 100,000 are taken; a body above 1 MiB leaves no room behind that a worker keeps for the next.
        many = self.pick(1_000_000, 170_000)
        return {
            "a million members": with_value("{" + ",".join(f'"k{i}":{i}' for i in range(many)) + "}"),
            "a million members, outermost": '{"model":"m",' + ",".join(f'"k{i}":0' for i in range(many)) + "}",
            "a million members in many objects": with_value("[" + ",".join(['{"a":1,"b":2}'] * (many // 2)) + "]"),
            "1e999": with_value("1e999"),
            "-1e999": with_value("-1e999"),
            "1e999 as a parameter": '{"model":"m","temperature":1e999,"messages":[]}',
            "a double's largest, and one more": with_value("1.7976931348623159e308"),
            "an exponent of 100,000 digits": with_value("1e" + "9" * 100_000),
            "400 digits": with_value("9" * 400),
            "a million digits": with_value("9" * many),
            "NaN": with_value("NaN"),
            "Infinity": with_value("-Infinity"),
            "hexadecimal": with_value("0x10"),
            "a leading zero": with_value("01"),
            "a leading plus": with_value("+1"),
            "nothing before the point": with_value(".5"),
            "nothing behind the point": with_value("1."),
            "an empty exponent": with_value("1e"),
        }
