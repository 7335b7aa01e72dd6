"""Topics, produce, consume, groups: on a file, on a running sandbox, and by address."""

import os
import pty
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer

from sandbox import Sandbox
from sandbox.model.jsonl import from_line

if TYPE_CHECKING:
    from tests.cli.conftest import CommandLine


def test_every_command_tells_what_it_does_with_examples(command_line: "CommandLine") -> None:
    out = command_line.ok("--help").out
    for name in ("up", "topics", "produce", "consume", "groups", "export", "import"):
        assert re.search(rf"^  {name} ", out, re.MULTILINE)
        assert command_line.ok(name, "--help").out.startswith("Usage: ")
    assert "Exit status:" in out


def test_topics_are_created_listed_described_and_deleted_in_a_file(command_line: "CommandLine") -> None:
    assert command_line.ok("topics", "create", "orders", "-p", 3, "-c", "retention.ms=-1").out == (
        "Created orders with 3 partitions.\n"
    )
    command_line.ok("produce", "orders", "--value", "v", "--partition", 2)
    assert command_line.ok("topics", "list").out == "topic   partitions  events\norders           3       1\n"
    (described,) = command_line.ok("topics", "describe", "orders", "--json").rows
    assert described["settings"] == {"retention.ms": "-1"}
    assert [row["events"] for row in described["partitions"]] == [0, 0, 1]
    assert command_line.ok("topics", "delete", "orders", "--yes").out.startswith("Deleted orders.\nUndo with: ")
    assert command_line.ok("topics", "list", "--json").rows == []


def test_the_commands_attach_to_a_running_sandbox_and_work_by_address(command_line: "CommandLine") -> None:
    _, said = command_line.up()
    command_line.ok("topics", "create", "orders", "-p", 2)
    command_line.ok("produce", "orders", "-v", "one", "--bootstrap", said["kafka"])
    command_line.ok("produce", "orders", "-v", "two", SANDBOX_BOOTSTRAP=said["kafka"])
    rows = command_line.ok("consume", "orders", "--json", "-f", said["file"]).rows
    assert sorted(row["value"] for row in rows) == ["one", "two"]


def test_the_file_comes_from_the_option_or_the_environment(command_line: "CommandLine") -> None:
    command_line.ok("topics", "create", "a", "-f", "a.db")
    command_line.ok("topics", "create", "b", SANDBOX_FILE="sqlite:b.db")
    assert [row["topic"] for row in command_line.ok("topics", "list", "--json", "-f", "b.db").rows] == ["b"]
    assert [row["topic"] for row in command_line.ok("topics", "list", "--json", SANDBOX_FILE="a.db").rows] == ["a"]


def test_a_file_that_is_not_there_is_not_made_by_a_command_that_reads(command_line: "CommandLine") -> None:
    result = command_line.run("topics", "list", "-f", "typo.db")
    assert result.status == 5
    assert "typo.db does not exist" in result.err
    assert list(command_line.folder.iterdir()) == []


def test_a_topic_that_is_not_there_is_refused_and_not_made(command_line: "CommandLine") -> None:
    command_line.ok("topics", "create", "orders")
    for command in (
        ("consume", "nope"),
        ("export", "nope"),
        ("topics", "describe", "nope"),
        ("topics", "delete", "nope"),
    ):
        result = command_line.run(*command)
        assert result.status == 1
        assert "there is no topic nope. Topics here: orders" in result.err
    assert len(command_line.ok("topics", "list", "--json").rows) == 1


def test_kafkas_refusal_is_told_in_kafkas_words(command_line: "CommandLine") -> None:
    command_line.ok("topics", "create", "orders")
    result = command_line.run("topics", "create", "orders")
    assert result.status == 1
    assert result.err.startswith("Error: TOPIC_ALREADY_EXISTS: ")


def test_an_address_where_nobody_listens_is_told_as_such(command_line: "CommandLine") -> None:
    result = command_line.run("topics", "list", "-b", "127.0.0.1:1")
    assert result.status == 1
    assert "Kafka does not answer" in result.err
    assert "Traceback" not in result.err


def test_lines_become_events_with_keys(command_line: "CommandLine") -> None:
    command_line.ok("topics", "create", "orders", "-p", 3)
    stdin = "u1:one\nu2:\nu1:two:2\r\nü:".encode() + b"\xff"
    out = command_line.ok("produce", "orders", "-s", ":", "-H", "a=b", "-H", "none", stdin=stdin).out
    assert out.startswith("4 events stored (orders-")
    with Sandbox(command_line.folder / "dev.db") as opened:
        events = opened.read("orders")
        found = {(event.key, event.value, event.headers) for event in events}
        for event in events:
            assert event.partition == opened.partition_for("orders", event.key)
    headers = (("a", b"b"), ("none", None))
    assert found == {
        (b"u1", b"one", headers),
        (b"u2", b"", headers),
        (b"u1", b"two:2", headers),
        ("ü".encode(), b"\xff", headers),
    }


def test_the_partitioner_of_librdkafka_can_be_chosen(command_line: "CommandLine") -> None:
    command_line.ok("topics", "create", "orders", "-p", 7)
    stdin = "".join(f"user-{number}:v\n" for number in range(50)).encode()
    command_line.ok("produce", "orders", "-s", ":", "--partitioner", "consistent_random", stdin=stdin)
    with Sandbox(command_line.folder / "dev.db") as opened:
        for event in opened.read("orders"):
            assert event.partition == opened.partition_for("orders", event.key, "consistent_random")


def test_a_line_without_the_separator_stops_and_says_what_was_stored(command_line: "CommandLine") -> None:
    result = command_line.run("produce", "orders", "-s", ":", stdin=b"a:1\nb:2\nno separator\nc:3\n")
    assert result.status == 1
    assert "line 3: the separator ':' is not in it. 2 events stored" in result.err
    assert len(command_line.ok("consume", "orders", "--json").rows) == 2


def test_an_event_that_is_too_large_is_refused_and_the_others_are_counted(command_line: "CommandLine") -> None:
    command_line.ok("topics", "create", "orders")
    result = command_line.run("produce", "orders", stdin=b"small\n" + b"x" * 2_000_000 + b"\n")
    assert result.status == 1
    assert "1 events were stored, 1 were not" in result.err
    assert "line 2: MESSAGE_TOO_LARGE" in result.err


def test_produce_tells_where_each_event_went_as_json(command_line: "CommandLine") -> None:
    command_line.ok("topics", "create", "orders")
    rows = command_line.ok("produce", "orders", "--json", stdin=b"a\nb\n").rows
    assert [(row["topic"], row["partition"], row["offset"]) for row in rows] == [("orders", 0, 0), ("orders", 0, 1)]


def test_produce_reads_events_as_json_lines(command_line: "CommandLine") -> None:
    line = b'{"key": "k", "value": {"base64": "/w=="}, "headers": [["h", null]], "timestamp": 1517363399650}\n'
    command_line.ok("topics", "create", "orders", "-c", "retention.ms=-1")
    command_line.ok("produce", "orders", "--jsonl", stdin=line)
    (row,) = command_line.ok("consume", "orders", "--json").out.splitlines()
    event = from_line(row)
    assert (event.key, event.value, event.headers, event.timestamp_ms) == (b"k", b"\xff", (("h", None),), 1517363399650)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("earliest", [0, 1, 2, 3, 4]),
        ("latest", []),
        ("3", [3, 4]),
        ("99", []),
        ("@3000", [2, 3, 4]),
        ("1970-01-01T00:00:04Z", [3, 4]),
        ("1970-01-01T00:00:04+00:00", [3, 4]),
        ("2999-01-01", []),
        ("0001-01-01T00:00:00Z", [0, 1, 2, 3, 4]),
        ("1969-12-31T23:59:59.999Z", [0, 1, 2, 3, 4]),
        ("1969-12-31T23:59:59.998Z", [0, 1, 2, 3, 4]),
        ("1969-12-31T24:00Z", [0, 1, 2, 3, 4]),
        ("1970-01-01T00:00:04z", [3, 4]),
        ("@9223372036854775807", []),
        ("offset:1700000000000", []),
    ],
)
def test_consume_starts_where_it_is_told(command_line: "CommandLine", start: str, expected: list[int]) -> None:
    with Sandbox(command_line.folder / "dev.db") as opened:
        opened.create_topic("orders", partitions=1, settings={"retention.ms": "-1"})
        for number in range(5):
            opened.append("orders", str(number), timestamp_ms=(number + 1) * 1000)
    rows = command_line.ok("consume", "orders", "--from", start, "--json").rows
    assert [row["offset"] for row in rows] == expected


def test_consume_stops_after_so_many(command_line: "CommandLine") -> None:
    command_line.ok("produce", "orders", stdin=b"a\nb\nc\n")
    assert [row["value"] for row in command_line.ok("consume", "orders", "--max", 2, "--json").rows] == ["a", "b"]


def test_consume_for_people_escapes_what_would_move_the_cursor(command_line: "CommandLine") -> None:
    stdin = b'{"key": null, "value": "\\u001b[2Jgone\\n"}\n{"key": "", "value": null}\n{"value": {"base64": "/w=="}}\n'
    command_line.ok("produce", "orders", "--jsonl", "-p", 0, stdin=stdin)
    lines = command_line.ok("consume", "orders").out.splitlines()
    assert lines[0].endswith(r"  (null)  \x1b[2Jgone\n")
    assert lines[1].endswith("  (empty)  (null)")
    assert lines[2].endswith("  (null)  (bytes ff)")


def test_a_group_goes_on_where_it_was(command_line: "CommandLine") -> None:
    command_line.ok("topics", "create", "orders", "-p", 2)
    command_line.ok("produce", "orders", stdin=b"a\nb\nc\n")
    first = command_line.ok("consume", "orders", "--group", "g", "--max", 2, "--json").rows
    second = command_line.ok("consume", "orders", "--group", "g", "--json").rows
    assert len(first) == 2
    assert sorted(row["value"] for row in first + second) == ["a", "b", "c"]
    assert command_line.ok("consume", "orders", "--group", "g", "--json").rows == []


def test_consume_follows_until_ctrl_c(command_line: "CommandLine") -> None:
    _, said = command_line.up()
    command_line.ok("produce", "orders", "-v", "before")
    following = command_line.start("consume", "orders", "--follow", "--from", "earliest", "--json", "-b", said["kafka"])
    assert following.stdout is not None
    assert '"before"' in following.stdout.readline()
    command_line.ok("produce", "orders", "-v", "after")
    assert '"after"' in following.stdout.readline()
    following.send_signal(signal.SIGINT)
    assert following.communicate(timeout=20) == ("", "")
    assert following.returncode == 0


def test_groups_are_listed_described_and_reset(command_line: "CommandLine") -> None:
    command_line.ok("topics", "create", "orders", "-p", 1)
    command_line.ok("produce", "orders", stdin=b"a\nb\nc\n")
    command_line.ok("consume", "orders", "--group", "g")
    assert command_line.ok("groups", "list", "--json").rows == [
        {
            "group": "g",
            "type": "consumer",
            "state": "Empty",
            "members": 0,
            "lag": 0,
            "uncommitted_lag": 0,
            "uncommitted_partitions": 0,
        }
    ]
    (before,) = command_line.ok("groups", "reset", "g", "--to", "offset:1", "--dry-run", "--json").rows
    assert before == {
        "topic": "orders",
        "partition": 0,
        "before": 3,
        "after": 1,
        "log_start_offset": 0,
        "log_end_offset": 3,
        "lag_after": 2,
    }
    assert command_line.ok("groups", "describe", "g", "--json").rows[0]["lag"] == 0
    command_line.ok("groups", "reset", "g", "--to", "offset:1", "--yes")
    (state,) = command_line.ok("groups", "describe", "g", "--json").rows
    assert (state["state"], state["lag"], state["partitions"][0]["committed_offset"]) == ("Empty", 2, 1)
    table = command_line.ok("groups", "describe", "g").out.splitlines()
    assert table[-1].split() == ["orders", "0", "1", "3", "2", "-"]


def test_a_reset_asks_and_changes_nothing_when_it_is_denied(command_line: "CommandLine") -> None:
    command_line.ok("produce", "orders", "-v", "a")
    command_line.ok("consume", "orders", "--group", "g")
    denied = command_line.run("groups", "reset", "g", "--to", "earliest", stdin=b"n\n")
    assert denied.status == 1
    assert command_line.ok("groups", "list", "--json").rows[0]["lag"] == 0


def test_a_group_with_members_is_not_reset(command_line: "CommandLine") -> None:
    _, said = command_line.up()
    command_line.ok("produce", "orders", "-v", "a")
    following = command_line.start("consume", "orders", "--group", "g", "--follow", "--json")
    assert following.stdout is not None
    assert '"a"' in following.stdout.readline()
    (state,) = command_line.ok("groups", "describe", "g", "--json").rows
    assert (state["state"], len(state["members"])) == ("Stable", 1)
    assert state["partitions"][0]["client_id"] == "sandbox"
    result = command_line.run("groups", "reset", "g", "--to", "earliest", "--yes", "-b", said["kafka"])
    assert result.status == 1
    assert "NON_EMPTY_GROUP" in result.err
    following.terminate()
    assert following.wait(timeout=30) == 0
    (state,) = command_line.ok("groups", "describe", "g", "--json").rows
    assert (state["state"], state["members"]) == ("Empty", [])


def test_a_group_that_is_not_there_is_told_as_such(command_line: "CommandLine") -> None:
    command_line.ok("topics", "create", "orders")
    result = command_line.run("groups", "describe", "nope")
    assert result.status == 1
    assert "GROUP_ID_NOT_FOUND" in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("topics", "list", "-f", "a.db", "-b", "localhost:9092"),
        ("topics", "create", "t", "-c", "retention.ms"),
        ("topics", "delete", "t", "--json", "-f", "there.db"),
        ("consume", "t", "--from", "yesterday", "-f", "there.db"),
        ("consume", "t", "--from", "5", "--group", "g", "-f", "there.db"),
        ("consume", "t", "--max", "0"),
        ("groups", "reset", "g", "--to", "offset:-1", "-f", "there.db"),
        ("groups", "reset", "g", "--to", "shift:", "--yes", "-f", "there.db"),
        ("produce", "t", "--jsonl", "--key", "k"),
        ("produce", "t", "-s", ""),
        ("produce", "t", "-v", "v", "-X", "nonsense"),
        ("up", "--kafka-port", "65536"),
        ("nope",),
    ],
)
def test_a_command_line_that_makes_no_sense_exits_with_status_2(
    command_line: "CommandLine", arguments: tuple[str, ...]
) -> None:
    Sandbox(command_line.folder / "there.db").close()
    result = command_line.run(*arguments)
    assert (result.status, result.out) == (2, "")
    assert "Usage: " in result.err


def test_a_terminal_gets_a_table(command_line: "CommandLine") -> None:
    command_line.ok("topics", "create", "orders")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "sandbox", "topics", "list"],
        cwd=command_line.folder,
        env=command_line.environment(TERM="xterm"),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 4096):
                shown += piece
        except OSError:
            pass  # a terminal that was closed at the other end reads as an error
        assert process.wait(30) == 0
    os.close(ours)
    assert "─" in shown.decode()
    assert "orders" in shown.decode()


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.997Z"])
def test_a_reset_to_a_time_before_1970_goes_to_the_earliest_event(command_line: "CommandLine", time: str) -> None:
    command_line.ok("produce", "orders", stdin=b"a\nb\nc\n")
    command_line.ok("consume", "orders", "--group", "g")
    rows = command_line.ok("groups", "reset", "g", "--to", f"time:{time}", "--yes", "--json").rows
    assert [(row["before"], row["after"]) for row in rows] == [(3, 0)]


@pytest.mark.parametrize("runs", [1, 2])
def test_a_group_that_read_to_the_end_has_read_the_markers_too(command_line: "CommandLine", runs: int) -> None:
    _, said = command_line.up()
    producer = Producer({"bootstrap.servers": said["kafka"], "transactional.id": "t", "log_level": 0})
    producer.init_transactions(20)
    for committed in (True, False):
        producer.begin_transaction()
        for number in range(3):
            producer.produce("orders", str(number), partition=0)
        if committed:
            producer.commit_transaction(20)
        else:
            producer.flush(20)
            producer.abort_transaction(20)
    limits = [("--max", "2"), ()] if runs == 2 else [()]
    for limit in limits:
        command_line.ok("consume", "orders", "--group", "g", *limit)
        (group,) = command_line.ok("groups", "describe", "g", "--json").rows
        assert group["partitions"][0]["committed_offset"] == (2 if limit else 8)
    assert group["lag"] == 0


def test_a_tombstone_is_produced_with_a_null_marker(command_line: "CommandLine") -> None:
    command_line.ok("produce", "users", "--key", "u", "--value", "NULL", "--null-marker", "NULL")
    command_line.ok("produce", "users", "-s", ":", "--null-marker", "", stdin=b"u:\n:v\na:NULL\n")
    rows = command_line.ok("consume", "users", "--json").rows
    assert [(row["key"], row["value"]) for row in rows] == [("u", None), ("u", None), (None, "v"), ("a", "NULL")]
    assert command_line.run("produce", "users", "--jsonl", "--null-marker", "x").status == 2


def test_a_retry_does_not_reorder_events(command_line: "CommandLine") -> None:
    _, said = command_line.up()
    command_line.ok("topics", "create", "orders", "-b", said["kafka"])
    command_line.ok("faults", "inject", "Produce", "--error", "NOT_ENOUGH_REPLICAS", "--times", "2")
    lines = "".join(f"{number}\n" for number in range(3000)).encode()
    command_line.ok("produce", "orders", "-X", "batch.num.messages=50", "-b", said["kafka"], stdin=lines)
    rows = command_line.ok("consume", "orders", "--json", "-b", said["kafka"]).rows
    assert [int(row["value"]) for row in rows] == list(range(3000))
