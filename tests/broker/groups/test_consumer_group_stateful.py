"""Consumers that join, lose answers, are slow to let go, leave and die in any order, through restarts and new topics.

The invariants: no partition has two owners at one time, neither by the broker's books nor among the clients
themselves; epochs never fall; and when the clients behave, everything is shared out.
"""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sandbox.broker.groups.assignors import NO_PARTITIONS, Partitions
from sandbox.broker.groups.calls import HeartbeatAnswer
from sandbox.broker.groups.consumer_group import ConsumerState
from sandbox.kafka.errors import BrokerError
from tests.broker.groups.consumer_room import GROUP, REBALANCE_MS, SESSION_MS, ConsumerRoom

CLIENTS = 5
STATIC = {3: "i-3", 4: "i-4"}
NAMES = ("orders", "payments", "returns")
SUBSCRIPTIONS = st.sets(st.sampled_from(NAMES), min_size=1)
FENCES = {"FENCED_MEMBER_EPOCH", "UNKNOWN_MEMBER_ID", "FENCED_INSTANCE_ID", "GROUP_ID_NOT_FOUND"}


@dataclass
class Actor:
    """A client as it sees itself.

    Attributes:
        epoch: None while it is not in the group.
        owned: the partitions that it reads.
        told: the last assignment that it received; it revokes the rest later.
    """

    index: int
    lives: int = 0
    epoch: int | None = None
    owned: Partitions = NO_PARTITIONS
    told: Partitions = NO_PARTITIONS

    @property
    def member_id(self) -> str:
        return f"client-{self.index}-{self.lives}"

    @property
    def instance(self) -> dict[str, str]:
        return {"instance_id": STATIC[self.index]} if self.index in STATIC else {}

    def forget(self) -> None:
        self.epoch, self.owned, self.told = None, NO_PARTITIONS, NO_PARTITIONS

    def take(self, answer: HeartbeatAnswer) -> None:
        self.epoch = answer.member_epoch
        if answer.assigned is not None:
            self.told = answer.assigned
        if self.owned <= self.told:
            self.owned = self.told


class ConsumerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.room = ConsumerRoom(self.folder / "dev.db")
        self.actors = [Actor(index) for index in range(CLIENTS)]
        self.generation = 0
        self.epochs: dict[str, int] = {}

    def teardown(self) -> None:
        try:
            if self.exists:
                self.everything_is_shared_out_in_the_end()
        finally:
            self.room.database.close()
            shutil.rmtree(self.folder)

    @property
    def exists(self) -> bool:
        return GROUP in self.room.coordinator._table.groups

    @staticmethod
    def answer(ask: Callable[..., HeartbeatAnswer], *what: Any, **more: Any) -> HeartbeatAnswer | str:
        """The answer, or the error of the refusal."""
        try:
            return ask(*what, **more)
        except BrokerError as error:
            return error.error.name

    @initialize()
    def there_are_topics(self) -> None:
        self.room.topic("orders", 6)
        self.room.topic("payments", 2)
        for actor in self.actors[1:4]:
            actor.take(self.room.join(actor.member_id, "orders", "payments", **actor.instance))

    @rule(slow=st.integers(0, CLIENTS - 1))
    def all_heartbeat_and_one_is_slow_to_let_go(self, slow: int) -> None:
        for actor in self.actors:
            if actor.index != slow:
                actor.owned &= actor.told
            self.heartbeat(actor.index, True, False, None)

    @rule(index=st.integers(0, CLIENTS - 1), topics=SUBSCRIPTIONS, anew=st.booleans(), lost=st.booleans())
    def join(self, index: int, topics: set[str], anew: bool, lost: bool) -> None:
        actor = self.actors[index]
        actor.lives += anew
        actor.forget()
        answer = self.answer(self.room.join, actor.member_id, *sorted(topics), **actor.instance)
        if isinstance(answer, str):
            assert answer in {"UNRELEASED_INSTANCE_ID", "FENCED_MEMBER_EPOCH"}
        elif not lost:
            actor.take(answer)

    @rule(
        index=st.integers(0, CLIENTS - 1),
        says_what_it_owns=st.booleans(),
        lost=st.booleans(),
        topics=st.none() | SUBSCRIPTIONS,
    )
    def one_heartbeats(self, index: int, says_what_it_owns: bool, lost: bool, topics: set[str] | None) -> None:
        self.heartbeat(index, says_what_it_owns, lost, topics)

    def heartbeat(self, index: int, says_what_it_owns: bool, lost: bool, topics: set[str] | None) -> None:
        actor = self.actors[index]
        if actor.epoch is None:
            return
        owned = actor.owned if says_what_it_owns else None
        wanted = None if topics is None else tuple(sorted(topics))
        answer = self.answer(self.room.heartbeat, actor.member_id, actor.epoch, owned, topics=wanted, **actor.instance)
        if isinstance(answer, str):
            assert answer in FENCES
            actor.forget()
        elif not lost:
            actor.take(answer)

    @rule(index=st.integers(0, CLIENTS - 1))
    def let_go(self, index: int) -> None:
        actor = self.actors[index]
        actor.owned &= actor.told

    @rule(index=st.integers(0, CLIENTS - 1), for_a_while=st.booleans())
    def leave(self, index: int, for_a_while: bool) -> None:
        actor = self.actors[index]
        if actor.epoch is None:
            return
        epoch = -2 if for_a_while and actor.instance else -1
        answer = self.answer(self.room.leave, actor.member_id, epoch, **actor.instance)
        assert not isinstance(answer, str) or answer in FENCES
        actor.forget()

    @rule(index=st.integers(0, CLIENTS - 1), ahead=st.integers(1, 3))
    def an_epoch_that_never_was_is_fenced(self, index: int, ahead: int) -> None:
        actor = self.actors[index]
        if actor.epoch is None or not self.exists or actor.member_id not in self.room.group().members:
            return
        epoch = self.room.member(actor.member_id).member_epoch + ahead
        if epoch > 0:
            assert self.room.refused(actor.member_id, epoch, **actor.instance) == "FENCED_MEMBER_EPOCH"
            assert self.room.commit(1, actor.member_id, epoch) == "STALE_MEMBER_EPOCH"

    @rule(name=st.sampled_from(NAMES), partitions=st.integers(1, 8))
    def a_topic_grows(self, name: str, partitions: int) -> None:
        self.room.topic(name, partitions)

    @rule(name=st.sampled_from(NAMES))
    def a_topic_is_deleted(self, name: str) -> None:
        if name in self.room.topics.by_name:
            self.room.delete_topic(name)

    @rule(duration_ms=st.sampled_from((1, 1_000, 5_000, 5_000, REBALANCE_MS, SESSION_MS)))
    def time_passes(self, duration_ms: int) -> None:
        self.room.pass_ms(duration_ms)

    @rule(after_ms=st.sampled_from((0, SESSION_MS)))
    def the_sandbox_restarts(self, after_ms: int) -> None:
        self.room.restart(after_ms=after_ms)

    def everything_is_shared_out_in_the_end(self) -> None:
        self.room.pass_ms(SESSION_MS + REBALANCE_MS)
        assert self.room.state() == "Empty"
        for actor in self.actors:
            actor.lives += 1
            actor.forget()
            actor.take(self.room.join(actor.member_id, *NAMES, **actor.instance))
        for _ in range(2 * CLIENTS):
            for actor in self.actors:
                assert actor.epoch is not None
                actor.owned &= actor.told
                actor.take(self.room.heartbeat(actor.member_id, actor.epoch, actor.owned, **actor.instance))
        assert self.room.state() == "Stable"
        everything = {
            (topic.topic_id, partition)
            for topic in self.room.topics.by_name.values()
            for partition in range(len(topic.partitions))
        }
        assert sorted(place for actor in self.actors for place in actor.owned) == sorted(everything)
        assert all(actor.epoch == self.room.group().generation for actor in self.actors)
        sizes = [len(actor.owned) for actor in self.actors]
        assert max(sizes) - min(sizes) <= 1

    @invariant()
    def no_partition_has_two_owners(self) -> None:
        if not self.exists:
            return
        members = self.room.group().members
        held = [place for member in members.values() for place in member.assigned | member.revoking]
        assert len(held) == len(set(held)), "by the broker's books"
        living = [actor for actor in self.actors if actor.epoch is not None and actor.member_id in members]
        for actor in living:
            member = members[actor.member_id]
            assert actor.owned <= member.assigned | member.revoking, "it reads what it was not given"

    @invariant()
    def epochs_never_fall(self) -> None:
        if not self.exists:
            self.generation, self.epochs = 0, {}
            return
        group = self.room.group()
        assert group.generation >= self.generation
        assert group.generation >= group.assignment_epoch
        self.generation = group.generation
        for member in group.members.values():
            assert member.member_epoch <= group.assignment_epoch
            if member.member_epoch > 0:
                assert member.member_epoch >= self.epochs.get(member.member_id, 0)
                self.epochs[member.member_id] = member.member_epoch

    @invariant()
    def the_rows_are_the_group(self) -> None:
        if not self.exists:
            return
        group = self.room.group()
        assert not group.changed
        assert group.state is group.state_now()
        (row,) = self.room.database.query("SELECT state, generation, assignment_epoch, type FROM groups")
        assert row == (group.state.value, group.generation, group.assignment_epoch, "consumer")
        rows = self.room.database.query("SELECT member_id FROM group_members ORDER BY member_id")
        assert [one[0] for one in rows] == sorted(group.members)
        assert (group.state is ConsumerState.EMPTY) == (not group.members)

    @invariant()
    def no_deadline_is_missed(self) -> None:
        true_ms = self.room.coordinator._table.earliest_ms()
        known_ms = self.room.coordinator.next_deadline_ms()
        assert true_ms is None or (known_ms is not None and known_ms <= true_ms)
        assert true_ms is None or true_ms > self.room.now_ms, "all due work has been done"


ConsumerMachine.TestCase.settings = settings(
    max_examples=80, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestConsumers = ConsumerMachine.TestCase
