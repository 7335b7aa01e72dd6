"""A short run of `tests/torture/flips.py`: a flipped bit is refused, told or harmless, and nothing else."""

from pathlib import Path

import pytest

from sandbox.storage.log import log, message_rows
from tests.storage.damage import damage
from tests.torture.flips import make, outcome, run


def test_each_flipped_bit_is_refused_told_or_harmless(tmp_path: Path) -> None:
    counts, wrong = run(30, 7, tmp_path)
    assert wrong == []
    assert sum(counts.values()) == 30
    assert counts["told by a read"] > 0


def test_a_file_as_it_was_written_is_harmless_and_one_with_another_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dev.db"
    wanted = make(path)
    assert outcome(path, wanted) == "harmless"
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)
    assert outcome(path, wanted) == "refused"


def test_a_change_that_nothing_tells_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without checksums, a bit in a value changes that value, and nothing else is noticed."""
    path = tmp_path / "dev.db"
    wanted = make(path)
    damage(path, "UPDATE events SET value = replace(value, '\"ham', '\"iam') WHERE id = (SELECT min(id) FROM events)")
    assert outcome(path, wanted) == "told by a read"
    monkeypatch.setattr(log, "compare", lambda *_: None)
    monkeypatch.setattr(message_rows, "compare", lambda *_: None)
    assert outcome(path, wanted) == "a changed event"
