#!/usr/bin/env python3
"""The gateway beside a raw epoll server, nginx and a direct call, on this machine, now.

Called by `./dev bench`, which installs nginx and wrk and builds. What is measured and how:
docs/benchmarks.md. Exit code 0 if every goal was met, 1 if one was missed, 2 if it could not run.
"""

import argparse
import glob
import json
import os
import shutil
import subprocess
import sys
import time

import cache
from machine import Failure, allow_files, say
from parts import Bench

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PARTS = ["hits", "misses", "bodies", "streams", "idle", "start"]
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "bench"), metavar="DIR",
                        help="where penstock and yardstick were built")
    parser.add_argument("--penstock", metavar="FILE", help="another program to measure")
    parser.add_argument("--only", metavar="PARTS", help=f"some of: {','.join(PARTS)}; "
                        f"with --cache, of: {','.join(cache.PARTS)}")
    parser.add_argument("--rounds", type=int, help="of which the median is taken (3)")
    parser.add_argument("--seconds", type=int, help="that each measurement lasts (8)")
    parser.add_argument("--quick", action="store_true",
                        help="one short round: whether it runs, not how fast")
    parser.add_argument("--json", metavar="FILE", help="for the figures (DIR/results.json)")
    parser.add_argument("--markdown", nargs="?", const="-", metavar="FILE",
                        help="a table for docs: printed, or put into FILE between its marks")
    parser.add_argument("--cache", action="store_true",
                        help="the cache by itself: hit ratios, its bound, what a hit costs")
    parser.add_argument("--micro", action="store_true",
                        help="runs the micro benchmarks, and nothing else; "
                             "what follows -- is given to each")
    given = sys.argv[1:]
    own = [*given, "--"].index("--")
    parsed = parser.parse_args(given[:own])
    parsed.rest = given[own + 1:]
    return parser, parsed


def micro(build, rest):
    subprocess.run(["cmake", "--build", build], check=True)
    programs = sorted(glob.glob(os.path.join(build, "src", "*_bench")))
    if not programs:
        raise Failure(f"no *_bench in {build}/src: configure it with -DPENSTOCK_BENCHMARKS=ON")
    bad = [p for p in programs if subprocess.run([p, *rest], check=False).returncode != 0]
    if bad:
        raise Failure("failed: " + ", ".join(map(os.path.basename, bad)))


def number(value, unit):
    if unit in ("/s",):
        return f"{value:,.0f}"
    return f"{value:,.2f}" if abs(value) < 10 else f"{value:,.1f}"


def goal_of(row):
    if row["goal"] is None:
        return ""
    sign = "<=" if row["at_most"] else ">="
    return f"{sign} {number(row['goal'], row['unit']).removesuffix('.00').removesuffix('.0')}"


def table(rows):
    width = max(len(row["what"]) for row in rows) + 2
    out = []
    part = None
    for row in rows:
        if row["part"] != part:
            part = row["part"]
            out.append(f"\n{part}")
        out.append(f"  {row['what']:<{width}}{number(row['value'], row['unit']):>12} "
                   f"{row['unit']:<4}{goal_of(row):>12}  {row['verdict']:<5} {row['note']}".rstrip())
    return "\n".join(out)


def markdown(rows, about):
    out = [f"Measured on {about['when']} with `./dev bench` on {about['machine']}, "
           f"Linux {about['kernel']}; penstock {about['commit']}; "
           f"medians of {about['rounds']} rounds of {about['seconds']} s.", "",
           "| part | what | measured | goal | |", "|---|---|---|---|---|"]
    for row in rows:
        unit = {"x": "times", "/s": ""}.get(row["unit"], row["unit"])
        note = f" ({row['note']})" if row["note"] else ""
        out.append(f"| {row['part']} | {row['what']}{note} | "
                   f"{number(row['value'], row['unit'])} {unit}".rstrip()
                   + f" | {goal_of(row)} | {row['verdict']} |")
    return "\n".join(out) + "\n"


def put_between_marks(path, text):
    with open(path) as f:
        before, mark, rest = f.read().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise Failure(f"{path} has no lines {BEGIN} and {END}")
    with open(path, "w") as f:
        f.write(f"{before}{BEGIN}\n{text}{END}{after}")


def about(rounds, seconds):
    model = "an unknown processor"
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"],
                            capture_output=True, text=True, check=False).stdout.strip()
    return {"when": time.strftime("%Y-%m-%d"), "machine": f"{os.cpu_count()} cores of {model}",
            "kernel": os.uname().release, "commit": commit or "unknown", "rounds": rounds,
            "seconds": seconds}


def check(parser, args, wanted):
    parts = cache.PARTS if args.cache else PARTS
    unknown = [part for part in wanted if part not in parts]
    if unknown:
        parser.error(f"--only: {unknown[0]} is none of {', '.join(parts)}")
    if len(os.sched_getaffinity(0) & {0, 1}) < 2:
        raise Failure("two cores are needed: one for the server, one for the load")
    penstock = args.penstock or os.path.join(args.build, "penstock")
    yardstick = os.path.join(args.build, "bench", "yardstick")
    relay = os.path.join(args.build, "bench", "relay")
    programs = [penstock]
    if {"misses", "streams"} & set(wanted):
        programs.append(relay)
    if "hits" in wanted:
        programs.append(yardstick)
        for name in ("wrk", "nginx"):
            if not (shutil.which(name) or os.access(f"/usr/sbin/{name}", os.X_OK)):
                raise Failure(f"{name} is not installed; ./dev bench installs it")
    for program in programs:
        if not os.access(program, os.X_OK):
            raise Failure(f"{program} is not there; ./dev bench builds it")
    files = allow_files()
    if "idle" in wanted and files < 21_000:
        say(f"open files are limited to {files} (ulimit -Hn): fewer than 10,000 connections will be idle")
    return penstock, yardstick, relay


def main():
    parser, args = arguments()
    try:
        if args.micro:
            micro(args.build, args.rest)
            return 0
        wanted = args.only.split(",") if args.only else cache.PARTS if args.cache else PARTS
        penstock, yardstick, relay = check(parser, args, wanted)
        rounds = args.rounds or (1 if args.quick else 3)
        seconds = args.seconds or (2 if args.quick else 8)
        if args.cache:
            bench = cache.CacheBench(args.build, penstock, args.quick, rounds, seconds)
        else:
            bench = Bench(penstock, yardstick, relay, args.quick, rounds, seconds)
        rows, failed = [], []
        try:
            for part in wanted:
                # What the others measured is not lost with one that cannot run here.
                try:
                    rows += getattr(bench, part)()
                except (Failure, subprocess.SubprocessError, OSError) as error:
                    say(f"bench: {part}: {error}")
                    failed.append(part)
        finally:
            bench.close()
        facts = about(rounds, seconds)
        print(table(rows))
        results = args.json or os.path.join(args.build,
                                            "cache.json" if args.cache else "results.json")
        os.makedirs(os.path.dirname(os.path.abspath(results)), exist_ok=True)
        with open(results, "w") as f:
            json.dump({"about": facts, "rows": rows, "raw": bench.raw}, f, indent=1)
        say(f"\nall figures: {os.path.relpath(results)}")
        if args.markdown == "-":
            print("\n" + markdown(rows, facts))
        elif args.markdown:
            put_between_marks(args.markdown, markdown(rows, facts))
        missed = [row["what"] for row in rows if row["verdict"] == "MISS"]
        if missed:
            say(f"{len(missed)} of the goals missed: {'; '.join(missed)}")
        if failed:
            say(f"could not run: {', '.join(failed)}")
            return 2
        return 1 if missed else 0
    except (Failure, subprocess.SubprocessError, OSError) as error:
        say(f"bench: {error}")
        return 2


if __name__ == "__main__":
    sys.exit(main())
