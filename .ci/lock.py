"""Write down the exact version of everything that the program and its tests need: `make lock`.

    python .ci/lock.py > .ci/constraints.txt

pip resolves it anew, without regard to what is installed, and installs nothing.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys

LEFT_OUT = ("kafka-sandbox", "pip")
"""The project itself, and the pip that installs everything, which sqlite-utils requires."""
HEAD = """\
# What the tests were last run with: everything that `pip install --editable . --group dev` resolves to.
# `make lock` writes this file. `make up` and users are not bound by it."""


def name_of(package: str) -> str:
    """The name as pip compares it: lower case, with single hyphens."""
    return re.sub(r"[-_.]+", "-", package).lower()


def locked() -> list[str]:
    """Return "name==version" of each package, in the order of the names."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    report = subprocess.run([*command, "--editable", ".", "--group", "dev"], stdout=subprocess.PIPE, check=True).stdout
    found = {name_of(one["metadata"]["name"]): one["metadata"]["version"] for one in json.loads(report)["install"]}
    return [f"{name}=={version}" for name, version in sorted(found.items()) if name not in LEFT_OUT]


if __name__ == "__main__":
    print(HEAD)
    print("\n".join(locked()))
