"""Fixtures of the client tests: the two brokers, and the client programs on them."""

from __future__ import annotations

import importlib
import uuid
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.clients.apache_kafka import KafkaUnavailableError, find_or_fetch, running_kafka
from tests.clients.catalogue import Client, ClientUnavailableError, environment
from tests.clients.program import Program
from tests.clients.sandbox_process import running_sandbox
from tests.clients.waiting import eventually

with warnings.catch_warnings():
    # kafka-python reads its schemas in a deprecated way while it is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    importlib.import_module("kafka.admin")


@dataclass(frozen=True)
class Kafka:
    """A running broker."""

    name: str
    bootstrap: str


@pytest.fixture(scope="session", params=["sandbox", pytest.param("apache", marks=pytest.mark.apache_kafka)])
def kafka(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """The sandbox, and then Apache Kafka: what a test says must hold on both."""
    if request.param == "sandbox":
        with running_sandbox(
            tmp_path_factory.mktemp("sandbox") / "clients.db",
            "group.min.session.timeout.ms=1000",
            "group.share.min.record.lock.duration.ms=1000",
            "group.consumer.min.heartbeat.interval.ms=500",
            "group.consumer.heartbeat.interval.ms=500",
        ) as bootstrap:
            yield Kafka("sandbox", bootstrap)
        return
    try:
        find_or_fetch()
    except KafkaUnavailableError as missing:
        pytest.skip(f"no Apache Kafka: {missing}")
    with running_kafka() as bootstrap:
        eventually(lambda: _coordinates(bootstrap), 60, lambda: "the group coordinator is still loading")
        yield Kafka("apache", bootstrap)


def _coordinates(bootstrap: str) -> bool:
    """Whether the group coordinator answers; Apache Kafka makes its own topic for it on first use."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    try:
        admin.describe_consumer_groups(["nobody"])["nobody"].result(timeout=10)
    except (KafkaException, TimeoutError):
        return False
    return True


Start = Callable[[Client], Program]


def _starter(kafka: Kafka, logs: Path, started: list[Program]) -> Start:
    def start(client: Client) -> Program:
        try:
            command = client.command()
        except ClientUnavailableError as missing:
            pytest.skip(f"no {client.name}: {missing}")
        log = logs / f"{client.name}-{len(started)}.log"
        program = Program(client.name, [*command, kafka.bootstrap], log, environment())
        started.append(program)
        return program

    return start


@pytest.fixture
def start(kafka: Kafka, tmp_path: Path) -> Iterator[Start]:
    """Start another client program; it ends with the test."""
    started: list[Program] = []
    yield _starter(kafka, tmp_path, started)
    for program in started:
        program.close()


@pytest.fixture(scope="session")
def program(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """The shared program of a client, started on first use; it serves one command after the other."""
    started: list[Program] = []
    start = _starter(kafka, tmp_path_factory.mktemp("programs"), started)
    shared: dict[str, Program] = {}

    def get(client: Client) -> Program:
        if client.name not in shared:
            shared[client.name] = start(client)
        return shared[client.name]

    yield get
    for each in started:
        each.close()


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Make a name that no other test uses."""
    return lambda prefix: f"{prefix}-{uuid.uuid4().hex[:10]}"
