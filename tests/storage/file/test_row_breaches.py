"""Rows that no client of a sandbox can have written: an upload that has one is refused, with table, row and reason."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from shutil import copyfile

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.broker.groups.classic_group import State
from sandbox.broker.groups.consumer_group import ConsumerState
from sandbox.broker.logs.topic import check_name
from sandbox.broker.logs.transactions import TransactionState
from sandbox.kafka.errors import BrokerError, FileRefused
from sandbox.kafka.event import NewEvent
from sandbox.storage.file.row_rules import COLUMNS, GROUP_STATES, TRANSACTION_STATES, breaches, topic_name
from sandbox.storage.file.snapshots import check_copy
from tests.storage.damage import damage
from tests.storage.older_file import make_older


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with rows in every table that a direct call can fill."""
    path = tmp_path_factory.mktemp("good") / "dev.db"
    with Sandbox(path) as box:
        box.create_topic("orders", partitions=2, settings={"retention.ms": "1000000"})
        headers = (("trace", b"1"), ("raw", b"\xff"), ("none", None))
        box.append_many("orders", [NewEvent(b"\xff\x00", key=b"k", headers=headers, partition=0)] * 3)
        box.append_many("orders", [NewEvent(b"{}", partition=1)] * 3)
        box.append_many("orders", [NewEvent(None, key=b"k", partition=1)] * 3)
        box.commit("billing", "orders", 0, 2)
        box.inject("Produce", error="NOT_ENOUGH_REPLICAS", times=1)
        box.delete_records("orders", {1: 1})
        box.create_topic("gone")
        box.append("gone", "x")
        box.delete_topic("gone")
        box.set_setting("demo.topics", '["orders"]')
        transactions = box._runtime.broker.transactions
        box._runtime.call(lambda now_ms: transactions.init_producer_id("teller", 60_000, -1, -1, now_ms))
    return path


@pytest.fixture
def upload(good: Path, tmp_path: Path) -> Path:
    return copyfile(good, tmp_path / "upload.db")


def test_what_the_sandbox_wrote_breaks_no_rule(upload: Path) -> None:
    check_copy(upload, foreign=True)
    make_older(upload, 1)
    check_copy(upload, foreign=True)


def test_each_column_of_each_table_has_a_rule(good: Path) -> None:
    with closing(sqlite3.connect(good)) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert tables - {"sqlite_sequence"} == COLUMNS.keys()
        for table, rules in COLUMNS.items():
            names = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
            assert names - {"checksum"} == rules.keys(), table


def test_the_states_are_those_of_the_broker() -> None:
    assert set(GROUP_STATES) == {state.value for state in (*State, *ConsumerState)}
    assert set(TRANSACTION_STATES) == {state.value for state in TransactionState}


@pytest.mark.parametrize("name", ["a", "a.b_c-D9", "x" * 249, "", ".", "..", "x" * 250, "a b", "é", "a\0b", "<b>/../x"])
def test_the_rule_for_names_of_topics_is_that_of_the_broker(name: str) -> None:
    try:
        check_name(name)
        refused = False
    except BrokerError:
        refused = True
    with closing(sqlite3.connect(":memory:")) as connection:
        assert connection.execute(f"SELECT {topic_name().sql('?1')}", (name,)).fetchone() == (int(refused),)


LONG_MAX = 2**63 - 1
BAD = [
    ("UPDATE topics SET name = '<script>…/../x'", "topics, id 1: name is '<script>…/../x', and must be a topic's name"),
    ("UPDATE topics SET name = x'6f'", "topics, id 1: name is"),
    ("UPDATE topics SET topic_id = 'none'", "topics, id 1: topic_id is 'none', and must be a UUID"),
    ("UPDATE topics SET replication_factor = 0", "replication_factor is 0"),
    ("UPDATE topics SET created_ms = -1", "created_ms is -1"),
    (
        f"UPDATE partitions SET log_start_offset = {LONG_MAX} WHERE id = 1",
        "log_start_offset is 9,223,372,036,854,775,807",
    ),
    (f"UPDATE partitions SET log_start_offset = {2**40} WHERE id = 1", "log_start_offset is above"),
    ("UPDATE partitions SET log_start_offset = -1 WHERE id = 1", "log_start_offset is -1"),
    ("UPDATE partitions SET log_start_offset = 1.5 WHERE id = 1", "log_start_offset is 1.5"),
    ("UPDATE partitions SET log_start_offset = 'x' WHERE id = 1", "log_start_offset is 'x'"),
    ("UPDATE partitions SET cleaner_offset = 5 WHERE id = 1", "cleaner_offset is 5"),
    ("UPDATE partitions SET partition = 7 WHERE id = 2", "topics, name orders: its partitions are not numbered"),
    ("DELETE FROM partitions WHERE id = 1", "topics, name orders: its partitions are not numbered"),
    ("UPDATE partitions SET leader_epoch = 2147483647 WHERE id = 1", "leader_epoch is 2,147,483,647"),
    ("UPDATE partitions SET replicas = '1,x' WHERE id = 1", "replicas is '1,x'"),
    ("UPDATE partitions SET replicas = '1,22' WHERE id = 1", "replicas is '1,22'"),
    ("UPDATE partitions SET compacted_events = 99 WHERE id = 1", "compacted_events is larger than the log"),
    ("UPDATE partitions SET topic = 99 WHERE id = 2", "partitions, id 2: its topic does not exist"),
    ("UPDATE topic_settings SET value = '-7'", "topic_settings, topic 1, name 'retention.ms'"),
    ("UPDATE topic_settings SET name = 'no.such'", "there is no such topic setting"),
    ("INSERT INTO resource_settings VALUES('group', 'g', 'no.such', '1', NULL)", "there is no such group setting"),
    ("INSERT INTO resource_settings VALUES('broker', '', 'num.partitions', 'x', NULL)", "num.partitions"),
    ("INSERT INTO resource_settings VALUES('planet', '', 'x', 'x', NULL)", "resource_type is 'planet'"),
    ("INSERT INTO client_quotas VALUES('{}', 'producer_byte_rate', -1, NULL)", "value is -1.0"),
    ("INSERT INTO client_quotas VALUES('x', 'producer_byte_rate', 1, NULL)", "entity is 'x'"),
    (
        "INSERT INTO scram_credentials VALUES('u', 'SCRAM-SHA-256', 2000000000, x'01', x'01', x'01', NULL)",
        "iterations is",
    ),
    ("INSERT INTO scram_credentials VALUES('u', 'MD5', 4096, x'01', x'01', x'01', NULL)", "mechanism is 'MD5'"),
    ("UPDATE settings SET value = '{' WHERE name = 'demo.topics'", "its value is not a list of names"),
    *(
        (f"INSERT INTO settings VALUES('group.alerts', '{value}', NULL)", "settings, name 'group.alerts': ")
        for value in ("[1]", "{", '{"g": 1}', '{"g": {"lag": -1}}', '{"g": {"lag": 1.5}}', '{"g": {"size": 1}}')
    ),
    ("INSERT INTO settings VALUES('message.filters', '{\"orders\": [1]}', NULL)", "name 'message.filters': its value"),
    (f"INSERT INTO events(id, timestamp) VALUES({99 << 40}, 0)", "events, id 108851651149824: its partition does not"),
    ("INSERT INTO events(id, timestamp) VALUES(5, 0)", "events, id 5: its partition does not exist"),
    (f"INSERT INTO events(id, timestamp) VALUES({(1 << 40) + 9}, 0)", "events, partition_id 1: some of its events"),
    ("INSERT INTO events(id, timestamp) VALUES(-5, 0)", "events, id -5: id is -5"),
    (f"UPDATE events SET timestamp = 'x' WHERE id = {1 << 40}", "timestamp is 'x'"),
    (f"UPDATE events SET value = 5 WHERE id = {1 << 40}", "value is 5, and must be a text or bytes"),
    (f"UPDATE events SET value = CAST(x'ff' AS TEXT) WHERE id = {1 << 40}", "a text is not UTF-8"),
    (f"UPDATE events SET headers = '{{}}' WHERE id = {1 << 40}", "headers is '{}', and must be a JSON array"),
    (f"UPDATE events SET headers = '[1]' WHERE id = {1 << 40}", "headers is not a list of names and values"),
    (
        f"UPDATE events SET headers = '[[\"a\", {{}}]]' WHERE id = {1 << 40}",
        "headers is not a list of names and values",
    ),
    (f"DELETE FROM events WHERE id = {1 << 40}", "batches, partition_id 1, base_offset 0: it does not have as many"),
    (
        "UPDATE batches SET last_offset = 9 WHERE partition_id = 1",
        "batches, partition_id 1, base_offset 0: it does not",
    ),
    (f"UPDATE batches SET last_offset = {2**39 - 1} WHERE partition_id = 1", "are not in order"),
    ("UPDATE batches SET last_offset = -1 WHERE partition_id = 1", "last_offset is -1"),
    ("UPDATE batches SET base_offset = 1 WHERE partition_id = 2 AND base_offset = 3", "it overlaps the record batch"),
    (
        "UPDATE batches SET partition_id = 77 WHERE partition_id = 1",
        "batches, partition_id 77, base_offset 0: its part",
    ),
    ("UPDATE batches SET size_bytes = -5 WHERE partition_id = 1", "size_bytes is -5"),
    ("UPDATE batches SET producer_epoch = 99999 WHERE partition_id = 1", "producer_epoch is 99,999"),
    ("UPDATE batches SET compression = 9 WHERE partition_id = 1", "compression is 9"),
    ("UPDATE committed_offsets SET offset = -3", "committed_offsets, group_id 'billing', topic 'orders', partition 0"),
    ("UPDATE committed_offsets SET topic = '../x'", "topic is '../x'"),
    ("UPDATE commits SET partition = -1", "commits, id 1: partition is -1"),
    ("UPDATE groups SET state = 'Wild'", "groups, group_id 'billing': state is 'Wild'"),
    ("UPDATE groups SET type = 'queue'", "type is 'queue'"),
    ("UPDATE groups SET generation = 2147483647", "generation is"),
    ("UPDATE transactions SET state = 'Wild'", "transactions, transactional_id 'teller': state is 'Wild'"),
    ("UPDATE transactions SET timeout_ms = -1", "timeout_ms is -1"),
    ("INSERT INTO rebalances VALUES(1, 'g', 1, 0, 0, '{}', 1, '[', NULL)", "assignment is '['"),
    ("INSERT INTO activity VALUES(9999, 0, 'exploded', NULL, NULL, NULL, '', NULL)", "kind is 'exploded'"),
    ("INSERT INTO event_templates VALUES('t', 'x', 0, NULL)", "template is 'x'"),
    ("INSERT INTO deserializers VALUES('t', 'tail', 'TEXT', NULL, NULL, NULL, 0, NULL)", "part is 'tail'"),
    ("INSERT INTO deserializers VALUES('t', 'key', 'AUTOMATIC', NULL, NULL, NULL, 0, NULL)", "format is 'AUTOMATIC'"),
    ("INSERT INTO deserializers VALUES('t', 'key', 'AVRO', NULL, NULL, NULL, 0, NULL)", "its format does not fit"),
    ("INSERT INTO deserializers VALUES('t', 'key', 'AVRO', '\"int\"', '{\"a\": 1}', NULL, 0, NULL)", "no text"),
    (f"UPDATE sqlite_sequence SET seq = {LONG_MAX} WHERE name = 'partitions'", "sqlite_sequence, name 'partitions'"),
    (f"UPDATE sqlite_sequence SET seq = {LONG_MAX} WHERE name = 'commits'", "sqlite_sequence, name 'commits'"),
    ("INSERT INTO log_transactions VALUES(1, 5, 9, 3, 0, NULL)", "log_transactions, partition_id 1, first_offset 9"),
]


@pytest.mark.parametrize(("statement", "said"), BAD)
def test_an_upload_with_a_row_that_no_client_can_have_written_is_refused(
    upload: Path, statement: str, said: str
) -> None:
    damage(upload, statement)
    with pytest.raises(FileRefused, match=re.escape(said)):
        check_copy(upload, foreign=True)


def test_a_huge_value_and_a_bomb_of_text_are_refused_without_being_shown(upload: Path) -> None:
    damage(upload, "UPDATE settings SET value = CAST(zeroblob(20000000) AS TEXT) WHERE name = 'demo.topics'")
    with pytest.raises(FileRefused, match="must be a text of at most") as refused:
        check_copy(upload, foreign=True)
    assert len(str(refused.value)) < 500


def do(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("CREATE TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM settings; END", "a trigger that is not ours: t"),
        (
            "CREATE VIEW v AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
            "a view that is not ours: v",
        ),
        ("CREATE INDEX i ON events(timestamp)", "an index on the table events that is not ours: i"),
        ("CREATE INDEX i ON settings(upper(value))", "an index on the table settings that is not ours: i"),
        ("CREATE TABLE g(a, b AS (hex(zeroblob(a))))", "a table that is virtual, or has a generated column or a CHECK"),
        ("CREATE TABLE g(a CHECK(length(hex(zeroblob(a))) > 0))", "or has a generated column or a CHECK: g"),
        ("CREATE VIRTUAL TABLE g USING fts5(x)", "The file has"),
    ],
)
def test_an_upload_with_something_that_would_run_is_refused_before_it_runs(
    upload: Path, statement: str, said: str
) -> None:
    do(upload, statement)
    with pytest.raises(FileRefused, match=re.escape(said)):
        check_copy(upload, foreign=True)


def test_an_index_with_an_expression_on_an_added_table_is_refused(upload: Path) -> None:
    do(upload, "CREATE TABLE mine(x)", "CREATE INDEX i ON mine(hex(x))")
    with pytest.raises(FileRefused, match="an index with an expression"):
        check_copy(upload, foreign=True)


def test_statistics_that_mislead_the_planner_are_deleted(upload: Path) -> None:
    do(upload, "ANALYZE", "UPDATE sqlite_stat1 SET stat = '1 1'")
    check_copy(upload, foreign=True)
    with closing(sqlite3.connect(upload)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_stat1").fetchone() == (0,)


def test_a_text_encoding_of_others_is_refused(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "utf16.db"
    with closing(sqlite3.connect(good)) as source, closing(sqlite3.connect(path, isolation_level=None)) as target:
        target.execute("PRAGMA encoding = 'UTF-16le'")
        for (sql,) in source.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
        ):
            target.execute(sql)
        target.execute(f"PRAGMA application_id = {0x4B534258}")
        target.execute("PRAGMA user_version = 3")
    with pytest.raises(FileRefused, match="not encoded as UTF-8"):
        check_copy(path, foreign=True)


def test_two_rows_with_one_key_are_refused(upload: Path) -> None:
    with closing(sqlite3.connect(upload, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = replace(sql, 'UNIQUE INDEX', 'INDEX') WHERE name = 'topics_by_name'"
        )
    do(upload, "INSERT INTO topics(name, topic_id, created_ms) SELECT name, 'x', 0 FROM topics WHERE id = 1")
    with closing(sqlite3.connect(upload, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = replace(sql, 'CREATE INDEX', 'CREATE UNIQUE INDEX') "
            "WHERE name = 'topics_by_name'"
        )
    with pytest.raises(FileRefused, match="non-unique entry in index topics_by_name"):
        check_copy(upload, foreign=True)


def test_every_rule_that_is_broken_is_named(upload: Path) -> None:
    damage(upload, "UPDATE topics SET name = '..' WHERE id = 1")
    damage(upload, "UPDATE groups SET state = 'Wild'")
    with closing(sqlite3.connect(upload)) as connection:
        assert [breach.table for breach in breaches(connection)] == ["topics", "groups"]
