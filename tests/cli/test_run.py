"""`sandbox run`: a command with a separate sandbox."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import Sandbox
from sandbox.cli.run import KAFKA, VARIABLES
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
PRINT_ENVIRONMENT = "import json, os; print(json.dumps(dict(os.environ)))"
SCHEMA = '{"type": "record", "name": "Order", "fields": [{"name": "id", "type": "long"}]}'


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sandbox", "run", *arguments]


def run(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(cwd)}
    return subprocess.run(
        command(*arguments), cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def python(program: str) -> tuple[str, ...]:
    return ("--", sys.executable, "-c", program)


def test_the_command_finds_topics_events_and_schemas_at_the_addresses(tmp_path: Path) -> None:
    (tmp_path / "seed.jsonl").write_text('{"topic": "orders", "partition": 2, "value": "from the seed"}\n')
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "orders-value.avsc").write_text(SCHEMA)
    program = """
import json, os
from urllib.request import urlopen
from confluent_kafka import Consumer
consumer = Consumer({"bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"], "group.id": "g",
                     "auto.offset.reset": "earliest"})
consumer.subscribe(["orders"])
topics = {name: len(topic.partitions) for name, topic in consumer.list_topics(timeout=10).topics.items()}
with urlopen(os.environ["SCHEMA_REGISTRY_URL"] + "/subjects", timeout=30) as answer:
    subjects = json.loads(answer.read())
print(json.dumps([topics, consumer.poll(10).value().decode(), subjects]))
consumer.close()
"""
    options = ("--topics", "orders:3,users", "--topics", "other:2", "--seed", "seed.jsonl", "--schemas", "schemas")
    done = run(*options, *python(program), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    topics, value, subjects = json.loads(done.stdout)
    assert (topics, value, subjects) == ({"orders": 3, "users": 1, "other": 2}, "from the seed", ["orders-value"])
    assert list(tmp_path.glob("kafka-sandbox-*")) == []


def test_every_variable_has_its_address_and_the_status_is_returned(tmp_path: Path) -> None:
    done = run(*python(f"{PRINT_ENVIRONMENT}; raise SystemExit(3)"), cwd=tmp_path)
    assert done.returncode == 3
    environment = json.loads(done.stdout)
    kafka = {environment[one.name] for one in VARIABLES if one.what == KAFKA}
    registry = {environment[one.name] for one in VARIABLES if one.what != KAFKA}
    assert re.fullmatch(r"127\.0\.0\.1:\d+", *kafka)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", *registry)


def test_the_file_of_a_failed_command_is_kept(tmp_path: Path) -> None:
    program = """
import os
from confluent_kafka import Producer
producer = Producer({"bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"]})
producer.produce("orders", "before the failure")
producer.flush(10)
raise SystemExit(1)
"""
    done = run(*python(program), cwd=tmp_path)
    assert done.returncode == 1
    found = re.search(r"The command ended with status 1\. The events are kept\. .* sandbox up (\S+)", done.stderr)
    assert found is not None
    with Sandbox(found[1]) as kept:
        assert [event.value for event in kept.read("orders")] == [b"before the failure"]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--", "no-such-command-anywhere"), 127, "no-such-command-anywhere: command not found"),
        (("--", str(ROOT)), 126, "Permission denied"),
        (("--topics", "orders:none", "--", "true"), 2, "is not NAME or NAME:PARTITIONS"),
        (("--seed", "broken.jsonl", "--", "true"), 2, "broken.jsonl, line 1: not JSON"),
        (("--seed", "broken.jsonl", "--keep", "--", "true"), 2, "broken.jsonl, line 1: not JSON"),
        (("--seed", ".", "--", "true"), 2, ".: Is a directory"),
        (("--topics", "a/b", "--", "true"), 2, "INVALID_TOPIC_EXCEPTION"),
        ((), 2, "Missing argument 'COMMAND...'"),
    ],
)
def test_what_cannot_be_run_has_a_status_and_a_reason(
    arguments: tuple[str, ...], status: int, words: str, tmp_path: Path
) -> None:
    (tmp_path / "broken.jsonl").write_text("no event\n")
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == status
    assert words in done.stderr
    assert "kept" not in done.stderr
    assert list(tmp_path.glob("kafka-sandbox-*")) == []


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_signals_are_passed_on_and_the_command_decides(sent: signal.Signals, tmp_path: Path) -> None:
    program = f"""
import pathlib, signal, sys, threading
signal.signal({sent.value}, lambda *_: sys.exit(7))
pathlib.Path("ready").touch()
threading.Event().wait(60)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    # A session of its own: the test's terminal, if there is one, isn't the command's.
    process = subprocess.Popen(command(*python(program)), cwd=tmp_path, env=environment, start_new_session=True)
    try:
        eventually((tmp_path / "ready").exists, 30)
        process.send_signal(sent)
        assert process.wait(30) == 7
    finally:
        process.kill()
        process.wait(10)


@pytest.mark.skipif(sys.platform == "win32", reason="kills with a POSIX signal")
def test_a_killed_command_has_the_status_of_a_shell(tmp_path: Path) -> None:
    assert run(*python("import os; os.kill(os.getpid(), 9)"), cwd=tmp_path).returncode == 128 + 9
