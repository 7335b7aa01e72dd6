"""Names the pages that may take seconds. They run in their own threads, so that they don't block other pages."""

import re

COSTLY = re.compile(
    r"/sql($|[./])|/search($|\.)|/snapshots/|/snapshots(\.json)?$"
    r"|/topics/~selected|/topics/[^/]+/messages(\.csv$|\.jsonl$|/)|/topics/[^/]+/produce/many|/schemas?($|[./])"
)
"""Paths of pages that may take seconds."""
SEARCHED = re.compile(r"/topics/[^/]+/messages(\.json)?$")
"""Paths of pages that may take seconds if they have a query string."""


def is_costly(path: str, query: bytes | str) -> bool:
    """Return True if a page may take seconds.

    Args:
        path: the path without the query string.
        query: the query string.
    """
    return bool(COSTLY.match(path) or (query and SEARCHED.match(path)))
