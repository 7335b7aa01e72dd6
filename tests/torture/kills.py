"""Hundreds of kills: `python -m tests.torture.kills --kills 500 --seed 1`.

Seven of ten hit a sandbox under load (`tests.crash.ordeal`), with a new file every 50. One hits the migration of a file
of an older version. One hits a snapshot that is being taken or restored. One, a kill or a clean stop, hits a sandbox
that serves slow pages. On every second file, other programs read continuously, code in the owner's process opens the
file, and its write-ahead log is deleted.
"""

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.crash import migration_kills, restore_kills
from tests.crash.ordeal import Report, ordeal
from tests.crash.stops import stops

ROUND = 50
ELSEWHERE = 0.1
"""The share of kills in migrations, of kills in restores, and of endings beside slow pages."""
Say = Callable[[str], None]


def under_load(folder: Path, kills: int, seed: int, say: Say) -> list[str]:
    """Kill under load. Returns all broken promises."""
    total, wrong = Report(), []
    counts: Counter[str] = Counter()
    number = 0
    while total.kills < kills:
        try:
            count, attacked = min(ROUND, kills - total.kills), number % 2 == 1
            report = ordeal(folder / f"round-{number}.db", count, seed + number, say, attacked=attacked)
        except AssertionError as failed:
            report = Report(kills=1, wrong=[str(failed)])
        total.kills += report.kills
        total.in_start_up += report.in_start_up
        total.logs_deleted += report.logs_deleted
        total.acknowledged += report.acknowledged
        total.read += report.read
        counts.update(report.counts)
        wrong += [f"round {number}, seed {seed + number}: {one}" for one in report.wrong]
        if not report.wrong:
            for left in [*folder.glob(f"round-{number}.*/*"), *folder.glob(f"round-{number}.*")]:
                if left.is_file():
                    left.unlink()
        number += 1
    say(
        f"under load: {total.kills} kills, {total.in_start_up} of them in a start, {total.logs_deleted} after the log "
        f"was deleted; {total.acknowledged:,} events acknowledged, {total.read:,} read; {dict(sorted(counts.items()))}"
    )
    return wrong


def run(kills: int, seed: int, say: Say) -> list[str]:
    """Run all kinds of kills. Returns all broken promises."""
    elsewhere = max(1, int(kills * ELSEWHERE))
    folder = Path(tempfile.mkdtemp(prefix="sandbox-kills-"))
    old, wrong = migration_kills.kill_migrations(folder, elsewhere, seed)
    say(f"in a migration: {elsewhere} kills, {old} of them left the old version, the others the new one")
    met, more = restore_kills.kill_restores(folder / "restored.db", elsewhere, seed)
    say(f"in a snapshot or restore: {elsewhere} kills, states met afterwards: {dict(sorted(met.items()))}")
    stopped = stops(folder / "stopped.db", elsewhere, seed)
    say(
        f"beside costly pages: {stopped.kills} kills, {len(stopped.stop_s)} stops, the longest took "
        f"{max(stopped.stop_s, default=0):.1f} s; {stopped.asked:,} pages asked for"
    )
    wrong += more + stopped.wrong + under_load(folder, kills - 3 * elsewhere, seed, say)
    if wrong:
        say(f"the files of what went wrong are in {folder}")
    else:
        shutil.rmtree(folder)
    return wrong


def main() -> int:
    """Run, and return the exit code: 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    wrong = run(arguments.kills, arguments.seed, partial(print, flush=True))
    for one in wrong:
        print(f"WRONG: {one}")
    print(f"kills: {arguments.kills}, seed {arguments.seed}: {len(wrong)} promises broken")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
