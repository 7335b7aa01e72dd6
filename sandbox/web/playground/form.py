"""The form that starts a Playground consumer: its initial fields, the fields kept after a start, and the spec it
describes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.kafka.errors import BrokerError
from sandbox.playground.spec import ConsumerSpec

WORK = {
    "rate": "5",
    "commit": "after",
    "slow_ms": "",
    "fail": "",
    "fail_of": "10",
    "fail_contains": "",
    "retries": "2",
    "then": "dlq",
    "flap_ms": "",
    "reset": "earliest",
    "protocol": "classic",
    "assignor": "",
    "auto_commit_ms": "",
    "session_timeout_ms": "",
    "max_poll_interval_ms": "",
    "client_id": "",
    "topics": "",
    "paused": "",
}
"""Settings and faults, with their initial values."""
FIRST = {"group": "playground", "topic": "", "count": "1", **WORK}
"""The form's initial fields."""
KEPT_MAX = 2000
"""The maximum number of characters of a form that an address carries."""


def filled(said: Mapping[str, str], before: Sequence[ConsumerSpec], topics: Sequence[str]) -> dict[str, str]:
    """Return the form's fields: the submitted ones; without a group, the group and topic of the newest consumer.

    Args:
        said: the submitted fields, of a form or an address.
        before: consumers that were started with this form, newest last.
        topics: the existing topics.
    """
    newest = before[-1] if before else None
    again = {}
    if newest is not None and "group" not in said and newest.topics[0] in topics:
        again = {"group": newest.group, "topic": newest.topics[0]}
    return {**FIRST, **again, **{name: text for name, text in said.items() if name in FIRST}}


def kept(form: Mapping[str, str]) -> dict[str, str]:
    """Return the fields kept after a start for the next consumer: group, topic, and fields that differ from `FIRST`."""
    told = {name: form.get(name, "") for name in ("group", "topic")}
    more = {name: form[name] for name, first in FIRST.items() if name in form and form[name] != first}
    return told if sum(map(len, more.values())) > KEPT_MAX else told | more


def tuned(form: Mapping[str, str]) -> int:
    """Return how many settings and faults differ from their initial values; shown while they are collapsed."""
    return sum(form[name] != first for name, first in WORK.items())


def spec_of(form: Mapping[str, str]) -> ConsumerSpec:
    """Return the spec of the form's consumer.

    Raises:
        BrokerError: INVALID_REQUEST for a field that must be a number.
    """
    topics = [form.get("topic", ""), *form.get("topics", "").replace(",", " ").split()]
    protocol = form.get("protocol") or "classic"
    return ConsumerSpec(
        group=form.get("group", "").strip(),
        topics=tuple(dict.fromkeys(topic for topic in topics if topic)),
        client_id=form.get("client_id", "").strip() or None,
        protocol=protocol,
        assignor=form.get("assignor") or None,
        reset=form.get("reset") or "earliest",
        paused=form.get("paused") == "1",
        auto_commit_ms=whole(form, "auto_commit_ms", 5000),
        session_timeout_ms=whole(form, "session_timeout_ms", 6000),
        max_poll_interval_ms=whole(form, "max_poll_interval_ms", 300_000),
        **live_of(form),
    )


def live_of(form: Mapping[str, str]) -> dict[str, Any]:
    """Return the form's values for the options that can be changed while a consumer runs."""
    rate = form.get("rate", "").strip()
    try:
        each_s = float(rate) if rate else None
    except ValueError:
        raise BrokerError("INVALID_REQUEST", f"The rate must be a number, not {rate!r}.") from None
    return {
        "rate": each_s,
        "commit": form.get("commit") or "after",
        "slow_ms": whole(form, "slow_ms", 0),
        "fail": whole(form, "fail", 0),
        "fail_of": whole(form, "fail_of", 10),
        "fail_contains": form.get("fail_contains", ""),
        "retries": whole(form, "retries", 2),
        "then": form.get("then") or "dlq",
        "flap_ms": whole(form, "flap_ms", 0),
    }


def whole(form: Mapping[str, str], name: str, default: int) -> int:
    text = form.get(name, "").strip()
    try:
        return int(text) if text else default
    except ValueError:
        raise BrokerError("INVALID_REQUEST", f"{name} must be a whole number, not {text!r}.") from None
