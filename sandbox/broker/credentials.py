"""SCRAM credentials of users (KIP-554, RFC 5802). A SASL listener checks passwords against them."""

import hashlib
import hmac
from collections.abc import Sequence

from sandbox.kafka.errors import BrokerError
from sandbox.storage import resources
from sandbox.storage.file.database import Database
from sandbox.storage.resources import ScramCredential

MECHANISMS = {1: "SCRAM-SHA-256", 2: "SCRAM-SHA-512"}
"""Mechanism names by Kafka's numbers."""
NUMBERS = {name: number for number, name in MECHANISMS.items()}
HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
ITERATIONS_MIN, ITERATIONS_MAX = 4096, 16384


class Credentials:
    """The credentials of a cluster.

    Args:
        database: the file that stores them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[ScramCredential]:
        """Return every credential, sorted by user."""
        return resources.load_credentials(self._database)

    def find(self, user: str, mechanism: str) -> ScramCredential | None:
        """Return a user's credential for a mechanism, given by name, or None."""
        known = resources.load_credentials(self._database, user)
        return next((one for one in known if one.mechanism == mechanism), None)

    def check_deletion(self, user: str, mechanism: int) -> None:
        """Check a deletion.

        Raises:
            BrokerError: UNACCEPTABLE_CREDENTIAL, UNSUPPORTED_SASL_MECHANISM, RESOURCE_NOT_FOUND.
        """
        _check(user, mechanism)
        if self.find(user, MECHANISMS[mechanism]) is None:
            raise BrokerError("RESOURCE_NOT_FOUND", "Attempt to delete a user credential that does not exist")

    def check_upsertion(self, user: str, mechanism: int, iterations: int, salted_password: bytes) -> None:
        """Check a new or changed credential.

        Raises:
            BrokerError: UNACCEPTABLE_CREDENTIAL, UNSUPPORTED_SASL_MECHANISM.
        """
        _check(user, mechanism)
        if iterations < ITERATIONS_MIN:
            raise BrokerError("UNACCEPTABLE_CREDENTIAL", "Too few iterations")
        if iterations > ITERATIONS_MAX:
            raise BrokerError("UNACCEPTABLE_CREDENTIAL", "Too many iterations")
        if not salted_password:
            raise BrokerError("UNACCEPTABLE_CREDENTIAL", "The salted password must not be empty")

    def delete(self, user: str, mechanism: int) -> None:
        """Delete a credential that `check_deletion` accepted."""
        resources.delete_credential(self._database, user, MECHANISMS[mechanism])

    def upsert(self, user: str, mechanism: int, iterations: int, salt: bytes, salted_password: bytes) -> None:
        """Store a credential that `check_upsertion` accepted; it replaces an existing one."""
        name = MECHANISMS[mechanism]
        stored_key, server_key = keys(name, salted_password)
        resources.save_credential(self._database, ScramCredential(user, name, iterations, salt, stored_key, server_key))

    def users(self) -> Sequence[str]:
        """Return the names of all users that have a credential, sorted."""
        return sorted({one.user for one in self.all()})


def keys(mechanism: str, salted_password: bytes) -> tuple[bytes, bytes]:
    """Return the stored key and the server key of a salted password (RFC 5802, section 3)."""
    name = HASHES[mechanism]
    client_key = hmac.new(salted_password, b"Client Key", name).digest()
    return hashlib.new(name, client_key).digest(), hmac.new(salted_password, b"Server Key", name).digest()


def _check(user: str, mechanism: int) -> None:
    if not user:
        raise BrokerError("UNACCEPTABLE_CREDENTIAL", "Username must not be empty")
    if mechanism not in MECHANISMS:
        raise BrokerError("UNSUPPORTED_SASL_MECHANISM", "Unknown SCRAM mechanism")
