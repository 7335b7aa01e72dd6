"""Texts that clients choose: what is refused as Kafka refuses it, and how much is kept."""

from collections.abc import Mapping
from typing import Any

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.client_text import NAME_CHARACTERS_MAX, STRING_BYTES_MAX
from sandbox.kafka.errors import BY_CODE
from sandbox.wire.messages import messages
from tests.conftest import Connect
from tests.wire.raw_client import API_VERSIONS, INIT_PRODUCER_ID, METADATA, OFFSET_COMMIT, RawClient, framed
from tests.wire.raw_client import request_header as header

LONG = "x" * (NAME_CHARACTERS_MAX + 1)
JOIN_GROUP, ALTER_USERS, CONSUMER_HEARTBEAT = 11, 51, 68


def error(code: int) -> str:
    return BY_CODE[code].name if code else "NONE"


def versions(client: RawClient, name: str, version: str) -> Any:
    return client.ask(API_VERSIONS, 3, {"client_software_name": name, "client_software_version": version})


@pytest.mark.parametrize("name", ["a", "librdkafka", "apache-kafka-java", "a.b-9"])
def test_a_client_that_names_itself_as_kafka_wants_is_told_the_versions(client: RawClient, name: str) -> None:
    answer = versions(client, name, "2.16.1")
    assert (error(answer.error_code), len(answer.api_keys) > 40) == ("NONE", True)


@pytest.mark.parametrize("name", ["", "-a", "a-", ".", "a b", "<script>", "é", "a\n", "a" * 100 + "_"])
def test_a_name_or_version_that_kafka_refuses_is_refused_and_not_shown(
    served: Sandbox, client: RawClient, name: str
) -> None:
    for pair in ((name, "1"), ("a", name)):
        answer = versions(client, *pair)
        assert (error(answer.error_code), answer.api_keys) == ("INVALID_REQUEST", [])
    assert [one.software for one in served.brokers.clients()] == [""]
    assert error(versions(client, "a", "1").error_code) == "NONE", "the connection stays open"


def test_what_is_kept_of_a_client_is_short(served: Sandbox, client: RawClient) -> None:
    name = "n" * STRING_BYTES_MAX
    body = messages.encode_request(API_VERSIONS, 3, {"client_software_name": name, "client_software_version": "1"})
    client.send_bytes(framed(header(API_VERSIONS, 3, 1, b"c" * STRING_BYTES_MAX) + body))
    client.receive_frame()
    (found,) = served.brokers.clients()
    assert found.client_id == "c" * (NAME_CHARACTERS_MAX - 1) + "…"
    assert found.software == "n" * (NAME_CHARACTERS_MAX - 1) + "…"


def test_a_string_that_is_longer_than_kafka_reads_ends_the_connection(client: RawClient) -> None:
    body = {"topics": [{"name": "x" * (STRING_BYTES_MAX + 1)}], "allow_auto_topic_creation": False}
    client.send(METADATA, 9, body)
    assert client.is_ended()


def commit(**names: str) -> Mapping[str, Any]:
    return {"group_id": "g", "generation_id_or_member_epoch": -1, "member_id": "", "topics": [], **names}


def join(**names: Any) -> Mapping[str, Any]:
    body = {"group_id": "g", "session_timeout_ms": 10_000, "rebalance_timeout_ms": 10_000, "member_id": ""}
    return {**body, "protocol_type": "consumer", "protocols": [{"name": "range", "metadata": b""}], **names}


def heartbeat(**names: Any) -> Mapping[str, Any]:
    return {"group_id": "g", "member_id": "m", "member_epoch": 0, "rebalance_timeout_ms": 1_000, **names}


REFUSED: Mapping[str, tuple[int, int, Mapping[str, Any], str]] = {
    "join: group": (JOIN_GROUP, 5, join(group_id=LONG), "INVALID_GROUP_ID"),
    "join: instance": (JOIN_GROUP, 5, join(group_instance_id=LONG), "INVALID_REQUEST"),
    "join: protocol type": (JOIN_GROUP, 5, join(protocol_type=LONG), "INVALID_REQUEST"),
    "join: protocol": (JOIN_GROUP, 5, join(protocols=[{"name": LONG, "metadata": b""}]), "INVALID_REQUEST"),
    "heartbeat: group": (CONSUMER_HEARTBEAT, 1, heartbeat(group_id=LONG), "INVALID_GROUP_ID"),
    "heartbeat: member": (CONSUMER_HEARTBEAT, 1, heartbeat(member_id=LONG), "INVALID_REQUEST"),
    "heartbeat: rack": (CONSUMER_HEARTBEAT, 1, heartbeat(rack_id=LONG), "INVALID_REQUEST"),
    "transaction": (
        INIT_PRODUCER_ID,
        4,
        {"transactional_id": LONG, "transaction_timeout_ms": 1_000, "producer_id": -1, "producer_epoch": -1},
        "INVALID_REQUEST",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_id_that_is_too_long_is_refused_and_nothing_is_kept_of_it(
    served: Sandbox, client: RawClient, name: str
) -> None:
    key, version, body, expected = REFUSED[name]
    assert error(client.ask(key, version, body).error_code) == expected
    assert served.groups() == ()


def test_a_commit_and_a_user_name_that_are_too_long_are_refused(served: Sandbox, client: RawClient) -> None:
    served.create_topic("orders")
    partitions = [{"partition_index": 0, "committed_offset": 0}]
    topics = [{"name": "orders", "partitions": partitions}]
    answer = client.ask(OFFSET_COMMIT, 7, {**commit(group_id=LONG), "topics": topics})
    assert error(answer.topics[0].partitions[0].error_code) == "INVALID_GROUP_ID"
    user = {"name": LONG, "mechanism": 1, "iterations": 4096, "salt": b"s", "salted_password": b"p"}
    answer = client.ask(ALTER_USERS, 0, {"deletions": [], "upsertions": [user]})
    assert [error(one.error_code) for one in answer.results] == ["INVALID_REQUEST"]
    assert served.users.names() == ()


def test_ids_of_the_longest_length_are_taken(served: Sandbox, client: RawClient) -> None:
    # A dynamic member: a static one waits for others, and the clock stands still.
    body = join(group_id="g" * NAME_CHARACTERS_MAX, group_instance_id=None)
    assert error(client.ask(JOIN_GROUP, 3, body).error_code) == "NONE"


def test_the_log_has_no_more_of_a_user_name_than_is_kept(
    served: Sandbox, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    client = connect()
    client.send_bytes(framed(header(9_999, 0, 1, b"c" * 30_000)))
    assert client.is_ended()
    assert len(caplog.text) < 1_000


def test_a_client_id_does_not_reach_the_log_as_control_characters(
    client: RawClient, caplog: pytest.LogCaptureFixture
) -> None:
    client.send_bytes(framed(header(9_999, 0, 1, b"\x1b]0;title\x07\nconnection of /10.0.0.1 closed")))
    assert client.is_ended()
    assert r"(client '\x1b]0;title\x07\nconnection of /10.0.0.1 closed')" in caplog.text
    assert "\x1b" not in caplog.text
