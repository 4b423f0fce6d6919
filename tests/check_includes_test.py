"""The include check finds what it is there to find."""

import pathlib
import tempfile
import unittest

import check_includes

MAP = """
penstock_module(base)
penstock_module(http DEPS base LIBS ssl)
penstock_module(engine DEPS http)
"""


class House(unittest.TestCase):
    def check(self, files):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "src").mkdir()
            (root / "src/CMakeLists.txt").write_text(MAP)
            for name, text in files.items():
                path = root / "src" / name
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
            return check_includes.check(root)

    def header(self, *includes):
        return "// What it is.\n#pragma once\n" + "".join(f'#include "{i}"\n' for i in includes)

    def test_includes_that_go_downward_pass(self):
        files = {"base/a.h": self.header(), "http/b.h": self.header("base/a.h"),
                 "engine/c.h": self.header("base/a.h", "http/b.h")}
        self.assertEqual(self.check(files), ([], []))

    def test_an_include_that_goes_upward_is_named_with_its_line(self):
        errors, _ = self.check({"base/a.h": self.header("http/b.h"), "http/b.h": self.header()})
        self.assertEqual(len(errors), 1)
        self.assertIn("src/base/a.h:3: base may not include \"http/b.h\"", errors[0])

    def test_a_header_that_does_not_exist_is_an_error(self):
        errors, _ = self.check({"base/a.h": self.header("base/gone.h")})
        self.assertIn("no header below src", errors[0])

    def test_a_header_needs_its_comment_and_its_guard(self):
        errors, _ = self.check({"base/a.h": "int x;\n"})
        self.assertEqual(len(errors), 2)

    def test_thread_local_is_refused_and_may_be_spoken_of(self):
        text = self.header() + "// No thread_local.\n"
        self.assertEqual(self.check({"base/a.h": text})[0], [])
        errors, _ = self.check({"base/a.h": text + "static thread_local int x;\n"})
        self.assertEqual(len(errors), 1)

    def test_a_module_that_is_not_declared_is_an_error(self):
        errors, _ = self.check({"attic/a.h": self.header()})
        self.assertIn("not declared", errors[0])

    def test_a_long_file_is_a_remark(self):
        errors, remarks = self.check({"base/a.h": self.header() + "\n" * 500})
        self.assertEqual(errors, [])
        self.assertEqual(len(remarks), 1)

    def test_a_dependency_declared_below_is_refused(self):
        with self.assertRaises(ValueError):
            check_includes.module_map("penstock_module(a DEPS b)\npenstock_module(b)\n")


if __name__ == "__main__":
    unittest.main()
