"""`sandbox ui`: the pages over any cluster."""

import json
import signal
import socket
import urllib.request
from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.cli.status import Failed
from sandbox.cli.ui import read_settings
from tests.cli.conftest import CommandLine


def test_the_pages_of_a_cluster_are_served_until_told_to_end(command_line: CommandLine, tmp_path: Path) -> None:
    with Sandbox(tmp_path / "cluster.db") as box:
        box.serve(kafka_port=0, web_port=None)
        box.append("orders", "x")
        process = command_line.start("ui", "--bootstrap", box.kafka_address, "--ui-port", 0, "--json")
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert (told["bootstrap"], told["brokers"], told["read_only"]) == (box.kafka_address, 1, True)
        with urllib.request.urlopen(f"{told['web']}/topics.json", timeout=20) as answer:
            assert [topic["topic"] for topic in json.load(answer)["topics"]] == ["orders"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_cluster_that_does_not_answer_ends_it_with_a_sentence(command_line: CommandLine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{taken.getsockname()[1]}"
        result = command_line.run("ui", "--bootstrap", nobody, "--ui-port", 0)
    assert result.status == 1
    assert f"The cluster at {nobody} does not answer" in result.err
    assert "Traceback" not in result.err


def test_a_taken_port_is_named(command_line: CommandLine, tmp_path: Path) -> None:
    with Sandbox(tmp_path / "cluster.db") as box, socket.socket() as taken:
        box.serve(kafka_port=0, web_port=None)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = command_line.run("ui", "--bootstrap", box.kafka_address, "--ui-port", taken.getsockname()[1])
    assert result.status == 4
    assert "--ui-port 0" in result.err


def test_settings_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "client.properties"
    file.write_text("# how to log in\nsecurity.protocol = SASL_SSL\n\nsasl.password=a=b # c\n")
    assert read_settings(file) == {"security.protocol": "SASL_SSL", "sasl.password": "a=b # c"}


def test_a_line_that_is_no_setting_is_named_but_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "client.properties"
    file.write_text("security.protocol=SSL\nsecret\n")
    with pytest.raises(Failed, match="line 2") as raised:
        read_settings(file)
    assert "secret" not in raised.value.message


def test_a_setting_that_the_client_does_not_know_is_refused(command_line: CommandLine, tmp_path: Path) -> None:
    result = command_line.run("ui", "--bootstrap", "localhost:1", "-X", "no.such.thing=1")
    assert result.status == 2
    assert "no.such.thing" in result.err
