"""The columns of a topic: whatever field an event has, once a query names it."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from sandbox.model.sql_result import SqlRefused
from sandbox.storage.sql.clock import Clock
from sandbox.storage.sql.sql_fields import SAMPLED_EVENTS, Fields

LARGE = {"large": 1, "fill": "x" * 70_000}
MANY = {f"f{number}": number for number in range(100)}


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Fields in the oldest events only, and newer ones that have none of them."""
    with Sandbox(tmp_path_factory.mktemp("fields") / "dev.db") as found:
        found.create_topic("orders", partitions=2)
        old = {"old": 1, "Status": "paid", "from": "web", "a.b": 2, "key": "inner", 'q"t': 3, "päth": 4}
        values = [json.dumps(old), json.dumps(LARGE), json.dumps(MANY), '{"\\u0065scaped": 5}', "no JSON", '["list"]']
        found.append_many("orders", [NewEvent(value.encode(), partition=0) for value in values])
        newer = [NewEvent(b'{"id": %d}' % number, partition=number % 2) for number in range(2 * SAMPLED_EVENTS)]
        found.append_many("orders", newer)
        found.append_many("orders", [NewEvent(None, b"k", partition=0)] * SAMPLED_EVENTS)
        found.append("other", '{"old": "of another topic", "only": 1}')
        yield found


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("old", 1),
        ("orders.old", 1),
        ('"old"', 1),
        ("[old]", 1),
        ("Status", "paid"),
        ("status", "paid"),
        ('"from"', "web"),
        ('"a.b"', 2),
        ('orders."a.b"', 2),
        ('"value.key"', "inner"),
        ('"q""t"', 3),
        ("päth", 4),
        ("large", 1),
        ("f0", 0),
        ("f61", 61),
        ("f99", 99),
        ("escaped", 5),
    ],
)
def test_a_field_of_any_event_is_a_column_once_it_is_named(box: Sandbox, column: str, value: object) -> None:
    found = box.sql(f"SELECT {column} FROM orders WHERE {column} IS NOT NULL")
    assert (found.rows, found.notes) == (((value,),), ())
    assert (value,) in box.sql(f"SELECT {column} FROM orders ORDER BY offset LIMIT 20").rows


def test_the_clauses_of_a_query_find_fields_too(box: Sandbox) -> None:
    assert box.sql("SELECT max(old) AS most FROM orders WHERE f61 IS NULL GROUP BY old ORDER BY large, most").rows
    assert box.sql("SELECT o.only FROM other o JOIN orders p ON o.only = p.old").rows == ((1,),)
    assert box.sql("SELECT count(*) FROM orders JOIN other USING (old)").rows == ((0,),)
    assert box.sql("WITH t AS (SELECT old AS mine FROM orders) SELECT max(mine) FROM t").rows == ((1,),)


def test_a_name_that_no_event_has_is_refused(box: Sandbox) -> None:
    with pytest.raises(SqlRefused, match="There is no column nix"):
        box.sql("SELECT nix FROM orders")
    with pytest.raises(SqlRefused, match=r'"value\.key", in double quotes'):
        box.sql("SELECT value.key FROM orders")


def test_text_in_double_quotes_stays_what_it_is_to_sqlite(box: Sandbox) -> None:
    assert box.sql('SELECT count(*) FROM orders WHERE Status = "paid"').rows == ((1,),)
    assert box.sql('SELECT id AS "n" FROM orders ORDER BY "n" DESC LIMIT 1').rows == ((2 * SAMPLED_EVENTS - 1,),)


def test_a_saved_query_means_the_same_whatever_is_produced_after_it(box: Sandbox) -> None:
    box.append("changing", '{"Id": "one"}')
    for query in ("SELECT Id FROM changing WHERE Id IS NOT NULL", "SELECT id FROM changing WHERE Id = 'one'"):
        before = box.sql(query).rows
        box.append_many("changing", [NewEvent(b'{"other": 1}')] * (2 * SAMPLED_EVENTS))
        assert box.sql(query).rows == before
    box.append_many("changing", [NewEvent(b'{"id": "two"}')] * (2 * SAMPLED_EVENTS))
    assert box.sql("SELECT Id FROM changing WHERE Id IS NOT NULL").rows == (("one",),)


def test_fields_that_differ_in_case_alone_are_told_apart(box: Sandbox) -> None:
    box.append("cases", '{"id": 1, "Id": 2, "ID": 3, "Offset": 4}')
    for name, value in (("id", 1), ("Id", 2), ("ID", 3)):
        assert box.sql(f"SELECT {name} FROM cases").rows == ((value,),)
    assert box.sql('SELECT id, "Id:2", "ID:3", "value.Offset" FROM cases').rows == ((1, 2, 3, 4),)
    assert box.sql("SELECT * FROM cases").columns[-4:] == ("id", "Id:2", "ID:3", "value.Offset")
    with pytest.raises(SqlRefused, match='"Id:2"'):
        box.sql("SELECT id, Id FROM cases")


def test_a_search_without_time_never_changes_what_a_query_means(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    started = Fields.__init__

    def start(self: Fields, *arguments: Any) -> None:
        started(self, *(Clock(0.0) if isinstance(one, Clock) else one for one in arguments))  # type: ignore[arg-type]

    monkeypatch.setattr(Fields, "__init__", start)
    found = box.sql("SELECT max(old) FROM orders")
    assert found.rows == ((1,),)
    assert found.notes == ("Not every event was searched for the field old: there was no time.",)
    with pytest.raises(SqlRefused, match="single quotes: 'old'") as refused:
        box.sql('SELECT "old" FROM orders')
    assert refused.value.extendable


def test_the_search_ends_with_the_time_of_the_query(box: Sandbox) -> None:
    began_s = time.monotonic()
    with pytest.raises(SqlRefused):
        box.sql("SELECT nix FROM orders", limit_s=0.1)
    assert time.monotonic() - began_s < 5
