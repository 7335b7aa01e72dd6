"""`sandbox schemas`, over a file that is not in use and over a running registry."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sandbox import Sandbox
from sandbox.cli.main import main
from sandbox.cli.registry_access import Refused, opened
from sandbox.storage.check import check

USER: dict[str, Any] = {"type": "record", "name": "User", "fields": [{"name": "id", "type": "int"}]}
WITH_NAME = {**USER, "fields": [*USER["fields"], {"name": "name", "type": "string"}]}
ORDER = {"type": "record", "name": "Order", "fields": [{"name": "user", "type": "User"}]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A current folder with files of schemas."""
    monkeypatch.chdir(tmp_path)
    for name, schema in (("user.avsc", USER), ("name.avsc", WITH_NAME), ("order.avsc", ORDER)):
        Path(name).write_text(json.dumps(schema))


@pytest.fixture(params=["file", "running"])
def where(folder: None, request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """The options that name a registry: of a file that is not in use, and of a running one."""
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


@pytest.fixture
def other(folder: None) -> Iterator[Sandbox]:
    """The file other.db, whose subject `kept` is read-only."""
    with Sandbox("other.db") as box:
        box.serve(kafka_port=None, web_port=None)
        run("register", "kept", "user.avsc", *at(box))
        ask_registry(box, "PUT", "/mode/kept", {"mode": "READONLY"})
        yield box


def at(box: Sandbox) -> tuple[str, str]:
    return "--url", str(box.registry_address)


def ask_registry(box: Sandbox, method: str, path: str, body: object = None) -> Any:
    with opened(None, str(box.registry_address)) as registry:
        return registry.ask(method, path, body)


def modes(box: Sandbox, *subjects: str) -> list[str | None]:
    """Return the subjects' own modes."""
    found = []
    for subject in subjects:
        try:
            found.append(ask_registry(box, "GET", f"/mode/{subject}")["mode"])
        except Refused:
            found.append(None)
    return found


def write_lines(*lines: dict[str, Any]) -> None:
    Path("lines.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_an_import_restores_the_subjects_own_modes(other: Sandbox) -> None:
    write_lines(
        {"subject": "kept", "id": 2, "version": 2, "schema": json.dumps(WITH_NAME), "deleted": True},
        {"subject": "new", "id": 2, "version": 1, "schema": json.dumps(WITH_NAME)},
        {"subject": "kept", "config": {"compatibilityLevel": "FULL"}},
    )
    assert run("import", "lines.jsonl", *at(other)) == "Imported 2 versions of 2 subjects.\n"
    assert modes(other, "kept", "new") == ["READONLY", None]
    assert ask_registry(other, "GET", "/config/kept") == {"compatibilityLevel": "FULL"}
    assert ask_registry(other, "GET", "/subjects/kept/versions") == [1]


def test_an_import_that_fails_restores_the_subjects_own_modes(other: Sandbox) -> None:
    write_lines(
        {"subject": "kept", "id": 2, "version": 2, "schema": json.dumps(WITH_NAME)},
        {"subject": "new", "id": 2, "version": 1, "schema": json.dumps(WITH_NAME)},
        {"subject": "__GLOBAL", "id": 2, "version": 1, "schema": json.dumps(WITH_NAME)},
    )
    result = ask("import", "lines.jsonl", *at(other))
    assert (result.exit_code, "42208" in result.stderr) == (1, True), result.output
    assert modes(other, "kept", "new") == ["READONLY", None]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"subject": "new", "schema": "{", "id": 1}, "Line 1 has no version"),
        ({"subject": "new", "schema": "{", "version": 1}, "Line 1 has no id"),
        ({"schema": "{", "id": 1, "version": 1}, "Line 1 has no subject"),
        ({"subject": "new", "schema": "{", "id": "1", "version": 1}, "Line 1 is not one"),
        ({"subject": "new", "config": "FULL"}, "Line 1 is not one"),
    ],
)
def test_a_line_that_is_not_an_export_is_named(other: Sandbox, line: dict[str, Any], reason: str) -> None:
    write_lines(line)
    result = ask("import", "lines.jsonl", *at(other))
    assert (result.exit_code, reason in result.stderr) == (2, True), result.output


def test_a_registry_that_does_not_answer_is_named() -> None:
    result = ask("list", "--url", "http://127.0.0.1:1")
    assert (result.exit_code, "http://127.0.0.1:1 does not answer" in result.stderr) == (1, True)


def test_a_user_and_password_in_the_url_are_sent(folder: None) -> None:
    with Sandbox("dev.db") as box:
        box.serve(kafka_port=None, web_port=None, web_token="a/secret")
        address = str(box.registry_address)
        assert run("list", "--url", address.replace("//", "//me:a%2Fsecret@"), "--json") == ""
        refused = ask("list", "--url", address.replace("//", "//me:wrong@"))
        assert refused.exit_code == 1
        assert "wrong" not in refused.stderr


def test_an_address_that_is_none_is_named() -> None:
    result = CliRunner().invoke(main, ["schemas", "list", "--url", "http://u:p@[bad"])
    assert result.exit_code == 2
    assert "is not http://host:port" in result.output
