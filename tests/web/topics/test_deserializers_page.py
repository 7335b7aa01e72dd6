"""A topic's deserializers: chosen, tried and kept on the page; Messages follows."""

import io
from pathlib import Path

import cbor2
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.model.deserializers import BYTES, Deserializer
from sandbox.model.registry import AVRO, PROTOBUF

ITEM = 'syntax = "proto3"; package shop; import "money/price.proto"; message Item { money.Price price = 1; }'
PRICE = 'syntax = "proto3"; package money; message Price { int64 cents = 1; }'
PAGE = "/topics/items/deserializers"


def test_a_proto_with_its_imports_is_uploaded(page: FlaskClient, box: Sandbox) -> None:
    box.append("items", b"\x0a\x02\x08\x07")
    files = [(io.BytesIO(ITEM.encode()), "item.proto"), (io.BytesIO(PRICE.encode()), "price.proto")]
    form = {"part": "value", "format": PROTOBUF, "action": "save", "files": files}
    answer = page.post(PAGE, data=form, content_type="multipart/form-data", follow_redirects=True)
    assert "values of items: Protobuf, shop.Item; 1 of the newest 1 can be read" in answer.text
    (chosen,) = box.deserializers.of("items").values()
    assert chosen == Deserializer(PROTOBUF, ITEM, (("money/price.proto", PRICE),))
    messages = page.get("/topics/items/messages").text
    assert "{&#34;price&#34;:{&#34;cents&#34;:7}}" in messages
    assert "Values: Protobuf, shop.Item" in messages
    assert "Protobuf shop.Item, chosen for the values of items" in page.get("/topics/items/0/0").text
    decoded = page.get("/topics/items/0/0.json").get_json()["decoded"]["value"]
    assert (decoded["format"], decoded["json"], decoded["schema"]) == ("PROTOBUF", '{"price":{"cents":7}}', None)
    assert page.get("/topics/items/messages.json?where=$.price.cents+%3D+7").get_json()["events"]
    assert page.get("/topics/items/messages.json?value=cents%22:7").get_json()["events"]
    assert page.get("/topics/items/messages/volume.json?value=cents%22:7").get_json()["matched"] == 1


def test_trying_stores_nothing(page: FlaskClient, box: Sandbox) -> None:
    box.append("items", b"\x0e")
    form = {"part": "value", "format": AVRO, "action": "try", "schema": '"long"'}
    html = page.post(PAGE, data=form).text
    assert "1 of the newest 1 value can be read with what is tried here" in html
    assert "not saved" in html
    assert box.deserializers.of("items") == {}


def test_a_schema_that_cannot_be_used_is_refused_beside_what_was_typed(page: FlaskClient, box: Sandbox) -> None:
    box.append("items", b"\x0e")
    answer = page.post(PAGE, data={"part": "key", "format": AVRO, "schema": '{"type": "recrod"}', "action": "save"})
    assert answer.status_code == 400
    assert "This schema can&#39;t be used" in answer.text or "This schema can't be used" in answer.text
    assert "recrod" in answer.text
    assert box.deserializers.of("items") == {}


def test_rows_follow_the_choice_and_it_is_taken_back(page: FlaskClient, box: Sandbox) -> None:
    box.append("items", "plain text")
    assert "plain text" in page.get("/topics/items/messages").text
    page.post(PAGE, data={"part": "value", "format": BYTES, "action": "save"})
    assert "70 6c 61 69 6e" in page.get("/topics/items/messages").text
    assert page.get(f"{PAGE}.json").get_json() == {"topic": "items", "key": None, "value": {"format": BYTES}}
    page.post(PAGE, data={"part": "value", "format": "AUTOMATIC", "action": "save"})
    assert "plain text" in page.get("/topics/items/messages").text


def test_cbor_is_recognized_on_the_page(page: FlaskClient, box: Sandbox) -> None:
    box.append("items", cbor2.dumps({"id": 7}), key=cbor2.dumps(["a-key"]))
    html = page.get("/topics/items/messages?col=$.id").text
    assert '<span class="kind" title="CBOR">cbor</span>' in html
    assert "7" in html
    assert len(page.get("/topics/items/messages.json?key=a-key").get_json()["events"]) == 1
    assert len(page.get('/topics/items/messages.json?key=["a-key"]&exact=1').get_json()["events"]) == 1


def test_other_requests_are_refused_in_json(page: FlaskClient, box: Sandbox, tmp_path: Path) -> None:
    box.append("items", b"x")
    for body in ({}, {"part": "value"}, {"part": "value", "format": "AVRO"}, {"part": "value", "format": "YAML"}):
        answer = page.post(f"{PAGE}.json", json=body, headers={"X-Sandbox": "test"})
        assert (answer.status_code, answer.get_json()["error"]) == (400, "INVALID_REQUEST"), body
    assert (
        page.post(
            "/topics/none/deserializers.json", json={"part": "key", "format": "TEXT"}, headers={"X-Sandbox": "test"}
        ).status_code
        == 404
    )
