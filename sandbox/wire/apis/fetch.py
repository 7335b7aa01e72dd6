"""Fetch, key 1, versions 4 to 18.

Differs from a real broker: batches that are no longer in the cache of recent ones are encoded from their rows again,
uncompressed, and small neighbours of them may come as one batch; offsets, timestamps, keys, values and headers are the
same.
Left out: fetches by followers, and tiered storage.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from sandbox.broker.logs.topic import Partition
from sandbox.broker.reply import Reply
from sandbox.kafka.errors import CODE, BrokerError, EventsDamaged
from sandbox.storage.file.failure import StorageFailed
from sandbox.wire.fetch_records import aborted_transactions, read_records
from sandbox.wire.fetch_sessions import FetchedPartition, FetchSession, Place
from sandbox.wire.node import Answer, Node, Request, Timer, topic_of

READ_COMMITTED = 1


def handle(request: Request) -> Answer | Reply[Answer]:
    """Read from each partition; wait up to `max_wait_ms` until there are `min_bytes`."""
    body = request.body
    try:
        session = request.node.sessions.begin(
            body.session_id, body.session_epoch, body.topics, body.forgotten_topics_data
        )
    except BrokerError as error:
        return {"error_code": error.code, "session_id": 0, "responses": []}
    reading = _Reading(request, session)
    if reading.enough() or body.max_wait_ms <= 0:
        return reading.answer()
    return _wait(reading, body.max_wait_ms)


class _Reading:
    """One look at every partition of a fetch."""

    def __init__(self, request: Request, session: FetchSession) -> None:
        self.request = request
        self.session = session
        self.stable = request.body.isolation_level == READ_COMMITTED
        self.partitions: set[Partition] = set()
        self.read()

    def read(self) -> None:
        """Look (again) at every partition."""
        self.found: dict[Place, dict[str, Any]] = {}
        self.size_bytes = 0
        self.failed = False
        left = min(self.request.body.max_bytes, self.request.node.broker.config.number("fetch.max.bytes"))
        for place, wanted in self.session.partitions.items():
            found = self._read_one(place, wanted, left)
            self.found[place] = found
            size = sum(map(len, found["records"]))
            self.size_bytes += size
            left -= size
            self.failed = self.failed or found["error_code"] != 0

    def _read_one(self, place: Place, wanted: FetchedPartition, left: int) -> dict[str, Any]:
        name, topic_id, number = place
        node = self.request.node
        answer: dict[str, Any] = {"partition_index": number, "error_code": 0, "records": []}
        answer["aborted_transactions"] = None
        try:
            partition = topic_of(self.request, name, topic_id or UUID(int=0)).partition(number)
            partition.check_leader(self.request.node.node_id)
            partition.check_leader_epoch(wanted.current_leader_epoch)
            self.partitions.add(partition)
            answer["high_watermark"] = partition.high_watermark
            answer["last_stable_offset"] = partition.last_stable_offset
            answer["log_start_offset"] = partition.start
            if not partition.start <= wanted.fetch_offset <= partition.high_watermark:
                raise BrokerError("OFFSET_OUT_OF_RANGE")
            if left > 0 or self.size_bytes == 0:
                size_bytes_max = min(left, wanted.partition_max_bytes)
                records = read_records(node, partition, wanted.fetch_offset, size_bytes_max, self.stable)
                # Only the very first batch of an answer may be larger than the limit (KIP-74).
                if self.size_bytes == 0 or sum(map(len, records)) <= size_bytes_max:
                    answer["records"] = records
            if self.stable:
                answer["aborted_transactions"] = aborted_transactions(
                    node, partition, wanted.fetch_offset, answer["records"]
                )
        except StorageFailed as error:
            # The other partitions may be whole. As in Kafka, the client asks again.
            node.broker.on_failure(error)
            answer |= {"error_code": CODE["KAFKA_STORAGE_ERROR"], "high_watermark": -1}
            answer |= {"last_stable_offset": -1, "log_start_offset": -1}
        except BrokerError as error:
            if isinstance(error, EventsDamaged):
                node.broker.on_damage(error)
            answer |= {"error_code": error.code, "high_watermark": -1, "last_stable_offset": -1, "log_start_offset": -1}
        return answer

    def enough(self) -> bool:
        """Whether the answer may go now."""
        return self.failed or self.size_bytes >= self.request.body.min_bytes or not self.session.partitions

    def answer(self) -> Answer:
        """The answer; of an incremental session, only what changed."""
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


def _wait(reading: _Reading, max_wait_ms: int) -> Reply[Answer]:
    node = reading.request.node
    reply: Reply[Answer] = Reply()
    timer: list[Timer] = []

    def look_again() -> None:
        reading.read()
        if reading.enough():
            finish()

    def forget() -> None:
        timer[0].cancel()
        _watch(node, reading.partitions, look_again, False)

    def finish() -> None:
        if not reply.done:
            forget()
            reply.set(reading.answer())

    reply.drop = forget
    timer.append(node.call_later(max_wait_ms, finish))
    _watch(node, reading.partitions, look_again, True)
    return reply


def _watch(node: Node, partitions: set[Partition], call: Callable[[], None], wanted: bool) -> None:
    for partition in partitions:
        calls = node.on_append.setdefault(partition.id, set())
        (calls.add if wanted else calls.discard)(call)
        if not calls:
            del node.on_append[partition.id]
