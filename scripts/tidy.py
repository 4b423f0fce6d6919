#!/usr/bin/env python3
"""Runs clang-tidy over the program's sources, in parallel, and only over what changed.

The compile commands are GCC's; those options that clang does not know are taken out, and GCC's
precompiled header is replaced by one of clang's own. A file that was found clean is not looked at
again until its text, a header of ours that it includes, its command or the checks change: what is
remembered is a hash of all of them. State lives in build/tidy.

Most of clang-tidy's time goes to the headers of the libraries, which it walks anew for each file.
So several files are looked at as one, each of another module, whose names cannot meet; where
anything is found in such a bundle its files are looked at again one by one, and that is what counts.

    scripts/tidy.py [--jobs N] [FILE...]      exits with 1 if anything was found
"""

import argparse
import collections
import concurrent.futures
import hashlib
import json
import pathlib
import re
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
STATE = ROOT / "build/tidy"
BUNDLE = 8  # files in one, about
TIDY, CLANG = "clang-tidy-19", "clang++-19"
INCLUDE = re.compile(rb'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
UNKNOWN_TO_CLANG = {"-fcoroutines", "-Winvalid-pch", "-Werror", "-Wno-tsan", "-Wno-restrict",
                    "-Wno-stringop-overflow", "-Wno-stringop-overread"}


def commands(database):
    """The sources' commands as clang wants them, and the text of the precompiled header."""
    header, found = None, {}
    for entry in json.loads(database.read_text()):
        path = pathlib.Path(entry["file"])
        if path.suffix != ".cc" or SOURCE not in path.parents:
            continue
        if path.stem.endswith(("_test", "_bench")):
            continue  # the compiler's warnings and the tests themselves look after these
        if "penstock_test_pch" in entry["command"]:
            continue  # the tests' precompiled header, without optimisation
        words, kept = iter(shlex.split(entry["command"])[1:]), []
        for word in words:
            if word == "-include":
                header = next(words)
            elif word in ("-o", "-c"):
                next(words)
            elif word not in UNKNOWN_TO_CLANG:
                kept.append(word)
        found[path] = kept
    return found, header


def precompile(header, flags):
    """Clang's own precompiled header; made again when its text, flags or clang have changed."""
    version = subprocess.run([CLANG, "--version"], capture_output=True, check=True).stdout
    digest = hashlib.sha256(pathlib.Path(header).read_bytes() + version + " ".join(flags).encode())
    made = STATE / f"pch-{digest.hexdigest()[:16]}.pch"
    if not made.exists():
        for old in STATE.glob("pch-*"):
            old.unlink()
        subprocess.run([CLANG, *flags, "-x", "c++-header", header, "-o", str(made)], check=True)
    return made


def digest_of(path, salt, known):
    """A hash over the file, the headers of ours it reaches, and the salt."""
    reached, todo = {}, [path]
    while todo:
        file = todo.pop()
        if file in reached:
            continue
        if file not in known:
            text = file.read_bytes()
            names = [SOURCE / name.decode() for name in INCLUDE.findall(text)]
            known[file] = hashlib.sha256(text).digest(), [n for n in names if n.exists()]
        reached[file] = known[file][0]
        todo += known[file][1]
    total = hashlib.sha256(salt)
    for file in sorted(reached):
        total.update(file.as_posix().encode() + reached[file])
    return total.hexdigest()


def tidy(path, options=(), compiler=()):
    done = subprocess.run([TIDY, "--quiet", "-p", str(STATE), *options, str(path), *compiler],
                          capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + ("" if done.returncode == 0 else done.stderr)


def bundles(files, least):
    """The files dealt out, at least `least` bundles of them, no two files of a module in one."""
    if not files:
        return []
    largest = max(collections.Counter(path.parent for path in files).values())
    count = max(largest, -(-len(files) // BUNDLE), min(least, len(files)))
    return [files[at::count] for at in range(count)]


def joined(words):
    """The words of a command, those that belong together as one tuple."""
    words = iter(words)
    for word in words:
        yield (word, next(words)) if word in ("-isystem", "-include-pch") else (word,)


def tidy_bundle(bundle, arguments):
    """What was found in each file: (path, code, output). `arguments`: each file's compiler and flags."""
    if len(bundle) > 1:
        # Named by what is in it: another bundle's text must not come under this one.
        name = hashlib.sha256("".join(map(str, bundle)).encode()).hexdigest()[:16]
        together = STATE / f"bundle-{name}.cc"
        together.write_text("".join(f'#include "{path}"\n' for path in bundle))
        every = dict.fromkeys(word for path in bundle for word in joined(arguments[path][1:-2]))
        options = ("--checks=-bugprone-suspicious-include", r"--header-filter=/src/[a-z]+/[a-z_]+\.(h|cc)$")
        code, output = tidy(together, options, ("--", *(part for word in every for part in word)))
        together.unlink()
        if code == 0:
            return [(path, 0, "") for path in bundle]
        first = next((line for line in output.splitlines() if "error:" in line), output[:200])
        print(f"one by one now, for {first.strip()}", flush=True)
    return [(path, *tidy(path)) for path in bundle]


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--jobs", type=int, default=2)
    options.add_argument("files", nargs="*", type=pathlib.Path)
    chosen = options.parse_args()

    STATE.mkdir(parents=True, exist_ok=True)
    found, header = commands(ROOT / "build/release/compile_commands.json")
    common = next(flags for flags in found.values() if "-fPIC" not in flags)
    common = [w for w in common if not w.startswith("-D") or w.startswith("-DBOOST_ASIO")]
    pch = precompile(header, common)
    # A shared object's sources are compiled otherwise than the header was: they go without it.
    arguments = {path: [CLANG, *flags, "-Wno-unknown-warning-option",
                        *([] if "-fPIC" in flags else ["-include-pch", str(pch)]), "-c", str(path)]
                 for path, flags in found.items()}
    database = [{"directory": str(STATE), "file": str(path), "arguments": words}
                for path, words in arguments.items()]
    (STATE / "compile_commands.json").write_text(json.dumps(database, indent=1))

    version = subprocess.run([TIDY, "--version"], capture_output=True, check=True).stdout
    checks = version + (ROOT / ".clang-tidy").read_bytes()
    clean_file = STATE / "clean"
    clean = set(clean_file.read_text().split()) if clean_file.exists() else set()
    wanted = {path.resolve() for path in chosen.files} or set(found)
    known, todo, kept = {}, [], set()
    for path, flags in sorted(found.items()):
        digest = digest_of(path, checks + " ".join(flags).encode(), known)
        if digest in clean:
            kept.add(digest)
        elif path in wanted:
            todo.append((path, digest))
    print(f"{len(todo)} of {len(found)} files to look at", flush=True)

    failed, seen, begin = [], 0, time.monotonic()
    digests = dict(todo)
    with concurrent.futures.ThreadPoolExecutor(max_workers=chosen.jobs) as pool:
        alone = [path for path in digests if "-fPIC" in found[path]]
        together = [path for path in digests if path not in alone]
        running = [pool.submit(tidy_bundle, bundle, arguments)
                   for bundle in [*bundles(together, chosen.jobs), *([path] for path in alone)]]
        for future in concurrent.futures.as_completed(running):
            for path, code, output in future.result():
                seen += 1
                name = path.relative_to(ROOT)
                print(f"[{seen}/{len(todo)}, {time.monotonic() - begin:.0f} s] {name}", flush=True)
                if code == 0:
                    kept.add(digests[path])
                else:
                    failed.append(name)
                    print(output, flush=True)
            clean_file.write_text("\n".join(sorted(kept)))
    if failed:
        print(f"clang-tidy found something in {len(failed)} files: {' '.join(map(str, failed))}",
              file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
