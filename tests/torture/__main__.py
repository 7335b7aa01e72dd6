"""`make torture KILLS=500 MINUTES=60 INPUTS=10000000`: kills, load, stalls and random inputs, as many as you want."""

import argparse
import logging
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from tests.torture import flips, fuzz, kills, load, served, stalls, wild

SERVED_SHARE = 100
"""One in this many random inputs is a request to a running broker, which takes that much longer."""
WILD_SHARE = 1_000
"""One in this many random inputs is a request to the page."""


def main() -> int:
    """Run the parts one after the other, except those that are set to 0. Returns the exit code: 1 for any failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--stalls", type=float, default=15, help="seconds beside each attack, see tests.torture.stalls")
    parser.add_argument("--inputs", type=int, default=10_000_000)
    parser.add_argument("--flips", type=int, default=1_000, help="flipped bits, each in a separate file")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1_000_000, help="the time where it is not given")
    parser.add_argument("--picture", type=Path, help="where to draw the load, such as docs/images/load.svg")
    arguments = parser.parse_args()
    say = partial(print, flush=True)
    say(f"seed {arguments.seed}")
    wrong: list[str] = []
    logging.getLogger("sandbox").propagate = False
    with tempfile.TemporaryDirectory(prefix="sandbox-torture-") as name:
        folder = Path(name)
        if arguments.kills:
            wrong += kills.run(arguments.kills, arguments.seed, say)
        if arguments.minutes:
            samples, failed = load.run(folder / "load.db", arguments.minutes, arguments.seed, say)
            wrong += failed
            if arguments.picture:
                load.draw(arguments.picture, samples)
        if arguments.stalls:
            found_stalls = stalls.run(folder, arguments.stalls, say=say)
            wrong += [one for stall in found_stalls for one in stall.wrong()]
        if arguments.flips:
            wrong += flips.told(arguments.flips, arguments.seed, folder, say)
        if arguments.inputs:
            found = fuzz.run(arguments.inputs, arguments.seed, say)
            found += served.run(folder / "fuzz.db", arguments.inputs // SERVED_SHARE, arguments.seed)
            found += wild.run(folder, arguments.inputs // WILD_SHARE, arguments.seed)
            wrong += [f"{one.target}: {one.what}\n  {one.data[:2_000]!r}" for one in found]
    for one in wrong:
        say(f"WRONG: {one}")
    outcome = f"{len(wrong)} wrong" if wrong else "nothing was lost, nothing broke"
    say(
        f"torture: {arguments.kills} kills, {arguments.minutes:g} minutes of load, {arguments.flips:,} flipped bits, "
        f"{arguments.inputs:,} inputs, seed {arguments.seed}: {outcome}"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
