"""Runs drills: `python3 -m drills [--quick] [N...]`, or `--list`. Exit code 1 if one fails."""

import argparse
import importlib
import resource
import sys
import time

from drills.plan import PLAN, tables
from harness.penstock import PROGRAM


def load(row):
    """The one class of a script."""
    return importlib.import_module(f"drills.{row.scripts[0].stem}").TheDrill


def main():
    parser = argparse.ArgumentParser(prog="./dev drill", description="Injects faults under load and measures.")
    parser.add_argument("numbers", nargs="*", type=int, metavar="N", help="which drills; all without any")
    parser.add_argument("--quick", action="store_true", help="short limits, small numbers: seconds each")
    parser.add_argument("--list", action="store_true", help="every fault, by which drill or what it waits for")
    arguments = parser.parse_args()
    if arguments.list:
        print(tables(), end="")
        return 0
    rows = {row.number: row for row in PLAN}
    for number in arguments.numbers:
        if number not in rows:
            parser.error(f"there is no drill {number}: 1 to {max(rows)}")
        if not rows[number].scripts:
            parser.error(f"drill {number} waits for {rows[number].waits_for}")
    chosen = [rows[n] for n in arguments.numbers] or [row for row in PLAN if row.scripts]
    print(f"{len(chosen)} drills, {'quick' if arguments.quick else 'full'}, of {PROGRAM}")
    # Thousands of clients are as many descriptors here; most systems begin with 1024 and allow more.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    failed = []
    for row in chosen:
        print(f"\n== {row.number}: {row.fault}: {row.expected}", flush=True)
        begin = time.monotonic()
        figures = load(row)(row.number, arguments.quick).run()
        print(figures.table())
        print(f"  {'passed' if figures.good else 'FAILED'} after {time.monotonic() - begin:.1f} s", flush=True)
        if not figures.good:
            failed.append(row.number)
    print(f"\n{len(chosen) - len(failed)} of {len(chosen)} drills passed" +
          (f"; FAILED: {', '.join(map(str, failed))}. Again: ./dev drill"
           f"{' --quick' if arguments.quick else ''} {' '.join(map(str, failed))}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
