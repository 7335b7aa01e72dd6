"""JSON values in SQL: numbers exact or text as written, the last of a repeated name, text whole."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.model.json_conditions import Condition, meets
from sandbox.model.json_values import SqlFields, decimal_of, json_text, number_cell, parse_value


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("0", 0),
        ("-0", 0),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("9223372036854775808", "9223372036854775808"),
        ("-9223372036854775809", "-9223372036854775809"),
        ("23958446825181078828", "23958446825181078828"),
        ("9" * 5000, "9" * 5000),
        ("1.10", 1.1),
        ("1.0", 1.0),
        ("1E2", 100.0),
        ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
        ("12345678901234567.5", "12345678901234567.5"),
        ("1e400", "1e400"),
        ("-1e-400", "-1e-400"),
    ],
)
def test_a_number_is_exact_or_the_text_that_was_written(text: str, cell: object) -> None:
    found = number_cell(text)
    assert (found, type(found)) == (cell, type(cell))
    exact: list[str] = []
    field = SqlFields(exact.append).field(f'{{"n": {text}}}', "n")
    assert (field, type(field)) == (cell, type(cell))
    assert exact == (["n"] if isinstance(cell, str) else [])


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True))
def test_no_number_is_rounded(text: str) -> None:
    found = number_cell(text)
    assert found == text if isinstance(found, str) else decimal_of(repr(found)) == decimal_of(text)


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ('{"a": 1, "a": 2}', 2),
        ('{"a": 1, "\\u0061": 2}', 2),
        ('{"a": 1, "x": {"a": 3}}', 1),
        ('{"x": {"a": 3}}', None),
        ('{"a": "nul\\u0000byte"}', "nul\0byte"),
        ('{"a": "\\ud800"}', "\ufffd"),
        ('{"a": "\\ud83d\\ude00"}', "😀"),
        ('{"a": true}', 1),
        ('{"a": false}', 0),
        ('{"a": null}', None),
        ('{"a": {"b": 1.10, "b": 23958446825181078828, "c": [1, "x"]}}', '{"b":23958446825181078828,"c":[1,"x"]}'),
        ('\ufeff{"a": 1}', None),
        ('{"a": NaN}', None),
        ('{"a": 1} x', None),
        ('["a"]', None),
        ("plain", None),
    ],
)
def test_a_field_is_what_the_rule_says(value: str, cell: object) -> None:
    assert SqlFields(lambda place: None).field(value, "a") == cell


@given(st.dictionaries(st.text(max_size=3), st.one_of(st.integers(), st.text(max_size=5), st.booleans()), max_size=4))
def test_conditions_and_sql_read_the_same(members: dict[str, object]) -> None:
    text = json.dumps(members)
    fields = SqlFields(lambda place: None)
    root = parse_value(text.encode())
    for name, value in members.items():
        assert fields.field(text, name) == fields.at(text, lambda _, name=name: root[name], name)  # type: ignore[misc]
        if isinstance(value, int) and not isinstance(value, bool):
            path = f"$[{json.dumps(name)}]"
            assert meets((Condition.of(path, "=", str(value)),), text.encode())


@given(
    st.recursive(st.none() | st.booleans() | st.text(), lambda some: st.lists(some) | st.dictionaries(st.text(), some))
)
def test_a_parsed_value_is_written_as_python_writes_it(value: object) -> None:
    assert json_text(value) == json.dumps(value, ensure_ascii=False)
    assert json_text(value, ",", ":") == json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def test_a_deeply_nested_value_does_not_stop_a_query() -> None:
    nested = "[" * 400 + "]" * 400
    assert SqlFields(lambda place: None).field(f'{{"a": {nested}}}', "a") == nested
