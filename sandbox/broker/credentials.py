"""SCRAM credentials of users (KIP-554, RFC 5802): what a listener with SASL checks passwords by."""

import hashlib
import hmac
from collections.abc import Sequence

from sandbox.kafka.errors import BrokerError
from sandbox.storage import resources
from sandbox.storage.file.database import Database
from sandbox.storage.resources import ScramCredential

MECHANISMS = {1: "SCRAM-SHA-256", 2: "SCRAM-SHA-512"}
"""By Kafka's number."""
NUMBERS = {name: number for number, name in MECHANISMS.items()}
HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
ITERATIONS_MIN, ITERATIONS_MAX = 4096, 16384


class Credentials:
    """The credentials of a cluster.

    Args:
        database: the rows.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[ScramCredential]:
        """Every credential, by user."""
        return resources.load_credentials(self._database)

    def find(self, user: str, mechanism: str) -> ScramCredential | None:
        """A user's credential for a mechanism by its name, None where there is none."""
        known = resources.load_credentials(self._database, user)
        return next((one for one in known if one.mechanism == mechanism), None)

    def check_deletion(self, user: str, mechanism: int) -> None:
        """Refuse to delete what cannot be: UNACCEPTABLE_CREDENTIAL, UNSUPPORTED_SASL_MECHANISM, RESOURCE_NOT_FOUND."""
        _check(user, mechanism)
        if self.find(user, MECHANISMS[mechanism]) is None:
            raise BrokerError("RESOURCE_NOT_FOUND", "Attempt to delete a user credential that does not exist")

    def check_upsertion(self, user: str, mechanism: int, iterations: int, salted_password: bytes) -> None:
        """Refuse what is not a credential: UNACCEPTABLE_CREDENTIAL, UNSUPPORTED_SASL_MECHANISM."""
        _check(user, mechanism)
        if iterations < ITERATIONS_MIN:
            raise BrokerError("UNACCEPTABLE_CREDENTIAL", "Too few iterations")
        if iterations > ITERATIONS_MAX:
            raise BrokerError("UNACCEPTABLE_CREDENTIAL", "Too many iterations")
        if not salted_password:
            raise BrokerError("UNACCEPTABLE_CREDENTIAL", "The salted password must not be empty")

    def delete(self, user: str, mechanism: int) -> None:
        """Delete a credential."""
        resources.delete_credential(self._database, user, MECHANISMS[mechanism])

    def upsert(self, user: str, mechanism: int, iterations: int, salt: bytes, salted_password: bytes) -> None:
        """Write a credential in place of the one there was."""
        name = MECHANISMS[mechanism]
        stored_key, server_key = keys(name, salted_password)
        resources.save_credential(self._database, ScramCredential(user, name, iterations, salt, stored_key, server_key))

    def users(self) -> Sequence[str]:
        """Everybody who has a credential."""
        return sorted({one.user for one in self.all()})


def keys(mechanism: str, salted_password: bytes) -> tuple[bytes, bytes]:
    """The stored key and the server key of a salted password (RFC 5802, section 3)."""
    name = HASHES[mechanism]
    client_key = hmac.new(salted_password, b"Client Key", name).digest()
    return hashlib.new(name, client_key).digest(), hmac.new(salted_password, b"Server Key", name).digest()


def _check(user: str, mechanism: int) -> None:
    if not user:
        raise BrokerError("UNACCEPTABLE_CREDENTIAL", "Username must not be empty")
    if mechanism not in MECHANISMS:
        raise BrokerError("UNSUPPORTED_SASL_MECHANISM", "Unknown SCRAM mechanism")
