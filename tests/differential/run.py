"""The comparison at the command line: `./dev fuzz differential [--seconds N | --minutes N] [--seed N]`.

The whole table of attacks first, then changed ones by chance until the time is over. Exits with 1
where the gateway was not the strict one.
"""

import argparse
import asyncio
import pathlib
import signal
import sys
import tempfile
import time

from differential.attacks import mutated, table
from differential.compare import Comparison
from differential.servers import RawEngine, haproxy, nginx, penstock, versions

STARTS = (nginx, haproxy, penstock)


async def compare(folder, attacks, seconds=None):
    """The comparison, done; the servers are ended and looked at."""
    servers = []
    try:
        for start in STARTS:
            engine = RawEngine(start.__name__)
            await engine.start()
            servers.append(await asyncio.to_thread(start, folder, engine))
        comparison = Comparison(servers)
        loop = asyncio.get_running_loop()
        await comparison.run(attacks, until=loop.time() + seconds if seconds else None)
        gateway = servers[-1]
        gateway.signal(signal.SIGINT)
        comparison.exit_code = await asyncio.to_thread(gateway.wait)
        comparison.output = gateway.output
        return comparison
    finally:
        for server in servers:
            await asyncio.to_thread(server.kill if server.name == "penstock" else server.close)
            server.engine.server.close()


def main():
    parser = argparse.ArgumentParser(prog="./dev fuzz differential", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--minutes", type=int)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--verbose", action="store_true", help="tell every disagreement")
    arguments = parser.parse_args()
    seconds = arguments.minutes * 60 if arguments.minutes else arguments.seconds

    def attacks():
        yield from table()
        yield from mutated(arguments.seed, 10 ** 9)
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        comparison = asyncio.run(compare(pathlib.Path(folder), attacks(), seconds))
    print(f"{versions()}; seed {arguments.seed}; {len(comparison.results)} attacks\n")
    print(comparison.report())
    for result in comparison.results:
        if result.faults or (arguments.verbose and (result.disagreements() or result.lenient())):
            print("\n" + result.told())
    ambiguous = comparison.servers[-1].engine.ambiguous
    for why, data in ambiguous:
        print(f"\nthe engine got from the gateway what has two readings ({why}): {data[:500]!r}")
    bad = bool(comparison.faults or ambiguous or comparison.exit_code)
    print("\nThe gateway was the strict one." if not bad else "\nFAULTS: see above.")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
