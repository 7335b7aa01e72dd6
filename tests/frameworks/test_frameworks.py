"""The runner of `make frameworks` and its document; the frameworks themselves are not installed here."""

import re
import sys
from pathlib import Path

import pytest

from tests.frameworks import __main__ as runner
from tests.frameworks.catalogue import FRAMEWORKS, Framework, Tool

DOCUMENT = (Path(__file__).parents[2] / "docs" / "works_with.md").read_text(encoding="utf-8")
FAKE = Framework("Fake", Tool.PIP, "fake.py")


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("print('Fake 1.2 ok')", ("1.2", "ok")),
        ("print('Fake v1.2 (with kombu 5.0) ok')", ("1.2", "ok")),
        ("print('Fake 1.2 ok'); raise SystemExit(3)", ("", "failed, exit status 3: ")),
        ("print('Fake 1.2 is not ok')", ("", "failed, exit status 0: ")),
        ("raise SystemExit(not __import__('os').environ['KAFKA_BOOTSTRAP_SERVERS'])", ("", "failed, exit status 0: ")),
    ],
)
def test_a_program_must_succeed_and_name_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, expected: tuple[str, str]
) -> None:
    monkeypatch.setattr(runner, "install", lambda *_: [sys.executable, "-c", program])
    outcome = runner.try_out(FAKE, tmp_path)
    assert outcome.version == expected[0]
    assert outcome.result.startswith(expected[1])


def test_the_table_has_one_line_per_framework() -> None:
    ok, failed = runner.Outcome(FAKE, "1.2", "ok", 3.4), runner.Outcome(FAKE, "", "failed: two\nlines")
    assert [re.split(r" *\| *", line)[1:-1] for line in runner.table([ok, failed]).splitlines()[2:]] == [
        ["Fake", "1.2", "ok", "3"],
        ["Fake", "", "failed: two lines", "0"],
    ]


def test_the_document_lists_every_framework() -> None:
    listed = re.findall(r"^\| ([^|]+?) \| \d[\w.]* \|", DOCUMENT, re.MULTILINE)
    assert listed == [one.name for one in FRAMEWORKS]


def test_every_program_exists() -> None:
    assert all(one.source.exists() for one in FRAMEWORKS)
