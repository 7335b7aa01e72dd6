"""`sandbox up --advertised-host` and named listeners."""

import pytest

from sandbox import AdminClient
from tests.cli.conftest import CommandLine


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--advertised-host", "http://a"), "An advertised address is HOST or HOST:PORT"),
        (("--listener", "OUTSIDE=PLAINTEXT:0@"), "An advertised address is HOST or HOST:PORT"),
        (("--listener", "PLAINTEXT:0"), "name this listener, as in OUTSIDE=PLAINTEXT:19092"),
        (("--listener", "A=SSL", "--listener", "A=SASL_SSL"), "each name may be given once"),
    ],
)
def test_the_command_line_names_what_is_wrong(
    command_line: CommandLine, arguments: tuple[str, ...], reason: str
) -> None:
    result = command_line.run("up", "--kafka-port", 0, "--ui-port", 0, *arguments)
    assert result.status == 2
    assert reason in " ".join(result.err.split())


def test_the_command_line_opens_a_named_listener(command_line: CommandLine) -> None:
    _, said = command_line.up("--listener", "outside=PLAINTEXT@localhost:19092", "--advertised-host", "kafka")
    assert list(said["listeners"]) == ["OUTSIDE"]
    assert (
        AdminClient({"bootstrap.servers": said["listeners"]["OUTSIDE"]}).list_topics(timeout=20).brokers[1].host
        == "127.0.0.1"
    )
