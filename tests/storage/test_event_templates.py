"""Saved templates are rows of the file, and can be read beside the process that owns it."""

from pathlib import Path

from sandbox.api.sandbox import Sandbox
from sandbox.generator.template import EventTemplate
from sandbox.storage.resources import read_template


def test_a_template_is_read_from_a_file_that_another_owns(box: Sandbox, file: Path) -> None:
    box.generators.save("dice", EventTemplate("{{int 1 6}}"))
    assert read_template(file, "dice") == EventTemplate("{{int 1 6}}").to_json()
    assert read_template(file, "nope") is None


def test_a_file_that_is_no_sandbox_has_no_template(tmp_path: Path) -> None:
    assert read_template(tmp_path / "absent.db", "dice") is None
    assert not (tmp_path / "absent.db").exists()
    (tmp_path / "text.db").write_text("hello", encoding="utf-8")
    assert read_template(tmp_path / "text.db", "dice") is None
