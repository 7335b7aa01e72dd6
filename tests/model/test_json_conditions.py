"""Conditions on the JSON in a value: exact numbers, told-apart kinds, and errors that say where."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kafka.errors import BrokerError
from sandbox.model.json_conditions import OPERATORS, Condition, JsonPath, check_header, has_header, meets, paths_in
from sandbox.model.json_values import MISSING, json_text, parse_value, shown_text

VALUE = (
    b'{"id": 9007199254740993, "price": 1.10, "paid": true, "note": null, "name": "Ada", "text": "42", "far": 1e400,'
    b' "at": "2024-05-01", "tags": ["red", 7], "a": {"b": [{"c d": "deep"}]}, "x.y": "dotted", "empty": ""}'
)


def holds(condition: str, value: bytes | None = VALUE) -> bool:
    return meets((Condition.parse(condition),), value)


@pytest.mark.parametrize(
    "condition",
    [
        "$.id = 9007199254740993",
        "$.id > 9007199254740992",
        "$.id != 9007199254740992",
        "$.price = 1.1",
        "$.price >= 1.10",
        "$.price < 1.1000000000000000000000001",
        "$.far > 1e399",
        "$.paid = true",
        "$.note = null",
        "$.note exists",
        "$.name = Ada",
        '$.name = "Ada"',
        "$.name != ada",
        "$.name contains d",
        "$.text = 42",
        '$.text = "42"',
        "$.text > 41.5",
        "$.at >= 2024-04-30",
        "$.tags contains red",
        "$.tags contains 7",
        "$.tags[1] = 7.0",
        '$.a.b[0]["c d"] = deep',
        '$["x.y"] = dotted',
        '$.empty = ""',
        "$ exists",
        '$.name == "Ada"',
        "$.name === Ada",
        '$.name <> "Bob"',
        "$.name !== Bob",
        "$.name ≠ Bob",
        "$.price ≤ 1.1",
        "$.price ≥ 1.1",
        "$.name CONTAINS d",
        "$.note Exists",
        '$.a = {"b":[{"c d":"deep"}]}',
        '$.tags = ["red",7.0]',
    ],
)
def test_a_condition_holds(condition: str) -> None:
    assert holds(condition)


@pytest.mark.parametrize(
    "condition",
    [
        "$.id = 9007199254740992",
        "$.id < 9007199254740993",
        "$.price = 1.100000000000000000001",
        '$.price = "1.10"',
        '$.paid = "true"',
        "$.paid = 1",
        "$.note = 0",
        "$.missing = 1",
        "$.missing != 1",
        "$.missing exists",
        "$.tags[2] exists",
        "$.name[0] exists",
        "$.name > 3",
        "$.tags contains re",
        "$.id contains 9007",
        "$.a = deep",
        '$.tags = [7, "red"]',
        '$.a != {"b":[{"c d":"deep"}]}',
    ],
)
def test_a_condition_does_not_hold(condition: str) -> None:
    assert not holds(condition)


@pytest.mark.parametrize("text", ["amount = 3", ".amount = 3", " amount=3", "$.amount = 3"])
def test_a_path_may_leave_out_its_root(text: str) -> None:
    assert str(Condition.parse(text)) == "$.amount = 3"
    assert holds(text, b'{"amount": 3}')
    assert holds("[1] = 3", b"[2, 3]")


@pytest.mark.parametrize("value", [None, b"", b"text", b"{", b"\xff{}", b'{"a": NaN}', b"[" * 100_000])
def test_a_value_that_is_no_json_meets_nothing(value: bytes | None) -> None:
    assert parse_value(value) is MISSING
    assert not holds("$ exists", value)
    assert not holds("$.a != 1", value)


def test_a_name_that_is_written_with_escapes_is_found() -> None:
    assert holds("$.amount = 3", b'{"\\u0061mount": 3}')


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("$.a..b = 3", "goes wrong at '..b'"),
        ("$.a[x] = 3", r"goes wrong at '\[x\]'"),
        ("$.a[-1] = 3", r"goes wrong at '\[-1\]'"),
        ("$.amount", "is no condition"),
        ("$.amount =", "is compared with"),
        ("$.amount contains", "is compared with"),
        ("$.amount resembles 3", "is no condition"),
        ("", "is no condition"),
        ("$.a = " + "x" * 2000, "is no condition"),
    ],
)
def test_what_is_no_condition_says_why(text: str, reason: str) -> None:
    with pytest.raises(BrokerError, match=reason):
        Condition.parse(text)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("$.name = 'Sam'", '$.name = "Sam"'),
        ("$.name = ‘Sam’", '$.name = "Sam"'),
        ("$.name = “Sam”", '$.name = "Sam"'),
        ("$.name = `Sam`", '$.name = "Sam"'),
        ('$.name = "Sam', '$.name = "Sam"'),
        ('$.name = Sam"', '$.name = "Sam"'),
        ("$.name = 'Sam", '$.name = "Sam"'),
        ("$.name contains 'Sam'", '$.name contains "Sam"'),
        ("$.a => 400", "$.a >= 400"),
        ("$.a =< 400", "$.a <= 400"),
        ("$.a =! 400", "$.a != 400"),
        ("$.a >< 400", "$.a != 400"),
        ("$.a = = 400", "$.a = 400"),
        ("$.a = > 400", "$.a >= 400"),
        ("$.a = !400", "$.a != 400"),
        ("$.a =~ Sam", "$.a contains Sam"),
        ("$.a = True", "$.a = true"),
        ("$.a != FALSE", "$.a != false"),
        ("$.a = NULL", "$.a = null"),
        ("$.a = None", "$.a = null"),
        ("$.a = nil", "$.a = null"),
        ("$.a = undefined", "$.a = null"),
        ("$.a < null", "$.a = null"),
        ("$.a >= true", "$.a = true"),
        ("$.a is null", "$.a = null"),
        ("$.a IS NOT NULL", "$.a != null"),
        ("$.a = 1 && $.b = 2", "Add each as a condition"),
        ("$.a = 1 AND $.b = 2", "Add each as a condition"),
        ('$.a = "x" or $.b = "y"', "Add each as a condition"),
        ("$.a = 1 || $.b = 2", "Add each as a condition"),
        ("$.a = 1 and b > 2", "Add each as a condition"),
        ("$.a like %Sam%", "$.a contains Sam"),
        ("$.a startsWith Sam", "$.a contains Sam"),
        ("$.a = %Sam%", "$.a contains Sam"),
        ("$.a = Sam*", "$.a contains Sam"),
        ("$.a = /^Sam.*/i", "$.a contains Sam"),
        ("$.a in (1, 2)", "$.a = 1"),
        ("$.a between 1 and 2", "$.a >= 1"),
        ("$.a not contains 2", "use !="),
        ("$.a exists true", "$.a exists"),
        ("$.a = $.b", '$.a = "$.b"'),
        ("$.a > 400ms", "$.a > 400"),
        ("$.a > 10 EUR", "$.a > 10"),
        ("$.a > $5", "$.a > 5"),
        ("$.a > 50%", "$.a > 50"),
        ("$.a > 0x1F", "$.a > 31"),
        ("$.a > +5", "$.a > 5"),
        ("$.a = 1,000", "$.a = 1000"),
        ("$.a = 1_000.5", "$.a = 1000.5"),
        ("$.a = .5", "$.a = 0.5"),
        ("$.a = 5;", "$.a = 5"),
        ("$name = Sam", "$.name"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_form_that_works(text: str, form: str) -> None:
    with pytest.raises(BrokerError) as refused:
        Condition.parse(text)
    assert form in refused.value.detail
    if form.startswith("$.") and form != "$.name":
        Condition.parse(form)


@pytest.mark.parametrize(
    ("operand", "found"),
    [
        ("<html>", "<html>"),
        ("/api/v1/", "/api/v1/"),
        ("****1234", "****1234"),
        ("30s", "30s"),
        ("+4917", "+4917"),
        ("O'Brien", "O'Brien"),
        ("salt and pepper", "salt and pepper"),
        ("abc==", "abc=="),
        ("$5", "$5"),
        ("0x1F", "0x1F"),
        ('"True"', "True"),
        ("\"'Sam'\"", "'Sam'"),
        ('"a && b"', "a && b"),
        ('"1,000"', "1,000"),
        ('"/^x/"', "/^x/"),
        ('"\\"Sam"', '"Sam'),
    ],
)
def test_text_that_can_be_meant_is_found(operand: str, found: str) -> None:
    assert holds(f"$.a = {operand}", json.dumps({"a": found}).encode())


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("trace = 1", "write 'trace=1',"),
        ("trace= 1", "write 'trace=1',"),
        ("trace==1", "write 'trace=1',"),
        ("trace: 1", "write 'trace=1',"),
        ("trace!=1", "write 'trace=1'."),
    ],
)
def test_a_header_condition_that_finds_nothing_is_refused(text: str, form: str) -> None:
    with pytest.raises(BrokerError) as refused:
        check_header(text)
    assert form in refused.value.detail


@pytest.mark.parametrize("text", ["trace", "trace=1", "a:b", 'etag="x"', "empty=", "a=b=c"])
def test_a_header_condition_is_taken_as_it_is(text: str) -> None:
    assert check_header(text) == text


def test_an_unknown_operator_is_refused() -> None:
    with pytest.raises(BrokerError, match="An operator is one of"):
        Condition.of("$.a", "^", "1")


names = st.text(min_size=1, max_size=6)
steps = st.lists(names | st.integers(0, 99), max_size=4)


@given(steps)
def test_a_path_is_read_as_it_is_written(found: list[str | int]) -> None:
    path = JsonPath(tuple(found))
    assert JsonPath.parse(str(path)) == path


@given(st.sampled_from(OPERATORS), st.text(min_size=1, max_size=8).filter(lambda text: text.strip() == text))
def test_a_condition_is_read_as_it_is_written(operator: str, operand: str) -> None:
    quoted = "" if operator == "exists" else json.dumps(operand)
    condition = Condition.of('$.a["b = c"]', operator, quoted)
    assert Condition.parse(str(condition)) == condition


@given(st.sampled_from(OPERATORS), st.text(min_size=1, max_size=8))
def test_form_fields_and_text_are_refused_alike(operator: str, operand: str) -> None:
    try:
        condition = Condition.of("$.a", operator, operand)
    except BrokerError:
        return
    assert Condition.parse(str(condition)) == condition


@given(st.integers() | st.decimals(allow_nan=False, allow_infinity=False), st.integers(-(2**70), 2**70))
def test_numbers_are_compared_exactly(mine: int | Decimal, theirs: int) -> None:
    value = b'{"n": %d}' % theirs
    assert holds(f"$.n < {mine}", value) == (theirs < mine)
    assert holds(f"$.n = {mine}", value) == (theirs == mine)


def test_a_number_keeps_every_digit_that_was_written() -> None:
    text = '{"a": [1.10, 9007199254740993, -1E+400, "1.10", null, true, {"b": "é\\n"}]}'
    assert json_text(parse_value(text.encode())) == text
    root = parse_value(text.encode())
    assert shown_text(JsonPath.parse("$.a[0]").find(root)) == "1.10"
    assert shown_text(JsonPath.parse("$.a[3]").find(root)) == "1.10"
    assert shown_text(JsonPath.parse("$.a[4]").find(root)) == "null"
    assert shown_text(JsonPath.parse("$.a[9]").find(root)) is None


def test_the_fields_of_a_value_are_found_down_to_a_depth() -> None:
    root = parse_value(json.dumps({"a": 1, "b": {"c": 2, "d": {"e": {"f": 3}}}, "g": [1, {"h": 2}]}).encode())
    assert [str(path) for path in paths_in(root)] == ["$.a", "$.b.c", "$.b.d.e", "$.g"]
    assert list(paths_in(parse_value(b"[1]"))) == []


def test_a_header_is_asked_for_by_name_or_with_its_value() -> None:
    headers = (("trace", b"1"), ("trace", None), ("x", b"a=b"))
    assert has_header("trace", headers)
    assert has_header("trace=1", headers)
    assert has_header("x=a=b", headers)
    assert not has_header("trace=2", headers)
    assert not has_header("Trace", headers)


def test_nested_numbers_beyond_decimals_are_the_same_only_if_they_are_written_alike() -> None:
    value = b'{"a": [1e99999999999999999999]}'
    assert holds("$.a = [1e99999999999999999999]", value)
    assert not holds("$.a = [2e99999999999999999999]", value)
    assert holds("$.a = [1.0, 2]", b'{"a": [1, 2e0]}')
    assert not holds("$.a = [1]", b'{"a": [true]}')


@pytest.mark.parametrize("depth", [50, 400, 850])
def test_a_deeply_nested_value_is_compared_and_written(depth: int) -> None:
    nested = "[" * depth + "1" + "]" * depth
    root = parse_value(f'{{"a": {nested}}}'.encode())
    assert shown_text(root["a"]) == nested
    assert JsonPath.parse("$.a").find(root) == root["a"]
    condition = Condition(JsonPath.parse("$.a"), "=", nested)
    assert condition.holds(root)
    assert not condition.holds(parse_value(b'{"a": ' + nested.replace("1", "2").encode() + b"}"))
