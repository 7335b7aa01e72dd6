"""One owner per file: the lock beside it, which also says where its owner listens.

The lock is a system lock on `FILE.lock` (filelock), so it ends with the process however that dies. The owner writes who
it is into that file; the text is a hint for people and for clients that attach, the lock itself is the truth.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock, Timeout

from sandbox.kafka.errors import FileInUse, FileRefused

PATIENCE_SECONDS = 0.1


def lock_path(path: str | os.PathLike[str]) -> Path:
    """Where the lock of a sandbox file lies."""
    real = Path(os.path.realpath(path))
    return real.with_name(real.name + ".lock")


class OwnerLock:
    """The lock of one file.

    Args:
        path: the sandbox file.

    Raises:
        FileInUse: another process, or another sandbox of this one, owns it.
        FileRefused: the lock file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = lock_path(path)
        if not self.path.parent.is_dir():
            # filelock would make the folder: a mistyped path would then work, somewhere else.
            raise FileRefused(f"{os.fspath(path)} cannot be made: there is no folder {self.path.parent}.")
        self._lock = FileLock(str(self.path), thread_local=False)
        try:
            # Somebody who looks who owns the file holds the lock for an instant.
            self._lock.acquire(timeout=PATIENCE_SECONDS, poll_interval=0.01)
        except Timeout:
            raise FileInUse(os.fspath(path), _read(self.path) or {}) from None
        except OSError as error:
            hint = "It lies beside the file: make its folder writable, or work on a copy elsewhere."
            raise FileRefused(f"{self.path} cannot be locked: {error.strerror or error}. {hint}") from error
        self.publish()

    def publish(
        self,
        *,
        kafka: str | None = None,
        web: str | None = None,
        listeners: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> None:
        """Write who owns the file and where it listens; None where a port is not open.

        Args:
            token: what the page asks for. Nobody but the owner of the lock file may read it from then on.
        """
        owner: dict[str, object] = {"pid": os.getpid(), "kafka": kafka, "web": web}
        if listeners:
            owner["listeners"] = dict(listeners)
        if token:
            owner["token"] = token
        text = json.dumps(owner) + "\n"
        descriptor = os.open(self.path, os.O_WRONLY)
        try:
            if token:
                os.chmod(self.path, 0o600)
            os.pwrite(descriptor, text.encode(), 0)
            os.ftruncate(descriptor, len(text.encode()))
        finally:
            os.close(descriptor)

    def release(self) -> None:
        """Give the file free. May be called again."""
        if self._lock.is_locked:
            descriptor = os.open(self.path, os.O_WRONLY)
            os.ftruncate(descriptor, 0)
            os.close(descriptor)
        self._lock.release()


def read_owner(path: str | os.PathLike[str]) -> dict[str, object] | None:
    """Who owns a sandbox file now.

    Returns:
        `pid`, `kafka` and `web` (addresses, None where not open) as the owner wrote them, and `listeners` and `token`
        where it has any; `{}` while it starts, or None where nobody owns it. It takes the lock for an instant to find
        out, and never waits.
    """
    place = lock_path(path)
    if not place.exists():
        return None
    probe = FileLock(str(place), thread_local=False)
    try:
        probe.acquire(timeout=0)
    except Timeout:
        return _read(place) or {}
    except OSError:
        return None
    probe.release()
    return None


def _read(place: Path) -> dict[str, object] | None:
    try:
        owner = json.loads(place.read_text())
    except (OSError, ValueError):
        return None
    return owner if isinstance(owner, dict) else None
