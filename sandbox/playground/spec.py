"""Settings of a playground consumer: its group, its topics, and its injected faults."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from sandbox.kafka.errors import BrokerError

SHARE = "share"
PROTOCOLS: Mapping[str, str] = {
    "classic": "consumer group, classic protocol",
    "consumer": "consumer group, consumer protocol",
    SHARE: "share group",
}
"""Kinds of groups by their `group.protocol`, in words. A member of a share group is a ShareConsumer (KIP-932)."""
ASSIGNORS: Mapping[str, tuple[str, ...]] = {
    "classic": ("range", "roundrobin", "cooperative-sticky"),
    "consumer": ("uniform", "range"),
    SHARE: ("simple",),
}
"""Group protocol to its assignors, the default first."""
RESETS = ("earliest", "latest")
COMMITS: Mapping[str, str] = {
    "after": "after each event",
    "before": "before each event is processed",
    "auto": "automatically, now and then",
    "never": "never",
}
"""When a consumer commits, in words. "auto" is Kafka's default: polled offsets are committed on a timer."""
ACKNOWLEDGEMENTS: Mapping[str, str] = {
    "accept": "accepts each event",
    "release": "releases each event for another delivery",
    "reject": "rejects each event",
    "expire": "holds each event until its lock expires",
}
"""How a member of a share group acknowledges an event that it has processed, in words."""
ENDINGS: Mapping[str, str] = {
    "dlq": "goes to the dead-letter topic",
    "stuck": "is retried forever",
    "skip": "is skipped",
}
"""What happens to an event that fails all its attempts, in words."""
DEAD_LETTERS = ".dlq"
SENT_BACK_HEADER = "dlq.sent-back-from"
"""Header of a dead letter that was sent back: its topic/partition/offset. Removed if it becomes a dead letter again."""
RATE_MIN, RATE_MAX = 0.5, 1000.0
SLOW_MAX_MS = 600_000
GROUP_MAX, TOPICS_MAX = 249, 20
CLIENT_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")
LIVE = frozenset(
    (
        *("rate", "slow_ms", "commit", "acknowledge", "fail", "fail_of", "fail_contains", "retries", "then", "flap_ms"),
        "writer_schemas",
    )
)
"""The settings that can be changed while the consumer is running."""


@dataclass(frozen=True, slots=True)
class ConsumerSpec:
    """The settings of one playground consumer.

    Attributes:
        group: its group id.
        topics: the topics it subscribes to.
        client_id: None for a generated name, `playground-1` and so on.
        protocol: `group.protocol`, "classic" or "consumer" (KIP-848), or "share" for a member of a share group.
        assignor: a name of `ASSIGNORS[protocol]`; None for the first of them.
        reset: `auto.offset.reset`, "earliest" or "latest". A share group gets it as `share.auto.offset.reset`, unless
            that is set.
        rate: maximum events per second, `RATE_MIN` to `RATE_MAX`; None for no limit.
        paused: True to start paused; events are then polled one by one.
        commit: a name of `COMMITS`.
        auto_commit_ms: `auto.commit.interval.ms`, for "auto".
        slow_ms: processing time per event, 0 to `SLOW_MAX_MS`.
        acknowledge: a name of `ACKNOWLEDGEMENTS`, for a share group.
        fail: number of offsets out of every `fail_of` that are poison; 0 for none. Processing a poison event always
            fails.
        fail_of: see `fail`.
        fail_contains: events whose key or value contains this text are poison too; "" for none.
        retries: number of retries of a poison event. In a share group the event is released for each.
        then: a name of `ENDINGS`: what happens to the event after that. In a share group "dlq" rejects it, "stuck"
            releases it again, until the group's delivery limit, and "skip" accepts it.
        flap_ms: interval at which it leaves and joins again; 0 for never.
        session_timeout_ms: `session.timeout.ms` of the classic protocol. In the consumer protocol, the broker decides.
        max_poll_interval_ms: `max.poll.interval.ms`.
        reader_schema: the Avro schema with which it reads values; an event that it can't read fails. "" for none.
        writer_schemas: (id, Avro schema) of the registry's schemas with which values are written: its process has no
            registry.
        max_poll_records: `max.poll.records` of a member of a share group: how many events it locks at a time.
        lock_ms: the share group's `share.record.lock.duration.ms`; None leaves it as it is.
    """

    group: str
    topics: tuple[str, ...]
    client_id: str | None = None
    protocol: str = "classic"
    assignor: str | None = None
    reset: str = "earliest"
    rate: float | None = 5.0
    paused: bool = False
    commit: str = "after"
    acknowledge: str = "accept"
    auto_commit_ms: int = 5000
    slow_ms: int = 0
    fail: int = 0
    fail_of: int = 10
    fail_contains: str = ""
    retries: int = 2
    then: str = "dlq"
    flap_ms: int = 0
    session_timeout_ms: int = 6000
    max_poll_interval_ms: int = 300_000
    reader_schema: str = ""
    writer_schemas: tuple[tuple[int, str], ...] = ()
    max_poll_records: int = 1
    lock_ms: int | None = None

    @property
    def poisoned(self) -> bool:
        """True if the settings make some events fail."""
        return self.fail > 0 or self.fail_contains != ""

    @property
    def shares(self) -> bool:
        """True for a member of a share group."""
        return self.protocol == SHARE

    @property
    def assigns_by(self) -> str:
        """The chosen assignor, or the protocol's default."""
        return self.assignor or ASSIGNORS[self.protocol][0]

    def injected(self) -> tuple[str, ...]:
        """Return the injected faults, in words."""
        found = []
        if self.slow_ms:
            found.append(f"slow: {self.slow_ms} ms per event")
        if self.shares:
            if self.acknowledge != "accept":
                found.append(ACKNOWLEDGEMENTS[self.acknowledge])
        elif self.commit == "never":
            found.append("skips commits")
        elif self.commit == "before":
            found.append("commits before it has processed")
        if self.fail:
            found.append(f"poison: {self.fail} of {self.fail_of} events fail")
        if self.fail_contains:
            found.append(f"poison: events with “{self.fail_contains}” fail")
        if self.flap_ms:
            found.append(f"comes and goes every {self.flap_ms / 1000:g} s")
        return tuple(found)

    def checked(self) -> "ConsumerSpec":
        """Check all settings and return self.

        Raises:
            BrokerError: INVALID_REQUEST with the reason, or INVALID_GROUP_ID.
        """
        if not self.group or len(self.group) > GROUP_MAX:
            raise BrokerError("INVALID_GROUP_ID", f"A group id has 1 to {GROUP_MAX} characters.")
        if not 1 <= len(self.topics) <= TOPICS_MAX:
            raise _invalid(f"A consumer reads 1 to {TOPICS_MAX} topics.")
        if self.client_id is not None and not CLIENT_ID.fullmatch(self.client_id):
            raise _invalid("A client id has 1 to 100 letters, digits, dots, underscores and hyphens.")
        self._check_names()
        self._check_numbers()
        return self

    def _check_names(self) -> None:
        for what, value, known in (
            ("A group protocol", self.protocol, tuple(PROTOCOLS)),
            ("auto.offset.reset", self.reset, RESETS),
            ("When to commit", self.commit, tuple(COMMITS)),
            ("The acknowledgement", self.acknowledge, tuple(ACKNOWLEDGEMENTS)),
            ("What becomes of a poison event", self.then, tuple(ENDINGS)),
        ):
            if value not in known:
                raise _invalid(f"{what} is one of {', '.join(known)}, not {value!r}.")
        if self.assignor is not None and self.assignor not in ASSIGNORS[self.protocol]:
            known_ones = ", ".join(ASSIGNORS[self.protocol])
            raise _invalid(f"The {self.protocol} protocol has the assignors {known_ones}, not {self.assignor!r}.")

    def _check_numbers(self) -> None:
        if self.rate is not None and not (math.isfinite(self.rate) and RATE_MIN <= self.rate <= RATE_MAX):
            raise _invalid(f"The rate is {RATE_MIN:g} to {RATE_MAX:g} events per second.")
        for name, least, most in (
            ("slow_ms", 0, SLOW_MAX_MS),
            ("fail_of", 1, 1_000_000),
            ("fail", 0, self.fail_of),
            ("retries", 0, 100),
            ("auto_commit_ms", 100, 600_000),
            ("session_timeout_ms", 100, 1_800_000),
            ("max_poll_interval_ms", self.session_timeout_ms, 86_400_000),
            ("max_poll_records", 1, 500),
            ("lock_ms", 1000, 3_600_000),
        ):
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise _invalid(f"{name} is {least} to {most}, not {value}.")
        if self.flap_ms and not 500 <= self.flap_ms <= SLOW_MAX_MS:
            raise _invalid(f"flap_ms is 0, or 500 to {SLOW_MAX_MS}.")

    def changed(self, changes: Mapping[str, Any]) -> "ConsumerSpec":
        """Return a checked copy with other values for some of the `LIVE` settings.

        Raises:
            BrokerError: INVALID_REQUEST.
        """
        fixed = set(changes) - LIVE
        if fixed:
            raise _invalid(f"{', '.join(sorted(fixed))}: can't be changed while the consumer is running.")
        return replace(self, **changes).checked()

    def live(self) -> dict[str, Any]:
        """Return the `LIVE` settings, which the worker reads again for each event."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name in LIVE}

    def kafka(self, client_id: str) -> dict[str, Any]:
        """Return the Kafka client's settings, without the connection."""
        if self.shares:
            return {
                "group.id": self.group,
                "client.id": client_id,
                "share.acknowledgement.mode": "explicit",
                "max.poll.records": self.max_poll_records,
                "max.poll.interval.ms": self.max_poll_interval_ms,
                "log_level": 2,
            }
        settings: dict[str, Any] = {
            "group.id": self.group,
            "client.id": client_id,
            "group.protocol": self.protocol,
            "auto.offset.reset": self.reset,
            "enable.auto.commit": True,
            # The timer commits stored offsets, and only "auto" stores them. So `commit` can be changed at run time.
            "enable.auto.offset.store": False,
            "auto.commit.interval.ms": self.auto_commit_ms,
            "max.poll.interval.ms": self.max_poll_interval_ms,
            # The user is watching, so new partitions must be noticed soon; the default is five minutes.
            "topic.metadata.refresh.interval.ms": 2000,
            "fetch.wait.max.ms": 200,
            "log_level": 2,
        }
        if self.protocol == "consumer":
            settings["group.remote.assignor"] = self.assigns_by
        else:
            settings["partition.assignment.strategy"] = self.assigns_by
            settings["session.timeout.ms"] = self.session_timeout_ms
            settings["heartbeat.interval.ms"] = max(50, min(1000, self.session_timeout_ms // 6))
        return settings

    def group_settings(self) -> dict[str, dict[str, str]]:
        """Return a share group's settings: those to set in any case, and those to set unless the group has them."""
        lock = {} if self.lock_ms is None else {"share.record.lock.duration.ms": str(self.lock_ms)}
        return {"set": lock, "default": {"share.auto.offset.reset": self.reset}}


def _invalid(reason: str) -> BrokerError:
    return BrokerError("INVALID_REQUEST", reason)
