#!/usr/bin/env python3
"""Runs the fuzz targets for a while; called by `./dev fuzz`, which builds them.

    run.py --build build/fuzz [--seconds N | --minutes N] [--jobs N] [TARGET...]

Each target begins with what is kept in tests/fuzz/corpus and with what earlier runs found worth
keeping in build/fuzz/corpus, and adds to the latter alone. A finding is written to
build/fuzz/findings, with how to see it again; the exit code is 1 then.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# The longest input that makes sense: beyond what bounds there are, and not slower than it is worth.
LONGEST = {"head": 3000, "chunked": 1500, "json": 2048, "sse": 3000, "settings": 4096,
           "documents": 6000, "spool": 4000, "resp": 2000, "jwt": 3000, "value": 4000, "traceparent": 100,
           "complexity": 4000}
SLOW_INPUT = 10       # seconds for one input: a hang
MEMORY = 2048         # MiB
OVERTIME = 60         # seconds that a run may take to load its corpus and to end


def dictionary(target):
    return HERE / "dictionaries" / f"{target}.dict"


class Run:
    """One target, for some seconds."""

    def __init__(self, target, build, seconds):
        self.target = target
        self.program = build / "tests/fuzz" / f"fuzz_{target}"
        self.corpus = build / "corpus" / target
        self.findings = build / "findings"
        self.corpus.mkdir(parents=True, exist_ok=True)
        self.findings.mkdir(exist_ok=True)
        self.seconds = seconds
        self.output = ""
        self.failed = False

    def run(self):
        environment = {"ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1",
                       "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1", **os.environ}
        command = [self.program, f"-max_total_time={self.seconds}", f"-timeout={SLOW_INPUT}",
                   f"-rss_limit_mb={MEMORY}", f"-max_len={LONGEST[self.target]}",
                   f"-artifact_prefix={self.findings}/{self.target}-", "-print_final_stats=1",
                   f"-dict={dictionary(self.target)}",
                   self.corpus, HERE / "corpus" / self.target]
        try:
            done = subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=self.seconds + OVERTIME, check=False)
            output, self.failed = done.stdout, done.returncode != 0
        except subprocess.TimeoutExpired as late:
            output, self.failed = late.stdout or b"", True
        self.output = output.decode("utf-8", "backslashreplace")
        return self

    def number(self, pattern):
        found = re.findall(pattern, self.output)
        return int(found[-1]) if found else 0

    def line(self):
        executions = self.number(r"stat::number_of_executed_units:\s+(\d+)")
        edges, states, corpus = map(self.number, (r"cov: (\d+)", r"ft: (\d+)", r"corp: (\d+)/"))
        return (f"{self.target:<10} {executions:>10} {executions // max(self.seconds, 1):>7}"
                f" {edges:>7} {states:>7}"
                f" {corpus:>7}  {'FINDING' if self.failed else 'none'}")

    def finding(self):
        """What was found, and how to see it again."""
        lines = [f"\n== a finding in {self.target}"]
        said = re.search(r"^.*(?:does not hold|ERROR: |runtime error: ).*\n(?:  .*\n)*", self.output,
                         re.MULTILINE)
        lines.append(said.group(0).rstrip() if said else self.output[-3000:])
        written = re.search(r"Test unit written to (\S+)", self.output)
        if written:
            program, file = os.path.relpath(self.program, ROOT), os.path.relpath(written.group(1), ROOT)
            lines += ["again:    " + f"{program} {file}",
                      "smaller:  " + f"{program} -minimize_crash=1 -runs=100000 {file}",
                      "once it is mended, the file belongs into "
                      f"tests/fuzz/corpus/{self.target}, named by what broke"]
        return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(prog="./dev fuzz", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--minutes", type=int, help="for each target")
    parser.add_argument("--jobs", type=int, default=1, help="targets at a time")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(LONGEST))
    arguments = parser.parse_args()
    for name in arguments.targets:
        if name not in LONGEST:
            parser.error(f"no such target: {name}; there are {', '.join(LONGEST)}")
    # What is built but not named here would never run, and look as if it had.
    built = {program.name.removeprefix("fuzz_") for program in
             (arguments.build / "tests/fuzz").glob("fuzz_*") if program.is_file()}
    if built != set(LONGEST):
        parser.error(f"{__file__}: LONGEST differs from what tests/fuzz/CMakeLists.txt builds: "
                     f"{', '.join(sorted(built ^ set(LONGEST)))}")
    for name in LONGEST:
        if not dictionary(name).exists() or not dictionary(name).stat().st_size:
            parser.error(f"{dictionary(name)} is missing or empty: libFuzzer takes no such dictionary")
    seconds = arguments.minutes * 60 if arguments.minutes else arguments.seconds
    runs = [Run(target, arguments.build.resolve(), seconds) for target in arguments.targets or LONGEST]

    begin = time.monotonic()
    print(f"{'target':<10} {'executions':>10} {'per s':>7} {'edges':>7} {'states':>7} {'corpus':>7}"
          "  findings", flush=True)
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for done in concurrent.futures.as_completed([pool.submit(run.run) for run in runs]):
            print(done.result().line(), flush=True)
    failed = [run for run in runs if run.failed]
    for run in failed:
        print(run.finding())
    print(f"\n{len(runs)} target{'s' if len(runs) > 1 else ''}, {seconds} s each, {time.monotonic() - begin:.0f} s in all: "
          f"{len(failed) or 'no'} finding{'s' if len(failed) > 1 else ''}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
