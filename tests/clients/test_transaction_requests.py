"""The transaction protocol request by request, on the sandbox and on Apache Kafka alike: answers and error codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.clients.conftest import Kafka
from tests.clients.raw_requests import RawClient
from tests.clients.transaction_requests import PATIENCE_S, READ_UNCOMMITTED, Batch, Teller, named
from tests.clients.waiting import eventually

pytestmark = [pytest.mark.clients, pytest.mark.timeout(90)]

OpenTeller = Callable[..., Teller]


@pytest.fixture
def client(kafka: Kafka) -> Iterator[RawClient]:
    with RawClient(kafka.bootstrap) as opened:
        yield opened


@pytest.fixture
def teller(client: RawClient, unique: Callable[[str], str]) -> OpenTeller:
    """Open producers on one new topic of two partitions."""
    topic = unique("transactions")
    wanted = {"name": topic, "num_partitions": 2, "replication_factor": 1, "assignments": [], "configs": []}
    client.ask("CreateTopics", 5, topics=[wanted], timeout_ms=10_000, validate_only=False)

    partitions = [{"partition_index": number, "current_leader_epoch": -1, "timestamp": -1} for number in (0, 1)]

    def led() -> bool:
        answer = client.ask("ListOffsets", 7, replica_id=-1, topics=[{"name": topic, "partitions": partitions}])
        return all(one.error_code == 0 for one in answer.topics[0].partitions)

    eventually(led, PATIENCE_S, lambda: "the topic has no leaders")
    name = unique("teller")

    def open_teller(version: int = 4, *, suffix: str = "", init: bool = True, timeout_ms: int = 60_000) -> Teller:
        made = Teller(client, topic, name + suffix, version)
        assert made.find_coordinator(made.name, 1) == "NONE"
        if init:
            assert made.init(timeout_ms=timeout_ms).error == "NONE"
        return made

    return open_teller


def test_a_producer_id_stays_and_its_epoch_rises(teller: OpenTeller) -> None:
    one = teller()
    first = (one.producer_id, one.epoch)
    one.init()
    assert (first[1], one.producer_id, one.epoch) == (0, first[0], 1)


def test_what_a_producer_may_not_ask_for(teller: OpenTeller) -> None:
    one = teller()
    assert one.init(name="").error == "INVALID_REQUEST"
    assert one.init(timeout_ms=0).error == "INVALID_TRANSACTION_TIMEOUT"
    assert one.init(timeout_ms=900_001).error == "INVALID_TRANSACTION_TIMEOUT"
    assert one.init(producer_id=one.producer_id, epoch=-1).error == "INVALID_REQUEST"
    assert one.init(producer_id=one.producer_id + 1000, epoch=0).error == "PRODUCER_FENCED"


def test_a_producer_raises_its_own_epoch(teller: OpenTeller) -> None:
    one = teller()
    assert one.init(producer_id=one.producer_id, epoch=0).epoch == 1
    assert one.init(producer_id=one.producer_id, epoch=0).epoch == 1
    assert one.init(producer_id=one.producer_id, epoch=1).epoch == 2
    assert one.init(producer_id=one.producer_id, epoch=0).error == "PRODUCER_FENCED"
    assert one.init(producer_id=one.producer_id, epoch=0, version=3).error == "INVALID_PRODUCER_EPOCH"


def test_partitions_are_added_by_the_current_producer_alone(teller: OpenTeller) -> None:
    one = teller()
    assert one.add(epoch=5) == {0: "PRODUCER_FENCED"}
    assert one.add(epoch=5, version=1) == {0: "INVALID_PRODUCER_EPOCH"}
    assert one.add(producer_id=one.producer_id + 1000) == {0: "INVALID_PRODUCER_ID_MAPPING"}
    assert one.add(name="nobody at all") == {0: "INVALID_PRODUCER_ID_MAPPING"}
    assert one.add(name="") == {0: "INVALID_REQUEST"}
    assert one.add(0, 7) == {0: "OPERATION_NOT_ATTEMPTED", 7: "UNKNOWN_TOPIC_OR_PARTITION"}
    assert one.verify(0) == {0: "TRANSACTION_ABORTABLE"}
    assert one.add(0) == {0: "NONE"}
    assert one.verify(0, 1) == {0: "NONE", 1: "TRANSACTION_ABORTABLE"}


def test_writes_that_do_not_belong_to_the_transaction_are_refused(teller: OpenTeller) -> None:
    one = teller()
    assert one.write(0, "x").error == "INVALID_TXN_STATE"
    assert one.write(0, "x", version=11).error == "TRANSACTION_ABORTABLE"
    assert one.write(0, "x", name=None).error == "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"
    assert one.write(0, "x", name="nobody at all").error == "INVALID_PRODUCER_ID_MAPPING"
    one.add()
    assert one.write(0, "a", "b") == ("NONE", 0)
    assert one.write(0, "a", "b") == ("NONE", 0)
    assert one.write(7, "x").error == "OUT_OF_ORDER_SEQUENCE_NUMBER"
    assert one.write(2, "x", epoch=one.epoch + 1).error == "INVALID_PRODUCER_EPOCH"
    assert one.write(2, "x", transactional=False).error == "INVALID_TXN_STATE"
    assert one.write(2, "x", control=True).error == "INVALID_RECORD"


def test_readers_go_as_far_as_the_last_stable_offset(teller: OpenTeller) -> None:
    one = teller()
    one.add()
    one.write(0, "a", "b", "c")
    assert one.fetch(0) == ("NONE", 3, 0, (), ())
    assert one.fetch(3) == ("NONE", 3, 0, (), ())
    assert one.fetch(0, READ_UNCOMMITTED) == ("NONE", 3, 0, None, (Batch(0, 2, 0, 0, ("a", "b", "c")),))
    assert one.fetch(9) == ("OFFSET_OUT_OF_RANGE", -1, -1, None, ())
    assert (one.offset_at(-1), one.offset_at(-1, READ_UNCOMMITTED)) == (0, 3)
    assert (one.offset_at(0), one.offset_at(0, READ_UNCOMMITTED)) == (-1, 0)
    assert (one.offset_at(-3), one.offset_at(-3, READ_UNCOMMITTED)) == (-1, 0)


def test_readers_are_told_what_was_aborted(teller: OpenTeller) -> None:
    one = teller()
    one.add()
    one.write(0, "a", "b", "c")
    assert one.end(False).error == "NONE"
    one.settled("CompleteAbort")
    data, marker = Batch(0, 2, 0, 0, ("a", "b", "c")), Batch(3, 3, 0, -1, ("ABORT",))
    assert one.fetch(0) == ("NONE", 4, 4, (0,), (data, marker))
    assert one.fetch(2) == ("NONE", 4, 4, (0,), (data, marker))
    assert one.fetch(3) == ("NONE", 4, 4, (0,), (marker,))
    assert one.fetch(4) == ("NONE", 4, 4, (), ())
    assert one.fetch(0, READ_UNCOMMITTED).aborted is None
    one.add()
    assert one.write(3, "d") == ("NONE", 4)
    one.end()
    one.settled("CompleteCommit")
    assert one.fetch(4) == ("NONE", 6, 6, (), (Batch(4, 4, 0, 3, ("d",)), Batch(5, 5, 0, -1, ("COMMIT",))))


def test_a_marker_has_an_offset_and_a_time_of_its_own(teller: OpenTeller) -> None:
    one = teller()
    one.add()
    one.write(0, "a", "b", at_ms=1_000)
    one.end()
    one.settled("CompleteCommit")
    assert (one.offset_at(-1), one.offset_at(-3), one.offset_at(1_000), one.offset_at(1_001)) == (3, 2, 0, 2)


def test_an_end_needs_a_beginning(teller: OpenTeller) -> None:
    one = teller()
    assert one.end().error == "INVALID_TXN_STATE"
    assert one.end(False).error == "INVALID_TXN_STATE"
    assert one.end(epoch=one.epoch + 1).error == "PRODUCER_FENCED"
    assert one.end(epoch=one.epoch + 1, version=1).error == "INVALID_PRODUCER_EPOCH"
    assert one.end(producer_id=one.producer_id + 1000).error == "INVALID_PRODUCER_ID_MAPPING"
    assert one.end(transactional_id="nobody at all").error == "INVALID_PRODUCER_ID_MAPPING"
    assert one.end(transactional_id="").error == "INVALID_REQUEST"
    one.add()
    assert [one.end().error, one.end().error, one.end(False).error] == ["NONE", "NONE", "INVALID_TXN_STATE"]


def test_a_new_producer_aborts_and_fences_the_old_one(teller: OpenTeller) -> None:
    zombie, heir = teller(), teller(init=False)
    zombie.add()
    zombie.write(0, "lost")
    heir.init()
    assert (heir.producer_id, heir.epoch) == (zombie.producer_id, zombie.epoch + 2)
    assert zombie.add() == {0: "PRODUCER_FENCED"}
    assert zombie.write(1, "late").error == "INVALID_PRODUCER_EPOCH"
    assert zombie.end().error == "PRODUCER_FENCED"
    assert heir.fetch(0).batches[1] == Batch(1, 1, 1, -1, ("ABORT",))
    assert heir.state() == ("NONE", "Empty")


def test_offsets_wait_for_the_end_of_the_transaction(teller: OpenTeller, unique: Callable[[str], str]) -> None:
    one, group = teller(), unique("group")
    assert one.find_coordinator(group, 0) == "NONE"
    assert one.add_offsets(group) == "NONE"
    assert one.stage(group, 5) == "NONE"
    assert one.committed(group) == ("UNSTABLE_OFFSET_COMMIT", -1)
    assert one.committed(group, stable=False) == ("NONE", -1)
    one.end()
    eventually(lambda: one.committed(group) == ("NONE", 5), PATIENCE_S, lambda: str(one.committed(group)))
    one.add_offsets(group)
    one.stage(group, 9)
    one.end(False)
    eventually(lambda: one.committed(group) == ("NONE", 5), PATIENCE_S, lambda: str(one.committed(group)))


def test_a_commit_after_the_staged_one_stays(teller: OpenTeller, unique: Callable[[str], str]) -> None:
    one, group = teller(), unique("group")
    one.find_coordinator(group, 0)
    one.add_offsets(group)
    one.stage(group, 5)
    assert one.commit_plainly(group, 9) == "NONE"
    one.end()
    eventually(lambda: one.committed(group) == ("NONE", 9), PATIENCE_S, lambda: str(one.committed(group)))


def test_who_may_not_stage_offsets(teller: OpenTeller, unique: Callable[[str], str]) -> None:
    one, group = teller(), unique("group")
    one.find_coordinator(group, 0)
    assert one.stage(group, 5) == "INVALID_TXN_STATE"
    assert one.stage(group, 5, version=4) == "TRANSACTION_ABORTABLE"
    assert one.add_offsets(group, epoch=7) == "PRODUCER_FENCED"
    assert one.add_offsets(group, epoch=7, version=1) == "INVALID_PRODUCER_EPOCH"
    one.add_offsets(group)
    assert one.stage(group, 5, producer_epoch=7) == "INVALID_PRODUCER_EPOCH"
    assert one.stage(group, 5, transactional_id="nobody at all") == "INVALID_PRODUCER_ID_MAPPING"
    assert one.stage(group, 5, producer_id=one.producer_id + 1000) == "INVALID_PRODUCER_ID_MAPPING"
    assert one.stage(group, 5, generation_id_or_member_epoch=3, member_id="somebody") == "ILLEGAL_GENERATION"
    assert one.stage(group, 5, topic="missing-" + group) == "UNKNOWN_TOPIC_OR_PARTITION"
    assert one.stage(group, 5, metadata="x" * 5_000) == "OFFSET_METADATA_TOO_LARGE"
    assert one.stage("", 5) == "INVALID_GROUP_ID"
    assert one.stage(group, 5) == "NONE"
    assert one.stage(group, 5, generation_id_or_member_epoch=3, member_id="somebody") == "UNKNOWN_MEMBER_ID"


def test_from_version_12_a_write_adds_its_partition(teller: OpenTeller) -> None:
    one = teller(5)
    assert one.write(0, "a", version=12) == ("NONE", 0)
    assert one.write(0, "x", partition=1, version=12, epoch=7).error == "INVALID_PRODUCER_EPOCH"
    assert one.write(5, "x", partition=1, version=12).error == "OUT_OF_ORDER_SEQUENCE_NUMBER"
    assert one.end() == ("NONE", one.producer_id, 1)
    one.settled("CompleteCommit")
    assert one.fetch(0).batches == (Batch(0, 0, 0, 0, ("a",)), Batch(1, 1, 1, -1, ("COMMIT",)))
    assert one.fetch(0, partition=1).batches == (Batch(0, 0, 1, -1, ("COMMIT",)),)
    assert one.write(1, "x", version=12).error == "OUT_OF_ORDER_SEQUENCE_NUMBER"
    assert one.write(0, "b", version=12) == ("NONE", 2)
    assert one.end(False).epoch == 2


def test_from_version_5_an_end_may_be_repeated_and_an_abort_needs_no_beginning(teller: OpenTeller) -> None:
    one = teller(5)
    assert one.end().error == "INVALID_TXN_STATE"
    assert [one.end(False).epoch, one.end(False, epoch=0).epoch] == [1, 1]
    assert one.end(epoch=0).error == "INVALID_TXN_STATE"
    assert one.end(False).epoch == 2
    one.write(0, "a", version=12)
    assert [one.end().epoch, one.end(epoch=2).epoch] == [3, 3]
    assert one.end(False, epoch=2).error == "INVALID_TXN_STATE"


def test_from_version_5_staged_offsets_add_their_group(teller: OpenTeller, unique: Callable[[str], str]) -> None:
    one, group = teller(5), unique("group")
    one.find_coordinator(group, 0)
    assert one.stage(group, 5, version=5) == "NONE"
    assert one.end().error == "NONE"
    eventually(lambda: one.committed(group) == ("NONE", 5), PATIENCE_S, lambda: str(one.committed(group)))


@pytest.mark.timeout(150)
def test_a_transaction_that_is_open_too_long_is_aborted(teller: OpenTeller) -> None:
    older, newer = teller(timeout_ms=1_000), teller(5, suffix="-newer", timeout_ms=1_000)
    older.add()
    older.write(0, "late")
    newer.write(0, "late", version=12, partition=1)
    for one in (older, newer):
        eventually(lambda one=one: one.state()[1] == "CompleteAbort", 40, lambda: "still open")  # type: ignore[misc]
    assert older.add() == {0: "PRODUCER_FENCED"}
    assert older.write(1, "x").error == "INVALID_PRODUCER_EPOCH"
    assert older.end(False).error == "PRODUCER_FENCED"
    assert newer.write(1, "x", version=12, partition=1).error == "INVALID_PRODUCER_EPOCH"
    assert newer.end().error == "INVALID_TXN_STATE"
    assert newer.end(False) == ("NONE", newer.producer_id, 1)
    assert older.init(producer_id=older.producer_id, epoch=0).epoch == 1


def test_administrators_see_transactions(teller: OpenTeller, client: RawClient) -> None:
    one, idle = teller(), teller(suffix="-idle")
    one.add(1)
    one.write(0, "a", "b", partition=1)
    (found,) = client.ask("DescribeTransactions", 0, transactional_ids=[one.name]).transaction_states
    assert (found.transaction_state, found.transaction_timeout_ms) == ("Ongoing", 60_000)
    assert (found.producer_id, found.producer_epoch) == (one.producer_id, 0)
    assert [(topic.topic, list(topic.partitions)) for topic in found.topics] == [(one.topic, [1])]
    assert idle.state() == ("NONE", "Empty")
    unknown = client.ask("DescribeTransactions", 0, transactional_ids=["nobody at all", ""]).transaction_states
    assert [named(each.error_code) for each in unknown] == ["TRANSACTIONAL_ID_NOT_FOUND", "INVALID_REQUEST"]

    def listed(**filters: object) -> set[str]:
        fields = {"state_filters": [], "producer_id_filters": [], "duration_filter": -1} | filters
        answer = client.ask("ListTransactions", 2, **fields)
        return {each.transactional_id for each in answer.transaction_states} & {one.name, idle.name}

    assert listed() == {one.name, idle.name}
    assert listed(state_filters=["Ongoing"]) == {one.name}
    assert listed(producer_id_filters=[idle.producer_id]) == {idle.name}
    assert listed(duration_filter=60_000) == {idle.name}
    assert listed(transactional_id_pattern=f"{one.name}-.*") == {idle.name}
    answer = client.ask("ListTransactions", 2, state_filters=["Nonsense"], producer_id_filters=[], duration_filter=-1)
    assert list(answer.unknown_state_filters) == ["Nonsense"]
    wrong = {"state_filters": [], "producer_id_filters": [], "duration_filter": -1, "transactional_id_pattern": "("}
    assert named(client.ask("ListTransactions", 2, **wrong).error_code) == "INVALID_REGULAR_EXPRESSION"


def test_administrators_see_the_producers_of_a_partition(teller: OpenTeller, client: RawClient) -> None:
    one = teller()

    def seen(partition: int = 0) -> tuple[str, list[tuple[int, int, int, int, int]]]:
        answer = client.ask("DescribeProducers", 0, topics=[{"name": one.topic, "partition_indexes": [partition]}])
        found = answer.topics[0].partitions[0]
        return named(found.error_code), [
            (
                each.producer_id,
                each.producer_epoch,
                each.last_sequence,
                each.coordinator_epoch,
                each.current_txn_start_offset,
            )
            for each in found.active_producers
        ]

    one.add()
    one.write(0, "a", "b", "c")
    assert seen() == ("NONE", [(one.producer_id, 0, 2, -1, 0)])
    one.end(False)
    one.settled("CompleteAbort")
    assert seen() == ("NONE", [(one.producer_id, 0, 2, 0, -1)])
    assert seen(7) == ("UNKNOWN_TOPIC_OR_PARTITION", [])


def test_an_administrator_may_end_a_transaction_in_one_partition(teller: OpenTeller, client: RawClient) -> None:
    one = teller()
    one.add()
    one.write(0, "a")

    def mark(topic: str) -> str:
        marker = {
            "producer_id": one.producer_id,
            "producer_epoch": one.epoch,
            "transaction_result": False,
            "topics": [{"name": topic, "partition_indexes": [0]}],
            "coordinator_epoch": -1,
        }
        answer = client.ask("WriteTxnMarkers", 1, markers=[marker])
        return named(answer.markers[0].topics[0].partitions[0].error_code)

    assert mark(one.topic + "-missing") == "UNKNOWN_TOPIC_OR_PARTITION"
    assert mark(one.topic) == "NONE"
    assert one.fetch(0) == ("NONE", 2, 2, (0,), (Batch(0, 0, 0, 0, ("a",)), Batch(1, 1, 0, -1, ("ABORT",))))


def test_transactions_of_the_newer_kind_are_announced(client: RawClient) -> None:
    answer = client.ask("ApiVersions", 3, client_software_name="raw", client_software_version="1")
    levels = {feature.name: feature.max_version_level for feature in answer.finalized_features}
    assert levels["transaction.version"] == 2
    versions = {api.api_key: (api.min_version, api.max_version) for api in answer.api_keys}
    asked = {22: (0, 5), 24: (0, 5), 25: (0, 4), 26: (0, 5), 27: (1, 1), 28: (0, 5), 61: (0, 0), 65: (0, 0), 66: (0, 2)}
    # Apache Kafka 4.4 has newer versions of two of them.
    assert {key: (versions[key][0], min(last, versions[key][1])) for key, (_, last) in asked.items()} == asked
