"""What is known of the stack outside of the process that runs it: build/stack.

    lock         held by that process as long as it lives, whatever else has its number later
    parts.json   where everything is, and each part's process with the time at which it started
    logs/        what each part writes
"""

import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import signal
import time

FOLDER = pathlib.Path(os.environ.get("PENSTOCK_STACK") or pathlib.Path(__file__).parents[2] / "build/stack")
STATE, LOCK, LOG = FOLDER / "parts.json", FOLDER / "lock", FOLDER / "logs"
PATIENCE = 20  # seconds for a part that is told to end

# PostgreSQL's SIGTERM waits for its clients, a gateway's for the balancer.
ENDS_BY = {"primary": signal.SIGQUIT, "replica": signal.SIGQUIT, "gateway a": signal.SIGINT, "gateway b": signal.SIGINT}


def take_lock(how):
    """The open lock; None where another process holds it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    lock = LOCK.open("a")
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return None
    return lock


def runs():
    lock = take_lock(fcntl.LOCK_SH)
    if lock:
        lock.close()
    return lock is None


def begin():
    """The lock of the process that is to run the stack; None if another one does."""
    end = time.monotonic() + 1  # who only looks holds it for a moment
    while not (lock := take_lock(fcntl.LOCK_EX)) and time.monotonic() < end:
        time.sleep(0.01)
    return lock


def read():
    try:
        return json.loads(STATE.read_text())
    except (OSError, ValueError):
        return None


def write(state):
    draft = STATE.with_suffix(".new")
    draft.write_text(json.dumps(state))
    draft.rename(STATE)


def process(pid):
    """(state, when it started) as the kernel has it; None where there is no such process."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else (fields[0], fields[19])


def describe(part):
    """What of a part goes into the state."""
    found = process(part.process.pid) if part.process else None
    folder = getattr(part, "folder", None)
    return {"pid": part.process.pid if part.process else 0, "start": found and found[1],
            "folder": str(getattr(folder, "name", None) if hasattr(folder, "cleanup") else folder or "")}


def condition(part):
    """In a word, for whoever looks."""
    found = process(part["pid"])
    if not found or found[1] != part["start"]:
        return "IS GONE"
    return "STANDS STILL" if found[0] in "Tt" else "runs"


def leftovers():
    """The parts that run of a stack whose own process was killed."""
    parts = (read() or {}).get("parts", {})
    return {name: part for name, part in parts.items() if condition(part) != "IS GONE"}


def end_leftovers():
    """Ends them; their names."""
    parts, left = (read() or {}).get("parts", {}), leftovers()
    for name, part in reversed(left.items()):
        for number in (signal.SIGCONT, ENDS_BY.get(name, signal.SIGTERM)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(part["pid"], number)
    end = time.monotonic() + PATIENCE
    for part in left.values():
        while condition(part) != "IS GONE":
            if time.monotonic() > end:
                os.kill(part["pid"], signal.SIGKILL)
            time.sleep(0.05)
    for part in parts.values():
        if pathlib.Path(part["folder"]).name.startswith("penstock-"):  # one of its own making
            shutil.rmtree(part["folder"], ignore_errors=True)
    STATE.unlink(missing_ok=True)
    return list(left)


def clean():
    """Removes what the last one left: its logs, and spools whose database is gone."""
    for entry in (*FOLDER.iterdir(), *LOG.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            if entry != LOG:
                shutil.rmtree(entry)
        elif entry not in (LOCK, LOG / "stack"):  # the one that begins has these
            entry.unlink()
