"""Client quotas and SCRAM credentials, by bare requests: kept as Apache Kafka keeps them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sandbox.kafka.errors import BY_CODE
from tests.clients.conftest import Kafka
from tests.clients.waiting import eventually
from tests.wire.raw_client import RawClient

pytestmark = [pytest.mark.clients, pytest.mark.timeout(60)]

QUOTAS, ALTER_QUOTAS, SCRAM, ALTER_SCRAM = 48, 49, 50, 51

Unique = Callable[[str], str]
Entity = list[tuple[str, str | None]]


@pytest.fixture
def raw(kafka: Kafka) -> Iterator[RawClient]:
    client = RawClient(kafka.bootstrap)
    yield client
    client.close()


def named(code: int) -> str:
    """The name of an error."""
    return BY_CODE[code].name


def alter_quota(raw: RawClient, entity: Entity, *ops: tuple[str, float | None], validate_only: bool = False) -> str:
    entry = {
        "entity": [{"entity_type": kind, "entity_name": name} for kind, name in entity],
        "ops": [{"key": key, "value": value or 0.0, "remove": value is None} for key, value in ops],
    }
    (answer,) = raw.ask(ALTER_QUOTAS, 1, {"entries": [entry], "validate_only": validate_only}).entries
    return named(answer.error_code)


def quotas(raw: RawClient, *components: tuple[str, int, str | None], strict: bool = False) -> Any:
    """The quotas that match, or the name of the error."""
    filters = [{"entity_type": kind, "match_type": how, "match": match} for kind, how, match in components]
    answer = raw.ask(QUOTAS, 1, {"components": filters, "strict": strict})
    if answer.error_code:
        return named(answer.error_code)
    return {
        tuple(sorted((one.entity_type, one.entity_name) for one in entry.entity)): {
            value.key: value.value for value in entry.values
        }
        for entry in answer.entries
    }


def test_quotas_are_kept_and_described(raw: RawClient, unique: Unique) -> None:
    user, client = unique("user"), unique("client")
    assert alter_quota(raw, [("user", user)], ("producer_byte_rate", 1e6), ("request_percentage", 1.5)) == "NONE"
    assert alter_quota(raw, [("user", user), ("client-id", client)], ("consumer_byte_rate", 5.0)) == "NONE"
    assert alter_quota(raw, [("user", "no" + user)], ("consumer_byte_rate", 5.0), validate_only=True) == "NONE"
    alone = {(("user", user),): {"producer_byte_rate": 1e6, "request_percentage": 1.5}}
    both = {(("client-id", client), ("user", user)): {"consumer_byte_rate": 5.0}}
    eventually(lambda: quotas(raw, ("user", 0, user)) == alone | both, 10, lambda: str(quotas(raw, ("user", 0, user))))
    assert quotas(raw, ("user", 0, user), strict=True) == alone
    assert quotas(raw, ("user", 0, "no" + user)) == {}
    assert alter_quota(raw, [("user", user)], ("producer_byte_rate", None), ("request_percentage", None)) == "NONE"
    eventually(lambda: quotas(raw, ("user", 0, user)) == both, 10, lambda: str(quotas(raw, ("user", 0, user))))
    assert alter_quota(raw, [("user", user), ("client-id", client)], ("consumer_byte_rate", None)) == "NONE"


@pytest.mark.parametrize(
    ("entity", "ops"),
    [
        ([], []),
        ([("planet", "a")], []),
        ([("user", "")], [("producer_byte_rate", 1.0)]),
        ([("user", "a")], [("nonsense", 1.0)]),
        ([("user", "a")], [("producer_byte_rate", -1.0)]),
        ([("user", "a")], [("producer_byte_rate", 1.5)]),
        ([("ip", "1.2.3.4")], [("producer_byte_rate", 1.0)]),
        ([("ip", "bad host")], [("connection_creation_rate", 1.0)]),
        ([("ip", "1.2.3.4"), ("user", "a")], [("producer_byte_rate", 1.0)]),
        ([("user", "a")], [("producer_byte_rate", 1.0), ("producer_byte_rate", 2.0)]),
    ],
)
def test_a_quota_that_makes_no_sense_is_an_invalid_request(
    raw: RawClient, entity: Entity, ops: list[tuple[str, float]]
) -> None:
    assert alter_quota(raw, entity, *ops) == "INVALID_REQUEST"


@pytest.mark.parametrize(
    ("components", "error"),
    [
        ([("user", 0, None)], "INVALID_REQUEST"),
        ([("user", 0, "a"), ("user", 0, "a")], "INVALID_REQUEST"),
        ([("", 0, "a")], "INVALID_REQUEST"),
        ([("user", 7, "a")], "INVALID_REQUEST"),
        ([("user", 1, "a")], "INVALID_REQUEST"),
        ([("ip", 0, "1.1.1.1"), ("user", 0, "a")], "INVALID_REQUEST"),
        ([("planet", 0, "a")], "UNSUPPORTED_VERSION"),
    ],
)
def test_a_filter_of_quotas_that_makes_no_sense_is_refused(
    raw: RawClient, components: list[tuple[str, int, str | None]], error: str
) -> None:
    assert quotas(raw, *components) == error


def alter_scram(raw: RawClient, *, write: list[tuple[str, int, int]] = [], delete: list[tuple[str, int]] = []) -> Any:  # noqa: B006
    body = {
        "deletions": [{"name": user, "mechanism": mechanism} for user, mechanism in delete],
        "upsertions": [
            {"name": user, "mechanism": mechanism, "iterations": count, "salt": b"salt", "salted_password": b"p" * 32}
            for user, mechanism, count in write
        ],
    }
    return {one.user: named(one.error_code) for one in raw.ask(ALTER_SCRAM, 0, body).results}


def scram(raw: RawClient, *users: str) -> dict[str, Any]:
    answer = raw.ask(SCRAM, 0, {"users": [{"name": user} for user in users]})
    assert answer.error_code == 0
    return {
        one.user: sorted((info.mechanism, info.iterations) for info in one.credential_infos)
        if one.error_code == 0
        else named(one.error_code)
        for one in answer.results
    }


def test_scram_credentials_are_written_described_and_deleted(raw: RawClient, unique: Unique) -> None:
    user = unique("user")
    assert alter_scram(raw, write=[(user, 1, 4096)]) == {user: "NONE"}
    assert alter_scram(raw, write=[(user, 2, 8192)]) == {user: "NONE"}
    assert alter_scram(raw, write=[(user, 1, 4096), (user, 2, 8192)]) == {user: "DUPLICATE_RESOURCE"}
    eventually(lambda: scram(raw, user) == {user: [(1, 4096), (2, 8192)]}, 10, lambda: str(scram(raw, user)))
    assert alter_scram(raw, delete=[(user, 1)]) == {user: "NONE"}
    eventually(lambda: scram(raw, user) == {user: [(2, 8192)]}, 10, lambda: str(scram(raw, user)))
    assert alter_scram(raw, delete=[(user, 1)]) == {user: "RESOURCE_NOT_FOUND"}
    assert alter_scram(raw, write=[(user, 2, 4096)], delete=[(user, 2)]) == {user: "DUPLICATE_RESOURCE"}
    assert scram(raw, "no" + user) == {"no" + user: "RESOURCE_NOT_FOUND"}
    assert scram(raw, user, user) == {user: "DUPLICATE_RESOURCE"}
    assert alter_scram(raw, delete=[(user, 2)]) == {user: "NONE"}


@pytest.mark.parametrize(
    ("write", "error"),
    [
        (("a", 1, 4095), "UNACCEPTABLE_CREDENTIAL"),
        (("a", 1, 16385), "UNACCEPTABLE_CREDENTIAL"),
        (("", 1, 4096), "UNACCEPTABLE_CREDENTIAL"),
        (("a", 7, 4096), "UNSUPPORTED_SASL_MECHANISM"),
    ],
)
def test_a_credential_that_is_none_is_refused(raw: RawClient, write: tuple[str, int, int], error: str) -> None:
    assert alter_scram(raw, write=[write]) == {write[0]: error}
