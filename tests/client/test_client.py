"""The client API: clients on a file, in one process and in several."""

import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import confluent_kafka
import confluent_kafka.admin
import pytest

import sandbox
from sandbox import AdminClient, Consumer, FileInUse, FileRefused, Producer, Sandbox
from sandbox.client import embedded
from sandbox.storage.file.lock import read_owner

ROOT = Path(__file__).resolve().parents[2]


def run_program(source: str, *arguments: object, folder: Path) -> "subprocess.Popen[str]":
    """Start a Python program that can import the sandbox; `end_of` waits for it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", source, *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def end_of(program: "subprocess.Popen[str]") -> str:
    """What a program printed; fails where it did not end well, or said anything on stderr."""
    try:
        out, err = program.communicate(timeout=60)
    finally:
        program.kill()
    assert (program.returncode, err) == (0, "")
    return out


def wait_until(condition: Callable[[], bool], bound_s: float = 10.0) -> None:
    deadline = time.monotonic() + bound_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        threading.Event().wait(0.01)


def values_of(path: Path, topic: str) -> list[bytes | None]:
    with Sandbox(path) as opened:
        return sorted((event.value for event in opened.read(topic, limit=100_000)), key=lambda value: value or b"")


def read_values(config: dict[str, Any], topic: str, count: int) -> list[bytes | None]:
    consumer = Consumer({"group.id": "test", "auto.offset.reset": "earliest", **config})
    try:
        consumer.subscribe([topic])
        messages: list[Any] = []
        deadline = time.monotonic() + 20
        while len(messages) < count and time.monotonic() < deadline:
            messages += consumer.consume(count - len(messages), 0.5)
        assert [message.error() for message in messages] == [None] * count
        return [message.value() for message in messages]
    finally:
        consumer.close()


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """A path for a sandbox file; whatever this test left open in it is gone before the next one."""
    yield tmp_path / "dev.db"
    gc.collect()
    wait_until(lambda: not embedded._table)


def test_the_classes_are_confluent_kafkas() -> None:
    assert issubclass(Producer, confluent_kafka.Producer)
    assert issubclass(Consumer, confluent_kafka.Consumer)
    assert issubclass(AdminClient, confluent_kafka.admin.AdminClient)
    assert issubclass(sandbox.SerializingProducer, confluent_kafka.SerializingProducer)
    assert issubclass(sandbox.DeserializingConsumer, confluent_kafka.DeserializingConsumer)


def test_importing_the_package_loads_neither_the_kafka_client_nor_the_web_server(tmp_path: Path) -> None:
    source = (
        "import sys, sandbox; sandbox.__version__; "
        "print([name for name in ('confluent_kafka', 'flask', 'sqlite3', 'asyncio') if name in sys.modules])"
    )
    assert end_of(run_program(source, folder=tmp_path)) == "[]\n"


@pytest.mark.parametrize("form", ["{}", "sqlite:{}", "sqlite://{}"])
def test_what_a_producer_sends_to_a_file_a_consumer_reads_from_it(path: Path, form: str) -> None:
    config = {"bootstrap.servers": form.format(path)}
    with Producer(config) as producer:
        producer.produce("orders", b"one")
        producer.produce("orders", b"two")
        assert producer.flush(10) == 0
        assert read_values(config, "orders", 2) == [b"one", b"two"]


def test_a_path_object_and_keyword_arguments_work(path: Path) -> None:
    with Producer({"bootstrap.servers": path}) as first, Producer(**{"bootstrap.servers": str(path)}) as second:
        first.produce("orders", b"1")
        second.produce("orders", b"2")
        assert first.flush(10) + second.flush(10) == 0
    assert values_of(path, "orders") == [b"1", b"2"]


def test_the_callers_configuration_is_not_changed(path: Path) -> None:
    config = {"bootstrap.servers": str(path)}
    Producer(config).close()
    assert config == {"bootstrap.servers": str(path)}


def test_the_clients_of_a_process_share_one_sandbox_which_ends_with_the_last(path: Path) -> None:
    config = {"bootstrap.servers": str(path)}
    producer = Producer(config)
    consumer = Consumer({**config, "group.id": "g"})
    assert [running.users for running in embedded._table.values()] == [2]
    producer.close()
    assert read_owner(path) is not None
    consumer.close()
    assert read_owner(path) is None


def test_two_names_of_one_file_are_one_sandbox(path: Path) -> None:
    other = path.with_name("link.db")
    with Producer({"bootstrap.servers": str(path)}):
        other.symlink_to(path)
        with Producer({"bootstrap.servers": str(other)}):
            assert len(embedded._table) == 1


def test_a_client_that_is_only_dropped_lets_go_of_the_file_too(path: Path) -> None:
    producer = Producer({"bootstrap.servers": str(path)})
    assert read_owner(path) is not None
    del producer
    gc.collect()
    wait_until(lambda: read_owner(path) is None)


def test_a_client_that_cannot_be_made_lets_go_of_the_file(path: Path) -> None:
    with pytest.raises(confluent_kafka.KafkaException, match="No such configuration property"):
        Producer({"bootstrap.servers": str(path), "colour": "red"})
    assert read_owner(path) is None


def test_clients_made_at_once_in_many_threads_share_one_sandbox(path: Path) -> None:
    made: list[Producer] = []
    threads = [
        threading.Thread(target=lambda: made.append(Producer({"bootstrap.servers": str(path)}))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [running.users for running in embedded._table.values()] == [8]
    for producer in made:
        producer.close()
    assert read_owner(path) is None


def test_a_file_can_be_used_again_after_its_sandbox_ended(path: Path) -> None:
    for number in range(3):
        with Producer({"bootstrap.servers": str(path)}) as producer:
            producer.produce("orders", str(number))
            assert producer.flush(10) == 0
    assert values_of(path, "orders") == [b"0", b"1", b"2"]


def test_a_configuration_file_read_with_configparser_works(path: Path, tmp_path: Path) -> None:
    ini = tmp_path / "client.ini"
    ini.write_text(
        f"[default]\nbootstrap.servers=sqlite:{path}\n\n[consumer]\ngroup.id=g\nauto.offset.reset=earliest\n"
    )
    parser = ConfigParser()
    parser.read(ini)
    with Producer(dict(parser["default"])) as producer:
        producer.produce("orders", b"from ini")
        assert producer.flush(10) == 0
        config = dict(parser["default"])
        config.update(parser["consumer"])
        assert read_values(config, "orders", 1) == [b"from ini"]
    with Producer(parser["default"]) as producer:
        assert "orders" in producer.list_topics(timeout=10).topics


def test_an_admin_client_works_on_a_file(path: Path) -> None:
    admin = AdminClient({"bootstrap.servers": str(path)})
    new_topic: Any = vars(confluent_kafka.admin)["NewTopic"]
    admin.create_topics([new_topic("orders", 4)])["orders"].result(10)
    assert len(admin.list_topics(timeout=10).topics["orders"].partitions) == 4


def test_an_address_makes_a_plain_client(path: Path) -> None:
    with Sandbox(path) as served:
        served.serve(kafka_port=0, web_port=None)
        with Producer({"bootstrap.servers": served.kafka_address}) as producer:
            producer.produce("orders", b"v")
            assert producer.flush(10) == 0
        assert not embedded._table
        assert [event.value for event in served.read("orders")] == [b"v"]


def test_a_client_attaches_to_the_owner_of_the_file(path: Path) -> None:
    with Sandbox(path) as owner:
        owner.serve(kafka_port=0, web_port=None)
        with Producer({"bootstrap.servers": str(path)}) as producer:
            producer.produce("orders", b"v")
            assert producer.flush(10) == 0
        assert not embedded._table
        assert [event.value for event in owner.read("orders")] == [b"v"]


def test_an_owner_without_a_kafka_port_is_named_in_the_error(path: Path) -> None:
    with Sandbox(path), pytest.raises(FileInUse, match=f"in use by process {os.getpid()}"):
        embedded.attach(path, wait_s=0.1)


def test_a_client_waits_for_an_owner_that_is_about_to_serve(path: Path) -> None:
    with Sandbox(path) as owner:
        found: list[str] = []
        waiting = threading.Thread(target=lambda: found.append(embedded.attach(path).address))
        waiting.start()
        owner.serve(kafka_port=0, web_port=None)
        waiting.join(10)
        assert found == [owner.kafka_address]


_COUNT = """
import sys
from sandbox import Producer
producer = Producer({"bootstrap.servers": sys.argv[1]})
for number in range(int(sys.argv[3])):
    producer.produce("orders", f"{sys.argv[2]}-{number:05}")
"""


def test_a_program_that_ends_without_flush_or_close_loses_nothing(path: Path) -> None:
    end_of(run_program(_COUNT, path, "a", 5000, folder=path.parent))
    assert values_of(path, "orders") == [f"a-{number:05}".encode() for number in range(5000)]


def test_processes_that_name_one_file_at_once_share_it(path: Path) -> None:
    source = _COUNT + "assert producer.flush(30) == 0\nsys.stdin.read()\n"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", source, str(path), name, "300"],
            env=environment,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for name in ("a", "b", "c")
    ]
    try:
        expected = {f"{name}-{number:05}".encode() for name in ("a", "b", "c") for number in range(300)}
        # Read by attaching, while they all live: the file has one owner, which is one of them.
        wait_until(lambda: read_owner(path) is not None, 30)
        assert set(read_values({"bootstrap.servers": str(path)}, "orders", 900)) == expected
        owner = read_owner(path)
        assert owner is not None
        assert owner["pid"] in [program.pid for program in programs]
    finally:
        for program in programs:
            program.communicate(timeout=30)


_CONSUMING_THREAD = """
import sys, threading
from sandbox import Consumer, Producer
config = {"bootstrap.servers": sys.argv[1]}
seen = threading.Event()
consumer = Consumer({**config, "group.id": "g", "auto.offset.reset": "earliest"})
consumer.subscribe(["orders"])
def read():
    while True:
        message = consumer.poll(0.05)
        if message is not None and not message.error():
            seen.set()
threading.Thread(target=read, daemon=True).start()
producer = Producer(config)
producer.produce("orders", "v")
producer.flush()
print(seen.wait(20))
"""


def test_a_program_ends_while_a_daemon_thread_is_reading(path: Path) -> None:
    program = run_program(_CONSUMING_THREAD, path, folder=path.parent)
    try:
        out, _ = program.communicate(timeout=40)
    finally:
        program.kill()
    assert (program.returncode, out) == (0, "True\n")
    assert values_of(path, "orders") == [b"v"]


def test_a_consumer_leaves_its_group_when_the_program_ends(path: Path) -> None:
    source = """
import sys
from sandbox import Consumer, Producer
config = {"bootstrap.servers": sys.argv[1]}
producer = Producer(config)
producer.produce("orders", "v")
consumer = Consumer({**config, "group.id": "g", "auto.offset.reset": "earliest"})
consumer.subscribe(["orders"])
print(consumer.poll(20).value())
"""
    assert end_of(run_program(source, path, folder=path.parent)) == "b'v'\n"
    with Sandbox(path) as opened:
        assert (opened.group("g").state, opened.group("g").lag) == ("Empty", 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_attaches_to_its_parent_and_leaves_the_parents_file_alone(path: Path) -> None:
    source = """
import os, sys
from sandbox import Producer
config = {"bootstrap.servers": sys.argv[1]}
parent = Producer(config)
parent.list_topics(timeout=20)  # a fork while its threads start inherits locks that nobody releases
child = os.fork()
if child == 0:
    producer = Producer(config)
    producer.produce("orders", "child")
    sys.exit(producer.flush(20))
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
parent.produce("orders", "parent")
assert parent.flush(20) == 0
from sandbox.storage.file.lock import read_owner
print(read_owner(sys.argv[1])["pid"] == os.getpid())
"""
    program = run_program(source, path, folder=path.parent)
    try:
        out, err = program.communicate(timeout=40)
    finally:
        program.kill()
    assert (program.returncode, out) == (0, "True\n"), err
    assert values_of(path, "orders") == [b"child", b"parent"]


def _foreign_database(path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", f"import sqlite3; sqlite3.connect({str(path)!r}).execute('create table t(a)')"],
        check=True,
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.mkdir(),
        lambda path: path.write_text("Dear diary, this is not a database."),
        _foreign_database,
    ],
    ids=["directory", "text", "foreign database"],
)
def test_what_is_no_sandbox_is_refused_and_not_changed(path: Path, make: Callable[[Path], None]) -> None:
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(FileRefused, match=r"dev\.db"):
        Producer({"bootstrap.servers": str(path)})
    assert before == (path.read_bytes() if path.is_file() else None)


def test_a_file_in_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="missing"):
        Producer({"bootstrap.servers": str(tmp_path / "missing" / "dev.db")})
    assert list(tmp_path.iterdir()) == []
