"""`sandbox sql`: over a file that rests and over one that is being written."""

from sandbox.api.sandbox import Sandbox
from tests.cli.conftest import CommandLine


def filled(command_line: CommandLine) -> Sandbox:
    box = Sandbox(command_line.folder / "dev.db")
    box.append("orders", '{"id": 9007199254740993}', key="user-42")
    box.append("orders", b"\xff", key=None)
    return box


def test_a_file_is_asked_beside_its_owner_and_without(command_line: CommandLine) -> None:
    query = "SELECT offset, key, id, value FROM orders ORDER BY offset"
    with filled(command_line):
        beside = command_line.run("sql", query, "--format", "json")
    after = command_line.run("sql", query, "--format", "json")
    assert beside.status == after.status == 0
    assert beside.rows == after.rows
    assert beside.rows[0]["id"] == 9007199254740993
    assert beside.rows[1] == {"offset": 1, "key": None, "id": None, "value": {"base64": "/w=="}}


def test_the_other_formats_and_parameters(command_line: CommandLine) -> None:
    filled(command_line).close()
    query = "SELECT offset, key FROM orders WHERE key = :key OR :key IS NULL"
    assert command_line.run("sql", query, "-P", "key=user-42", "--format", "csv").out == "offset,key\n0,user-42\n"
    table = command_line.run("sql", query, "-P", "key=user-42").out.splitlines()
    assert [line.split() for line in table] == [["offset", "key"], ["0", "user-42"]]


def test_json_is_a_format_like_the_others(command_line: CommandLine) -> None:
    filled(command_line).close()
    assert command_line.run("sql", "SELECT offset FROM orders", "--json").rows == [{"offset": 0}, {"offset": 1}]
    both = command_line.run("sql", "SELECT 1", "--json", "--format", "csv")
    assert (both.status, "--json and --format csv are two formats: give one" in both.err) == (2, True)


def test_a_wrong_query_is_refused_with_its_place(command_line: CommandLine) -> None:
    filled(command_line).close()
    wrong = command_line.run("sql", "SELECT *\nFORM orders")
    assert wrong.status == 1
    assert "line 2, column 1" in wrong.err
    assert "DELETE is refused" in command_line.run("sql", "DELETE FROM events").err
