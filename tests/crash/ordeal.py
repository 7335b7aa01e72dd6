"""Kills the owner of a file under load repeatedly, and checks the file."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic

from tests.crash.checker import faults
from tests.crash.clients import Clients
from tests.crash.history import PARTITIONS, TOPIC, History
from tests.crash.owner import Owner, owned
from tests.crash.page_actions import PageActions
from tests.crash.readers import Readers

IN_START_UP = 0.15
"""The share of kills that hit a start, before the sandbox is ready."""
UNDER_LOAD_S = 1.0
CHECK_EVERY = 10
LOG_LOST = 0.5
"""The share of kills before which the write-ahead log is deleted, if the file is attacked."""
AFTER_LOSS_S = 0.5
LOSS_REPORTED = b"was deleted, moved or replaced"
NOTICED_WITHIN_S = 30.0
"""The sandbox looks at its files at each commit, and every 5 seconds; a busy machine takes longer."""


@dataclass
class Report:
    """The result of an ordeal.

    Attributes:
        kills: number of kills, including `in_start_up`: those before the sandbox was ready again.
        acknowledged: number of acknowledged events.
        read: number of events that the read_committed reader received.
        logs_deleted: how often the write-ahead log was deleted before a kill.
        counts: action to number of times.
        start_s: duration of each start.
        wrong: all broken promises.
    """

    kills: int = 0
    in_start_up: int = 0
    logs_deleted: int = 0
    acknowledged: int = 0
    read: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    start_s: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def ordeal(
    file: Path, kills: int, seed: int, say: Callable[[str], None] = lambda text: None, *, attacked: bool = False
) -> Report:
    """Kill the owner of a file `kills` times, at moments that the seed chooses, while real clients use it.

    Args:
        attacked: True also has other programs read the file, code in the owner's process open it, and its
            write-ahead log deleted.

    Returns:
        What happened. The seed decides the moments of the kills, but not what they interrupt.
    """
    dice = random.Random(seed)
    report = Report()
    history = History()
    with ExitStack() as stack:
        owner = stack.enter_context(owned(file, module="tests.crash.meddler" if attacked else "sandbox"))
        readers = stack.enter_context(Readers(file)) if attacked else None
        admin = AdminClient({"bootstrap.servers": owner.bootstrap, "log_level": 0})
        admin.create_topics([NewTopic(TOPIC, PARTITIONS)])[TOPIC].result(20)
        with Clients(owner.bootstrap, history, seed) as clients, PageActions(owner, history, seed) as actions:
            for _ in range(kills):
                if attacked and dice.random() < LOG_LOST:
                    _delete_log(owner, dice, report)
                _kill_once(owner, dice, report)
                if report.kills % CHECK_EVERY == 0:
                    report.wrong += [f"after kill {report.kills}: {one}" for one in faults(history, file)]
                    say(f"{report.kills} kills, {len(history.events):,} events acknowledged, {len(report.wrong)} wrong")
                owner.start()
            report.wrong += _until_more(history)
    report.wrong += [*clients.failures, *actions.failures, *faults(history, file, at_rest=True)]
    report.acknowledged, report.read = len(history.events), len(history.seen)
    report.counts = clients.counts | {f"page: {name}": count for name, count in actions.counts.items()}
    if readers is not None:
        report.wrong += readers.failures
        report.counts["other programs that read"] = readers.count
    report.start_s = owner.start_s
    return report


def _delete_log(owner: Owner, dice: random.Random, report: Report) -> None:
    """Delete the write-ahead log under load, and let the clients continue for a moment after the owner noticed it.

    Nobody could save a log that is deleted right before a kill.
    """
    pause = threading.Event()
    pause.wait(dice.uniform(0, UNDER_LOAD_S))
    reports = owner.log.read_bytes().count(LOSS_REPORTED)
    try:
        owner.file.with_name(owner.file.name + "-wal").unlink()
    except FileNotFoundError:
        return
    report.logs_deleted += 1
    until_s = time.monotonic() + NOTICED_WITHIN_S
    while owner.log.read_bytes().count(LOSS_REPORTED) == reports:
        if time.monotonic() > until_s:
            report.wrong.append(f"a deleted log was not noticed within {NOTICED_WITHIN_S:g} s")
            return
        pause.wait(0.005)
    pause.wait(dice.uniform(0, AFTER_LOSS_S))


def _kill_once(owner: Owner, dice: random.Random, report: Report) -> None:
    """Kill the owner under load, and sometimes once more during the next start."""
    threading.Event().wait(dice.uniform(0, UNDER_LOAD_S))
    owner.kill()
    report.kills += 1
    if dice.random() < IN_START_UP:
        owner.launch()
        threading.Event().wait(dice.uniform(0, 1.2 * min(owner.start_s)))
        owner.kill()
        report.kills += 1
        report.in_start_up += 1


def _until_more(history: History) -> list[str]:
    """Check that events and commits continue after the last start. Returns what doesn't.

    Readers use read_committed, so a transaction of a stuck client holds them up until its timeout.
    """
    events, commits = len(history.events), sum(history.commits.values())
    until = time.monotonic() + 60
    pause = threading.Event()
    while len(history.events) < events + 200 or sum(history.commits.values()) <= commits:
        if time.monotonic() > until:
            more = len(history.events) - events, sum(history.commits.values()) - commits
            return [
                f"after the last start it does not continue: {more[0]} events and {more[1]} offsets more in a minute"
            ]
        pause.wait(0.05)
    return []
