"""The demo's topics with schemas: earthquakes in Avro and flights in Protobuf, two versions of each in the registry.

They are filled in the background, a moment after the start, which so imports nothing of the schemas.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from sandbox.demo.samples import TOPICS_LOADED, TOPICS_MADE, keep_names, names_kept, sample_events
from sandbox.kafka.errors import SandboxError
from sandbox.kafka.event import NewEvent

if TYPE_CHECKING:
    import threading

    from sandbox.api.sandbox import Sandbox
    from sandbox.schemas.encoding import EventEncoder

EVENTS_MAX = 2_000
CHUNK_EVENTS = 100
PAUSE_S = 0.02
"""Pause between two chunks, which leaves the machine to the pages and clients."""
_log = logging.getLogger(__name__)
Change = Callable[[dict[str, Any], int], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class SchemaTopic:
    """A topic of the demo whose values have a schema.

    Attributes:
        topic: its name; the subject is `<topic>-value`.
        sample: the sample data from which it is made.
        versions: the texts of the schema's versions, the first one first.
        value: returns a value of the latest version from a sample's JSON and its time in ms. Earlier versions have a
            part of its fields.
    """

    topic: str
    sample: str
    schema_type: str
    versions: tuple[str, str]
    value: Change

    @property
    def subject(self) -> str:
        """The subject of its values by the TopicNameStrategy."""
        return f"{self.topic}-value"


_NUMBER = ["null", "double"]
_EARTHQUAKE: list[dict[str, Any]] = [
    {"name": "id", "type": "string", "doc": "Network and code."},
    {"name": "time", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "place", "type": ["null", "string"]},
    {"name": "magnitude", "type": _NUMBER},
    {"name": "depth_km", "type": _NUMBER},
    {"name": "latitude", "type": _NUMBER},
    {"name": "longitude", "type": _NUMBER},
]
_ALERT = {"type": "enum", "name": "Alert", "symbols": ["green", "yellow", "orange", "red"]}
_ADDED: list[dict[str, Any]] = [
    {"name": "alert", "type": ["null", _ALERT], "default": None},
    {"name": "reviewed", "type": "boolean", "doc": "A person has looked at it.", "default": False},
]
_FLIGHT = """\
syntax = "proto3";
package demo;

import "google/protobuf/timestamp.proto";

message Flight {
  google.protobuf.Timestamp departed = 1;
  string origin = 2;
  string destination = 3;
  int32 distance_miles = 4;
  sint32 delay_minutes = 5;
"""


def _avro(*fields: dict[str, Any]) -> str:
    return json.dumps({"type": "record", "name": "Earthquake", "namespace": "demo", "fields": fields})


def _earthquake(found: dict[str, Any], time_ms: int) -> dict[str, Any]:
    return {
        "id": found["id"],
        "time": time_ms,
        "place": found["place"],
        **{
            name: None if found[source] is None else float(found[source])
            for name, source in (
                ("magnitude", "mag"), ("depth_km", "depth"), ("latitude", "latitude"), ("longitude", "longitude"),
            )
        },
        "alert": found["alert"],
        "reviewed": found["status"] == "reviewed",
    }  # fmt: skip


def _flight(found: dict[str, Any], time_ms: int) -> dict[str, Any]:
    from datetime import UTC, datetime

    return {
        "departed": datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "origin": found["origin"],
        "destination": found["destination"],
        "distance_miles": found["distance"],
        "delay_minutes": found["delay"],
        "late": found["delay"] > 15,
    }


SCHEMA_TOPICS = (
    SchemaTopic(
        "earthquakes-avro",
        "earthquakes",
        "AVRO",
        (_avro(*_EARTHQUAKE), _avro(*_EARTHQUAKE, *_ADDED)),
        _earthquake,
    ),
    SchemaTopic(
        "flights-protobuf",
        "flights",
        "PROTOBUF",
        (_FLIGHT + "}\n", _FLIGHT + "  bool late = 6; // More than 15 minutes.\n}\n"),
        _flight,
    ),
)
_LATER_FIELDS = {"alert", "reviewed", "late"}


def load_schema_topics(sandbox: Sandbox, stopping: threading.Event) -> list[SchemaTopic]:
    """Fill the missing topics: the first half of the events with version 1 of the schema, the second with version 2.

    A topic of that name that the user made, or deleted, is left alone.

    Returns:
        The topics that the demo sends to. One is missing if the library of its format is not installed.
    """
    found = []
    for one in SCHEMA_TOPICS:
        if stopping.is_set():
            break
        try:
            if one.topic in names_kept(sandbox, TOPICS_LOADED) or _load(sandbox, one, stopping):
                found.append(one)
        except (SandboxError, ValueError, RuntimeError) as error:
            # Protobuf needs an extra; a subject of the user's may not accept the demo's schema.
            _log.info("The demo has no topic %s: %s", one.topic, error)
    return found


def _load(sandbox: Sandbox, one: SchemaTopic, stopping: threading.Event) -> bool:
    if any(topic.topic == one.topic for topic in sandbox.topics()):
        return False
    encoders = _registered(sandbox, one)
    samples = list(islice(sample_events(one.sample), EVENTS_MAX))
    events = []
    for at, sample in enumerate(samples):
        if at % CHUNK_EVENTS == 0 and stopping.wait(PAUSE_S):
            return False
        first_half = at < len(samples) // 2
        value = _encoded(one, encoders[0 if first_half else 1], sample, sample.timestamp_ms or 0, whole=not first_half)
        events.append(NewEvent(value, sample.key, (), sample.timestamp_ms))
    sandbox.create_topic(one.topic, partitions=3, settings={"retention.ms": "-1"})
    keep_names(sandbox, TOPICS_MADE, sorted({*names_kept(sandbox, TOPICS_MADE), one.topic}))
    sandbox.append_all(one.topic, events)
    keep_names(sandbox, TOPICS_LOADED, [*names_kept(sandbox, TOPICS_LOADED), one.topic])
    return True


def _registered(sandbox: Sandbox, one: SchemaTopic) -> Sequence[EventEncoder]:
    from sandbox.model.registry import SchemaRequest
    from sandbox.registry.subjects import parse_subject

    found = [
        sandbox.schemas.register(parse_subject(one.subject), SchemaRequest(text, one.schema_type))
        for text in one.versions
    ]
    return [sandbox.encoder(f"{one.subject}:{row.version}") for row in found]


def _encoded(one: SchemaTopic, encoder: EventEncoder, sample: NewEvent, time_ms: int, *, whole: bool) -> bytes:
    value = one.value(json.loads(sample.value or b"{}"), time_ms)
    return encoder.encode(value if whole else {name: value[name] for name in value if name not in _LATER_FIELDS})


def live_events(sandbox: Sandbox, one: SchemaTopic, now_ms: Callable[[], int]) -> Iterator[NewEvent]:
    """Yield the samples of a topic again and again, as if they happened now, with the latest version of the schema."""
    encoder = sandbox.encoder(one.subject)
    while True:
        for sample in sample_events(one.sample):
            yield NewEvent(_encoded(one, encoder, sample, now_ms(), whole=True), sample.key)


def forget_subjects(sandbox: Sandbox, topics: Sequence[str]) -> None:
    """Delete the subjects of deleted topics of the demo."""
    from sandbox.model.registry import DEFAULT_CONTEXT, Subject
    from sandbox.registry.errors import RegistryError

    for one in SCHEMA_TOPICS:
        if one.topic in topics:
            try:
                for permanent in (False, True):
                    sandbox.schemas.delete_subject(Subject(DEFAULT_CONTEXT, one.subject), permanent=permanent)
            except RegistryError as error:
                _log.info("The subject %s of the demo stays: %s", one.subject, error)
