"""Client quotas (KIP-546). They are stored and described like Kafka's, but not enforced: the sandbox doesn't throttle.

An entity is a user, a client id, both, or an IP address. Each is a name, or None for the default.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sandbox.kafka.errors import BrokerError
from sandbox.storage import resources
from sandbox.storage.file.database import Database

USER, CLIENT_ID, IP = "user", "client-id", "ip"
RATES = ("producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate")
IP_RATES = ("connection_creation_rate",)
WHOLE = ("producer_byte_rate", "consumer_byte_rate", "connection_creation_rate")
HOST = re.compile(r"[0-9A-Za-z.:_-]+")
EXACT, DEFAULT, ANY = 0, 1, 2

Entity = tuple[tuple[str, str | None], ...]
"""(type, name) pairs, sorted by type."""


@dataclass(frozen=True, slots=True)
class Component:
    """One condition of a filter: the entity has this type, with this name, with the default, or with any name."""

    entity_type: str
    match_type: int
    match: str | None


class Quotas:
    """The quotas of a cluster.

    Args:
        database: the file that stores them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def alter(self, entity: Sequence[tuple[str, str | None]], changes: Sequence[tuple[str, float | None]]) -> Entity:
        """Check changes to an entity's quotas.

        Args:
            changes: name and value; None removes the quota.

        Returns:
            The entity in the form that `save` takes.

        Raises:
            BrokerError: INVALID_REQUEST.
        """
        place = _checked_entity(entity)
        names = [name for name, _ in changes]
        if len(set(names)) != len(names):
            raise BrokerError("INVALID_REQUEST", f"A quota of {_in_words(place)} is named twice.")
        allowed = IP_RATES if place[0][0] == IP else RATES
        for name, value in changes:
            if name not in allowed:
                raise BrokerError("INVALID_REQUEST", f"Invalid configuration key {name}")
            if value is None:
                continue
            if not value > 0:
                raise BrokerError("INVALID_REQUEST", f"Quota {name} must be greater than 0")
            if name in WHOLE and value != int(value):
                raise BrokerError("INVALID_REQUEST", f"{name} cannot be a fractional value.")
        return place

    def save(self, entity: Entity, changes: Sequence[tuple[str, float | None]]) -> None:
        """Store changes that `alter` has accepted."""
        for name, value in changes:
            resources.save_quota(self._database, json.dumps(dict(entity), sort_keys=True), name, value)

    def describe(self, components: Sequence[Component], strict: bool) -> list[tuple[Entity, dict[str, float]]]:
        """Return the entities that match every component, with their quotas.

        Args:
            strict: True leaves out entities that have additional types.

        Raises:
            BrokerError: INVALID_REQUEST; UNSUPPORTED_VERSION for a type that Kafka doesn't have.
        """
        _check_filter(components)
        found = []
        for text, quotas in sorted(resources.load_quotas(self._database).items()):
            entity: dict[str, str | None] = json.loads(text)
            if all(_matches(entity, one) for one in components) and not (strict and len(entity) != len(components)):
                found.append((tuple(sorted(entity.items())), quotas))
        return found


def _in_words(entity: Entity) -> str:
    return ", ".join(f"{kind}={'<default>' if name is None else name}" for kind, name in entity)


def _checked_entity(parts: Sequence[tuple[str, str | None]]) -> Entity:
    if not parts:
        raise BrokerError("INVALID_REQUEST", "Invalid empty client quota entity")
    entity = dict(parts)
    for kind, name in entity.items():
        if kind not in (USER, CLIENT_ID, IP):
            raise BrokerError("INVALID_REQUEST", f"Unhandled client quota entity type: {kind}")
        if name == "":
            raise BrokerError("INVALID_REQUEST", f"Empty {kind} not supported")
    if IP in entity and len(entity) > 1:
        raise BrokerError(
            "INVALID_REQUEST",
            "Invalid quota entity combination, IP entity should not be combined with User or ClientId",
        )
    address = entity.get(IP)
    if address is not None and not HOST.fullmatch(address):
        raise BrokerError("INVALID_REQUEST", f"{address} is not a valid IP or resolvable host.")
    return tuple(sorted(entity.items()))


def _check_filter(components: Sequence[Component]) -> None:
    kinds = [one.entity_type for one in components]
    for one in components:
        kind = one.entity_type
        if not kind:
            raise BrokerError("INVALID_REQUEST", "Invalid empty entity type.")
        if kinds.count(kind) > 1:
            raise BrokerError("INVALID_REQUEST", f"Entity type {kind} cannot appear more than once in the filter.")
        if kind not in (USER, CLIENT_ID, IP):
            raise BrokerError("UNSUPPORTED_VERSION", f"Unsupported entity type {kind}")
        if one.match_type not in (EXACT, DEFAULT, ANY):
            raise BrokerError("INVALID_REQUEST", f"Unknown match type {one.match_type}")
        if one.match_type == EXACT and one.match is None:
            raise BrokerError("INVALID_REQUEST", "Request specified MATCH_TYPE_EXACT, but set match string to null.")
        if one.match_type != EXACT and one.match is not None:
            name = "DEFAULT" if one.match_type == DEFAULT else "SPECIFIED"
            raise BrokerError(
                "INVALID_REQUEST", f"Request specified MATCH_TYPE_{name}, but also specified a match string."
            )
    if IP in kinds and len(kinds) > 1:
        raise BrokerError(
            "INVALID_REQUEST",
            "Invalid entity filter component combination. IP filter component should not be used with user or "
            "clientId filter component.",
        )


def _matches(entity: Mapping[str, str | None], component: Component) -> bool:
    if component.entity_type not in entity:
        return False
    name = entity[component.entity_type]
    return component.match_type == ANY or name == (component.match if component.match_type == EXACT else None)
