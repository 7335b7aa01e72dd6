"""Messages: what is read from any version, what is refused, and the headers before them."""

import contextlib
import struct
import subprocess
import sys
import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.wire.messages import messages
from sandbox.wire.messages.messages import MalformedMessage, UnencodableMessage, UnknownField, UnsupportedVersion

PRODUCE, FETCH, METADATA, OFFSET_FETCH, SASL_HANDSHAKE, API_VERSIONS, CREATE_TOPICS = 0, 1, 3, 9, 17, 18, 19

EVERY_VERSION = [
    (key, version) for key, (first, last) in messages.api_versions_known().items() for version in range(first, last + 1)
]


def test_a_newer_consumer_protocol_is_read_as_the_newest_known() -> None:
    theirs = bytearray(messages.encode_subscription(3, {"topics": ["a"], "rack_id": "r"})) + b"more"
    theirs[:2] = struct.pack(">h", 9)
    decoded = messages.decode_subscription(theirs)
    assert (decoded.version, decoded.topics, decoded.rack_id) == (9, ["a"], "r")


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff\xff", b"\0\0", b"\0\1\0\0\0\1\0\7ab"])
def test_group_metadata_of_another_protocol_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        messages.decode_subscription(data)


def test_a_tagged_field_that_is_not_known_is_skipped() -> None:
    plain_bytes = messages.encode_request(METADATA, 12, {"topics": None})
    assert plain_bytes.endswith(b"\0")
    with_tags = plain_bytes[:-1] + b"\x02" + b"\x05\x03abc" + b"\xc8\x01\x00"
    assert messages.decode_request(METADATA, 12, with_tags)[0] == messages.decode_request(METADATA, 12, plain_bytes)[0]


def test_a_tagged_field_that_is_not_known_is_skipped_beside_known_ones() -> None:
    known = messages.encode_request(FETCH, 12, {"cluster_id": "c"})
    assert known.endswith(b"\x01\x00\x02\x02c")
    with_tag = known[:-5] + b"\x02\x00\x02\x02c\x63\x01x"
    assert messages.decode_request(FETCH, 12, with_tag)[0].cluster_id == "c"


def test_a_tagged_field_longer_than_the_message_is_malformed() -> None:
    body = messages.encode_request(METADATA, 12, {"topics": None})[:-1]
    with pytest.raises(MalformedMessage, match="tagged fields"):
        messages.decode_request(METADATA, 12, body + b"\x01\x05\x7fabc")


def test_a_known_tagged_field_with_a_wrong_size_is_malformed() -> None:
    known = messages.encode_request(FETCH, 12, {"cluster_id": "c"})
    with pytest.raises(MalformedMessage, match="cluster_id"):
        messages.decode_request(FETCH, 12, known[:-3] + b"\x03\x02cx")


FETCH_MESSAGE = {
    "rack_id": "rack",
    "cluster_id": "cluster",
    "topics": [
        {
            "topic": "orders",
            "topic_id": uuid.UUID(int=7),
            "partitions": [{"partition": number, "fetch_offset": 5} for number in range(3)],
        }
    ],
}


@pytest.mark.parametrize("version", [4, 11, 12, 16])
def test_a_message_cut_short_anywhere_is_malformed(version: int) -> None:
    whole = messages.encode_request(FETCH, version, FETCH_MESSAGE)
    for size_bytes in range(len(whole)):
        with pytest.raises(MalformedMessage):
            messages.decode_request(FETCH, version, whole[:size_bytes])


def test_the_text_names_the_field_and_the_position() -> None:
    whole = messages.encode_request(FETCH, 4, FETCH_MESSAGE)
    with pytest.raises(MalformedMessage, match=r"^Fetch request v4: min_bytes at byte 0 of 9 is cut short"):
        messages.decode_request(FETCH, 4, whole[:9])
    with pytest.raises(MalformedMessage, match=r"^Fetch request v4: topics\.topic at byte \d+ of 27 is 6 bytes long"):
        messages.decode_request(FETCH, 4, whole[:27])


def test_bytes_after_a_request_are_left_alone_as_kafka_does() -> None:
    whole = messages.encode_request(FETCH, 12, FETCH_MESSAGE)
    _, end = messages.decode_request(FETCH, 12, whole + b"\0")
    assert end == len(whole)


@pytest.mark.parametrize(
    ("version", "data", "reason"),
    [
        (0, struct.pack(">i", -1), "is null"),
        (1, struct.pack(">i", -2), "has a length of -2"),
        (1, struct.pack(">i", 2**31 - 1), "has 2147483647 elements"),
        (1, struct.pack(">ih", 1, -5), "has a length of -5"),
        (1, struct.pack(">ih", 1, 300) + b"x", "is 300 bytes long"),
        (1, struct.pack(">ih", 1, 2) + b"\xff\xfe", "is not UTF-8"),
        (9, b"\xff\xff\xff\xff\x07", "elements, but only"),
        (9, b"\xff\xff\xff\xff\xff\xff\x01", "more than five bytes"),
        (9, b"\xff", "cut short"),
    ],
)
def test_lengths_that_cannot_be_are_refused(version: int, data: bytes, reason: str) -> None:
    with pytest.raises(MalformedMessage, match=reason):
        messages.decode_request(METADATA, version, data)


@settings(max_examples=300, deadline=None, database=None)
@given(st.sampled_from(EVERY_VERSION), st.sampled_from(["request", "response"]), st.binary(max_size=200))
def test_no_bytes_raise_anything_but_malformed(which: tuple[int, int], direction: str, data: bytes) -> None:
    key, version = which
    decode = messages.decode_request if direction == "request" else messages.decode_response
    with contextlib.suppress(MalformedMessage):
        decode(key, version, data)


def test_a_version_that_is_not_known_is_unsupported() -> None:
    with pytest.raises(UnsupportedVersion, match="Metadata has no version 99"):
        messages.decode_request(METADATA, 99, b"")
    with pytest.raises(UnsupportedVersion, match="API 4 "):
        messages.encode_response(4, 0, {})


def test_absent_fields_hold_their_defaults() -> None:
    decoded, _ = messages.decode_request(FETCH, 4, messages.encode_request(FETCH, 4, FETCH_MESSAGE))
    assert (decoded.rack_id, decoded.session_epoch, decoded.cluster_id) == ("", -1, None)
    assert decoded.topics[0].topic_id == uuid.UUID(int=0)
    assert decoded.replica_state == SimpleNamespace(replica_id=-1, replica_epoch=-1)
    assert decoded.forgotten_topics_data == []


def test_two_messages_share_no_default() -> None:
    data = messages.encode_request(FETCH, 4, {})
    first, second = (messages.decode_request(FETCH, 4, data)[0] for _ in range(2))
    first.forgotten_topics_data.append(1)
    assert second.forgotten_topics_data == []


def test_a_field_of_another_version_is_ignored_and_one_of_none_refused() -> None:
    assert messages.encode_request(FETCH, 4, {"rack_id": "r"}) == messages.encode_request(FETCH, 4, {})
    with pytest.raises(UnknownField, match="did you mean 'rack_id'"):
        messages.encode_request(FETCH, 4, {"rackid": "r"})
    with pytest.raises(UnknownField, match=r"Fetch request v4 topics\.partitions"):
        messages.encode_request(FETCH, 4, {"topics": [{"partitions": [{"offset": 1}]}]})


@pytest.mark.parametrize(
    "message",
    [
        {"brokers": None},
        {"brokers": [{"host": None}]},
        {"brokers": [{"port": None}]},
        {"topics": [{"is_internal": None}]},
        {"brokers": [{"port": 2**31}]},
        {"brokers": [{"host": 7}]},
        {"topics": [{"partitions": [{"isr_nodes": ["a"]}]}]},
        {"cluster_id": "\udcff"},
        {"cluster_id": "x" * 40_000},
        {"brokers": [None]},
    ],
)
def test_values_that_do_not_fit_are_refused_by_name(message: dict[str, Any]) -> None:
    with pytest.raises(UnencodableMessage, match=r"^Metadata response v8: \w+"):
        messages.encode_response(METADATA, 8, message)


def test_records_are_written_from_one_piece_or_many() -> None:
    def encoded(records: Any) -> bytes:
        partitions = [{"records": records}]
        return messages.encode_response(FETCH, 12, {"responses": [{"topic": "t", "partitions": partitions}]})

    one = encoded(b"abc" * 100)
    assert encoded([b"abc"] * 100) == one
    assert encoded([memoryview(b"abc" * 50), bytearray(b"abc" * 50)]) == one
    assert encoded(memoryview(b"abc" * 100)) == one
    assert encoded([]) == encoded(b"") != encoded(None)


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_records_are_read_as_a_view_of_the_frame(wrap: Any) -> None:
    message = {"topic_data": [{"name": "t", "partition_data": [{"records": b"abc"}, {"records": None}]}]}
    frame = wrap(b"head" + messages.encode_request(PRODUCE, 9, message))
    decoded, end = messages.decode_request(PRODUCE, 9, frame, 4)
    first, second = decoded.topic_data[0].partition_data
    assert isinstance(first.records, memoryview)
    assert (bytes(first.records), second.records, end) == (b"abc", None, len(frame))


@pytest.mark.parametrize(
    ("key", "version", "tags"),
    [(METADATA, 8, b""), (METADATA, 9, b"\0"), (METADATA, 9, b"\1\7\2ab"), (SASL_HANDSHAKE, 1, b""), (999, 0, b"")],
)
@pytest.mark.parametrize("client_id", [None, "", "rdkafka"])
def test_the_header_of_a_request(key: int, version: int, tags: bytes, client_id: str | None) -> None:
    text = b"" if client_id is None else client_id.encode()
    head = struct.pack(">hhih", key, version, 77, -1 if client_id is None else len(text)) + text + tags
    assert messages.decode_header(head + b"body") == (key, version, 77, client_id, len(head))


def test_a_header_for_a_version_of_api_versions_to_come_is_flexible() -> None:
    assert messages.decode_header(struct.pack(">hhih", API_VERSIONS, 99, 1, -1) + b"\0").body_offset == 11


@pytest.mark.parametrize(
    "data",
    [
        b"",
        struct.pack(">hhi", METADATA, 1, 1),
        struct.pack(">hhih", METADATA, 1, 1, 5) + b"ab",
        struct.pack(">hhih", METADATA, 1, 1, -2),
        struct.pack(">hhih", METADATA, 1, 1, 1) + b"\xff",
        struct.pack(">hhih", METADATA, 9, 1, -1),
        struct.pack(">hhih", METADATA, 9, 1, -1) + b"\1\1\7a",
    ],
)
def test_a_broken_header_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        messages.decode_header(data)


def test_the_header_of_a_response_is_flexible_but_for_api_versions() -> None:
    assert messages.response_header(METADATA, 8, 7) == b"\0\0\0\7"
    assert messages.response_header(METADATA, 9, 7) == b"\0\0\0\7\0"
    assert messages.response_header(API_VERSIONS, 3, 7) == b"\0\0\0\7"


def test_the_apis_have_the_names_that_kafka_gives_them() -> None:
    named = [messages.api_name(key) for key in (PRODUCE, OFFSET_FETCH, API_VERSIONS, CREATE_TOPICS, 999)]
    assert named == ["Produce", "OffsetFetch", "ApiVersions", "CreateTopics", "API 999"]
    assert messages.api_versions_known()[FETCH] == (4, 18)


def test_the_package_does_not_import_kio() -> None:
    program = (
        "import sys; from sandbox.wire.messages import messages; "
        "messages.api_versions_known(); print('kio' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "False\n"
