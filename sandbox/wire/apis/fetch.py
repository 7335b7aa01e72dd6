"""Fetch, key 1, versions 4 to 18.

Differs from a real broker: batches that are not in the cache of recent batches are encoded from their rows,
uncompressed, and adjacent small ones may be sent as one batch; offsets, timestamps, keys, values and headers don't
change. An answer has at most 2 MB, less if clients read slowly, but at least its first batch. A broker may return less
than requested (KIP-74); partitions without events in an answer are the first ones in the session's next answer. A fetch
whose `min_bytes` exceed such an answer doesn't wait for them. A fetch without a partition whose offset its connection
has just looked up is answered after 5 ms: the client's next one will have it.
Left out: fetches by followers, and tiered storage.
"""

import logging
from collections.abc import Generator
from typing import Any
from uuid import UUID

from sandbox.broker.logs.topic import Partition
from sandbox.broker.reply import Reply
from sandbox.kafka.errors import CODE, BrokerError, EventsDamaged
from sandbox.storage.file.failure import StorageFailed
from sandbox.wire.fetch_records import aborted_transactions, has_more, read_records
from sandbox.wire.fetch_sessions import FetchedPartition, FetchSession, SessionPartition
from sandbox.wire.held_bytes import AnswerSize
from sandbox.wire.node import Answer, Request, Timer, readable_topic
from sandbox.wire.refusals import refuse
from sandbox.wire.time_slices import Steps

READ_COMMITTED = 1
STARTING_WAIT_MS = 5
"""The wait of a Fetch that leaves out partitions whose offset its connection has just looked up."""
PARTITIONS_PER_STEP = 64
"""The number of partitions after which a fetch can be interrupted, if nothing is read from rows."""

logger = logging.getLogger("sandbox.wire")


def fetch(request: Request) -> Answer | Reply[Answer]:
    """Fetch, key 1, versions 4 to 18.

    Differs from a real broker: batches that are not in the cache of recent batches are encoded from their rows,
    uncompressed, and adjacent small ones may be sent as one batch; offsets, timestamps, keys, values and headers don't
    change. An answer has at most 2 MB, less if clients read slowly, but at least its first batch. A broker may return
    less than requested (KIP-74); partitions without events in an answer are the first ones in the session's next
    answer. A fetch whose `min_bytes` exceed such an answer doesn't wait for them. A fetch without a partition whose
    offset its connection has just looked up is answered after 5 ms: the client's next one will have it.
    Left out: fetches by followers, and tiered storage.
    """
    body = request.body
    try:
        session = request.node.sessions.begin(
            body.session_id, body.session_epoch, body.topics, body.forgotten_topics_data
        )
    except BrokerError as error:
        return {"error_code": error.code, "session_id": 0, "responses": []}
    reply = _Fetch(request, session).reply
    return reply.result() if reply.done else reply


class _Reading:
    """One pass over every partition of a fetch."""

    def __init__(self, request: Request, session: FetchSession) -> None:
        self.request = request
        self.session = session
        self.stable = request.body.isolation_level == READ_COMMITTED
        self.partitions: dict[SessionPartition, tuple[Partition, int]] = {}
        self.found: dict[SessionPartition, dict[str, Any]] = {}
        self.size_bytes = 0
        self.failed = False
        self._size = AnswerSize(request.node.held)
        config = request.node.broker.config
        self._bytes_max = min(request.body.max_bytes, config.number("fetch.max.bytes"))

    def steps(self) -> Steps:
        """Read every partition. It can be interrupted at each `yield`."""
        try:
            for number, (place, wanted) in enumerate(tuple(self.session.partitions.items()), 1):
                if number % PARTITIONS_PER_STEP == 0:
                    yield
                found = yield from self._read_one(place, wanted)
                self.found[place] = found
                self.size_bytes += sum(map(len, found["records"]))
                self.failed = self.failed or found["error_code"] != 0
        finally:
            self._size.forget()

    def _read_one(self, place: SessionPartition, wanted: FetchedPartition) -> Generator[None, None, dict[str, Any]]:
        name, topic_id, number = place
        node = self.request.node
        answer: dict[str, Any] = {"partition_index": number, "error_code": 0, "records": []}
        answer["aborted_transactions"] = None
        try:
            partition = readable_topic(self.request, name, topic_id or UUID(int=0)).partition(number)
            partition.check_leader(self.request.node.node_id)
            partition.check_leader_epoch(wanted.current_leader_epoch)
            self.partitions[place] = partition, wanted.fetch_offset
            if not partition.start <= wanted.fetch_offset <= partition.high_watermark:
                raise BrokerError("OFFSET_OUT_OF_RANGE")
            left = min(self._bytes_max, node.held.answer_bytes_max) - self.size_bytes
            if left > 0 or self.size_bytes == 0:
                size_bytes_max = min(left, wanted.partition_max_bytes)
                records = yield from read_records(
                    node, partition, wanted.fetch_offset, size_bytes_max, self.stable, self._size, self.size_bytes == 0
                )
                # Only the first batch of an answer may exceed the limit (KIP-74).
                if self.size_bytes == 0 or sum(map(len, records)) <= size_bytes_max:
                    answer["records"] = records
            # The current values: they may include events that were appended during the read and are not in the answer.
            answer["high_watermark"] = partition.high_watermark
            answer["last_stable_offset"] = partition.last_stable_offset
            answer["log_start_offset"] = partition.start
            if self.stable:
                answer["aborted_transactions"] = aborted_transactions(
                    node, partition, wanted.fetch_offset, answer["records"]
                )
        except StorageFailed as error:
            # The other partitions may be readable. As in Kafka, the client retries.
            node.broker.on_failure(error)
            answer |= {"error_code": CODE["KAFKA_STORAGE_ERROR"], "high_watermark": -1}
            answer |= {"last_stable_offset": -1, "log_start_offset": -1}
        except BrokerError as error:
            if isinstance(error, EventsDamaged):
                node.broker.on_damage(error)
            answer |= {"error_code": error.code, "high_watermark": -1, "last_stable_offset": -1, "log_start_offset": -1}
        return answer

    def enough(self) -> bool:
        """Return True if the answer may be sent: it has enough bytes, or the rest did not fit."""
        if self.failed or self.size_bytes >= self.request.body.min_bytes or not self.session.partitions:
            return True
        return self.size_bytes > 0 and any(
            has_more(partition, self.found[place]["records"], offset, self.stable)
            for place, (partition, offset) in self.partitions.items()
        )

    def answer(self) -> Answer:
        """Return the answer; in an incremental session, only the changes."""
        topics: dict[tuple[str, UUID], list[dict[str, Any]]] = {}
        for place, found in self.found.items():
            wanted = self.session.partitions.get(place)
            marks = (found["high_watermark"], found.get("log_start_offset", -1), found.get("last_stable_offset", -1))
            changed = bool(found["records"]) or found["error_code"] != 0 or wanted is None or wanted.sent != marks
            if wanted is not None:
                wanted.sent = marks
                if found["records"]:
                    self.session.partitions.move_to_end(place)
            if changed or not self.session.incremental:
                topics.setdefault(place[:2], []).append(found)
        return {
            "session_id": self.session.id,
            "responses": [
                {"topic": name, "topic_id": topic_id, "partitions": partitions}
                for (name, topic_id), partitions in topics.items()
            ],
        }


class _Fetch:
    """One request: reads, waits for appends if there are not enough bytes, and reads again.

    Attributes:
        reply: its answer.
    """

    def __init__(self, request: Request, session: FetchSession) -> None:
        self.reply: Reply[Answer] = Reply(self._drop)
        self._request = request
        self._session = session
        self._timer: Timer | None = None
        self._last_look = request.body.max_wait_ms <= 0
        self._steps: Steps | None = None
        self._appended = False
        self._watched: set[Partition] = set()
        self._empty: _Reading | None = None
        self._look()

    def _look(self) -> None:
        """Read every partition, now or in steps. Then answer, or wait."""
        if self._steps is not None:
            self._appended = True
            return
        self._steps = self._read()
        if not self._request.node.slices.run(self._steps) and not self._watched:
            # Appends to a partition after it was read are not reported yet.
            self._appended = True

    def _read(self) -> Steps:
        reading = _Reading(self._request, self._session)
        try:
            yield from reading.steps()
            if self._last_look or reading.enough():
                self._finish(reading)
        except Exception:
            logger.exception("a Fetch of %s failed", self._request.client_host)
            self._stop_waiting()
            self.reply.set(refuse(self._request, BrokerError("UNKNOWN_SERVER_ERROR")))
        finally:
            self._steps = None
        if self.reply.done:
            return
        self._empty = None if reading.size_bytes else reading
        self._wait({partition for partition, _ in reading.partitions.values()})
        if self._appended:
            # Events were appended during the read. Another pass checks if there are enough bytes now.
            self._appended = False
            self._request.node.slices.add_read(self._look_again)

    def _look_again(self) -> bool:
        if not self.reply.done:
            self._look()
        return False

    def _wait(self, partitions: set[Partition]) -> None:
        if self._timer is None:
            wait_ms = self._request.body.max_wait_ms
            looked_up = self._request.looked_up
            if looked_up is not None and looked_up.is_missing(partitions):
                wait_ms = min(wait_ms, STARTING_WAIT_MS)
            self._timer = self._request.node.call_later(wait_ms, self._time_over)
        if partitions != self._watched:
            self._watch(wanted=False)
            self._watched = partitions
            self._watch(wanted=True)

    def _time_over(self) -> None:
        self._last_look = True
        if self._steps is None and self._empty is not None:
            # Nothing was found, as for most consumers, so there is nothing to read again.
            self._finish(self._empty)
        else:
            self._look()

    def _finish(self, reading: _Reading) -> None:
        self._stop_waiting()
        if not self.reply.done:
            self.reply.set(reading.answer())

    def _drop(self) -> None:
        """Stop, because the client has disconnected."""
        self._stop_waiting()
        steps, self._steps = self._steps, None
        if steps is not None:
            steps.close()

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._watch(wanted=False)
        self._watched = set()

    def _watch(self, wanted: bool) -> None:
        on_append = self._request.node.on_append
        for partition in self._watched:
            calls = on_append.setdefault(partition.id, set())
            (calls.add if wanted else calls.discard)(self._look)
            if not calls:
                del on_append[partition.id]
