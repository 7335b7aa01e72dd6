"""kafka-python's own integration tests, run against a sandbox.

    python -m tests.suites.kafka_python                 a new sandbox
    python -m tests.suites.kafka_python --apache        Apache Kafka, to compare
    python -m tests.suites.kafka_python --add           add what passes to the list of what must pass

The tests come with kafka-python's source distribution on PyPI, which is fetched into `.cache` and never kept in this
project. They find a running broker by KAFKA_URI. The names in `kafka_python_passing.txt` must pass; the list only
grows. `kafka_python_findings.md` says why each other test does not.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

from sandbox import Sandbox
from tests.clients.apache_kafka import running_kafka
from tests.clients.processes import CACHE

VERSION = "3.0.12"
PASSING = Path(__file__).with_name("kafka_python_passing.txt")
FINDINGS = Path(__file__).with_name("kafka_python_findings.md")
HOME = CACHE / "suites"
FETCH_S = 120
SUITE_S = 120
TEST_S = 30
AGAIN_S = 60
AGAIN_MAX = 3

# The suite's own broker has four partitions a topic, and a lower bound for sessions that lets it test short ones.
SETTINGS = {"num.partitions": "4", "group.min.session.timeout.ms": "1000"}
SANDBOX_VERSION = "4.3"
APACHE_VERSION = "4.3"

# The source distribution lacks the module by which the suite knows processes that it did or did not start.
SERVICE = """
class ExternalService:
    def __init__(self, host, port):
        self.host, self.port = host, port

    def dump_logs(self):
        pass


class SpawnedService:
    def __init__(self, *arguments):
        raise RuntimeError("here the suite starts no broker")
"""


class SuiteUnavailableError(Exception):
    """The suite cannot be had here; the text says why."""


def fetch() -> Path:
    """Find the unpacked source distribution, or fetch it from the package index.

    Returns:
        Its folder.

    Raises:
        SuiteUnavailableError: pip could not fetch it.
    """
    unpacked = HOME / f"kafka_python-{VERSION}"
    if unpacked.exists():
        return unpacked
    HOME.mkdir(parents=True, exist_ok=True)
    # Unpacked beside its place and renamed, so that an interrupted fetch is not taken for a whole one.
    with tempfile.TemporaryDirectory(dir=HOME) as scratch:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command = [*pip, "--no-binary", ":all:", "--no-deps", "--dest", scratch, f"kafka-python=={VERSION}"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_S, check=False)
        except subprocess.TimeoutExpired:
            raise SuiteUnavailableError(f"pip did not fetch kafka-python {VERSION} within {FETCH_S} s") from None
        found = sorted(Path(scratch).glob("*.tar.gz"))
        if done.returncode != 0 or not found:
            raise SuiteUnavailableError(f"pip could not fetch kafka-python {VERSION}: {done.stderr[-400:]}")
        with tarfile.open(found[0]) as archive:
            archive.extractall(scratch, filter="data")
        source = Path(scratch) / unpacked.name
        # Without it Python takes the standard library's own package "test".
        (source / "test" / "__init__.py").touch()
        (source / "test" / "service.py").write_text(SERVICE)
        (source / "servers").mkdir()
        source.rename(unpacked)
    return unpacked


@contextmanager
def running_sandbox(folder: Path) -> Iterator[str]:
    """Serve a new sandbox as the suite expects its broker, until the block ends; gives the bootstrap address."""
    with Sandbox(folder / "suite.db", settings=SETTINGS) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        assert sandbox.kafka_address is not None
        yield sandbox.kafka_address


def run(bootstrap: str, version: str = SANDBOX_VERSION) -> dict[str, str]:
    """Run the suite against a broker; what must pass and failed is run once again, by itself.

    Some of its tests give a poll a tenth of a second, ninety times: on a machine with more to do that says little.

    Args:
        bootstrap: its address.
        version: the Kafka version that the suite is to expect.

    Returns:
        Test to outcome: "passed", or "failed: ..." and "skipped: ..." with the reason.

    Raises:
        SuiteUnavailableError: the suite cannot be fetched.
        RuntimeError: it did not end in time, or left no report.
    """
    outcomes = _run(["test/integration"], bootstrap, version, SUITE_S)
    again = [name for name in must_pass() if outcomes.get(name, "").startswith("failed")]
    if 0 < len(again) <= AGAIN_MAX:
        outcomes |= _run([_address(name) for name in again], bootstrap, version, AGAIN_S)
    return outcomes


def _address(name: str) -> str:
    place, test = name.split("::")
    module, *classes = place.split(".")
    return "::".join([f"test/integration/{module}.py", *classes, test])


def _run(tests: list[str], bootstrap: str, version: str, within_s: float) -> dict[str, str]:
    suite = fetch()
    settings = {"KAFKA_URI": f"kafka://{bootstrap}", "KAFKA_VERSION": version, "KAFKA_ROOT": str(suite / "servers")}
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    with tempfile.TemporaryDirectory(prefix="kafka-python-suite-") as scratch:
        report, log = Path(scratch) / "junit.xml", Path(scratch) / "log"
        command = [sys.executable, "-m", "pytest", *tests, "-q", "-p", "no:cacheprovider", "--tb=short"]
        command += ["-o", "addopts=", "-o", "log_level=ERROR", f"--junitxml={report}", f"--basetemp={scratch}/tests"]
        command += [f"--timeout={TEST_S}", "--timeout-method=signal"]
        with log.open("wb") as output:
            try:
                subprocess.run(
                    command,
                    cwd=suite,
                    env={**surroundings, **settings},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=within_s,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise RuntimeError(f"the suite did not end within {within_s} s: {log.read_text()[-2000:]}") from None
        if not report.exists():
            raise RuntimeError(f"the suite left no report: {log.read_text()[-2000:]}")
        return dict(_outcome(case) for case in ElementTree.parse(report).iter("testcase"))


def _outcome(case: ElementTree.Element) -> tuple[str, str]:
    place = case.get("classname", "").removeprefix("test.integration.")
    name = f"{place}::{case.get('name')}"
    for kind, word in (("failure", "failed"), ("error", "failed"), ("skipped", "skipped")):
        found = case.find(kind)
        if found is not None:
            return name, f"{word}: {(found.get('message') or '').splitlines()[0][:200]}"
    return name, "passed"


def must_pass() -> list[str]:
    """The tests that must pass, by name."""
    return PASSING.read_text().split() if PASSING.exists() else []


def main(arguments: list[str]) -> int:
    """Run the command line. Returns the exit status: 1 where a test that must pass did not."""
    parser = argparse.ArgumentParser(prog="python -m tests.suites.kafka_python")
    parser.add_argument("--apache", action="store_true", help="run against Apache Kafka")
    parser.add_argument("--add", action="store_true", help="add what passes to the list of what must pass")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        if chosen.apache:
            with running_kafka() as bootstrap:
                outcomes = run(bootstrap, APACHE_VERSION)
        else:
            with running_sandbox(Path(folder)) as bootstrap:
                outcomes = run(bootstrap)
    for name, outcome in sorted(outcomes.items()):
        print(f"{name}  {outcome}")
    passed = {name for name, outcome in outcomes.items() if outcome == "passed"}
    broken = sorted(set(must_pass()) - passed)
    print(f"{len(passed)} of {len(outcomes)} passed; {len(must_pass())} must")
    for name in broken:
        print(f"must pass and does not: {name}: {outcomes.get(name, 'not in the suite')}", file=sys.stderr)
    if chosen.add:
        PASSING.write_text("".join(f"{name}\n" for name in sorted(passed | set(must_pass()))))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
