"""`sandbox mcp`, driven by the official client: in this process, over stdin and stdout, and over HTTP."""

import asyncio
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from mcp import StdioServerParameters
from mcp.client.client import Client
from mcp.client.stdio import stdio_client

from sandbox import Consumer, Sandbox
from sandbox.agent.page_data import PageData
from sandbox.agent.server import build
from sandbox.agent.tools import VALUE_MAX_CHARACTERS, Tools

READING = {
    "list_topics",
    "describe_topic",
    "search_events",
    "read_event",
    "list_groups",
    "explain_group",
    "query_sql",
    "list_activity",
    "describe_cluster",
    "list_snapshots",
    "preview_reset",
}
WRITING = {"produce", "reset_group", "inject_fault", "clear_faults", "take_snapshot", "restore_snapshot"}


@pytest.fixture
def orders(file: Path) -> Iterator[Sandbox]:
    with Sandbox(file) as box:
        box.create_topic("orders", partitions=2)
        for number in range(6):
            box.append("orders", json.dumps({"id": number, "paid": number % 2 == 0}), key=f"user-{number % 3}")
        box.serve(kafka_port=0, web_port=0)
        yield box


class Agent:
    """Calls tools as an agent does."""

    def __init__(self, server: Any) -> None:
        self._server = server

    def call(self, tool: str, **arguments: Any) -> Any:
        found = self._ask(lambda client: client.call_tool(tool, arguments))
        text = "".join(part.text for part in found.content)
        if found.is_error:
            raise AssertionError(text)
        return json.loads(text)

    def tools(self) -> dict[str, Any]:
        return {tool.name: tool for tool in self._ask(lambda client: client.list_tools()).tools}

    def _ask(self, question: Any) -> Any:
        async def ask() -> Any:
            async with Client(self._server) as client:
                return await question(client)

        return asyncio.run(asyncio.wait_for(ask(), 60))


@pytest.fixture
def agent(orders: Sandbox) -> Agent:
    assert orders.web_address is not None
    page = PageData(orders.web_address)
    return Agent(build(Tools(page, lambda: orders.kafka_address), write=True))


def test_a_reader_gets_no_tool_that_changes_something(orders: Sandbox) -> None:
    assert orders.web_address is not None
    server = build(Tools(PageData(orders.web_address), lambda: None), write=False)
    assert set(Agent(server).tools()) == READING


def test_each_tool_says_when_to_use_it_and_whether_it_changes_something(agent: Agent) -> None:
    found = agent.tools()
    assert set(found) == READING | WRITING
    for name, tool in found.items():
        assert len(tool.description) > 30, name
        assert tool.annotations.read_only_hint is (name in READING), name


def test_topics_events_and_sql(agent: Agent) -> None:
    (topic,) = agent.call("list_topics")["topics"]
    assert (topic["topic"], topic["partitions"], topic["events"]) == ("orders", 2, 6)
    assert [one["partition"] for one in agent.call("describe_topic", topic="orders")["partitions"]] == [0, 1]
    found = agent.call("search_events", topic="orders", condition="$.paid = true", oldest_first=True)
    assert sorted(json.loads(event["value"])["id"] for event in found["events"]) == [0, 2, 4]
    event = found["events"][0]
    place = {"topic": "orders", "partition": event["partition"], "offset": event["offset"]}
    assert agent.call("read_event", **place)["value"] == event["value"]
    counted = agent.call("query_sql", sql="SELECT key, count(*) AS n FROM orders GROUP BY key ORDER BY key")
    assert (counted["columns"], counted["rows"]) == (["key", "n"], [[f"user-{n}", 2] for n in range(3)])


def test_a_search_goes_on_at_its_cursor(agent: Agent) -> None:
    seen: list[int] = []
    cursor = None
    for _ in range(3):
        found = agent.call("search_events", topic="orders", limit=2, cursor=cursor)
        seen += [json.loads(event["value"])["id"] for event in found["events"]]
        cursor = found["next"]
    assert sorted(seen) == list(range(6))


def test_long_values_are_cut_in_lists_and_whole_alone(agent: Agent, orders: Sandbox) -> None:
    orders.append("orders", "x" * 10_000, partition=1)
    (event,) = agent.call("search_events", topic="orders", text="xxxx")["events"]
    assert event["value"].startswith("x" * VALUE_MAX_CHARACTERS + "… (10,000 characters")
    whole = agent.call("read_event", topic="orders", partition=1, offset=event["offset"])
    assert whole["value"] == "x" * 10_000


def test_a_lagging_group_is_explained_and_reset(agent: Agent, orders: Sandbox) -> None:
    settings = {"bootstrap.servers": orders.kafka_address, "group.id": "billing", "auto.offset.reset": "earliest"}
    consumer = Consumer(settings)
    consumer.subscribe(["orders"])
    assert consumer.poll(30) is not None
    consumer.commit(asynchronous=False)
    consumer.close()
    found = agent.call("explain_group", group="billing")
    assert (found["state"], found["group"]) == ("Empty", "billing")
    assert any(one["kind"] == "rebalanced" for one in found["latest"])
    preview = agent.call("preview_reset", group="billing", to="latest")
    assert agent.call("reset_group", group="billing", to="latest") == preview
    assert orders.group("billing").lag == 0


def test_an_event_is_produced_and_a_snapshot_takes_it_back(agent: Agent, orders: Sandbox) -> None:
    agent.call("take_snapshot", name="before")
    stored = agent.call("produce", topic="orders", value="by an agent", key="k", headers={"source": "agent"})
    (event,) = agent.call("search_events", topic="orders", key="k")["events"]
    assert (event["offset"], event["headers"]) == (stored["offset"], [["source", "agent"]])
    agent.call("restore_snapshot", name="before")
    assert orders.topic("orders").events == 6


def test_a_fault_is_injected_and_removed(agent: Agent) -> None:
    agent.call("inject_fault", api="Fetch", error="NOT_LEADER_OR_FOLLOWER", times=3)
    assert len(agent.call("describe_cluster")["faults"]) == 1
    agent.call("clear_faults")
    assert agent.call("describe_cluster")["faults"] == []


@pytest.mark.parametrize(
    ("tool", "arguments", "reason"),
    [
        ("describe_topic", {"topic": "nothing"}, "UNKNOWN_TOPIC_OR_PARTITION"),
        ("query_sql", {"sql": "DELETE FROM events"}, "DELETE is refused"),
        ("search_events", {"topic": "orders", "condition": "paid is true"}, "INVALID_REQUEST"),
        ("preview_reset", {"group": "nobody", "to": "earliest"}, "GROUP_ID_NOT_FOUND"),
    ],
)
def test_what_cannot_be_done_is_told_to_the_agent(
    agent: Agent, tool: str, arguments: dict[str, Any], reason: str
) -> None:
    with pytest.raises(AssertionError, match=reason):
        agent.call(tool, **arguments)


def test_a_group_with_an_odd_id_is_explained_and_reset(agent: Agent, orders: Sandbox) -> None:
    consumer = Consumer({"bootstrap.servers": orders.kafka_address, "group.id": "a/b", "enable.auto.commit": False})
    consumer.commit(offsets=[TopicPartition("orders", 0, 1)], asynchronous=False)
    consumer.close()
    assert agent.call("explain_group", group="a/b")["group"] == "a/b"
    preview = agent.call("preview_reset", group="a/b", to="latest")
    assert agent.call("reset_group", group="a/b", to="latest") == preview


def test_the_token_goes_to_the_page_alone(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox(file) as box, socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(0.5)
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        box.serve(kafka_port=None, web_port=0, web_token="a-token-of-a-test")
        assert box.web_address is not None
        assert PageData(box.web_address, "a-token-of-a-test").get("topics")["topics"] == []
        with pytest.raises(TimeoutError):
            proxy.accept()


def test_a_sandbox_that_is_not_there_is_named() -> None:
    server = build(Tools(PageData("http://127.0.0.1:9"), lambda: None), write=False)
    with pytest.raises(AssertionError, match=r"Nothing answers at http://127\.0\.0\.1:9"):
        Agent(server).call("list_topics")


def over_stdio(*arguments: object) -> Agent:
    return Agent(
        stdio_client(StdioServerParameters(command=sys.executable, args=["-m", "sandbox", "mcp", *map(str, arguments)]))
    )


def test_over_stdin_it_uses_the_running_sandbox(orders: Sandbox, file: Path) -> None:
    assert over_stdio(file).call("list_topics")["topics"][0]["events"] == 6


def test_over_stdin_it_starts_a_sandbox_if_none_runs(file: Path) -> None:
    assert over_stdio(file, "--write").call("produce", topic="orders", value="1") == {
        "topic": "orders",
        "partition": 0,
        "offset": 0,
    }
    assert over_stdio(file).call("list_topics")["topics"][0]["events"] == 1


def test_over_http(orders: Sandbox, file: Path) -> None:
    command = [sys.executable, "-m", "sandbox", "mcp", str(file), "--http-port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            port = None
            for line in process.stderr:
                found = re.search(r"running on http://127\.0\.0\.1:(\d+)", line)
                if found:
                    port = found[1]
                    break
            assert port
            assert Agent(f"http://127.0.0.1:{port}/mcp").call("list_topics")["topics"][0]["events"] == 6
        finally:
            process.terminate()
            process.communicate(timeout=30)
