"""Names the groups and transactional ids of requests that only their coordinator may answer."""

from collections.abc import Callable
from types import SimpleNamespace


def _group(body: SimpleNamespace) -> list[str]:
    return [body.group_id]


def _transaction(body: SimpleNamespace) -> list[str]:
    return [] if body.transactional_id is None else [body.transactional_id]


KEYS: dict[int, Callable[[SimpleNamespace], list[str]]] = {
    8: _group,
    9: lambda body: [group.group_id for group in body.groups] or [body.group_id],
    11: _group,
    12: _group,
    13: _group,
    14: _group,
    15: lambda body: list(body.groups),
    22: _transaction,
    24: lambda body: [
        *(one.transactional_id for one in body.transactions),
        *([body.v3_and_below_transactional_id] if body.v3_and_below_transactional_id else []),
    ],
    25: _transaction,
    26: _transaction,
    28: _group,
    42: lambda body: list(body.groups_names),
    47: _group,
    65: lambda body: list(body.transactional_ids),
    68: _group,
    69: lambda body: list(body.group_ids),
    76: _group,
    77: lambda body: list(body.group_ids),
    90: lambda body: [group.group_id for group in body.groups],
    91: _group,
    92: _group,
}
"""API key to a function that returns the groups or transactional ids in a request."""
