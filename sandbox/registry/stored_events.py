"""The newest events of topics: the schemas that wrote them, and whether a consumer with another schema can read them.

Both look at a bounded number of events, when they are asked: nothing is counted while clients produce.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sandbox.kafka.event import Event
from sandbox.model.registry import Subject
from sandbox.model.topics import TopicDescription
from sandbox.schemas.decoding import EventDecoder, SchemaId
from sandbox.schemas.framing import may_have_frame, read_frame
from sandbox.schemas.schema import ParsedSchema

SAMPLED_EVENTS = 500
"""How many of a topic's newest events are looked at."""
SAMPLED_BYTES = 8 * 1024 * 1024
"""No further events of a topic are looked at after this many bytes of keys and values."""
TOPICS_MAX = 20
"""How many topics are looked at for a subject whose name does not name one."""
TRIAL_S = 2.0
FAILURES_MAX = 10
PAGE = 100
PARTS = {"-key": True, "-value": False}
"""The ends of subjects by the TopicNameStrategy, and whether they are of keys."""

Newest = Callable[[str, int], Iterator[Event]]
"""Yields a topic's newest events, at most the given number, the newest first."""


@dataclass(frozen=True, slots=True)
class TopicSample:
    """The schemas of a topic's newest events.

    Attributes:
        events: how many were looked at.
        whole: True if these are all events of the topic.
        counts: (True for keys, id or GUID) to the number of events.
    """

    topic: str
    events: int
    whole: bool
    counts: Mapping[tuple[bool, SchemaId], int]


class SampledTopics:
    """Samples topics, and keeps each sample until its topic changes.

    Args:
        newest: reads events.
    """

    def __init__(self, newest: Newest) -> None:
        self._newest = newest
        self._known: dict[str, tuple[object, TopicSample]] = {}

    def sample(self, topic: TopicDescription) -> TopicSample:
        """Return the sample of a topic."""
        state = (topic.topic_id, topic.events, tuple((one.start, one.end) for one in topic.partitions))
        known = self._known.get(topic.topic)
        if known is not None and known[0] == state:
            return known[1]
        counts: Counter[tuple[bool, SchemaId]] = Counter()
        looked_at = 0
        for event in sampled(self._newest, topic.topic):
            looked_at += 1
            counts.update(_schemas_of(event))
        found = TopicSample(topic.topic, looked_at, looked_at >= topic.events, counts)
        self._known[topic.topic] = state, found
        return found

    def known(self, topic: TopicDescription) -> TopicSample | None:
        """Return the last sample of a topic, which may be outdated; None if it was not sampled yet."""
        found = self._known.get(topic.topic)
        return None if found is None else found[1]


def sampled(newest: Newest, topic: str) -> Iterator[Event]:
    """Yield a topic's newest events, up to the bounds of a sample."""
    size = 0
    for event in newest(topic, SAMPLED_EVENTS):
        yield event
        size += len(event.key or b"") + len(event.value or b"")
        if size > SAMPLED_BYTES:
            return


def _schemas_of(event: Event) -> Iterator[tuple[bool, SchemaId]]:
    for is_key, data in ((True, event.key), (False, event.value)):
        if data and may_have_frame(data, event.headers, is_key=is_key):
            frame = read_frame(data, event.headers, is_key=is_key)
            if frame is not None:
                yield is_key, frame.schema


def topics_of(subject: Subject, topics: Sequence[TopicDescription]) -> list[tuple[TopicDescription, bool | None]]:
    """Return the topics whose events a subject's schemas may have written, most likely ones first.

    Args:
        topics: all topics.

    Returns:
        Each with True for its keys, False for its values, None for both: the topic that the subject is named after
        (TopicNameStrategy); else those with whose name it begins (TopicRecordNameStrategy), or those that were written
        last (RecordNameStrategy).
    """
    by_name = {topic.topic: topic for topic in topics}
    for ending, is_key in PARTS.items():
        topic = by_name.get(subject.name.removesuffix(ending))
        if topic is not None and subject.name.endswith(ending):
            return [(topic, is_key)]
    begun = [topic for topic in topics if subject.name.startswith(f"{topic.topic}-")]
    found = begun or sorted(topics, key=lambda topic: -(topic.last_append_ms or 0))[:TOPICS_MAX]
    return [(topic, None) for topic in found]


@dataclass(frozen=True, slots=True)
class TrialFailure:
    """Events that a consumer can't read, for one reason.

    Attributes:
        reason: names the path and the cause.
        written_with: the writer's schema in words.
        is_key: True if it is the events' key.
        events: how many there are.
        first: the newest of them.
    """

    reason: str
    written_with: str
    is_key: bool
    events: int
    first: Event


@dataclass(frozen=True, slots=True)
class EventTrial:
    """The newest events as a consumer with a schema reads them.

    Attributes:
        topics: the topics that were looked at.
        looked_at: how many events.
        read: how many keys and values the consumer reads.
        failed: how many it can't read.
        failures: the most frequent reasons, at most `FAILURES_MAX`.
        unframed: how many have no schema's id, and were left out.
        unknown: how many have the id of a schema that is not registered, and were left out.
        other: how many belong to other subjects, and were left out.
        complete: False if the time limit was reached.
    """

    topics: tuple[str, ...]
    looked_at: int
    read: int
    failed: int
    failures: tuple[TrialFailure, ...]
    unframed: int
    unknown: int
    other: int
    complete: bool


def try_on_events(
    schema: ParsedSchema,
    own: Collection[SchemaId],
    places: Iterable[tuple[TopicDescription, bool | None]],
    newest: Newest,
    decoder: EventDecoder,
) -> EventTrial:
    """Read the newest events of some topics as a consumer with a schema, for at most `TRIAL_S`.

    Args:
        own: the ids and GUIDs of the subject's schemas: in a topic that it is not named after, only these count.
        places: see `topics_of`.
        newest: reads events.
        decoder: finds the schemas that the events were written with.
    """
    trial = _Trial(schema, own, decoder)
    names = []
    for topic, part in places:
        names.append(topic.topic)
        for event in sampled(newest, topic.topic):
            if time.monotonic() > trial.until_s:
                return trial.result(names, complete=False)
            trial.add(event, part)
    return trial.result(names, complete=True)


class _Trial:
    def __init__(self, schema: ParsedSchema, own: Collection[SchemaId], decoder: EventDecoder) -> None:
        self.until_s = time.monotonic() + TRIAL_S
        self._schema = schema
        self._own = own
        self._decoder = decoder
        self._counts: Counter[str] = Counter()
        self._failures: dict[tuple[str, str, bool], list[Event]] = {}

    def add(self, event: Event, part: bool | None) -> None:
        """Read an event's key, its value, or both."""
        self._counts["looked at"] += 1
        for is_key in (True, False) if part is None else (part,):
            data = event.key if is_key else event.value
            if data is None:
                continue
            found = self._decoder.decode(event.topic, data, event.headers, is_key=is_key, consumer=self._schema)
            if found is None:
                self._counts["unframed"] += part is not None
            elif part is None and found.schema not in self._own:
                self._counts["other"] += 1
            elif found.found is None:
                self._counts["unknown"] += 1
            elif found.problem is None:
                self._counts["read"] += 1
            else:
                self._counts["failed"] += 1
                place = (found.reason or found.problem, found.label, is_key)
                self._failures.setdefault(place, []).append(event)

    def result(self, topics: Sequence[str], *, complete: bool) -> EventTrial:
        """Return what was found."""
        failures = [
            TrialFailure(reason, label, is_key, len(events), events[0])
            for (reason, label, is_key), events in self._failures.items()
        ]
        failures.sort(key=lambda one: -one.events)
        count = self._counts
        return EventTrial(
            tuple(topics),
            count["looked at"],
            count["read"],
            count["failed"],
            tuple(failures[:FAILURES_MAX]),
            count["unframed"],
            count["unknown"],
            count["other"],
            complete,
        )
