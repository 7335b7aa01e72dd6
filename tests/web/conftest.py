"""A page over a real sandbox in a file of its own, without sockets."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from sandbox.sandbox import Sandbox
from sandbox.web.app import create_app


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "page.db") as sandbox:
        yield sandbox


@pytest.fixture
def app(box: Sandbox) -> Flask:
    return create_app(box)


@pytest.fixture
def page(app: Flask) -> FlaskClient:
    return app.test_client()
