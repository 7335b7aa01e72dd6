"""The rows of the schema registry: what is immutable stays so, and damage is found."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sandbox import Sandbox
from sandbox.model.registry import SchemaRequest, Subject
from sandbox.storage.check import check

SUBJECT = Subject(".", "s")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A closed file with a schema, and one that refers to it."""
    path = tmp_path / "dev.db"
    with Sandbox(path) as box:
        box.schemas.register(SUBJECT, SchemaRequest('"string"'))
    return path


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE schemas SET schema = '\"int\"'", "schemas are immutable"),
        ("DELETE FROM schemas", "deleted after its last version"),
        ("UPDATE schema_versions SET version = 2", "a version of a subject is immutable"),
        ("UPDATE schema_contexts SET last_id = 0", "never assigned twice"),
    ],
)
def test_another_program_cannot_change_a_schema(file: Path, statement: str, message: str) -> None:
    with closing(sqlite3.connect(file)) as connection, pytest.raises(sqlite3.IntegrityError, match=message):
        connection.execute(statement)


def test_a_soft_deleted_version_stays_deleted(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE schema_versions SET deleted = 1")
        with pytest.raises(sqlite3.IntegrityError, match="stays so"):
            connection.execute("UPDATE schema_versions SET deleted = 0")


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("DROP TRIGGER schemas_are_immutable; UPDATE schemas SET schema = '\"int\"'", "schemas"),
        ("INSERT INTO schema_versions VALUES('.', 't', 1, 9, 0, 0, NULL)", "schema_versions"),
        ("INSERT INTO schema_configs VALUES('.', 't', '[]', NULL)", "schema_configs"),
        ("INSERT INTO schema_modes VALUES('.', 't', 'SOMETIMES', NULL)", "schema_modes"),
        ("INSERT INTO schemas VALUES('.', 7, 'x', 'AVRO', '', NULL, NULL, 0, NULL)", "schemas"),
    ],
)
def test_a_check_finds_what_the_registry_did_not_write(file: Path, statement: str, place: str) -> None:
    assert check(file).findings == []
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(statement)
    assert place in {finding.place for finding in check(file).findings}
