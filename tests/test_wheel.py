"""The installed product: the wheel in an empty environment, and `make up` in a clean checkout."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from typing import IO, Any
from urllib.request import urlopen

import pytest

import sandbox

ROOT = Path(__file__).parent.parent
UP = ("up", "first.db", "--kafka-port", "0", "--ui-port", "0", "--json")
READY_S = 240
pytestmark = pytest.mark.timeout(400)


def environment() -> dict[str, str]:
    """This process's environment, less what would let a child find the checkout or this virtual environment."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@contextmanager
def up(*command: str | Path, cwd: Path) -> Iterator[dict[str, Any]]:
    """Start a sandbox, yield what it says when it is ready, and end it by the pid that it names."""
    with (cwd / "up.log").open("w+") as log:
        process = subprocess.Popen(
            command, cwd=cwd, env=environment(), stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, text=True
        )
        lines: Queue[str | None] = Queue()
        assert process.stdout is not None
        reader = threading.Thread(target=hand_on, args=(process.stdout, lines))
        reader.start()
        try:
            ready = ready_line(lines, cwd / "up.log")
            try:
                yield ready
            finally:
                os.kill(ready["pid"], 15)
            process.wait(30)
        finally:
            process.kill()
            process.wait(30)
            reader.join(30)
            process.stdout.close()


def hand_on(pipe: IO[str], lines: "Queue[str | None]") -> None:
    """Put each line into the queue, and None at the end."""
    for line in pipe:
        lines.put(line)
    lines.put(None)


def ready_line(lines: "Queue[str | None]", log: Path) -> dict[str, Any]:
    """Return the line of JSON, past what make prints before it."""
    seen: list[str] = []
    while True:
        try:
            line = lines.get(timeout=READY_S)
        except Empty:
            raise AssertionError(f"no sandbox within {READY_S} s: {seen} {log.read_text()}") from None
        assert line is not None, f"it ended: {seen} {log.read_text()}"
        seen.append(line)
        if line.startswith("{"):
            found = json.loads(line)
            assert isinstance(found, dict)
            return found


def get(address: str) -> tuple[int, str, str]:
    """Return status, media type and text of a page."""
    with urlopen(address, timeout=30) as answer:
        return answer.status, answer.headers.get_content_type(), answer.read().decode()


def counts(web: str) -> dict[str, int]:
    return {topic["topic"]: topic["events"] for topic in json.loads(get(f"{web}/topics.json")[2])["topics"]}


def lines(topic: str) -> int:
    return len((ROOT / "sample_data" / f"{topic}.jsonl").read_bytes().splitlines())


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout and installed in an empty environment: its folder of commands."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    run(folder / "venv/bin/python", "-m", "pip", "install", "--quiet", wheel, cwd=folder)
    return folder / "venv" / "bin"


def test_the_installed_command_has_the_version_of_the_project(installed: Path, tmp_path: Path) -> None:
    assert sandbox.__version__ in run(installed / "sandbox", "--version", cwd=tmp_path)
    where = run(installed / "python", "-c", "import sandbox; print(sandbox.__file__)", cwd=tmp_path)
    assert str(installed.parent) in where


def test_the_wheel_serves_its_page_with_its_style(installed: Path, tmp_path: Path) -> None:
    with up(installed / "sandbox", *UP, cwd=tmp_path) as ready:
        status, media_type, page = get(ready["web"] + "/")
        assert (status, media_type) == (200, "text/html")
        styles = re.findall(r'<link[^>]+href="([^"]+\.css[^"]*)"', page)
        scripts = re.findall(r'<script[^>]+src="([^"]+\.js[^"]*)"', page)
        assert styles
        assert scripts
        for asset, expected in [(styles[0], "text/css"), (scripts[0], "text/javascript")]:
            status, media_type, text = get(ready["web"] + asset)
            assert (status, media_type) == (200, expected)
            assert len(text) > 100
        for address, shown in (
            ("/help/differences", "First rebalance"),
            ("/help/protocol", "OffsetCommit"),
            ("/sql", "SQL"),
        ):
            status, media_type, page = get(ready["web"] + address)
            assert (status, media_type) == (200, "text/html")
            assert shown in page


def test_the_wheel_has_the_sample_data(installed: Path, tmp_path: Path) -> None:
    with up(installed / "sandbox", *UP, "--demo", cwd=tmp_path) as ready:
        found = counts(ready["web"])
    assert (found["earthquakes"], found["flights"]) == (lines("earthquakes"), lines("flights"))


def test_make_up_in_a_clean_checkout_serves_the_sample_data(tmp_path: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout, so the project's files are unknown")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    command = ["make", "up", f"PYTHON={sys.executable}", "KAFKA_PORT=0", "UI_PORT=0", "UP_OPTIONS=--json"]
    with up(*command, cwd=tmp_path) as ready:
        assert Path(ready["file"]).name == "dev.db"
        assert get(ready["web"] + "/")[0] == 200
        found = counts(ready["web"])
    assert (found["earthquakes"], found["flights"]) == (lines("earthquakes"), lines("flights"))
    assert found["payments"] >= lines("payments")
