"""`make frameworks`: runs a small program of each framework against a sandbox, and prints a table."""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.frameworks.catalogue import FRAMEWORKS, Framework
from tests.frameworks.installation import InstallationError, install

ROOT = Path(__file__).parents[2]
RUN_S = 240
SANDBOX = (sys.executable, "-m", "sandbox", "run", "--topics", "orders:3,bills:1")


@dataclass(frozen=True)
class Outcome:
    """What became of one framework: its version if it ran, the result, and the time of the program in seconds."""

    framework: Framework
    version: str
    result: str
    seconds: float = 0.0


def try_out(framework: Framework, folder: Path) -> Outcome:
    """Install one framework and run its program against a sandbox with free ports."""
    if shutil.which(framework.tool.value) is None:
        return Outcome(framework, "", f"skipped: {framework.tool.value} is not installed")
    log = folder / "output.log"
    try:
        command = install(framework, folder, log)
    except InstallationError as error:
        return Outcome(framework, "", f"not installed: {error}")
    started = time.monotonic()
    with log.open("ab") as output:
        start = output.tell()
        # A group of its own: what the program started ends with it if it takes too long.
        process = subprocess.Popen(
            [*SANDBOX, "--", *command],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = str(process.wait(RUN_S))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            status = f"none after {RUN_S} s"
    seconds = time.monotonic() - started
    text = log.read_bytes()[start:].decode(errors="replace")
    found = re.search(r"^.+? v?(\d\S*)(?: \(.+\))? ok$", text, re.MULTILINE)
    if status != "0" or found is None:
        return Outcome(framework, "", f"failed, exit status {status}: {text[-1_000:]}", seconds)
    return Outcome(framework, found[1], "ok", seconds)


def table(outcomes: Sequence[Outcome]) -> str:
    """The outcomes as a table in Markdown; texts of failures are one line each."""
    rows = [("framework", "version", "result", "s"), ("---", "---", "---", "---:")]
    rows += [
        (one.framework.name, one.version, " ".join(one.result.split())[:100], f"{one.seconds:.0f}") for one in outcomes
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join("| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows)


def main() -> int:
    """Run the frameworks whose names were given, or all. Returns the exit code: 1 if one failed or did not install."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="parts of names; all frameworks without one")
    parser.add_argument("--folder", type=Path, help="keep what was installed there; by default it is deleted")
    arguments = parser.parse_args()
    wanted = [
        one
        for one in FRAMEWORKS
        if not arguments.names or any(name.lower() in one.name.lower() for name in arguments.names)
    ]
    if not wanted:
        parser.error(f"no such framework; choose from {', '.join(one.name for one in FRAMEWORKS)}")
    outcomes = []
    for framework in wanted:
        root = arguments.folder
        if root is not None:
            root.mkdir(parents=True, exist_ok=True)
        print(f"{framework.name} ...", flush=True)
        folder = Path(tempfile.mkdtemp(prefix=re.sub(r"\W+", "-", framework.name.lower()) + "-", dir=root)).resolve()
        try:
            outcome = try_out(framework, folder)
        finally:
            if root is None:
                shutil.rmtree(folder, ignore_errors=True)
        print(f"  {outcome.result}" if outcome.result != "ok" else f"  {outcome.version} ok", flush=True)
        outcomes.append(outcome)
    print(f"\n{table(outcomes)}")
    return int(any(not one.result.startswith(("ok", "skipped")) for one in outcomes))


if __name__ == "__main__":
    sys.exit(main())
