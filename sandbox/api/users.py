"""Users that may log in at a listener with SASL.

    with Sandbox("dev.db") as sandbox:
        sandbox.add_user("alice", "secret")
        sandbox.serve(listeners=[Listener("SASL_PLAINTEXT", port=9094)])

Passwords aren't stored: the file has their SCRAM credentials, with a separate salt per mechanism.
"""

import secrets

from sandbox.broker.credentials import HASHES, ITERATIONS_MIN, NUMBERS
from sandbox.kafka.errors import BrokerError
from sandbox.runtime.runtime import Runtime
from sandbox.wire.auth.scram import salted_password

SALT_BYTES = 24


class SandboxUsers:
    """The users of a sandbox.

    Args:
        runtime: the sandbox.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def add(self, name: str, password: str) -> None:
        """Add a user, or replace the user's password.

        Args:
            name: one or more characters.
            password: one or more characters.

        Raises:
            BrokerError: UNACCEPTABLE_CREDENTIAL.
        """
        credentials = self._runtime.broker.credentials
        if not password:
            raise BrokerError("UNACCEPTABLE_CREDENTIAL", f"The password of {name} is empty.")
        # Hashing is slow on purpose, so it runs outside the loop.
        salted = []
        for mechanism in HASHES:
            salt = secrets.token_bytes(SALT_BYTES)
            hashed = salted_password(mechanism, password, salt, ITERATIONS_MIN)
            credentials.check_upsertion(name, NUMBERS[mechanism], ITERATIONS_MIN, hashed)
            salted.append((NUMBERS[mechanism], ITERATIONS_MIN, salt, hashed))

        def write(now_ms: int) -> None:
            for credential in salted:
                credentials.upsert(name, *credential)

        self._runtime.call(write)

    def remove(self, name: str) -> None:
        """Remove a user; does nothing if the user doesn't exist. Existing connections stay open."""
        credentials = self._runtime.broker.credentials

        def delete(now_ms: int) -> None:
            for mechanism in HASHES:
                credentials.delete(name, NUMBERS[mechanism])

        self._runtime.call(delete)

    def names(self) -> tuple[str, ...]:
        """Return the names of all users, sorted."""
        return self._runtime.call(lambda now_ms: tuple(self._runtime.broker.credentials.users()), changes=False)
