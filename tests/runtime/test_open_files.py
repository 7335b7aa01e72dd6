"""A sandbox with few open files, as macOS starts programs."""

import http.client
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.crash.owner import Owner, owned
from tests.waiting import eventually
from tests.wire.raw_client import RawClient

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
FILES, IDLE = 160, 250


@pytest.fixture
def few(tmp_path: Path) -> Iterator[Owner]:
    """A sandbox that may not open more than 160 files."""
    shell = ("sh", "-c", f'ulimit -n {FILES}; exec "$@"', "--")
    with owned(tmp_path / "few.db", before=shell) as owner:
        yield owner


def connected(address: str) -> list[socket.socket]:
    """More connections than there are open files; some may not get through."""
    host, _, port = address.rpartition(":")
    found = []
    for _ in range(IDLE):
        with suppress(OSError):
            found.append(socket.create_connection((host, int(port)), 0.5))
    return found


def is_page_answered(owner: Owner) -> bool:
    connection = http.client.HTTPConnection(owner.page, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def is_kafka_answered(owner: Owner) -> bool:
    try:
        client = RawClient(owner.bootstrap)
    except OSError:
        return False
    client.socket.settimeout(2)
    try:
        return int(client.api_versions().error_code) == 0
    except OSError:
        return False
    finally:
        client.close()


def test_idle_kafka_connections_keep_nobody_out_and_fill_no_log(few: Owner) -> None:
    idle = connected(few.bootstrap)
    try:
        eventually(lambda: is_kafka_answered(few), 30)
        eventually(lambda: is_page_answered(few), 30)
    finally:
        for one in idle:
            one.close()
    assert 0 < few.log.stat().st_size < 10_000
    assert "Traceback" not in few.log.read_text()


def test_without_descriptors_it_waits_and_is_back_when_there_are_some(few: Owner) -> None:
    assert is_page_answered(few)
    idle = connected(few.page)
    eventually(lambda: "No new connections are accepted for now: Too many open files" in few.log.read_text(), 30)
    for one in idle:
        one.close()
    eventually(lambda: is_page_answered(few) and is_kafka_answered(few), 30)
    assert few.log.stat().st_size < 10_000
    assert "Traceback" not in few.log.read_text()


def test_the_limit_is_raised_at_the_start(tmp_path: Path) -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1_000:
        pytest.skip("the hard limit is too low to see that")
    shell = ("sh", "-c", 'ulimit -S -n 100; exec "$@"', "--")
    with owned(tmp_path / "raised.db", before=shell) as owner:
        assert owner.process is not None
        limits = Path(f"/proc/{owner.process.pid}/limits")
        if not limits.exists():
            pytest.skip("only Linux shows the limits of another process")
        (line,) = (line for line in limits.read_text().splitlines() if line.startswith("Max open files"))
        assert int(line.split()[3]) > 100
