"""`sandbox up --listener`, `--user` and `--tls-*`."""

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka.admin import AdminClient

if TYPE_CHECKING:
    from tests.cli.conftest import CommandLine

PORTS = ("--kafka-port", 0, "--ui-port", 0)


def brokers(said: dict[str, Any], folder: Path, protocol: str, password: str = "secret") -> int:
    """How many brokers alice sees."""
    config = {
        "bootstrap.servers": said["listeners"][protocol],
        "security.protocol": protocol,
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": "alice",
        "sasl.password": password,
        "ssl.ca.location": str(folder / "dev.db.tls" / "ca.pem"),
    }
    return len(AdminClient(config).list_topics(timeout=20).brokers)


def test_up_opens_listeners_and_names_them(command_line: "CommandLine") -> None:
    _, said = command_line.up(
        "--brokers", 2, "--listener", "SASL_SSL", "--listener", "sasl_plaintext:0", "--user", "alice:secret"
    )
    assert list(said["listeners"]) == ["SASL_SSL", "SASL_PLAINTEXT"]
    for protocol in said["listeners"]:
        assert brokers(said, command_line.folder, protocol) == 2


def test_without_listeners_none_are_named(command_line: "CommandLine") -> None:
    assert "listeners" not in command_line.up()[1]


def test_for_people_it_prints_the_address_and_what_to_trust(command_line: "CommandLine") -> None:
    process = command_line.start("up", *PORTS, "--listener", "SSL")
    assert process.stdout is not None
    said = "".join(process.stdout.readline() for _ in range(7))
    assert "  SSL  127.0.0.1:" in said
    assert f"  trust  {command_line.folder / 'dev.db.tls' / 'ca.pem'}\n" in said


def test_a_password_may_come_from_the_environment(command_line: "CommandLine", monkeypatch: pytest.MonkeyPatch) -> None:
    environment = command_line.environment
    monkeypatch.setattr(command_line, "environment", lambda: environment(SANDBOX_PASSWORD_ALICE="from: outside"))
    _, said = command_line.up("--listener", "SASL_PLAINTEXT", "--user", "alice")
    assert brokers(said, command_line.folder, "SASL_PLAINTEXT", "from: outside") == 1


def test_users_are_kept_in_the_file(command_line: "CommandLine") -> None:
    process, _ = command_line.up("--listener", "SASL_PLAINTEXT", "--user", "alice:secret")
    process.terminate()
    assert process.communicate(timeout=20)[1] == ""
    _, said = command_line.up("--listener", "SASL_PLAINTEXT")
    assert brokers(said, command_line.folder, "SASL_PLAINTEXT") == 1


def test_it_warns_where_nobody_can_log_in(command_line: "CommandLine") -> None:
    process, _ = command_line.up("--listener", "SASL_PLAINTEXT")
    process.terminate()
    assert "no client can log in" in process.communicate(timeout=20)[1]


def test_a_port_that_is_taken_is_named_with_the_way_out(command_line: "CommandLine") -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = command_line.run("up", *PORTS, "--listener", f"SASL_PLAINTEXT:{port}")
    assert result.status == 4
    assert f"Port {port}" in result.err
    assert "--listener SASL_PLAINTEXT:0" in result.err


def test_a_certificate_that_cannot_be_used_is_named(command_line: "CommandLine") -> None:
    for name in ("server.pem", "server.key"):
        (command_line.folder / name).write_text("nothing of the kind")
    options = ("--tls-cert", "server.pem", "--tls-key", "server.key")
    result = command_line.run("up", *PORTS, "--listener", "SSL", *options)
    assert result.status == 1
    assert "server.pem" in result.err
    assert "cannot be used" in result.err


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--listener", "PLAINTEXT"), "PLAINTEXT is the Kafka port itself"),
        (("--listener", "SSL:many"), "'SSL:many'"),
        (("--listener", "SSL:70000"), "70000"),
        (("--listener", "SSL", "--listener", "SSL:0"), "may be given once"),
        (("--user", "alice"), "SANDBOX_PASSWORD_ALICE"),
        (("--user", ":secret"), "a name and a password are needed"),
        (("--tls-cert", "pyproject.toml"), "'pyproject.toml' does not exist"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_anything_is_made(
    command_line: "CommandLine", options: tuple[str, ...], reason: str
) -> None:
    result = command_line.run("up", *PORTS, *options)
    assert result.status == 2
    assert reason in result.err
    assert list(command_line.folder.iterdir()) == []
