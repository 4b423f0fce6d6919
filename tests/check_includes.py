#!/usr/bin/env python3
"""Holds the house's rules that a compiler does not know.

The map of modules is the one in src/CMakeLists.txt: a module may include its own headers and those
of the modules it is declared with (DEPS), and of those they see in turn. Nothing looks upward.
Besides: every header begins with a comment that says what it is, and has `#pragma once`; nothing is
thread_local, but where it says why below. Files over 500 lines are named, which is a remark and not an error.

    tests/check_includes.py [ROOT]       exits with 1 if a rule is broken
"""

import pathlib
import re
import sys

LONG = 500
MODULE = re.compile(r"^\s*penstock_(?:module|plugin)\(\s*(\w+)([^)]*)\)", re.MULTILINE)
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
# malloc is called by every thread, those of libraries too, and has no Loop and no Shard at hand.
MAY_BE_THREAD_LOCAL = {"profile/heap.cc"}
THREAD_LOCAL = re.compile(r"^[^/]*\bthread_local\b")


def module_map(cmake):
    """The modules that each module sees, from the text of src/CMakeLists.txt.

    A module is declared after those it depends on, so the map has no circles.
    """
    seen = {}
    for match in MODULE.finditer(cmake):
        name, rest = match.group(1), match.group(2).split()
        deps, keyword = [], None
        for word in rest:
            if word in ("DEPS", "LIBS"):
                keyword = word
            elif keyword == "DEPS":
                deps.append(word)
        for dep in deps:
            if dep not in seen:
                raise ValueError(f"src/CMakeLists.txt: {name} depends on {dep}, which is not declared above it")
        seen[name] = set(deps).union(*(seen[dep] for dep in deps))
    return seen


def check_file(path, source, module, modules, headers):
    """What is wrong with one file: pairs of line and message."""
    lines = path.read_text(encoding="utf-8").splitlines()
    allowed = modules[module] | {module}
    for number, line in enumerate(lines, 1):
        if THREAD_LOCAL.search(line) and path.relative_to(source).as_posix() not in MAY_BE_THREAD_LOCAL:
            yield number, "thread_local: what a thread owns hangs on its Loop or its Shard"
        include = INCLUDE.match(line)
        if not include:
            continue
        name = include.group(1)
        target = name.split("/")[0]
        if name not in headers:
            yield number, f'"{name}" is no header below src/; quotes are for those'
        elif target not in allowed:
            sees = ", ".join(sorted(modules[module])) or "no other module"
            yield number, f'{module} may not include "{name}": it sees {sees}'
    if path.suffix == ".h":
        if not lines or not lines[0].startswith("// "):
            yield 1, "a header begins with a comment that says what it is"
        if "#pragma once" not in lines:
            yield 1, "no #pragma once"


def check(root):
    """Returns the errors and the remarks, as lines of text."""
    source = root / "src"
    modules = module_map((source / "CMakeLists.txt").read_text(encoding="utf-8"))
    files = sorted(p for p in source.rglob("*") if p.suffix in (".h", ".cc"))
    headers = {p.relative_to(source).as_posix() for p in files if p.suffix == ".h"}
    errors, remarks = [], []
    for path in files:
        place = path.relative_to(root).as_posix()
        module = path.relative_to(source).parts[0]
        if module not in modules:
            errors.append(f"{place}:1: {module} is not declared in src/CMakeLists.txt")
            continue
        for line, message in check_file(path, source, module, modules, headers):
            errors.append(f"{place}:{line}: {message}")
        length = path.read_text(encoding="utf-8").count("\n")
        if length > LONG:
            remarks.append(f"{place}: {length} lines; is it one room?")
    return errors, remarks


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    errors, remarks = check(root.resolve())
    for line in remarks:
        print(f"remark: {line}")
    for line in errors:
        print(line, file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
