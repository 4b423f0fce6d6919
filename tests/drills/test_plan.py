"""The plan of drills: no fault is forgotten, and none is shown by nothing."""

import importlib
import re
import unittest

from drills.drill import Drill
from drills.plan import BEGIN, END, HERE, PAGE, PLAN, PROMISES, TOPICS, tables


class Plan(unittest.TestCase):
    def test_every_number_stands_once(self):
        self.assertEqual([row.number for row in PLAN], list(range(1, 72)))

    def test_every_number_has_one_script_or_names_what_it_waits_for(self):
        for row in PLAN:
            with self.subTest(row.number):
                self.assertTrue(row.fault and row.expected)
                if row.waits_for:
                    self.assertIn(row.waits_for, TOPICS)
                    self.assertEqual(row.scripts, [], "it has its script: take waits_for away")
                else:
                    self.assertEqual(len(row.scripts), 1, "neither a script nor waits_for")

    def test_every_script_is_in_the_plan_and_is_a_drill(self):
        scripts = sorted(HERE.glob("drill_*.py"))
        self.assertEqual(scripts, [script for row in PLAN for script in row.scripts])
        for script in scripts:
            with self.subTest(script.name):
                number = int(re.fullmatch(r"drill_(\d\d)_[a-z0-9_]+", script.stem).group(1))
                module = importlib.import_module(f"drills.{script.stem}")
                self.assertRegex(module.__doc__ or "", rf"^{number}: \S")
                self.assertTrue(issubclass(module.TheDrill, Drill))
                for mine in ("settings", "fault"):
                    self.assertIsNot(getattr(module.TheDrill, mine), getattr(Drill, mine))
                for general in [n for n in vars(Drill) if n == "run" or n.startswith("_") and n[1] != "_"]:
                    self.assertIs(getattr(module.TheDrill, general), getattr(Drill, general), general)

    def test_every_promise_names_drills_of_the_plan(self):
        self.assertEqual(list(PROMISES), [f"P{i}" for i in range(1, 17)])
        numbers = {str(row.number) for row in PLAN}
        for name, (_, drills) in PROMISES.items():
            if drills != "every drill":
                self.assertLessEqual(set(drills.split()), numbers, name)

    def test_the_page_has_the_plan(self):
        page = PAGE.read_text()
        self.assertEqual(page.split(BEGIN)[1].split(END)[0], tables(),
                         "in tests: python3 -m drills.plan --write")


if __name__ == "__main__":
    unittest.main()
