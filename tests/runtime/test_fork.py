"""A forked child refuses at once to use its parent's sandbox, and harms nothing by its end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.storage.check import check

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

BEGINNING = """
import inspect, multiprocessing, os, signal, socket, sys, threading, time
from sandbox import Producer, Sandbox
from sandbox.kafka.errors import FileInUse, SandboxError

def forked(work):
    # What a child returns, or how it failed; it ends as a program does, with all that Python does then.
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = repr(work())
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(writing, answer.encode())
        sys.exit(0)
    os.close(writing)
    timer = threading.Timer(20, os.kill, (child, signal.SIGKILL))
    timer.start()
    with os.fdopen(reading) as answers:
        text = answers.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    timer.cancel()
    assert status == 0, (status, text)
    return text
"""


def run(source: str, *arguments: object) -> str:
    """What a program prints."""
    command = [sys.executable, "-W", "ignore", "-c", BEGINNING + source, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


def values(file: Path) -> list[bytes | None]:
    with Sandbox(file) as box:
        found = [event.value for event in box.read("orders", offset=0)]
    assert check(file).findings == []
    return found


EVERY_CALL = """
def public(one):
    return [name for name in dir(type(one)) if not name.startswith("_")]

def every_call(owner):
    accepted = []
    for one in owner:
        for name in public(one):
            try:
                found = getattr(one, name)
                if not callable(found):
                    accepted.append(f"{type(one).__name__}.{name}")
                    continue
                wanted = inspect.signature(found).parameters.values()
                named = [one for one in wanted if one.kind is one.POSITIONAL_OR_KEYWORD]
                done = found(*["orders" for one in named if one.default is one.empty])
                if inspect.isgenerator(done):
                    next(done)
                if name not in ("close",):
                    accepted.append(f"{type(one).__name__}.{name}")
            except SandboxError as error:
                if f"belongs to process {os.getppid()}" not in str(error):
                    accepted.append(f"{type(one).__name__}.{name}: {error}")
    return accepted

with Sandbox(sys.argv[1]) as box:
    if sys.argv[2] == "served":
        box.serve(kafka_port=0, web_port=0)
    box.create_topic("orders")
    box.append("orders", "1")
    owner = [box, box._runtime, box.playground, box.generators]
    print(forked(lambda: every_call(owner)))
    append = box.append
    refusal = f"SandboxError: This Sandbox belongs to process {os.getpid()}"
    print(forked(lambda: append("orders", "x")).startswith(refusal))
    parts = [box.snapshots.list, box.faults.list, box.brokers.list, box.users.names, box.logs.check]
    for part in [*parts, box.queries.tables]:
        print("belongs to process" in forked(part))
    box.append("orders", "2")
"""


@pytest.mark.parametrize("ports", ["served", "without ports"])
def test_every_call_of_a_child_is_refused_at_once(file: Path, ports: str) -> None:
    assert run(EVERY_CALL, file, ports).split("\n") == ["[]", *["True"] * 7, ""]
    assert values(file) == [b"1", b"2"]


IN_A_TRANSACTION = """
with Sandbox(sys.argv[1]) as box:
    box.append("orders", "1")
    def write(now_ms):
        # More than SQLite keeps in memory: a part of it is in the log, and in the index that both share.
        large = [(f"large-{n}", "x" * 1_000_000) for n in range(20)]
        box._database.executemany("INSERT INTO settings(name, value) VALUES(?, ?)", large)
        child = os.fork()
        if child == 0:
            raise SystemExit(0)
        os.waitpid(child, 0)
    try:
        box._runtime.call(write)
    except SandboxError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        raise SystemExit(0)
    print(sum(len(box.setting(f"large-{n}")) for n in range(20)), box._database.query("PRAGMA integrity_check"))
    box.append("orders", "2")
"""


def test_a_child_that_ends_during_a_transaction_of_its_parent_changes_nothing_of_it(file: Path) -> None:
    assert run(IN_A_TRANSACTION, file) == "20000000 [('ok',)]\n"
    assert values(file) == [b"1", b"2"]


OUTLIVED = """
with Sandbox(sys.argv[1]) as box:
    box.serve(kafka_port=0, web_port=None)
    box.append("orders", "1")
    host, _, port = box.kafka_address.rpartition(":")
    client = socket.create_connection((host, int(port)), timeout=20)
    # ApiVersions 0: a connection that waits in the listener's backlog would be reset, not closed.
    client.sendall(bytes.fromhex("0000000a 0012 0000 00000001 0000"))
    client.recv(65536)
    child = os.fork()
    if child == 0:
        signal.pause()
try:
    print(client.recv(1))
    with Sandbox(sys.argv[1]) as box:
        box.serve(kafka_port=int(port), web_port=None)
        box.append("orders", "2")
finally:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


def test_a_child_that_outlives_the_sandbox_holds_neither_file_nor_port_nor_connection(file: Path) -> None:
    assert run(OUTLIVED, file) == "b''\n"
    assert values(file) == [b"1", b"2"]


CLIENTS = """
config = {"bootstrap.servers": sys.argv[1]}
with Producer(config) as producer:
    producer.produce("orders", "1")
    assert producer.flush(20) == 0
    refusal = f"SandboxError: This Producer belongs to process {os.getpid()}"
    print(forked(lambda: producer.produce("orders", "x")).partition(",")[0] == refusal)
    def own():
        with Producer(config) as mine:
            mine.produce("orders", "2")
            return mine.flush(20)
    print(forked(own))
    def open_it():
        Sandbox(sys.argv[1])
    print(forked(open_it).partition(",")[0] == f"FileInUse: {sys.argv[1]} is in use by process {os.getpid()}")
    producer.produce("orders", "3")
    assert producer.flush(20) == 0
"""


def test_a_child_attaches_with_clients_of_its_own(file: Path) -> None:
    assert run(CLIENTS, file) == "True\n0\nTrue\n"
    assert values(file) == [b"1", b"2", b"3"]


WORKERS = """
import multiprocessing
from sandbox import Producer, Sandbox
from sandbox.kafka.errors import FileInUse

def work(file, number):
    try:
        Sandbox(file)
    except FileInUse:
        producer = Producer({"bootstrap.servers": file})
        producer.produce("orders", str(number))
        return producer.flush(20)
    return "opened a file that its parent owns"
"""
POOL = """
sys.path.insert(0, sys.argv[3])
import workers
if __name__ == "__main__":
    with Sandbox(sys.argv[1]) as box:
        box.serve(kafka_port=0, web_port=None)
        context = multiprocessing.get_context(sys.argv[2])
        with context.Pool(2) as pool:
            print(pool.starmap(workers.work, [(sys.argv[1], number) for number in range(4)]))
        print(sorted(event.value for event in box.read("orders")))
        box.append("orders", "last")
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_multiprocessing_use_their_parents_sandbox_as_clients(
    file: Path, method: str, tmp_path: Path
) -> None:
    (tmp_path / "workers.py").write_text(WORKERS)
    (tmp_path / "program.py").write_text(BEGINNING + POOL)
    command = [sys.executable, str(tmp_path / "program.py"), str(file), method, str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(command, capture_output=True, text=True, timeout=90, env=environment, check=False)
    assert result.stdout == "[0, 0, 0, 0]\n[b'0', b'1', b'2', b'3']\n", result.stderr
    assert values(file)[-1] == b"last"


PRELOADED = """
box = Sandbox(sys.argv[1])
def request(number):
    try:
        return box.append("orders", str(number)).offset
    except SandboxError as error:
        return "belongs to process" in str(error)
# A server that loads the program first, and forks its workers then, as gunicorn does with --preload.
workers = [forked(lambda number=number: request(number)) for number in range(3)]
print(workers)
box.append("orders", "parent")
box.close()
"""


def test_a_server_that_forks_after_it_has_opened_a_sandbox_gets_words_in_its_workers(file: Path) -> None:
    assert run(PRELOADED, file) == "['True', 'True', 'True']\n"
    assert values(file) == [b"parent"]
