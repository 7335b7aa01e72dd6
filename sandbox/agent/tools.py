"""The tools of the MCP server. Their names, arguments and docstrings are what the agent sees.

Each result is small: lists are bounded, and long values are cut, and marked as cut.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field

from sandbox.agent.page_data import PageData, PageRefused, group_path

TOPICS_MAX = 200
EVENTS_MAX = 50
ROWS_MAX = 200
VALUE_MAX_CHARACTERS = 2_000
PRODUCE_TIMEOUT_S = 30.0

Topic = Annotated[str, Field(description="The topic's name.")]
Group = Annotated[str, Field(description="The consumer group's id.")]
To = Annotated[
    Literal["earliest", "latest", "offset", "time", "shift", "group", "back"],
    Field(description="Where to. All but earliest, latest and back need `at`."),
]
At = Annotated[
    str | None,
    Field(description="offset: 42; time: 2024-05-01 12:30:00 or 15m (ago); shift: -10; group: another group's id."),
]
Which = Annotated[str | None, Field(description="TOPIC or TOPIC:PARTITION; all partitions without it.")]


class Tools:
    """The tools, over one page.

    Args:
        page: the page.
        kafka: returns the address of the Kafka port, or None if none is open.
    """

    def __init__(self, page: PageData, kafka: Callable[[], str | None]) -> None:
        self._page = page
        self._kafka = kafka

    def reading(self) -> list[Callable[..., Any]]:
        """Return the tools that change nothing."""
        return [
            self.list_topics,
            self.describe_topic,
            self.search_events,
            self.read_event,
            self.list_groups,
            self.explain_group,
            self.query_sql,
            self.list_activity,
            self.describe_cluster,
            self.list_snapshots,
            self.preview_reset,
        ]

    def writing(self) -> list[Callable[..., Any]]:
        """Return the tools that change something."""
        return [
            self.produce,
            self.reset_group,
            self.inject_fault,
            self.clear_faults,
            self.take_snapshot,
            self.restore_snapshot,
        ]

    def list_topics(self) -> dict[str, Any]:
        """List the topics with partitions, events, size and reading groups. Start here."""
        found = self._page.get("topics")["topics"]
        kept = ("topic", "partitions", "events", "size_bytes", "last_append_ms", "groups", "settings")
        return _bounded("topics", [_fields(one, kept) for one in found], TOPICS_MAX)

    def describe_topic(self, topic: Topic) -> dict[str, Any]:
        """Describe one topic: each partition's offsets, size and leader, its settings, rate and most frequent keys."""
        return self._page.get("topics", topic)

    def search_events(
        self,
        topic: Topic,
        condition: Annotated[
            str | None, Field(description="On the JSON of the value, such as $.amount >= 100 or $.user.id = 'u7'.")
        ] = None,
        key: Annotated[str | None, Field(description="The whole key.")] = None,
        text: Annotated[str | None, Field(description="Text that the value contains.")] = None,
        since: Annotated[str | None, Field(description="15m, 2h, 7d (ago) or a time such as 2024-05-01 12:30")] = None,
        until: Annotated[str | None, Field(description="As since.")] = None,
        partition: int | None = None,
        oldest_first: bool = False,
        limit: Annotated[int, Field(ge=1, le=EVENTS_MAX)] = 10,
        cursor: Annotated[
            str | None, Field(description="`next` of the previous result, for the following events.")
        ] = None,
    ) -> dict[str, Any]:
        """Read or search a topic's events, newest first, in time order over all partitions. Conditions combine.

        `complete` false means that the search stopped at its time limit: continue with `cursor`.
        """
        found = self._page.get(
            "topics",
            topic,
            "messages",
            where=condition,
            key=key,
            exact=None if key is None else 1,
            value=text,
            since=since,
            until=until,
            p=partition,
            order="oldest" if oldest_first else None,
            limit=limit,
            cursor=cursor,
        )
        found["events"] = [_cut(event) for event in found["events"]]
        return _fields(found, ("events", "next", "complete", "scanned", "total"))

    def read_event(self, topic: Topic, partition: int, offset: int) -> dict[str, Any]:
        """Read one event whole: key, value, headers, timestamp, and which groups have read it."""
        return self._page.get("topics", topic, partition, offset)

    def list_groups(self) -> dict[str, Any]:
        """List the consumer groups with state, lag in events and in ms, and number of members."""
        return _bounded("groups", self._page.get("groups")["groups"], TOPICS_MAX)

    def explain_group(self, group: Group) -> dict[str, Any]:
        """Explain a consumer group: use this for "why does it lag?".

        Returns each partition's committed offset, end and lag with the rates in and out, the members with what they are
        assigned, members that it waits for, and the latest rebalances, departures and resets with their reasons.
        """
        path, query = group_path(group)
        found = self._page.get(*path, **query)
        latest = self._page.get("activity", group=group, kind=["rebalanced", "left", "reset"], limit=10)
        return found | {"latest": latest["entries"]}

    def query_sql(
        self,
        sql: Annotated[str, Field(description="One SELECT. Each topic is a view with its JSON fields as columns.")],
        rows: Annotated[int, Field(ge=1, le=ROWS_MAX)] = 50,
    ) -> dict[str, Any]:
        """Query the sandbox's file with read-only SQL (SQLite). Use it to count, group and join.

        Other tables: `messages` (every event: topic, partition, offset, timestamp_ms, key, value) and `lag` (each group
        and partition).
        """
        found = self._page.get("sql", q=sql)
        kept = [[_cut_text(cell) for cell in row] for row in found["rows"][:rows]]
        more = len(found["rows"]) > rows or bool(found["more"])
        return {"columns": found["columns"], "rows": kept, "more": more, "notes": found["notes"]}

    def list_activity(
        self,
        topic: str | None = None,
        group: str | None = None,
        limit: Annotated[int, Field(ge=1, le=100)] = 20,
    ) -> dict[str, Any]:
        """List what happened, newest first: topics, events, commits, joins, rebalances, resets, faults."""
        return self._page.get("activity", topic=topic, group=group, limit=limit)

    def describe_cluster(self) -> dict[str, Any]:
        """Describe the simulated brokers, the connected clients, changed broker settings, and the injected faults."""
        found = _fields(self._page.get("cluster"), ("brokers", "clients", "settings"))
        found["clients"] = [_fields(one, ("client_id", "address", "software")) for one in found["clients"][:100]]
        return found | _fields(self._page.get("faults"), ("faults",)) | {"kafka": self._kafka()}

    def list_snapshots(self) -> dict[str, Any]:
        """List the snapshots of the file, the automatic ones included."""
        return _bounded("snapshots", self._page.get("snapshots")["snapshots"], TOPICS_MAX)

    def preview_reset(self, group: Group, to: To, at: At = None, which: Which = None) -> dict[str, Any]:
        """Show which committed offsets a reset would change, and to what. Call it before reset_group."""
        path, query = group_path(group, "reset")
        return self._page.get(*path, to=to, at=at, which=which, **query)

    def produce(
        self,
        topic: Topic,
        value: Annotated[str | None, Field(description="The value as text; null for a tombstone.")],
        key: str | None = None,
        headers: dict[str, str] | None = None,
        partition: int | None = None,
    ) -> dict[str, Any]:
        """Produce one event, and return its partition and offset. A topic that doesn't exist is created."""
        from sandbox.client.client import Producer

        address = self._kafka()
        if address is None:
            raise PageRefused("This sandbox has no Kafka port: start it with sandbox up.")
        stored: list[Any] = []
        producer = Producer({"bootstrap.servers": address, "client.id": "kafka-sandbox-mcp", "log_level": 0})
        there: dict[str, Any] = {} if partition is None else {"partition": partition}
        producer.produce(
            topic, value, key=key, headers=list((headers or {}).items()), on_delivery=partial(_keep, stored), **there
        )
        if producer.flush(PRODUCE_TIMEOUT_S) or not stored:
            raise PageRefused(f"The event was not acknowledged within {PRODUCE_TIMEOUT_S:.0f} s.")
        error, message = stored[0]
        if error is not None:
            raise PageRefused(str(error.str()))
        return {"topic": topic, "partition": message.partition(), "offset": message.offset()}

    def reset_group(self, group: Group, to: To, at: At = None, which: Which = None) -> dict[str, Any]:
        """Change a group's committed offsets. The group must have no members. Returns the changes, as preview_reset."""
        path, query = group_path(group, "reset")
        return self._page.post(*path, query=query, to=to, at=at, which=which)

    def inject_fault(
        self,
        api: Annotated[str | None, Field(description="Such as Produce, Fetch or OffsetCommit; all without it.")] = None,
        topic: str | None = None,
        client_id: str | None = None,
        error: Annotated[str | None, Field(description="A Kafka error's name, such as NOT_ENOUGH_REPLICAS.")] = None,
        latency_ms: int | None = None,
        drop: Annotated[bool, Field(description="Close the connection instead of answering.")] = False,
        times: Annotated[int | None, Field(description="How often; until it is removed without it.")] = None,
    ) -> dict[str, Any]:
        """Let matching requests fail or wait, to test how a client handles it. Remove faults with clear_faults."""
        return self._page.post(
            "faults",
            api=api,
            topic=topic,
            client_id=client_id,
            error=error,
            latency_ms=latency_ms,
            drop=drop or None,
            times=times,
        )

    def clear_faults(self) -> dict[str, Any]:
        """Remove all injected faults, so that requests are answered normally again."""
        return self._page.post("faults", "clear")

    def take_snapshot(self, name: str | None = None, note: str | None = None) -> dict[str, Any]:
        """Take a snapshot of everything: topics, events, groups. Use it before an experiment."""
        return self._page.post("snapshots", name=name, note=note)

    def restore_snapshot(self, name: str) -> dict[str, Any]:
        """Restore a snapshot: all topics, events and groups are as they were then. The state before is kept too."""
        return self._page.post("snapshots", name, "restore")


def _keep(stored: list[Any], error: Any, message: Any) -> None:
    stored.append((error, message))


def _fields(one: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: one[name] for name in names}


def _bounded(name: str, found: list[Any], most: int) -> dict[str, Any]:
    return {name: found[:most], "more": max(0, len(found) - most)}


def _cut(event: dict[str, Any]) -> dict[str, Any]:
    return {name: _cut_text(value) for name, value in event.items() if value is not None}


def _cut_text(value: Any) -> Any:
    if isinstance(value, str) and len(value) > VALUE_MAX_CHARACTERS:
        return f"{value[:VALUE_MAX_CHARACTERS]}… ({len(value):,} characters; read_event returns all)"
    return value
