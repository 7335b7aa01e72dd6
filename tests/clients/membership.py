"""The reports of one group's members, combined: the current and former owner of each partition."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from itertools import pairwise
from typing import NamedTuple

from tests.clients.program import Program
from tests.clients.waiting import eventually

Position = tuple[int, int]


class Ownership(NamedTuple):
    """A partition in the hands of one member, from one report to the next; `until_us` is None while it lasts."""

    partition: int
    member: str
    since_us: int
    until_us: int | None


class Membership:
    """The members of one group, alive and gone."""

    def __init__(
        self,
        topic: str,
        partitions: int,
        group: str,
        assignor: str,
        session_ms: int = 6000,
        protocol: str = "classic",
    ) -> None:
        self.members: dict[str, Program] = {}
        self._all: dict[str, Program] = {}
        self._killed_us: dict[str, int] = {}
        self._partitions = set(range(partitions))
        self._order = {
            "topic": topic,
            "group": group,
            "assignor": assignor,
            "session_ms": session_ms,
            "protocol": protocol,
        }

    def add(self, program: Program, **order: str) -> str:
        """Make a program join the group.

        Args:
            program: a program that does nothing else.
            order: what differs from the other members: `assignor`, `protocol`.

        Returns:
            The name of the member in this object.
        """
        name = f"{program.name} {len(self._all) + 1}"
        self.members[name] = self._all[name] = program
        program.tell(do="join", **{**self._order, **order})
        return name

    def leave(self, name: str) -> None:
        """Make a member leave the group, and wait until it has left."""
        program = self.members.pop(name)
        assert program.ask(do="leave") == {"left": True}

    def kill(self, name: str) -> None:
        """Kill a member, so that it sends no LeaveGroup."""
        self.members.pop(name).kill()
        self._killed_us[name] = time.time_ns() // 1000

    def await_shares(self, within_s: float = 20) -> None:
        """Wait until every living member owns something, together they own everything, and nothing twice."""
        eventually(self._is_shared, within_s, lambda: f"the partitions are not shared: {self.shares()}")

    def shares(self) -> dict[str, list[int]]:
        """The partitions of each living member, by its own reports."""
        return {name: sorted(_owned(program)) for name, program in self.members.items()}

    def delivered(self) -> Counter[Position]:
        """How often each event was delivered, by partition and offset."""
        return Counter(
            (partition, offset)
            for program in self._all.values()
            for report in list(program.reports)
            if report["report"] == "events"
            for partition, offset in report["positions"]
        )

    def overlaps(self) -> list[tuple[Ownership, Ownership]]:
        """Pairs of ownerships of one partition by two members at one moment; a dead member owns nothing."""
        histories: dict[int, list[Ownership]] = defaultdict(list)
        for name, program in self._all.items():
            for each in _history(name, program, self._killed_us.get(name)):
                histories[each.partition].append(each)
        found = []
        for history in histories.values():
            for earlier, later in pairwise(sorted(history, key=lambda each: each.since_us)):
                if earlier.until_us is None or later.since_us < earlier.until_us:
                    found.append((earlier, later))
        return found

    def taken_over_us(self, name: str) -> int:
        """When a living member was last assigned something, in microseconds since 1970."""
        reports = [each for each in list(self.members[name].reports) if each["report"] == "assigned"]
        return max(int(each["at_us"]) for each in reports if each["partitions"])

    def killed_us(self, name: str) -> int:
        """When a member was killed, in microseconds since 1970."""
        return self._killed_us[name]

    def _is_shared(self) -> bool:
        shares = list(self.shares().values())
        owned = [partition for share in shares for partition in share]
        return all(shares) and len(owned) == len(self._partitions) and set(owned) == self._partitions


def _owned(program: Program) -> set[int]:
    owned: set[int] = set()
    for report in list(program.reports):
        if report["report"] == "assigned":
            owned |= set(report["partitions"])
        elif report["report"] in ("revoked", "lost"):
            owned -= set(report["partitions"])
    return owned


def _history(name: str, program: Program, killed_us: int | None) -> list[Ownership]:
    since: dict[int, int] = {}
    done: list[Ownership] = []
    for report in list(program.reports):
        for partition in report.get("partitions", ()):
            if report["report"] == "assigned":
                since.setdefault(partition, report["at_us"])
            elif partition in since:
                done.append(Ownership(partition, name, since.pop(partition), report["at_us"]))
    return done + [Ownership(partition, name, at_us, killed_us) for partition, at_us in since.items()]
