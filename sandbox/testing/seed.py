"""Loads topics and events before a test."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.kafka.errors import SandboxError
from sandbox.kafka.event import NewEvent
from sandbox.model.jsonl import LineRefused, TopicLine, read_line
from sandbox.testing.place import Place

if TYPE_CHECKING:
    from sandbox.api.sandbox import Sandbox


CHUNK = 1000
TopicWanted = int | Mapping[str, Any]
SeedLine = tuple[str, NewEvent | None, int]
"""Topic, event (None for the description of an empty topic) and least number of partitions."""


def create_topics(place: Place, topics: Mapping[str, TopicWanted] | Sequence[str]) -> None:
    """Create topics.

    Args:
        topics: names, or name to number of partitions, or to the arguments of `create_topic`: `{"partitions": 3,
            "settings": {"cleanup.policy": "compact"}}`.

    Raises:
        ValueError: a topic is described in another way.
    """
    wanted = topics if isinstance(topics, Mapping) else dict.fromkeys(topics, 1)
    for name, described in wanted.items():
        arguments = {"partitions": described} if isinstance(described, int) else dict(described)
        if unknown := arguments.keys() - {"partitions", "settings", "replication_factor"}:
            raise ValueError(
                f"topic {name}: {', '.join(sorted(unknown))} is not known; a topic has partitions, settings and "
                "replication_factor"
            )
        place.backend.create_topic(place.real(name), **arguments)


def load(place: Place, file: Path) -> int:
    """Store the events of a JSON lines file, in its order. Returns how many.

    Raises:
        SandboxError: a line is invalid; nothing was stored.
    """
    return store(place, read(file))


def store(place: Place, lines: Sequence[SeedLine]) -> int:
    """Store the events of lines in their order. Creates the topics that do not exist. Returns how many events."""
    partitions: dict[str, int] = {}
    for topic, _, count in lines:
        partitions[topic] = max(partitions.get(topic, 1), count)
    known = set(place.topics())
    for topic, count in partitions.items():
        if topic not in known:
            # With the default of a week, old events would be stored and deleted by the next retention run.
            place.backend.create_topic(place.real(topic), partitions=count, settings={"retention.ms": "-1"})
    events = [(topic, event) for topic, event, _ in lines if event is not None]
    for topic, run in groupby(events, key=lambda one: one[0]):
        some = [event for _, event in run]
        for first in range(0, len(some), CHUNK):
            place.backend.append_all(place.real(topic), some[first : first + CHUNK])
    return len(events)


def read(file: Path) -> list[SeedLine]:
    """Read a JSON lines file. Raises SandboxError, which names the line, if one is invalid."""
    found: list[SeedLine] = []
    for number, text in enumerate(file.read_bytes().splitlines(), 1):
        if not text.strip():
            continue
        try:
            line = read_line(text)
            if isinstance(line, TopicLine):
                found.append((line.topic, None, line.partitions))
                continue
            if line.transaction is not None:
                continue
            # The default topic's name is the file's, as in the sample data.
            least = max(line.partitions or 1, (line.partition or 0) + 1)
            found.append((line.topic or file.stem, line.new_event(), least))
        except LineRefused as error:
            raise SandboxError(f"{file}, line {number}: {error}") from None
    return found


TYPES = {".avsc": "AVRO", ".json": "JSON", ".proto": "PROTOBUF"}


def register_folder(sandbox: "Sandbox", folder: Path) -> int:
    """Register each schema file of a folder, in the order of their names. Returns how many.

    The file's name without its suffix is the subject: `orders-value.avsc`, `orders-key.json`, `users-value.proto`.

    Raises:
        SandboxError: a schema is refused, or the folder has none; the text names the file.
    """
    from sandbox.model.registry import SchemaRequest
    from sandbox.registry.subjects import parse_subject

    files = sorted(file for file in folder.iterdir() if file.suffix in TYPES) if folder.is_dir() else []
    if not files:
        raise SandboxError(f"{folder} is not a folder with schemas: files named SUBJECT{', SUBJECT'.join(TYPES)}.")
    for file in files:
        try:
            request = SchemaRequest(file.read_text(encoding="utf-8"), TYPES[file.suffix])
            sandbox.schemas.register(parse_subject(file.stem), request)
        except (SandboxError, ValueError) as error:
            raise SandboxError(f"{file}: {error}") from error
    return len(files)
