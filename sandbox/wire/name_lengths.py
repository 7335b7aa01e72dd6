"""Refuses requests that would store an id longer than the sandbox allows (see `sandbox.kafka.client_text`).

It covers only the APIs that create something under a name. Others look a name up and don't find it.
"""

from collections.abc import Callable, Iterable
from types import SimpleNamespace

from sandbox.kafka.client_text import NAME_CHARACTERS_MAX
from sandbox.kafka.errors import BrokerError
from sandbox.wire.node import Request

Names = Iterable[tuple[str, str | None]]
"""Each name's label in messages, and the name that the client sent."""


def _group(body: SimpleNamespace) -> Names:
    return (("group id", body.group_id),)


def _transaction(body: SimpleNamespace) -> Names:
    return (("transactional id", body.transactional_id),)


def _join(body: SimpleNamespace) -> Names:
    yield "group id", body.group_id
    yield "member id", body.member_id
    yield "instance id", body.group_instance_id
    yield "protocol type", body.protocol_type
    for protocol in body.protocols:
        yield "protocol name", protocol.name


def _heartbeat(body: SimpleNamespace) -> Names:
    yield "group id", body.group_id
    yield "member id", body.member_id
    yield "instance id", body.instance_id
    yield "rack", body.rack_id
    yield "assignor", body.server_assignor


def _share_heartbeat(body: SimpleNamespace) -> Names:
    yield "group id", body.group_id
    yield "member id", body.member_id
    yield "rack", body.rack_id


def _resources(body: SimpleNamespace) -> Names:
    return [("resource name", resource.resource_name) for resource in body.resources]


NAMES: dict[int, Callable[[SimpleNamespace], Names]] = {
    8: _group,
    11: _join,
    22: _transaction,
    28: _group,
    33: _resources,
    44: _resources,
    49: lambda body: [("entity name", one.entity_name) for entry in body.entries for one in entry.entity],
    51: lambda body: [("user name", one.name) for one in body.upsertions],
    68: _heartbeat,
    76: _share_heartbeat,
}
"""API key to a function that returns a request's names."""


def too_long(request: Request) -> BrokerError | None:
    """Return the error for a request with a too long name, or None."""
    names = NAMES.get(request.key)
    if names is None:
        return None
    for what, name in names(request.body):
        if name is not None and len(name) > NAME_CHARACTERS_MAX:
            error = "INVALID_GROUP_ID" if what == "group id" else "INVALID_REQUEST"
            return BrokerError(
                error, f"The {what} has {len(name)} characters; the sandbox takes at most {NAME_CHARACTERS_MAX}."
            )
    return None
