"""The programs that the page shows for producing and consuming run as they stand, in each language."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from sandbox import Listener
from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from sandbox.web.app import create_app
from sandbox.web.produce.programs import event_programs
from tests.clients.apache_kafka import find_or_fetch
from tests.clients.catalogue import PROGRAMS, ClientUnavailableError, node

pytestmark = [pytest.mark.clients, pytest.mark.timeout(240)]
LANGUAGES = ("py", "kcat", "java", "go", "mjs")
TEXT = 'żółw\'s "tea" \\ $HOME `x`'


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "programs.db") as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        sandbox.create_topic("orders", partitions=3)
        yield sandbox


@pytest.fixture
def page(served: Sandbox) -> FlaskClient:
    return create_app(served).test_client()


def command(language: str, text: str, folder: Path) -> tuple[list[str], Path]:
    """Write a program, and return how to run it and where; skip the test if its tools are missing."""
    tool = {"py": sys.executable, "mjs": "node"}.get(language, language)
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    folder.mkdir()
    if language == "py":
        return [sys.executable, "-c", text], folder
    if language == "kcat":
        return ["sh", "-c", text], folder
    if language == "java":
        name = re.findall(r"public class (\w+)", text)[0]
        (folder / f"{name}.java").write_text(text, encoding="utf-8")
        return ["java", "-Xmx256m", "-cp", f"{find_or_fetch()}/*", f"{name}.java"], folder
    if language == "go":
        for name in ("go.mod", "go.sum"):
            shutil.copy(PROGRAMS / "franz" / name, folder)
        (folder / "main.go").write_text(text, encoding="utf-8")
        return ["go", "run", "."], folder
    try:
        home = Path(node("kafkajs_program.mjs")()[1]).parent
    except ClientUnavailableError as missing:
        pytest.skip(str(missing))
    (folder / "node_modules").symlink_to(home / "node_modules")
    (folder / "program.mjs").write_text(text, encoding="utf-8")
    return ["node", "program.mjs"], folder


def shown(html: str, name: str) -> dict[str, str]:
    """Return the programs of a page by language."""
    found = re.findall(rf'<pre id="{name}(?:-(\w+))?"[^>]*>(.*?)</pre>', html, re.DOTALL)
    return {language or "py": unescape(text) for language, text in found}


def read_until(program: tuple[list[str], Path], wanted: str) -> list[str]:
    """Run a program that doesn't end until it has printed a text, then end it and its children."""
    process = subprocess.Popen(
        program[0], cwd=program[1], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    lines: list[str] = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if wanted in line:
                return lines
    finally:
        os.killpg(process.pid, 9)
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()
    raise AssertionError(f"{wanted!r} was not printed: {''.join(lines)[-2000:]}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_program_that_produces_sends_the_event_of_the_form(served: Sandbox, tmp_path: Path, language: str) -> None:
    new = NewEvent(f'{{"text": "{TEXT}"}}'.encode(), TEXT.encode(), (("trace", b"7"),), None, 2)
    programs = {one.language: one.text for one in event_programs(served.kafka_address, "orders", new, "murmur2")}
    assert set(programs) == set(LANGUAGES)
    arguments, folder = command(language, programs[language], tmp_path / "program")
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    (event,) = served.read("orders")
    assert (event.partition, event.key, event.value, event.headers) == (2, new.key, new.value, new.headers)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_program_that_consumes_prints_each_event(
    page: FlaskClient, served: Sandbox, tmp_path: Path, language: str
) -> None:
    served.append("orders", "the value", key="the key", partition=1)
    programs = shown(page.get("/topics/orders/messages").text, "consume-code")
    assert set(programs) == set(LANGUAGES)
    program = command(language, programs[language], tmp_path / "program")
    line = read_until(program, "the value")[-1]
    assert "the key" in line


@pytest.mark.parametrize("language", ["py", "kcat"])
def test_the_program_follows_the_filters_of_the_page(
    page: FlaskClient, served: Sandbox, tmp_path: Path, language: str
) -> None:
    for n in range(40):
        value = json.dumps({"n": n, "user": {"name": f"u{n % 3}"}})
        served.append("orders", value, key=f"k{n % 2}", partition=n % 3, timestamp_ms=1_700_000_000_000 + n)
    query = {"where": ["n >= 20", 'user.name = "u1"'], "since": "1700000000005", "p": "1", "key": "k1", "exact": "1"}
    page_events = page.get("/topics/orders/messages.json", query_string=query).get_json()["events"]
    assert len(page_events) == 3
    programs = shown(page.get("/topics/orders/messages", query_string=query).text, "consume-code")
    if language == "kcat":
        assert "| jq -c 'select(" in programs["kcat"]
        assert "-p 1 -o s@1700000000005" in programs["kcat"]
        subprocess.run(["sh", "-n", "-c", programs["kcat"]], check=True, timeout=20)
        return
    newest = max(event["offset"] for event in page_events)
    lines = read_until(command("py", programs["py"], tmp_path / "program"), f"1 {newest} ")
    assert sorted(int(line.split()[1]) for line in lines) == sorted(event["offset"] for event in page_events)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_program_logs_in_once_its_placeholders_are_replaced(tmp_path: Path, language: str) -> None:
    # kcat may have a librdkafka before 2.6.1, whose SCRAM Kafka 4 refuses too.
    mechanism = "PLAIN" if language == "kcat" else "SCRAM-SHA-512"
    with Sandbox(tmp_path / "secured.db") as sandbox:
        sandbox.create_topic("orders", partitions=1)
        sandbox.add_user("alice", "correct-horse")
        sandbox.serve(kafka_port=None, web_port=None, listeners=[Listener("SASL_SSL", mechanisms=(mechanism,))])
        pages = create_app(sandbox).test_client()
        programs = shown(pages.get("/topics/orders/produce").text, "produce-code")
        text = programs[language].replace("USER", "alice").replace("PASSWORD", "correct-horse")
        text = text.replace("ca.pem", str(tmp_path / "secured.db.tls" / "ca.pem"))
        arguments, folder = command(language, text, tmp_path / "program")
        done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode == 0, done.stderr
        assert len(sandbox.read("orders")) == 1
