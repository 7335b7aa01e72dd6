"""Values are shown, downloaded and given as data exactly as they are stored."""

import base64
import csv
import html
import io
import json
import re

import pytest
from flask.testing import FlaskClient
from markupsafe import escape

from sandbox.api.sandbox import Sandbox
from sandbox.web.payload import pretty
from tests.web.hostile import BIG_INTEGER, INVALID, LARGE, SCRIPT, VALUES


@pytest.fixture
def hostile(box: Sandbox) -> Sandbox:
    box.create_topic("t", partitions=1)
    for name, value in VALUES.items():
        box.append("t", value, key=name)
    return box


@pytest.mark.parametrize("name", VALUES)
def test_a_value_comes_back_exactly_as_data_and_as_a_file(page: FlaskClient, hostile: Sandbox, name: str) -> None:
    stored, offset = VALUES[name], list(VALUES).index(name)
    shown = page.get(f"/topics/t/0/{offset}.json").get_json()["value"]
    if isinstance(shown, dict):
        assert base64.b64decode(shown["base64"]) == stored
    else:
        assert (shown.encode() if shown is not None else None) == stored
    download = page.get(f"/topics/t/0/{offset}/value")
    if stored is None:
        assert download.status_code == 404
    else:
        assert download.data == stored
        assert download.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize("view", ["pretty", "raw", "hex"])
@pytest.mark.parametrize("name", VALUES)
def test_every_view_of_every_value_is_a_page(page: FlaskClient, hostile: Sandbox, name: str, view: str) -> None:
    answer = page.get(f"/topics/t/0/{list(VALUES).index(name)}?view={view}")
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text


def test_an_integer_of_64_bits_is_never_rounded(page: FlaskClient, hostile: Sandbox) -> None:
    html = page.get("/topics/t/0/0").text
    assert "9007199254740993" in html
    assert "-18446744073709551616" in html
    assert "1.10" in html
    assert html.count("&#34;id&#34;") == 2


def test_laying_out_json_keeps_every_token() -> None:
    text = '{"a":[1,2.50,{"b":null}],"c":{},"d":[],"e":"x: {[,]} \\" y","n":-1E+400}'
    laid_out = pretty(text)
    assert re.sub(r'("(?:[^"\\]|\\.)*")|\s+', r"\1", laid_out) == text
    assert '"c": {},' in laid_out
    assert json.loads(laid_out) == json.loads(text)


def test_null_empty_and_undecodable_are_told_apart(page: FlaskClient, hostile: Sandbox) -> None:
    names = list(VALUES)
    assert "There is no value" in page.get(f"/topics/t/0/{names.index('null')}").text
    assert "0 bytes long" in page.get(f"/topics/t/0/{names.index('empty')}").text
    undecodable = page.get(f"/topics/t/0/{names.index('invalid UTF-8')}").text
    assert "not UTF-8: byte 0xff at position 0" in undecodable
    assert "ff fe 00 61 62 63" in undecodable


def test_a_large_value_shows_its_head_and_offers_the_rest(page: FlaskClient, hostile: Sandbox) -> None:
    offset = list(VALUES).index("large")
    head = page.get(f"/topics/t/0/{offset}")
    assert len(head.data) < 100_000
    assert "more characters are not shown" in head.text
    whole = page.get(f"/topics/t/0/{offset}?all=1")
    assert "x" * 900_000 in whole.text
    assert page.get(f"/topics/t/0/{offset}/value").data == LARGE


def test_hostile_text_is_escaped_in_every_place(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("t", partitions=1)
    box.append("t", SCRIPT, key=SCRIPT, headers=((SCRIPT.decode(), SCRIPT), ("\udcff", b"\xff"), ("", None)))
    box.commit("<img src=x onerror=alert(1)>", "t", 0, 0)
    addresses = ("/", "/topics/t", "/topics/t/messages", "/topics/t/0/0", "/groups", "/search?q=%3Cimg")
    for address in (*addresses, "/topics/t/messages?key=<script>alert(1)</script>&since=<b>", "/<script>alert(1)"):
        html = page.get(address).text
        assert "<script>alert" not in html, address
        assert "<img" not in html, address
        assert '<b>"' not in html, address
    assert str(escape(SCRIPT.decode())) in page.get("/topics/t/messages").text
    headers = page.get("/topics/t/0/0.json").get_json()["headers"]
    assert headers == [[SCRIPT.decode(), SCRIPT.decode()], [{"base64": "/w=="}, {"base64": "/w=="}], ["", None]]


def test_the_data_of_a_page_takes_the_same_query(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("t", partitions=2)
    for n in range(20):
        box.append("t", f"v{n}", key=f"k{n % 4}", partition=n % 2, timestamp_ms=1_000_000 + n)
    query = "key=k1&exact=1&limit=2&order=oldest"
    data = page.get(f"/topics/t/messages.json?{query}").get_json()
    assert [event["value"] for event in data["events"]] == ["v1", "v5"]
    assert data["total"] == 20
    following = page.get(f"/topics/t/messages.json?{query}&cursor={data['next']}").get_json()
    assert [event["value"] for event in following["events"]] == ["v9", "v13"]
    back = page.get(f"/topics/t/messages.json?{query}&cursor={following['previous']}").get_json()
    assert [event["value"] for event in back["events"]] == ["v1", "v5"]
    html = page.get(f"/topics/t/messages?{query}").text
    assert re.findall(r'data-offset="(\d+)"', html) == ["0", "2"]


def test_a_table_of_events_is_a_file(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("t", partitions=1)
    box.append("t", 'a "quoted",\nvalue', key=b"\xff", headers={"h": "1"}, timestamp_ms=7)
    rows = list(csv.reader(io.StringIO(page.get("/topics/t/messages.csv").text, newline="")))
    assert rows[1] == [
        *("t", "0", "0", "7", "CreateTime", "/w==", 'a "quoted",\nvalue', '[["h", "1"]]', "", "base64", "text")
    ]


def test_what_looks_alike_is_told_apart_in_a_table(page: FlaskClient, box: Sandbox) -> None:
    """By a CSV reader that ignores quotes: null, empty and text of the same letters, bytes and their base64."""
    box.create_topic("t", partitions=1)
    contents = (None, "", "null", "None", b"\xff", "/w==", "base64:/w==", "1", " x ", "NULL")
    headers: tuple[dict[str, str | bytes | None], ...] = (
        {"1 b": "2"},
        {"1": "", "b": "2"},
        {"a": None},
        {"a": "None"},
        {"a": ""},
        {"a": b"\xff"},
        {"a": "base64:/w=="},
        {"a b=1": "c"},
        {"a": "b=1 c"},
        {},
    )
    for content, more in zip(contents, headers, strict=True):
        box.append("t", content, key=content, headers=more)
    rows = list(csv.DictReader(io.StringIO(page.get("/topics/t/messages.csv?order=oldest").text, newline="")))
    for part in ("key", "value"):
        found = [decoded(row[part], row[f"{part}_encoding"]) for row in rows]
        assert found == [one.encode() if isinstance(one, str) else one for one in contents]
    as_json = page.get("/topics/t/messages.json?order=oldest").get_json()["events"]
    assert [json.loads(row["headers"]) for row in rows] == [event["headers"] for event in as_json]
    lines = page.get("/topics/t/messages.csv?order=oldest&col=$.x").text.splitlines()
    assert lines[1].startswith("t,0,0,")
    assert ",CreateTime,,," in lines[1], "null is empty"
    assert ',CreateTime,"","",' in lines[2], "empty text is in quotes"
    assert ',CreateTime,"null","null",' in lines[3]


def decoded(text: str, encoding: str) -> bytes | None:
    """What docs/data.md says that a field has."""
    return None if encoding == "null" else base64.b64decode(text) if encoding == "base64" else text.encode()


def test_fields_as_columns_of_a_table_keep_their_kind(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("t", partitions=1)
    for value in ('{"a": null}', '{"a": "null"}', "{}", '{"a": ""}', '{"a": 1.10}', '{"a": "1.10"}', '{"a": [1, "b"]}'):
        box.append("t", value)
    lines = page.get("/topics/t/messages.csv?order=oldest&col=$.a").text.splitlines()[1:]
    found = [line.rpartition(",text,")[2] for line in lines]
    assert found == ["null", '"null"', "", '""', "1.10", '"1.10"', '"[1, ""b""]"']


@pytest.mark.parametrize(
    "address", ["/topics/t/messages.csv?order=oldest&col=$.x", "/sql.csv?q=SELECT+key,value+FROM+t"]
)
def test_nothing_is_a_formula_in_a_table_for_spreadsheets(page: FlaskClient, box: Sandbox, address: str) -> None:
    box.create_topic("t", partitions=1)
    for text in ("=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", "=1,2", "a;=1", "\uff1d1", '"=1'):
        box.append("t", text, key=text, headers={text: text})
    box.append("t", '{"x": "=1"}', key="x")
    plain = page.get(address)
    assert "=1+1" in plain.text
    assert "'=1+1" not in plain.text
    text = page.get(f"{address}&excel=1").data.decode("utf-8-sig")
    for separator in (",", ";", "\t"):
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            assert not [cell for cell in row if re.match("[=+@\uff1d\t\r]|-(?![0-9.]+$)", cell)], (separator, row)
    assert 'excel=1" title="CSV for spreadsheets' in page.get("/topics/t/messages").text


@pytest.mark.parametrize("query", ["from=x", "from=-1", "since=yesterday", "p=a", "order=sideways", "limit=0"])
def test_a_filter_that_makes_no_sense_says_so_and_keeps_the_form(page: FlaskClient, box: Sandbox, query: str) -> None:
    box.create_topic("t", partitions=1)
    answer = page.get(f"/topics/t/messages?{query}&key=kept")
    assert answer.status_code == 400
    assert 'value="kept"' in answer.text
    assert "Traceback" not in answer.text
    assert page.get(f"/topics/t/messages.json?{query}").status_code == 400


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("/topics/t/0/9", "It is not written yet: the next event of partition 0 gets offset 1."),
        ("/topics/t/7/0", "partition"),
        ("/topics/nope/0/0", "nope"),
        ("/topics/nope/messages", "nope"),
    ],
)
def test_what_is_not_there_says_why(page: FlaskClient, box: Sandbox, address: str, reason: str) -> None:
    box.create_topic("t", partitions=1)
    box.append("t", INVALID)
    answer = page.get(address)
    assert answer.status_code == 404
    assert reason in answer.text
    assert page.get(address + ".json").status_code == 404


def test_an_offset_without_an_event_leads_to_those_that_are_there(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("t", partitions=1)
    for _ in range(3):
        box.append("t", "x")
    box.logs.delete_records("t", {0: 1})
    assert 'href="/topics/t/messages?p=0">The newest of partition 0</a>' in page.get("/topics/t/0/9").text
    gone = page.get("/topics/t/0/0").text
    assert "the log of partition 0 starts at offset 1 now" in gone
    after = re.search(r'href="([^"]+)">What comes after it in partition 0</a>', gone)
    assert after is not None
    assert re.findall(r'id="m-0-(\d)"', page.get(after[1].replace("&amp;", "&")).text) == ["1", "2"]


def test_the_value_of_a_row_opens_as_a_part_for_htmx_only(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("t", partitions=1)
    box.append("t", BIG_INTEGER)
    part = page.get("/topics/t/0/0?inline=1", headers={"HX-Request": "true"}).text
    assert "<html" not in part
    assert "9007199254740993" in part
    assert "<html" in page.get("/topics/t/0/0?inline=1").text


def test_the_bars_are_shown_as_a_table_where_that_is_asked_for(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("bars", partitions=1)
    for number in range(4):
        box.append("bars", "x", timestamp_ms=1_700_000_000_000 + number * 1_000)
    text = page.get("/topics/bars/messages?order=oldest").text
    assert "Look closer" not in text
    (address,) = re.findall('<p class="behind"><a href="([^"]+)">As a table', text)
    table = page.get(html.unescape(address)).text
    assert table.count(">Only these</a>") == 4
    (back,) = re.findall('<a href="([^"]+)">Without the table', table)
    assert html.unescape(back) == "/topics/bars/messages?order=oldest#volume"


@pytest.mark.parametrize("number", ["1700000000000", "1700000000", "20231114"])
def test_a_time_typed_as_an_offset_is_refused_with_the_way_out(page: FlaskClient, box: Sandbox, number: str) -> None:
    box.create_topic("times", partitions=2)
    box.append("times", "v", partition=0)
    for address in ("messages", "messages.json", "messages.csv", "messages.jsonl"):
        answer = page.get(f"/topics/times/{address}?from={number}")
        assert answer.status_code == 400
        assert "since: 2023-11-14" in answer.text
    assert page.get("/topics/times/messages?from=99").status_code == 200


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999Z", "-1"])
def test_a_time_before_1970_is_before_every_event(page: FlaskClient, box: Sandbox, time: str) -> None:
    box.create_topic("times", partitions=1)
    box.append("times", "v")
    assert len(page.get(f"/topics/times/messages.json?since={time}").get_json()["events"]) == 1
    assert page.get(f"/topics/times/messages.json?until={time}").get_json()["events"] == []
    box.commit("g", "times", 0, 1)
    lines = page.get("/groups/g/reset.json", query_string={"to": "time", "at": time}).get_json()["lines"]
    assert [line["after"] for line in lines] == [0]
