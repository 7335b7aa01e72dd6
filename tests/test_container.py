"""The container's files, as far as they can be checked without building an image.

The image itself is built and used by `.github/workflows/container.yml`.
"""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.ports import free_port

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "container"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
BIN = Path(sys.executable).parent


def instruction(name: str) -> str:
    """Return the last instruction of a name, with its continuation lines."""
    found: str = re.findall(rf"(?m)^{name} ((?:.*\\\n)*.*)$", DOCKERFILE)[-1]
    return found.replace("\\\n", " ")


def command(port: int, folder: Path) -> list[str]:
    """Return what the container runs, on a free port and in another folder."""
    words = [*json.loads(instruction("ENTRYPOINT")), *json.loads(instruction("CMD"))]
    words[0] = str(BIN / "kafka-sandbox")
    moved = [word.replace("/data", str(folder)).replace("0.0.0.0", "127.0.0.1") for word in words]
    return [*moved, "--ui-port", "0", "--json"]


def test_what_the_image_runs_becomes_healthy_and_ends_on_its_stop_signal(tmp_path: Path) -> None:
    port = free_port(1)
    environment = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "SANDBOX_UP_KAFKA_PORT": str(port),
        **dict(re.findall(r"(KAFKA_\w+)=(\S+)", instruction("ENV"))),
    }
    health = instruction("HEALTHCHECK").partition("CMD ")[2]
    with subprocess.Popen(command(port, tmp_path), stdout=subprocess.PIPE, env=environment, text=True) as process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["kafka"] == f"127.0.0.1:{port}"
            checked = subprocess.run(["sh", "-c", health], env=environment, capture_output=True, text=True, timeout=60)
            assert checked.returncode == 0, checked.stderr
        finally:
            process.send_signal(getattr(signal, instruction("STOPSIGNAL")))
            process.wait(30)
    assert process.returncode == 0
    assert (tmp_path / "dev.db").exists()
    checked = subprocess.run(["sh", "-c", health], env=environment, capture_output=True, text=True, timeout=60)
    assert checked.returncode != 0


def test_the_image_runs_without_privileges_and_stores_the_file_in_its_volume() -> None:
    assert instruction("USER") == "sandbox"
    assert instruction("VOLUME") == instruction("WORKDIR") == "/data"


def test_the_compose_file_gives_each_side_its_own_address() -> None:
    services = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
    options = services["sandbox"]["command"]
    assert "--advertised-host=sandbox" in options
    assert "--listener=OUTSIDE=PLAINTEXT:19092@localhost:19092" in options
    assert "127.0.0.1:19092:19092" in services["sandbox"]["ports"]
    assert services["app"]["command"][1] == "sandbox:9092"
    assert (FOLDER / services["sandbox"]["build"]["context"]).resolve() == ROOT


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda path: path.name)
def test_workflows_are_yaml_and_run_only_files_that_exist(path: Path) -> None:
    found = yaml.safe_load(path.read_text())
    jobs = found["jobs"].values() if "jobs" in found else [found["runs"]]
    steps = [step for job in jobs for step in job["steps"]]
    assert steps
    for step in steps:
        assert ("run" in step) != ("uses" in step)
        for name in re.findall(r"(?:bash|python|-f) ((?:\.ci|docs)/\S+)", step.get("run", "")):
            assert (ROOT / name).is_file(), name
