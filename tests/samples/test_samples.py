"""The samples, and the programs of docs/testing.md, run as a new project would run them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.cli.run import KAFKA, VARIABLES
from tests.clients.catalogue import ClientUnavailableError, node

ROOT = Path(__file__).parents[2]
SAMPLES = Path(__file__).parent
DOCUMENT = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
RUN = (sys.executable, "-m", "sandbox", "run", "--topics", "orders:3", "--")
WITHIN_S = 250
"""A Go test is compiled first."""
pytestmark = pytest.mark.timeout(300)


def run(*command: str, cwd: Path) -> str:
    """Run a command that must succeed. Returns its output."""
    (cwd / "temporary").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(cwd / "temporary")}
    environment.pop("SANDBOX_TEST_BOOTSTRAP", None)
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def sample(name: str, folder: Path) -> Path:
    """Copy a sample to a folder of its own."""
    shutil.copytree(SAMPLES / name, folder / name)
    return folder / name


def test_the_first_three_tests_of_the_docs_pass(tmp_path: Path) -> None:
    programs = dict(re.findall(r"<!-- (\w+\.py) -->\n```python\n(.*?)```", DOCUMENT, re.DOTALL))
    assert programs.keys() == {"billing.py", "test_billing.py"}
    for name, text in programs.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert "3 passed" in run(sys.executable, "-m", "pytest", "-q", f"--basetemp={tmp_path / 'base'}", cwd=tmp_path)


def test_the_docs_list_every_variable_of_run() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| `(\S+)` \| (.+) \|$", DOCUMENT, re.MULTILINE)
    addresses = {KAFKA: "host:port"}
    assert rows == [(one.name, addresses.get(one.what, "http://host:port"), one.readers) for one in VARIABLES]


def test_unittest(tmp_path: Path) -> None:
    output = run(sys.executable, "-m", "unittest", cwd=sample("unittest", tmp_path))
    assert re.search(r"Ran 2 tests in .*\n\nOK", output)


def test_pytest_with_asyncio(tmp_path: Path) -> None:
    folder = sample("asyncio", tmp_path)
    assert "1 passed" in run(sys.executable, "-m", "pytest", "-q", f"--basetemp={tmp_path / 'base'}", cwd=folder)


@pytest.mark.clients
def test_node_with_kafkajs(tmp_path: Path) -> None:
    try:
        _, program = node("kafkajs_program.mjs")()
    except ClientUnavailableError as missing:
        pytest.skip(f"no kafkajs: {missing}")
    # Node.js looks for packages in the folders above a module.
    test = Path(program).with_name("orders.test.mjs")
    shutil.copy(SAMPLES / "node" / test.name, test)
    assert re.search(r"pass 1\b", run(*RUN, "node", "--test", str(test), cwd=tmp_path))


@pytest.mark.clients
def test_go_with_franz_go(tmp_path: Path) -> None:
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    folder = sample("go", tmp_path)
    fetched = subprocess.run(["go", "mod", "download"], cwd=folder, capture_output=True, text=True, check=False)
    if fetched.returncode != 0:
        pytest.skip(f"the modules cannot be downloaded: {fetched.stderr[-200:]}")
    assert re.search(r"^ok\s", run(*RUN, "go", "test", "./...", cwd=folder), re.MULTILINE)


@pytest.mark.clients
def test_junit_with_spring_boot(tmp_path: Path) -> None:
    missing = [tool for tool in ("java", "mvn") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed")
    folder = sample("junit", tmp_path)
    fetched = subprocess.run(
        ["mvn", "-B", "-q", "test-compile"], cwd=folder, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    if re.search(r"Could not (transfer|resolve|find)|Non-resolvable", fetched.stdout):
        pytest.skip(f"the jars cannot be downloaded: {fetched.stdout[-200:]}")
    run(*RUN, "mvn", "-B", "-q", "test", cwd=folder)
    report = (folder / "target" / "surefire-reports" / "orders.OrdersTest.txt").read_text(encoding="utf-8")
    assert "Tests run: 1, Failures: 0, Errors: 0, Skipped: 0" in report
