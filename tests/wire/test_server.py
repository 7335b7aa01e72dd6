"""The Kafka port under clients that do what no client should."""

import gc
import logging
import random
import struct
import threading
import time
from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import CODE
from sandbox.kafka.event import NewEvent
from sandbox.wire.held_bytes import ANSWER_BYTES_MAX
from sandbox.wire.messages import messages
from sandbox.wire.server import KafkaServer
from tests.conftest import Connect
from tests.waiting import eventually
from tests.wire.raw_client import (
    API_VERSIONS,
    FETCH,
    FETCH_VERSION,
    METADATA,
    PRODUCE,
    PRODUCE_VERSION,
    RawClient,
    fetch_body,
    framed,
    produce_body,
    records_of,
    request_header,
    rows,
)

MIB = 1 << 20

VIOLATIONS = {
    "garbage": (b"\xde\xad\xbe\xef" * 64, "a request of -559038737 bytes"),
    "a page request": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "a request of 1195725856 bytes"),
    "2 GB": (b"\x7f\xff\xff\xff" + b"x" * 100, "a request of 2147483647 bytes; the limit is 104857600"),
    "a negative length": (b"\xff\xff\xff\xff", "a request of -1 bytes"),
    "no header": (framed(b""), "the request header is cut short"),
    "half a header": (framed(b"\0\x12\0\0\0"), "the request header is cut short"),
    "a client id that is too long": (framed(struct.pack(">hhih", 18, 0, 1, 99) + b"raw"), "client_id is 99 bytes long"),
    "an unknown API": (framed(request_header(9_999, 0, 1)), "there is no API with the key 9999 here .client 'raw'"),
    "a version too new": (framed(request_header(METADATA, 99, 1)), "Metadata version 99 is not supported: 0 to 13 are"),
    "a version too old": (framed(request_header(FETCH, 0, 1)), "Fetch version 0 is not supported"),
    "a truncated body": (framed(request_header(METADATA, 5, 1) + b"\0\0\0\5\0\3ham"), "Metadata request v5: topics"),
    "a huge array": (framed(request_header(METADATA, 5, 1) + b"\x7f\xff\xff\xff"), "Metadata request v5: topics"),
    "noise for a body": (framed(request_header(PRODUCE, 11, 1) + b"\xff" * 50), "Produce request v11"),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_what_no_client_sends_closes_its_connection_with_a_logged_reason_and_no_other(
    served: Sandbox, connect: Connect, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    data, reason = VIOLATIONS[name]
    good, bad = connect(), connect()
    bad.api_versions()
    with caplog.at_level(logging.WARNING, "sandbox.wire"):
        bad.send_bytes(data)
        assert bad.is_ended()
    (record,) = caplog.records
    assert record.getMessage().startswith("connection of /127.0.0.1 closed: ")
    assert reason.replace(".", "(") in record.getMessage().replace(".", "(")
    assert good.api_versions().error_code == 0
    assert good.produce("made", rows(b"x")).error_code in (0, CODE["UNKNOWN_TOPIC_OR_PARTITION"])


def test_a_client_that_ends_within_a_request_is_named_in_the_log(
    served: Sandbox, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "sandbox.wire"):
        client = connect()
        client.send_bytes(framed(request_header(METADATA, 5, 1) + b"\0\0\0\0")[:-3])
        client.close()
        eventually(lambda: caplog.records)
    assert "ended in the middle of a request" in caplog.text


def test_random_bytes_and_broken_requests_never_stop_the_port(served: Sandbox, connect: Connect) -> None:
    served.append("orders", "ham")
    dice = random.Random(7)
    whole = [
        request_header(API_VERSIONS, 3, 1) + messages.encode_request(API_VERSIONS, 3, {}),
        request_header(FETCH, 12, 1) + messages.encode_request(FETCH, 12, fetch_body("orders", {0: 0})),
        request_header(PRODUCE, 9, 1) + messages.encode_request(PRODUCE, 9, produce_body("orders", rows(b"x"))),
        request_header(METADATA, 9, 1) + messages.encode_request(METADATA, 9, {"topics": [{"name": "orders"}]}),
    ]
    for number in range(150):
        frame = bytearray(whole[number % len(whole)])
        for _ in range(dice.randint(1, 4)):
            frame[dice.randrange(8, len(frame))] = dice.randrange(256)
        client = connect()
        client.send_bytes(framed(bytes(frame[: dice.randint(9, len(frame))])))
        client.close()
    assert connect().api_versions().error_code == 0
    assert served.append("orders", "eggs").offset >= 1


def test_api_versions_of_a_version_too_new_is_answered_in_version_0(client: RawClient) -> None:
    """KIP-511: a client that asks too much must be able to read what there is."""
    client.send_bytes(framed(request_header(API_VERSIONS, 99, 5) + b"\0"))
    frame = client.receive_frame()
    assert frame[:4] == struct.pack(">i", 5)
    answer, end = messages.decode_response(API_VERSIONS, 0, frame, 4)
    assert (answer.error_code, end) == (CODE["UNSUPPORTED_VERSION"], len(frame))
    assert {one.api_key for one in answer.api_keys} >= {PRODUCE, FETCH, METADATA, API_VERSIONS}
    assert client.api_versions().error_code == 0, "and the connection stays open"


def test_bytes_that_dribble_in_are_put_together(client: RawClient) -> None:
    data = framed(request_header(API_VERSIONS, 0, 9))
    for at in range(len(data)):
        client.send_bytes(data[at : at + 1])
    assert client.receive_frame()[:4] == struct.pack(">i", 9)


def test_pipelined_requests_are_answered_in_order_with_a_waiting_fetch_first(served: Sandbox, connect: Connect) -> None:
    served.create_topic("orders")
    client, other = connect(), connect()
    sent = [client.send(FETCH, FETCH_VERSION, fetch_body("orders", {0: 0}, max_wait_ms=30_000))]
    sent += [client.send(API_VERSIONS, 0, {}), client.send(METADATA, 9, {"topics": None})]
    sent += [client.send(PRODUCE, PRODUCE_VERSION, produce_body("orders", rows(b"later")))]
    assert other.produce("orders", rows(b"first")).base_offset == 0, "another connection is not held up"
    answers = [client.receive() for _ in sent]
    assert [answer.correlation_id for answer in answers] == sent
    assert [row[3] for row in records_of(answers[0].responses[0].partitions[0])] == [b"first"]
    assert answers[3].responses[0].partition_responses[0].base_offset == 1


def test_hundreds_of_requests_in_one_write_are_all_answered_in_order(client: RawClient) -> None:
    one = [framed(request_header(API_VERSIONS, 0, number)) for number in range(500)]
    client.send_bytes(b"".join(one))
    found = [struct.unpack(">i", client.receive_frame()[:4])[0] for _ in range(500)]
    assert found == list(range(500))


def test_hundreds_of_unanswered_writes_in_a_row_are_all_stored(served: Sandbox, client: RawClient) -> None:
    """acks=0 is never answered, so nothing but the commit says that the next ones may be handled."""
    served.create_topic("orders")
    requests = [
        request_header(PRODUCE, 9, number)
        + messages.encode_request(PRODUCE, 9, produce_body("orders", rows(b"%d" % number), acks=0))
        for number in range(300)
    ]
    client.send_bytes(b"".join(map(framed, requests)))
    assert client.api_versions().error_code == 0
    eventually(lambda: served.end_offsets("orders") == {0: 300})
    assert [event.value for event in served.read("orders", offset=0, limit=300)] == [b"%d" % n for n in range(300)]


def test_a_waiting_fetch_is_forgotten_when_its_client_goes(served: Sandbox, connect: Connect) -> None:
    served.create_topic("orders")
    for _ in range(3):
        client = connect()
        client.send(FETCH, FETCH_VERSION, fetch_body("orders", {0: 0}, max_wait_ms=2**31 - 1))
        client.send(API_VERSIONS, 0, {})
        client.close()
    eventually(
        lambda: waiting_fetches(served) == 0, what=f"{waiting_fetches(served)} fetches wait for closed connections"
    )


def waiting_fetches(box: Sandbox) -> int:
    """How many calls wait for an append."""
    servers = [one for one in gc.get_objects() if isinstance(one, KafkaServer) and one.node.broker is box._broker]
    return sum(len(calls) for server in servers for calls in server.node.on_append.values())


def test_a_client_that_does_not_read_gets_no_more_than_a_bound_into_memory(served: Sandbox, connect: Connect) -> None:
    served.create_topic("orders", settings={"max.message.bytes": "20000000"})
    served.append_many("orders", [NewEvent(b"x" * 900_000)] * 24)
    slow, other = connect(), connect()
    before = memory_kib()
    for _ in range(50):
        slow.send(FETCH, FETCH_VERSION, fetch_body("orders", {0: 0}, max_bytes=20 * MIB))
    for _ in range(20):
        assert other.api_versions().error_code == 0
    grown = memory_kib() - before
    assert grown < 150 * 1024, f"{grown} KiB for 50 unread answers of 20 MiB"
    assert 900_000 < len(slow.receive_frame()) <= ANSWER_BYTES_MAX + 1_000
    assert 900_000 < len(slow.receive_frame()) <= ANSWER_BYTES_MAX + 1_000


def memory_kib() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def test_two_hundred_connections_are_served_together(served: Sandbox, connect: Connect) -> None:
    served.create_topic("orders")
    clients = [connect() for _ in range(200)]
    for client in clients:
        client.send(FETCH, FETCH_VERSION, fetch_body("orders", {0: 0}, max_wait_ms=30_000))
    started = time.monotonic()
    served.append("orders", "ham")
    found = [records_of(client.receive().responses[0].partitions[0]) for client in clients]
    assert [records[0][3] for records in found] == [b"ham"] * 200
    assert time.monotonic() - started < 10
    for client in clients:
        client.send(PRODUCE, PRODUCE_VERSION, produce_body("orders", rows(b"x")))
    offsets = [client.receive().responses[0].partition_responses[0].base_offset for client in clients]
    assert sorted(offsets) == list(range(1, 201))


def test_half_open_connections_disturb_nobody(served: Sandbox, connect: Connect) -> None:
    """They send nothing, or half a request, and never end."""
    for number in range(50):
        client = connect()
        if number % 2:
            client.send_bytes(b"\0\0\1\0half")
    assert connect().produce("orders", rows(b"x")).error_code == CODE["UNKNOWN_TOPIC_OR_PARTITION"]


def test_requests_of_many_connections_that_arrive_together_share_a_commit(served: Sandbox, connect: Connect) -> None:
    served.create_topic("orders")
    clients = [connect() for _ in range(20)]
    for client in clients:
        client.api_versions()
    blocked, go = threading.Event(), threading.Event()

    def block(now_ms: int) -> None:
        blocked.set()
        go.wait(10)

    holder = threading.Thread(target=served._runtime.call, args=(block,))
    holder.start()
    assert blocked.wait(10)
    for client in clients:
        client.send(PRODUCE, PRODUCE_VERSION, produce_body("orders", rows(b"x")))
    before = served._database.commits
    go.set()
    for client in clients:
        assert client.receive().responses[0].partition_responses[0].error_code == 0
    holder.join(10)
    assert served._database.commits - before < 10
