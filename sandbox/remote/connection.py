"""The clients of one cluster: how they are created, their time limits, and their errors in plain words."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from sandbox.kafka.errors import BY_CODE, BrokerError, ClusterAway

T = TypeVar("T")

TIMEOUT_S = 4.0
"""Time limit of one request to the cluster. A page sends few."""
MESSAGE_MAX_BYTES = 1_000_000_000
"""librdkafka's own limit is lifted: the broker applies the topic's setting and returns its own error."""
CONSUMERS_KEPT = 4
DELIVERY_MS = 10_000
FLUSH_S = 1.0
"""How long closing waits for events that were sent. Each sender waits for its own."""

_AWAY = ("_TRANSPORT", "_ALL_BROKERS_DOWN", "_TIMED_OUT", "_RESOLVE", "_TIMED_OUT_QUEUE", "_DESTROY", "_MSG_TIMED_OUT")
_CREDENTIALS = ("_AUTHENTICATION", "_SSL")
_OWN_NAMES = {
    "_UNKNOWN_TOPIC": "UNKNOWN_TOPIC_OR_PARTITION",
    "_UNKNOWN_PARTITION": "UNKNOWN_TOPIC_OR_PARTITION",
    "_INVALID_ARG": "INVALID_REQUEST",
    "_UNSUPPORTED_FEATURE": "UNSUPPORTED_VERSION",
}
_REFUSED = {
    "TOPIC_AUTHORIZATION_FAILED": "this topic",
    "GROUP_AUTHORIZATION_FAILED": "this group",
    "CLUSTER_AUTHORIZATION_FAILED": "the cluster",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED": "this transactional id",
}


class ClusterConnection:
    """All clients of one cluster.

    Args:
        bootstrap: "host:port", several separated by commas.
        settings: librdkafka settings, such as `security.protocol`.
        timeout_s: time limit of one request.
        read_only: why changes are refused; None if they are allowed.
    """

    def __init__(
        self, bootstrap: str, settings: Mapping[str, str], timeout_s: float = TIMEOUT_S, read_only: str | None = None
    ) -> None:
        self.bootstrap = bootstrap
        self._read_only = read_only
        self.timeout_s = timeout_s
        self._settings = dict(settings)
        self._trouble: tuple[float, str] | None = None
        self._idle: list[Consumer] = []
        self._lock = threading.Lock()
        self._closed = False
        self._producer: Producer | None = None
        self.admin = AdminClient(self._config({}))

    def require_writes(self) -> None:
        """Raise BrokerError POLICY_VIOLATION with the reason if changes are refused."""
        if self._read_only is not None:
            raise BrokerError("POLICY_VIOLATION", self._read_only)

    def _config(self, more: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "client.id": "kafka-sandbox-page",
            "log_level": 0,
            "error_cb": self._heard,
            "reconnect.backoff.max.ms": 1000,
            "socket.connection.setup.timeout.ms": max(1000, int(self.timeout_s * 1000)),
            **self._settings,
            **more,
            "bootstrap.servers": self.bootstrap,
        }

    def _heard(self, error: KafkaError) -> None:
        # Errors that explain why no broker answers: the calls themselves only time out. "All brokers down" explains
        # nothing: it
        # follows from the other errors.
        if error.name() in _CREDENTIALS or (self._trouble is None and error.name() != "_ALL_BROKERS_DOWN"):
            self._trouble = (time.monotonic(), error.str())

    def consumer(self) -> Consumer:
        """Return a consumer without a group. Return it with `keep`."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return Consumer(
            self._config(
                {
                    "group.id": "kafka-sandbox-page",
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "enable.partition.eof": True,
                    "auto.offset.reset": "error",
                    "isolation.level": "read_uncommitted",
                    "fetch.wait.max.ms": 50,
                    "fetch.error.backoff.ms": 50,
                    "fetch.queue.backoff.ms": 10,
                    "queued.max.messages.kbytes": 8192,
                    "allow.auto.create.topics": False,
                }
            )
        )

    def keep(self, consumer: Consumer) -> None:
        """Take a consumer back, for the next reader."""
        with suppress(KafkaException, RuntimeError):
            # A partition that is paused stays so, also when it is assigned again.
            consumer.resume(consumer.assignment())
            consumer.unassign()
            with self._lock:
                if len(self._idle) < CONSUMERS_KEPT and not self._closed:
                    self._idle.append(consumer)
                    return
        with suppress(KafkaException, RuntimeError):
            consumer.close()

    def producer(self) -> Producer:
        """Return the one producer, created at first use."""
        with self._lock:
            if self._producer is None:
                self._producer = Producer(
                    self._config(
                        {
                            "acks": "all",
                            "enable.idempotence": True,
                            "partitioner": "murmur2_random",
                            "linger.ms": 0,
                            "message.timeout.ms": int(self.timeout_s * 1000) + DELIVERY_MS,
                            "message.max.bytes": MESSAGE_MAX_BYTES,
                        }
                    )
                )
            return self._producer

    def close(self) -> None:
        """Close the consumers and flush the producer."""
        with self._lock:
            self._closed = True
            consumers, self._idle = self._idle, []
            producer, self._producer = self._producer, None
        for consumer in consumers:
            with suppress(KafkaException, RuntimeError):
                consumer.close()
        if producer is not None:
            producer.flush(min(self.timeout_s, FLUSH_S))

    def ask(self, question: Callable[[float], T]) -> T:
        """Send a request to the cluster.

        Args:
            question: called with its time limit in seconds.

        Raises:
            ClusterAway: no broker answers.
            BrokerError: Kafka's error.
        """
        try:
            answer = question(self.timeout_s)
        except KafkaException as error:
            raise self.error_of(error) from None
        self._trouble = None
        return answer

    def result(self, future: "Future[T]") -> T:
        """Return an admin call's result. Raises the same errors as `ask`."""

        def wait(timeout_s: float) -> T:
            try:
                return future.result(timeout_s + 1)
            except FutureTimeout:
                raise self.away("it did not answer in time") from None

        return self.ask(wait)

    def away(self, reason: str) -> ClusterAway:
        """Return the error for a cluster that doesn't answer, with the reason if it is known."""
        with suppress(KafkaException):
            # The error callbacks of an admin client are called here, and only here.
            self.admin.poll(0)
        if self._trouble is not None:
            reason = self._trouble[1]
        return ClusterAway(
            f"The cluster at {self.bootstrap} does not answer: {reason.rstrip('.')}. Is it running, and are the "
            "address and the security settings right? This page will reconnect automatically."
        )

    def error_of(self, error: KafkaException | KafkaError) -> BrokerError:
        """Kafka's error, or librdkafka's, as one of ours with a sentence."""
        kafka: KafkaError = error.args[0] if isinstance(error, KafkaException) else error
        name, code = kafka.name(), kafka.code()
        if name in _CREDENTIALS:
            return ClusterAway(f"The cluster at {self.bootstrap} does not let this program in: {kafka.str()}.")
        if name in _AWAY:
            return self.away(kafka.str())
        known = BY_CODE.get(code) if code > 0 else None
        if known is None:
            own = _OWN_NAMES.get(name)
            return BrokerError(own or "UNKNOWN_SERVER_ERROR", f"The cluster answers {name}: {kafka.str()}")
        if known.name in _REFUSED:
            return BrokerError(
                known.name,
                f"The user that this page logs in as may not do that with {_REFUSED[known.name]}. An administrator of "
                "the cluster can allow it with an ACL.",
            )
        return BrokerError(known.name, f"{kafka.str().removeprefix('Broker: ').rstrip('.')}.")
