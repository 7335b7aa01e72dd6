"""The Schemas pages: subjects, versions, the trial of a change, registration and deletion."""

import html
import json
import re
import time

import pytest
from flask.testing import FlaskClient

from sandbox import Sandbox
from sandbox.model.registry import LEVELS, SchemaReference, SchemaRequest
from sandbox.registry.subjects import parse_subject
from sandbox.remote.backend import CLUSTER
from sandbox.web.schemas.views import _compared

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
    assert "No schemas yet" in answer.text


def test_a_cluster_says_where_its_registry_is(page: FlaskClient, box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sandbox, "capabilities", CLUSTER)
    assert "sandbox schemas export --url URL" in page.get("/schemas").text
