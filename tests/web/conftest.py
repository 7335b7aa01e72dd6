"""A page over a real sandbox in a new file, without sockets."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.runtime.clock import system_clock
from sandbox.web.app import create_app


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    # Not the system clock itself, whose jumps move deadlines: a test may set this one.
    with Sandbox(tmp_path / "page.db", clock=lambda: system_clock()) as sandbox:
        yield sandbox


@pytest.fixture
def app(box: Sandbox) -> Flask:
    return create_app(box)


@pytest.fixture
def page(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def billing(box: Sandbox) -> Sandbox:
    """A group that has read a part of two partitions."""
    box.create_topic("orders", partitions=2)
    for n in range(20):
        box.append("orders", f"v{n}", partition=n % 2)
    box.commit("billing", "orders", 0, 4)
    box.commit("billing", "orders", 1, 10)
    return box
