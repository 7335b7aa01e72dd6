"""The versions that the tests run with: all that is asked for has one, and it is one that was asked for."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def locked() -> dict[str, str]:
    lines = (ROOT / ".ci" / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def test_every_requirement_has_an_exact_version_that_meets_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    versions = locked()
    for requirement in map(Requirement, asked):
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        assert name in versions, f"{name}: run make lock"
        assert requirement.specifier.contains(versions[name], prereleases=True), f"{name}: run make lock"


def test_the_lock_names_versions_and_no_place() -> None:
    assert all(re.fullmatch(r"[a-z0-9-]+==[a-z0-9.]+", f"{name}=={version}") for name, version in locked().items())
    assert list(locked()) == sorted(locked())
