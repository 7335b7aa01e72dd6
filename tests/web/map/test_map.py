"""The map: what is drawn where, and that it is what clients really do."""

import dataclasses
from typing import Any

import pytest
from flask.testing import FlaskClient

from sandbox import Consumer, Producer, Sandbox
from sandbox.model.groups import GroupSummary
from sandbox.model.topics import TopicDescription
from sandbox.model.traffic import GroupClient, ProducerFlow
from sandbox.web.map.graph import GROUPS_MAX, PRODUCER_SHOWN_MS, PRODUCERS_MAX, TOPICS_MAX, Map, draw

NOW_MS = 1_000_000_000


def topic(name: str) -> TopicDescription:
    wanted = {field.name: None for field in dataclasses.fields(TopicDescription)}
    return TopicDescription(**{**wanted, "topic": name})  # type: ignore[arg-type]


def group(name: str, topics: tuple[str, ...], lag: int | None = 0, members: int = 1) -> GroupSummary:
    wanted = {field.name: None for field in dataclasses.fields(GroupSummary)}
    given = {"group": name, "topics": topics, "lags": dict.fromkeys(topics, lag), "lag": lag, "members": members}
    return GroupSummary(**{**wanted, **given, "trend": ""})  # type: ignore[arg-type]


def flow(client: str, to: str, transaction: str = "", last_ms: int = NOW_MS) -> ProducerFlow:
    return ProducerFlow(client, transaction, to, 10, 1.0, last_ms)


def drawn(
    topics: str, groups: list[GroupSummary], flows: list[ProducerFlow], clients: list[GroupClient], wanted: str = ""
) -> Map:
    return draw(map(topic, topics.split()), {}, groups, flows, clients, NOW_MS, wanted)


def columns(found: Map) -> dict[str, int]:
    return {node.name: node.column for node in found.nodes.values()}


def lines(found: Map) -> set[tuple[str, str, str]]:
    return {(edge.source, edge.target, edge.kind) for edge in found.edges}


def test_a_pipeline_is_read_from_left_to_right() -> None:
    found = drawn(
        "orders invoices",
        [group("billing", ("orders",)), group("mail", ("invoices",))],
        [flow("shop", "orders"), flow("rdkafka", "invoices", "billing-1")],
        [GroupClient("rdkafka", "billing-1", "billing"), GroupClient("rdkafka", "", "mail")],
    )
    assert columns(found) == {"shop": 0, "orders": 1, "billing": 2, "invoices": 3, "mail": 4}
    assert lines(found) == {
        ("producer:shop", "topic:orders", "produces"),
        ("topic:orders", "group:billing", "reads"),
        ("group:billing", "topic:invoices", "transaction"),
        ("topic:invoices", "group:mail", "reads"),
    }
    ys = [node.y for node in found.nodes.values()]
    assert len(set(ys)) == 1


def test_one_client_id_joins_a_group_and_a_producer_unless_anybody_may_have_it() -> None:
    groups = [group("billing", ("orders",))]
    for client, kind in (("billing-service", "same client"), ("rdkafka", "produces"), ("producer-1", "produces")):
        found = drawn("orders invoices", groups, [flow(client, "invoices")], [GroupClient(client, "", "billing")])
        assert kind in {edge.kind for edge in found.edges}


def test_a_loop_is_drawn_and_ends() -> None:
    groups = [group("a", ("one", "retry")), group("b", ("two",))]
    flows = [flow("x", "two", "t-a"), flow("x", "one", "t-b"), flow("x", "retry", "t-a")]
    clients = [GroupClient("x", "t-a", "a"), GroupClient("x", "t-b", "b")]
    found = drawn("one two retry", groups, flows, clients)
    assert len(found.edges) == 6
    assert all(0 <= node.column < 8 for node in found.nodes.values())
    assert {found.path(edge)[0] for edge in found.edges} == {"M"}


@pytest.mark.parametrize("name", ["orders.dlq", "orders-dlt", "orders.DLT", "orders_dead_letters", "orders-retry-2"])
def test_a_dead_letter_topic_hangs_on_its_source(name: str) -> None:
    found = drawn(f"orders {name} other.dlq", [], [], [])
    assert lines(found) == {("topic:orders", f"topic:{name}", "set aside")}


def test_a_filter_keeps_the_neighbours() -> None:
    groups = [group("billing", ("orders",)), group("mail", ("invoices",))]
    found = drawn("orders invoices users", groups, [flow("shop", "orders")], [], "ORD")
    assert set(columns(found)) == {"orders", "billing", "shop"}


def test_too_many_are_counted_and_silent_producers_left_out() -> None:
    many = " ".join(f"t{number}" for number in range(TOPICS_MAX + 5))
    groups = [group(f"g{number}", ("t0",)) for number in range(GROUPS_MAX + 3)]
    flows = [flow(f"p{number}", "t0") for number in range(PRODUCERS_MAX + 2)]
    flows.append(flow("silent", "t0", last_ms=NOW_MS - PRODUCER_SHOWN_MS - 1))
    found = drawn(many, groups, flows, [])
    assert found.left_out == {"topic": 5, "group": 3, "producer": 2}
    assert "t0" in columns(found)
    assert "silent" not in columns(found)
    last = f"t{TOPICS_MAX + 4}"
    assert last not in columns(found)
    assert last in columns(drawn(many, groups, flows, [], last))


def test_it_shows_what_real_clients_do(page: FlaskClient, box: Sandbox) -> None:
    box.serve(kafka_port=0, web_port=None)
    there: dict[str, Any] = {"bootstrap.servers": box.kafka_address}
    box.create_topic("orders", partitions=1)
    box.create_topic("invoices", partitions=1)
    shop = Producer({**there, "client.id": "shop"})
    for _ in range(5):
        shop.produce("orders", b"1")
    assert shop.flush(20) == 0
    settings = {"group.id": "billing", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    consumer = Consumer({**there, **settings})
    consumer.subscribe(["orders"])
    (message,) = consumer.consume(1, 20)
    biller = Producer({**there, "transactional.id": "billing-1"})
    biller.init_transactions(20)
    biller.begin_transaction()
    biller.produce("invoices", message.value())
    biller.send_offsets_to_transaction(consumer.position(consumer.assignment()), consumer.consumer_group_metadata())
    biller.commit_transaction(20)
    consumer.close()
    found = page.get("/map.json").get_json()
    assert {(edge["source"], edge["target"], edge["kind"]) for edge in found["edges"]} == {
        ("producer:shop", "topic:orders", "produces"),
        ("topic:orders", "group:billing", "reads"),
        ("group:billing", "topic:invoices", "transaction"),
    }
    (reads,) = [edge for edge in found["edges"] if edge["kind"] == "reads"]
    assert reads["lag"] == 4
    html = page.get("/map").text
    assert "billing produces to invoices in one transaction with its commits" in html
    assert 'href="/topics/orders"' in html


def test_without_topics_it_says_what_it_will_show(page: FlaskClient) -> None:
    assert "No topics yet" in page.get("/map").text
    assert "Nothing matches “x”" in page.get("/map?q=x").text
