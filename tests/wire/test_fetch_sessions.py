"""Fetch sessions (KIP-227), through the port."""

from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import CODE
from sandbox.wire import fetch_sessions
from tests.wire.raw_client import FETCH, FETCH_VERSION, RawClient, fetch_body, records_of


def ask(client: RawClient, offsets: dict[int, int], session: tuple[int, int], **more: object) -> SimpleNamespace:
    return client.ask(FETCH, FETCH_VERSION, fetch_body("orders", offsets, session=session) | more)


def partitions(answer: SimpleNamespace) -> list[int]:
    return sorted(one.partition_index for topic in answer.responses for one in topic.partitions)


@pytest.fixture
def session(served: Sandbox, client: RawClient) -> int:
    """A session over three partitions, with one event in each, all of them sent."""
    served.create_topic("orders", partitions=3)
    for partition in range(3):
        served.append("orders", "ham", partition=partition)
    answer = ask(client, {0: 0, 1: 0, 2: 0}, (0, 0))
    assert answer.error_code == 0
    assert partitions(answer) == [0, 1, 2]
    assert answer.session_id > 0
    return int(answer.session_id)


def test_only_partitions_with_something_new_are_sent(served: Sandbox, client: RawClient, session: int) -> None:
    answer = ask(client, {0: 1, 1: 1, 2: 1}, (session, 1))
    assert (answer.error_code, answer.session_id, partitions(answer)) == (0, session, [])
    served.append("orders", "eggs", partition=1)
    answer = ask(client, {}, (session, 2))
    assert partitions(answer) == [1]
    assert [row[3] for row in records_of(answer.responses[0].partitions[0])] == [b"eggs"]


def test_a_partition_that_is_forgotten_is_not_sent_any_more(served: Sandbox, client: RawClient, session: int) -> None:
    forgotten = [{"topic": "orders", "topic_id": None, "partitions": [1]}]
    ask(client, {0: 1, 1: 1, 2: 1}, (session, 1))
    served.append("orders", "eggs", partition=1)
    served.append("orders", "eggs", partition=2)
    answer = ask(client, {}, (session, 2), forgotten_topics_data=forgotten)
    assert partitions(answer) == [2]


def test_a_partition_that_is_added_is_sent(client: RawClient, session: int, served: Sandbox) -> None:
    served.create_partitions("orders", 4)
    answer = ask(client, {0: 1, 1: 1, 2: 1, 3: 0}, (session, 1))
    assert partitions(answer) == [3]


def test_an_error_of_a_partition_is_sent_in_a_session(client: RawClient, session: int) -> None:
    answer = ask(client, {0: 7, 1: 1, 2: 1}, (session, 1))
    assert partitions(answer) == [0]
    assert answer.responses[0].partitions[0].error_code == CODE["OFFSET_OUT_OF_RANGE"]


@pytest.mark.parametrize(
    ("shift", "epoch", "error"),
    [
        (0, 2, "INVALID_FETCH_SESSION_EPOCH"),
        (0, 7, "INVALID_FETCH_SESSION_EPOCH"),
        (1, 1, "FETCH_SESSION_ID_NOT_FOUND"),
    ],
)
def test_a_session_that_is_not_known_or_out_of_step_is_refused(
    client: RawClient, session: int, shift: int, epoch: int, error: str
) -> None:
    answer = ask(client, {0: 1}, (session + shift, epoch))
    assert (answer.error_code, answer.responses) == (CODE[error], [])
    assert partitions(ask(client, {0: 0}, (session, 0))) == [0], "a new session can always be begun"


def test_a_session_that_is_ended_is_not_known_any_more(client: RawClient, session: int) -> None:
    answer = ask(client, {0: 0}, (session, -1))
    assert (answer.error_code, answer.session_id, partitions(answer)) == (0, 0, [0])
    assert ask(client, {}, (session, 1)).error_code == CODE["FETCH_SESSION_ID_NOT_FOUND"]


def test_the_session_unused_for_longest_goes_first(file: Path) -> None:
    with Sandbox(file, settings={"max.incremental.fetch.session.cache.slots": "2"}) as sandbox:
        sandbox.create_topic("orders")
        sandbox.serve(kafka_port=0, web_port=None)
        client = RawClient(sandbox.kafka_address or "")
        one, two = (ask(client, {0: 0}, (0, 0)).session_id for _ in range(2))
        assert ask(client, {0: 0}, (one, 1)).error_code == 0
        three = ask(client, {0: 0}, (0, 0)).session_id
        assert ask(client, {}, (two, 1)).error_code == CODE["FETCH_SESSION_ID_NOT_FOUND"]
        assert ask(client, {}, (one, 2)).error_code == 0
        assert ask(client, {}, (three, 1)).error_code == 0
        client.close()


def test_a_partition_with_much_to_send_does_not_starve_the_others(
    served: Sandbox, client: RawClient, session: int
) -> None:
    """A fetch with room for one batch gives each of three busy partitions its turn."""
    sent = []
    for epoch in range(1, 7):
        for partition in range(3):
            served.append("orders", "x", partition=partition)
        body = fetch_body("orders", {0: 1, 1: 1, 2: 1} if epoch == 1 else {}, session=(session, epoch), max_bytes=1)
        answer = client.ask(FETCH, FETCH_VERSION, body)
        sent += [one.partition_index for t in answer.responses for one in t.partitions if len(one.records or b"")]
    assert sorted(sent) == [0, 0, 1, 1, 2, 2]


def test_sessions_name_topics_by_id_from_version_13(served: Sandbox, client: RawClient) -> None:
    topic_id = UUID(served.create_topic("orders").topic_id)
    served.append("orders", "ham")
    first = client.ask(FETCH, 16, fetch_body("", {0: 0}, topic_id=topic_id, session=(0, 0)))
    assert [topic.topic_id for topic in first.responses] == [topic_id]
    second = client.ask(FETCH, 16, fetch_body("", {0: 1}, topic_id=topic_id, session=(first.session_id, 1)))
    assert second.responses == []


def test_all_sessions_together_have_a_limit_of_partitions(client: RawClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_sessions, "PARTITIONS_MAX", 10)
    first, second = (ask(client, dict.fromkeys(range(4), 0), (0, 0)).session_id for _ in range(2))
    assert ask(client, {}, (first, 1)).error_code == 0
    third = ask(client, dict.fromkeys(range(4), 0), (0, 0)).session_id
    # The one that was not used for the longest time has gone.
    assert ask(client, {}, (second, 1)).error_code == CODE["FETCH_SESSION_ID_NOT_FOUND"]
    assert ask(client, {}, (first, 2)).error_code == 0
    # A session that grows makes room too, and one that grows too large is gone.
    assert ask(client, {7: 0, 8: 0, 9: 0}, (third, 1)).error_code == 0
    assert ask(client, {}, (first, 3)).error_code == CODE["FETCH_SESSION_ID_NOT_FOUND"]
    assert ask(client, dict.fromkeys(range(11), 0), (third, 2)).error_code == 0
    assert ask(client, {}, (third, 3)).error_code == CODE["FETCH_SESSION_ID_NOT_FOUND"]
    large = ask(client, dict.fromkeys(range(11), 0), (0, 0))
    assert (large.error_code, large.session_id, len(partitions(large))) == (0, 0, 11)
    # What was forgotten counts no more.
    assert ask(client, dict.fromkeys(range(10), 0), (0, 0)).session_id > 0
