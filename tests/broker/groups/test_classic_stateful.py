"""Members that join, sync, heartbeat, commit, leave and die in any order, through restarts: the invariants.

The coordinator only hands assignments around; the leader here gives each partition to one member, as assignors do, so
that a partition with two owners in one generation would be the coordinator's fault.
"""

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sandbox.broker.groups.calls import JoinAnswer, SyncAnswer
from sandbox.broker.groups.classic_group import Group, State
from sandbox.broker.reply import Reply
from tests.broker.groups.group_room import GROUP, RANGE, REBALANCE_MS, SESSION_MS, Room

CLIENTS = 5
STATIC = {3: "i-3", 4: "i-4"}
BOTH = (("sticky", b"orders"), ("range", b"orders"))


@dataclass
class Actor:
    """A client as it sees itself.

    Attributes:
        joining: its last JoinGroup, answered or not.
        joined: the generation that it is in, or None.
    """

    name: str
    instance: str | None
    member_id: str = ""
    joining: Reply[JoinAnswer] | None = None
    joined: JoinAnswer | None = None
    owners: dict[tuple[int, str], bytes] = field(default_factory=dict)

    def forget(self) -> None:
        self.member_id, self.joined, self.joining = "", None, None


class GroupMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.room = Room(self.folder / "dev.db")
        self.actors = [Actor(f"client-{index}", STATIC.get(index)) for index in range(CLIENTS)]
        self.generation = 0
        self.owners: dict[tuple[int, str], bytes] = {}

    def teardown(self) -> None:
        self.room.pass_ms(10 * REBALANCE_MS)
        try:
            assert all(reply.done for reply in self.room.held), "a reply was never given"
            assert self.group.state is State.EMPTY
            assert not self.group.pending
        finally:
            self.room.close()
            shutil.rmtree(self.folder)

    @property
    def group(self) -> Group:
        return self.room.group(GROUP)

    @initialize()
    def somebody_commits(self) -> None:
        """Keeps the group, so that its generations continue."""
        assert self.room.commit(0) == "NONE"

    @rule(index=st.integers(0, CLIENTS - 1), known=st.booleans(), both=st.booleans(), require_id=st.booleans())
    def join(self, index: int, known: bool, both: bool, require_id: bool) -> None:
        actor = self.actors[index]
        if not known:
            actor.forget()
        protocols = BOTH if both else RANGE
        reply = self.room.join(
            actor.name, actor.member_id, instance=actor.instance, protocols=protocols, require_id=require_id
        )
        actor.joining = reply
        reply.on_done(lambda answer: self._joined(actor, reply, answer))

    def _joined(self, actor: Actor, reply: Reply[JoinAnswer], answer: JoinAnswer) -> None:
        if actor.joining is not reply:
            return
        if answer.error == "NONE":
            actor.joined, actor.member_id = answer, answer.member_id
        elif answer.error == "MEMBER_ID_REQUIRED":
            actor.member_id, actor.joined = answer.member_id, None
        elif answer.error in ("UNKNOWN_MEMBER_ID", "FENCED_INSTANCE_ID"):
            actor.forget()

    @rule(index=st.integers(0, CLIENTS - 1))
    def sync(self, index: int) -> None:
        actor = self.actors[index]
        joined = actor.joined
        if joined is None:
            return
        assignments = {one.member_id: f"orders:{place}".encode() for place, one in enumerate(joined.members)}
        reply = self.room.sync(joined, assignments, instance=actor.instance)
        reply.on_done(lambda answer: self._synced(actor, joined, answer))

    def _synced(self, actor: Actor, joined: JoinAnswer, answer: SyncAnswer) -> None:
        if answer.error != "NONE":
            return
        key = (joined.generation, actor.instance or joined.member_id)
        assert self.owners.setdefault(key, answer.assignment) == answer.assignment, "two assignments in one generation"
        if answer.assignment:
            holders = [who for who, what in self.owners.items() if who[0] == key[0] and what == answer.assignment]
            assert holders == [key], "a partition with two owners in one generation"

    @rule(index=st.integers(0, CLIENTS - 1))
    def heartbeat(self, index: int) -> None:
        actor = self.actors[index]
        if actor.joined is None:
            return
        error = self.room.heartbeat(actor.joined, instance=actor.instance)
        assert error in (
            "NONE",
            "REBALANCE_IN_PROGRESS",
            "ILLEGAL_GENERATION",
            "UNKNOWN_MEMBER_ID",
            "FENCED_INSTANCE_ID",
        )
        if error in ("UNKNOWN_MEMBER_ID", "FENCED_INSTANCE_ID"):
            actor.forget()
        else:
            assert (error == "ILLEGAL_GENERATION") == (actor.joined.generation != self.group.generation)

    @rule(index=st.integers(0, CLIENTS - 1), behind=st.integers(1, 3))
    def a_stale_generation_is_fenced(self, index: int, behind: int) -> None:
        actor = self.actors[index]
        if actor.member_id not in self.group.members:
            return
        generation = self.group.generation - behind
        stale = JoinAnswer("NONE", actor.member_id, generation)
        assert self.room.heartbeat(stale, instance=actor.instance) == "ILLEGAL_GENERATION"
        assert self.room.commit(1, stale, instance=actor.instance) == "ILLEGAL_GENERATION"
        assert self.room.sync(stale, instance=actor.instance).result().error == "ILLEGAL_GENERATION"

    @rule(index=st.integers(0, CLIENTS - 1))
    def commit(self, index: int) -> None:
        actor = self.actors[index]
        if actor.joined is None:
            return
        current = actor.joined.generation == self.group.generation and actor.member_id in self.group.members
        error = self.room.commit(1, actor.joined, instance=actor.instance)
        accepts = self.group.state in (State.STABLE, State.PREPARING_REBALANCE)
        assert (error == "NONE") == (current and accepts and actor.joined.member_id in self.group.members)

    @rule(index=st.integers(0, CLIENTS - 1))
    def leave(self, index: int) -> None:
        actor = self.actors[index]
        self.room.leave(JoinAnswer("NONE", actor.member_id))
        actor.forget()

    @rule(duration_ms=st.sampled_from((1, 400, 600, SESSION_MS // 2, SESSION_MS, REBALANCE_MS)))
    def time_passes(self, duration_ms: int) -> None:
        self.room.pass_ms(duration_ms)
        due_ms = self.room.coordinator.next_deadline_ms()
        assert due_ms is not None
        assert due_ms > self.room.now_ms, "all due work has been done"

    @precondition(lambda self: self.room.held)
    @rule(after_ms=st.sampled_from((0, SESSION_MS)))
    def the_sandbox_restarts(self, after_ms: int) -> None:
        self.room.held.clear()
        for actor in self.actors:
            if actor.joining is not None and not actor.joining.done:
                actor.joining = None
        self.room.restart(after_ms=after_ms)

    @invariant()
    def the_generation_never_falls(self) -> None:
        if GROUP in self.room.coordinator._table.groups:
            assert self.group.generation >= self.generation
            self.generation = self.group.generation

    @invariant()
    def nobody_is_in_two_states(self) -> None:
        if GROUP not in self.room.coordinator._table.groups:
            return
        group = self.group
        members = set(group.members)
        assert members.isdisjoint(group.pending)
        assert group.unsynced <= members
        assert (group.state is State.EMPTY) == (not members)
        assert (group.leader is None) == (not members)
        assert group.leader is None or group.leader in members
        assert (group.join_deadline_ms is not None) == (group.state is State.PREPARING_REBALANCE)
        assert (group.sync_deadline_ms is not None) == bool(group.unsynced)
        instances = [member.instance_id for member in group.members.values() if member.instance_id]
        assert len(instances) == len(set(instances))
        for member_id, member in group.members.items():
            assert member.member_id == member_id
            assert member.join_reply is None or group.state is State.PREPARING_REBALANCE
            assert member.sync_reply is None or group.state is State.COMPLETING_REBALANCE
            assert not member.is_new or member.join_reply is not None
        assert not group.outbox
        assert not group.changed

    @invariant()
    def the_rows_are_the_group(self) -> None:
        if GROUP not in self.room.coordinator._table.groups:
            return
        (row,) = self.room.database.query("SELECT state, generation, leader FROM groups")
        assert row == (self.group.state.value, self.group.generation, self.group.leader)
        rows = self.room.database.query("SELECT member_id, assignment FROM group_members")
        known = {one.member_id: one.assignment for one in self.group.members.values() if not one.is_new}
        assert dict(rows) == known

    @invariant()
    def no_deadline_is_missed(self) -> None:
        true_ms = self.room.coordinator._table.earliest_ms()
        known_ms = self.room.coordinator.next_deadline_ms()
        assert true_ms is None or (known_ms is not None and known_ms <= true_ms)


GroupMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestGroups = GroupMachine.TestCase
