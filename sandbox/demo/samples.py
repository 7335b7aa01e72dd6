"""The sample data, the topics that it fills, and the code that loads it.

The file's settings record progress, each as a JSON list of topics: `demo.loaded` has the loaded samples, `demo.topics`
the topics that were created for them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.kafka.event import Event, NewEvent
from sandbox.model.jsonl import from_line

if TYPE_CHECKING:
    from sandbox.api.sandbox import Sandbox

TOPICS_LOADED = "demo.loaded"
TOPICS_MADE = "demo.topics"
PAYMENTS = "payments"
PAYMENTS_RETENTION_BYTES = 4 * 1024 * 1024
CHUNK_EVENTS = 1000

Progress = Callable[[str, int, int], None]
"""Called with the topic, how many of its sample events are in, and how many there are."""


@dataclass(frozen=True, slots=True)
class SampleTopic:
    """One topic of the sample data: the file is `<topic>.jsonl`."""

    topic: str
    partitions: int
    settings: tuple[tuple[str, str], ...]


# The events are years old: with Kafka's default retention of a week they would be gone at the first clean-up.
SAMPLES = (
    SampleTopic("earthquakes", 3, (("retention.ms", "-1"),)),
    SampleTopic("flights", 6, (("retention.ms", "-1"),)),
    SampleTopic(PAYMENTS, 3, (("retention.ms", "-1"), ("retention.bytes", str(PAYMENTS_RETENTION_BYTES)))),
)


def samples_folder() -> Path:
    """Return the folder of the sample data: inside the package when installed, beside it in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "sample_data"
    return inside if inside.is_dir() else package.parent / "sample_data"


def sample_events(topic: str) -> Iterator[NewEvent]:
    """Yield the sample events of a topic, oldest first. Raises FileNotFoundError when there are none for it."""
    with (samples_folder() / f"{topic}.jsonl").open("rb") as lines:
        for line in lines:
            yield from_line(line).new_event()


def load_samples(sandbox: Sandbox, progress: Progress | None = None) -> dict[str, int]:
    """Create missing sample topics and append each sample event exactly once.

    An interrupted load is completed by the next one, without duplicates. A topic that was loaded before is not loaded
    again, even if it was deleted since. Returns the number of appended events by topic.
    """
    loaded = names_kept(sandbox, TOPICS_LOADED)
    appended: dict[str, int] = {}
    for sample in SAMPLES:
        if sample.topic in loaded:
            continue
        appended[sample.topic] = _load(sandbox, sample, progress)
        loaded.append(sample.topic)
        keep_names(sandbox, TOPICS_LOADED, loaded)
    return appended


def _load(sandbox: Sandbox, sample: SampleTopic, progress: Progress | None) -> int:
    events = list(sample_events(sample.topic))
    missing = _missing(sandbox, sample.topic, events) if not _create(sandbox, sample) else events
    done = len(events) - len(missing)
    for start in range(0, len(missing), CHUNK_EVENTS):
        done += sandbox.append_many(sample.topic, missing[start : start + CHUNK_EVENTS])
        if progress is not None:
            progress(sample.topic, done, len(events))
    return len(missing)


def _create(sandbox: Sandbox, sample: SampleTopic) -> bool:
    """Create the topic. Returns False if it exists.

    Its name is recorded afterwards, so a topic of that name that the user created is never taken for the demo's.
    """
    if any(topic.topic == sample.topic for topic in sandbox.topics()):
        return False
    sandbox.create_topic(sample.topic, partitions=sample.partitions, settings=dict(sample.settings))
    keep_names(sandbox, TOPICS_MADE, sorted({*names_kept(sandbox, TOPICS_MADE), sample.topic}))
    return True


def _missing(sandbox: Sandbox, topic: str, events: Sequence[NewEvent]) -> list[NewEvent]:
    """Return the events that the topic does not hold, counting equal ones."""
    present = Counter(_identity(event) for event in _stored(sandbox, topic))
    missing = []
    for event in events:
        if present[_identity(event)] > 0:
            present[_identity(event)] -= 1
        else:
            missing.append(event)
    return missing


def _identity(event: Event | NewEvent) -> tuple[object, ...]:
    return (event.timestamp_ms, event.key, event.value, event.headers)


def _stored(sandbox: Sandbox, topic: str) -> Iterator[Event]:
    ends = sandbox.end_offsets(topic)
    for partition, start in sandbox.start_offsets(topic).items():
        offset = start
        while offset < ends[partition]:
            events = sandbox.read(topic, partition=partition, offset=offset, limit=CHUNK_EVENTS)
            if not events:
                break
            yield from events
            offset = events[-1].offset + 1


def names_kept(sandbox: Sandbox, setting: str) -> list[str]:
    """Return the list of names in a setting of the file; empty if it was never set, or another program changed it."""
    try:
        found = json.loads(sandbox.setting(setting) or "[]")
    except (ValueError, RecursionError):
        found = []
    return [str(name) for name in found] if isinstance(found, list) else []


def keep_names(sandbox: Sandbox, setting: str, names: Sequence[str]) -> None:
    """Store a list of names in a setting of the file."""
    sandbox.set_setting(setting, json.dumps(list(names)))
