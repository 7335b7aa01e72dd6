"""Assertions about topics and groups. They wait until they hold, and explain why they don't."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from operator import attrgetter
from typing import Any, Concatenate, Generic, NoReturn, ParamSpec, TypeVar, overload

from sandbox.model.groups import GroupDescription, PartitionLag
from sandbox.model.json_conditions import JsonPath
from sandbox.model.times import duration_in_ms
from sandbox.testing.criteria import ANY, Anything, Criteria, SeenEvent, shown, shown_json
from sandbox.testing.failure_text import failure_text
from sandbox.testing.place import Place, SandboxPlace

Duration = str | float | timedelta
Expected = Criteria | Mapping[str, Any] | Sequence[Any] | bytes | str | None
Identity = str | Callable[[SeenEvent], Hashable]
STABLE = "Stable"
BLOCKED = "This call blocked the event loop of the test. In async code, use `await kafka.aio.{}(...)`."


class ExpectationFailed(AssertionError):
    """An expectation didn't hold in time. Its text shows what was seen."""


class Assertions:
    """The assertions of one test.

    Each waits until it holds, for at most `within`: text such as "5s" or "200ms", a timedelta, or seconds. That is real
    time, also if the sandbox's clock is frozen. Only committed events count, as for a `read_committed` consumer.

    Args:
        place: the sandbox or cluster.
    """

    def __init__(self, place: Place) -> None:
        self.place = place

    def events(self, topic: str, *, decode: bool = False) -> list[SeenEvent]:
        """Return the committed events that a topic has now, by partition and offset; none if it doesn't exist.

        Args:
            decode: True returns keys and values that were written with a schema of the registry as JSON text.
        """
        events = self.place.events(topic)
        if decode:
            events = self.place.backend.decoder().decoded_events(events)
        return [SeenEvent(*event) for event in events]

    def expect(
        self,
        topic: str,
        *,
        count: int | None = None,
        key: bytes | str | Anything | None = ANY,
        value: bytes | str | Anything | None = ANY,
        json: Any = ANY,
        headers: Mapping[str, bytes | str | None] | None = None,
        partition: int | None = None,
        where: Callable[[SeenEvent], object] | None = None,
        within: Duration = "5s",
    ) -> list[SeenEvent]:
        """Wait until matching events are in a topic.

        Args:
            topic: the topic; it may not exist yet.
            count: exactly how many, 1 and up. More fail at once; a duplicate that arrives later is not seen, see
                `expect_exactly_once`. None for at least one.
            key, value: bytes, text, or None for a null key or a tombstone.
            json: what the value's JSON must contain. Objects may have other names; arrays are compared completely.
            headers: header names with the value that one header of the name must have.
            partition: the partition.
            where: returns whether it accepts an event, for any other condition.

        Returns:
            The matching events, by partition and offset.

        Raises:
            ExpectationFailed: they did not arrive, or too many did.
        """
        __tracebackhide__ = True
        criteria = Criteria(key, value, json, headers, partition, where)
        if count is not None and count < 1:
            raise ValueError(f"count is 1 or more, not {count}; for none, use expect_none")
        seen: list[SeenEvent] = []

        def check() -> list[SeenEvent] | None:
            seen[:] = self.events(topic, decode=criteria.reads_json)
            found = [event for event in seen if criteria.matches(event)]
            return found if len(found) >= (count or 1) else None

        found = self.place.wait(check, duration_in_ms(within) / 1000)
        if found is not None and (count is None or len(found) == count):
            return found
        wanted = "an event" if count is None else "1 event" if count == 1 else f"{count} events"
        number = sum(criteria.matches(event) for event in seen)
        limit = "" if found is not None else f" within {_shown_duration(within)}"
        with_what = f" with {criteria}" if str(criteria) else ""
        self._fail("expect", f"Expected {wanted} in {topic}{with_what}, found {number}{limit}.", topic, seen, criteria)

    def expect_none(
        self,
        topic: str,
        *,
        key: bytes | str | Anything | None = ANY,
        value: bytes | str | Anything | None = ANY,
        json: Any = ANY,
        headers: Mapping[str, bytes | str | None] | None = None,
        partition: int | None = None,
        where: Callable[[SeenEvent], object] | None = None,
        within: Duration = "1s",
    ) -> None:
        """Wait for the whole time, and fail as soon as a matching event is in the topic; see `expect`."""
        __tracebackhide__ = True
        criteria = Criteria(key, value, json, headers, partition, where)

        def check() -> list[SeenEvent] | None:
            events = self.events(topic, decode=criteria.reads_json)
            return [event for event in events if criteria.matches(event)] or None

        found = self.place.wait(check, duration_in_ms(within) / 1000)
        if found:
            with_what = f" with {criteria}" if str(criteria) else ""
            summary = f"Expected no event in {topic}{with_what}, found {len(found)}."
            seen = self.events(topic, decode=criteria.reads_json)
            self._fail("expect_none", summary, topic, seen, criteria)

    def expect_order(
        self,
        topic: str,
        *expected: Expected,
        key: bytes | str | Anything | None = ANY,
        within: Duration = "5s",
    ) -> list[SeenEvent]:
        """Wait until events are in one partition in an order. Other events may be between them.

        Kafka orders the events of a partition only. Events with the same key are in the same partition.

        Args:
            expected: each a mapping or list (what the JSON must contain), text or bytes (the value), or None for a
                tombstone.
            key: the key of all of them.

        Returns:
            The events, in that order.
        """
        __tracebackhide__ = True
        if not expected:
            raise ValueError("expect_order needs the expected events: expect_order(topic, first, second, ...)")
        wanted = [_criteria(one, key) for one in expected]
        seen: list[SeenEvent] = []

        def check() -> list[SeenEvent] | None:
            seen[:] = self.events(topic, decode=any(one.reads_json for one in wanted))
            found = _longest(wanted, seen)
            return found if len(found) == len(wanted) else None

        found = self.place.wait(check, duration_in_ms(within) / 1000)
        if found is not None:
            return found
        summary = _order_summary(topic, wanted, seen, within)
        missing = wanted[len(_longest(wanted, seen))]
        self._fail("expect_order", summary, topic, seen, missing)

    def expect_exactly_once(
        self,
        topic: str,
        expected: Iterable[Hashable] | None = None,
        *,
        by: Identity = "key",
        settle: Duration = "200ms",
        within: Duration = "5s",
    ) -> list[SeenEvent]:
        """Wait until each expected event is there, then watch for duplicates for a while.

        Args:
            expected: the identities, such as the keys as text. None for no particular ones: nothing may be there twice.
            by: the identity of an event: "key" or "value" (as text), a JSON path such as "$.order_id", or a function
                of the event.
            settle: how long to watch for duplicates after the last expected event arrived.

        Returns:
            The topic's events.

        Raises:
            ExpectationFailed: one is missing, or any identity is there twice.
        """
        __tracebackhide__ = True
        identity = _identity(by)
        wanted = None if expected is None else [_plain(one) for one in expected]
        seen: list[SeenEvent] = []

        def duplicates() -> list[Hashable]:
            seen[:] = self.events(topic, decode=isinstance(by, str) and by.startswith("$"))
            return [one for one, times in Counter(map(identity, seen)).items() if times > 1]

        def check() -> list[Hashable] | None:
            twice = duplicates()
            there = set(map(identity, seen))
            return twice if twice or wanted is None or there.issuperset(wanted) else None

        twice = self.place.wait(check, duration_in_ms(within) / 1000)
        if twice is None:
            missing = [one for one in wanted or () if one not in set(map(identity, seen))]
            summary = (
                f"Expected {len(wanted or ())} events in {topic}, each once; within {_shown_duration(within)}, "
                f"{len(missing)} did not arrive: {_listed(missing)}."
            )
            self._fail("expect_exactly_once", summary, topic, seen)
        twice = twice or self.place.wait(lambda: duplicates() or None, duration_in_ms(settle) / 1000)
        if twice:
            places = [event.place for event in seen if identity(event) == twice[0]]
            by_what = by if isinstance(by, str) else getattr(by, "__name__", "the function")
            summary = (
                f"Expected each event in {topic} once, by {by_what}; more than once: {_listed(twice)}. "
                f"{_shown_identity(twice[0])} is at {', '.join(places)}."
            )
            self._fail("expect_exactly_once", summary, topic, seen)
        return seen

    def wait_assigned(
        self, group: str, topic: str | None = None, *, members: int | None = None, within: Duration = "10s"
    ) -> GroupDescription:
        """Wait until a group's members own every partition, and have begun to fetch.

        An event that is produced afterwards is received also by consumers that start at the end of the log
        (`auto.offset.reset=latest`).

        Args:
            topic: this one; None for the topics that the members subscribe to.
            members: exactly how many members; None for at least one.

        Raises:
            ExpectationFailed: the group isn't complete in time.
        """
        __tracebackhide__ = True

        def check() -> GroupDescription | None:
            found = self.place.group(group)
            return found if found is not None and self._unassigned(found, topic, members) is None else None

        found = self.place.wait(check, duration_in_ms(within) / 1000)
        if found is not None:
            return found
        now = self.place.group(group)
        reason = "it does not exist" if now is None else self._unassigned(now, topic, members) or "it was not in time"
        summary = f"Group {group} was not assigned within {_shown_duration(within)}: {reason}."
        self._fail("wait_assigned", summary, "", [])

    def _unassigned(self, group: GroupDescription, topic: str | None, members: int | None) -> str | None:
        """Return why a group isn't ready; None if it is."""
        if members is not None and len(group.members) != members:
            return f"it has {len(group.members)} members, not {members}"
        if not group.members:
            return "it has no members"
        if group.state != STABLE:
            return f"it is in the state {group.state}"
        owned = {(name, one) for member in group.members for name, some in member.assignment.items() for one in some}
        topics = {self.place.real(topic)} if topic else {name for one in group.members for name in one.subscription}
        known = {one.topic: one.partitions for one in self.place.backend.topics() if one.topic in topics}
        for name in sorted(topics):
            if name not in known:
                return f"topic {name} does not exist"
            missing = [one.partition for one in known[name] if (name, one.partition) not in owned]
            if missing:
                return f"nobody owns partition {missing[0]} of {name}"
        if not owned:
            return "nobody owns a partition"
        return self._not_fetching(group)

    def _not_fetching(self, group: GroupDescription) -> str | None:
        if not isinstance(self.place, SandboxPlace):
            return None
        wanted = Counter(one.client_id for one in group.members if any(one.assignment.values()))
        clients = self.place.backend.brokers.clients()
        fetching = Counter(one.client_id for one in clients if any(use.api == "Fetch" for use in one.apis))
        late = next((client for client, count in wanted.items() if fetching[client] < count), None)
        return None if late is None else f"client {late} has its partitions and has not begun to fetch"

    def wait_lag(
        self, group: str, lag: int = 0, *, topic: str | None = None, within: Duration = "10s"
    ) -> GroupDescription:
        """Wait until a group has at most a number of unread events, over all its partitions.

        In a partition without a commit, everything is unread. The group must have a commit or a member.

        Args:
            lag: the number of unread events, 0 and up.
            topic: in this topic only.
        """
        __tracebackhide__ = True

        def check() -> GroupDescription | None:
            found = self.place.group(group)
            unread = None if found is None else _unread(found, topic)
            return found if unread is not None and unread <= lag else None

        found = self.place.wait(check, duration_in_ms(within) / 1000)
        if found is not None:
            return found
        now = self.place.group(group)
        unread = None if now is None else _unread(now, topic)
        lag_now = "it has no partitions" if unread is None else f"it is {unread}"
        what = "the group does not exist" if now is None else lag_now
        place = f" in {topic}" if topic else ""
        summary = f"Expected a lag of at most {lag} for group {group}{place} within {_shown_duration(within)}; {what}."
        self._fail("wait_lag", summary, "", [])

    def wait_committed(
        self, group: str, topic: str, offset: int | None = None, *, partition: int = 0, within: Duration = "10s"
    ) -> int:
        """Wait until a group has committed an offset.

        Args:
            offset: this one or a later one: the offset of the next event to read. None for any.

        Returns:
            The committed offset.
        """
        __tracebackhide__ = True

        def committed() -> int | None:
            found = self.place.group(group)
            lines = found.partitions if found is not None else ()
            return next((one.committed for one in lines if (one.topic, one.partition) == (topic, partition)), None)

        def check() -> int | None:
            found = committed()
            return found if found is not None and found >= (offset or 0) else None

        found = self.place.wait(check, duration_in_ms(within) / 1000)
        if found is not None:
            return found
        now = committed()
        wanted = "an offset" if offset is None else f"offset {offset}"
        has = "nothing is committed" if now is None else f"{now} is committed"
        summary = (
            f"Expected group {group} to commit {wanted} in {topic}-{partition} within {_shown_duration(within)}; {has}."
        )
        self._fail("wait_committed", summary, topic, self.events(topic))

    def _fail(
        self, call: str, summary: str, topic: str, events: Sequence[SeenEvent], criteria: Criteria | None = None
    ) -> NoReturn:
        __tracebackhide__ = True
        text = failure_text(summary, self.place, topic, events, criteria)
        with suppress(RuntimeError):
            asyncio.get_running_loop()
            text += f"\n\n{BLOCKED.format(call)}"
        raise ExpectationFailed(text) from None


def _criteria(expected: Expected, key: bytes | str | Anything | None) -> Criteria:
    if isinstance(expected, Criteria):
        return replace(expected, key=key) if key is not ANY else expected
    if expected is None or isinstance(expected, bytes | str):
        return Criteria(key=key, value=expected)
    return Criteria(key=key, json=expected)


def _longest(wanted: Sequence[Criteria], events: Sequence[SeenEvent]) -> list[SeenEvent]:
    """Return the events of the partition that has most of the expected ones in their order, from the first on."""
    found: dict[int, list[SeenEvent]] = {}
    for event in events:
        taken = found.setdefault(event.partition, [])
        if len(taken) < len(wanted) and wanted[len(taken)].matches(event):
            taken.append(event)
    return max(found.values(), key=len, default=[])


def _order_summary(topic: str, wanted: Sequence[Criteria], events: Sequence[SeenEvent], within: Duration) -> str:
    found = _longest(wanted, events)
    missing = wanted[len(found)]
    elsewhere = [event for event in events if missing.matches(event) and event not in found]
    text = f"Expected {len(wanted)} events in order in {topic} within {_shown_duration(within)}. "
    text += f"Found the first {len(found)}" + (f" (up to {found[-1].place})" if found else "")
    text += f", then no event with {missing}."
    if found and elsewhere:
        same = [event for event in elsewhere if event.partition == found[0].partition]
        if same:
            text += f" It is at {same[0].place}, before."
        else:
            text += f" It is at {elsewhere[0].place}, in another partition: Kafka orders the events of one partition."
    return text


def _identity(by: Identity) -> Callable[[SeenEvent], Hashable]:
    if callable(by):
        return by
    if by == "key":
        return lambda event: _plain(event.key)
    if by == "value":
        return lambda event: _plain(event.value)
    path = JsonPath.parse(by)
    return lambda event: _hashable(path.find(event.json))


def _hashable(found: Any) -> Hashable:
    return shown_json(found) if isinstance(found, dict | list) else found


def _plain(found: Hashable) -> Hashable:
    """Return text for bytes that are text, so that a key may be given as either."""
    if not isinstance(found, bytes):
        return found
    try:
        return found.decode()
    except UnicodeDecodeError:
        return found


def _unread(group: GroupDescription, topic: str | None) -> int | None:
    lines = [one for one in group.partitions if topic is None or one.topic == topic]
    return sum(map(_unread_in, lines)) if lines else None


def _unread_in(line: PartitionLag) -> int:
    if line.committed is None:
        return line.end - line.start
    return line.unread if line.unread is not None else line.lag or 0


def _listed(found: Sequence[Hashable], limit: int = 5) -> str:
    more = f" and {len(found) - limit} more" if len(found) > limit else ""
    return ", ".join(map(_shown_identity, found[:limit])) + more


def _shown_identity(one: Hashable) -> str:
    return shown(one) if one is None or isinstance(one, str | bytes) else repr(one)


def _shown_duration(length: Duration) -> str:
    return length if isinstance(length, str) else f"{duration_in_ms(length) / 1000:g} s"


T = TypeVar("T")
P = ParamSpec("P")


class _InThread(Generic[P, T]):
    """A method of `Assertions` as a coroutine."""

    def __init__(self, method: Callable[Concatenate[Any, P], T]) -> None:
        self.__doc__ = method.__doc__
        self._find = attrgetter(method.__name__)

    @overload
    def __get__(self, instance: None, owner: type) -> "_InThread[P, T]": ...

    @overload
    def __get__(self, instance: "AsyncAssertions", owner: type) -> Callable[P, Awaitable[T]]: ...

    def __get__(self, instance: "AsyncAssertions | None", owner: type) -> "Callable[P, Awaitable[T]] | _InThread[P, T]":
        if instance is None:
            return self
        method: Callable[P, T] = self._find(instance.blocking)

        async def wait(*args: P.args, **kwargs: P.kwargs) -> T:
            __tracebackhide__ = True
            return await asyncio.to_thread(method, *args, **kwargs)

        return wait


class AsyncAssertions:
    """The waiting assertions of a test, for `await`.

    Args:
        blocking: the same assertions, which block.
    """

    def __init__(self, blocking: Assertions) -> None:
        self.blocking = blocking

    expect = _InThread(Assertions.expect)
    expect_none = _InThread(Assertions.expect_none)
    expect_order = _InThread(Assertions.expect_order)
    expect_exactly_once = _InThread(Assertions.expect_exactly_once)
    wait_assigned = _InThread(Assertions.wait_assigned)
    wait_lag = _InThread(Assertions.wait_lag)
    wait_committed = _InThread(Assertions.wait_committed)
