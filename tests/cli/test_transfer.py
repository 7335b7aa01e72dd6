"""`sandbox export` and `sandbox import`: every event comes back exactly, or the command says why not."""

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer

from sandbox import NewEvent, Sandbox

if TYPE_CHECKING:
    from tests.cli.conftest import CommandLine

NASTY = (
    NewEvent(b'{"id": 9007199254740993}', b"k", (), 1517363399650, 0),
    NewEvent(b"", b"", (), 1, 1),
    NewEvent(None, b"tombstone", (("null", None), ("empty", b"")), 1_600_000_000_123, 2),
    NewEvent(b"\xff\xfe\x00\x80", b"\xc3\x28", (("bytes", b"\xff"),), 1517363399651, 2),
    NewEvent(("x" * 900_000).encode(), None, (), 1517363399652, 0),
    NewEvent(random.Random(9).randbytes(900_000), None, (), 1517363399653, 1),
    NewEvent(
        "\N{GRINNING FACE}\u2028\u0085 e\u0301".encode(), "ключ".encode(), (("имя", "値".encode()),), 1517363399654, 0
    ),
    NewEvent(b"</script><script>alert(1)</script>", b"<b>", (("a", b"1"), ("b", b"2"), ("a", b"3"), ("", b"")), 5, 0),
    NewEvent(b"line one\nline two\r\n\x00\x1b[2J", None, (), 1517363399655, 2),
    NewEvent(None, None, (), 1517363399656, 1),
)


def _make(path: Path, events: tuple[NewEvent, ...] = NASTY) -> list[tuple[object, ...]]:
    with Sandbox(path) as opened:
        opened.create_topic("nasty", partitions=3, settings={"retention.ms": "-1"})
        opened.append_many("nasty", events)
    return _contents(path, "nasty")


def _contents(path: Path, topic: str) -> list[tuple[object, ...]]:
    with Sandbox(path) as opened:
        return [
            (
                event.partition,
                event.offset,
                event.timestamp_ms,
                event.timestamp_type,
                event.key,
                event.value,
                event.headers,
            )
            for event in opened.read(topic, offset=0, limit=100_000)
        ]


def test_nasty_events_are_exported_and_imported_exactly(command_line: "CommandLine") -> None:
    before = _make(command_line.folder / "dev.db")
    command_line.run("export", "nasty", "-o", "nasty.jsonl")
    assert len((command_line.folder / "nasty.jsonl").read_bytes().splitlines()) == len(NASTY)
    command_line.ok("topics", "create", "nasty", "-p", 3, "-c", "retention.ms=-1", "-f", "copy.db")
    assert command_line.ok("import", "nasty.jsonl", "-f", "copy.db", "--json").rows == [
        {"events": len(NASTY), "topics": {"nasty": len(NASTY)}}
    ]
    assert _contents(command_line.folder / "copy.db", "nasty") == before


def test_an_export_piped_into_an_import_makes_the_topic_with_its_partitions(command_line: "CommandLine") -> None:
    now_ms = 1_600_000_000_000
    events = tuple(NewEvent(str(number).encode(), None, (), now_ms + number, number % 3) for number in range(2000))
    before = _make(command_line.folder / "dev.db", events)
    lines = command_line.ok("export", "nasty").out.encode()
    command_line.ok("import", "-", "--topic", "copy", "--partitions", 3, stdin=lines)
    assert _contents(command_line.folder / "dev.db", "copy") == before


def test_an_import_from_a_file_makes_as_many_partitions_as_the_events_need(command_line: "CommandLine") -> None:
    before = _make(command_line.folder / "dev.db", (NewEvent(b"v", None, (), 1_600_000_000_000, 2),))
    command_line.run("export", "nasty", "-o", "x.jsonl")
    command_line.ok("import", "x.jsonl", "-f", "copy.db")
    assert _contents(command_line.folder / "copy.db", "nasty") == before
    (described,) = command_line.ok("topics", "describe", "nasty", "--json", "-f", "copy.db").rows
    assert len(described["partitions"]) == 3


def test_an_import_says_how_many_events_had_never_been_committed(command_line: "CommandLine") -> None:
    lines = '{"topic": "t", "value": "a", "transaction": "aborted"}\n{"topic": "t", "value": "b"}\n'
    result = command_line.run("import", "-", stdin=lines.encode())
    assert (result.status, result.err) == (
        0,
        "1 event was of a transaction that had not been committed; here every consumer gets what is stored.\n",
    )
    assert [found[5] for found in _contents(command_line.folder / "dev.db", "t")] == [b"a", b"b"]


def test_lines_without_a_partition_go_where_their_key_goes(command_line: "CommandLine") -> None:
    keys = [f"user-{number}" for number in range(100)]
    (command_line.folder / "x.jsonl").write_text(
        "".join(json.dumps({"topic": "orders", "key": key, "value": None}) + "\n" for key in keys)
    )
    command_line.ok("import", "x.jsonl", "--partitions", 5)
    with Sandbox(command_line.folder / "dev.db") as opened:
        for event in opened.read("orders"):
            assert event.partition == opened.partition_for("orders", event.key)


def test_a_bad_line_in_a_file_is_named_and_nothing_is_stored(command_line: "CommandLine") -> None:
    (command_line.folder / "x.jsonl").write_text('{"topic": "t", "value": "a"}\n\n{"topic": "t", "value": 7}\n')
    result = command_line.run("import", "x.jsonl")
    assert result.status == 1
    assert 'x.jsonl, line 3: "value" must be a string' in result.err
    assert "Nothing was stored" in result.err
    assert not (command_line.folder / "dev.db").exists()


def test_a_bad_line_on_stdin_is_named_with_what_was_stored_before_it(command_line: "CommandLine") -> None:
    result = command_line.run("import", "-", stdin=b'{"topic": "t", "value": "a"}\n{"topic": "t", "value": "b"}\n{}\n')
    assert result.status == 1
    assert 'line 3: the field "value" is missing' in result.err
    assert "2 events stored" in result.err
    assert [row["value"] for row in command_line.ok("consume", "t", "--json").rows] == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"value": "v"}', "line 1: it names no topic"),
        ('{"topic": "t", "value": "v", "timestamp": 0}', "cannot send timestamp 0"),
        ('{"topic": "t", "value": "v", "headers": [[{"base64": "/w=="}, "x"]]}', "header name that is not UTF-8"),
        ('{"topic": "t", "value": "v", "headers": [["a\\u0000b", "x"]]}', "header name with a NUL"),
        ('{"topic": "no topic", "value": "v"}', "INVALID_TOPIC"),
    ],
)
def test_what_cannot_be_stored_exactly_is_refused(command_line: "CommandLine", line: str, reason: str) -> None:
    result = command_line.run("import", "-", stdin=line.encode())
    assert result.status == 1
    assert reason in result.err
    assert "Traceback" not in result.err


def test_a_topic_with_too_few_partitions_is_refused_before_anything_is_stored(command_line: "CommandLine") -> None:
    command_line.ok("topics", "create", "t", "-p", 2)
    (command_line.folder / "x.jsonl").write_text(
        '{"topic": "t", "partition": 0, "value": "a"}\n{"topic": "t", "partition": 2, "value": "b"}\n'
    )
    result = command_line.run("import", "x.jsonl")
    assert result.status == 1
    assert "were in 3 partitions, and the topic has 2. Nothing was stored" in result.err
    assert command_line.ok("consume", "t", "--json").rows == []


def test_an_import_of_a_file_that_is_not_there_is_told_as_such(command_line: "CommandLine") -> None:
    result = command_line.run("import", "nope.jsonl")
    assert result.status == 1
    assert "nope.jsonl cannot be read: No such file" in result.err


def test_an_export_ends_before_an_open_transaction_and_says_so(command_line: "CommandLine") -> None:
    _, up = command_line.up("dev.db")
    producer = Producer({"bootstrap.servers": up["kafka"], "transactional.id": "payments"})
    producer.init_transactions(10)
    for value, end in ((b"stored", producer.commit_transaction), (b"taken back", producer.abort_transaction)):
        producer.begin_transaction()
        producer.produce("orders", value, partition=0)
        producer.flush(10)
        end()
    producer.begin_transaction()
    producer.produce("orders", b"open", partition=0)
    producer.produce("orders", b"open too", partition=0)
    producer.flush(10)
    for command in ("export", "consume"):
        done = command_line.run(command, "orders", *(("--json",) if command == "consume" else ()))
        assert [json.loads(line)["value"] for line in done.out.splitlines()] == ["stored"], command
        assert "orders, partition 0: offsets 4 to 5 are held back by an open transaction" in done.err, command
    producer.commit_transaction()
    done = command_line.run("export", "orders")
    assert [json.loads(line)["value"] for line in done.out.splitlines()] == ["stored", "open", "open too"]
    assert "held back" not in done.err


def test_an_export_that_cannot_be_written_leaves_no_file(command_line: "CommandLine") -> None:
    command_line.ok("produce", "orders", "-v", "v")
    result = command_line.run("export", "orders", "-o", "missing/x.jsonl")
    assert result.status == 1
    assert "cannot be written" in result.err
    assert sorted(path.suffix for path in command_line.folder.iterdir()) == [".db", ".lock"]


def test_a_large_topic_is_exported_and_imported_exactly(command_line: "CommandLine") -> None:
    now_ms = 1_600_000_000_000
    events = tuple(
        NewEvent(b"%d" % number, b"k%d" % (number % 97), (), now_ms + number, number % 3) for number in range(30_000)
    )
    before = _make(command_line.folder / "dev.db", events)
    command_line.run("export", "nasty", "-o", "x.jsonl")
    command_line.ok("import", "x.jsonl", "-f", "copy.db")
    assert _contents(command_line.folder / "copy.db", "nasty") == before


def _orders(path: Path) -> None:
    """Seven partitions, events in two of them, and changed settings."""
    with Sandbox(path) as opened:
        opened.create_topic("orders", partitions=7, settings={"retention.ms": "-1", "max.message.bytes": "2000000"})
        opened.append_many("orders", [NewEvent(b"%d" % n, b"k", (), 1_600_000_000_000 - n, n % 2) for n in range(6)])
        opened.create_topic("empty", partitions=5)


def _topic(command_line: "CommandLine", topic: str, file: str) -> tuple[int, dict[str, str]]:
    (described,) = command_line.ok("topics", "describe", topic, "--json", "-f", file).rows
    return len(described["partitions"]), described["settings"]


@pytest.mark.parametrize("door", ["file", "stdin", "consume", "part of the lines"])
def test_an_import_makes_as_many_partitions_as_the_exported_topic_had(command_line: "CommandLine", door: str) -> None:
    _orders(command_line.folder / "dev.db")
    before = _contents(command_line.folder / "dev.db", "orders")
    lines = command_line.ok(*(("consume", "orders", "--json") if door == "consume" else ("export", "orders"))).out
    if door == "part of the lines":
        lines = "".join(line for line in lines.splitlines(keepends=True) if '"partition": 1' in line)
        before = [event for event in before if event[0] == 1]
    (command_line.folder / "x.jsonl").write_text(lines)
    result = command_line.run("import", "x.jsonl" if door == "file" else "-", "-f", "copy.db", stdin=lines.encode())
    assert result.status == 0
    assert _topic(command_line, "orders", "copy.db") == (7, {"retention.ms": "-1"})
    assert _contents(command_line.folder / "copy.db", "orders") == before
    with Sandbox(command_line.folder / "copy.db") as opened, Sandbox(command_line.folder / "dev.db") as source:
        assert opened.partition_for("orders", b"k") == source.partition_for("orders", b"k")


@pytest.mark.parametrize("streamed", [True, False])
def test_the_exported_settings_are_applied_on_request_and_named_otherwise(
    command_line: "CommandLine", streamed: bool
) -> None:
    _orders(command_line.folder / "dev.db")
    command_line.run("export", "orders", "-o", "x.jsonl")
    lines = (command_line.folder / "x.jsonl").read_bytes()
    source = "-" if streamed else "x.jsonl"
    said = command_line.run("import", source, "-f", "plain.db", stdin=lines).err
    assert "without the exported topic's settings (max.message.bytes=2000000). --settings applies them." in said
    command_line.ok("import", source, "--settings", "-f", "same.db", stdin=lines)
    assert _topic(command_line, "orders", "same.db") == (7, {"max.message.bytes": "2000000", "retention.ms": "-1"})


def test_an_empty_topic_is_exported_and_imported_too(command_line: "CommandLine") -> None:
    _orders(command_line.folder / "dev.db")
    lines = command_line.ok("export", "empty").out.encode()
    assert command_line.ok("import", "-", "-f", "copy.db", stdin=lines).out == "0 events stored.\n"
    assert _topic(command_line, "empty", "copy.db")[0] == 5
    assert command_line.ok("produce", "other", "--jsonl", "-f", "copy.db", stdin=lines).out == "0 events stored.\n"


def test_a_stream_without_a_partition_count_gets_a_partition_for_every_event(command_line: "CommandLine") -> None:
    lines = "".join(json.dumps({"topic": "t", "partition": n, "value": str(n)}) + "\n" for n in (0, 3, 1, 8, 0))
    command_line.ok("import", "-", stdin=lines.encode())
    assert [(one[0], one[5]) for one in _contents(command_line.folder / "dev.db", "t")] == [
        (0, b"0"),
        (0, b"0"),
        (1, b"1"),
        (3, b"3"),
        (8, b"8"),
    ]
    assert _topic(command_line, "t", "dev.db")[0] == 9


def test_a_topic_with_another_number_of_partitions_is_reported(command_line: "CommandLine") -> None:
    _orders(command_line.folder / "dev.db")
    lines = command_line.ok("export", "orders").out.encode()
    command_line.ok("topics", "create", "orders", "-p", 9, "-f", "more.db")
    said = command_line.run("import", "-", "-f", "more.db", stdin=lines)
    assert said.status == 0
    assert "orders has 9 partitions and the exported topic had 7. The events keep their partition" in said.err
    command_line.ok("topics", "create", "orders", "-p", 2, "-f", "fewer.db")
    said = command_line.run("import", "-", "-f", "fewer.db", stdin=lines)
    assert said.status == 1
    assert said.err.count("Nothing was stored") == 1
    assert "events stored" not in said.err
    assert "were in 7 partitions, and the topic has 2" in said.err
    assert _contents(command_line.folder / "fewer.db", "orders") == []


def test_what_the_client_cannot_send_is_found_before_anything_is_stored(command_line: "CommandLine") -> None:
    (command_line.folder / "x.jsonl").write_text(
        '{"topic": "t", "value": "a"}\n{"topic": "t", "value": "b", "timestamp": 0}\n'
    )
    said = command_line.run("import", "x.jsonl")
    assert said.status == 1
    assert "line 2: the Kafka client cannot send timestamp 0" in said.err
    assert "Nothing was stored" in said.err
    assert not (command_line.folder / "dev.db").exists()


MARK = b"\xef\xbb\xbf"


def test_a_byte_order_mark_is_never_part_of_an_event(command_line: "CommandLine") -> None:
    command_line.ok("produce", "t", stdin=MARK + b"plain\n" + MARK + b"kept\n")
    command_line.ok("produce", "t", "-s", ":", stdin=MARK + b"key:value\n")
    command_line.ok("produce", "t", "--jsonl", stdin=MARK + b'{"value": "json"}\n' + MARK + b'{"value": "joined"}\n')
    command_line.ok("import", "-", stdin=MARK + b'{"topic": "t", "value": "stream"}\n')
    (command_line.folder / "x.jsonl").write_bytes((MARK + b'{"topic": "t", "value": "file"}\n') * 2)
    command_line.ok("import", "x.jsonl")
    assert [found[4:6] for found in _contents(command_line.folder / "dev.db", "t")] == [
        (None, b"plain"),
        (None, MARK + b"kept"),
        (b"key", b"value"),
        *((None, value) for value in (b"json", b"joined", b"stream", b"file", b"file")),
    ]


@pytest.mark.parametrize("command", [("produce", "t"), ("produce", "t", "--jsonl"), ("import", "-"), ("import", "x")])
def test_utf_16_is_refused_with_the_way_out(command_line: "CommandLine", command: tuple[str, ...]) -> None:
    text = '{"topic": "t", "value": "v"}\n'.encode("utf-16")
    (command_line.folder / "x").write_bytes(text)
    said = command_line.run(*command, stdin=text)
    assert said.status == 1
    assert "line 1: the text is UTF-16" in said.err
    assert "Nothing was stored." in said.err
    assert "0 events stored" not in said.err
