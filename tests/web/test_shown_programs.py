"""The programs that the pages show: Python whatever the user wrote, and they do what the buttons beside them do."""

import ast
import itertools
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from sandbox import Listener
from sandbox.api.sandbox import Sandbox
from sandbox.generator.template import EventTemplate
from sandbox.kafka.event import Event, NewEvent
from sandbox.playground.spec import COMMITS, ConsumerSpec
from sandbox.web.playground.programs import consumer_program
from sandbox.web.produce.programs import SHOWN_MAX, event_program, generator_program, many_program
from sandbox.web.programs import produce_values, render
from tests.clients.processes import ROOT
from tests.clock import START_MS
from tests.waiting import eventually

ADDRESS = "127.0.0.1:9092"
HOSTILE = (
    "MY-TOPICS",
    "SETTINGS",
    "MALFORMED_BODY",
    "PROCESS",
    "NAMES ADDRESS POISON WHY GROUP SAFE PRODUCER",
    "it's \"quoted\" '''",
    "two\nlines\r\u2028and\x85more",
    "{0} {address!r} %s \\",
    "żółw 🥪",
)
NOT_COMMITTED = "its offset is not committed"


@pytest.fixture
def served(box: Sandbox) -> Sandbox:
    box.serve(kafka_port=0, web_port=None)
    return box


def run(program: str, within: Path, lines: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=within,
        input=lines,
        timeout=60,
        capture_output=True,
        text=True,
        check=False,
    )


def shown(html: str, name: str) -> str:
    found = re.search(rf'<pre id="{name}"[^>]*>(.*?)</pre>', html, re.DOTALL)
    assert found is not None
    return unescape(found[1])


def constants(program: str) -> set[object]:
    tree = ast.parse(program)
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}


def content(event: Event) -> tuple[object, ...]:
    return event.partition, event.key, event.value, event.headers


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_typed_into_the_playground_is_only_ever_a_value(text: str) -> None:
    for commit in COMMITS:
        found = constants(consumer_program(ConsumerSpec(text, (text,), fail_contains=text, commit=commit), ADDRESS))
        assert {text, text.encode(), ADDRESS, f"it contains {text!r}"} <= found


def test_only_a_program_that_commits_after_an_event_says_that_a_refused_one_is_read_again() -> None:
    says = [
        commit
        for commit in COMMITS
        if NOT_COMMITTED in consumer_program(ConsumerSpec("g", ("orders",), fail_contains="x", commit=commit), ADDRESS)
    ]
    assert says == ["after"]


def test_an_event_whose_dead_letter_is_refused_is_not_committed(served: Sandbox, tmp_path: Path) -> None:
    served.create_topic("orders", partitions=1)
    served.create_topic("orders.dlq", partitions=1, settings={"max.message.bytes": "200"})
    served.append("orders", b"boom" + b"x" * 300, key="k")
    served.append("orders", "fine")
    program = consumer_program(ConsumerSpec("g", ("orders",), fail_contains="boom"), served.kafka_address or "")
    ended = run(program, tmp_path)
    assert ended.returncode == 1
    assert "no dead letter was stored in orders.dlq: ['Broker: Message size too large']" in ended.stderr
    assert [lag.committed for lag in served.lag("g")] in ([], [None])

    served.alter_topic("orders.dlq", {"max.message.bytes": "1000"})
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: [lag.committed for lag in served.lag("g")] == [2], 30, "both are read and committed")
    finally:
        process.terminate()
        process.wait(10)
    (letter,) = served.read("orders.dlq")
    assert (letter.key, letter.value) == (b"k", b"boom" + b"x" * 300)
    assert ("dlq.error", b"it contains 'boom'") in letter.headers


def test_the_program_of_one_event_is_python_however_long_its_parts_are() -> None:
    parts = (None, b"", b"it's\n", b"\xff", b"x" * SHOWN_MAX, b"x" * (SHOWN_MAX + 1))
    for key, value, first, second in itertools.product(parts, repeat=4):
        new = NewEvent(value, key, (("a", first), ("a", second)), START_MS)
        tree = ast.parse(event_program(ADDRESS, "orders", new, "murmur2"))
        files = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and str(node.value)[-4:] == ".bin"
        }
        named = {"key.bin": key, "value.bin": value, "header-1.bin": first, "header-2.bin": second}
        assert files == {name for name, part in named.items() if part == parts[-1]}


def test_the_program_of_a_long_event_reads_each_part_from_its_own_file(served: Sandbox, tmp_path: Path) -> None:
    served.create_topic("orders", partitions=1)
    key, value, trace = (letter * (SHOWN_MAX + 1) for letter in (b"k", b"v", b"t"))
    program = event_program(
        served.kafka_address, "orders", NewEvent(value, key, (("short", b"1"), ("trace", trace))), "murmur2"
    )
    assert f"# header-2.bin holds header 2: {SHOWN_MAX + 1:,} bytes, too long to show here.\n" in program
    for name, part in (("key.bin", key), ("value.bin", value), ("header-2.bin", trace)):
        (tmp_path / name).write_bytes(part)
    assert run(program, tmp_path).returncode == 0
    (event,) = served.read("orders")
    assert content(event) == (0, key, value, (("short", b"1"), ("trace", trace)))


def test_the_program_of_round_robin_names_the_partition_whose_turn_it_is(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=3)
    form = {"topic": "orders", "mode": "round", "key": "same", "value_kind": "text", "value": "v"}
    for _ in range(4):
        turn = page.get("/produce/preview.json", query_string=form).get_json()["partition"]
        program = page.post("/produce/program", data=form).text
        assert f"    partition={turn},\n" in program
        assert f"it is the turn of partition {turn}." in program
        page.post("/produce", data=form)
    assert "partition=" not in page.post("/produce/program", data=form | {"mode": "key"}).text


@pytest.mark.parametrize("how", ["murmur2", "consistent_random", "kept", "round"])
def test_the_program_of_copies_sends_every_event_as_the_button_does(
    page: FlaskClient, served: Sandbox, tmp_path: Path, how: str
) -> None:
    for topic in ("dead", "button", "program"):
        served.create_topic(topic, partitions=3)
    for n in range(24):
        headers = (("trace", b"%d" % n), ("none", None)) if n % 2 else ()
        served.append("dead", str(n), key=f"key-{n % 5}", partition=n % 3, headers=headers, timestamp_ms=START_MS + n)
    form = {"events": "0:0-7 1:0-7 2:0-7", "how": how, "time": "kept"}
    page.post("/topics/dead/messages/copy", data=form | {"to": "button"})
    preview = page.get("/topics/dead/messages/send", query_string=form | {"to": "program"}).text
    ended = run(shown(preview, "copy-code"), tmp_path)
    assert (ended.returncode, ended.stdout) == (0, "")
    button, program = (
        [(*content(event), event.timestamp_ms) for event in served.read(topic, limit=100)]
        for topic in ("button", "program")
    )
    assert len(button) == 24
    assert program == button


def test_the_program_of_copies_stops_where_one_is_refused(page: FlaskClient, served: Sandbox, tmp_path: Path) -> None:
    served.create_topic("dead", partitions=1)
    served.create_topic("orders", partitions=1, settings={"max.message.bytes": "200"})
    for value in ("fine", "x" * 300, "never sent"):
        served.append("dead", value)
    preview = page.get("/topics/dead/messages/send?events=0:0-2&to=orders").text
    ended = run(shown(preview, "copy-code"), tmp_path)
    assert ended.returncode == 1
    assert "stopped at partition 0 offset 1: ['Broker: Message size too large']" in ended.stderr
    assert [event.value for event in served.read("orders")] == [b"fine"]


def test_the_program_of_copies_treats_letters_and_other_events_as_the_button_does(
    page: FlaskClient, served: Sandbox, tmp_path: Path
) -> None:
    for topic in ("dead", "orders"):
        served.create_topic(topic, partitions=1)
    of = {"orders": (("dlq.topic", b"orders"),), "payments": (("dlq.topic", b"payments"),), "none": (("trace", b"1"),)}
    for headers in of.values():
        served.append("dead", "{}", key="k", headers=headers)
    form = {"events": "0:0-2", "to": "orders"}
    preview = page.get("/topics/dead/messages/send", query_string=form).text
    assert "but 1 dead letter of orders without the headers that told of the refusal" in preview
    page.post("/topics/dead/messages/copy", data=form)
    assert run(shown(preview, "copy-code"), tmp_path).returncode == 0
    headers_of = [event.headers for event in served.read("orders", limit=100)]
    assert headers_of[:3] == [(("dlq.sent-back-from", b"dead/0/0"),), of["payments"], of["none"]]
    assert headers_of[3:] == headers_of[:3]


@pytest.mark.parametrize("what", ["one event", "many", "generator", "first"])
def test_a_program_fails_where_an_event_was_refused_and_says_why(served: Sandbox, what: str) -> None:
    served.create_topic("orders", partitions=1, settings={"max.message.bytes": "200"})
    address, long = served.kafka_address or "", "x" * 300
    template = EventTemplate(value="{{int 1 6}}" + long)
    program = {
        "one event": event_program(address, "orders", NewEvent(long.encode()), "murmur2"),
        "many": many_program(address, "orders", "murmur2"),
        "generator": generator_program(address, "orders", template, rate=1000, count=2, seed=1),
        "first": render("produce", "py", address=address, topic="orders", **produce_values("k", long)),
    }[what]
    refused = {"generator": 2}.get(what, 1)
    ended = run(program, ROOT, f"{long}\n")
    assert ended.returncode == 1
    assert f"{refused} not stored: ['Broker: Message size too large']; 0 without an answer" in ended.stderr
    assert served.read("orders") == []


def test_the_program_of_one_event_says_where_it_was_stored(served: Sandbox, tmp_path: Path) -> None:
    served.create_topic("orders", partitions=1)
    served.append("orders", "before")
    ended = run(event_program(served.kafka_address, "orders", NewEvent(b"v"), "murmur2"), tmp_path)
    assert (ended.returncode, ended.stdout) == (0, "stored in partition 0 at offset 1\n")


def test_the_program_of_letters_of_several_programs_finds_the_partition_of_each(
    page: FlaskClient, served: Sandbox, tmp_path: Path
) -> None:
    served.create_topic("orders", partitions=3)
    served.create_topic("dead", partitions=1)
    own = (("dlq.topic", b"orders"), ("dlq.partition", b"1"), ("dlq.offset", b"7"))
    spring = (
        ("kafka_dlt-original-topic", b"orders"),
        ("kafka_dlt-original-partition", b"\0\0\0\x02"),
        ("kafka_dlt-original-offset", b"\0\0\0\0\0\0\0\x07"),
    )
    connect = (
        ("__connect.errors.topic", b"orders"),
        ("__connect.errors.partition", b"0"),
        ("__connect.errors.offset", b"7"),
    )
    for headers in (own, spring, connect):
        served.append("dead", "{}", key="same", headers=headers)
    preview = page.get("/topics/dead/messages/send?events=0:0-2&to=orders&how=origin").text
    ended = run(shown(preview, "copy-code"), tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    places = {(event.headers[-1][1] or b"").decode(): event.partition for event in served.read("orders")}
    assert places == {"dead/0/0": 1, "dead/0/1": 2, "dead/0/2": 0}


LOG_IN = {
    "consume-code": [
        """
    "security.protocol": 'SASL_SSL',
    "sasl.mechanism": 'SCRAM-SHA-512',
    "sasl.username": 'USER',
    "sasl.password": 'PASSWORD',
    "ssl.ca.location": 'ca.pem',
"""
    ],
    "consume-code-kcat": [
        " -X security.protocol=SASL_SSL -X sasl.mechanism=SCRAM-SHA-512 -X sasl.username=USER -X sasl.password=PASSWORD"
        " -X ssl.ca.location=ca.pem "
    ],
    "consume-code-java": [
        'settings.put("security.protocol", "SASL_SSL");',
        'settings.put("sasl.mechanism", "SCRAM-SHA-512");',
        'ScramLoginModule required username=\\"USER\\" password=\\"PASSWORD\\";");',
        'settings.put("ssl.truststore.type", "PEM");',
        'settings.put("ssl.truststore.location", "ca.pem");',
    ],
    "consume-code-go": [
        'kgo.SASL(scram.Auth{User: "USER", Pass: "PASSWORD"}.AsSha512Mechanism()),',
        "kgo.DialTLSConfig(&tls.Config{RootCAs: roots}),",
        'os.ReadFile("ca.pem")',
        '"github.com/twmb/franz-go/pkg/sasl/scram"',
    ],
    "consume-code-mjs": [
        'import { readFileSync } from "node:fs";',
        'ssl: { ca: [readFileSync("ca.pem")] }',
        'sasl: { mechanism: "scram-sha-512", username: "USER", password: "PASSWORD" }',
    ],
}


def test_programs_log_in_if_every_listener_requires_it_with_placeholders(box: Sandbox, page: FlaskClient) -> None:
    box.create_topic("orders", partitions=1)
    box.add_user("alice", "correct-horse")
    box.serve(kafka_port=None, web_port=None, listeners=[Listener("SASL_SSL", mechanisms=("SCRAM-SHA-512",))])
    address = box.listener_addresses["SASL_SSL"]
    html = page.get("/topics/orders/messages").text
    for name, parts in LOG_IN.items():
        program = shown(html, name)
        assert address in program, name
        for part in parts:
            assert part in program, name
    for path in ("/topics/orders/messages", "/topics/orders/produce", "/playground", "/topics/~new", "/help"):
        text = unescape(page.get(path).text)
        assert "correct-horse" not in text
        assert "alice" not in text


def test_programs_of_a_plain_port_set_no_security(served: Sandbox, page: FlaskClient) -> None:
    served.create_topic("orders", partitions=1)
    html = page.get("/topics/orders/messages").text
    for name in LOG_IN:
        assert not re.search("security|sasl|ssl|tls", shown(html, name)), name
