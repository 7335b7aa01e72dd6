"""Disks and files that fail, as far as the sandbox file can tell."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sandbox.api.sandbox import Sandbox


def _pragma(box: Sandbox, text: str) -> list[tuple[int]]:
    def ask(_now_ms: int) -> list[tuple[int]]:
        return box._database._writer.execute(f"PRAGMA {text}").fetchall()

    return box._runtime.call(ask)


@contextmanager
def full_disk(box: Sandbox, *, free_pages: int = 2) -> Iterator[None]:
    """The file may grow by at most this number of pages until the block ends."""
    used = _pragma(box, "page_count")[0][0]
    _pragma(box, f"max_page_count = {used + free_pages}")
    yield
    _pragma(box, f"max_page_count = {1 << 30}")


@contextmanager
def read_only_disk(box: Sandbox) -> Iterator[None]:
    """Every write is refused as one to a read-only file system is, until the block ends."""
    _pragma(box, "query_only = ON")
    yield
    _pragma(box, "query_only = OFF")


@contextmanager
def file_gone(box: Sandbox) -> Iterator[None]:
    """The file lies elsewhere until the block ends."""
    path = box._database.path
    elsewhere = path.with_name("elsewhere.db")
    os.rename(path, elsewhere)
    yield
    os.rename(elsewhere, path)


@contextmanager
def locked_by_another_program(path: Path) -> Iterator[None]:
    """Another connection holds SQLite's write lock until the block ends."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def slow_disk(box: Sandbox, commit_s: float) -> Iterator[None]:
    """Every commit is said to take so long until the block ends."""
    commit = box._database.commit

    def slow() -> None:
        commit()
        box._database.slowest_commit_s = commit_s

    box._database.commit = slow  # type: ignore[method-assign]
    yield
    del box._database.commit
