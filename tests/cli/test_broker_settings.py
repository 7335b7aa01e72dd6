"""Broker settings of `sandbox up`: given with -c or in a file, checked, and described as Kafka describes them."""

import json
import urllib.request
from typing import TYPE_CHECKING

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ConfigSource
from hypothesis import given
from hypothesis import strategies as st

from sandbox import Sandbox
from sandbox.cli.broker_settings import read_properties

if TYPE_CHECKING:
    from tests.cli.conftest import CommandLine

KAFKAS_OWN = """
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
num.network.threads=3
log.dirs=/var/lib/kafka
num.partitions=3
offsets.topic.replication.factor=1
log.retention.hours=24
"""


def test_settings_are_in_effect_and_described_as_static(command_line: "CommandLine") -> None:
    file = command_line.folder / "server.properties"
    file.write_bytes(b"\xef\xbb\xbf# from a broker\r\n" + KAFKAS_OWN.replace("\n", "\r\n").encode())
    process, said = command_line.up(
        "--config", "server.properties", "-c", "num.partitions=4", "-c", "log.retention.ms= 5000"
    )
    assert said["settings"]["num.partitions"] == "4"
    created = command_line.ok("topics", "create", "orders", "-b", said["kafka"])
    assert created.out == "Created orders with 4 partitions.\n"
    admin = AdminClient({"bootstrap.servers": said["kafka"]})
    broker = ConfigResource(ConfigResource.Type.BROKER, "1")
    described = admin.describe_configs([broker], request_timeout=20)[broker].result()
    for name, value in {"num.partitions": "4", "log.retention.ms": "5000", "log.retention.hours": "24"}.items():
        assert (described[name].value, described[name].source) == (value, ConfigSource.STATIC_BROKER_CONFIG.value)
    assert described["log.dirs"].value.endswith("dev.db")
    topic = ConfigResource(ConfigResource.Type.TOPIC, "orders")
    assert admin.describe_configs([topic], request_timeout=20)[topic].result()["retention.ms"].value == "5000"
    with urllib.request.urlopen(said["web"] + "/cluster.json", timeout=20) as answer:
        shown = {one["name"]: (one["value"], one["source"]) for one in json.load(answer)["settings"]}
    assert shown["num.partitions"] == ("4", "STATIC_BROKER_CONFIG")
    process.terminate()
    assert process.communicate(timeout=30)[1] == (
        "server.properties: node.id, listeners, log.dirs left out; the sandbox sets them itself.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("-c", "num.partition=4"), "Unknown broker config name: num.partition. Did you mean num.partitions?"),
        (("-c", "retention.ms=5"), "It is a topic's setting; the broker's default for it is log.retention.ms."),
        (("-c", "num.partitions=0"), "Value must be at least 1"),
        (("-c", "num.partitions=many"), "Not a number of type INT"),
        (("-c", "num.partitions"), "is not NAME=VALUE"),
        (("-c", "=4"), "is not NAME=VALUE"),
        (("-c", "listeners=PLAINTEXT://:1"), "use --host, --kafka-port and --listener"),
        (("-c", "log.dirs=/tmp"), "the log is the sandbox FILE"),
        (("--config", "num.partitions=4"), "A setting is given with -c num.partitions=4."),
        (("--config", "nothing.properties"), "No such file or directory"),
        (("--config", "bad.properties"), "bad.properties, line 2: Unknown broker config name: num.partition."),
        (("--config", "utf16.properties"), "is UTF-16"),
    ],
)
def test_what_cannot_be_set_is_refused_before_a_file_is_created(
    command_line: "CommandLine", arguments: tuple[str, ...], reason: str
) -> None:
    (command_line.folder / "bad.properties").write_text("num.partitions = 2\nnum.partition: 3\n")
    (command_line.folder / "utf16.properties").write_text("num.partitions=2\n", encoding="utf-16")
    result = command_line.run("up", "--kafka-port", "0", "--ui-port", "0", *arguments)
    assert result.status == 2
    assert reason in result.err
    assert not (command_line.folder / "dev.db").exists()


def test_an_embedded_sandbox_takes_settings_too(command_line: "CommandLine") -> None:
    with Sandbox(command_line.folder / "dev.db", settings={"num.partitions": "5"}) as opened:
        assert len(opened.create_topic("orders").partitions) == 5
        assert [(one.name, one.value, one.default, one.source) for one in opened.brokers.settings()] == [
            ("num.partitions", "5", "1", "STATIC_BROKER_CONFIG")
        ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1\nb:2\nc 3\nd\n", [(1, "a", "1"), (2, "b", "2"), (3, "c", "3"), (4, "d", "")]),
        ("# no\n! no\n\n  a = 1 \r\n", [(4, "a", "1 ")]),
        ("a=1,\\\n   2\nb=3\\\\\nc=4", [(1, "a", "1,2"), (3, "b", "3\\"), (4, "c", "4")]),
        ("a\\ b\\=c=\\u20ac\\t\\q", [(1, "a b=c", "€\tq")]),
        ("a=b=c:d", [(1, "a", "b=c:d")]),
        ("a=\\\n#b", [(1, "a", "#b")]),
        ("a=1\\", [(1, "a", "1")]),
    ],
)
def test_properties_are_read_as_java_reads_them(text: str, expected: list[tuple[int, str, str]]) -> None:
    assert read_properties(text) == expected


@given(st.text(max_size=60))
def test_any_text_is_read_without_an_error(text: str) -> None:
    for number, _name, _value in read_properties(text):
        assert 1 <= number <= text.count("\n") + 1
