"""Which pages may work for seconds. They get threads of their own, and never those of the other pages."""

import re

COSTLY = re.compile(
    r"/sql($|[./])|/search($|\.)|/snapshots/|/snapshots(\.json)?$"
    r"|/topics/[^/]+/messages(\.csv$|\.jsonl$|/)|/topics/[^/]+/produce/many"
)
"""Paths whose pages may work for seconds."""
SEARCHED = re.compile(r"/topics/[^/]+/messages(\.json)?$")
"""Paths whose pages may do so if they have a query string."""


def is_costly(path: str, query: bytes | str) -> bool:
    """Whether a page may work for seconds.

    Args:
        path: without the query string.
        query: the query string.
    """
    return bool(COSTLY.match(path) or (query and SEARCHED.match(path)))
