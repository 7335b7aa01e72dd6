"""The schema registry answers as Confluent's does. `scenarios` and `contract_scenarios` are the table."""

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import Sandbox
from sandbox.storage.file.database import Database
from tests.web.registry.client import Registry
from tests.web.registry.contract_scenarios import CONTRACT_SCENARIOS
from tests.web.registry.scenarios import SCENARIOS, Has, Step

TABLES = ("schema_versions", "schemas", "schema_references", "schema_contexts", "schema_configs", "schema_modes")


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("registry") / "dev.db") as sandbox:
        sandbox.serve(kafka_port=None, web_port=None, registry_port=0)
        yield sandbox


@pytest.fixture
def registry(box: Sandbox) -> Registry:
    def empty(database: Database, now_ms: int) -> None:
        for table in TABLES:
            database.execute(f"DELETE FROM {table}")

    box.schemas.change(empty)
    return Registry(str(box.registry_address))


def difference(value: Any, expected: Any) -> str | None:
    """Return how a value differs from what is expected, None if it doesn't."""
    if isinstance(expected, Has):
        found = {name: value.get(name) for name in expected.fields} if isinstance(value, dict) else value
        return None if found == expected.fields else f"{value} has not {expected.fields}"
    if isinstance(expected, list) and isinstance(value, list) and len(value) == len(expected):
        return next((text for one in zip(value, expected, strict=True) if (text := difference(*one))), None)
    return None if value == expected and type(value) is type(expected) else f"{value} is not {expected}"


def check(registry: Registry, step: Step) -> str | None:
    answer = registry.ask(step.line, step.body)
    if isinstance(step.expected, int) and step.expected >= 400:
        if isinstance(answer.value, dict) and answer.value.get("error_code") == step.expected:
            exact = answer.value.keys() == {"error_code", "message"} and answer.value["message"]
            right = answer.status == int(str(step.expected)[:3])
            return None if exact and right else f"{step.line}: {answer}"
        return f"{step.line}: {answer}, not {step.expected}"
    if answer.status not in (200, 204):
        return f"{step.line}: {answer}"
    found = difference(answer.value, step.expected)
    return None if found is None else f"{step.line}: {found}"


ALL = {**SCENARIOS, **CONTRACT_SCENARIOS}


@pytest.mark.parametrize("name", ALL)
def test_the_registry_answers_as_confluents_does(registry: Registry, name: str) -> None:
    found = [text for step in ALL[name] if (text := check(registry, step)) is not None]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "body",
    [
        b'{"schema": "\\ud800"}',
        b'{"schema": "\xed\xa0\x80"}',
        '{"schema": "\\ud800"}'.encode("utf-16"),
        '{"schema": "\ud800"}'.encode("utf-16-le", "surrogatepass"),
    ],
)
def test_half_of_a_surrogate_pair_is_no_text(registry: Registry, body: bytes) -> None:
    answer = registry.ask("POST /subjects/s/versions", body)
    assert (answer.status, answer.value["error_code"]) == (400, 400)


@pytest.mark.parametrize("kind", ["JSON", "AVRO"])
def test_half_of_a_surrogate_pair_in_the_text_of_a_schema_is_refused(registry: Registry, kind: str) -> None:
    text = {"JSON": '{"title": "\\ud800"}', "AVRO": '{"type": "string", "doc": "\\ud800"}'}[kind]
    answer = registry.ask("POST /subjects/s/versions", {"schema": text, "schemaType": kind})
    assert (answer.status, answer.value["error_code"]) == (422, 42201)


def test_tags_of_a_schema_whose_definitions_are_a_list(registry: Registry) -> None:
    text = '{"type": "object", "definitions": ["x"], "properties": {"a": {"type": "string"}}}'
    answer = registry.ask("POST /subjects/s/versions", {"schema": text, "schemaType": "JSON"})
    found = registry.ask(f"GET /schemas/ids/{answer.value['id']}?findTags=*")
    assert found.status == 200
