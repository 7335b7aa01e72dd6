"""Flipped bits: `python -m tests.torture.flips --flips 1000 --seed 1`.

A closed file with known content is copied, and one random bit of the copy is flipped. Then everything in it is read
like clients and pages read it, and it is checked like with `sandbox check`. Each flip must be refused when the file is
opened, reported by the read that finds it, reported by the check, or harmless: what is read is what was written.
Anything else is a defect: an unreported change, an error of the program, a hang.
"""

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import BrokerError, FileRefused
from sandbox.kafka.event import NewEvent
from sandbox.storage.check import check
from sandbox.storage.file.failure import StorageFailed
from sandbox.wire.fetch_records import DAMAGE
from tests.log_reading import read_batches

EVENTS = 600
PARTITIONS = 3

TOLD = ("refused", "told by a read", "told by the check")
HARMLESS = "harmless"

Content = dict[str, object]


def make(path: Path) -> Content:
    """Write a file with topics, events with and without keys and headers, and groups. Returns the result of `read`."""
    with Sandbox(path) as sandbox:
        sandbox.create_topic("orders", partitions=PARTITIONS, settings={"retention.ms": "-1"})
        sandbox.create_topic("blobs", settings={"retention.ms": "-1"})
        for first in range(0, EVENTS, 20):
            numbers = range(first, first + 20)
            sandbox.append_many(
                "orders",
                [
                    NewEvent(f'{{"id": {one}, "text": "{"ham" * 10}"}}'.encode(), f"user-{one % 7}".encode())
                    for one in numbers
                ],
            )
            sandbox.append("blobs", bytes(range(first % 256)) + b"\xff" * 30, headers={"trace": b"\x00\xfe", "n": "1"})
        for partition, end in sandbox.end_offsets("orders").items():
            sandbox.commit("billing", "orders", partition, end // 2)
    with Sandbox(path) as sandbox:
        return read(sandbox)


def read(sandbox: Sandbox) -> Content:
    """Return everything that clients and pages can read from a file."""
    found: Content = {}
    for topic in sandbox._broker.topics.values():
        for partition in topic.partitions:
            place = f"{topic.name}-{partition.partition}"
            offset, records = partition.start, []
            while offset < partition.high_watermark:
                batches = read_batches(sandbox._broker.log, partition, offset, 1 << 20, partition.high_watermark)
                if not batches:
                    break
                records += [record for stored in batches for record in stored.records]
                offset = batches[-1].batch.last_offset + 1
            found[place] = (partition.start, partition.high_watermark, records)
        found[topic.name] = topic.settings
    with sandbox.one_view():
        found["pages"] = [(one.topic, one.events, len(one.partitions)) for one in sandbox.topics()]
        found["groups"] = [
            (one.group, one.lag, [part.committed for part in one.partitions]) for one in sandbox.groups()
        ]
        found["newest"] = [event.value for event in sandbox.read("orders", newest_first=True, limit=50)]
    return found


def outcome(path: Path, wanted: Content) -> str:
    """Open, read and check a file with a flipped bit.

    Returns:
        One of `TOLD`: "refused" when it was opened, "told by a read" as its error, "told by the check" alone; or
        "harmless"; or an unreported change: "a changed event" (its key, value, headers or timestamp), "a changed fact"
        (anything else that was read).
    """
    looked_through = check(path)
    try:
        with Sandbox(path) as sandbox:
            found = read(sandbox)
    except FileRefused:
        return TOLD[0]
    except (BrokerError, StorageFailed, *DAMAGE):
        return TOLD[1]
    if not looked_through.whole:
        return TOLD[2]
    if found == wanted:
        return HARMLESS
    return "a changed event" if shape(found) == shape(wanted) else "a changed fact"


def shape(content: Content) -> Content:
    """Return the content without the keys, values, headers and timestamps of events."""
    shaped: Content = {}
    for name, value in content.items():
        if isinstance(value, tuple):
            start, end, records = value
            shaped[name] = (start, end, [record[0] for record in records])
        elif name != "newest":
            shaped[name] = value
    return shaped


def run(flips: int, seed: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """Flip `flips` bits, each in a new copy.

    Returns:
        The count of each outcome, and the defects: unreported changes, errors of the program.
    """
    whole = folder / "whole.db"
    wanted = make(whole)
    content = whole.read_bytes()
    chance = random.Random(seed)
    counts: Counter[str] = Counter()
    defects = []
    for number in range(flips):
        bit = chance.randrange(8 * len(content))
        place = folder / str(number)
        place.mkdir()
        path = place / "flipped.db"
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            came = outcome(path, wanted)
        except Exception as error:
            came = f"{type(error).__name__}: {error}"
        if came not in (*TOLD, HARMLESS):
            defects.append(f"seed {seed}, bit {bit}: {came}")
            came = "not told"
        counts[came] += 1
        shutil.rmtree(place)
    return counts, defects


def told(flips: int, seed: int, folder: Path, say: Callable[[str], None]) -> list[str]:
    """Flip `flips` bits and print the outcomes. Returns the defects."""
    counts, defects = run(flips, seed, folder)
    figures = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    say(f"{flips} flips, seed {seed}: {figures}")
    return defects


def main() -> int:
    """Run, print the figures, and return the exit code: 1 if there are defects."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        defects = told(options.flips, options.seed, Path(folder), partial(print, flush=True))
    for defect in defects:
        print(f"  {defect}")
    return 1 if defects else 0


if __name__ == "__main__":
    sys.exit(main())
