"""Installs a framework's newest release into a folder, and gives the command of its program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.frameworks.catalogue import Framework, Tool

INSTALL_S = 900
OPENED = ("java.lang", "java.lang.invoke", "java.net", "java.nio", "java.util", "java.util.concurrent", "sun.nio.ch")
"""Packages of Java 17 that Flink's and Spark's start scripts open to them."""


class InstallationError(Exception):
    """A framework could not be installed or built; the text has the end of the output."""


def install(framework: Framework, folder: Path, log: Path) -> list[str]:
    """Install a framework, and build its program.

    Args:
        framework: the framework.
        folder: an existing, empty folder; all that is installed goes there, except downloads that the tools cache.
        log: the file for the tools' output.

    Returns:
        The command of the program, to be run in `folder`.

    Raises:
        InstallationError: a step failed or took longer than 15 minutes.
    """
    steps = {Tool.PIP: _pip, Tool.NPM: _npm, Tool.GO: _go, Tool.CARGO: _cargo, Tool.MAVEN: _maven}
    commands, program = steps[framework.tool](framework, folder)
    for command in commands:
        with log.open("ab") as output:
            try:
                done = subprocess.run(
                    command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, timeout=INSTALL_S, check=False
                )
            except subprocess.TimeoutExpired:
                raise InstallationError(f"{' '.join(command)}: not done after {INSTALL_S} s") from None
        if done.returncode != 0:
            raise InstallationError(f"{' '.join(command)}: {log.read_text(errors='replace')[-400:]}")
    return [*program, *framework.arguments]


def _pip(framework: Framework, folder: Path) -> tuple[list[list[str]], list[str]]:
    python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    commands = [
        [sys.executable, "-m", "venv", "venv"],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *framework.packages],
    ]
    return commands, [str(python), str(framework.source)]


def _npm(framework: Framework, folder: Path) -> tuple[list[list[str]], list[str]]:
    # Node.js looks for packages beside the program.
    shutil.copy(framework.source, folder)
    (folder / "package.json").write_text("{}")
    return [["npm", "install", "--no-audit", "--no-fund", *framework.packages]], ["node", framework.program]


def _go(framework: Framework, folder: Path) -> tuple[list[list[str]], list[str]]:
    shutil.copytree(framework.source, folder, dirs_exist_ok=True)
    commands = [
        ["go", "mod", "init", "program"],
        ["go", "get", *(f"{one}@latest" for one in framework.packages)],
        ["go", "mod", "tidy"],
        ["go", "build", "-o", "program", "."],
    ]
    return commands, [str(folder / "program")]


def _cargo(framework: Framework, folder: Path) -> tuple[list[list[str]], list[str]]:
    shutil.copytree(framework.source, folder, dirs_exist_ok=True)
    return [["cargo", "build", "--quiet"]], [str(folder / "target" / "debug" / "program")]


def _maven(framework: Framework, folder: Path) -> tuple[list[list[str]], list[str]]:
    shutil.copytree(framework.source, folder, dirs_exist_ok=True)
    commands = [
        ["mvn", "-B", "-q", "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=jars"],
        ["javac", "-nowarn", "-cp", str(folder / "jars" / "*"), "-d", "classes", "Program.java"],
    ]
    opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED]
    classes = f"{folder / 'classes'}{os.pathsep}{folder / 'jars' / '*'}"
    return commands, [
        "java",
        "-Xmx1g",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        *opened,
        "-cp",
        classes,
        framework.main,
    ]
