"""SQL over the file: what it may do, what it may not, where it is wrong, and how far it goes."""

import sqlite3
from collections import UserDict
from collections.abc import Iterator, KeysView
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from sandbox.model.cancellation import Cancellation, Cancelled
from sandbox.model.sql_result import Bounds, LongCell, SqlRefused
from sandbox.storage.file.database import Reader
from sandbox.storage.file.read_only import read_only
from sandbox.storage.sql import sql
from sandbox.storage.sql.sql import run_query
from sandbox.storage.sql.sql_names import topic_views
from sandbox.storage.sql.sql_views import create_view

MANY = 3_000
UNTOUCHED = ("topics", "partitions", "settings")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("sql") / "dev.db") as box:
        box.create_topic("orders", partitions=3)
        box.append_many(
            "orders", (NewEvent(b'{"id": %d, "user": "u%d"}' % (n, n % 7), b"k%d" % n) for n in range(MANY))
        )
        box.append("odd", b"\xff\xfe", key=None, headers=(("h", b"1"),))
        box.append("odd", "", key="")
        box.append("odd", '{"big": 9223372036854775807, "key": 1, "Big": 2, "a\\"b": 3}')
        box.append("my-topic.x", "plain")
        box.create_topic("Messages")
        box.append("Messages", "shadow")
        box.commit("billing", "orders", 0, 5)
        yield box


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO topics(name, topic_id, created_ms) VALUES('x', 'y', 0)",
        "UPDATE partitions SET log_start_offset = 9",
        "DELETE FROM events",
        "REPLACE INTO settings VALUES('a', 'b')",
        "DROP TABLE events",
        "CREATE TABLE mine(a)",
        "CREATE TEMP TABLE mine(a)",
        "CREATE TEMP VIEW mine AS SELECT 1",
        "ALTER TABLE topics ADD COLUMN mine",
        "ATTACH '/tmp/other.db' AS other",
        "VACUUM",
        "VACUUM INTO '/tmp/copy.db'",
        "PRAGMA query_only = OFF",
        "PRAGMA user_version",
        "PRAGMA writable_schema = ON",
        "BEGIN",
        "COMMIT",
        "SAVEPOINT s",
        "ANALYZE",
        "REINDEX",
        "SELECT load_extension('/tmp/x.so')",
        "SELECT fts3_tokenizer('simple')",
        "SELECT writefile('/tmp/x', 'y')",
        "SELECT * FROM scram_credentials",
        "SELECT count(*) FROM main.scram_credentials",
        'SELECT 1 WHERE EXISTS (SELECT * FROM "SCRAM_CREDENTIALS")',
        "WITH c AS (SELECT stored_key FROM scram_credentials) SELECT * FROM c",
        "SELECT * FROM sqlite_dbpage",
        "SELECT * FROM dbstat",
        "SELECT * FROM pragma_table_info('topics')",
        "WITH c AS (SELECT 1) DELETE FROM events",
        "EXPLAIN DELETE FROM events",
    ],
)
def test_a_query_only_reads(filled: Sandbox, query: str) -> None:
    before = [filled.sql(f"SELECT * FROM {table}").rows for table in UNTOUCHED]
    with pytest.raises(SqlRefused):
        filled.sql(query)
    assert [filled.sql(f"SELECT * FROM {table}").rows for table in UNTOUCHED] == before
    assert filled.sql("SELECT count(*) FROM events").rows == ((MANY + 5,),)


def test_every_event_of_a_topic_is_in_the_view_of_its_name(filled: Sandbox) -> None:
    found = filled.sql("SELECT partition, offset, key, value, id, user FROM orders ORDER BY partition, offset")
    events = filled.read("orders", offset=0, limit=MANY)
    assert [(row[0], row[1], row[2], row[3]) for row in found.rows] == [
        (one.partition, one.offset, (one.key or b"").decode(), (one.value or b"").decode()) for one in events
    ]
    assert {row[5] for row in found.rows} == {f"u{n}" for n in range(7)}


def test_null_and_empty_bytes_and_exact_integers_are_told_apart(filled: Sandbox) -> None:
    rows = filled.sql('SELECT key, value, headers, big, "value.key" FROM odd ORDER BY offset').rows
    assert rows == (
        (None, b"\xff\xfe", '[["h","1"]]', None, None),
        ("", "", "[]", None, None),
        (None, '{"big": 9223372036854775807, "key": 1, "Big": 2, "a\\"b": 3}', "[]", 9223372036854775807, 1),
    )


def test_a_topic_whose_name_is_taken_has_a_longer_one(filled: Sandbox) -> None:
    assert filled.sql('SELECT value FROM "topic:Messages"').rows == (("shadow",),)
    assert filled.sql("SELECT count(*) FROM messages").rows == ((MANY + 5,),)
    assert filled.sql('SELECT value FROM "my-topic.x"').rows == (("plain",),)
    names = [table.name for table in filled.queries.tables()]
    assert {"topic:Messages", "my-topic.x", "orders", "lag", "messages"} <= set(names)
    assert "scram_credentials" not in names


@pytest.mark.parametrize("order", ["DESC", "ASC", ""])
@pytest.mark.parametrize("more", ["", ", partition", " OFFSET 4"])
def test_the_order_that_is_helped_gives_the_same_rows(filled: Sandbox, order: str, more: str) -> None:
    tail, skipped = (f"{order}{more}", "") if "OFFSET" not in more else (order, more)
    helped = filled.sql(f"SELECT partition, offset FROM orders ORDER BY offset {tail} LIMIT 10{skipped}").rows
    plain = filled.sql(f"SELECT partition, offset FROM orders WHERE 1 ORDER BY offset {tail} LIMIT 10{skipped}").rows
    assert [row[1] for row in helped] == [row[1] for row in plain]
    assert len(set(helped)) == 10


def test_the_newest_offsets_are_found_without_reading_the_log(filled: Sandbox) -> None:
    def steps(few: tuple[int, bool] | None) -> int:
        """How often a thousand steps of SQLite's machine passed."""
        counted: list[int] = []
        connection = sqlite3.connect(filled._runtime.database.path)
        reader = Reader(connection)
        (view,) = [one for one in topic_views(reader) if one.name == "orders"]
        connection.execute(create_view(reader, view, *(few or ())))
        connection.set_progress_handler(lambda: counted.append(1), 1_000)
        assert len(connection.execute("SELECT * FROM orders ORDER BY offset DESC LIMIT 10").fetchall()) == 10
        connection.close()
        return len(counted)

    assert steps((10, True)) < 5
    assert steps(None) > 20


def test_transaction_markers_are_left_out(box: Sandbox) -> None:
    box.append("t", "1")
    (partition,) = [row[0] for row in box.sql("SELECT id FROM partitions").rows]
    database = box._runtime.database
    database.execute("INSERT INTO log_transactions VALUES(?, 1, 0, 0, 0, NULL)", (partition,))
    database.commit()
    assert box.sql("SELECT * FROM t").rows == ()
    assert box.sql("SELECT * FROM t ORDER BY offset DESC LIMIT 5").rows == ()


@pytest.mark.parametrize(
    ("query", "position", "says"),
    [
        ("SELECT 1 FORM orders", 14, "mistake at “orders”"),
        ("SELECT * FROM orders WHERE key = 'x' and FROM", 41, "mistake at “FROM”"),
        ("SELECT * FROM orderz", 14, 'Is it "orders"?'),
        ("SELECT nix FROM orders", 7, "no column nix"),
        ("SELECT -- topic\n  nix FROM orders", 18, "no column nix"),
        ("SELECT nope(1)", 7, "no function nope"),
        ("SELECT 1; SELECT 2", 10, "more than one statement"),
        ("SELECT 'abc", 11, "ends too early"),
        ("SELECT :x", 7, ":x has no value"),
        ("SELECT ?", 7, "needs a name"),
        ("", None, "There is no query"),
        ("-- only words", None, "There is no query"),
        ("SELECT '\0'", 8, "NUL"),
    ],
)
def test_a_wrong_query_is_told_where_and_what_to_do(
    filled: Sandbox, query: str, position: int | None, says: str
) -> None:
    with pytest.raises(SqlRefused) as refused:
        filled.sql(query, {})
    assert refused.value.position == position
    assert says in str(refused.value)


def test_a_query_that_takes_too_long_is_stopped_and_could_go_on(filled: Sandbox) -> None:
    endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c"
    with pytest.raises(SqlRefused, match="stopped") as refused:
        filled.sql(endless, limit_s=0.1)
    assert refused.value.extendable
    assert filled.sql("SELECT 1").rows == ((1,),)


def test_rows_and_values_are_bounded(filled: Sandbox) -> None:
    found = filled.sql("SELECT id FROM orders", rows=10)
    assert len(found.rows) == 10
    assert found.more is not None
    assert filled.sql("SELECT id FROM orders LIMIT 10", rows=10).more is None
    with pytest.raises(SqlRefused, match="too large"):
        filled.sql("SELECT zeroblob(100000000)")
    path = filled._runtime.database.path
    (row,) = run_query(path, "SELECT 'abcdef', x'0102030405'", {}, Bounds(cell_max=3)).rows
    assert row == (LongCell("abc", 6), LongCell(b"\x01\x02\x03", 5))
    large = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 100) SELECT zeroblob(2000000) FROM c"
    cut = filled.sql(large)
    assert len(cut.rows) < 100
    assert "MB" in (cut.more or "")


def test_parameters_are_values_and_nothing_else(filled: Sandbox) -> None:
    hostile = "x'; DELETE FROM events; --"
    assert filled.sql("SELECT :v, @v, $v", {"v": hostile}).rows == ((hostile,) * 3,)
    assert filled.sql("SELECT ? + ?", [1, 2]).rows == ((3,),)
    with pytest.raises(SqlRefused):
        filled.sql("SELECT :v", {"v": 2**63})


def test_a_query_reads_beside_the_owner_of_the_file(filled: Sandbox) -> None:
    path: Path = filled._runtime.database.path
    filled.append("late", "first")
    assert run_query(path, "SELECT value FROM late").rows == (("first",),)


def test_an_interrupted_query_whose_error_is_kept_does_not_keep_the_file_open(tmp_path: Path) -> None:
    box = Sandbox(tmp_path / "dev.db")
    box.append("orders", "1")
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT * FROM n"
    with pytest.raises(SqlRefused) as kept:
        box.sql(endless, limit_s=0.02, rows=100_000)
    box.close()
    assert not list(tmp_path.glob("*-wal"))
    assert kept.value.__traceback__ is not None


def test_an_interrupt_before_the_query_itself_has_begun_is_no_failure(
    filled: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Cancellation("The client has gone.")

    @contextmanager
    def stopped_at_once(path: Path) -> Iterator[sqlite3.Connection]:
        with read_only(path) as connection:
            connection.set_progress_handler(lambda: work.cancelled, 1)
            yield connection

    class Values(UserDict[str, int]):
        def keys(self) -> KeysView[str]:
            # The values are copied right before the query is prepared.
            work.cancelled = True
            return super().keys()

    monkeypatch.setattr(sql, "read_only", stopped_at_once)
    with work.covering(), pytest.raises(Cancelled, match="The client has gone"):
        run_query(filled._runtime.database.path, "SELECT :x", Values(x=1))
