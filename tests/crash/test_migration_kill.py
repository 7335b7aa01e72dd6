"""kill -9 while a file of an older version is migrated: it has the old version or the new one, and is complete."""

from pathlib import Path

import pytest

from tests.crash.migration_kills import kill_migrations


@pytest.mark.crash
def test_kills_in_a_migration_leave_the_old_version_or_the_new_one(tmp_path: Path) -> None:
    _, wrong = kill_migrations(tmp_path, 4, seed=3)
    assert wrong == []
