"""Which topic a name in a query means: never another topic's events."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.model.sql_result import SqlRefused

TOPICS = (
    *("orders", "Orders", "messages", "Events", "sqlite_x", "json_each", "scram_credentials", "SCRAM_credentials"),
    *("my-topic", "my.topic", "commits_by_group", "Lonely"),
)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("names") / "dev.db") as found:
        for topic in TOPICS:
            found.create_topic(topic, partitions=1)
            found.append(topic, f'{{"who": "{topic}"}}')
        yield found


@pytest.mark.parametrize(
    ("source", "topic"),
    [
        ("orders", "orders"),
        ("Orders", "Orders"),
        ('"Orders"', "Orders"),
        ("[orders]", "orders"),
        ("`Orders`", "Orders"),
        ("'Orders'", "Orders"),
        ('"topic:orders"', "orders"),
        ('"topic:Orders"', "Orders"),
        ("lonely", "Lonely"),
        ("Events", "Events"),
        ('"topic:messages"', "messages"),
        ('"topic:sqlite_x"', "sqlite_x"),
        ('"topic:json_each"', "json_each"),
        ('"topic:scram_credentials"', "scram_credentials"),
        ('"topic:SCRAM_credentials"', "SCRAM_credentials"),
        ('"my-topic"', "my-topic"),
        ('"my.topic"', "my.topic"),
        ("commits_by_group", "commits_by_group"),
    ],
)
def test_a_name_is_the_topic_with_its_spelling(box: Sandbox, source: str, topic: str) -> None:
    found = box.sql(f"SELECT who, value FROM {source}")
    assert found.rows == ((topic, f'{{"who": "{topic}"}}'),)
    assert found.topics == (topic,)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT value FROM ORDERS",
        "SELECT * FROM orders JOIN Orders USING (who)",
        "SELECT * FROM orders, Orders",
        "SELECT Orders.value FROM orders",
        "SELECT (SELECT count(*) FROM orders) - (SELECT count(*) FROM Orders)",
        "SELECT count(*) FROM EVENTS",
        "SELECT * FROM events, Events",
    ],
)
def test_a_name_that_leaves_it_open_is_refused_with_the_way_out(box: Sandbox, query: str) -> None:
    with pytest.raises(SqlRefused, match=r'does not tell these names apart.*"topic:') as refused:
        box.sql(query)
    assert refused.value.position is not None


def test_both_topics_can_be_read_at_once_by_their_numbers(box: Sandbox) -> None:
    ids = {row[0]: row[1] for row in box.sql("SELECT name, id FROM topics").rows}
    query = f'SELECT a.who, b.who FROM "topic:orders#{ids["orders"]!r}" a, "topic:Orders#{ids["Orders"]!r}" b'
    assert box.sql(query).rows == (("orders", "Orders"),)


def test_a_table_of_the_file_keeps_its_name_and_says_how_the_topic_is_named(box: Sandbox) -> None:
    found = box.sql("SELECT count(*) FROM messages")
    assert found.rows == ((len(TOPICS),),)
    assert found.notes == ('messages is a table of the file. The topic of that name is "topic:messages".',)
    assert box.sql("SELECT count(*) FROM events").rows == ((len(TOPICS),),)
    assert box.sql("SELECT value FROM json_each('[7]')").rows == ((7,),)


@pytest.mark.parametrize("name", ["scram_credentials", "SCRAM_credentials", "main.SCRAM_credentials"])
def test_no_topic_opens_the_table_of_secrets(box: Sandbox, name: str) -> None:
    with pytest.raises(SqlRefused, match="cannot be read"):
        box.sql(f"SELECT * FROM {name}")


@pytest.mark.parametrize("query", ["SELECT value FROM my-topic", "SELECT value FROM my.topic"])
def test_a_name_that_needs_quotes_is_told_so(box: Sandbox, query: str) -> None:
    with pytest.raises(SqlRefused, match="double quotes"):
        box.sql(query)


def test_the_list_has_a_name_for_every_topic_that_gives_its_events(box: Sandbox) -> None:
    listed = {table.topic: table.name for table in box.queries.tables() if table.topic is not None}
    assert set(listed) == set(TOPICS)
    for topic, name in listed.items():
        assert box.sql(f'SELECT who FROM "{name}"').rows == ((topic,),)


def test_a_table_of_the_querys_own_is_not_the_topic(box: Sandbox) -> None:
    assert box.sql("WITH orders AS (SELECT 1 AS one) SELECT one FROM orders").rows == ((1,),)


def test_a_file_that_nobody_has_open_is_read_the_same(tmp_path: Path) -> None:
    from sandbox.storage.sql.sql import run_query

    with Sandbox(tmp_path / "dev.db") as box:
        for topic in ("a", "A"):
            box.append(topic, topic)
    assert run_query(tmp_path / "dev.db", "SELECT value FROM a").rows == (("a",),)
    assert run_query(tmp_path / "dev.db", "SELECT value FROM A").rows == (("A",),)
