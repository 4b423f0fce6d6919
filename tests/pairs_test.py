"""The labelled question pairs that the project ships: their shape, and that they are balanced."""

import json
import pathlib
import unittest

PAIRS = pathlib.Path(__file__).resolve().parent.parent / "docs" / "semantic" / "pairs.jsonl"


class Pairs(unittest.TestCase):
    def setUp(self):
        self.pairs = [json.loads(line) for line in PAIRS.read_text(encoding="utf-8").splitlines()]

    def test_each_is_two_questions_and_a_word_on_them(self):
        for pair in self.pairs:
            self.assertEqual(list(pair), ["a", "b", "same"], pair)
            self.assertIsInstance(pair["same"], bool, pair)
            for text in (pair["a"], pair["b"]):
                self.assertTrue(4 < len(text) < 200 and text == text.strip(), pair)
            self.assertNotEqual(pair["a"], pair["b"])

    def test_none_is_there_twice(self):
        seen = [frozenset((pair["a"], pair["b"])) for pair in self.pairs]
        self.assertEqual(len(seen), len(set(seen)))

    def test_they_are_many_and_balanced(self):
        same = sum(pair["same"] for pair in self.pairs)
        self.assertGreaterEqual(len(self.pairs), 300)
        self.assertTrue(0.45 <= same / len(self.pairs) <= 0.55, f"{same} of {len(self.pairs)} mean the same")


if __name__ == "__main__":
    unittest.main()
