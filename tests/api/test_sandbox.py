"""The direct API."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import NewEvent
from sandbox.model.overview import Change
from tests.clock import START_MS, Clock

AT = START_MS - 1_000
LARGE = bytes(range(256)) * 3_516


def test_an_event_is_given_back_as_it_was_stored(box: Sandbox) -> None:
    event = box.append("orders", '{"id": 9007199254740993}', key="user-42", headers={"trace": "1"}, timestamp_ms=AT)
    assert (event.topic, event.partition, event.offset, event.timestamp_ms) == ("orders", 0, 0, AT)
    assert (event.key, event.value, event.headers) == (
        b"user-42",
        b'{"id": 9007199254740993}',
        (("trace", b"1"),),
    )
    assert box.event("orders", 0, 0) == event == box.read("orders")[0]


def test_an_event_stamped_by_the_broker_is_given_back_with_its_time(box: Sandbox, clock: Clock) -> None:
    box.create_topic("orders", settings={"message.timestamp.type": "LogAppendTime"})
    event = box.append("orders", "ham", timestamp_ms=AT)
    assert (event.timestamp_ms, event.timestamp_type) == (clock.now_ms, 1)
    assert box.event("orders", 0, 0) == event


def test_an_event_that_retention_takes_at_once_is_given_back_all_the_same(box: Sandbox) -> None:
    assert box.append("orders", "ham", timestamp_ms=17).offset == 0
    assert box.append("orders", "eggs").offset == 1


NASTY: list[bytes | str | None] = [
    None,
    b"",
    "",
    b"\xff\xfe",
    b"\0",
    b"a\0b",
    "a\0b\0",
    "<script>alert(1)</script>",
    "🙂 Größe \u202e \ufeff",
    b"\xed\xa0\x80",
    LARGE,
    "x" * 900_000,
    "'; DROP TABLE events; --",
    "9007199254740993",
]


@pytest.mark.parametrize("value", NASTY, ids=range(len(NASTY)))
def test_any_bytes_come_back_as_key_value_and_header(file: Path, clock: Clock, value: bytes | str | None) -> None:
    expected = value.encode() if isinstance(value, str) else value
    with Sandbox(file, clock=clock) as sandbox:
        sandbox.create_topic("orders", settings={"max.message.bytes": "10000000"})
        sandbox.append("orders", value, key=value, headers={"h": value})
    with Sandbox(file, clock=clock) as sandbox:
        (event,) = sandbox.read("orders")
    assert (event.key, event.value, event.headers) == (expected, expected, (("h", expected),))


def test_headers_keep_their_order_and_may_repeat_a_name(box: Sandbox) -> None:
    headers = (("b", b"1"), ("a", None), ("b", b""), ("", b"x"), ("\udcff\udcfe", b"\xff"), ("a\0", b"\0"))
    assert box.append("orders", b"", headers=headers).headers == headers


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.none() | st.binary(max_size=30), st.none() | st.binary(max_size=30)), max_size=20))
def test_what_is_appended_is_read_in_the_order_of_offsets(
    box: Sandbox, pairs: list[tuple[bytes | None, bytes | None]]
) -> None:
    topic = f"t{len(box.topics())}"
    box.create_topic(topic, partitions=3)
    assert box.append_many(topic, [NewEvent(value, key) for key, value in pairs], chunk=7) == len(pairs)
    found = box.read(topic, offset=0, limit=1_000)
    assert [(one.partition, one.offset) for one in found] == [
        (partition, offset) for partition, end in sorted(box.end_offsets(topic).items()) for offset in range(end)
    ]
    by_partition = [(one.key, one.value) for one in found]
    assert sorted(by_partition, key=repr) == sorted(pairs, key=repr)
    for partition in range(3):
        keys = [one.key for one in found if one.partition == partition and one.key is not None]
        assert all(box.partition_for(topic, key) == partition for key in keys)


def test_events_are_read_by_offset_and_by_time(box: Sandbox) -> None:
    for number, stamp in enumerate((50, 10, 40, 20)):
        box.append("orders", str(number), timestamp_ms=AT + stamp)
    assert [one.value for one in box.read("orders", offset=2)] == [b"2", b"3"]
    assert [one.timestamp_ms - AT for one in box.read("orders", since_ms=AT + 20)] == [20, 40, 50]
    assert [one.timestamp_ms - AT for one in box.read("orders", newest_first=True, limit=2)] == [50, 40]
    assert box.offsets_for_time("orders", AT + 41) == {0: 0}
    assert box.offsets_for_time("orders", AT + 51) == {0: None}
    assert (box.start_offsets("orders"), box.end_offsets("orders")) == ({0: 0}, {0: 4})


def test_more_events_than_a_page_holds_are_read(box: Sandbox) -> None:
    box.append_many("orders", [NewEvent(b"%d" % number) for number in range(2_500)])
    assert [one.offset for one in box.read("orders", limit=2_400)] == list(range(2_400))
    assert len(box.read("orders", limit=9_999)) == 2_500


def test_an_address_without_an_event_says_why(box: Sandbox) -> None:
    box.append("orders", "ham")
    with pytest.raises(
        BrokerError, match="Offset 1 is not written yet: the next event of the partition gets 1"
    ) as late:
        box.event("orders", 0, 1)
    assert late.value.error.name == "OFFSET_OUT_OF_RANGE"
    with pytest.raises(BrokerError, match="There is no partition 7 of a topic orders"):
        box.event("orders", 7, 0)
    with pytest.raises(BrokerError, match="There is no topic nowhere"):
        box.read("nowhere")


Refused = Callable[[Sandbox], object]


def text() -> Any:
    """Text where bytes are wanted."""
    return "text"


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda box: box.append("t", 5), "the value of an event is bytes, text or None, not int"),
        (lambda box: box.append("t", bytearray(b"x")), "not bytearray"),
        (lambda box: box.append("t", b"", key=1.5), "the key of an event is bytes, text or None, not float"),
        (lambda box: box.append("t", b"", headers=5), "headers are a mapping or pairs of name and value, not int"),
        (lambda box: box.append("t", b"", headers=[("a",)]), "a header is a pair"),
        (lambda box: box.append("t", b"", headers=[(b"a", b"b")]), "a header is a pair of a name"),
        (lambda box: box.append("t", b"", headers={"a": 1}), "bytes, text or None, not int"),
        (lambda box: box.append("t", b"", partition="0"), "a partition is a whole number or None, not str"),
        (lambda box: box.append("t", b"", timestamp_ms=1.5), "a timestamp is a whole number of ms.*not float"),
        (lambda box: box.append(5, b""), "a topic is named by text, not by int"),
        (lambda box: box.append_many("t", [b"x"]), "append takes events of type NewEvent, not bytes"),
        (lambda box: box.append_many("t", [NewEvent(text())]), "the value of an event is bytes or None, not str"),
    ],
)
def test_a_wrong_type_is_refused_in_a_sentence_and_nothing_is_created(
    box: Sandbox, call: Refused, sentence: str
) -> None:
    with pytest.raises(TypeError, match=sentence):
        call(box)
    assert box.topics() == ()


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"value": b"x" * 1_048_600}, "MESSAGE_TOO_LARGE"),
        ({"value": b"", "timestamp_ms": START_MS + 3_600_001}, "INVALID_TIMESTAMP"),
        ({"value": b"", "timestamp_ms": 2**63}, "INVALID_TIMESTAMP"),
        ({"value": b"", "partition": 1}, "UNKNOWN_TOPIC_OR_PARTITION"),
        ({"value": b"", "partition": -1}, "UNKNOWN_TOPIC_OR_PARTITION"),
        ({"value": "\ud800"}, "INVALID_RECORD"),
        ({"value": b"", "headers": [("\ud800", b"")]}, "INVALID_RECORD"),
    ],
)
def test_a_bad_event_is_refused_with_kafkas_error(box: Sandbox, event: dict[str, Any], error: str) -> None:
    box.append("orders", "ham")
    with pytest.raises(BrokerError) as refused:
        box.append("orders", **event)
    assert refused.value.error.name == error
    assert box.end_offsets("orders") == {0: 1}
    assert box.append("orders", "eggs").offset == 1


def test_a_chunk_with_one_bad_event_is_refused_as_a_whole_and_earlier_chunks_stay(box: Sandbox) -> None:
    box.create_topic("orders", partitions=2)
    events = [NewEvent(b"%d" % number, partition=number % 2) for number in range(25)]
    events[17] = NewEvent(b"x" * 2_000_000, partition=0)
    with pytest.raises(BrokerError, match=r"max\.message\.bytes"):
        box.append_many("orders", events, chunk=10)
    assert sum(box.end_offsets("orders").values()) == 10
    assert sorted(int(one.value or b"") for one in box.read("orders")) == list(range(10))


def test_a_chunk_of_no_events_is_refused(box: Sandbox) -> None:
    with pytest.raises(ValueError, match="a chunk is 1 event or more, not 0"):
        box.append_many("orders", [NewEvent(b"x")], chunk=0)


def test_a_refused_event_leaves_nothing_that_a_later_one_makes_visible(box: Sandbox) -> None:
    """The topic is created on first use, as with a producer; the event that follows is refused."""
    with pytest.raises(BrokerError, match="has no partition 7"):
        box.append("orders", "ham", partition=7)
    assert [one.topic for one in box.topics()] == ["orders"]
    box.append("orders", "eggs")
    assert [one.value for one in box.read("orders")] == [b"eggs"]


def test_topics_are_described_altered_and_deleted(box: Sandbox) -> None:
    made = box.create_topic("orders", partitions=3, settings={"retention.ms": "1000"})
    assert (made.topic, len(made.partitions), made.events, made.settings) == ("orders", 3, 0, {"retention.ms": "1000"})
    assert [one.topic for one in box.topics()] == ["orders"]
    assert len(box.create_partitions("orders", 5).partitions) == 5
    box.alter_topic("orders", {"retention.ms": None, "max.message.bytes": "100"})
    assert box.topic("orders").settings == {"max.message.bytes": "100"}
    with pytest.raises(BrokerError, match=r"max\.message\.bytes"):
        box.append("orders", b"x" * 100)
    box.delete_topic("orders")
    with pytest.raises(BrokerError, match="There is no topic orders"):
        box.topic("orders")


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda box: box.create_topic("orders"), "TOPIC_ALREADY_EXISTS"),
        (lambda box: box.create_topic("or/ders"), "INVALID_TOPIC_EXCEPTION"),
        (lambda box: box.create_topic(""), "INVALID_TOPIC_EXCEPTION"),
        (lambda box: box.create_topic("x" * 250), "INVALID_TOPIC_EXCEPTION"),
        (lambda box: box.create_topic("a", partitions=0), "INVALID_PARTITIONS"),
        (lambda box: box.create_topic("a", settings={"nonsense": "1"}), "INVALID_CONFIG"),
        (lambda box: box.create_topic("a", settings={"retention.ms": "soon"}), "INVALID_CONFIG"),
        (lambda box: box.create_partitions("orders", 1), "INVALID_PARTITIONS"),
        (lambda box: box.alter_topic("orders", {"retention.ms": "soon"}), "INVALID_CONFIG"),
        (lambda box: box.delete_topic("nowhere"), "UNKNOWN_TOPIC_OR_PARTITION"),
        (lambda box: box.commit("app", "nowhere", 0, 0), "UNKNOWN_TOPIC_OR_PARTITION"),
        (lambda box: box.commit("app", "orders", 9, 0), "UNKNOWN_TOPIC_OR_PARTITION"),
        (lambda box: box.commit("app", "orders", 0, -1), "INVALID_REQUEST"),
        (lambda box: box.commit("app", "orders", 0, 2**63), "INVALID_REQUEST"),
        (lambda box: box.group("nobody"), "GROUP_ID_NOT_FOUND"),
        (lambda box: box.delete_group("nobody"), "GROUP_ID_NOT_FOUND"),
        (lambda box: box.partition_for("orders", b"k", "nonsense"), "INVALID_REQUEST"),
    ],
)
def test_a_bad_call_is_refused_with_kafkas_error_and_changes_nothing(box: Sandbox, call: Refused, error: str) -> None:
    box.create_topic("orders", partitions=2)
    before = box.topics()
    with pytest.raises(BrokerError) as refused:
        call(box)
    assert refused.value.error.name == error
    assert box.topics() == before
    assert box.groups() == ()


def test_lag_is_never_negative_nor_torn_while_others_write_and_commit(box: Sandbox) -> None:
    """Every commit is at the end of the log as its writer saw it, so in one state of the file it is never beyond it."""
    box.create_topic("orders")
    box.commit("app", "orders", 0, 0)
    ended = threading.Event()
    failures: list[BaseException] = []

    def write() -> None:
        try:
            while not ended.is_set():
                end = box.append("orders", b"x").offset + 1
                box.commit("app", "orders", 0, end - end % 3)
        except BaseException as error:
            failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    try:
        for _ in range(10_000):
            with box._database.reader() as reader:
                ((committed, end, lag),) = reader.query("SELECT committed, end_offset, lag FROM lag")
            assert 0 <= committed <= end
            assert lag == end - committed
            seen.add(end)
        for _ in range(300):
            (line,) = box.lag("app")
            assert line.committed is not None
            assert 0 <= line.committed <= line.end
            assert line.lag == line.end - line.committed
    finally:
        ended.set()
        writer.join(10)
    assert failures == []
    assert len(seen) > 10, "nothing was written meanwhile"


def test_whoever_watches_hears_of_each_change_after_it_is_there(box: Sandbox) -> None:
    heard: list[tuple[Change, int]] = []
    stop = box.subscribe(lambda change: heard.append((change, len(box.topics()))))
    box.create_topic("orders")
    box.append("orders", "ham")
    box.commit("app", "orders", 0, 1)
    stop()
    box.append("orders", "eggs")
    kinds = [(change.kind, sorted(change.topics), sorted(change.groups)) for change, _ in heard]
    assert kinds[0] == ("topics", ["orders"], [])
    assert ("events", ["orders"], []) in kinds
    assert ("commit", [], ["app"]) in kinds
    assert [topics for _, topics in heard] == [1] * len(heard)


def test_a_watcher_that_fails_does_not_fail_the_write(box: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    def fail(change: Change) -> None:
        raise RuntimeError("no ears")

    box.subscribe(fail)
    assert box.append("orders", "ham").offset == 0
    assert "no ears" in caplog.text


def test_the_overview_counts_what_there_is(box: Sandbox, file: Path) -> None:
    box.create_topic("orders", partitions=2)
    box.append_many("orders", [NewEvent(b"x")] * 20)
    box.commit("app", "orders", 0, 0)
    overview = box.overview()
    assert (overview.file, overview.topics, overview.events, overview.groups) == (str(file), 1, 20, 1)
    assert (overview.kafka, overview.web) == (None, None)
    assert overview.size_bytes > 0


@pytest.mark.parametrize(("name", "value"), [("nonsense", "1"), ("num.partitions", "many"), ("num.partitions", "0")])
def test_a_bad_broker_setting_is_refused(file: Path, name: str, value: str) -> None:
    with pytest.raises(BrokerError, match=name) as refused:
        Sandbox(file, settings={name: value})
    assert refused.value.error.name == "INVALID_CONFIG"


def test_topics_are_made_on_first_use_only_where_that_is_wanted(file: Path) -> None:
    with Sandbox(file, settings={"auto.create.topics.enable": "false", "num.partitions": "4"}) as sandbox:
        with pytest.raises(BrokerError, match="There is no topic orders"):
            sandbox.append("orders", "ham")
        assert sandbox.topics() == ()
        assert len(sandbox.create_topic("orders").partitions) == 4


def test_two_partitions_of_fifty_thousand_events_have_no_gap_and_no_duplicate(box: Sandbox) -> None:
    box.create_topic("orders", partitions=2)
    events = (NewEvent(b"%d" % (number // 2), None, (), START_MS, number % 2) for number in range(100_000))
    assert box.append_many("orders", events, chunk=5_000) == 100_000
    with box._database.reader() as reader:
        rows = reader.query(
            "SELECT partition, count(*), count(DISTINCT offset), min(offset), max(offset), "
            "sum(CAST(value AS INTEGER) <> offset) FROM messages GROUP BY partition"
        )
        assert reader.query("PRAGMA integrity_check") == [("ok",)]
    assert rows == [(0, 50_000, 50_000, 0, 49_999, 0), (1, 50_000, 50_000, 0, 49_999, 0)]


def test_a_limit_counts_events_where_compaction_left_gaps(box: Sandbox) -> None:
    box.create_topic("latest", settings={"cleanup.policy": "compact"})
    box.append_many("latest", [NewEvent(b"v", b"a")] * 30 + [NewEvent(b"v", b"k%d" % one) for one in range(10)])
    for _ in range(2):
        box.append_many("latest", [NewEvent(b"w", b"a")] * 3)
    assert box.logs.compact("latest") > 0
    every = [event.offset for event in box.read("latest", offset=0)]
    assert every[:10] == list(range(30, 40))
    for limit in range(1, len(every) + 2):
        assert [event.offset for event in box.read("latest", offset=0, limit=limit)] == every[:limit]
