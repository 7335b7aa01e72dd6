"""Events as lines: exact both ways, and a reason for every line that is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kafka.event import CREATE_TIME, LOG_APPEND_TIME, Event, NewEvent
from sandbox.model.jsonl import (
    EventLine,
    LineRefused,
    TopicLine,
    from_line,
    read_line,
    to_line,
    topic_line,
    transaction_of,
    without_byte_order_mark,
)

_maybe_bytes = st.none() | st.binary(max_size=50) | st.text(max_size=20).map(lambda text: text.encode())
_headers = st.lists(
    st.tuples(st.binary(max_size=9).map(lambda name: name.decode("utf-8", "surrogateescape")), _maybe_bytes), max_size=4
).map(tuple)
_events = st.builds(
    Event,
    topic=st.sampled_from(("a", "payments.v1", "x_y-z")),
    partition=st.integers(0, 2**31 - 1),
    offset=st.integers(0, 2**63 - 1),
    timestamp_ms=st.integers(-1, 2**63 - 1),
    timestamp_type=st.sampled_from((CREATE_TIME, LOG_APPEND_TIME)),
    key=_maybe_bytes,
    value=_maybe_bytes,
    headers=_headers,
)


@given(_events)
def test_an_event_comes_back_from_its_line_as_it_was(event: Event) -> None:
    assert from_line(to_line(event).encode()) == EventLine(
        value=event.value,
        key=event.key,
        headers=event.headers,
        topic=event.topic,
        partition=event.partition,
        offset=event.offset,
        timestamp_ms=event.timestamp_ms,
        timestamp_type=event.timestamp_type,
        transaction=transaction_of(event),
    )


@given(_events)
def test_a_line_is_one_line_for_every_reader(event: Event) -> None:
    assert len(to_line(event).splitlines()) == 1


def _event(value: bytes | None) -> Event:
    return Event("t", 0, 7, 1517363399650, CREATE_TIME, b"k", value, ())


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (b'{"id": 9007199254740993}', '{"id": 9007199254740993}'),
        (b"", ""),
        (None, None),
        (b"\xff\xfe\x00", {"base64": "//4A"}),
        ("Zürich \N{CROISSANT}".encode(), "Zürich \N{CROISSANT}"),
        (b"</script><script>alert(1)</script>", "</script><script>alert(1)</script>"),
        ("two\u2028lines\n".encode(), "two\u2028lines\n"),
        (b"\x00", "\x00"),
        (b"\xed\xa0\x80", {"base64": "7aCA"}),
    ],
)
def test_a_value_is_text_where_it_is_text(value: bytes | None, written: object) -> None:
    assert json.loads(to_line(_event(value)))["value"] == written


def test_a_line_has_the_fields_in_kafkas_words() -> None:
    event = Event("t", 1, 2, 3, LOG_APPEND_TIME, None, b"v", (("h", None), ("h", b"\xff")))
    assert to_line(event) == (
        '{"topic": "t", "partition": 1, "offset": 2, "timestamp": 3, "timestamp_type": "LogAppendTime", "key": null, '
        '"value": "v", "headers": [["h", null], ["h", {"base64": "/w=="}]]}'
    )


@pytest.mark.parametrize("said", ["aborted", "open"])
def test_an_event_that_was_never_committed_says_so_in_its_line(said: str) -> None:
    plain = _event(b"v")._replace(transactional=True)
    line = to_line(plain._replace(aborted=said == "aborted", pending=said == "open"))
    assert line == to_line(plain)[:-1] + f', "transaction": "{said}"}}'
    assert from_line(line).transaction == said
    assert from_line(line).new_event() == from_line(to_line(plain)).new_event()


def test_only_the_value_must_be_there() -> None:
    assert from_line('{"value": "v"}') == EventLine(value=b"v")


def test_a_line_gives_an_event_to_append() -> None:
    line = '{"partition": 3, "offset": 9, "timestamp": 5, "key": "k", "value": null, "headers": [["a", "b"]]}'
    assert from_line(line).new_event() == NewEvent(None, b"k", (("a", b"b"),), 5, 3)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"value": "a"', "not JSON: Expecting ',' delimiter (column 14)"),
        (b'{"value": "\xff"}', "not UTF-8 at byte 11"),
        ('{"key": "k"}', '"value" is missing'),
        ('{"value": "v", "colour": 1, "size": 2}', 'unknown field "colour", "size"; the fields are topic, partition'),
        ('{"value": "v", "value": "w"}', 'the field "value" is there twice'),
        ('{"value": {"id": 1}}', '"value" must be a string, null or {"base64": "..."}, not {"id": 1}'),
        ('{"value": 1}', '"value" must be a string'),
        ('{"value": true}', '"value" must be a string'),
        ('{"value": {"base64": "a"}}', '"value" is not valid base64: "a"'),
        ('{"value": {"base64": "aGk=", "x": 1}}', '"value" must be a string'),
        ('{"value": {"base64": "Zürich"}}', '"value" is not valid base64'),
        ('{"value": {"base64": 7}}', '"value" must be a string'),
        ('{"value": "\\ud800"}', '"value" has half of a surrogate pair at character 1'),
        ('{"value": "v", "topic": "\\udfff"}', '"topic" has half of a surrogate pair'),
        ('{"value": "v", "topic": ""}', '"topic" must be a name'),
        ('{"value": "v", "topic": 7}', '"topic" must be a name'),
        ('{"value": "v", "partition": -1}', '"partition" must be 0 to 2147483647, not -1'),
        ('{"value": "v", "partition": 2147483648}', '"partition" must be 0 to 2147483647'),
        ('{"value": "v", "partition": true}', '"partition" must be a whole number, not true'),
        ('{"value": "v", "offset": 9223372036854775808}', '"offset" must be 0 to 9223372036854775807'),
        ('{"value": "v", "timestamp": 1.5}', '"timestamp" must be a whole number, not 1.5'),
        ('{"value": "v", "timestamp": "2026"}', '"timestamp" must be a whole number'),
        ('{"value": "v", "timestamp": -2}', '"timestamp" must be -1 to'),
        ('{"value": "v", "timestamp": 9223372036854775808}', '"timestamp" must be -1 to'),
        ('{"value": "v", "timestamp": NaN}', "NaN is not a JSON number"),
        ('{"value": "v", "timestamp": ' + "9" * 5000 + "}", "not JSON that can be read"),
        ('{"value": ' + "[" * 100_000, "not JSON that can be read"),
        ('{"value": "v", "timestamp_type": "now"}', '"timestamp_type" must be one of CreateTime, LogAppendTime'),
        ('{"value": "v", "timestamp_type": []}', '"timestamp_type" must be one of'),
        ('{"value": "v", "transaction": "committed"}', '"transaction" must be one of aborted, open, not "committed"'),
        ('{"value": "v", "transaction": []}', '"transaction" must be one of aborted, open'),
        ('{"value": "v", "headers": {"a": "b"}}', '"headers" must be a list of [name, value] pairs'),
        ('{"value": "v", "headers": [["a"]]}', 'a header must be a [name, value] pair, not ["a"]'),
        ('{"value": "v", "headers": [[null, "b"]]}', "the name of a header must not be null"),
        ('{"value": "v", "headers": [["a", 1]]}', '"value of a header" must be a string'),
    ],
)
def test_a_line_that_is_no_event_is_refused_with_the_reason(line: str | bytes, reason: str) -> None:
    with pytest.raises(LineRefused) as refused:
        from_line(line)
    assert reason in str(refused.value)
    assert len(str(refused.value)) < 300


def test_a_line_can_carry_the_topics_partitions_and_settings() -> None:
    line = to_line(_event(b"v"), 7, {"cleanup.policy": "compact"})
    assert line == to_line(_event(b"v"))[:-1] + ', "partitions": 7, "settings": {"cleanup.policy": "compact"}}'
    found = from_line(line)
    assert (found.partitions, found.settings, found.value) == (7, {"cleanup.policy": "compact"}, b"v")
    assert found.new_event() == from_line(to_line(_event(b"v"))).new_event()


@pytest.mark.parametrize("settings", [{}, {"retention.ms": "5"}])
def test_an_empty_topic_is_a_line_that_is_no_event(settings: dict[str, str]) -> None:
    line = topic_line("t", 5, settings)
    assert read_line(line) == TopicLine("t", 5, settings)
    with pytest.raises(LineRefused, match="empty topic"):
        from_line(line)


@pytest.mark.parametrize(
    "more",
    [
        '"partitions": 0',
        '"partitions": -1',
        '"partitions": "7"',
        '"partitions": true',
        '"settings": []',
        '"settings": {"a": 1}',
        '"settings": {"a": null}',
        '"settings": {"\\ud800": "x"}',
    ],
)
def test_partitions_and_settings_that_make_no_sense_are_refused(more: str) -> None:
    with pytest.raises(LineRefused, match=r"partitions|settings"):
        from_line(f'{{"value": "v", {more}}}')


@pytest.mark.parametrize("line", ['{"value": "v"}', '{"value": "\ufeffv"}'])
def test_a_byte_order_mark_before_a_line_is_ignored(line: str) -> None:
    assert from_line(b"\xef\xbb\xbf" + line.encode()) == from_line("\ufeff" + line) == from_line(line)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_text_in_utf_16_or_utf_32_is_refused_by_name(encoding: str) -> None:
    with pytest.raises(LineRefused, match=r"UTF-16 or UTF-32.*save it as UTF-8"):
        without_byte_order_mark("a:1".encode(encoding))
