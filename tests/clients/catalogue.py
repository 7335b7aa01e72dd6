"""The client libraries that the tests drive, and how the program of each is built and started."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.clients.apache_kafka import KafkaUnavailableError, fetch_jars, find_or_fetch
from tests.clients.processes import CACHE

PROGRAMS = Path(__file__).with_name("programs")
BUILT = CACHE / "clients"
ALL = ("none", "gzip", "snappy", "lz4", "zstd")
BUILD_S = 300


class ClientUnavailableError(Exception):
    """A client cannot be run here; the text says what is missing."""


@dataclass(frozen=True)
class Client:
    """One client library: what it can do, and the command of its program without the bootstrap address."""

    name: str
    command: Callable[[], list[str]]
    compressions: tuple[str, ...] = ALL
    # False: it has no admin client, so another one creates its topics.
    creates_topics: bool = True
    # True: all its events have the same headers and the time of producing, and no key or value is empty.
    plain: bool = False
    # False: it keeps headers by name, so only the order of equal names survives.
    keeps_header_order: bool = True
    # False: its producer refuses a header without a value.
    writes_null_headers: bool = True


def python(module: str) -> Callable[[], list[str]]:
    """The command of a Python program of this folder."""
    return lambda: [sys.executable, "-m", f"tests.clients.programs.{module}"]


def kcat() -> list[str]:
    """The command of the kcat program."""
    _needs("kcat")
    return python("kcat_program")()


def node(program: str, folder: str = "node") -> Callable[[], list[str]]:
    """The command of a Node.js program; its packages are installed once, by the lock file."""

    def command() -> list[str]:
        _needs("node", "npm")
        source = PROGRAMS / folder
        home = BUILT / f"node-{_digest(source / 'package-lock.json')}"
        if not (home / "node_modules").exists():
            home.mkdir(parents=True, exist_ok=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copy(source / name, home)
            _fetch(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], home)
        for script in source.glob("*.mjs"):
            shutil.copy(script, home)
        return ["node", str(home / program)]

    return command


def node_native(program: str) -> list[str]:
    """The command of a program over node-rdkafka, which `programs/node_native/build.sh` builds before the tests."""
    _needs("node")
    source = PROGRAMS / "node_native"
    home = BUILT / "node_native"
    if not (home / "built").exists():
        raise ClientUnavailableError(f"{source.name}/build.sh did not build it")
    shutil.copy(source / program, home)
    return ["node", str(home / program)]


def go(folder: str) -> Callable[[], list[str]]:
    """The command of a Go program; it is built when its sources are newer."""

    def command() -> list[str]:
        _needs("go")
        source, binary = PROGRAMS / folder, BUILT / f"{folder}-program"
        _fetch(["go", "mod", "download"], source)
        _build(["go", "build", "-o", str(binary), "."], source)
        return [str(binary)]

    return command


def java(program: str = "KafkaProgram") -> list[str]:
    """The command of a Java program; it is compiled against the jars of Apache Kafka, which hold its client."""
    _needs("javac")
    try:
        jars = find_or_fetch()
    except KafkaUnavailableError as missing:
        raise ClientUnavailableError(str(missing)) from None
    source = PROGRAMS / "java" / f"{program}.java"
    classes = BUILT / f"java-{_digest(source)}-{jars.name}"
    if not (classes / f"{program}.class").exists():
        classes.mkdir(parents=True, exist_ok=True)
        _build(["javac", "-cp", f"{jars}/*", "-d", str(classes), str(source)], source.parent)
    flags = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    return ["java", *flags, "-cp", f"{classes}:{jars}/*", program]


def java_registry() -> list[str]:
    """The command of the program over Confluent's Java client of a schema registry."""
    _needs("javac", "mvn")
    source = PROGRAMS / "java_registry" / "RegistryProgram.java"
    pom = source.with_name("pom.xml")
    try:
        jars = fetch_jars(CACHE / "java_registry" / _digest(pom), pom.read_text(), "the client of a schema registry")
    except KafkaUnavailableError as missing:
        raise ClientUnavailableError(str(missing)) from None
    classes = BUILT / f"java_registry-{_digest(source)}-{jars.name}"
    if not (classes / "RegistryProgram.class").exists():
        classes.mkdir(parents=True, exist_ok=True)
        _build(["javac", "-cp", f"{jars}/*", "-d", str(classes), str(source)], source.parent)
    flags = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    return ["java", *flags, "-cp", f"{classes}:{jars}/*", "RegistryProgram"]


def _needs(*tools: str) -> None:
    for tool in tools:
        if shutil.which(tool) is None:
            raise ClientUnavailableError(f"{tool} is not installed")


def _digest(source: Path) -> str:
    return hashlib.sha256(source.read_bytes()).hexdigest()[:12]


def _fetch(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=BUILD_S, check=False)
    if done.returncode != 0:
        raise ClientUnavailableError(f"{' '.join(command)}: {done.stderr[-600:]}")


def _build(command: list[str], folder: Path) -> None:
    BUILT.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=BUILD_S, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")


CONFLUENT = Client("confluent-kafka", python("confluent_program"))
KAFKA_PYTHON = Client("kafka-python", python("kafka_python_program"), writes_null_headers=False)
AIOKAFKA = Client("aiokafka", python("aiokafka_program"))
KCAT = Client("kcat", kcat, creates_topics=False, plain=True)
KAFKAJS = Client(
    "kafkajs",
    node("kafkajs_program.mjs"),
    ("none", "gzip", "snappy", "lz4"),
    keeps_header_order=False,
    writes_null_headers=False,
)
# Its zstd is Node.js's own, which came with Node.js 22.
PLATFORMATIC = Client("platformatic", node("platformatic_program.mjs"), ("none", "gzip", "snappy", "lz4"))
JAVA = Client("java", java)
FRANZ = Client("franz-go", go("franz"))
SARAMA = Client("sarama", go("sarama"))

CLIENTS = (CONFLUENT, KAFKA_PYTHON, AIOKAFKA, KCAT, KAFKAJS, PLATFORMATIC, JAVA, FRANZ, SARAMA)


def environment() -> dict[str, str]:
    """The environment of a client program."""
    return {**os.environ, "PYTHONUNBUFFERED": "1"}
