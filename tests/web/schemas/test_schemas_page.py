"""The Schemas pages: subjects, versions, the trial of a change, registration and deletion."""

import html
import json
import re
import time
from types import SimpleNamespace

import pytest
from flask.testing import FlaskClient

import sandbox
from sandbox import Sandbox
from sandbox.model.activity import ActivityQuery
from sandbox.model.overview import Change
from sandbox.model.registry import LEVELS, SchemaReference, SchemaRequest
from sandbox.registry.subjects import REGISTRY, parse_subject
from sandbox.remote.backend import CLUSTER
from sandbox.schemas.framing import classic_frame
from sandbox.schemas.parsing import parse_schema
from sandbox.web.activity import entry_text
from sandbox.web.responses import Interest
from sandbox.web.schemas.views import INTEREST, _compared

FIRST = {"type": "record", "name": "Order", "fields": [{"name": "id", "type": "long"}]}
SECOND = {**FIRST, "fields": [*FIRST["fields"], {"name": "note", "type": "string", "default": ""}]}
WITHOUT_DEFAULT = {**FIRST, "fields": [*FIRST["fields"], {"name": "amount", "type": "double"}]}


def register(box: Sandbox, subject: str, schema: object, *references: SchemaReference) -> int:
    asked = SchemaRequest(json.dumps(schema), references=references)
    return box.schema_registry().register(parse_subject(subject), asked).schema_id


def test_without_schemas_it_says_what_they_are(page: FlaskClient) -> None:
    assert "No schemas yet" in page.get("/schemas").text


def test_the_list_shows_each_subject_with_its_topic(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders")
    register(box, "orders-value", FIRST)
    schema_id = register(box, "orders-value", SECOND)
    register(box, ":.test:users-value", FIRST)
    text = page.get("/schemas").text
    assert 'href="/schemas/orders-value"' in text
    assert 'href="/topics/orders"' in text
    subjects = {one["subject"]: one for one in page.get("/schemas.json").get_json()["subjects"]}
    assert list(subjects) == [":.test:users-value", "orders-value"]
    found = subjects["orders-value"]
    assert (found["version"], found["versions"], found["id"]) == (2, 2, schema_id)
    assert (found["schema_type"], found["compatibility"]) == ("AVRO", "BACKWARD")
    assert "No subject matches" in page.get("/schemas?q=nothing").text


def test_a_subject_shows_what_each_version_changed(page: FlaskClient, box: Sandbox) -> None:
    register(box, "orders-value", FIRST)
    register(box, "orders-value", SECOND)
    text = page.get("/schemas/orders-value").text
    assert text.index("Version 2") < text.index("Version 1")
    assert text.count('class="added"') > 0
    assert "&#34;note&#34;" in text
    assert page.get("/schemas/nothing").status_code == 404


def test_references_are_shown_both_ways(page: FlaskClient, box: Sandbox) -> None:
    register(box, "order", FIRST)
    line = {"type": "record", "name": "Line", "fields": [{"name": "order", "type": "Order"}]}
    register(box, "line", line, SchemaReference("Order", "order", 1))
    assert 'Uses <a href="/schemas/order">order</a> version 1' in page.get("/schemas/line").text
    assert 'Used by <a href="/schemas/line">line</a> version 1' in page.get("/schemas/order").text
    assert "the registry refuses to delete it" in page.get("/schemas/order/delete").text
    answer = page.post("/schemas/order/delete", follow_redirects=True)
    assert "One or more references exist to the schema" in answer.text
    assert page.get("/schemas/order").status_code == 200


@pytest.mark.parametrize("name", ["a?b", "a#b", "a%2Fb", "a/b", "x/delete", "~new", "/lead", "a.json", "ä b"])
def test_a_subject_with_an_odd_name_is_linked_and_deleted(page: FlaskClient, box: Sandbox, name: str) -> None:
    register(box, name, FIRST)
    (address,) = re.findall(r'class="row" href="([^"]+)"', page.get("/schemas").text)
    assert f"<h1>{name}</h1>" in page.get(html.unescape(address)).text
    (delete,) = re.findall(r"""href="([^"]+)">Delete…""", page.get(html.unescape(address)).text)
    assert f"{name} is deleted" in page.post(html.unescape(delete), follow_redirects=True).text


def test_a_relative_reference_stays_in_its_context(page: FlaskClient, box: Sandbox) -> None:
    register(box, ":.test:order", FIRST)
    line = {"type": "record", "name": "Line", "fields": [{"name": "order", "type": "Order"}]}
    register(box, ":.test:line", line, SchemaReference("Order", "order", 1))
    assert 'href="/schemas/%3A.test%3Aorder">order</a>' in page.get("/schemas/:.test:line").text


def test_a_deleted_user_does_not_prevent_a_deletion(page: FlaskClient, box: Sandbox) -> None:
    register(box, "order", FIRST)
    line = {"type": "record", "name": "Line", "fields": [{"name": "order", "type": "Order"}]}
    register(box, "line", line, SchemaReference("Order", "order", 1))
    page.post("/schemas/line/delete")
    assert "the registry refuses to delete it" not in page.get("/schemas/order/delete").text
    assert "order is deleted" in page.post("/schemas/order/delete", follow_redirects=True).text


def test_large_versions_are_compared_in_bounded_time() -> None:
    older = "\n".join(f'"name": "a{number}",' for number in range(3_000))
    newer = "\n".join(f'"name": "b{number}",' for number in range(3_000))
    started_s = time.process_time()
    assert len(_compared(older, newer)) == 6_000
    assert time.process_time() - started_s < 5
    assert len(_compared("x\n" * 5_000, "y\n" * 5_000)) == 5_000


def trial(page: FlaskClient, schema: object, subject: str = "orders-value") -> dict[str, bool]:
    form = {"subject": subject, "schema_type": "AVRO", "schema": json.dumps(schema)}
    text = page.post("/schemas/~try", data=form).text
    return {level: f'data-level="{level}" data-accepted="yes"' in text for level in LEVELS if level in text}


def test_a_change_is_tried_at_every_level_and_nothing_is_stored(page: FlaskClient, box: Sandbox) -> None:
    register(box, "orders-value", FIRST)
    assert set(trial(page, SECOND).values()) == {True}
    found = trial(page, WITHOUT_DEFAULT)
    assert [level for level, accepted in found.items() if accepted] == ["NONE", "FORWARD", "FORWARD_TRANSITIVE"]
    form = {"subject": "orders-value", "schema_type": "AVRO", "schema": json.dumps(WITHOUT_DEFAULT)}
    text = page.post("/schemas/~try", data=form).text
    assert "READER_FIELD_MISSING_DEFAULT_VALUE" in text
    assert ("Compared with version 1." in text, "oldSchema" in text) == (True, False)
    assert len(page.get("/schemas.json").get_json()["subjects"]) == 1
    assert page.get("/schemas.json").get_json()["subjects"][0]["versions"] == 1
    assert set(trial(page, FIRST, "new-subject").values()) == {True}


@pytest.mark.parametrize("schema", ["", "{", '{"type": "nothing"}'])
def test_an_invalid_schema_is_refused_and_stays_in_the_form(page: FlaskClient, box: Sandbox, schema: str) -> None:
    form = {"subject": "orders-value", "schema_type": "AVRO", "schema": schema}
    for address in ("/schemas/~try", "/schemas"):
        answer = page.post(address, data=form)
        assert (answer.status_code, "Nothing was registered" in answer.text) == (400, True)
        assert schema.replace('"', "&#34;") in answer.text
    assert "No schemas yet" in page.get("/schemas").text


def test_a_schema_is_registered_and_an_incompatible_one_refused(page: FlaskClient, box: Sandbox) -> None:
    form = {"subject": "orders-value", "schema_type": "AVRO", "schema": json.dumps(FIRST)}
    assert "orders-value has version 1 with the id 1" in page.post("/schemas", data=form, follow_redirects=True).text
    refused = page.post("/schemas", data={**form, "schema": json.dumps(WITHOUT_DEFAULT)})
    assert (refused.status_code, "incompatible" in refused.text) == (400, True)
    answer = page.post("/schemas/orders-value/delete", follow_redirects=True)
    assert "orders-value is deleted, with 1 version" in answer.text
    assert "Deleted subjects" in answer.text
    assert "no longer be decoded" in page.get("/schemas/orders-value/delete?permanent=1").text
    answer = page.post("/schemas/orders-value/delete?permanent=1", follow_redirects=True)
    assert "orders-value is deleted permanently" in answer.text
    assert "No schemas yet" in answer.text


def test_a_subject_and_its_deletion_have_the_demo_and_the_version_of_every_page(
    page: FlaskClient, box: Sandbox
) -> None:
    box.demo = SimpleNamespace(state="on")
    register(box, "orders-value", FIRST)
    for path in ("/schemas/orders-value", "/schemas/orders-value/delete?version=1"):
        answer = page.get(path)
        assert answer.status_code == 200
        assert "Remove the demo" in answer.text
        assert f"Kafka Sandbox {sandbox.__version__}<" in answer.text


def test_one_version_is_deleted_softly_and_then_permanently(page: FlaskClient, box: Sandbox) -> None:
    register(box, "orders-value", FIRST)
    register(box, "orders-value", SECOND)
    assert "Delete version 1 of orders-value?" in page.get("/schemas/orders-value/delete?version=1").text
    text = page.post("/schemas/orders-value/delete?version=1", follow_redirects=True).text
    assert ("Version 1 of orders-value is deleted" in text, "Deleted versions" in text) == (True, True)
    assert page.get("/schemas/orders-value/delete?version=2&permanent=1").status_code == 404
    text = page.post("/schemas/orders-value/delete?version=1&permanent=1", follow_redirects=True).text
    assert ("is deleted permanently" in text, "Deleted versions" in text) == (True, False)


def test_the_list_of_topics_shows_their_formats(page: FlaskClient, box: Sandbox) -> None:
    for topic in ("orders", "plain"):
        box.create_topic(topic)
    register(box, "orders-value", FIRST)
    box.schema_registry().register(parse_subject("orders-key"), SchemaRequest('{"type": "string"}', "JSON"))
    register(box, "plain-else", FIRST)
    text = page.get("/").text
    assert re.findall(r'class="badge format">([^<]+)<', text) == ["JSON Schema", "Avro"]
    found = {one["topic"]: one["schema_types"] for one in page.get("/topics.json").get_json()["topics"]}
    assert found == {"orders": ["JSON", "AVRO"], "plain": []}


def framed(box: Sandbox, schema_id: int, schema: object, value: object) -> bytes:
    return classic_frame(schema_id) + parse_schema("AVRO", json.dumps(schema)).encode(value)


def test_a_subject_shows_how_many_events_each_id_has(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=2)
    ids = register(box, "orders-value", FIRST), register(box, "orders-value", SECOND)
    for number in range(3):
        box.append("orders", framed(box, ids[0], FIRST, {"id": number}))
    box.append("orders", framed(box, ids[1], SECOND, {"id": 1, "note": "x"}))
    box.append("orders", b"\x00\x00\x00\x00\x63?")
    box.append("orders", b"no frame")
    found = page.get("/schemas/orders-value?format=json").get_json()
    counted = [(one["id"], one["version"], one["registered"], one["events"]) for one in found["events"]]
    assert counted == [(ids[0], 1, True, 3), (ids[1], 2, True, 1), (99, None, False, 1)]
    assert {(one["newest_events"], one["all_events"], one["part"]) for one in found["events"]} == {(6, True, "value")}
    assert [one["version"] for one in found["versions"]] == [2, 1]
    assert "id 99 is not registered here" in page.get("/schemas/orders-value").text
    assert ">4 of 6<" in page.get("/schemas").text
    (listed,) = page.get("/schemas.json").get_json()["subjects"]
    assert sum(one["events"] for one in listed["events"]) == 4
    assert "3 of the 6 newest events" in page.get("/schemas/orders-value/delete?version=1").text


def test_events_of_a_subject_that_is_named_after_its_record_are_found_in_every_topic(
    page: FlaskClient, box: Sandbox
) -> None:
    schema_id = register(box, "Order", FIRST)
    for topic in ("a", "b"):
        box.create_topic(topic)
        box.append(topic, framed(box, schema_id, FIRST, {"id": 1}), key=classic_frame(schema_id) + b"\x02")
        box.append(topic, classic_frame(77) + b"another subject's")
    found = page.get("/schemas/Order?format=json").get_json()["events"]
    counted = sorted((one["topic"], one["part"], one["events"]) for one in found)
    assert counted == [("a", "key", 1), ("a", "value", 1), ("b", "key", 1), ("b", "value", 1)]


def test_a_change_is_tried_on_the_newest_events(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    union = {"type": "record", "name": "Order", "fields": [{"name": "id", "type": ["long", "string"]}]}
    schema_id = register(box, "orders-value", union)
    for value in (1, 2, "three"):
        box.append("orders", framed(box, schema_id, union, {"id": value}))
    box.append("orders", "no frame")
    form = {"subject": "orders-value", "schema_type": "AVRO", "schema": json.dumps(FIRST)}
    found = page.post("/schemas/~try.json", data=form, headers={"X-Sandbox": "test"}).get_json()
    events = found["events"]
    assert (events["topics"], events["looked_at"], events["read"], events["failed"]) == (["orders"], 4, 2, 1)
    assert (events["unframed"], events["complete"]) == (1, True)
    (failure,) = events["failures"]
    assert failure["reason"] == "$.id: expected long, string was written"
    assert failure["newest"] == {"topic": "orders", "partition": 0, "offset": 2}
    assert [one["level"] for one in found["levels"]] == list(LEVELS)
    text = page.post("/schemas/~try", data=form).text
    assert ('data-read="2" data-failed="1"' in text, "partition 0 · offset 2" in text) == (True, True)
    assert "There is no topic" in page.post("/schemas/~try", data={**form, "subject": "else-value"}).text


def test_a_change_with_references_is_tried(page: FlaskClient, box: Sandbox) -> None:
    register(box, "order", FIRST)
    line = {"type": "record", "name": "Line", "fields": [{"name": "order", "type": "Order"}]}
    register(box, "line", line, SchemaReference("Order", "order", 1))
    assert "Order=order:1</textarea>" in page.get("/schemas/~new?subject=line").text
    form = {"subject": "line", "schema_type": "AVRO", "schema": json.dumps(line), "references": "Order=order:1\r\n"}
    assert page.post("/schemas/~try", data=form).status_code == 200
    refused = page.post("/schemas/~try", data={**form, "references": "Order"})
    assert (refused.status_code, "is not NAME=SUBJECT:VERSION" in refused.text) == (400, True)


@pytest.mark.parametrize("name", ["", "__GLOBAL", "%00a"])
def test_a_setting_of_a_nameless_or_reserved_subject_is_refused_and_changes_nothing(
    page: FlaskClient, box: Sandbox, name: str
) -> None:
    answer = page.post(f"/schema/settings?name={name}", data={"level": "FULL"})
    assert answer.status_code in (303, 400)
    with box.schemas.rows() as rows:
        assert rows.config(REGISTRY) is None


def test_levels_and_modes_are_set_and_inherited_again(page: FlaskClient, box: Sandbox) -> None:
    register(box, "orders-value", FIRST)
    place = "/schemas/orders-value/settings"
    text = page.post(place, data={"level": "FULL"}, follow_redirects=True).text
    assert "orders-value has the compatibility level FULL" in text
    page.post("/schemas/~settings", data={"level": "NONE"})
    assert "FULL" in json.dumps(page.get("/schemas/orders-value?format=json").get_json()["compatibility"])
    page.post(place, data={"level": ""})
    found = page.get("/schemas/orders-value?format=json").get_json()
    assert (found["compatibility"], found["own_compatibility"]) == ("NONE", False)
    page.post(place, data={"mode": "READONLY"})
    refused = page.post("/schemas", data={"subject": "orders-value", "schema_type": "AVRO", "schema": '"string"'})
    assert "read-only mode" in refused.text
    assert "read-only mode" in page.post(place, data={"level": "FULL"}, follow_redirects=True).text
    page.post(place, data={"mode": ""})
    found = page.get("/schemas/orders-value?format=json").get_json()
    assert (found["mode"], found["own_mode"]) == ("READWRITE", False)
    assert "Invalid compatibility level" in page.post(place, data={"level": "SOME"}, follow_redirects=True).text


def test_changes_of_the_registry_are_activity_and_mark_the_pages_that_show_it(page: FlaskClient, box: Sandbox) -> None:
    told: list[str] = []
    ended = box.subscribe(lambda change: told.append(change.kind))
    register(box, "orders-value", FIRST)
    registry = box.schema_registry()
    registry.update_config(parse_subject("orders-value"), {"compatibility": "FULL"})
    registry.set_mode(parse_subject(""), "READONLY", force=False)
    registry.set_mode(parse_subject(""), None, force=False)
    registry.delete_subject(parse_subject("orders-value"), permanent=False)
    ended()
    assert told == ["schemas"] * 5
    assert INTEREST.concerns(Change("schemas", frozenset(), frozenset(), 0))
    assert not Interest(None, None).concerns(Change("schemas", frozenset(), frozenset(), 0))
    texts = [entry_text(one) for one in box.activity.read(ActivityQuery(frozenset({"schema"}))).entries]
    assert sorted(texts) == [
        "compatibility level FULL",
        "mode READONLY",
        "mode inherited again",
        "version 1 deleted",
        "version 1 registered: AVRO schema with id 1",
    ]
    text = page.get("/activity").text
    assert ('href="/schemas/orders-value"' in text, "the registry" in text) == (True, True)
    assert box.check().findings == []


def test_a_cluster_says_where_its_registry_is(page: FlaskClient, box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sandbox, "capabilities", CLUSTER)
    assert "sandbox schemas export --url URL" in page.get("/schemas").text
