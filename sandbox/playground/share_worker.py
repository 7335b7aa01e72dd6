"""Runs one playground member of a share group (KIP-932) in its own process, like `sandbox.playground.worker`.

It acknowledges each event explicitly, as its settings say: accepts it, releases it, rejects it, or holds it until its
lock has expired.
"""

import time
from contextlib import suppress
from typing import Any

from confluent_kafka import AcknowledgeType, KafkaException, ShareConsumer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    ResourceType,
)

from sandbox.playground.worker import POLL_S, STEP_S, Worker, main

ANSWER_S = 10.0
AFTER_LOCK_S = 0.3
LOOK_S = 0.1
LOCK = "share.record.lock.duration.ms"
TYPES = {"released": AcknowledgeType.RELEASE, "rejected": AcknowledgeType.REJECT}
OUTCOMES = {"accept": "processed", "release": "released", "reject": "rejected", "expire": "expired"}
ENDINGS = {"dlq": "rejected", "stuck": "released", "skip": "skipped"}
"""The outcome of a poison event after its last retry."""


class ShareWorker(Worker):
    """The main loop of a member of a share group."""

    def _open(self) -> None:
        self._admin = AdminClient({**self._task["connection"], "log_level": 2})
        self._prepare_group()
        self._consumer: Any = ShareConsumer(
            {**self._task["connection"], **self._task["kafka"], "error_cb": self._failed}
        )
        self._opened_s = time.monotonic()
        self._waiting.clear()
        self._consumer.subscribe(self._task["topics"])

    def _prepare_group(self) -> None:
        """Set the group's settings."""
        settings = self._task["group_settings"]
        found = self._group_settings()
        missing = {
            name: value
            for name, value in settings["default"].items()
            if found[name].source not in (ConfigSource.GROUP_CONFIG, ConfigSource.GROUP_CONFIG.value)
        }
        wanted = {**missing, **settings["set"]}
        if wanted:
            entries = [ConfigEntry(*one, incremental_operation=AlterConfigOpType.SET) for one in wanted.items()]
            group = self._task["kafka"]["group.id"]
            resource = ConfigResource(ResourceType.GROUP, group, incremental_configs=entries)
            self._admin.incremental_alter_configs([resource])[resource].result(ANSWER_S)

    def _group_settings(self) -> dict[str, Any]:
        resource = ConfigResource(ResourceType.GROUP, self._task["kafka"]["group.id"])
        found: dict[str, Any] = self._admin.describe_configs([resource])[resource].result(ANSWER_S)
        return found

    # The loop

    def _next(self) -> Any:
        """Return the next event to handle, or None. A paused member doesn't poll, because that locks events."""
        if self._report.paused and not self._steps:
            self._wait(POLL_S)
            return None
        until = time.monotonic() + (STEP_S if self._report.paused else 0.0)
        while not self._waiting:
            self._waiting.extend(self._polled())
            if time.monotonic() >= until or self._closing:
                break
            self._obey()
        self._steps = max(0, self._steps - 1)
        if self._waiting:
            return self._waiting.popleft()
        if self._report.paused:
            self._report.note("polled: nothing new")
        return None

    def _polled(self) -> list[Any]:
        messages = []
        for message in self._consumer.poll(POLL_S) or ():
            error = message.error()
            if error is None:
                messages.append(message)
            else:
                self._report.error = error.str()
                self._report.note(error.str())
        self._report.joined = True
        if messages:
            self._report.error = None
        return messages

    def _look(self) -> None:
        self._report.send()

    def _mine(self, message: Any) -> bool:
        return True

    # One event

    def _handle(self, message: Any) -> None:
        self._report.working = [message.topic(), message.partition(), message.offset()]
        deliveries = message.delivery_count() or 1
        if deliveries > 1:
            self._report.counts["redeliveries"] += 1
        if self._live["slow_ms"]:
            self._wait(self._live["slow_ms"] / 1000)
        outcome = self._outcome(message, deliveries)
        if outcome == "expired":
            self._hold_until_expired()
        if not self._closing:
            if not self._acknowledge(message, outcome):
                outcome = "expired"
            self._report.counts[outcome] += 1
            self._report.handled(message, outcome, deliveries)
        self._report.working = None
        self._report.send()

    def _outcome(self, message: Any, deliveries: int) -> str:
        if self._poison(message) is None:
            return OUTCOMES[self._live["acknowledge"]]
        self._report.counts["failures"] += 1
        return ENDINGS[self._live["then"]] if deliveries > self._live["retries"] else "released"

    def _hold_until_expired(self) -> None:
        lock_s = int(self._group_settings()[LOCK].value) / 1000
        until = time.monotonic() + lock_s + AFTER_LOCK_S
        while time.monotonic() < until and not self._closing and self._live["acknowledge"] == "expire":
            self._wait(LOOK_S)

    def _acknowledge(self, message: Any, outcome: str) -> bool:
        """Acknowledge an event. Returns False if the broker refused, because the event's lock had expired."""
        try:
            self._consumer.acknowledge(message, TYPES.get(outcome, AcknowledgeType.ACCEPT))
            answers = self._consumer.commit_sync(ANSWER_S)
        except KafkaException as error:
            refused: Any = error
        else:
            refused = next((one for one in answers.values() if one is not None), None)
        if refused is None:
            self._report.counts["commits"] += 1
            return True
        self._report.counts["refused"] += 1
        with suppress(AttributeError, IndexError):
            self._report.note(f"acknowledgement refused: {refused.args[0].str()}; the event is delivered again")
        return False


if __name__ == "__main__":
    main(ShareWorker)
