"""Other brokers that a package registry has, measured with the same client in the same run.

librdkafka's mock cluster comes with confluent-kafka. The others are looked for in `.cache/peers`, where
`python -m benchmarks.peers` installs them; one that does not start here is left out, with the reason.
"""

import os
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from benchmarks.processes import free_port, stop, wait_for_metadata

FOLDER = Path(__file__).parent.parent / ".cache" / "peers"
START_SECONDS = 10.0
START_AT_LEAST_S = 1.0
MOCK = (
    "import confluent_kafka, sys\n"
    "producer = confluent_kafka.Producer({'test.mock.num.brokers': 1, 'log_level': 0})\n"
    "broker = next(iter(producer.list_topics(timeout=10).brokers.values()))\n"
    "print(f'{broker.host}:{broker.port}', flush=True)\n"
    "sys.stdin.read()\n"
)


class PeerMissing(Exception):
    """A peer is not installed, or does not run on this machine."""


@contextmanager
def librdkafka_mock(_folder: Path) -> Iterator[str]:
    """librdkafka's mock cluster: C, in memory, keeps the newest 5 MB of a partition."""
    process = subprocess.Popen(
        [sys.executable, "-c", MOCK],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address:
            raise PeerMissing("librdkafka's mock cluster did not start")
        yield address
    finally:
        if process.stdin is not None:
            process.stdin.close()
        stop(process)


@contextmanager
def _listening(folder: Path, command: list[str], port: int) -> Iterator[str]:
    if not Path(command[0]).exists():
        raise PeerMissing(f"{command[0]} is not there: python -m benchmarks.peers installs it")
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    try:
        with suppress(subprocess.TimeoutExpired):
            raise PeerMissing(f"{' '.join(command[:3])} ended at once with status {process.wait(START_AT_LEAST_S)}")
        try:
            wait_for_metadata(port, START_SECONDS)
        except TimeoutError as error:
            raise PeerMissing(str(error)) from error
        yield f"127.0.0.1:{port}"
    finally:
        stop(process)
        with suppress(ProcessLookupError):
            # noida-db's command leaves its own program behind.
            os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def noida_db(folder: Path) -> Iterator[str]:
    """noida-db: a native program, in memory, saved as it changes."""
    port = free_port()
    command = [str(FOLDER / "bin" / "noida-db"), "start", "--only", "kafka", "--kafka-port", str(port)]
    with _listening(folder, command, port) as address:
        yield address


@contextmanager
def nafka(folder: Path) -> Iterator[str]:
    """nafka: Python and SQLite, one partition a topic; needs Python 3.12."""
    port = free_port()
    command = [str(FOLDER / "bin" / "python"), "-m", "nafka", "--file", "nafka.db", "--port", str(port)]
    with _listening(folder, command, port) as address:
        yield address


@contextmanager
def apache_kafka(_folder: Path) -> Iterator[str]:
    """Apache Kafka, if the tests have fetched it."""
    from tests.clients.apache_kafka import JARS, KafkaUnavailableError, running_kafka

    if not JARS.exists():
        raise PeerMissing("Apache Kafka is not there: the tests of tests/clients fetch it")
    try:
        with running_kafka() as address:
            yield address
    except KafkaUnavailableError as error:
        raise PeerMissing(str(error)) from error


PEERS = {"librdkafka's mock": librdkafka_mock, "noida-db": noida_db, "nafka": nafka}


@contextmanager
def started(name: str, folder: Path) -> Iterator[str]:
    """A peer by its name; its address.

    Raises:
        PeerMissing: with the reason.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        yield stack.enter_context(PEERS[name](folder))


if __name__ == "__main__":
    venv.create(FOLDER, with_pip=True)
    subprocess.run([FOLDER / "bin" / "python", "-m", "pip", "install", "--quiet", "noida-db", "nafka"], check=True)
