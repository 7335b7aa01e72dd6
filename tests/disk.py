"""A disk that is full, as far as the sandbox file can tell."""

from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.sandbox import Sandbox


@contextmanager
def full_disk(box: Sandbox, *, free_pages: int = 2) -> Iterator[None]:
    """The file may grow by so many pages and no more until the block ends."""

    def limit(pages: int) -> None:
        box._runtime.call(lambda _: box._database.query(f"PRAGMA max_page_count = {pages}"))

    used = box._runtime.call(lambda _: box._database.query("PRAGMA page_count"))[0][0]
    limit(used + free_pages)
    yield
    limit(1 << 30)
