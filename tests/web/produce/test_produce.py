"""The preview is sent unchanged, byte for byte."""

import random
import re
from zlib import crc32

import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from tests.web.hostile import VALUES


@pytest.fixture
def orders(box: Sandbox) -> Sandbox:
    box.create_topic("orders", partitions=6)
    return box


def _send(page: FlaskClient, form: dict[str, str]) -> tuple[int, int]:
    answer = page.post("/topics/orders/produce", data=form, headers={"HX-Request": "true"})
    place = re.search(r'data-partition="(\d+)" data-offset="(\d+)"', answer.text)
    assert place is not None, answer.text
    return int(place[1]), int(place[2])


@pytest.mark.parametrize("partitioner", ["murmur2", "consistent_random"])
def test_the_partition_shown_is_the_partition_used(page: FlaskClient, orders: Sandbox, partitioner: str) -> None:
    source = random.Random(20)
    for _ in range(150):
        key = "".join(chr(source.choice([*range(32, 127), 233, 8364, 0x1F96A])) for _ in range(source.randrange(1, 24)))
        form = {"topic": "orders", "key": key, "value_kind": "text", "value": "v", "partitioner": partitioner}
        shown = page.get("/produce/preview.json", query_string=form).get_json()["partition"]
        partition, offset = _send(page, form)
        assert partition == shown
        assert orders.event("orders", partition, offset).key == key.encode()


def test_the_preview_says_how_the_partition_is_found(page: FlaskClient, orders: Sandbox) -> None:
    html = page.post("/produce/preview", data={"topic": "orders", "key": "user-42"}).text
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html))
    shown = page.get("/produce/preview.json?topic=orders&key=user-42").get_json()["partition"]
    assert "&#34;user-42&#34; →" in text
    assert "murmur2 →" in text
    assert f"partition {shown} of 6" in text
    assert "sticky" in page.post("/produce/preview", data={"topic": "orders", "key_kind": "none"}).text
    assert re.search(r"murmur2 of the key is ([0-9,]+), and \1 mod 6 = " + str(shown), text)
    assert f"Java: {shown}; librdkafka: Python, Go, .NET, kcat: {crc32(b'user-42') % 6}" in text


def test_the_program_follows_the_form(page: FlaskClient, orders: Sandbox) -> None:
    form = {"topic": "orders", "key": "user-7", "value": "{}", "partitioner": "consistent_random"}
    text = page.post("/produce/program", data=form).text
    assert "user-7" in text
    assert "consistent_random" in text
    assert "murmur2" not in text
    assert "'orders'" in page.post("/topics/orders/produce/program", data=form | {"topic": ""}).text.replace(
        "&#39;", "'"
    )


def test_round_robin_takes_turns_and_says_whose_turn_it_is(page: FlaskClient, orders: Sandbox) -> None:
    form = {"topic": "orders", "mode": "round", "value_kind": "text", "value": "v"}
    first = page.get("/produce/preview.json", query_string=form).get_json()["partition"]
    assert [_send(page, form)[0] for _ in range(7)] == [(first + n) % 6 for n in range(7)]


@pytest.mark.parametrize(
    ("form", "key", "value"),
    [
        ({"key": "k", "value": '{"id": 9007199254740993}'}, b"k", b'{"id": 9007199254740993}'),
        ({"key_kind": "none", "value_kind": "text", "value": "a\r\nb"}, None, b"a\nb"),
        ({"key_kind": "empty", "value_kind": "empty", "value": "ignored"}, b"", b""),
        ({"key": "k", "value_kind": "null", "value": "ignored"}, b"k", None),
        ({"key": "🥪", "value_kind": "text", "value": "<script>"}, "🥪".encode(), b"<script>"),
        ({"key": "k", "value_kind": "text", "value": VALUES["large"]}, b"k", VALUES["large"]),
    ],
)
def test_what_is_typed_is_what_is_stored(
    page: FlaskClient, orders: Sandbox, form: dict[str, str], key: bytes | None, value: bytes | None
) -> None:
    event = orders.event("orders", *_send(page, form | {"mode": "fixed", "partition": "3"}))
    assert (event.partition, event.key, event.value) == (3, key, value)


def test_headers_and_timestamp_are_stored_as_written(page: FlaskClient, orders: Sandbox) -> None:
    headers = "a: 1\nb:\nc\na: x: y"
    place = _send(page, {"value": "1", "headers": headers, "timestamp": "2024-05-01 12:30:00.123"})
    event = orders.event("orders", *place)
    assert event.headers == (("a", b"1"), ("b", b""), ("c", None), ("a", b"x: y"))
    assert event.timestamp_ms == 1714566600123


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({"value": "{oops"}, "Not JSON"),
        ({"value": ""}, "Nothing was typed"),
        ({"value": "NaN"}, "not JSON"),
        ({"value": "1", "mode": "fixed", "partition": "6"}, "partitions 0 to 5"),
        ({"value": "1", "timestamp": "soon"}, "a valid time"),
        ({"value": "1", "partitioner": "dice"}, "no partitioner"),
        ({"value_kind": "text", "value": "x" * 1_100_000}, "max.message.bytes"),
    ],
)
def test_what_is_refused_is_not_stored(page: FlaskClient, orders: Sandbox, form: dict[str, str], reason: str) -> None:
    htmx = page.post("/topics/orders/produce", data=form, headers={"HX-Request": "true"})
    assert reason in htmx.text
    plain = page.post("/topics/orders/produce", data=form)
    assert plain.status_code == 400
    assert reason in plain.text
    assert orders.topic("orders").events == 0


def test_without_scripts_the_form_comes_back_filled_with_the_answer(page: FlaskClient, orders: Sandbox) -> None:
    form = {"topic": "orders", "key": "again", "value_kind": "text", "value": "hello there"}
    answer = page.post("/produce", data=form)
    assert answer.status_code == 303
    html = page.get(answer.location).text
    assert 'value="again"' in html
    assert "hello there</textarea>" in html
    assert re.search(r"partition \d · offset 0</a>", html)


def test_producing_to_a_topic_that_does_not_exist_is_refused(page: FlaskClient, orders: Sandbox) -> None:
    assert page.post("/topics/nope/produce", data={"value": "1"}).status_code == 404
    assert page.get("/produce?topic=nope").status_code == 404


def test_the_preview_warns_where_the_key_lies_in_another_partition(page: FlaskClient, orders: Sandbox) -> None:
    form = {"topic": "orders", "key": "user-42"}
    chosen = page.get("/produce/preview.json", query_string=form).get_json()["partition"]
    orders.append("orders", "v", key="user-42", partition=chosen)
    lasts = "The same key goes there, as long as the topic has 6 partitions"
    assert lasts in page.post("/produce/preview", data=form).text
    other = (chosen + 1) % 6
    orders.append("orders", "v", key="user-42", partition=other)
    text = page.post("/produce/preview", data=form).text
    assert f"latest event with this key is in partition {other}" in text
    assert lasts not in text
