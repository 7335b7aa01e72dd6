"""Records in the activity log which dead letters were sent back from this page, and as which events."""

from collections.abc import Sequence

from sandbox.kafka.event import Event
from sandbox.web.messages.dead_letters import came_from
from sandbox.web.responses import backend, capabilities


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
