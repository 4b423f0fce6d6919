"""./dev stack: starts it, ends it, tells how it is, sends it load.

    ./dev stack             starts it and prints where everything is; with `up --free-ports` nothing
                            has the port that it has otherwise
    ./dev stack status      whether all parts run
    ./dev stack load [N]    mixed load for N seconds (60)
    ./dev stack down        ends it

It lives in build/stack; what its parts write is in build/stack/logs, until the next start.
"""

import os
import signal
import subprocess
import sys
import time

from stack import state as known

PATIENCE = 120  # seconds for all of it to start, or to end


def serve(*options):
    """The process that has all parts, and ends them."""
    from stack import PORTS, Stack  # pylint: disable=import-outside-toplevel
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    lock = known.begin()
    if lock is None:
        print("another stack runs", flush=True)
        return 1

    def tell(stack, ready=False):
        more = {"places": stack.places(), "port": stack.proxy.port, "key": stack.key,
                "admins": [admin for _, admin in stack.ports.values()]} if ready else {}
        known.write({"pid": os.getpid(), "ready": ready, "taken": stack.taken, **more,
                     "parts": {name: known.describe(part) for name, part in stack.parts.items()}})
        if ended:
            raise SystemExit(0)  # told to end while it starts: the stack closes what there is

    left = known.end_leftovers()
    if left:
        print("ended what an earlier one left:", ", ".join(left), flush=True)
    known.clean()
    known.write({"pid": os.getpid(), "ready": False, "taken": [], "parts": {}})
    stack = None
    try:
        stack = Stack(known.FOLDER, ports={} if options else PORTS, tell=tell)
        tell(stack, ready=True)
        while not ended:
            time.sleep(0.2)
    finally:
        if stack:
            stack.close()
        known.STATE.unlink(missing_ok=True)
    return 0


def show(state):
    width = max(len(what) for what, _ in state["places"])
    for what, where in state["places"]:
        print(f"  {what:<{width}}  {where}")
    if state["taken"]:
        print("\nTaken by other programs, so that a free one stands above:",
              ", ".join(str(port) for port in state["taken"]))


def ready():
    """What the stack that runs says of itself; None where there is none, or it only starts."""
    state = known.read() if known.runs() else None
    return state if state and state["ready"] else None


def nothing_runs():
    if known.runs():
        print("The stack is starting.", file=sys.stderr)
    elif left := known.leftovers():
        print(f"No stack runs, and these of one that was killed do: {', '.join(left)}. ./dev stack down ends them.",
              file=sys.stderr)
    else:
        print("No stack runs. ./dev stack starts one.", file=sys.stderr)
    return 1


def up(*options):
    if state := ready():
        print("The stack runs already:\n")
        show(state)
        return 0
    if known.runs():
        return nothing_runs()
    known.FOLDER.mkdir(parents=True, exist_ok=True)
    known.LOG.mkdir(exist_ok=True)
    begin = time.monotonic()
    written = known.LOG / "stack"
    with written.open("wb") as log:
        process = subprocess.Popen([sys.executable, "-W", "ignore", "-m", "stack", "serve", *options],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    while not (state := ready()):
        if process.poll() is not None or time.monotonic() - begin > PATIENCE:
            process.terminate()
            print(f"./dev stack: it did not start; the end of {written}:\n\n{written.read_text()[-2000:]}",
                  file=sys.stderr)
            return 1
        time.sleep(0.1)
    print(f"The stack runs, after {time.monotonic() - begin:.0f} s:\n")
    show(state)
    print(f"""
  curl {state['places'][0][1]}/chat/completions -H 'authorization: Bearer {state['key']}' \\
    -H 'content-type: application/json' -d '{{"model": "small", "messages": [{{"role": "user", "content": "Hello?"}}]}}'

./dev stack load sends it mixed load for a minute, ./dev stack down ends it.""")
    return 0


def status():
    state = ready()
    if state is None:
        return nothing_runs()
    show(state)
    print()
    found = {name: known.condition(part) for name, part in state["parts"].items()}
    for name, how in found.items():
        print(f"  {name:<14} {how} ({state['parts'][name]['pid']})")
    unwell = [name for name, how in found.items() if how != "runs"]
    if unwell:
        print(f"\nNot well: {', '.join(unwell)}; {known.LOG} has what each wrote. "
              "./dev stack down and ./dev stack start all anew.")
    return 1 if unwell else 0


def load(seconds):
    from stack.load import Load  # pylint: disable=import-outside-toplevel
    state = ready()
    if state is None:
        return nothing_runs()
    done = Load(state["port"], state["key"], seconds, admins=state["admins"]).wait()
    total = sum(done.statuses.values())
    print(f"{total} answers in {seconds} s: " +
          ", ".join(f"{count} of {status}" for status, count in sorted(done.statuses.items())))
    for failure in done.failures[:10]:
        print("failed:", failure)
    return 1 if done.failures else 0


def down():
    if not known.runs():
        left = known.end_leftovers()
        print(f"No stack runs. Ended what was left of one: {', '.join(left)}." if left else "No stack runs.")
        return 0
    state = known.read()
    if state is None:  # it begins, or ends, at this very moment
        return nothing_runs()
    begin = time.monotonic()
    os.kill(state["pid"], signal.SIGTERM)
    while known.runs():
        if time.monotonic() - begin > PATIENCE:
            print(f"./dev stack: process {state['pid']} does not end; see {known.LOG}/stack", file=sys.stderr)
            return 1
        time.sleep(0.1)
    print(f"The stack has ended, after {time.monotonic() - begin:.0f} s.")
    return 0


def main(words):
    commands = {"": up, "up": up, "status": status, "down": down, "serve": serve}
    word, *rest = words or [""]
    if word == "load" and len(rest) <= 1 and all(one.isdigit() for one in rest):
        return load(int(rest[0]) if rest else 60)
    if word in ("-h", "--help", "help"):
        print(__doc__)
        return 0
    if word in ("up", "serve") and rest == ["--free-ports"]:
        return commands[word](*rest)
    if word not in commands or rest:
        print(__doc__, file=sys.stderr)
        return 2
    return commands[word]()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
