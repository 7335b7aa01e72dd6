"""Stops and kills the owner of a file under load in turns, while slow pages are requested."""

import random
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic

from tests import patience
from tests.crash.checker import faults
from tests.crash.clients import Clients
from tests.crash.costly_pages import CostlyPages
from tests.crash.history import PARTITIONS, TOPIC, History
from tests.crash.owner import Owner, owned
from tests.crash.page_actions import PageActions

UNDER_LOAD_S = 1.5
STOPS_WITHIN_S = 10.0
"""3 s are promised, but the machine is busy."""
KILL_EVERY = 3
"""Every third ending is a `kill -9`."""
SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name))
"""The signals that stop a sandbox. Under nohup it inherits an ignored SIGHUP, which then stops nothing."""


@dataclass
class Stops:
    """The result of `stops`.

    Attributes:
        stop_s: duration of each stop.
        kills: number of endings that were kills.
        acknowledged: number of acknowledged events.
        asked: number of slow page requests that were sent.
        wrong: all broken promises.
    """

    stop_s: list[float] = field(default_factory=list)
    kills: int = 0
    acknowledged: int = 0
    asked: int = 0
    wrong: list[str] = field(default_factory=list)


def stops(file: Path, count: int, seed: int) -> Stops:
    """End the owner of a file `count` times, at moments that the seed chooses, beside clients and slow pages."""
    dice = random.Random(seed)
    signals = [one for one in SIGNALS if one.name != "SIGHUP" or signal.getsignal(one) is not signal.SIG_IGN]
    found, history = Stops(), History()
    with owned(file, module=patience.MODULE) as owner:
        admin = AdminClient({"bootstrap.servers": owner.bootstrap, "log_level": 0})
        admin.create_topics([NewTopic(TOPIC, PARTITIONS)])[TOPIC].result(20)
        with (
            Clients(owner.bootstrap, history, seed) as clients,
            PageActions(owner, history, seed) as actions,
            CostlyPages(owner, seed) as pages,
        ):
            for number in range(count):
                threading.Event().wait(dice.uniform(0.2, UNDER_LOAD_S))
                if number % KILL_EVERY == 1:
                    owner.kill()
                    found.kills += 1
                else:
                    _stop(owner, dice.choice(signals), found)
                if number % 5 == 4:
                    found.wrong += [f"after ending {number + 1}: {one}" for one in faults(history, file)]
                owner.start()
    found.wrong += [*clients.failures, *actions.failures, *pages.failures, *faults(history, file, at_rest=True)]
    found.acknowledged, found.asked = len(history.events), pages.asked
    return found


def _stop(owner: Owner, number: signal.Signals, found: Stops) -> None:
    """Stop the owner like a user or a container does. It must end in time, with status 0, and leave one file."""
    assert owner.process is not None
    began_s = time.monotonic()
    owner.process.send_signal(number)
    try:
        status = owner.process.wait(STOPS_WITHIN_S)
    except subprocess.TimeoutExpired:
        # With PYTHONFAULTHANDLER, this logs the stack of each thread.
        owner.process.send_signal(signal.SIGABRT)
        status = owner.process.wait(STOPS_WITHIN_S)
    finally:
        owner.kill()
    took_s = time.monotonic() - began_s
    found.stop_s.append(took_s)
    if status != 0:
        found.wrong.append(f"{number.name} ended it with status {status}: {owner.log.read_text()[-4000:]}")
    for ending in ("-wal", "-shm"):
        if owner.file.with_name(owner.file.name + ending).exists():
            found.wrong.append(f"{number.name} left {owner.file.name}{ending}: {owner.log.read_text()[-4000:]}")
