"""kafka-python's own integration tests pass on a sandbox, but for those that `kafka_python_findings.md` explains."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.suites import kafka_python

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]

EXPLAINED = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Test of the suite to outcome, from one run against a new sandbox."""
    try:
        kafka_python.fetch()
    except kafka_python.SuiteUnavailableError as missing:
        pytest.skip(str(missing))
    with kafka_python.running_sandbox(tmp_path_factory.mktemp("suite")) as bootstrap:
        return kafka_python.run(bootstrap)


def test_what_must_pass_passes(outcomes: dict[str, str]) -> None:
    broken = {name: outcomes.get(name, "not run") for name in kafka_python.must_pass()}
    assert {name: outcome for name, outcome in broken.items() if outcome != "passed"} == {}


def test_every_test_of_the_suite_must_pass_or_is_explained(outcomes: dict[str, str]) -> None:
    must_pass, explained = set(kafka_python.must_pass()), set(EXPLAINED.findall(kafka_python.FINDINGS.read_text()))
    assert must_pass & explained == set()
    assert must_pass | explained == set(outcomes)


def test_a_run_that_loses_a_test_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = tmp_path / "names.txt"
    names.write_text("test_admin_integration::test_that_is_not_there\n")
    monkeypatch.setattr(kafka_python, "PASSING", names)
    with pytest.raises(AssertionError, match="not run"):
        test_what_must_pass_passes({})
