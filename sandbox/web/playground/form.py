"""The form that starts a consumer of the playground: what it holds first, what is kept of it, and what it asks for."""

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
"""Settings and faults, as they are before anybody chose."""
FIRST = {"group": "playground", "topic": "", "count": "1", **WORK}
"""What the form holds before anybody wrote in it."""
KEPT_MAX = 2000
"""Characters of a form that are carried in the address."""


def filled(said: Mapping[str, str], before: Sequence[ConsumerSpec], topics: Sequence[str]) -> dict[str, str]:
    """What the form shows: what was chosen; where nothing was, group and topic of the newest consumer.

    Args:
        said: what was chosen so far, of a form or an address.
        before: consumers that were started with this form, the newest last.
        topics: those that there are.
    """
    newest = before[-1] if before else None
    again = {}
    if newest is not None and "group" not in said and newest.topics[0] in topics:
        again = {"group": newest.group, "topic": newest.topics[0]}
    return {**FIRST, **again, **{name: text for name, text in said.items() if name in FIRST}}


def kept(form: Mapping[str, str]) -> dict[str, str]:
    """What is carried on after a start, so that the next one is like it: group and topic, and what is not as usual."""
    told = {name: form.get(name, "") for name in ("group", "topic")}
    more = {name: form[name] for name, first in FIRST.items() if name in form and form[name] != first}
    return told if sum(map(len, more.values())) > KEPT_MAX else told | more


def tuned(form: Mapping[str, str]) -> int:
    """How many settings and faults of a filled form are not as usual: said where they are folded up."""
    return sum(form[name] != first for name, first in WORK.items())


def spec_of(form: Mapping[str, str]) -> ConsumerSpec:
    """What a form asks for.

    Raises:
        BrokerError: INVALID_REQUEST with what is not a number.
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
    """What a form says of the things that can be changed at work."""
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
