"""A sandbox in a new file, with a clock that the test sets, and its Kafka port on request."""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from tests.clock import Clock
from tests.wire.raw_client import RawClient


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape what is not UTF-8 in captured output, such as a path in a log: pytest-xdist could not send the report."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A path for a sandbox file."""
    return tmp_path / "dev.db"


@pytest.fixture
def clock() -> Clock:
    """The clock of `box` and `served`."""
    return Clock()


@pytest.fixture
def box(file: Path, clock: Clock) -> Iterator[Sandbox]:
    """A sandbox without ports."""
    with Sandbox(file, clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
def served(file: Path, clock: Clock) -> Iterator[Sandbox]:
    """A sandbox with a Kafka port and no page."""
    with Sandbox(file, clock=clock) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        yield sandbox


Connect = Callable[[], RawClient]


@pytest.fixture
def connect(served: Sandbox) -> Iterator[Connect]:
    """Connect to the Kafka port of `served`; every client is closed with the test."""
    clients: list[RawClient] = []

    def open_one() -> RawClient:
        clients.append(RawClient(served.kafka_address or ""))
        return clients[-1]

    yield open_one
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Connect) -> RawClient:
    """One client of `served`."""
    return connect()
