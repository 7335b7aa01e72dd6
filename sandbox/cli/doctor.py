"""`sandbox doctor`: looks at what a sandbox needs on this machine, and at what clients see. It changes nothing."""

import platform
import shutil
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import click

from sandbox.cli.display import printable, show_json
from sandbox.cli.status import Status
from sandbox.cli.target import chosen_file, json_option
from sandbox.version import __version__

TIMEOUT_S = 5.0
DISK_FREE_BYTES = 1_000_000_000
OPEN_FILES = 1024


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was looked at.

    Attributes:
        subject: what it is.
        status: "ok", "warning" or "error".
        text: what was found.
        advice: what to do; "" if nothing.
    """

    subject: str
    status: str
    text: str
    advice: str = ""


@click.command(
    epilog="""\b
It exits with 1 if there is an error.

\b
Examples:
  sandbox doctor
  sandbox doctor dev.db --json"""
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@json_option
@click.pass_context
def doctor(context: click.Context, file: Path | None, as_json: bool) -> None:
    """Look for what is wrong: versions, FILE and its owner, ports, disk, and the addresses that clients get.

    FILE defaults to SANDBOX_FILE or dev.db. Nothing is changed.
    """
    findings = []
    for finding in _findings(chosen_file(file)):
        findings.append(finding)
        if as_json:
            show_json(asdict(finding))
            continue
        mark = {"ok": "ok     ", "warning": "warning", "error": "ERROR  "}[finding.status]
        click.echo(printable(f"{mark}  {finding.subject}: {finding.text}"))
        if finding.advice:
            click.echo(printable(f"         {finding.advice}"))
    if any(one.status == "error" for one in findings):
        context.exit(Status.FAILED)


def _findings(path: Path) -> Iterator[Diagnosis]:
    python = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    client = version("confluent-kafka")
    yield Diagnosis("versions", "ok", f"kafka-sandbox {__version__}, confluent-kafka {client}, Python {python}")
    yield _disk(path)
    yield _open_files()
    from sandbox.storage.file.lock import read_owner

    owner = read_owner(path)
    if owner is None:
        yield from _resting(path)
        for name, port in (("Kafka port", 9092), ("page's port", 8080), ("registry's port", 8081)):
            yield _port(name, port)
        return
    yield Diagnosis("owner", "ok", f"process {owner.get('pid')} has {path} open")
    kafka, web, registry = owner.get("kafka"), owner.get("web"), owner.get("registry")
    if isinstance(kafka, str):
        yield from _clients(kafka)
    else:
        yield Diagnosis("Kafka port", "warning", "the owner opened none", "Clients need one: sandbox up opens it.")
    if isinstance(web, str):
        yield _http("page", f"{web}/help/diagnostics.json", web)
    if isinstance(registry, str):
        yield _http("registry", f"{registry}/schemas/types", registry)


def _disk(path: Path) -> Diagnosis:
    folder = path.absolute().parent
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        reason = error.strerror or str(error)
        return Diagnosis("disk", "error", f"{folder}: {reason}", "Name a file in a folder that exists.")
    text = f"{free / 1e9:,.1f} GB free in {folder}"
    if free < DISK_FREE_BYTES:
        return Diagnosis(
            "disk", "warning", text, "Free some space: a full disk refuses events, and recovers by itself."
        )
    return Diagnosis("disk", "ok", text)


def _open_files() -> Diagnosis:
    try:
        import resource
    except ImportError:
        return Diagnosis("open files", "ok", "this system has no limit")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= OPEN_FILES:
        return Diagnosis("open files", "ok", "no limit" if hard == resource.RLIM_INFINITY else f"up to {hard:,}")
    return Diagnosis("open files", "warning", f"up to {hard:,}", "Each client needs one: raise it with ulimit -Hn.")


def _resting(path: Path) -> Iterator[Diagnosis]:
    if not path.exists():
        yield Diagnosis("file", "ok", f"{path} does not exist yet; sandbox up creates it")
        return
    from sandbox.storage.check import count_batches

    batches = count_batches(path)
    if batches is None:
        yield Diagnosis("file", "error", f"{path} is not a sandbox, or cannot be read", "Name another file.")
        return
    yield Diagnosis("file", "ok", f"{path} has {batches:,} record batches; sandbox check verifies each")


def _port(name: str, port: int) -> Diagnosis:
    if not _answers("127.0.0.1", port):
        return Diagnosis(name, "ok", f"{port} is free")
    option = {9092: "--kafka-port", 8080: "--ui-port", 8081: "--registry-port"}[port] + " 0"
    return Diagnosis(name, "warning", f"{port} is taken by another program", f"Let one be picked: sandbox up {option}")


def _clients(address: str) -> Iterator[Diagnosis]:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": address, "client.id": "sandbox-doctor", "log_level": "0"})
    try:
        found = admin.list_topics(timeout=TIMEOUT_S)
    except KafkaException as error:
        reason = error.args[0].str()
        advice = "If its brokers are stopped, start one: sandbox brokers start 1."
        yield Diagnosis("Kafka port", "error", f"{address} does not answer: {reason}", advice)
        return
    yield Diagnosis("Kafka port", "ok", f"{address} answers, {len(found.topics)} topics")
    for broker in sorted(found.brokers.values(), key=lambda one: one.id):
        host, port = str(broker.host), int(broker.port)
        text = f"clients are sent to {host}:{port}, which"
        if _answers(host, port):
            yield Diagnosis(f"broker {broker.id}", "ok", f"{text} answers")
        else:
            advice = "Change --advertised-host, or @HOST:PORT of --listener."
            yield Diagnosis(f"broker {broker.id}", "error", f"{text} does not answer here", advice)


def _http(subject: str, url: str, shown: str) -> Diagnosis:
    from urllib.error import HTTPError, URLError
    from urllib.request import ProxyHandler, build_opener

    try:
        # Never through a proxy: the server is on this machine.
        with build_opener(ProxyHandler({})).open(url, timeout=TIMEOUT_S):
            return Diagnosis(subject, "ok", f"{shown} answers")
    except HTTPError as error:
        asks = error.code in (401, 403)
        return Diagnosis(subject, "ok" if asks else "error", f"{shown} {'asks for its token' if asks else error}")
    except (URLError, OSError) as error:
        return Diagnosis(subject, "error", f"{shown} does not answer: {getattr(error, 'reason', error)}")


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), TIMEOUT_S):
            return True
    except OSError:
        return False
