"""Read the JUnit reports of the tests, and fail when a suite did not run: a run of skips must not pass for a proof.

    python .ci/suites.py .cache/junit-*.xml

A suite is a folder of tests/ with tests in it. Prints how many tests of each ran, why the others were skipped, and
which passed only when they were run again. If several reports have a test, the last one counts.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

TESTS = Path(__file__).resolve().parent.parent / "tests"
REQUIRED = ("browser", "clients", "crash")


def suites(folder: Path) -> list[str]:
    """Return the names of the suites that must run: those that are there, and those that always have to be."""
    there = {path.relative_to(folder).parts[0] for path in folder.glob("*/**/test_*.py")}
    return sorted(there | set(REQUIRED))


def suite_of(classname: str) -> str:
    """Return the suite of a JUnit class name, "tests.browser.test_live" or "tests.test_wheel" (the suite "tests")."""
    parts = classname.split(".")
    return parts[1] if len(parts) > 2 and not parts[1].startswith("test_") else "tests"


def outcomes(report: Path) -> dict[tuple[str, str], tuple[str, str]]:
    """Return what became of each test: "ran", "skipped" or "failed", and the reason of a skip."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        test = case.get("classname", ""), case.get("name", "")
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            found[test] = "failed", ""
        elif skip is not None:
            found.setdefault(test, ("skipped", skip.get("message", "no reason given")))
        else:
            found.setdefault(test, ("ran", ""))
    return found


def failures(report: Path | list[Path], required: list[str]) -> list[str]:
    """Print the reports' summary, and return a sentence for each thing that makes it no proof."""
    last: dict[tuple[str, str], tuple[str, str]] = {}
    failed: set[tuple[str, str]] = set()
    unstable = []
    for one in report if isinstance(report, list) else [report]:
        now = outcomes(one)
        unstable += [test for test in failed if now.get(test, ("", ""))[0] == "ran"]
        failed |= {test for test, (outcome, _) in now.items() if outcome == "failed"}
        last |= now
    ran = Counter(suite_of(classname) for (classname, _), (outcome, _) in last.items() if outcome != "skipped")
    skipped = Counter(
        (suite_of(classname), reason) for (classname, _), (outcome, reason) in last.items() if outcome == "skipped"
    )
    for suite in sorted({*ran, *(suite for suite, _ in skipped), *required}):
        count = sum(number for (each, _), number in skipped.items() if each == suite)
        print(f"{suite:<12} {ran[suite]:>5} ran {count:>5} skipped")
    for (suite, reason), number in sorted(skipped.items()):
        print(f"skipped in {suite}, {number} x: {reason}")
    for classname, name in unstable:
        print(f"unstable, failed at first and passed when it was run again: {classname}.{name}")
    print(f"{ran.total()} ran, {skipped.total()} skipped")
    wrong = [f"failed: {classname}.{name}" for (classname, name), (outcome, _) in last.items() if outcome == "failed"]
    return wrong + [f"no test of tests/{suite} ran" for suite in required if not ran[suite]]


def main(arguments: list[str]) -> int:
    """Run the command line: the paths of the reports. Returns the exit status."""
    if not arguments:
        print("usage: suites.py JUNIT.XML ...", file=sys.stderr)
        return 2
    try:
        wrong = failures([Path(argument) for argument in arguments], suites(TESTS))
    except (OSError, ElementTree.ParseError) as error:
        wrong = [f"there is no report of the tests: {error}"]
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
