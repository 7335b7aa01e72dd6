"""JSON values in SQL equal those on Messages, by SQLite's own functions and by ours."""

import json
import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.api.sandbox import Sandbox
from sandbox.model.json_conditions import Condition
from sandbox.model.json_values import SqlFields
from sandbox.model.messages import MessageQuery
from sandbox.model.sql_result import SqlRefused
from sandbox.storage.sql.sql_decoding import SqlDecoder, add_decoding
from sandbox.storage.sql.sql_fields import Field, value_of
from sandbox.storage.sql.sql_functions import add_json
from sandbox.web.app import create_app

BIG, NEXT = "23958446825181078828", "23958446825181078829"
DECIMAL = "0.1000000000000000055511151231257827"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("values") / "dev.db") as found:
        found.create_topic("orders", partitions=1)
        for value in (
            f'{{"id": {BIG}, "d": {DECIMAL}, "a": 1, "a": 2}}',
            f'{{"id": {NEXT}, "d": 0.1, "a": 1}}',
            f'{{"id": -{BIG}, "t": "nul\\u0000byte"}}',
            '{"id": 7}',
        ):
            found.append("orders", value)
        yield found


@pytest.mark.parametrize(
    ("where", "offsets"),
    [
        (f"id = {BIG}", [0]),
        (f"{NEXT} = id", [1]),
        (f"id = -{BIG}", [2]),
        (f"id IN (7, {NEXT})", [1, 3]),
        (f"id <> {BIG}", [1, 2, 3]),
        (f"id IS {BIG}", [0]),
        (f"id = '{BIG}'", [0]),
        ("id = 7", [3]),
        (f"d = {DECIMAL}", [0]),
        ("d = 0.1", [1]),
        ("a = 2", [0]),
        ("a = 1", [1]),
        (f"CAST(id AS REAL) < -{BIG}.0 + 1e10", [2]),
    ],
)
def test_a_condition_finds_the_number_that_was_written(box: Sandbox, where: str, offsets: list[int]) -> None:
    assert [row[0] for row in box.sql(f"SELECT offset FROM orders WHERE {where} ORDER BY 1").rows] == offsets


@pytest.mark.parametrize("condition", [f"$.id = {BIG}", f"$.id = {NEXT}", "$.a = 2", "$.a = 1", f"$.d = {DECIMAL}"])
def test_messages_and_sql_find_the_same_events(box: Sandbox, condition: str) -> None:
    page = box.messages(MessageQuery("orders", order="offset", conditions=(Condition.parse(condition),)))
    where = condition.removeprefix("$.")
    rows = box.sql(f"SELECT offset FROM orders WHERE {where} ORDER BY 1").rows
    assert [row[0] for row in rows] == [event.offset for event in page.events] != []


def test_a_parameter_is_as_exact(box: Sandbox) -> None:
    page = create_app(box).test_client()
    for number, offset in ((BIG, 0), (NEXT, 1), ("7", 3)):
        asked = {"q": "SELECT offset FROM orders WHERE id = :id", "p_id": number}
        assert page.get("/sql.json", query_string=asked).get_json()["rows"] == [[offset]]


def test_every_door_shows_what_was_written_and_says_that_it_is_text(box: Sandbox) -> None:
    page = create_app(box).test_client()
    asked = {"q": "SELECT id, d, a, t FROM orders ORDER BY offset"}
    answer = page.get("/sql.json", query_string=asked).get_json()
    assert answer["rows"] == [
        [BIG, DECIMAL, 2, None],
        [NEXT, 0.1, 1, None],
        [f"-{BIG}", None, None, "nul\0byte"],
        [7, None, None, None],
    ]
    assert [note.split()[0] for note in answer["notes"]] == ["id", "d"]
    lines = page.get("/sql.csv", query_string=asked).text.splitlines()
    assert lines[1] == f'"{BIG}","{DECIMAL}",2,'
    html = page.get("/sql", query_string=asked).text
    assert BIG in html
    assert "id has numbers that SQL cannot hold exactly" in html
    assert "nul" in html
    assert "byte" in html


def test_json_value_reads_the_paths_of_messages(box: Sandbox) -> None:
    assert box.sql("SELECT json_value(value, '$.id') FROM orders WHERE offset = 0").rows == ((BIG,),)
    assert box.sql("""SELECT json_value('{"a":[{"b":1.5}]}', '$.a[0].b')""").rows == ((1.5,),)
    assert box.sql("SELECT json_value(value, 'id') FROM orders WHERE offset = 0").rows == ((BIG,),)
    with pytest.raises(SqlRefused, match="goes wrong at"):
        box.sql("SELECT json_value(value, '$id') FROM orders")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["f", "g", "é"]), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.tuples(st.sampled_from(["f", "F", "g", "f "]), JSON), max_size=4), st.booleans())
@settings(max_examples=150, deadline=None)
def test_the_fast_way_gives_what_the_rule_gives(members: list[tuple[str, object]], ascii_only: bool) -> None:
    pairs = (f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=ascii_only)}" for name, value in members)
    text = "{" + ", ".join(pairs) + "}"
    connection = sqlite3.connect(":memory:")
    add_json(connection, lambda place: None, lambda: None, lambda wrong: None)
    add_decoding(connection, SqlDecoder(None), lambda place: None, lambda: None)
    fields = ", ".join(value_of("t", Field("f"), fast=fast) for fast in (True, False))
    query = f"SELECT {fields} FROM (SELECT ? AS value, NULL AS headers) e"
    fast, slow = connection.execute(query, (text,)).fetchone()
    connection.close()
    expected = SqlFields(lambda place: None).field(text, "f")
    assert (fast, type(fast)) == (slow, type(slow)) == (expected, type(expected))
