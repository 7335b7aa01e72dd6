"""Starts the Kafka of a test: a sandbox with a new file, or a part of a cluster."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from sandbox.api.sandbox import Sandbox
from sandbox.runtime.settable_clock import SettableClock
from sandbox.testing.handle import Kafka
from sandbox.testing.place import Place, SandboxPlace
from sandbox.testing.seed import TopicWanted, create_topics, register_folder

Topics = Mapping[str, TopicWanted] | Sequence[str]
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
Clock = Literal["real", "frozen"]
SUFFIXES = ("", "-wal", "-shm", ".lock")


@contextmanager
def kafka(
    *,
    topics: Topics = (),
    brokers: int = 1,
    settings: Mapping[str, str] | None = None,
    faults: Sequence[Mapping[str, Any]] = (),
    seed: Paths = (),
    schemas: Paths = (),
    clock: Clock = "real",
    file: str | os.PathLike[str] | None = None,
    keep: bool = False,
) -> Iterator[Kafka]:
    """Start a sandbox on free ports, for a `with` block.

    Args:
        topics: names, or name to number of partitions, or to arguments of `create_topic`.
        brokers: simulated brokers, 1 to 9.
        settings: broker settings by Kafka's names.
        faults: arguments of `inject` each: `{"api": "Produce", "error": "NOT_ENOUGH_REPLICAS", "times": 3}`.
        seed: JSON lines files of events, as `sandbox export` writes them.
        schemas: folders of schemas for the registry, in files named by their subject, such as `orders-value.avsc`.
        clock: "real", or "frozen" for a broker's time that only `kafka.clock.advance` moves.
        file: where the file shall be, which must not exist; None for a temporary folder.
        keep: True keeps the file. It is also kept if the block raises an error, whose notes then name it.
    """
    folder = Path(tempfile.mkdtemp(prefix="kafka-sandbox-")) if file is None else None
    path = Path(file) if file is not None else Path(str(folder), "test.db")
    try:
        made = start(path, brokers=brokers, settings=settings, clock=clock)
    except BaseException:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    try:
        prepare(made, topics=topics, faults=faults, seed=seed, schemas=schemas)
        yield made
    except GeneratorExit:
        raise
    except BaseException as error:  # pytest.fail and the cancellation of a task aren't an Exception.
        keep = True
        if str(path) not in str(error):
            error.add_note(f"The events are kept. To see them: {made.open_command}")
        raise
    finally:
        made.close()
        if not keep:
            remove(path)
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)


def start(path: Path, *, brokers: int = 1, settings: Mapping[str, str] | None = None, clock: Clock = "real") -> Kafka:
    """Start a sandbox on a new file, and open its Kafka port.

    Raises:
        FileExistsError: the file exists.
        ValueError: `clock` isn't one of its words.
    """
    if clock not in ("real", "frozen"):
        raise ValueError(f"clock is 'real' or 'frozen', not {clock!r}")
    if path.exists():
        raise FileExistsError(f"{path} exists; a test starts with a new file")
    box = Sandbox(path, brokers=brokers, settings=settings, clock=SettableClock(frozen=clock == "frozen"))
    try:
        box.serve(kafka_port=0, web_port=None)
    except BaseException:
        box.close()
        raise
    return Kafka(SandboxPlace(box, path))


def prepare(
    made: Kafka,
    *,
    topics: Topics = (),
    faults: Sequence[Mapping[str, Any]] = (),
    seed: Paths = (),
    schemas: Paths = (),
) -> None:
    """Create topics, register schemas, load events and inject faults, in this order."""
    create_topics(made.place, topics)
    for folder in _each(schemas):
        register_folder(made.sandbox, folder)
    for file in _each(seed):
        made.load(file)
    for fault in faults:
        made.inject(**fault)


def _each(paths: Paths) -> list[Path]:
    return [Path(paths)] if isinstance(paths, str | os.PathLike) else [Path(one) for one in paths]


def remove(path: Path) -> None:
    """Delete a sandbox's file, and what is beside it."""
    for suffix in SUFFIXES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    for name in ("-snapshots", "-tls"):
        shutil.rmtree(path.with_name(path.name + name), ignore_errors=True)


@contextmanager
def cluster(
    bootstrap: str,
    *,
    topics: Topics = (),
    properties: Mapping[str, str] | None = None,
    prefix: str | None = None,
    registry_url: str | None = None,
) -> Iterator[Kafka]:
    """Use a Kafka cluster, for a `with` block. The block's topics and groups have a prefix, and are deleted at its end.

    Args:
        bootstrap: "host:port", several separated by commas.
        topics: see `kafka`.
        properties: librdkafka's settings, such as security.
        prefix: None for a random one.
        registry_url: the URL of its schema registry, None if there is none.

    Raises:
        ClusterAway: the cluster doesn't answer.
    """
    from sandbox.testing.place import ClusterPlace

    name = prefix or f"test-{uuid4().hex[:8]}-"
    place: Place = ClusterPlace(bootstrap, name, dict(properties or {}), registry_url)
    made = Kafka(place)
    try:
        prepare(made, topics=topics)
        yield made
    finally:
        made.close()
