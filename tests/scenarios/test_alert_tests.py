"""Whether the rules' own tests would notice: each threshold halved and doubled, each further condition and
each wait left out makes one of them fail.

What `penstock rules` writes is tested where it is made.
"""

import pathlib
import re
import subprocess
import tempfile
import unittest

from harness.penstock import LIMIT

ROOT = pathlib.Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/rules"
TESTS = ROOT / "deploy/prometheus/tests"
NUMBER = re.compile(r"(?<=[<>] )(\d+(?:\.\d+)?)")
# A condition beside the first: to the end of its line.
CONDITION = re.compile(r"\n +and .*| and on .*")


def spoilt(rule):
    """[(what was changed, the rule with it)]"""
    for match in NUMBER.finditer(rule):
        for factor in (0.5, 2):
            if float(match.group()) > 0:
                changed = f"{float(match.group()) * factor:g}"
                yield f"{match.group()} is {changed}", rule[:match.start()] + changed + rule[match.end():]
    for match in CONDITION.finditer(rule):
        yield f"without{match.group().strip():.60}", rule[:match.start()] + rule[match.end():]
    if "  for: " in rule:
        yield "without for", re.sub(r" +for: .*\n", "", rule)


def parts(path, mark):
    """The head of a file, and what begins with `mark`, piece by piece."""
    head, *rest = re.split(rf"(?m)^(?= *- {mark}: )", path.read_text())
    return head, rest


class Tests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="penstock-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.cases = []
        for path in sorted(TESTS.glob("*.test.yml")):
            head, cases = parts(path, "name")
            self.cases.extend((head, case) for case in cases)

    def write(self, number, text, name):
        """Rules with this text, and the tests of the alert `name` alone."""
        (self.folder / f"{number}.rules.yml").write_text(text)
        mine = [(head, case) for head, case in self.cases if case.split()[2] == name]
        self.assertTrue(mine, name)
        head = re.sub(r"rule_files: .*", f"rule_files: [{number}.rules.yml]", mine[0][0])
        (self.folder / f"{number}.test.yml").write_text(head + "".join(case for _, case in mine))

    def verdicts(self, numbers):
        """{number: whether its tests pass}"""
        done = subprocess.run(["promtool", "test", "rules", *(f"{number}.test.yml" for number in numbers)],
                              cwd=self.folder, capture_output=True, text=True, timeout=6 * LIMIT, check=False)
        said = re.split(r"Unit Testing:  (\d+)\.test\.yml\n", done.stdout + done.stderr)
        return {int(number): "SUCCESS" in text for number, text in zip(said[1::2], said[2::2])}

    def test_would_notice_whatever_is_changed_in_a_rule(self):
        changes = {}
        for path in sorted(RULES.glob("*.rules.yml")):
            if path.name == "budgets.rules.yml":
                continue
            head, rules = parts(path, "(?:alert|record)")
            recorded = "".join(rule for rule in rules if rule.split()[1] == "record:")
            named = [(rule.split()[2], rule) for rule in rules if rule.split()[1] == "alert:"]
            for name, rule in named:
                for what, text in spoilt(rule):
                    # Of two rules with one name the other stays as it is.
                    others = "".join(other for other_name, other in named if other_name == name and other != rule)
                    changes[len(changes)] = f"{name}: {what}"
                    self.write(len(changes) - 1, head + recorded + others + text, name)
        self.assertGreater(len(changes), 100)
        passed = self.verdicts(changes)
        self.assertEqual(set(passed), set(changes), "promtool has looked at all of them")
        self.assertEqual([changes[number] for number, good in passed.items() if good], [])


if __name__ == "__main__":
    unittest.main()
