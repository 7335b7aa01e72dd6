"""The program of the README runs unchanged on a file, on a running sandbox and on Apache Kafka."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.catalogue import environment
from tests.clients.conftest import Kafka
from tests.clients.processes import ROOT

pytestmark = [pytest.mark.clients, pytest.mark.timeout(120)]

BLOCK = re.compile(r"^<!-- program -->\n+```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The README's program as a file."""
    found = BLOCK.findall((ROOT / "README.md").read_text())
    assert len(found) == 1, "the README holds one program, after a line that introduces it"
    path = tmp_path_factory.mktemp("readme") / "program.py"
    path.write_text(found[0])
    return path


def run(program: Path, where: str, folder: Path) -> list[str]:
    """Run the program as a user does and give the lines it prints, in order of their text."""
    path = {**environment(), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(program), where]
    done = subprocess.run(command, cwd=folder, env=path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted(done.stdout.splitlines())


def test_the_program_runs_on_a_file(program: Path, tmp_path: Path) -> None:
    printed = run(program, "dev.db", tmp_path)
    assert len(printed) == 10
    assert (tmp_path / "dev.db").stat().st_size > 0


def test_the_program_ends_with_a_reason_at_a_port_that_is_not_kafka_s(program: Path, tmp_path: Path) -> None:
    impatient = tmp_path / "program.py"
    impatient.write_text(program.read_text().replace("flush(10)", "flush(1)"))
    with socket.create_server(("127.0.0.1", 0)) as other:
        where = f"127.0.0.1:{other.getsockname()[1]}"
        command = [sys.executable, str(impatient), where]
        path = {**environment(), "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"{where} did not store every event within 10 seconds: is it a Kafka address?" in done.stderr


def test_the_program_prints_the_same_wherever_it_runs(kafka: Kafka, program: Path, tmp_path: Path) -> None:
    assert run(program, kafka.bootstrap, tmp_path) == run(program, "dev.db", tmp_path)
