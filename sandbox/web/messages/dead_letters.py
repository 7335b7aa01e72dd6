"""Reads a dead letter's origin and the reason of its refusal from its headers.

Kafka has no standard for them. Supported are the headers of this page's consumers, of Spring for Apache Kafka
(`DeadLetterPublishingRecoverer`), of Kafka Connect (KIP-298) and of share groups (KIP-1191).
"""

import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from flask import current_app

from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import Event, EventAddress, Headers
from sandbox.model.dead_letters import letters_of as letters_of
from sandbox.model.json_conditions import HeaderName
from sandbox.model.messages import MessagePage, MessageQuery
from sandbox.model.topics import TopicDescription
from sandbox.playground.spec import SENT_BACK_HEADER
from sandbox.web.decoding import key_text
from sandbox.web.responses import backend, capabilities, is_topic

PLACE_HEADERS = {
    "dlq.topic": ("dlq.partition", "dlq.offset"),
    "kafka_dlt-original-topic": ("kafka_dlt-original-partition", "kafka_dlt-original-offset"),
    "__connect.errors.topic": ("__connect.errors.partition", "__connect.errors.offset"),
    "__dlq.errors.topic": ("__dlq.errors.partition", "__dlq.errors.offset"),
}
"""The header with a dead letter's original topic, to those with its original partition and offset."""
ORIGIN_HEADERS = tuple(PLACE_HEADERS)
BINARY_HEADERS = {
    "kafka_dlt-original-partition": 4,
    "kafka_dlt-original-offset": 8,
    "kafka_dlt-original-timestamp": 8,
}
"""Headers that Spring writes as a Java int or long, with their length in bytes."""
NAME_MAX_BYTES = 249
GROUP_HEADERS = ("dlq.group", "kafka_dlt-original-consumer-group", "__dlq.errors.group")
WHY_HEADERS = (
    "dlq.error",
    "kafka_dlt-exception-message",
    "__connect.errors.exception.message",
    "__dlq.errors.message",
)
REFUSAL_PREFIXES = ("dlq.", "kafka_dlt-", "__connect.errors.", "__dlq.errors.")
WHY_MAX = 200
PLACE = re.compile(r"([A-Za-z0-9._-]{1,249})/([0-9]{1,9})/([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The contents of a dead letter's headers.

    Attributes:
        topic: the original topic.
        place: the original partition and offset, None if the headers don't contain them.
        why: the reason of the refusal, "" if unknown.
        group: the group that refused it, "" if unknown.
    """

    topic: str
    place: tuple[int, int] | None
    why: str
    group: str = ""


def dead_letter(event: Event) -> DeadLetter | None:
    """Return the contents of a dead letter's headers; None if the event isn't a dead letter."""
    origin = _origin(event)
    if origin is None:
        return None
    headers = {name: value or b"" for name, value in event.headers}
    partition, offset = (_number(headers.get(name, b""), name) for name in PLACE_HEADERS[origin])
    place = None if partition is None or offset is None else (partition, offset)
    why = next((headers[name] for name in WHY_HEADERS if headers.get(name)), b"")
    group = next((headers[name] for name in GROUP_HEADERS if headers.get(name)), b"")
    topic = headers[origin].decode("utf-8", "replace")
    return DeadLetter(topic, place, why.decode("utf-8", "replace")[:WHY_MAX], group.decode("utf-8", "replace"))


def partition_header(event: Event) -> str | None:
    """Return the name of the header with a dead letter's original partition; None if the event isn't a dead letter."""
    origin = _origin(event)
    return None if origin is None else PLACE_HEADERS[origin][0]


def number_in(name: str, value: bytes | None) -> int | None:
    """Return the number in a header that Spring writes as a Java int or long; None for other headers or contents."""
    if value is None or len(value) != BINARY_HEADERS.get(name) or value.isdigit():
        return None
    return int.from_bytes(value, "big", signed=True)


def _number(said: bytes, name: str) -> int | None:
    """Return a header's number, 0 or more, from digits or from Spring's binary form; None if it has none."""
    if name in BINARY_HEADERS:
        found = number_in(name, said)
        return None if found is None or found < 0 else found
    return int(said) if said.isdigit() and len(said) < 19 else None


def why_column(events: Sequence[Event]) -> HeaderName | None:
    """Return the header with the reason, if most of the events are dead letters and one has it; else None."""
    letters = [origin_of(event) is not None for event in events]
    if 2 * sum(letters) <= len(letters):
        return None
    there = {name for event in events for name, _ in event.headers}
    return next((HeaderName(name) for name in WHY_HEADERS if name in there), None)


def sent_back(event: Event) -> Headers:
    """Return the headers for sending a dead letter back: the original ones, and one with the dead letter's address."""
    place = f"{event.topic}/{event.partition}/{event.offset}"
    return (*without_refusal(event.headers), (SENT_BACK_HEADER, place.encode()))


def came_from(event: Event) -> EventAddress | None:
    """Return the dead letter that was sent back as this event; None if its headers name none."""
    said = dict(event.headers).get(SENT_BACK_HEADER) or b""
    found = PLACE.fullmatch(said.decode("ascii", "replace"))
    return (found[1], int(found[2]), int(found[3])) if found else None


def without_refusal(headers: Headers) -> Headers:
    """Return an event's original headers, without those that its refusal added."""
    return tuple((name, value) for name, value in headers if not name.startswith(REFUSAL_PREFIXES))


def origin_of(event: Event) -> str | None:
    """Return a dead letter's original topic; None if the headers name none."""
    origin = _origin(event)
    return None if origin is None else (dict(event.headers)[origin] or b"").decode("utf-8", "replace")


def _origin(event: Event) -> str | None:
    """Return the name of the header with the original topic."""
    headers = dict(event.headers)
    return next((name for name in ORIGIN_HEADERS if 0 < len(headers.get(name) or b"") <= NAME_MAX_BYTES), None)


def one_origin(events: Iterable[Event]) -> str | None:
    """Return the original topic of all events; None if they have none or several."""
    origins = {origin_of(event) for event in events}
    return origins.pop() if len(origins) == 1 else None


def tell_returned(stored: Sequence[Event]) -> None:
    """Record the events that are returned dead letters; one entry for all.

    Args:
        stored: events just stored in one topic.
    """
    returned = [(letter, event) for event in stored if (letter := came_from(event)) is not None]
    if not returned or not capabilities().activity:
        return
    letter, event = returned[-1]
    details = {
        "dead_letters": len(returned),
        "from": _place(*letter),
        "to": _place(event.topic, event.partition, event.offset),
    }
    backend().activity.note("returned", details, topic=event.topic)


def _place(topic: str, partition: int, offset: int) -> dict[str, object]:
    """Return an event's place as the activity stores it."""
    return {"topic": topic, "partition": partition, "offset": offset}


ENDINGS = (".dlq", "-dlt", ".DLT")
"""Suffixes of dead-letter topics, as used here and by Spring for Apache Kafka."""
LOOK_BUDGET_MS = 50
LETTERS_MAX = 200
"""The maximum number of dead letters with one key that are searched."""
RETURNS_MAX = 1000
"""The maximum number of returned events per topic that are read for a page of dead letters."""
ORIGINS_MAX = 3
"""The maximum number of topics that are searched for a page of dead letters: those where most of them come from."""

COUNTED_MAX = 200
"""The newest dead letters of a topic that are counted for the list of topics."""
COUNT_BUDGET_S = 0.06
"""Time limit for all counts of one page; what is left is counted when the page is drawn next."""
COUNT_AGAIN_S = 5.0
"""A count is this old at most: letters may be sent back without a change of the dead-letter topic."""
COUNTS_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class NotResent:
    """How many of a topic's dead letters were not sent back.

    Attributes:
        complete: False if only the newest `COUNTED_MAX` were looked at.
    """

    letters: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Untold:
    """A dead letter, by its headers or its topic's name, whose original topic is unknown or doesn't exist.

    Attributes:
        named: the topic named by its headers, which doesn't exist; None if they name none.
        likely: the topic derived from the dead-letter topic's name; None if it doesn't exist.
    """

    named: str | None
    likely: str | None


@dataclass(frozen=True, slots=True)
class Fate:
    """The outcome of a dead letter that was sent back.

    Attributes:
        back: the newest event that it was sent back as.
        again: the dead letter of that event, if it was refused again; None if none was found.
    """

    back: EventAddress
    again: EventAddress | None


@dataclass(frozen=True, slots=True)
class Story:
    """The history of an event that was refused or is a dead letter.

    Attributes:
        letter: the dead letter's headers, if it is one and its original topic exists; None for other events.
        untold: a dead letter whose original topic is unknown or doesn't exist; None for other events.
        fate: the dead letter's outcome; None if nothing was found.
        unsure: True if the time limit ended the search for a returned event.
        refused_in: the event's dead letter, if it was refused; None if none was found.
        refusal: the headers of that dead letter.
        came_from: the dead letter that was sent back as this event.
        topics: the topics where more may happen to the event.
    """

    letter: DeadLetter | None
    untold: Untold | None
    fate: Fate | None
    unsure: bool
    refused_in: EventAddress | None
    refusal: DeadLetter | None
    came_from: EventAddress | None
    topics: frozenset[str]


def story_of(event: Event) -> Story:
    """Return an event's history; each search is limited to `LOOK_BUDGET_MS`."""
    letter = dead_letter(event)
    untold = _untold(event, letter)
    if letter is not None and (letter.topic == event.topic or untold is not None):
        letter = None
    quick = capabilities().find_key_fast
    back, known = _sent_back_as(event, letter) if letter is not None and quick else (None, True)
    fate = None if back is None else Fate(_place_of(back), _address(_refused_again(event, back)))
    topics, found = [], None
    if letter is not None:
        topics = [letter.topic]
    elif quick:
        topics = [name for ending in ENDINGS if is_topic(name := event.topic + ending)]
        found = next((one for name in topics if (one := _dead_letter_of(event, name)) is not None), None)
    refusal = dead_letter(found) if found is not None else None
    return Story(letter, untold, fate, not known, _address(found), refusal, came_from(event), frozenset(topics))


def fates_of(events: Sequence[Event]) -> dict[tuple[int, int], Fate]:
    """Return the known outcomes of the dead letters on a page, by partition and offset.

    Each original topic, and the dead-letter topic itself, is searched once for returned events, regardless of the
    number of dead letters. This takes about twice `LOOK_BUDGET_MS`.

    Args:
        events: events of one topic.
    """
    letters = {_place_of(event): letter for event in events if (letter := dead_letter(event)) is not None}
    origins = Counter(letter.topic for place, letter in letters.items() if letter.topic != place[0])
    if not origins or not capabilities().find_key_fast:
        return {}
    since_ms = min(event.timestamp_ms for event in events)
    back: dict[EventAddress, EventAddress] = {}
    asked = origins.most_common(ORIGINS_MAX)
    for topic, _ in asked:
        for event in _sent_back_in(topic, since_ms, LOOK_BUDGET_MS // len(asked)):
            before = came_from(event)
            if before in letters:
                back.setdefault(before, _place_of(event))
    if not back:
        return {}
    again: dict[EventAddress, EventAddress] = {}
    for event in [*_sent_back_in(events[0].topic, since_ms, LOOK_BUDGET_MS), *events]:
        if (was := _was(event, back)) is not None:
            again.setdefault(was, _place_of(event))
    return {place[1:]: Fate(at, again.get(at)) for place, at in back.items()}


def not_resent(topics: Iterable[TopicDescription]) -> dict[str, NotResent]:
    """Return how many dead letters of each dead-letter topic were not sent back; topics without any are left out.

    A topic is one of dead letters by its name. A page counts for `COUNT_BUDGET_S`; older counts are used beyond that.
    """
    letters = [topic for topic in topics if topic.events > 0 and letters_of(topic.topic) is not None]
    if not letters or not capabilities().find_key_fast:
        return {}
    kept = cast("dict[str, tuple[float, object, NotResent]]", current_app.extensions.setdefault("not_resent", {}))
    begin_s = time.monotonic()
    found = {}
    for topic in letters:
        ends = [(one.start, one.end) for one in topic.partitions]
        at_s, known_ends, count = kept.get(topic.topic_id, (0.0, None, None))
        stale = known_ends != ends or begin_s - at_s > COUNT_AGAIN_S
        if stale and time.monotonic() - begin_s < COUNT_BUDGET_S:
            count = _count_not_resent(topic)
            if len(kept) >= COUNTS_KEPT:
                kept.clear()
            kept[topic.topic_id] = (begin_s, ends, count)
        if count is not None and count.letters:
            found[topic.topic] = count
    return found


def _count_not_resent(topic: TopicDescription) -> NotResent:
    events = _search(MessageQuery(topic.topic, limit=COUNTED_MAX, budget_ms=LOOK_BUDGET_MS))
    fates = fates_of(events)
    return NotResent(sum((event.partition, event.offset) not in fates for event in events), len(events) >= topic.events)


def _was(event: Event, back: Mapping[EventAddress, EventAddress]) -> EventAddress | None:
    """Return the address of the refused event: from the dead letter's headers, or through the earlier dead letter they
    name.

    Args:
        event: any event; None is returned if it isn't a dead letter.
        back: dead letter to the newest event that it was sent back as.
    """
    letter = dead_letter(event)
    if letter is None:
        return None
    before = came_from(event)
    return (letter.topic, *letter.place) if letter.place is not None else back.get(before) if before else None


def _sent_back_in(topic: str, since_ms: int, budget_ms: int) -> tuple[Event, ...]:
    """Return a topic's newest events that name the dead letter they were."""
    return _search(
        MessageQuery(
            topic,
            headers=(SENT_BACK_HEADER,),
            since_ms=since_ms if since_ms >= 0 else None,
            limit=RETURNS_MAX,
            budget_ms=budget_ms,
        )
    )


def _untold(event: Event, letter: DeadLetter | None) -> Untold | None:
    named = letters_of(event.topic)
    if (letter is None and named is None) or (letter is not None and is_topic(letter.topic)):
        return None
    return Untold(letter.topic if letter is not None else None, named if named and is_topic(named) else None)


def _place_of(event: Event) -> EventAddress:
    return event.topic, event.partition, event.offset


def _address(event: Event | None) -> EventAddress | None:
    return None if event is None else _place_of(event)


def _sent_back_as(event: Event, letter: DeadLetter) -> tuple[Event | None, bool]:
    """Return the newest event that a dead letter was sent back as, and False if the time limit ended the search."""
    query = _returns_of(event, letter.topic)
    key = key_text(event)
    found = _first(replace(query, key=key, key_exact=True)) if key is not None else None
    if found is not None:
        return found, True
    # The key may have been changed.
    page = _page(query)
    return (page.events[0], True) if page is not None and page.events else (None, page is None or page.complete)


def _refused_again(event: Event, back: Event) -> Event | None:
    """Return the next dead letter of a dead letter that was sent back and refused again, in the same topic."""
    later = _first(_returns_of(event, event.topic))
    if later is not None and _was(later, {_place_of(event): _place_of(back)}) == _place_of(back):
        return later
    return _dead_letter_of(back, event.topic)


def _returns_of(event: Event, topic: str) -> MessageQuery:
    """Return the query for the newest event of a topic that names this dead letter."""
    header = f"{SENT_BACK_HEADER}={event.topic}/{event.partition}/{event.offset}"
    since_ms = event.timestamp_ms if event.timestamp_ms >= 0 else None
    return MessageQuery(topic, headers=(header,), since_ms=since_ms, limit=1, budget_ms=LOOK_BUDGET_MS)


def _dead_letter_of(event: Event, topic: str) -> Event | None:
    key = key_text(event)
    query = MessageQuery(topic, key=key, key_exact=key is not None, limit=LETTERS_MAX, budget_ms=LOOK_BUDGET_MS)
    if topic.endswith(ENDINGS[0]):
        told = {"dlq.topic": event.topic, "dlq.partition": event.partition, "dlq.offset": event.offset}
        return _first(replace(query, headers=tuple(f"{name}={said}" for name, said in told.items()), limit=1))
    if key is None:
        return None
    place = event.partition, event.offset
    for found in _search(query):
        letter = dead_letter(found)
        if letter is not None and (letter.topic, letter.place) == (event.topic, place):
            return found
    return None


def _first(query: MessageQuery) -> Event | None:
    return next(iter(_search(query)), None)


def _search(query: MessageQuery) -> tuple[Event, ...]:
    page = _page(query)
    return () if page is None else page.events


def _page(query: MessageQuery) -> MessagePage | None:
    try:
        return backend().messages(query)
    except BrokerError:
        # The topic was deleted meanwhile.
        return None
