"""The exchange of a transactional producer and its coordinator, request by request."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sandbox.kafka.errors import BY_CODE
from sandbox.wire.records import batch as record_batch
from tests.clients.raw_requests import RawClient
from tests.clients.waiting import eventually

NOT_YET = ("CONCURRENT_TRANSACTIONS", "COORDINATOR_NOT_AVAILABLE", "COORDINATOR_LOAD_IN_PROGRESS", "NOT_COORDINATOR")
"""What Kafka answers while it is still busy with something earlier; clients ask again."""
PATIENCE_S = 20
READ_UNCOMMITTED, READ_COMMITTED = 0, 1


class Given(NamedTuple):
    """The answer to InitProducerId and EndTxn."""

    error: str
    producer_id: int
    epoch: int


class Written(NamedTuple):
    """The answer to Produce."""

    error: str
    offset: int


class Batch(NamedTuple):
    """A batch that was fetched: its offsets, epoch, first sequence number, and its values or what it marks."""

    first: int
    last: int
    epoch: int
    sequence: int
    values: tuple[str, ...]


class Fetched(NamedTuple):
    """The answer to Fetch: `aborted` has the first offsets, and is None if readers don't get them."""

    error: str
    high_watermark: int
    last_stable_offset: int
    aborted: tuple[int, ...] | None
    batches: tuple[Batch, ...]


MARKS = {b"\0\0\0\0": "ABORT", b"\0\0\0\1": "COMMIT"}


class Teller:
    """One client, one topic of two partitions, one transactional id.

    Args:
        bootstrap: of the broker.
        topic: created by the test.
        name: the transactional id.
        version: of EndTxn: 4, or 5 for transactions that raise the epoch (KIP-890).
    """

    def __init__(self, client: RawClient, topic: str, name: str, version: int = 4) -> None:
        self.client, self.topic, self.name, self.version = client, topic, name, version
        self.producer_id = self.epoch = -1

    def _patiently(self, ask: Callable[[], tuple[str, Any]]) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        found: list[Any] = []

        def answered() -> bool:
            error, answer = ask()
            found[:] = [answer]
            return error not in NOT_YET

        eventually(answered, deadline - time.monotonic(), lambda: f"still {found}")
        return found[0]

    def init(
        self,
        *,
        version: int = 4,
        timeout_ms: int = 60_000,
        producer_id: int = -1,
        epoch: int = -1,
        name: str | None = None,
    ) -> Given:
        """InitProducerId; the new id is used from now on."""

        def ask() -> tuple[str, Given]:
            answer = self.client.ask(
                "InitProducerId",
                version,
                transactional_id=self.name if name is None else name,
                transaction_timeout_ms=timeout_ms,
                producer_id=producer_id,
                producer_epoch=epoch,
            )
            given = Given(named(answer.error_code), answer.producer_id, answer.producer_epoch)
            return given.error, given

        given: Given = self._patiently(ask)
        if given.error == "NONE":
            self.producer_id, self.epoch = given.producer_id, given.epoch
        return given

    def add(
        self,
        *partitions: int,
        version: int = 3,
        name: str | None = None,
        epoch: int | None = None,
        producer_id: int | None = None,
        topic: str | None = None,
    ) -> dict[int, str]:
        """AddPartitionsToTxn, as clients send it: partition to error."""

        def ask() -> tuple[str, dict[int, str]]:
            answer = self.client.ask(
                "AddPartitionsToTxn",
                version,
                v3_and_below_transactional_id=self.name if name is None else name,
                v3_and_below_producer_id=self.producer_id if producer_id is None else producer_id,
                v3_and_below_producer_epoch=self.epoch if epoch is None else epoch,
                v3_and_below_topics=[{"name": topic or self.topic, "partitions": list(partitions or (0,))}],
            )
            errors = {
                one.partition_index: named(one.partition_error_code)
                for found in answer.results_by_topic_v3_and_below
                for one in found.results_by_partition
            }
            return next(iter(errors.values())), errors

        errors: dict[int, str] = self._patiently(ask)
        return errors

    def verify(self, *partitions: int) -> dict[int, str]:
        """AddPartitionsToTxn, as brokers ask whether partitions take part."""
        answer = self.client.ask(
            "AddPartitionsToTxn",
            4,
            transactions=[
                {
                    "transactional_id": self.name,
                    "producer_id": self.producer_id,
                    "producer_epoch": self.epoch,
                    "verify_only": True,
                    "topics": [{"name": self.topic, "partitions": list(partitions)}],
                }
            ],
        )
        return {
            one.partition_index: named(one.partition_error_code)
            for found in answer.results_by_transaction[0].topic_results
            for one in found.results_by_partition
        }

    def write(
        self,
        sequence: int,
        *values: str,
        partition: int = 0,
        version: int = 10,
        epoch: int | None = None,
        name: str | None = "",
        transactional: bool = True,
        control: bool = False,
        at_ms: int | None = None,
    ) -> Written:
        """Produce one batch. `name` None sends no transactional id."""
        stamp = int(time.time() * 1000) if at_ms is None else at_ms
        batch = record_batch.encode_batch(
            0,
            [(index, stamp, b"key", value.encode(), ()) for index, value in enumerate(values)],
            producer_id=self.producer_id,
            producer_epoch=self.epoch if epoch is None else epoch,
            base_sequence=sequence,
            transactional=transactional,
            control=control,
        )

        def ask() -> tuple[str, Written]:
            answer = self.client.ask(
                "Produce",
                version,
                transactional_id=self.name if name == "" else name,
                acks=-1,
                timeout_ms=10_000,
                topic_data=[{"name": self.topic, "partition_data": [{"index": partition, "records": batch}]}],
            )
            one = answer.responses[0].partition_responses[0]
            return named(one.error_code), Written(named(one.error_code), one.base_offset)

        written: Written = self._patiently(ask)
        return written

    def end(self, commit: bool = True, *, version: int | None = None, epoch: int | None = None, **fields: Any) -> Given:
        """EndTxn; the epoch that it gives is used from now on."""

        def ask() -> tuple[str, Given]:
            answer = self.client.ask(
                "EndTxn",
                version or self.version,
                **{
                    "transactional_id": self.name,
                    "producer_id": self.producer_id,
                    "producer_epoch": self.epoch if epoch is None else epoch,
                    "committed": commit,
                }
                | fields,
            )
            given = Given(named(answer.error_code), answer.producer_id, answer.producer_epoch)
            return given.error, given

        given: Given = self._patiently(ask)
        if given.error == "NONE" and given.producer_id >= 0:
            self.producer_id, self.epoch = given.producer_id, given.epoch
        return given

    def state(self) -> tuple[str, str]:
        """DescribeTransactions: the error and the state."""
        (found,) = self.client.ask("DescribeTransactions", 0, transactional_ids=[self.name]).transaction_states
        return named(found.error_code), found.transaction_state

    def settled(self, state: str) -> None:
        """Wait until the transaction has ended; Kafka writes the markers after it has answered."""
        eventually(lambda: self.state()[1] == state, PATIENCE_S, lambda: f"it is {self.state()}")

    def fetch(self, offset: int, isolation: int = READ_COMMITTED, partition: int = 0) -> Fetched:
        """Fetch from one partition."""
        wanted = {
            "partition": partition,
            "current_leader_epoch": -1,
            "fetch_offset": offset,
            "last_fetched_epoch": -1,
            "log_start_offset": -1,
            "partition_max_bytes": 1 << 20,
        }
        answer = self.client.ask(
            "Fetch",
            12,
            max_wait_ms=20,
            min_bytes=1,
            max_bytes=1 << 20,
            isolation_level=isolation,
            session_id=0,
            session_epoch=-1,
            topics=[{"topic": self.topic, "partitions": [wanted]}],
            forgotten_topics_data=[],
            rack_id="",
        )
        one = answer.responses[0].partitions[0]
        aborted = one.aborted_transactions
        return Fetched(
            named(one.error_code),
            one.high_watermark,
            one.last_stable_offset,
            None if aborted is None else tuple(each.first_offset for each in aborted),
            tuple(_batch(each) for each in record_batch.decode_batches(bytes(one.records or b""), gaps_allowed=True)),
        )

    def offset_at(self, timestamp: int, isolation: int = READ_COMMITTED) -> int:
        """ListOffsets: -1 the end, -2 the start, -3 the largest timestamp, else the first offset at a time."""
        answer = self.client.ask(
            "ListOffsets",
            7,
            replica_id=-1,
            isolation_level=isolation,
            topics=[
                {
                    "name": self.topic,
                    "partitions": [{"partition_index": 0, "current_leader_epoch": -1, "timestamp": timestamp}],
                }
            ],
        )
        found: int = answer.topics[0].partitions[0].offset
        return found

    def add_offsets(self, group: str, *, version: int = 3, epoch: int | None = None) -> str:
        """AddOffsetsToTxn."""

        def ask() -> tuple[str, str]:
            answer = self.client.ask(
                "AddOffsetsToTxn",
                version,
                transactional_id=self.name,
                producer_id=self.producer_id,
                producer_epoch=self.epoch if epoch is None else epoch,
                group_id=group,
            )
            return named(answer.error_code), named(answer.error_code)

        error: str = self._patiently(ask)
        return error

    def stage(self, group: str, offset: int, *, version: int = 3, **fields: Any) -> str:
        """TxnOffsetCommit for partition 0."""

        def ask() -> tuple[str, str]:
            sent = {
                "transactional_id": self.name,
                "group_id": group,
                "producer_id": self.producer_id,
                "producer_epoch": self.epoch,
                "generation_id_or_member_epoch": -1,
                "member_id": "",
                "group_instance_id": None,
            } | fields
            partition = {
                "partition_index": 0,
                "committed_offset": offset,
                "committed_leader_epoch": -1,
                "committed_metadata": sent.pop("metadata", "staged"),
            }
            topic = {"name": sent.pop("topic", self.topic), "topic_id": sent.pop("topic_id", None)}
            topics = [{**topic, "partitions": [partition]}]
            answer = self.client.ask("TxnOffsetCommit", version, topics=topics, **sent)
            error = named(answer.topics[0].partitions[0].error_code)
            return error, error

        error: str = self._patiently(ask)
        return error

    def committed(self, group: str, *, stable: bool = True) -> tuple[str, int]:
        """OffsetFetch for partition 0."""

        def ask() -> tuple[str, tuple[str, int]]:
            answer = self.client.ask(
                "OffsetFetch",
                7,
                group_id=group,
                topics=[{"name": self.topic, "partition_indexes": [0]}],
                require_stable=stable,
            )
            one = answer.topics[0].partitions[0] if answer.topics else None
            error = named(one.error_code if one else answer.error_code)
            return error, (error, one.committed_offset if one else -1)

        found: tuple[str, int] = self._patiently(ask)
        return found

    def commit_plainly(self, group: str, offset: int) -> str:
        """OffsetCommit for partition 0, without a member."""

        def ask() -> tuple[str, str]:
            partition = {
                "partition_index": 0,
                "committed_offset": offset,
                "committed_leader_epoch": -1,
                "committed_metadata": "",
            }
            answer = self.client.ask(
                "OffsetCommit", 8, group_id=group, topics=[{"name": self.topic, "partitions": [partition]}]
            )
            error = named(answer.topics[0].partitions[0].error_code)
            return error, error

        error: str = self._patiently(ask)
        return error

    def find_coordinator(self, key: str, kind: int) -> str:
        """FindCoordinator: 0 for a group, 1 for a transactional id."""

        def ask() -> tuple[str, str]:
            answer = self.client.ask("FindCoordinator", 4, coordinator_keys=[key], key_type=kind)
            error = named(answer.coordinators[0].error_code)
            return error, error

        error: str = self._patiently(ask)
        return error


def named(code: int) -> str:
    """The name of an error."""
    return BY_CODE[code].name


def _batch(found: record_batch.RecordBatch) -> Batch:
    values: Sequence[str]
    if found.control:
        values = [MARKS[record[2] or b""] for record in found.records]
    else:
        values = [(record[3] or b"").decode() for record in found.records]
    last = found.base_offset + found.last_offset_delta
    return Batch(found.base_offset, last, found.producer_epoch, found.base_sequence, tuple(values))
