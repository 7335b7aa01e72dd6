"""CSV that loses nothing, and the variant for spreadsheets."""

import csv
import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.model.csv_text import BOM, Json, csv_text, encoding_of, with_encodings

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
CELL = st.none() | TEXT | st.integers() | st.booleans()


def read(text: str) -> list[list[object]]:
    """Read what docs/data.md describes: quotes count, and what has none is null, a number or a literal."""
    rows: list[list[object]] = [[]]
    at = 0
    while at < len(text):
        if text[at] == '"':
            end = at + 1
            while text[end] != '"' or text[end : end + 2] == '""':
                end += 2 if text[end] == '"' else 1
            rows[-1].append(text[at + 1 : end].replace('""', '"'))
            at = end + 1
        else:
            end = min(place for place in (text.find(",", at), text.find("\r\n", at)) if place >= 0)
            rows[-1].append(bare(text[at:end]))
            at = end
        if text[at : at + 2] == "\r\n":
            rows.append([])
            at += 2
        else:
            at += 1
    return rows[:-1]


def bare(text: str) -> object:
    literals: dict[str, object] = {"": None, "true": True, "false": False}
    return (
        literals[text] if text in literals else int(text) if text.lstrip("-").isdecimal() and text.isascii() else text
    )


@given(st.lists(st.tuples(CELL, CELL), max_size=6))
def test_every_value_comes_back_with_its_kind(rows: list[tuple[object, object]]) -> None:
    assert read(csv_text(("a", "b"), rows))[1:] == [list(row) for row in rows]


@given(st.lists(st.tuples(TEXT, TEXT), max_size=6))
def test_any_reader_gets_the_text(rows: list[tuple[str, str]]) -> None:
    found = list(csv.reader(io.StringIO(csv_text(("a", "b"), rows), newline="")))
    assert found[1:] == [list(row) for row in rows]


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        (None, ""),
        ("", '""'),
        ("null", '"null"'),
        (Json("null"), "null"),
        ("1.10", '"1.10"'),
        (Json("1.10"), "1.10"),
        (9007199254740993, "9007199254740993"),
        (True, "true"),
        ("true", '"true"'),
        (b"\xff", "/w=="),
        (["a", 1], '"[""a"", 1]"'),
        (" x", '" x"'),
        ("0 to 5", "0 to 5"),
    ],
)
def test_what_looks_alike_is_written_differently(cell: object, written: str) -> None:
    assert csv_text(("a",), [(cell,)]) == f"a\r\n{written}\r\n"


def test_a_column_with_bytes_has_another_one_that_says_so() -> None:
    columns, rows = with_encodings(("a", "b"), [(b"\xff", 1), ("/w==", 2), (None, 3), (4, 4)])
    assert columns == ["a", "b", "a_encoding"]
    assert [row[2] for row in rows] == ["base64", "text", "null", "number"]
    assert with_encodings(("a",), [("x",)]) == (["a"], [("x",)])
    assert encoding_of(1.5) == "number"


@given(st.lists(st.tuples(TEXT, st.sampled_from("=+-@\t\r\uff1d;").map(lambda sign: f"{sign}1+1")), max_size=6))
def test_nothing_is_a_formula_for_spreadsheets(rows: list[tuple[str, str]]) -> None:
    text = csv_text(("=a", "b"), rows, excel=True)
    assert text.startswith(BOM)
    for row in csv.reader(io.StringIO(text[1:], newline="")):
        assert not [cell for cell in row if cell[:1] in tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")]


def test_numbers_are_no_formulas() -> None:
    assert csv_text(("a", "b"), [(-5, Json("-1.5"))], excel=True)[1:] == "a,b\r\n-5,-1.5\r\n"


def test_long_text_takes_linear_time() -> None:
    began = time.process_time()
    assert csv_text(["v"], [("1" * 30_000 + "x",)], end="\n") == "v\n" + "1" * 30_000 + "x\n"
    assert time.process_time() - began < 2
