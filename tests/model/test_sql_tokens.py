"""Tokens, parameters and limits of a query's text."""

import pytest

from sandbox.model.sql_tokens import ordered_limit, parameters, value_of, with_exact_numbers


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("SELECT :a, :b, :a", ("a", "b")),
        ("SELECT ':no', \":no\", [:no], `:no` -- :no\n/* :no */, :yes", ("yes",)),
        ("SELECT @a + $b", ("a", "b")),
        ("SELECT 'it''s :no' || :yes", ("yes",)),
        ("SELECT 1", ()),
    ],
)
def test_parameters_are_found_outside_strings_names_and_comments(query: str, names: tuple[str, ...]) -> None:
    assert parameters(query) == names


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("  ", None),
        (None, None),
        ("42", 42),
        ("-9223372036854775808", -(2**63)),
        ("9223372036854775808", "9223372036854775808"),
        ("23958446825181078828", "23958446825181078828"),
        ("1e400", "1e400"),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("'42'", "42"),
        ("''", ""),
        ("'it''s'", "it's"),
        ("user-42", "user-42"),
    ],
)
def test_a_field_is_null_a_number_or_text(text: str | None, value: object) -> None:
    assert value_of(text) == value
    assert type(value_of(text)) is type(value)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT * FROM t ORDER BY offset DESC LIMIT 10", (10, True)),
        ('select key, "offset" from "t" order by "offset" limit 5;', (5, False)),
        ("SELECT lower(key) AS k FROM t ORDER BY offset DESC, partition ASC LIMIT 10 OFFSET 5", (15, True)),
    ],
)
def test_the_order_by_offset_is_recognised(query: str, rows: tuple[int, bool]) -> None:
    assert ordered_limit(query, "t") == rows


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM t WHERE key = 'x' ORDER BY offset DESC LIMIT 10",
        "SELECT * FROM t, u ORDER BY offset DESC LIMIT 10",
        "SELECT * FROM u ORDER BY offset DESC LIMIT 10",
        "SELECT count(*) FROM t ORDER BY offset DESC LIMIT 10",
        "SELECT DISTINCT key FROM t ORDER BY offset DESC LIMIT 10",
        "SELECT key AS offset FROM t ORDER BY offset DESC LIMIT 10",
        "SELECT key offset FROM t ORDER BY offset DESC LIMIT 10",
        "SELECT lower(key) 'offset' FROM t ORDER BY offset DESC LIMIT 10",
        "SELECT * FROM t ORDER BY offset DESC LIMIT :n",
        "SELECT * FROM t ORDER BY offset DESC LIMIT 10 + 5",
        "SELECT * FROM t ORDER BY offset DESC, key LIMIT 10",
        "SELECT * FROM t ORDER BY offset + 1 LIMIT 10",
        "SELECT * FROM t GROUP BY key ORDER BY offset LIMIT 10",
        "SELECT * FROM t ORDER BY offset DESC LIMIT 1000000",
        "SELECT * FROM t ORDER BY offset DESC",
        "SELECT * FROM t UNION ALL SELECT * FROM t ORDER BY offset LIMIT 10",
    ],
)
def test_anything_else_is_left_to_sqlite(query: str) -> None:
    assert ordered_limit(query, "t") is None


@pytest.mark.parametrize(
    ("query", "exact"),
    [
        ("id = 23958446825181078828", "id = '23958446825181078828'"),
        ("id==-9223372036854775809", "id=='-9223372036854775809'"),
        ("id = -9223372036854775808", "id = -9223372036854775808"),
        ("id IN (1, 23958446825181078828)", "id IN (1, '23958446825181078828')"),
        ("f(1, 23958446825181078828)", "f(1, 23958446825181078828)"),
        ("id IS NOT 23958446825181078828", "id IS NOT '23958446825181078828'"),
        ("id > 23958446825181078828", "id > 23958446825181078828"),
        ("LIMIT 23958446825181078828", "LIMIT 23958446825181078828"),
        ("x = 0.10 AND y = .5 AND z = 5.", "x = 0.10 AND y = .5 AND z = 5."),
        ("'id = 23958446825181078828'", "'id = 23958446825181078828'"),
    ],
)
def test_a_number_that_sqlite_would_round_is_compared_as_text(query: str, exact: str) -> None:
    assert with_exact_numbers(query) == exact
