"""Records of share groups: fetched and acknowledged (KIP-932, KIP-1206, KIP-1222)."""

import logging
from collections.abc import Generator, Mapping
from typing import Any
from uuid import UUID

from sandbox.broker.logs.topic import Partition
from sandbox.broker.reply import Reply
from sandbox.broker.shares.window import AcknowledgedRange, AcknowledgeType, ReadRange, ranges_of
from sandbox.kafka.errors import CODE, BrokerError, EventsDamaged
from sandbox.storage.file.failure import StorageFailed
from sandbox.wire.fetch_records import read_records
from sandbox.wire.held_bytes import AnswerSize
from sandbox.wire.node import Answer, Node, Request, Timer, topic_of
from sandbox.wire.records import batch as record_batch
from sandbox.wire.refusals import refuse
from sandbox.wire.share_reads import is_stable, read_range, window_of
from sandbox.wire.share_sessions import FINAL_EPOCH, INITIAL_EPOCH, Member, Place, ShareSession
from sandbox.wire.time_slices import Steps

RENEW_SINCE = 2
"""The version of both requests since which records can be renewed (KIP-1222)."""
NO_PARTITIONS: Mapping[Place, BrokerError | None] = {}


def check_member(request: Request) -> Member:
    """Return the group and member of a request. Raises BrokerError INVALID_REQUEST, GROUP_ID_NOT_FOUND."""
    body = request.body
    if body.group_id is None:
        raise BrokerError("INVALID_REQUEST", "Invalid group id in the request.")
    if not body.member_id:
        raise BrokerError("INVALID_REQUEST", "Invalid member id in the request.")
    request.node.coordinator.share_group(body.group_id)
    return body.group_id, body.member_id


def led_partition(request: Request, place: Place) -> Partition:
    """Return a partition that this broker leads.

    Raises:
        BrokerError: UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER.
    """
    partition = topic_of(request, None, place[0]).partition(place[1])
    partition.check_leader(request.node.node_id)
    return partition


def acknowledge(request: Request, member: Member) -> dict[Place, BrokerError | None]:
    """Apply a request's acknowledgements. Returns the outcome for each partition that has some."""
    outcome: dict[Place, BrokerError | None] = {}
    for topic in request.body.topics:
        for wanted in topic.partitions:
            if wanted.acknowledgement_batches:
                place = topic.topic_id, wanted.partition_index
                try:
                    _acknowledge(request, member, place, wanted.acknowledgement_batches)
                    outcome[place] = None
                except BrokerError as error:
                    outcome[place] = error
    return outcome


def _acknowledge(request: Request, member: Member, place: Place, batches: list[Any]) -> None:
    node = request.node
    group_id, member_id = member
    renews = request.version >= RENEW_SINCE and request.body.is_renew_ack
    ranges = _checked(batches, renews)
    partition = led_partition(request, place)
    shares = node.coordinator.shares
    if shares.fetchable(group_id, partition) is None:
        raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION")
    shares.acknowledge(group_id, partition, member_id, ranges, node.now_ms())


def _checked(batches: list[Any], renews: bool) -> list[AcknowledgedRange]:
    """Return valid ranges in ascending order. Raises BrokerError INVALID_REQUEST."""
    ranges: list[AcknowledgedRange] = []
    last = -1
    types_max = AcknowledgeType.RENEW if renews else AcknowledgeType.REJECT
    for batch in batches:
        one = AcknowledgedRange(batch.first_offset, batch.last_offset, tuple(batch.acknowledge_types))
        in_order = last < one.first <= one.last
        complete = len(one.types) == 1 or len(one.types) == one.last - one.first + 1
        if not in_order or not complete or not all(0 <= kind <= types_max for kind in one.types):
            raise BrokerError("INVALID_REQUEST")
        last = one.last
        ranges.append(one)
    return ranges


def end_session(node: Node, session: ShareSession) -> None:
    """End a session, and release the records that its member has."""
    group_id, member_id = session.member
    node.share_sessions.end(session.member)
    partitions = (_partition_id(node, place) for place in session.partitions)
    node.coordinator.shares.release_member(group_id, [one for one in partitions if one is not None], member_id)


def watch_connection(request: Request, session: ShareSession) -> None:
    """End the session with its connection."""
    node, at_end, key = request.node, request.at_end, session.member

    def ended() -> None:
        if node.share_sessions.get(session.member) is session and not node.broker.database.read_only:
            try:
                end_session(node, session)
            except StorageFailed as error:
                node.broker.undo(error)
            node.after()

    def forget() -> None:
        if at_end is not None and at_end.get(key) is ended:
            del at_end[key]

    if at_end is not None:
        at_end[key] = ended
        session.forget = forget


def _partition_id(node: Node, place: Place) -> int | None:
    topic = node.broker.topics_by_id.get(place[0])
    return topic.partitions[place[1]].id if topic is not None and place[1] < len(topic.partitions) else None


def by_topic(partitions: Mapping[Place, Answer]) -> list[Answer]:
    """Group the answers for partitions by topic."""
    topics: dict[UUID, list[Answer]] = {}
    for (topic_id, _), answer in partitions.items():
        topics.setdefault(topic_id, []).append(answer)
    return [{"topic_id": topic_id, "partitions": several} for topic_id, several in topics.items()]


def leader_of(node: Node, place: Place) -> Answer:
    """Return the current leader of a partition, for NOT_LEADER_OR_FOLLOWER."""
    topic = node.broker.topics_by_id.get(place[0])
    if topic is None or place[1] >= len(topic.partitions):
        return {"leader_id": -1, "leader_epoch": -1}
    partition = topic.partitions[place[1]]
    return {"leader_id": partition.leader, "leader_epoch": partition.leader_epoch}


RECORD_LIMIT = 1
"""The acquire mode that never exceeds `max_records` (KIP-1206: record_limit)."""

logger = logging.getLogger("sandbox.wire")


def share_fetch(request: Request) -> Answer | Reply[Answer]:
    """ShareFetch, key 78, versions 1 and 2 (KIP-932, KIP-1206, KIP-1222).

    Applies acknowledgements, then acquires records for the member: available ones first, then new ones. If there are
    none it waits up to `max_wait_ms` for an append, or for another member to release one.
    Differs from a real broker: an answer is sent as soon as it has a record, also if `min_bytes` is larger; offsets
    without a record are never acquired, so that clients have no gap to acknowledge; a group that doesn't exist is
    refused with GROUP_ID_NOT_FOUND.
    """
    body = request.body
    try:
        session = _session(request)
    except BrokerError as error:
        return {"error_code": error.code, "error_message": error.detail, "responses": []}
    acknowledged = acknowledge(request, session.member)
    if body.share_session_epoch == FINAL_EPOCH:
        end_session(request.node, session)
    renews = request.version >= RENEW_SINCE and body.is_renew_ack
    if body.share_session_epoch == FINAL_EPOCH or renews or body.max_records <= 0 or body.max_bytes <= 0:
        return _answer(request, {}, acknowledged)
    reply = _ShareFetch(request, session, acknowledged).reply
    return reply.result() if reply.done else reply


def _session(request: Request) -> ShareSession:
    """Return the session of a request, updated by it.

    Raises:
        BrokerError: INVALID_REQUEST, GROUP_ID_NOT_FOUND, SHARE_SESSION_NOT_FOUND, INVALID_SHARE_SESSION_EPOCH,
        SHARE_SESSION_LIMIT_REACHED.
    """
    body, sessions = request.body, request.node.share_sessions
    member = check_member(request)
    if request.version >= RENEW_SINCE and body.is_renew_ack:
        fields = ("maxBytes", body.max_bytes), ("minBytes", body.min_bytes), ("maxRecords", body.max_records)
        wrong = [f"{name} must be set to 0" for name, value in (*fields, ("maxWaitMs", body.max_wait_ms)) if value != 0]
        if wrong:
            raise BrokerError("INVALID_REQUEST", ", ".join(wrong) + ", if isRenewAck is true.")
    if body.share_session_epoch == INITIAL_EPOCH:
        if any(partition.acknowledgement_batches for topic in body.topics for partition in topic.partitions):
            raise BrokerError("INVALID_REQUEST")
        session = sessions.begin(member)
        watch_connection(request, session)
    else:
        session = sessions.next(member, body.share_session_epoch)
    session.update(body.topics, body.forgotten_topics_data)
    return session


def _answer(
    request: Request, found: dict[Place, dict[str, Any]], acknowledged: dict[Place, BrokerError | None]
) -> Answer:
    node = request.node
    for place, error in acknowledged.items():
        answer = found.setdefault(place, {"partition_index": place[1], "error_code": 0, "records": []})
        if error is not None:
            answer |= {"acknowledge_error_code": error.code, "acknowledge_error_message": error.detail}
    moved = CODE["NOT_LEADER_OR_FOLLOWER"]
    failed = False
    for place, answer in found.items():
        if moved in (answer["error_code"], answer.get("acknowledge_error_code")):
            answer["current_leader"] = leader_of(node, place)
            failed = True
    return {
        "error_code": 0,
        "acquisition_lock_timeout_ms": node.coordinator.shares.limits(request.body.group_id).lock_ms,
        "responses": by_topic(found),
        "node_endpoints": request.brokers() if failed else [],
    }


class _ShareFetch:
    """One request: acquires records; if there are none it waits, and tries again.

    Attributes:
        reply: its answer.
    """

    def __init__(self, request: Request, session: ShareSession, acknowledged: dict[Place, BrokerError | None]) -> None:
        self.reply: Reply[Answer] = Reply(self._drop)
        self._request = request
        self._session = session
        self._acknowledged = acknowledged
        self._places = session.rotated()
        self._timer: Timer | None = None
        self._last_look = request.body.max_wait_ms <= 0 or not self._places
        self._steps: Steps | None = None
        self._again = self._due = self._dropped = False
        self._partitions: set[Partition] = set()
        self._watched: set[Partition] = set()
        self._found: dict[Place, dict[str, Any]] = {}
        self._undone: BrokerError | None = None
        self._look()

    def _look(self) -> None:
        """Try every partition, now or in steps. Then answer, or wait."""
        if self.reply.done:
            return
        if self._steps is not None:
            self._again = True
            return
        if self._is_over():
            self._finish()
            return
        self._steps = self._read()
        if not self._request.node.slices.run(self._steps) and not self._watched:
            # Appends to a partition after it was read are not reported yet.
            self._again = True

    def _is_over(self) -> bool:
        """Return True if nothing more may be acquired: the client or its session has ended, or a turn was undone."""
        if self._dropped or self._undone is not None:
            return True
        return self._request.node.share_sessions.get(self._session.member) is not self._session

    def _read(self) -> Steps:
        size = AnswerSize(self._request.node.held)
        self._found, self._undone = {}, None
        try:
            acquired = yield from self._pass(size)
            if self._undone is not None:
                self._stop_waiting()
                self.reply.set(refuse(self._request, self._undone))
            elif acquired or self._last_look or self._is_over() or len(self._found) == len(self._places):
                self._finish()
        except Exception as error:
            if not isinstance(error, StorageFailed):
                logger.exception("a ShareFetch of %s failed", self._request.client_host)
            self._stop_waiting()
            self.reply.set(refuse(self._request, self._request.node.broker.undo(error)))
        finally:
            self._steps = None
            size.forget()
            if self._request.node.broker.uncommitted:
                # This may run after the turn of the request, and the answer waits for the commit.
                self._request.node.after()
        if self.reply.done or self._dropped:
            return
        self._wait()
        if self._again:
            self._again = False
            self._request.node.slices.add_read(self._look_again)

    def _pass(self, size: AnswerSize) -> Generator[None, None, int]:
        """Acquire records of each partition. Returns their number.

        Raises:
            StorageFailed: a write failed, so the turn must be undone.
        """
        body, node = self._request.body, self._request.node
        left_bytes = min(body.max_bytes, node.broker.config.number("fetch.max.bytes"), node.held.answer_bytes_max)
        acquired = 0
        for place in self._places:
            if acquired >= body.max_records or left_bytes <= 0 or self._is_over():
                break
            answer: dict[str, Any] = {"partition_index": place[1], "error_code": 0, "records": []}
            try:
                partition = led_partition(self._request, place)
                self._partitions.add(partition)
                count = yield from self._acquire(
                    partition, answer, body.max_records - acquired, left_bytes, size, not acquired
                )
            except BrokerError as error:
                if isinstance(error, EventsDamaged):
                    node.broker.on_damage(error)
                answer |= {"error_code": error.code, "error_message": error.detail}
                count = 0
            if count:
                node.broker.turn.wait(self._turn_ended)
            acquired += count
            left_bytes -= sum(map(len, answer["records"]))
            if count or answer["error_code"]:
                self._found[place] = answer
        return acquired

    def _turn_ended(self, error: BrokerError | None) -> None:
        """Note that records were not acquired after all, if the turn in which they were was undone."""
        self._undone = self._undone or error

    def _acquire(
        self,
        partition: Partition,
        answer: dict[str, Any],
        records_max: int,
        size_bytes_max: int,
        size: AnswerSize,
        first: bool,
    ) -> Generator[None, None, int]:
        """Read from the first record that may be delivered, and acquire what was read. Returns the number."""
        node, (group_id, member_id) = self._request.node, self._session.member
        shares, stable = node.coordinator.shares, is_stable(node, group_id)
        while True:
            window = window_of(node, group_id, partition)
            end = partition.last_stable_offset if stable else partition.high_watermark
            offset = window.next_fetch_offset()
            if offset >= end or (offset == window.end and not window.has_room(shares.limits(group_id))):
                return 0
            batches, read = yield from self._read_part(partition, offset, end, size_bytes_max, size, first)
            if self._is_over() or (not first and sum(map(len, batches)) > size_bytes_max):
                return 0
            window = window_of(node, group_id, partition)
            if window.next_fetch_offset() < offset:
                # It was set back during the read. What lies between would be skipped.
                continue
            if not batches and read.offsets:
                # The first batch is larger than what is left. Without offsets, it is a gap and is skipped.
                return 0
            exact = self._request.version >= RENEW_SINCE and self._request.body.share_acquire_mode == RECORD_LIMIT
            taken = shares.acquire(group_id, partition, member_id, read, records_max, exact, node.now_ms())
            if taken:
                acquired = ranges_of(taken, window, read.batches, max(1, self._request.body.batch_size))
                answer["records"] = _with_offsets(batches, taken)
                answer["acquired_records"] = [
                    {"first_offset": one.first, "last_offset": one.last, "delivery_count": one.deliveries}
                    for one in acquired
                ]
                return len(taken)
            if window.next_fetch_offset() <= offset:
                return 0

    def _read_part(
        self, partition: Partition, offset: int, end: int, size_bytes_max: int, size: AnswerSize, first: bool
    ) -> Generator[None, None, tuple[list[bytes], ReadRange]]:
        """Read batches, and which of their records may be delivered.

        Raises:
            BrokerError: KAFKA_STORAGE_ERROR, EventsDamaged; nothing was written.
        """
        node = self._request.node
        stable = is_stable(node, self._session.member[0])
        try:
            batches = yield from read_records(node, partition, offset, size_bytes_max, stable, size, first)
            last = record_batch.decode_batch_header(batches[-1]) if batches else None
            read_end = end if last is None else min(end, last.base_offset + last.last_offset_delta + 1)
            return batches, read_range(node, partition, offset, read_end, stable)
        except StorageFailed as error:
            node.broker.on_failure(error)
            raise BrokerError("KAFKA_STORAGE_ERROR") from error

    def _look_soon(self) -> None:
        """Try again in a later turn.

        Not in the call that released records: a write that fails here undoes the turn, whose request is answered after
        that call.
        """
        if self._steps is not None:
            self._again = True
        elif not self._due:
            self._due = True
            self._request.node.slices.add_read(self._look_again)

    def _look_again(self) -> bool:
        self._due = False
        if not self.reply.done:
            self._look()
        return False

    def _wait(self) -> None:
        if self._timer is None:
            self._timer = self._request.node.call_later(self._request.body.max_wait_ms, self._time_over)
            self._session.on_end.add(self._look_soon)
        if self._partitions != self._watched:
            self._watch(wanted=False)
            self._watched = set(self._partitions)
            self._watch(wanted=True)

    def _time_over(self) -> None:
        self._last_look = True
        if self._steps is None:
            self._finish()
            self._request.node.after()

    def _finish(self) -> None:
        self._stop_waiting()
        if self._is_over():
            # The member's records were released.
            self._found = {}
        if not self.reply.done and not self._dropped:
            self.reply.set(_answer(self._request, self._found, self._acknowledged))

    def _drop(self) -> None:
        """Stop, because the client has disconnected."""
        self._dropped = True
        self._stop_waiting()
        steps, self._steps = self._steps, None
        if steps is not None:
            steps.close()

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._session.on_end.discard(self._look_soon)
        self._watch(wanted=False)
        self._watched = set()

    def _watch(self, wanted: bool) -> None:
        node, group_id = self._request.node, self._session.member[0]
        for partition in self._watched:
            calls = node.on_append.setdefault(partition.id, set())
            if wanted:
                calls.add(self._look)
                node.coordinator.shares.wait(group_id, partition, self._look_soon)
            else:
                calls.discard(self._look)
                node.coordinator.shares.stop_waiting(group_id, partition, self._look_soon)
            if not calls:
                del node.on_append[partition.id]


def _with_offsets(batches: list[bytes], offsets: list[int]) -> list[bytes]:
    """Return the batches between the first and the last of the offsets."""
    found = []
    for batch in batches:
        header = record_batch.decode_batch_header(batch)
        if header.base_offset <= offsets[-1] and header.base_offset + header.last_offset_delta >= offsets[0]:
            found.append(batch)
    return found


def share_acknowledge(request: Request) -> Answer:
    """ShareAcknowledge, key 79, versions 1 and 2 (KIP-932, KIP-1222).

    The acknowledgements of a partition are applied together, or not at all if one is refused. The final epoch ends the
    share session and releases the records that the member still has.
    Differs from a real broker: a group that doesn't exist is refused with GROUP_ID_NOT_FOUND.
    """
    node, body = request.node, request.body
    try:
        member = check_member(request)
        if body.share_session_epoch == INITIAL_EPOCH:
            raise BrokerError("INVALID_SHARE_SESSION_EPOCH")
        session = node.share_sessions.next(member, body.share_session_epoch)
    except BrokerError as error:
        return {"error_code": error.code, "error_message": error.detail, "responses": []}
    outcome = acknowledge(request, member)
    if body.share_session_epoch == FINAL_EPOCH:
        end_session(node, session)
    answers: dict[Place, Answer] = {}
    for topic in body.topics:
        for partition in topic.partitions:
            place = topic.topic_id, partition.partition_index
            refused = outcome.get(place)
            answers[place] = {
                "partition_index": place[1],
                "error_code": refused.code if refused else 0,
                "error_message": refused.detail if refused else None,
                "current_leader": leader_of(node, place),
            }
    return {
        "error_code": 0,
        "acquisition_lock_timeout_ms": node.coordinator.shares.limits(body.group_id).lock_ms,
        "responses": by_topic(answers),
        "node_endpoints": request.brokers() if any(outcome.values()) else [],
    }
