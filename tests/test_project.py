"""The project's own rules, where a program can check them."""

import ast
import importlib
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

import sandbox

ROOT = Path(__file__).parent.parent
CODE = ("sandbox", "tests", "benchmarks", "sample_data", "docs", ".ci")
MODULE_LINES_MAX = 800
FUNCTION_LINES_MAX = 60
# Spelled in two halves, so that this file does not break its own rule.
ELSEWHERE = re.compile(
    "|".join(("/wo" + r"rk/", "/tmp/ve" + "nv", "/tmp/br" + "ief", "arti" + "factory", "ne" + "xus3"))
)


def modules() -> Iterator[Path]:
    for folder in CODE:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "node_modules" not in path.parts:
                yield path


def texts() -> Iterator[Path]:
    suffixes = {".py", ".md", ".toml", ".html", ".css", ".js", ".json", ".go", ".java", ""}
    for folder in (*CODE, "templates", "static"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and path.suffix in suffixes and not {"node_modules", "__pycache__"} & set(path.parts):
                yield path
    yield from (path for path in sorted(ROOT.iterdir()) if path.is_file() and path.suffix in {".md", ".toml", ""})


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_module_is_longer_than_800_lines() -> None:
    lengths = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    assert {path: lines for path, lines in lengths.items() if lines > MODULE_LINES_MAX} == {}


def test_no_function_is_longer_than_60_lines() -> None:
    too_long = {}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    too_long[f"{relative(path)}:{node.name}"] = lines
    assert too_long == {}


def test_modules_are_named_by_nouns_of_the_domain() -> None:
    vague = re.compile(r"(^|_)(utils?|helpers?|managers?|common|base|misc|mixins?)(_|$)")
    assert [relative(path) for path in modules() if vague.search(path.stem)] == []


def test_a_class_name_means_one_thing() -> None:
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "sandbox").rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(relative(path))
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}


def test_nothing_in_the_project_names_the_machine_that_it_was_written_on() -> None:
    found = [relative(path) for path in texts() if ELSEWHERE.search(path.read_text(encoding="utf-8", errors="replace"))]
    assert found == []


def test_the_changelog_has_the_version_of_the_package() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{sandbox.__version__}]" in changelog


def test_the_command_that_pyproject_names_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, function = project["scripts"]["sandbox"].split(":")
    assert callable(getattr(importlib.import_module(module), function))


def packed() -> set[str]:
    """The places that folders of the project have in the wheel."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    return set(wheel["sources"].values())


def missing_paths(document: str) -> list[str]:
    """Return "line: path" of each path in a document that doesn't exist.

    A path is relative to the project or to `sandbox/`, or, in a row of a table, to the folder that the row is about.
    """
    missing = []
    for number, line in enumerate(document.splitlines(), 1):
        row = re.match(r"\| `([\w./]+/)`", line)
        places = (ROOT, ROOT / "sandbox", *((ROOT / row[1], ROOT / "sandbox" / row[1]) if row else ()))
        for path in re.findall(r"`([\w.-]*/[\w./-]*|\w+\.(?:py|json|md|toml))`", line):
            # The project file is the user's.
            if path in packed() or path == "sandbox.toml" or any((place / path).exists() for place in places):
                continue
            missing.append(f"{number}: {path}")
    return missing


@pytest.mark.parametrize("name", ["docs/design.md", "CONTRIBUTING.md"])
def test_every_path_that_a_guide_for_contributors_names_exists(name: str) -> None:
    missing = missing_paths((ROOT / name).read_text(encoding="utf-8"))
    assert missing == [], f"{name} names paths that do not exist; correct them there"


def test_a_path_that_does_not_exist_is_found_with_its_line() -> None:
    document = (
        "See `wire/api_table.py`.\n\n| `broker/` | `logs/`, `nowhere/` |\n| `tests/` | `web/gone.py` and `gone.py` |\n"
    )
    assert missing_paths(document) == ["3: nowhere/", "4: web/gone.py", "4: gone.py"]


def test_the_guides_for_contributors_have_the_layers_and_folders_of_the_package() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = [sorted(re.findall(r"sandbox\.(\w+)", layer)) for layer in contracts[0]["layers"]]
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    line = re.search(r"Imports go down only: (.*) \|", guide)
    assert line is not None
    assert [sorted(re.findall(r"`(\w+)`", part)) for part in line[1].split("→")] == layers, "correct CONTRIBUTING.md"
    folders = {path.parent.name for path in (ROOT / "sandbox").glob("*/__init__.py")}
    map_by_folder = (ROOT / "docs" / "design.md").read_text(encoding="utf-8").partition("## A map")[2]
    rows = re.findall(r"^\| (`.*?) \|", map_by_folder, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)/`", row)} - {"templates", "static"}
    assert named == folders, "correct the map in docs/design.md"


@pytest.mark.parametrize("target", ["up", "test", "torture", "check", "bench", "bench-quick", "screenshots", "clean"])
def test_make_knows_the_target(target: str) -> None:
    shown = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr


def test_make_alone_explains_its_targets() -> None:
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.search(r"^ +make up +start a sandbox", shown, flags=re.MULTILINE)


def test_make_up_refuses_a_missing_folder_before_it_installs_anything(tmp_path: Path) -> None:
    options = (f"FILE={tmp_path}/nowhere/dev.db", f"VENV={tmp_path}/venv", "PYTHON=false")
    refused = subprocess.run(
        ["make", "--no-print-directory", "up", *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert (
        refused.stdout
        == f"The folder of {tmp_path}/nowhere/dev.db does not exist. Create it, or choose another FILE=.\n"
    )
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize("script", [".ci/run", ".ci/tools"])
def test_the_scripts_can_be_run_and_are_valid_bash(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
    subprocess.run(["bash", "-n", script], cwd=ROOT, check=True)


@pytest.fixture
def suites() -> ModuleType:
    """The script that judges a test run: in a hidden folder, so not importable by name."""
    spec = importlib.util.spec_from_file_location("suites", ROOT / ".ci" / "suites.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def report(path: Path, *cases: tuple[str, str | None]) -> Path:
    """Write a JUnit report: (class name, None or "skipped" or "failure")."""
    suite = ElementTree.Element("testsuite")
    for number, (classname, outcome) in enumerate(cases):
        case = ElementTree.SubElement(suite, "testcase", classname=classname, name=f"test_{number}")
        if outcome:
            ElementTree.SubElement(case, outcome, message="no Chromium here")
    ElementTree.ElementTree(suite).write(path)
    return path


def test_a_run_in_which_each_suite_ran_is_a_proof(
    suites: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    junit = report(
        tmp_path / "junit.xml",
        ("tests.browser.test_live", None),
        ("tests.browser.test_live", "skipped"),
        ("tests.test_x", None),
    )
    assert suites.failures(junit, ["browser"]) == []
    shown = capsys.readouterr().out
    assert re.search(r"^browser +1 ran +1 skipped$", shown, flags=re.MULTILINE)
    assert "skipped in browser, 1 x: no Chromium here" in shown


def test_a_run_in_which_a_suite_was_skipped_is_none(suites: ModuleType, tmp_path: Path) -> None:
    junit = report(tmp_path / "junit.xml", ("tests.browser.test_live", "skipped"), ("tests.clients.test_kcat", None))
    assert suites.failures(junit, ["browser", "clients"]) == ["no test of tests/browser ran"]


def test_a_run_with_a_failure_is_none(suites: ModuleType, tmp_path: Path) -> None:
    junit = report(tmp_path / "junit.xml", ("tests.browser.test_live", "failure"))
    assert suites.failures(junit, ["browser"]) == ["failed: tests.browser.test_live.test_0"]


def test_a_test_that_passes_when_it_is_run_again_is_named_as_unstable(
    suites: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = report(tmp_path / "first.xml", ("tests.browser.test_live", "failure"), ("tests.crash.test_kill", "failure"))
    again = report(tmp_path / "again.xml", ("tests.browser.test_live", None), ("tests.crash.test_kill", "failure"))
    assert suites.failures([first, again], ["browser"]) == ["failed: tests.crash.test_kill.test_1"]
    shown = capsys.readouterr().out
    assert "unstable, failed at first and passed when it was run again: tests.browser.test_live.test_0" in shown


def test_a_run_without_a_report_is_none(tmp_path: Path) -> None:
    judged = subprocess.run(
        [sys.executable, ROOT / ".ci" / "suites.py", tmp_path / "absent.xml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 1
    assert "there is no report of the tests" in judged.stderr
