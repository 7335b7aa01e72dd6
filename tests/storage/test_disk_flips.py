"""A short run of `tests/torture/flips.py`: no flipped bit makes the program fail."""

from pathlib import Path

from tests.torture.flips import make, outcome, run


def test_flipped_bits_are_refused_told_or_change_one_thing_and_never_break_the_program(tmp_path: Path) -> None:
    counts, defects = run(60, 7, tmp_path)
    assert defects == []
    assert sum(counts.values()) == 60


def test_a_file_as_it_was_written_is_harmless_and_one_with_another_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dev.db"
    wanted = make(path)
    assert outcome(path, wanted) == "harmless"
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)
    assert outcome(path, wanted) == "refused"
