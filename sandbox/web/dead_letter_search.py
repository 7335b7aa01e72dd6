"""What became of a dead letter, and of an event that was refused: looked up where that is quick, by what headers say.

Nothing else is known of it: where nothing is found, nothing is said.
"""

from dataclasses import dataclass

from sandbox.description import MessageQuery
from sandbox.errors import BrokerError
from sandbox.event import Event
from sandbox.playground.spec import SENT_BACK_HEADER
from sandbox.web.dead_letters import Address, DeadLetter, came_from, dead_letter
from sandbox.web.page import backend

ENDINGS = (".dlq", "-dlt", ".DLT")
"""What follows the name of a topic in that of its dead letters: here, and in Spring for Apache Kafka."""
LOOK_BUDGET_MS = 50
LETTERS_MAX = 200
"""Letters of one key that are looked at."""


@dataclass(frozen=True, slots=True)
class Story:
    """What is known of an event that was refused, or is a dead letter.

    Attributes:
        letter: what its headers tell, where it is a dead letter of a topic that is here; None for another event.
        back: the newest event as which the letter was sent back; None where none was found.
        refused_in: its dead letter, where it was refused; None where none was found.
        refusal: what the headers of that dead letter tell.
        came_from: the dead letter that it was before it was sent back.
        topics: those where more of the story may yet happen.
    """

    letter: DeadLetter | None
    back: Address | None
    refused_in: Address | None
    refusal: DeadLetter | None
    came_from: Address | None
    topics: frozenset[str]


def story_of(event: Event) -> Story:
    """Tell what is known; each look is bounded by `LOOK_BUDGET_MS`."""
    letter = dead_letter(event)
    if letter is not None and (letter.topic == event.topic or not _is_there(letter.topic)):
        letter = None
    # A sandbox file has an index of keys. A cluster has none: its events would have to be read.
    quick = "sql" not in backend().lacks
    back = _address(_sent_back_as(event, letter)) if letter is not None and quick else None
    topics, found = [], None
    if letter is not None:
        topics = [letter.topic]
    elif quick:
        topics = [name for ending in ENDINGS if _is_there(name := event.topic + ending)]
        found = next((one for name in topics if (one := _dead_letter_of(event, name)) is not None), None)
    refusal = dead_letter(found) if found is not None else None
    return Story(letter, back, _address(found), refusal, came_from(event), frozenset(topics))


def _is_there(topic: str) -> bool:
    try:
        backend().topic(topic)
    except BrokerError:
        return False
    return True


def _address(event: Event | None) -> Address | None:
    return None if event is None else (event.topic, event.partition, event.offset)


def _sent_back_as(event: Event, letter: DeadLetter) -> Event | None:
    header = f"{SENT_BACK_HEADER}={event.topic}/{event.partition}/{event.offset}"
    since_ms = event.timestamp_ms if event.timestamp_ms >= 0 else None
    return _first(letter.topic, key=_text(event.key), headers=(header,), since_ms=since_ms) or _first(
        letter.topic, headers=(header,), since_ms=since_ms
    )


def _dead_letter_of(event: Event, topic: str) -> Event | None:
    if topic.endswith(ENDINGS[0]):
        told = {"dlq.topic": event.topic, "dlq.partition": event.partition, "dlq.offset": event.offset}
        headers = tuple(f"{name}={said}" for name, said in told.items())
        return _first(topic, key=_text(event.key), headers=headers)
    key = _text(event.key)
    if key is None:
        return None
    query = MessageQuery(topic, key=key, key_exact=True, limit=LETTERS_MAX, budget_ms=LOOK_BUDGET_MS)
    place = event.partition, event.offset
    for found in _search(query):
        letter = dead_letter(found)
        if letter is not None and (letter.topic, letter.place) == (event.topic, place):
            return found
    return None


def _text(key: bytes | None) -> str | None:
    """A key as a search takes it; None where it takes it not: no key, an empty one, or one that is no text."""
    try:
        return (key or b"").decode() or None
    except UnicodeDecodeError:
        return None


def _first(
    topic: str, *, key: str | None = None, headers: tuple[str, ...], since_ms: int | None = None
) -> Event | None:
    query = MessageQuery(
        topic,
        key=key,
        key_exact=key is not None,
        headers=headers,
        since_ms=since_ms,
        limit=1,
        budget_ms=LOOK_BUDGET_MS,
    )
    return next(iter(_search(query)), None)


def _search(query: MessageQuery) -> tuple[Event, ...]:
    try:
        return backend().messages(query).events
    except BrokerError:
        # Deleted in between.
        return ()
