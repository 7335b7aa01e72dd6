"""Stores settings of brokers, groups and client metrics, client quotas and SCRAM credentials."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sandbox.storage.file.database import Database, Reader
from sandbox.storage.file.read_uri import read_uri

Resource = tuple[str, str]
"""Type and name of a resource."""


@dataclass(frozen=True, slots=True)
class ScramCredential:
    """A salted password hash: enough to verify the password, not enough to recover it (RFC 5802)."""

    user: str
    mechanism: str
    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes


def load_settings(reader: Reader) -> dict[Resource, dict[str, str]]:
    """Return every setting that was altered, by resource and name."""
    found: dict[Resource, dict[str, str]] = {}
    for kind, resource, name, value in reader.rows(
        "SELECT resource_type, resource, name, value FROM resource_settings"
    ):
        found.setdefault((kind, resource), {})[name] = value
    return found


def save_settings(database: Database, resource: Resource, settings: dict[str, str]) -> None:
    """Replace all settings of a resource."""
    database.execute("DELETE FROM resource_settings WHERE resource_type = ? AND resource = ?", resource)
    database.executemany(
        "INSERT INTO resource_settings(resource_type, resource, name, value) VALUES(?, ?, ?, ?)",
        [(*resource, name, value) for name, value in settings.items()],
    )


def load_quotas(reader: Reader) -> dict[str, dict[str, float]]:
    """Return every client quota, by the entity (as JSON) and the quota's name."""
    found: dict[str, dict[str, float]] = {}
    for entity, name, value in reader.rows("SELECT entity, name, value FROM client_quotas"):
        found.setdefault(entity, {})[name] = value
    return found


def save_quota(database: Database, entity: str, name: str, value: float | None) -> None:
    """Write one quota; None deletes it."""
    if value is None:
        database.execute("DELETE FROM client_quotas WHERE entity = ? AND name = ?", (entity, name))
    else:
        database.execute(
            "INSERT INTO client_quotas(entity, name, value) VALUES(?, ?, ?) "
            "ON CONFLICT(entity, name) DO UPDATE SET value = excluded.value",
            (entity, name, value),
        )


def load_credentials(reader: Reader, user: str | None = None) -> list[ScramCredential]:
    """Return the SCRAM credentials of one user, or of all if `user` is None, sorted by user."""
    return [
        ScramCredential(*row)
        for row in reader.rows(
            "SELECT user, mechanism, iterations, salt, stored_key, server_key FROM scram_credentials "
            f"{'' if user is None else 'WHERE user = ? '}ORDER BY user, mechanism",
            () if user is None else (user,),
        )
    ]


def save_credential(database: Database, credential: ScramCredential) -> None:
    """Write a credential, replacing the user's earlier one for that mechanism."""
    database.execute(
        "INSERT INTO scram_credentials(user, mechanism, iterations, salt, stored_key, server_key) "
        "VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT(user, mechanism) DO UPDATE SET iterations = excluded.iterations, "
        "salt = excluded.salt, stored_key = excluded.stored_key, server_key = excluded.server_key",
        (
            credential.user,
            credential.mechanism,
            credential.iterations,
            credential.salt,
            credential.stored_key,
            credential.server_key,
        ),
    )


def delete_credential(database: Database, user: str, mechanism: str) -> None:
    """Delete a user's credential for a mechanism."""
    database.execute("DELETE FROM scram_credentials WHERE user = ? AND mechanism = ?", (user, mechanism))


def load_templates(reader: Reader) -> dict[str, str]:
    """Return every template, as JSON, by name."""
    return dict(reader.rows("SELECT name, template FROM event_templates ORDER BY name"))


def save_template(database: Database, name: str, template: str, now_ms: int) -> None:
    """Write a template, replacing the earlier one of that name."""
    database.execute(
        "INSERT INTO event_templates(name, template, updated_ms) VALUES(?, ?, ?) "
        "ON CONFLICT(name) DO UPDATE SET template = excluded.template, updated_ms = excluded.updated_ms",
        (name, template, now_ms),
    )


def delete_template(database: Database, name: str) -> bool:
    """Delete a template; return False if it does not exist."""
    return database.execute("DELETE FROM event_templates WHERE name = ?", (name,)).rowcount > 0


def read_template(path: Path, name: str) -> str | None:
    """Read a template, as JSON, from a file that another process may own; None if the template or the file is missing.

    Args:
        path: the sandbox file. It is only read.
        name: the template's name.
    """
    if not path.is_file():
        return None
    try:
        with closing(sqlite3.connect(read_uri(path), uri=True)) as connection:
            row = connection.execute("SELECT template FROM event_templates WHERE name = ?", (name,)).fetchone()
    except sqlite3.Error:
        return None
    return row[0] if row else None
