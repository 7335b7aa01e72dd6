"""Random inputs for everything that reads foreign data: `python -m tests.torture.fuzz --inputs 10000000 --seed 1`.

Each input is a mutation of a fixed corpus (`targets`). An exception other than the target's documented refusal is a
defect, and so is an input that takes longer than `SLOW_S`. Defects are printed with the bytes, to become tests.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.torture.mutation import mutated
from tests.torture.targets import TARGETS, Target

SLOW_S = 2.0
FOUND_MAX = 20
KEPT = 2_000
"""The number of mutated inputs that a corpus keeps in addition to the first ones, so that mutations accumulate."""


@dataclass(frozen=True, slots=True)
class Found:
    """A defect.

    Attributes:
        target: the name of the target.
        data: the input.
        what: what happened.
    """

    target: str
    data: bytes
    what: str


def feed(name: str, target: Target, data: bytes) -> Found | None:
    """Feed one input to a target. Returns the defect, or None."""
    # CPU time, so that a hanging machine is no defect.
    started = time.thread_time()
    try:
        target.feed(data)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # A panic of compiled code is not an Exception.
        return Found(name, data, f"{type(error).__name__}: {error}"[:300])
    spent_s = time.thread_time() - started
    return Found(name, data, f"took {spent_s:.1f} s") if spent_s > SLOW_S else None


def fuzz(name: str, inputs: int, seed: int) -> list[Found]:
    """Feed `inputs` mutated inputs to a target. Returns the first defects."""
    target = TARGETS[name]
    dice = random.Random(f"{name} {seed}")
    corpus = list(target.corpus())
    first = len(corpus)
    found = [one for data in corpus if (one := feed(name, target, data))]
    for _ in range(inputs):
        data = mutated(dice, dice.choice(corpus), dice.choice(corpus))
        one = feed(name, target, data)
        if one is not None:
            found.append(one)
            if len(found) >= FOUND_MAX:
                break
        elif dice.random() < 0.05 and len(data) < 4_096:
            if len(corpus) < first + KEPT:
                corpus.append(data)
            else:
                corpus[first + dice.randrange(KEPT)] = data
    return found


def run(inputs: int, seed: int, say: Callable[[str], None] = print) -> list[Found]:
    """Feed all targets their shares. Returns all defects."""
    found: list[Found] = []
    total = sum(target.share for target in TARGETS.values())
    for name, target in TARGETS.items():
        count = int(inputs * target.share / total)
        started = time.monotonic()
        new = fuzz(name, count, seed)
        spent_s = time.monotonic() - started
        say(f"{name}: {count:,} inputs in {spent_s:.0f} s, {len(new)} defects")
        found += new
    return found


def main() -> int:
    """Run, and return the exit code: 1 if there are defects."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    found = run(arguments.inputs, arguments.seed, lambda text: print(text, flush=True))
    for one in found:
        print(f"WRONG: {one.target}: {one.what}\n  {one.data[:2_000]!r}")
    print(f"fuzz: {arguments.inputs:,} inputs, seed {arguments.seed}: {len(found)} defects")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
