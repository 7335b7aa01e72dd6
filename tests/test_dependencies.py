"""docs/dependencies.md lists what the package installs, and what would replace its smallest dependency works."""

import re
import tomllib
from pathlib import Path
from typing import Any

from flask import Flask, request
from htmx_flask import Htmx

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "dependencies.md").read_text()


def wanted() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [one for extra in project["optional-dependencies"].values() for one in extra]
    return [*project["dependencies"], *extras]


def test_every_dependency_has_its_reason_release_and_licence() -> None:
    rows = re.findall(r"^\| `([^`]+)`[^|]*\| ([^|]+) \| \S+, \d{4}-\d\d-\d\d \| ([^|]+) \|$", DOCUMENT, re.MULTILINE)
    assert [row[0] for row in rows] == wanted()


def test_floors_have_the_security_fixes() -> None:
    assert {"flask>=3.1.3", "confluent-kafka>=2.16"} <= set(wanted())


def test_what_would_replace_htmx_flask_answers_the_same() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    own: dict[str, Any] = {}
    exec(program, own)  # noqa: S102
    apps = [Flask("with"), Flask("without")]
    Htmx(apps[0])
    apps[1].request_class = own["HtmxRequest"]
    for app in apps:
        app.add_url_rule("/", view_func=lambda: str(bool(getattr(request, "htmx"))))  # noqa: B009
    for headers in ({}, {"HX-Request": "true"}, {"HX-Request": "True"}, {"HX-Request": "false"}, {"HX-Request": ""}):
        first, second = (app.test_client().get("/", headers=headers).text for app in apps)
        assert first == second == str(headers.get("HX-Request", "").lower() == "true")
