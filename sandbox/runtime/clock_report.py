"""Reports that the system clock was set: in the log, in the activity and on the page."""

import logging
from datetime import UTC, datetime

from sandbox.broker.age_hold import AgeHold
from sandbox.broker.broker import Broker
from sandbox.model.durations import duration

logger = logging.getLogger("sandbox")


def trouble(hold: AgeHold) -> str | None:
    """Return the page's message while deletion by age is on hold, with what to do; None if it isn't."""
    if not hold.jump_ms:
        return None
    until = datetime.fromtimestamp(hold.until_ms / 1000, UTC)
    return (
        f"The system clock was set forward by {duration(hold.jump_ms)}. Until {until:%Y-%m-%d %H:%M} UTC nothing is "
        "deleted because of its age; then retention counts from the new time. If the clock is wrong, set it right "
        "before that. To keep events for longer, raise the topic's retention.ms."
    )


def report(broker: Broker, set_ms: int) -> None:
    """Report that the clock was set by `set_ms` (more than an hour); below 0 if it was set back."""
    words = f"set {'forward' if set_ms > 0 else 'back'} by {duration(abs(set_ms))}"
    logger.warning("%s", trouble(broker.age_hold) or f"The system clock was {words}.")
    broker.turn.note("clock", {"by_ms": set_ms})
