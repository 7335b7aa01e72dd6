"""Which connections are taken, and which make room."""

import logging
from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.broker_config import BrokerConfig
from sandbox.wire.admission import LOG_EVERY_MS, Admission
from tests.clock import Clock
from tests.wire.raw_client import RawClient

HOST = "10.0.0.1"


class Client:
    """A connection that notes that it was closed."""

    closed = False

    def leave(self) -> None:
        self.closed = True


def admission(clock: Clock, files_max: int | None = None, **settings: str) -> Admission:
    overrides = {name.replace("_", "."): value for name, value in settings.items()}
    return Admission(BrokerConfig(overrides), clock, files_max)


@pytest.mark.parametrize("limited", [{"files_max": 2}, {"max_connections": "2"}])
def test_at_the_limit_the_oldest_silent_connection_makes_room(clock: Clock, limited: dict[str, object]) -> None:
    found = admission(clock, **limited)  # type: ignore[arg-type]
    first, second, third = Client(), Client(), Client()
    assert found.enter(first, HOST)
    assert found.enter(second, HOST)
    found.spoke(first)
    assert found.enter(third, HOST)
    assert (first.closed, second.closed, third.closed) == (False, True, False)
    found.left(second)
    assert found.count == 2, "one that made room is not counted off twice"


def test_if_all_have_spoken_a_new_one_is_refused_until_one_leaves(clock: Clock) -> None:
    found = admission(clock, files_max=1)
    first, second = Client(), Client()
    assert found.enter(first, HOST)
    found.spoke(first)
    assert not found.enter(second, HOST)
    found.left(first)
    assert found.enter(second, HOST)


def test_one_address_may_have_less_than_all(clock: Clock) -> None:
    found = admission(clock, max_connections_per_ip="1")
    first = Client()
    assert found.enter(first, HOST)
    assert not found.enter(Client(), HOST)
    assert found.enter(Client(), "10.0.0.2")
    found.left(first)
    assert found.enter(Client(), HOST)


def test_refusals_are_logged_now_and_then_and_counted(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    found = admission(clock, max_connections="0")
    with caplog.at_level(logging.WARNING, "sandbox.wire"):
        for _ in range(100):
            found.enter(Client(), HOST)
        clock.pass_ms(LOG_EVERY_MS)
        found.enter(Client(), HOST)
    first, last = (record.getMessage() for record in caplog.records)
    assert first == "connection of /10.0.0.1 closed: 0 connections are open, which is the limit (max.connections)"
    assert "; 99 more were closed" in last


def test_a_client_is_served_beside_silent_connections(file: Path) -> None:
    with Sandbox(file, settings={"max.connections": "3"}) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        clients = [RawClient(sandbox.kafka_address or "") for _ in range(10)]
        last = clients[-1]
        assert last.api_versions().error_code == 0
        assert clients[0].is_ended()
        for client in clients:
            client.close()
