"""Loss of power: with `flush.messages=1`, all acknowledged events are on the disk; without it, the last are not."""

import random
import shutil
import sqlite3
import struct
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

from sandbox.api.sandbox import Sandbox
from tests.crash.owner import Owner, owned
from tests.crash.power import PowerCut, calls, strace
from tests.waiting import eventually
from tests.wire.raw_client import OFFSET_COMMIT, PRODUCE, PRODUCE_VERSION, RawClient, produce_body, rows

CLIENTS = 3
ROUNDS = 7
"""Number of rounds before `flush.messages=1` is set, and again after."""
LARGE_BYTES = 700_000
"""The size of one event per later round, so that the log is checkpointed."""
AT_RANDOM_EVERY = 150
"""The number of system calls between two cuts after which some unsynced data is on the disk too."""


@cache
def untraceable() -> str | None:
    """Return why strace can't be used here, or None."""
    if shutil.which("strace") is None:
        return "strace is not on this machine"
    tried = subprocess.run(
        [*strace(Path("/dev/null")), "true"], capture_output=True, text=True, timeout=20, check=False
    )
    return f"strace may not trace here: {tried.stderr.strip()[:100]}" if tried.returncode else None


@dataclass
class Cut:
    """A loss of power.

    Attributes:
        name: the moment.
        synced: True if `flush.messages=1` was set.
        integrity: the result of SQLite's integrity check: "ok".
        lost: acknowledged values that are not in the file.
    """

    name: str
    synced: bool
    integrity: str
    lost: set[bytes]


@dataclass
class Seen:
    """strace's log, and the values that each client's answers acknowledge, in order."""

    log: Path
    folder: Path
    promised: dict[str, list[bytes]]

    def cuts(self, folder: Path) -> Iterator[Cut]:
        """Yield a loss of power at every answer, before it is sent, and at other moments."""
        disk, dice = PowerCut(self.folder), random.Random(1)
        content, looked_at = ("ok", set[bytes]()), -1
        answered = dict.fromkeys(self.promised, 0)
        for number, call in enumerate(calls(self.log)):
            client = call.place.partition("->")[2].rstrip("]")
            if call.name.startswith("send") and client in answered:
                answered[client] += _frames(call.data)
                if looked_at != disk.changes:
                    disk.leave(folder / f"{number}")
                    content, looked_at = _content(folder / f"{number}" / "dev.db"), disk.changes
                yield self._cut(f"at answer {number}", content, answered)
            disk.see(call)
            if min(answered.values()) > ROUNDS and number % AT_RANDOM_EVERY == 0:
                disk.leave(folder / f"{number}-at-random", dice)
                yield self._cut(f"at call {number}", _content(folder / f"{number}-at-random" / "dev.db"), answered)

    def _cut(self, name: str, content: tuple[str, set[bytes]], answered: dict[str, int]) -> Cut:
        integrity, there = content
        acknowledged = {value for client, values in self.promised.items() for value in values[: answered[client]]}
        return Cut(name, any(count > ROUNDS for count in answered.values()), integrity, acknowledged - there)


def _frames(data: bytes) -> int:
    """Return the number of answers that a call sends."""
    count = at = 0
    while at < len(data):
        at += 4 + int(struct.unpack_from(">i", data, at)[0])
        count += 1
    assert at == len(data)
    return count


def _content(file: Path) -> tuple[str, set[bytes]]:
    """Return a file's integrity check, and its values and commits (as `commit-OFFSET`)."""
    with closing(sqlite3.connect(file)) as connection:
        integrity = "; ".join(row[0] for row in connection.execute("PRAGMA integrity_check"))
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'commits'").fetchone():
            return integrity, set()
        values = {
            bytes(value) for (value,) in connection.execute("SELECT substr(CAST(value AS BLOB), 1, 10) FROM events")
        }
        commits = {b"commit-%03d" % offset for (offset,) in connection.execute("SELECT offset FROM commits")}
    return integrity, values | commits


def _commit(offset: int) -> dict[str, object]:
    return {
        "group_id": "app",
        "generation_id_or_member_epoch": -1,
        "member_id": "",
        "group_instance_id": None,
        "topics": [
            {
                "name": "orders",
                "partitions": [
                    {
                        "partition_index": 0,
                        "committed_offset": offset,
                        "committed_leader_epoch": -1,
                        "committed_metadata": "",
                    }
                ],
            }
        ],
    }


def _work(owner: Owner) -> dict[str, list[bytes]]:
    """Produce from several clients in parallel and commit from one, first without the setting, then with it. Returns
    the values that each client's answers acknowledge.
    """
    admin = AdminClient({"bootstrap.servers": owner.bootstrap, "log_level": 0})
    admin.create_topics([NewTopic("orders", 1)])["orders"].result(10)
    clients = [RawClient(owner.bootstrap) for _ in range(CLIENTS + 1)]
    names = ["{}:{}".format(*client.socket.getsockname()) for client in clients]
    promised: dict[str, list[bytes]] = {name: [] for name in names}
    for number in range(2 * ROUNDS):
        if number == ROUNDS:
            entry = ConfigEntry("flush.messages", "1", incremental_operation=AlterConfigOpType.SET)
            topic = ConfigResource(ResourceType.TOPIC, "orders", incremental_configs=[entry])
            admin.incremental_alter_configs([topic])[topic].result(10)
        for index, client in enumerate(clients[:-1]):
            value = b"event-%d-%02d" % (index, number)
            promised[names[index]].append(value)
            large = b"x" * LARGE_BYTES if index == 0 and number > ROUNDS else b""
            client.send(PRODUCE, PRODUCE_VERSION, produce_body("orders", rows(value + large)))
        clients[-1].send(OFFSET_COMMIT, 8, _commit(number))
        promised[names[-1]].append(b"commit-%03d" % number)
        for client in clients:
            client.receive()
    for client in clients:
        client.close()
    return promised


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """A sandbox that ran under strace."""
    if reason := untraceable():
        pytest.skip(reason)
    folder, log = tmp_path_factory.mktemp("power"), tmp_path_factory.mktemp("strace") / "log"
    with owned(folder / "dev.db", before=strace(log)) as owner:
        promised = _work(owner)
    eventually(lambda: b"+++ killed by SIGKILL +++" in log.read_bytes()[-1_000:], 20, "strace has written its log")
    return Seen(log, folder, promised)


@pytest.mark.crash
@pytest.mark.timeout(120)
def test_with_flush_messages_1_a_loss_of_power_at_any_answer_loses_nothing_that_was_acknowledged(
    seen: Seen, tmp_path: Path
) -> None:
    cuts = list(seen.cuts(tmp_path))
    assert {cut.integrity for cut in cuts} == {"ok"}
    synced = [cut for cut in cuts if cut.synced]
    assert len(synced) > 2 * ROUNDS
    assert [(cut.name, cut.lost) for cut in synced if cut.lost] == []
    # Check that the test can fail: without the setting, events are lost.
    assert any(cut.lost for cut in cuts if not cut.synced)
    last = max(tmp_path.iterdir(), key=lambda one: one.stat().st_mtime_ns)
    with Sandbox(last / "dev.db") as box:
        assert box.topic("orders").events >= 2 * ROUNDS * CLIENTS - CLIENTS
