"""Wild requests to every address of the page: `python -m tests.torture.wild --inputs 10000 --seed 1`.

Every field of a request has a value that its view doesn't expect (`tests.web.wild`). An answer of 500 or more is a
defect, and so is one that takes longer than `ANSWER_WITHIN_S`.
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from sandbox.api.sandbox import Sandbox
from sandbox.web.app import create_app
from tests.torture.fuzz import Found
from tests.web.wild import ask_all, fill

ANSWER_WITHIN_S = 15.0
METHODS = ("GET", "POST")
ROUNDS = 20
"""How often every address is requested before a new file is started, because the requests fill the file."""


def run(folder: Path, inputs: int, seed: int) -> list[Found]:
    """Send at least `inputs` requests. Returns all defects.

    Args:
        folder: a folder for the sandbox files.
    """
    found: list[Found] = []
    source = random.Random(seed)
    sent = number = 0
    while sent < inputs:
        with Sandbox(folder / f"wild-{number}.db") as box:
            fill(box)
            app = create_app(box)
            for method in METHODS:
                addresses = sum(method in (rule.methods or ()) for rule in app.url_map.iter_rules())
                rounds = max(1, min(ROUNDS, (inputs - sent) // addresses))
                failed, slowest_s = ask_all(app, method, rounds, source)
                sent += rounds * addresses
                found += [Found("addresses", b"", one) for one in failed]
                if slowest_s > ANSWER_WITHIN_S:
                    found.append(Found("addresses", b"", f"{method} took {slowest_s:.1f} s"))
        number += 1
    return found


def main() -> int:
    """Run, and return the exit code: 1 if there are defects."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sandbox-wild-") as name:
        found = run(Path(name), arguments.inputs, arguments.seed)
    for one in found:
        print(f"WRONG: {one.target}: {one.what}")
    print(f"wild: {arguments.inputs:,} requests, seed {arguments.seed}: {len(found)} defects")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
