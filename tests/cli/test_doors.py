"""`sandbox up --host`, `--token` and `--read-only`: who gets in, and what they may do."""

import json
import stat
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from sandbox.runtime.ports import new_token, token_refused

if TYPE_CHECKING:
    from tests.cli.conftest import CommandLine


def status(url: str, token: str | None = None) -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urlopen(Request(url, headers=headers), timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        error.close()
        return error.code


def test_listening_to_the_world_makes_a_token_and_says_what_has_none(command_line: "CommandLine") -> None:
    process, said = command_line.up("--host", "0.0.0.0")
    here = said["web"].replace("0.0.0.0", "127.0.0.1")
    assert status(f"{here}/topics.json") == 401
    assert status(f"{here}/topics.json", said["token"]) == 200
    lock = command_line.folder / "dev.db.lock"
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600
    # Our own commands find the token beside the file, or are given it.
    assert json.loads(command_line.ok("brokers", "list", "--json").out.splitlines()[0])["broker"] == 1
    assert command_line.ok("brokers", "list", "--web", f"{here}/?token={said['token']}").out
    assert command_line.ok("brokers", "list", "--web", here, SANDBOX_TOKEN=said["token"]).out
    refused = command_line.run("brokers", "list", "--web", here)
    assert refused.status != 0
    assert "token" in refused.err
    process.terminate()
    warning = process.communicate(timeout=20)[1]
    assert "The page asks them for a token" in warning
    assert "the Kafka port asks for nothing" in warning
    assert said["token"] not in lock.read_text()


def test_the_address_for_people_has_the_chosen_token(command_line: "CommandLine") -> None:
    process = command_line.start(
        "up", "--kafka-port", 0, "--ui-port", 0, "--host", "0.0.0.0", "--token", "letmein.please"
    )
    assert process.stdout is not None
    line = next(line for line in process.stdout if line.startswith("  page"))
    address = line.split()[1]
    assert address.startswith("http://127.0.0.1:")
    assert address.endswith("/?token=letmein.please")


def test_a_token_may_be_asked_for_on_the_loopback_too(command_line: "CommandLine") -> None:
    _, said = command_line.up("--token", "letmein.please")
    assert status(said["web"]) == 401
    assert status(said["web"], "letmein.please") == 200


def test_a_token_that_cannot_be_one_is_refused(command_line: "CommandLine") -> None:
    result = command_line.run("up", "--token", "with space in it")
    assert result.status == 2
    assert "8 to 200 letters" in result.err
    for token in ("short", "ünïcödé-token", "", "x" * 201, "line\nbreak-in-it", "semi;colon-"):
        assert token_refused(token) is not None
    for _ in range(50):
        assert token_refused(new_token()) is None


def test_read_only_means_it_for_every_command(command_line: "CommandLine") -> None:
    command_line.ok("produce", "orders", stdin=b"one\n")
    _, said = command_line.up("--read-only")
    assert said["read_only"] is True
    for arguments in (
        ("topics", "create", "new"),
        ("topics", "delete", "orders", "--yes"),
        ("produce", "orders"),
        ("faults", "inject", "Fetch", "--latency-ms", "5"),
        ("brokers", "stop", "1"),
    ):
        result = command_line.run(*arguments, stdin=b"two\n")
        assert result.status != 0, arguments
        assert "read-only" in result.err or "AUTHORIZATION_FAILED" in result.err, (arguments, result.err)
    assert "one" in command_line.ok("consume", "orders", "--from", "earliest").out
    assert "new" not in command_line.ok("topics", "list").out


@pytest.mark.parametrize("other", [("--demo",), ("--user", "alice:secret")])
def test_read_only_refuses_options_that_write(command_line: "CommandLine", other: tuple[str, ...]) -> None:
    command_line.ok("produce", "orders", stdin=b"one\n")
    result = command_line.run("up", "--read-only", *other)
    assert result.status == 2
    assert "--read-only changes nothing" in result.err


def test_read_only_makes_no_file(command_line: "CommandLine") -> None:
    result = command_line.run("up", "none.db", "--read-only", "--kafka-port", 0, "--ui-port", 0)
    assert result.status == 5
    assert "does not exist" in result.err
    assert not (command_line.folder / "none.db").exists()


def test_a_public_address_is_shown_and_asks_for_a_token(command_line: "CommandLine") -> None:
    _, said = command_line.up("--public-url", "https://kafka.example.org/sandbox/")
    assert said["public_url"] == "https://kafka.example.org/sandbox"
    assert status(f"{said['web']}/sandbox/topics.json") == 401
    for base in ("", "/sandbox"):
        assert status(f"{said['web']}{base}/topics.json", said["token"]) == 200
        web = f"{said['web']}{base}/?token={said['token']}"
        assert command_line.ok("brokers", "list", "--web", web).out
    assert command_line.ok("brokers", "list").out, "commands of this machine go past the proxy"


@pytest.mark.parametrize("url", ["kafka.example.org", "ftp://kafka.example.org", "https://kafka.example.org/topics"])
def test_a_public_address_that_cannot_be_one_is_refused(command_line: "CommandLine", url: str) -> None:
    for arguments in (("up",), ("ui", "--bootstrap", "127.0.0.1:1")):
        result = command_line.run(*arguments, "--public-url", url)
        assert result.status == 2
        assert "https://kafka.example.org/sandbox" in result.err or "such as /sandbox" in result.err
