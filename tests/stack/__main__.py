"""./dev stack: starts it, ends it, tells how it is, sends it load.

    ./dev stack             starts it and prints where everything is
    ./dev stack status      whether all parts run
    ./dev stack load [N]    mixed load for N seconds (60)
    ./dev stack down        ends it

It lives in build/stack; what it writes is in build/stack/log.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

FOLDER = pathlib.Path(__file__).parents[2] / "build/stack"
STATE, LOG = FOLDER / "state.json", FOLDER / "log"
PATIENCE = 120  # seconds


def alive(pid):
    try:
        # A process of another name has that number by now.
        return b"stack" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def running():
    """What the stack that runs says of itself; None where there is none."""
    try:
        state = json.loads(STATE.read_text())
    except (OSError, ValueError):
        return None
    return state if alive(state["pid"]) else None


def serve():
    """The process that has all parts, and ends them."""
    from stack import Stack  # pylint: disable=import-outside-toplevel
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    stack = Stack(FOLDER, say=lambda text: print(f"starting {text}", flush=True))
    try:
        draft = STATE.with_suffix(".new")
        draft.write_text(json.dumps({"pid": os.getpid(), "places": stack.places(), "parts": stack.pids(),
                                     "port": stack.proxy.port, "key": stack.key}))
        draft.rename(STATE)
        while not ended:
            time.sleep(0.2)
    finally:
        STATE.unlink(missing_ok=True)
        stack.close()


def show(state):
    width = max(len(what) for what, _ in state["places"])
    for what, where in state["places"]:
        print(f"  {what:<{width}}  {where}")


def up():
    state = running()
    if state:
        print("The stack runs already:\n")
        show(state)
        return 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    STATE.unlink(missing_ok=True)
    begin = time.monotonic()
    with LOG.open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", "stack", "serve"], stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=log, start_new_session=True)
    while not running():
        if process.poll() is not None or time.monotonic() - begin > PATIENCE:
            process.terminate()
            print(f"./dev stack: it did not start; the end of {LOG}:\n\n{LOG.read_text()[-2000:]}", file=sys.stderr)
            return 1
        time.sleep(0.1)
    state = running()
    print(f"The stack runs, after {time.monotonic() - begin:.0f} s:\n")
    show(state)
    print(f"""
  curl {state['places'][0][1]}/chat/completions -H 'authorization: Bearer {state['key']}' \\
    -d '{{"model": "small", "messages": [{{"role": "user", "content": "Hello?"}}]}}'

./dev stack load sends it mixed load for a minute, ./dev stack down ends it.""")
    return 0


def status():
    state = running()
    if state is None:
        print("No stack runs. ./dev stack starts one.")
        return 1
    show(state)
    print()
    gone = []
    for name, pid in state["parts"].items():
        there = pathlib.Path(f"/proc/{pid}").exists() and "State:\tZ" not in pathlib.Path(f"/proc/{pid}/status").read_text()
        print(f"  {name:<14} {'runs' if there else 'IS GONE'} ({pid})")
        gone += [] if there else [name]
    if gone:
        print(f"\nGone: {', '.join(gone)}. ./dev stack down and ./dev stack start all anew.")
    return 1 if gone else 0


def load(seconds):
    from stack.load import Load  # pylint: disable=import-outside-toplevel
    state = running()
    if state is None:
        print("No stack runs. ./dev stack starts one.", file=sys.stderr)
        return 1
    done = Load(state["port"], state["key"], seconds).wait()
    total = sum(done.statuses.values())
    print(f"{total} answers in {seconds} s: " +
          ", ".join(f"{count} of {status}" for status, count in sorted(done.statuses.items())))
    for failure in done.failures[:10]:
        print("failed:", failure)
    return 1 if done.failures else 0


def down():
    state = running()
    if state is None:
        print("No stack runs.")
        return 0
    os.kill(state["pid"], signal.SIGTERM)
    begin = time.monotonic()
    while alive(state["pid"]):
        if time.monotonic() - begin > PATIENCE:
            print(f"./dev stack: process {state['pid']} does not end; see {LOG}", file=sys.stderr)
            return 1
        time.sleep(0.1)
    print(f"The stack has ended, after {time.monotonic() - begin:.0f} s.")
    return 0


def main(words):
    commands = {"": up, "up": up, "status": status, "down": down, "serve": serve}
    word, *rest = words or [""]
    if word == "load" and len(rest) <= 1 and all(one.isdigit() for one in rest):
        return load(int(rest[0]) if rest else 60)
    if word not in commands or rest:
        print(__doc__, file=sys.stderr)
        return 2
    return commands[word]()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
