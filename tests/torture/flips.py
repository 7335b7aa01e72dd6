"""Flipped bits: `python -m tests.torture.flips --flips 1000 --seed 1`.

A closed file with known content is copied, one bit of the copy is flipped at random, and everything in it is read as
clients and pages read it. Each flip must be refused with a sentence, told as a storage error by the read that meets it,
or do no harm. SQLite keeps no checksums of its pages, so a bit in the middle of a value changes that value and nothing
else: these are counted by themselves. What must never be is anything else: an error of the program, a
hang, or an event at another place than its own.
"""

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from sandbox.errors import BrokerError, FileRefused
from sandbox.event import NewEvent
from sandbox.sandbox import Sandbox
from sandbox.storage.failure import StorageFailed
from sandbox.wire.fetch_records import DAMAGE

EVENTS = 600
PARTITIONS = 3

Content = dict[str, object]


def make(path: Path) -> Content:
    """Write a file with topics, events with and without keys and headers, and groups; what `read` gives for it."""
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
    """Everything that clients and pages are told of a file."""
    found: Content = {}
    for topic in sandbox._broker.topics.values():
        for partition in topic.partitions:
            place = f"{topic.name}-{partition.partition}"
            offset, records = partition.start, []
            while offset < partition.high_watermark:
                batches = sandbox._broker.log.read(partition, offset, 1 << 20, partition.high_watermark)
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
    """What became of a file with a flipped bit.

    Returns:
        "refused" when it was opened, "told" as an error of a read, "harmless", or what was not noticed: "a changed
        event" (its key, value, headers or timestamp), "a changed fact" (anything else that was read).
    """
    try:
        with Sandbox(path) as sandbox:
            found = read(sandbox)
    except FileRefused:
        return "refused"
    except (BrokerError, StorageFailed, *DAMAGE):
        return "told"
    if found == wanted:
        return "harmless"
    return "a changed event" if shape(found) == shape(wanted) else "a changed fact"


def shape(content: Content) -> Content:
    """The same without the keys, values, headers and timestamps of events."""
    shaped: Content = {}
    for name, value in content.items():
        if isinstance(value, tuple):
            start, end, records = value
            shaped[name] = (start, end, [record[0] for record in records])
        elif name != "newest":
            shaped[name] = value
    return shaped


def run(flips: int, seed: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """Flip one bit so many times.

    Returns:
        How often each outcome came, and what else happened: errors of the program, which must not be.
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
            counts[outcome(path, wanted)] += 1
        except Exception as error:
            counts["defect"] += 1
            defects.append(f"seed {seed}, bit {bit}: {type(error).__name__}: {error}")
        shutil.rmtree(place)
    return counts, defects


def main() -> int:
    """Run, print the figures, and say by the exit code whether anything happened that must not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts, defects = run(options.flips, options.seed, Path(folder))
    figures = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    print(f"{options.flips} flips, seed {options.seed}: {figures}")
    for defect in defects:
        print(f"  {defect}")
    return 1 if defects else 0


if __name__ == "__main__":
    sys.exit(main())
