"""Runs Kafka's own command-line tools, and compares their output on Apache Kafka and on the sandbox.

    python -m tests.clients.command_line_tools          run them on Apache Kafka, and store what it prints
    python -m tests.clients.command_line_tools --show   run them on a sandbox, and print the differences

`tools/outputs.txt` has the output of each call on Apache Kafka, with names, ids, addresses and times
replaced. `tools/findings.md` has the differences on the sandbox, with reasons.
"""

from __future__ import annotations

import difflib
import json
import re
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.clients.apache_kafka import running_kafka
from tests.clients.catalogue import environment, java
from tests.clients.program import Program
from tests.clients.sandbox_process import running_sandbox

TOOLS = Path(__file__).with_name("tools")
OUTPUTS = TOOLS / "outputs.txt"
FINDINGS = TOOLS / "findings.md"
PACKAGE = "org.apache.kafka.tools."
HEAD = "### "
MINE = "sandboxtools"
WITHIN_MS = 20_000


@dataclass(frozen=True)
class Call:
    """One call of a tool; `{t}` in its words is a prefix that only this run uses, `{files}` a folder."""

    name: str
    tool: str
    words: str
    typed: str = ""
    # Lines of the output that name nothing of this run are of other tests, and dropped.
    only_mine: bool = False
    # True: the order of lines is not defined.
    unordered: bool = False
    # True: the tool's subcommand takes the address.
    subcommand: bool = False


def _calls() -> Iterator[Call]:
    topics, configs = "TopicCommand", "ConfigCommand"
    yield Call("create a topic", topics, "--create --topic {t}-a --partitions 3 --config retention.ms=600000000")
    yield Call("create it again", topics, "--create --topic {t}-a --partitions 3")
    yield Call("create it if it is missing", topics, "--create --topic {t}-a --if-not-exists")
    yield Call("create a topic with a bad name", topics, "--create --topic {t}/a")
    yield Call("create a topic with a bad setting", topics, "--create --topic {t}-b --config retention.ms=x")
    yield Call("create a topic with an unknown setting", topics, "--create --topic {t}-b --config nope=1")
    yield Call("create a topic with too many replicas", topics, "--create --topic {t}-b --replication-factor 30")
    yield Call("describe a topic", topics, "--describe --topic {t}-a")
    yield Call("describe a topic that is missing", topics, "--describe --topic {t}-nope")
    yield Call("list topics", topics, "--list", only_mine=True)
    yield Call("add partitions", topics, "--alter --topic {t}-a --partitions 4")
    yield Call("remove partitions", topics, "--alter --topic {t}-a --partitions 2")
    yield Call("alter a topic that is missing", topics, "--alter --topic {t}-nope --partitions 2")
    yield Call(
        "describe under-replicated partitions", topics, "--describe --under-replicated-partitions", only_mine=True
    )
    yield Call("describe unavailable partitions", topics, "--describe --unavailable-partitions", only_mine=True)
    yield Call("describe overrides", topics, "--describe --topics-with-overrides", only_mine=True)
    yield Call("create another topic", topics, "--create --topic {t}-c --partitions 1")
    topic = "--entity-type topics --entity-name {t}-a"
    yield Call("set a topic's setting", configs, f"{topic} --alter --add-config retention.bytes=1000")
    yield Call("describe a topic's settings", configs, f"{topic} --describe", unordered=True)
    yield Call("describe all settings of a topic", configs, f"{topic} --describe --all", unordered=True)
    yield Call("set an unknown setting of a topic", configs, f"{topic} --alter --add-config nope=1")
    yield Call("set a bad value of a topic", configs, f"{topic} --alter --add-config retention.ms=x")
    yield Call("delete a topic's setting", configs, f"{topic} --alter --delete-config retention.bytes")
    yield Call("delete a setting that is not set", configs, f"{topic} --alter --delete-config nope")
    yield Call("settings of a topic that is missing", configs, "--entity-type topics --entity-name {t}-nope --describe")
    group = "--entity-type groups --entity-name {t}-share"
    yield Call("set a group's setting", configs, f"{group} --alter --add-config share.auto.offset.reset=earliest")
    yield Call("describe a group's settings", configs, f"{group} --describe", unordered=True)
    yield Call("set an unknown setting of a group", configs, f"{group} --alter --add-config nope=1")
    yield Call("set a bad value of a group", configs, f"{group} --alter --add-config share.isolation.level=x")
    user = "--entity-type users --entity-name {t}"
    yield Call("add a user", configs, f"{user} --alter --add-config SCRAM-SHA-256=[iterations=4096,password=secret]")
    yield Call("describe a user", configs, f"{user} --describe")
    yield Call("delete a user", configs, f"{user} --alter --delete-config SCRAM-SHA-256")
    client = "--entity-type clients --entity-name {t}"
    yield Call("set a quota", configs, f"{client} --alter --add-config producer_byte_rate=1000")
    yield Call("describe a quota", configs, f"{client} --describe")
    yield Call("delete a quota", configs, f"{client} --alter --delete-config producer_byte_rate")
    yield Call("describe a broker's settings", configs, "--entity-type brokers --entity-name 1 --describe")
    yield Call("describe the default of brokers", configs, "--entity-type brokers --entity-default --describe")
    broker = "--entity-type brokers --entity-name 1"
    yield Call("set a broker's read-only setting", configs, f"{broker} --alter --add-config num.partitions=2")
    yield Call("set a broker's setting", configs, f"{broker} --alter --add-config log.retention.check.nope=2")
    yield Call("describe client metrics", "ClientMetricsCommand", "--list")
    yield from _produced()
    yield from _groups()
    yield from _cluster()
    yield Call("delete a topic", topics, "--delete --topic {t}-c")
    yield Call("delete a topic that is missing", topics, "--delete --topic {t}-c")


def _produced() -> Iterator[Call]:
    yield Call(
        "produce lines with keys",
        "ConsoleProducer",
        "--topic {t}-c --reader-property parse.key=true --reader-property key.separator=:",
        typed="k1:v1\nk2:v2\nk3:v3\n",
    )
    yield Call(
        "produce to a topic with a bad name", "ConsoleProducer", "--topic {t}/c --max-block-ms 2000", typed="v\n"
    )
    yield Call(
        "consume with keys",
        "consumer.ConsoleConsumer",
        "--topic {t}-c --from-beginning --max-messages 3 --group {t}-readers --formatter-property print.key=true"
        " --formatter-property print.partition=true --formatter-property print.offset=true",
    )
    yield Call(
        "consume from an offset", "consumer.ConsoleConsumer", "--topic {t}-c --partition 0 --offset 1 --max-messages 1"
    )
    yield Call(
        "consume what is not there", "consumer.ConsoleConsumer", "--topic {t}-c --timeout-ms 2000 --group {t}-idle"
    )
    yield Call("verifiable producer", "VerifiableProducer", "--topic {t}-c --max-messages 4 --acks -1")
    yield Call(
        "verifiable consumer",
        "VerifiableConsumer",
        "--topic {t}-c --group-id {t}-verified --max-messages 7 --reset-policy earliest",
    )
    offsets = "GetOffsetShell"
    yield Call("latest offsets", offsets, "--topic {t}-c")
    yield Call("latest offsets by name", offsets, "--topic {t}-c --time latest")
    yield Call("earliest offsets", offsets, "--topic {t}-c --time earliest")
    yield Call("offsets of the largest timestamp", offsets, "--topic {t}-a --time max-timestamp")
    yield Call("earliest local offsets", offsets, "--topic {t}-c --time earliest-local")
    yield Call("offsets at a time", offsets, "--topic {t}-c --time 1000")
    yield Call("offsets of partitions", offsets, "--topic-partitions {t}-a:1-3,{t}-c")
    yield Call("offsets of a topic that is missing", offsets, "--topic {t}-nope")
    yield Call("delete records", "DeleteRecordsCommand", "--offset-json-file {files}/delete.json")
    yield Call("delete records twice", "DeleteRecordsCommand", "--offset-json-file {files}/twice.json")
    yield Call("earliest offsets after that", offsets, "--topic {t}-c --time earliest")


def _groups() -> Iterator[Call]:
    consumers, shares = "consumer.group.ConsumerGroupCommand", "consumer.group.ShareGroupCommand"
    yield Call("list consumer groups", consumers, "--list", only_mine=True, unordered=True)
    yield Call("list consumer groups with states", consumers, "--list --state", only_mine=True, unordered=True)
    yield Call("list consumer groups with types", consumers, "--list --type", only_mine=True, unordered=True)
    yield Call("describe a group", consumers, "--describe --group {t}-readers")
    yield Call("describe a group's members", consumers, "--describe --group {t}-readers --members --verbose")
    yield Call("describe a group's state", consumers, "--describe --group {t}-readers --state")
    yield Call("describe a group that is missing", consumers, "--describe --group {t}-nope")
    yield Call("state of a group that is missing", consumers, "--describe --group {t}-nope --state")
    reset = "--reset-offsets --group {t}-readers --topic {t}-c"
    yield Call("reset offsets, dry", consumers, f"{reset} --to-earliest --dry-run")
    yield Call("reset offsets", consumers, f"{reset} --to-offset 5 --execute")
    yield Call("reset offsets out of range", consumers, f"{reset} --to-offset 500 --execute")
    yield Call("reset offsets by a shift", consumers, f"{reset} --shift-by -2 --execute")
    yield Call("export offsets", consumers, f"{reset} --to-current --export --dry-run")
    yield Call(
        "reset offsets of a topic that is missing",
        consumers,
        "--reset-offsets --group {t}-readers --topic {t}-nope --to-earliest --execute",
    )
    yield Call("delete offsets", consumers, "--delete-offsets --group {t}-readers --topic {t}-c")
    yield Call(
        "delete offsets of a topic that is missing", consumers, "--delete-offsets --group {t}-readers --topic {t}-nope"
    )
    yield Call("delete a group", consumers, "--delete --group {t}-verified")
    yield Call("delete a group that is missing", consumers, "--delete --group {t}-nope")
    yield Call(
        "consume with a share group",
        "consumer.ConsoleShareConsumer",
        "--topic {t}-c --group {t}-share --max-messages 5 --formatter-property print.offset=true"
        " --formatter-property print.delivery=true",
    )
    yield Call("list share groups", shares, "--list", only_mine=True, unordered=True)
    yield Call("list share groups with states", shares, "--list --state", only_mine=True, unordered=True)
    yield Call("describe a share group", shares, "--describe --group {t}-share")
    yield Call("describe a share group verbosely", shares, "--describe --group {t}-share --verbose")
    yield Call("describe a share group's members", shares, "--describe --group {t}-share --members --verbose")
    yield Call("describe a share group's state", shares, "--describe --group {t}-share --state --verbose")
    yield Call("describe a share group that is missing", shares, "--describe --group {t}-nope")
    reset = "--reset-offsets --group {t}-share --topic {t}-c"
    yield Call("reset a share group, dry", shares, f"{reset} --to-earliest --dry-run")
    yield Call("reset a share group", shares, f"{reset} --to-latest --execute")
    yield Call("delete a share group's offsets", shares, "--delete-offsets --group {t}-share --topic {t}-c")
    yield Call("describe a share group as a consumer group", consumers, "--describe --group {t}-share")
    yield Call("describe a consumer group as a share group", shares, "--describe --group {t}-readers")
    yield Call("list groups of every kind", "GroupsCommand", "--list", only_mine=True, unordered=True)
    yield Call("list groups of one kind", "GroupsCommand", "--list --share", only_mine=True, unordered=True)
    yield Call("delete a share group", shares, "--delete --group {t}-share")
    yield Call("delete a share group that is missing", shares, "--delete --group {t}-share")
    yield Call("list streams groups", "streams.StreamsGroupCommand", "--list", only_mine=True)
    yield Call("describe a streams group", "streams.StreamsGroupCommand", "--describe --group {t}-nope")


def _cluster() -> Iterator[Call]:
    yield Call(
        "produce in transactions",
        "ProducerPerformance",
        "--topic {t}-c --num-records 4 --record-size 8 --throughput -1 --transactional-id {t}-tx",
    )
    yield Call("describe a transaction that is missing", "TransactionsCommand", "describe --transactional-id {t}-nope")
    yield Call(
        "describe producers", "TransactionsCommand", "describe-producers --topic {t}-c --partition 0", unordered=True
    )
    yield Call(
        "find hanging transactions", "TransactionsCommand", "find-hanging --broker-id 1 --topic {t}-a --partition 0"
    )
    yield Call("describe log directories", "LogDirsCommand", "--describe --topic-list {t}-a --broker-list 1")
    yield Call("describe log directories of a broker that is missing", "LogDirsCommand", "--describe --broker-list 77")
    yield Call("describe features", "FeatureCommand", "describe", unordered=True)
    yield Call("upgrade an unknown feature", "FeatureCommand", "upgrade --feature nope=1")
    yield Call("elect a leader", "LeaderElectionCommand", "--election-type preferred --topic {t}-a --partition 0")
    yield Call(
        "elect a leader of a topic that is missing",
        "LeaderElectionCommand",
        "--election-type preferred --topic {t}-nope --partition 0",
    )
    moves = "reassign.ReassignPartitionsCommand"
    yield Call("list reassignments", moves, "--list")
    yield Call(
        "generate a reassignment", moves, "--generate --topics-to-move-json-file {files}/topics.json --broker-list 1"
    )
    yield Call("execute a reassignment", moves, "--execute --reassignment-json-file {files}/move.json")
    yield Call("verify a reassignment", moves, "--verify --reassignment-json-file {files}/move.json")
    # At the end: on Apache Kafka the coordinator notes the end of the transaction after the producer has closed.
    yield Call("list transactions", "TransactionsCommand", "list", only_mine=True)
    yield Call("describe a transaction", "TransactionsCommand", "describe --transactional-id {t}-tx")
    yield Call("reassign to a broker that is missing", moves, "--execute --reassignment-json-file {files}/away.json")
    yield Call("list ACLs", "AclCommand", "--list")
    yield Call("add an ACL", "AclCommand", "--add --allow-principal User:a --operation read --topic {t}-a")
    yield Call("list endpoints", "ClusterTool", "list-endpoints", subcommand=True)
    yield Call(
        "describe delegation tokens", "DelegationTokenCommand", "--describe --command-config {files}/empty.properties"
    )
    yield Call("versions of APIs", "BrokerApiVersionsCommand", "", unordered=True)


CALLS = tuple(_calls())


def run(bootstrap: str) -> dict[str, str]:
    """Run every call on a broker.

    Returns:
        The call's name to its exit code and output, without what differs from run to run.

    Raises:
        ClientUnavailableError: there is no Java, or Apache Kafka's jars cannot be fetched.
    """
    prefix = f"{MINE}-{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory(prefix="kafka-tools-") as folder:
        _write_files(Path(folder), prefix)
        quiet = Path(folder) / "log4j2.properties"
        quiet.write_text("status=off\nrootLogger.level=off\n")
        command = java("ToolsProgram")
        command[1:1] = [f"-Dlog4j2.configurationFile={quiet}", "--add-opens", "java.base/java.lang=ALL-UNNAMED"]
        program = Program("tools", command, Path(folder) / "tools.log", environment())
        try:
            return {call.name: _run(program, call, bootstrap, prefix, folder) for call in CALLS}
        finally:
            program.close()


def _write_files(folder: Path, prefix: str) -> None:
    moved = {"topic": f"{prefix}-a", "partition": 0}
    place = {"topic": f"{prefix}-c", "partition": 0}
    files = {
        "delete": {"version": 1, "partitions": [{**place, "offset": 2}]},
        "twice": {"version": 1, "partitions": [{**place, "offset": 2}, {**place, "offset": 1}]},
        "topics": {"version": 1, "topics": [{"topic": f"{prefix}-a"}]},
        "move": {"version": 1, "partitions": [{**moved, "replicas": [1]}]},
        "away": {"version": 1, "partitions": [{**moved, "replicas": [77]}]},
    }
    (folder / "empty.properties").touch()
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))


def _run(program: Program, call: Call, bootstrap: str, prefix: str, folder: str) -> str:
    servers = ["--bootstrap-server", bootstrap]
    words = call.words.format(t=prefix, files=folder).split()
    words = [*words, *servers] if call.subcommand else [*servers, *words]
    answer = program.ask(tool=PACKAGE + call.tool, arguments=words, input=call.typed, within_ms=WITHIN_MS)
    lines = [line.rstrip() for line in answer["output"].splitlines() if not STACK.match(line)]
    if call.only_mine:
        lines = [line for line in lines if prefix in line or HEADING.match(line)]
    lines = [_normal(line, bootstrap, prefix, folder) for line in lines]
    return "\n".join([f"exit code {answer['code']}", *(sorted(lines) if call.unordered else lines)]).rstrip()


STACK = re.compile(r"\tat |\t\.\.\. \d+ more")
# Other lines of a list are topics and groups of other tests.
HEADING = re.compile(r"[A-Z](?!opic: )")
VARIES = (
    # The width of columns depends on the names of other tests.
    (r" +", " "),
    (r" \t", "\t"),
    (r'"timestamp":\d+', '"timestamp":TIME'),
    (r'"(target_throughput|avg_throughput)":[-\d.]+', r'"\1":N'),
    (r"TopicId: \S{22}", "TopicId: ID"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
    (r'"/[^"]*/[^"]+"', '"DIR"'),
    (r'"size":\d+', '"size":N'),
    (r'"(totalBytes|usableBytes)":-?\d+', r'"\1":N'),
    (r"salt=[^,\]]+", "salt=SALT"),
    (r"\b127\.0\.0\.1(:| +)\d+", "HOST:PORT"),
    (r"\(id: (\d+) rack: \S+( isFenced: \S+)?\)", r"(id: \1)"),
    (r"\b(epoch|Epoch:) \d+\b", r"\1 N"),
    # Apache Kafka is run with it, so that it does not delete events of the past.
    (r"STATIC_BROKER_CONFIG:log.retention.ms=-1, ", ""),
    (r"^(\d+ records sent), .*", r"\1"),
    (r"\b1[7-9]\d{11}(\t\d+(?=\t|$))?", "TIME"),
    (r"(\bT-tx\t1\t)\d+(?=\tComplete)", r"\1PID"),
    (r"(^1\tT-tx\t)\d+", r"\1PID"),
    (r"^\d+(?=\t\d+\t)", "PID"),
)


def _normal(line: str, bootstrap: str, prefix: str, folder: str) -> str:
    if line.startswith('{"brokers"'):
        found = json.loads(line)
        for broker in found["brokers"]:
            for place in broker["logDirs"]:
                place["partitions"].sort(key=lambda one: one["partition"])
        line = json.dumps(found, separators=(",", ":"))
    line = line.replace(prefix, "T").replace(bootstrap, "HOST:PORT").replace(folder, "FILES")
    for pattern, word in VARIES:
        line = re.sub(pattern, word, line)
    return line.rstrip()


def recorded() -> dict[str, str]:
    """What Apache Kafka prints: the call's name to its exit code and output."""
    return {name: "\n".join(lines).rstrip() for name, lines in _sections(OUTPUTS).items()}


def findings() -> dict[str, str]:
    """The known differences: the call's name to the lines that only Apache Kafka (-) or the sandbox (+) prints."""
    marked = {
        name: [line for line in lines if line.startswith(("-", "+"))] for name, lines in _sections(FINDINGS).items()
    }
    return {name: "\n".join(lines) for name, lines in marked.items()}


def difference(wanted: str, found: str) -> str:
    """The lines that only Apache Kafka (-) or the sandbox (+) prints; empty if there are none."""
    lines = difflib.unified_diff(wanted.splitlines(), found.splitlines(), lineterm="", n=0)
    return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


def _sections(path: Path) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith(HEAD):
            lines = sections.setdefault(line.removeprefix(HEAD), [])
        elif sections:
            lines.append(line)
    return sections


def main(arguments: list[str]) -> None:
    """Run the command line."""
    if "--show" in arguments:
        with tempfile.TemporaryDirectory() as folder, running_sandbox(Path(folder) / "tools.db") as bootstrap:
            found = run(bootstrap)
        wanted = recorded()
        for name, text in found.items():
            if lines := difference(wanted[name], text):
                print(f"\n{HEAD}{name}\n\n```diff\n{lines}\n```")
        return
    with running_kafka() as bootstrap:
        found = run(bootstrap)
    TOOLS.mkdir(exist_ok=True)
    OUTPUTS.write_text("\n".join(f"{HEAD}{name}\n{text}" for name, text in found.items()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
