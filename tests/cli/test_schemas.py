"""`sandbox schemas`, over a file that is not in use and over a running registry."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sandbox import Sandbox
from sandbox.cli.main import main
from sandbox.storage.check import check

USER: dict[str, Any] = {"type": "record", "name": "User", "fields": [{"name": "id", "type": "int"}]}
WITH_NAME = {**USER, "fields": [*USER["fields"], {"name": "name", "type": "string"}]}
ORDER = {"type": "record", "name": "Order", "fields": [{"name": "user", "type": "User"}]}


@pytest.fixture(params=["file", "running"])
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """The options that name a registry: of a file that is not in use, and of a running one."""
    monkeypatch.chdir(tmp_path)
    for name, schema in (("user.avsc", USER), ("name.avsc", WITH_NAME), ("order.avsc", ORDER)):
        Path(name).write_text(json.dumps(schema))
    with Sandbox("dev.db") as box:
        if request.param == "running":
            box.serve(kafka_port=None, web_port=None)
            yield ["--url", str(box.registry_address)]
            return
    yield []


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["schemas", *arguments])


def run(*arguments: str) -> str:
    """Run a command that must succeed; return its output."""
    result = ask(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def rows(*arguments: str) -> list[Any]:
    return [json.loads(line) for line in run(*arguments, "--json").splitlines()]


def test_schemas_are_registered_listed_checked_and_deleted(where: list[str]) -> None:
    assert run("register", "user", "user.avsc", *where) == "user version 1 has the id 1.\n"
    (order,) = rows("register", "order", "order.avsc", "--reference", "User=user:1", *where)
    assert (order["id"], order["version"]) == (2, 1)
    listed = [(row["subject"], row["format"], row["level"]) for row in rows("list", *where)]
    assert listed == [("order", "AVRO", "BACKWARD"), ("user", "AVRO", "BACKWARD")]
    assert "User (user:1)" in run("describe", "order", *where)
    assert run("check", "user", "user.avsc", *where) == "user accepts the schema.\n"
    refused = ask("check", "user", "name.avsc", *where)
    assert (refused.exit_code, "READER_FIELD_MISSING_DEFAULT_VALUE" in refused.stderr) == (1, True)
    in_use = ask("delete", "user", *where)
    assert (in_use.exit_code, "42206" in in_use.stderr) == (1, True)
    assert run("delete", "order", *where) == "Soft-deleted order, version 1.\n"
    assert run("delete", "order", "--permanent", *where) == "Removed order, version 1.\n"


def test_an_export_is_imported_with_its_ids(where: list[str]) -> None:
    run("register", "old", "name.avsc", *where)
    run("register", "user", "user.avsc", *where)
    run("register", "order", "order.avsc", "--reference", "User=user:1", *where)
    run("delete", "old", *where)
    run("export", "-o", "all.jsonl", *where)
    Sandbox("other.db").close()
    other = ("--file", "other.db")
    assert run("import", "all.jsonl", *other) == "Imported 3 versions of 3 subjects.\n"
    run("import", "all.jsonl", *other)
    assert {row["subject"]: row["id"] for row in rows("list", "--deleted", *other)} == {"old": 1, "user": 2, "order": 3}
    assert [row["subject"] for row in rows("list", *other)] == ["order", "user"]
    assert check(Path("other.db")).findings == []


def test_a_registry_that_does_not_answer_is_named() -> None:
    result = ask("list", "--url", "http://127.0.0.1:1")
    assert (result.exit_code, "http://127.0.0.1:1 does not answer" in result.stderr) == (1, True)
