"""The rows of live lists get all that they use: an unknown name would be drawn as nothing."""

from pathlib import Path

import pytest
from jinja2 import meta

from sandbox import Sandbox
from sandbox.web.app import create_app

TEMPLATES = Path(__file__).parents[2] / "templates"


@pytest.mark.parametrize("name", sorted(str(one.relative_to(TEMPLATES)) for one in TEMPLATES.rglob("_*row.html")))
def test_a_row_uses_no_unknown_name(box: Sandbox, name: str) -> None:
    environment = create_app(box).jinja_env
    source = environment.parse((TEMPLATES / name).read_text())
    assert meta.find_undeclared_variables(source) <= set(environment.globals)
