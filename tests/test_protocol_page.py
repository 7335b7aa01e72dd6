"""docs/protocol.md says what the tables in the code say, and leaves nothing out."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from sandbox.kafka.broker_config import BROKER_SETTINGS
from sandbox.kafka.errors import TABLE
from sandbox.kafka.topic_settings import TOPIC_SETTINGS
from sandbox.wire.api_table import APIS, Api

DOCS = Path(__file__).parents[1] / "docs"


def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_protocol", DOCS / "make_protocol.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_code_says_now() -> None:
    assert (DOCS / "protocol.md").read_text(encoding="utf-8") == maker().page(), "run: make docs"


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
def test_every_api_says_how_it_differs_from_a_real_broker(api: Api) -> None:
    notes = maker().notes(api)
    assert "Differs from a real broker:" in notes or "The same as a real broker" in notes, (
        f"add a sentence that begins with 'Differs from a real broker:' to the docstring of {api.name} in {api.module}"
    )


def test_every_api_error_and_setting_is_on_the_page() -> None:
    page = (DOCS / "protocol.md").read_text(encoding="utf-8")
    names = [api.name for api in APIS] + [error.name for error in TABLE]
    names += [setting.name for setting in (*TOPIC_SETTINGS, *BROKER_SETTINGS)]
    assert [name for name in names if f"| {name} |" not in page and f"[{name}]" not in page] == [], "run: make docs"
