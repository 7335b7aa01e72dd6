"""The owner of a file: threads, ports, a full disk, the end."""

import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.broker.logs.turn import Changes
from sandbox.kafka.errors import BrokerError, SandboxError
from sandbox.kafka.event import NewEvent
from sandbox.runtime.runtime import PortInUse
from tests.disk import full_disk
from tests.waiting import eventually
from tests.wire.raw_client import RawClient

PAGE = b"x" * 20_000


def values(box: Sandbox, topic: str = "orders") -> list[bytes | None]:
    return [event.value for event in box.read(topic, offset=0, limit=1_000)]


def test_a_full_disk_stores_nothing_of_a_chunk_and_writes_go_on_when_there_is_room(box: Sandbox) -> None:
    box.append_many("orders", [NewEvent(b"before")] * 3)
    box.commit("app", "orders", 0, 2)
    with full_disk(box):
        for _ in range(2):
            with pytest.raises(BrokerError, match=r"could not be written.*full.*Nothing was stored") as refused:
                box.append_many("orders", [NewEvent(PAGE)] * 10)
            assert refused.value.error.name == "KAFKA_STORAGE_ERROR"
        assert values(box) == [b"before"] * 3
        assert box.end_offsets("orders") == {0: 3}
        with pytest.raises(BrokerError, match="could not be written"):
            box.append("made-on-first-use", PAGE)
        assert [one.topic for one in box.topics()] == ["orders"]
        assert [one.committed for one in box.lag("app")] == [2]
    assert box.append("orders", b"after").offset == 3
    box.commit("app", "orders", 0, 4)
    assert values(box) == [b"before"] * 3 + [b"after"]
    assert box.append("made-on-first-use", PAGE).offset == 0


def test_a_commit_that_the_disk_refuses_leaves_the_committed_offset(box: Sandbox) -> None:
    box.append("orders", b"x")
    box.commit("app", "orders", 0, 1)

    def commit_many() -> None:
        for number in range(1_000):
            box.commit(f"g{number}", "orders", 0, 1, metadata="m" * 4_000)

    with full_disk(box, free_pages=0), pytest.raises(BrokerError, match="could not be written"):
        commit_many()
    known = {group.group for group in box.groups()}
    in_memory = {group.group for group in box._runtime.coordinator.list()}
    assert "app" in known
    assert known == in_memory
    box.commit("late", "orders", 0, 1)
    assert box.group("late").lag == 0


ON_A_SMALL_DISK = """
import resource, signal, sys
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import NewEvent
from sandbox.api.sandbox import Sandbox
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Sandbox(sys.argv[1]) as sandbox:
    sandbox.append("orders", "first")
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
    refused = 0
    for number in range(40):
        try:
            sandbox.append_many("orders", [NewEvent(b"x" * 50_000)] * 2)
        except BrokerError as error:
            assert error.error.name == "KAFKA_STORAGE_ERROR", error
            refused += 1
    ends = sandbox.end_offsets("orders")[0]
    assert refused > 0 and ends == 1 + 2 * (40 - refused), (refused, ends)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert sandbox.append("orders", "last").offset == ends
    print(ends)
"""


def test_a_disk_that_really_refuses_to_write_costs_no_acknowledged_event(file: Path) -> None:
    command = [sys.executable, "-c", ON_A_SMALL_DISK, str(file)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    with Sandbox(file) as sandbox:
        stored = values(sandbox)
        with sandbox._database.reader() as reader:
            assert reader.query("PRAGMA integrity_check") == [("ok",)]
    assert len(stored) == int(result.stdout) + 1
    assert (stored[0], stored[-1]) == (b"first", b"last")


def test_an_error_in_the_middle_of_a_write_leaves_nothing_of_it(box: Sandbox) -> None:
    box.append("orders", "ham")

    def half(now_ms: int) -> None:
        box._appender.append("orders", [NewEvent(b"half")], now_ms)
        raise RuntimeError("struck by lightning")

    with pytest.raises(RuntimeError, match="lightning"):
        box._runtime.call(half)
    assert values(box) == [b"ham"]
    assert box.append("orders", "eggs").offset == 1


def test_an_error_in_the_middle_of_a_write_on_the_loop_leaves_nothing_of_it(served: Sandbox) -> None:
    test_an_error_in_the_middle_of_a_write_leaves_nothing_of_it(served)


@pytest.mark.parametrize("ports", [False, True])
def test_many_threads_append_and_each_offset_is_given_once(box: Sandbox, ports: bool) -> None:
    if ports:
        box.serve(kafka_port=0, web_port=None)

    def append(thread: int) -> list[int]:
        return [box.append("orders", f"{thread}").offset for _ in range(40)]

    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(append, range(8)))
    assert sorted(offset for offsets in given for offset in offsets) == list(range(320))
    assert all(offsets == sorted(offsets) for offsets in given)
    stored = values(box)
    assert all(stored[offset] == b"%d" % thread for thread, offsets in enumerate(given) for offset in offsets)


def test_threads_that_write_while_the_ports_open_lose_nothing(box: Sandbox) -> None:
    ended = threading.Event()
    given: list[int] = []

    def append() -> None:
        while not ended.is_set():
            given.append(box.append("orders", "x").offset)

    writer = threading.Thread(target=append)
    writer.start()
    eventually(lambda: len(given) > 20)
    box.serve(kafka_port=0, web_port=None)
    count = len(given)
    eventually(lambda: len(given) > count + 20)
    ended.set()
    writer.join(10)
    assert given == list(range(len(given)))


def test_a_call_that_comes_while_the_sandbox_closes_is_done_or_refused_and_never_hangs(file: Path) -> None:
    for _ in range(5):
        sandbox = Sandbox(file)
        sandbox.serve(kafka_port=0, web_port=None)
        before = sandbox.end_offsets("orders")[0] if sandbox.topics() else 0
        given: list[int] = []

        def append(sandbox: Sandbox = sandbox, given: list[int] = given) -> None:
            try:
                while True:
                    given.append(sandbox.append("orders", "x").offset)
            except SandboxError as error:
                assert "closed" in str(error)  # noqa: PT017

        writer = threading.Thread(target=append)
        writer.start()
        eventually(lambda given=given: len(given) > 5)  # type: ignore[misc]
        sandbox.close()
        writer.join(10)
        assert not writer.is_alive()
        with Sandbox(file) as again:
            stored = again.end_offsets("orders")[0]
        assert given == list(range(before, before + len(given)))
        assert before + len(given) <= stored <= before + len(given) + 1


def test_a_taken_port_is_named_and_the_sandbox_can_be_served_on_another(box: Sandbox) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for kafka, web in ((port, None), (0, port)):
            with pytest.raises(PortInUse, match=f"Port {port} on 127.0.0.1 cannot be opened: .* or 0 for any"):
                box.serve(kafka_port=kafka, web_port=web)
            assert (box.kafka_address, box.web_address) == (None, None)
            assert box.append("orders", "ham").offset >= 0
    box.serve(kafka_port=port, web_port=None)
    assert box.kafka_address == f"127.0.0.1:{port}"
    with pytest.raises(SandboxError, match="serves already"):
        box.serve(kafka_port=0, web_port=None)


def test_the_port_is_the_same_after_a_restart_while_it_is_free(file: Path) -> None:
    with Sandbox(file) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        first = sandbox.kafka_address
    with Sandbox(file) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        assert sandbox.kafka_address == first
    assert first is not None
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", int(first.rpartition(":")[2])))
        taken.listen()
        with Sandbox(file) as sandbox:
            sandbox.serve(kafka_port=0, web_port=None)
            assert sandbox.kafka_address != first


def test_a_closed_sandbox_listens_no_more_and_its_clients_are_let_go(file: Path) -> None:
    sandbox = Sandbox(file)
    sandbox.serve(kafka_port=0, web_port=None)
    address = sandbox.kafka_address or ""
    client = RawClient(address)
    client.api_versions()
    sandbox.close()
    assert client.is_ended()
    client.close()
    with pytest.raises(ConnectionRefusedError):
        RawClient(address)


def test_a_write_from_the_thread_that_serves_is_refused_rather_than_waited_for(served: Sandbox) -> None:
    seen: list[BaseException] = []

    def listen(changes: Changes) -> None:
        try:
            served.set_setting("a", "b")
        except RuntimeError as error:
            seen.append(error)

    served._broker.subscribe(listen)
    served.append("orders", "ham")
    eventually(lambda: seen)
    assert "must not wait for a write" in str(seen[0])


def test_a_sandbox_that_ends_leaves_no_thread(file: Path) -> None:
    before = threading.active_count()
    with Sandbox(file) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        sandbox.append("orders", "ham")
    assert threading.active_count() == before
