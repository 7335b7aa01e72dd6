"""Arguments that are not UTF-8, which a shell may pass to any command: refused with an error, or used as they are."""

import base64
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from sandbox import Sandbox
from sandbox.cli.main import COMMANDS, main
from sandbox.cli.status import Status

ODD = os.fsdecode(b"od\xffd")
SERVERS = ("up", "ui", "run", "mcp")
"""They would serve a file that they accept; `test_file_names` starts them."""


def _commands(command: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _commands(inner, *path, name)
    else:
        yield path, command


def _arguments(command: click.Command, odd: click.Parameter, value: str) -> list[str]:
    """Return a command line that gives one parameter a value, and every other required one something valid."""
    options = [f"{odd.opts[-1]}={value}" if odd.opts[-1].startswith("--") else f"{odd.opts[-1]}{value}"]
    options = options if isinstance(odd, click.Option) else []
    arguments = []
    for one in command.params:
        if one is odd:
            arguments += [value] if isinstance(one, click.Argument) else []
        elif one.required:
            valid = one.type.choices[0] if isinstance(one.type, click.Choice) else "1"
            if isinstance(one, click.Argument):
                arguments.append(str(valid))
            else:
                options.append(f"{one.opts[-1]}={valid}")
    return [*options, "--", *arguments]


def _parameters(*kinds: type) -> list[tuple[tuple[str, ...], str]]:
    return [
        (path, parameter.name or "")
        for path, command in _commands(main)
        for parameter in command.params
        if isinstance(parameter.type, kinds) and not getattr(parameter, "is_flag", False)
    ]


def _run(path: tuple[str, ...], name: str, value: str) -> int:
    command = dict(_commands(main))[path]
    (parameter,) = (one for one in command.params if one.name == name)
    done = CliRunner().invoke(main, [*path, *_arguments(command, parameter, value)])
    assert done.exception is None or isinstance(done.exception, SystemExit), (path, name, done.exception)
    assert done.exit_code in {*Status}
    return done.exit_code


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, with no environment variable of the sandbox."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("SANDBOX_"):
            monkeypatch.delenv(name)
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_text_that_is_not_utf8_is_refused_by_every_command() -> None:
    parameters = _parameters(click.types.StringParamType)
    assert {path[0] for path, _ in parameters} >= {*COMMANDS} - {"check", "completion", "doctor"}
    for path, name in parameters:
        assert _run(path, name, ODD) == Status.USAGE, (path, name)


@pytest.mark.parametrize("content", ["absent", "sandbox", "json", "empty", "folder"])
def test_a_path_that_is_not_utf8_is_used_or_refused_by_every_command(folder: Path, content: str) -> None:
    with Sandbox(folder / "dev.db") as box:
        box.create_topic("1")
        box.append("1", "v")
    for path, name in _parameters(click.Path, click.File):
        if path[0] in SERVERS and (content != "absent" or name == "file"):
            continue
        with _odd(content):
            _run(path, name, ODD)


@contextmanager
def _odd(content: str) -> Iterator[None]:
    """Create a file or folder of the odd name, and delete what is left of it."""
    if content == "sandbox":
        shutil.copy("dev.db", ODD)
    elif content == "folder":
        Path(ODD).mkdir()
    elif content != "absent":
        Path(ODD).write_text({"json": "{}", "empty": ""}[content])
    yield
    for left in Path().glob(f"{ODD}*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()


@pytest.mark.usefixtures("folder")
def test_bytes_that_are_not_utf8_are_produced_as_they_are() -> None:
    done = CliRunner().invoke(main, ["produce", "orders", f"--key={ODD}", f"--value={ODD}", f"--header=h={ODD}"])
    assert done.exit_code == 0, done.output
    found = CliRunner().invoke(main, ["sql", "SELECT hex(key), hex(value), headers FROM orders", "--format=json"])
    assert found.output.count(b"od\xffd".hex().upper()) == 2
    assert base64.b64encode(b"od\xffd").decode() in found.output


def test_a_schema_file_that_is_stored_needs_a_name_in_utf8(folder: Path) -> None:
    with Sandbox(folder / "dev.db") as box:
        box.create_topic("orders")
    order, by = Path("order.avsc"), Path(f"{ODD}.avsc")
    order.write_text('{"type": "record", "name": "O", "fields": [{"name": "by", "type": "By"}]}')
    by.write_text('{"type": "enum", "name": "By", "symbols": ["A"]}')
    done = CliRunner().invoke(main, ["schemas", "bind", "orders", str(order), "--with", str(by)])
    assert (done.exit_code, r"od\xffd.avsc is a file name that is not UTF-8" in done.output) == (Status.USAGE, True)
    # The schema's own name is not stored.
    done = CliRunner().invoke(main, ["schemas", "bind", "orders", str(by)])
    assert (done.exit_code, done.output) == (0, "The values of orders are decoded as AVRO.\n")


@pytest.mark.parametrize("variable", ["SANDBOX_BOOTSTRAP", "SANDBOX_CONSUME_GROUP"])
@pytest.mark.usefixtures("folder")
def test_an_environment_variable_that_is_not_utf8_is_refused(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, f"{ODD}:9092")
    done = CliRunner().invoke(main, ["consume", "orders"])
    assert (done.exit_code, "is not UTF-8" in done.output) == (Status.USAGE, True)
