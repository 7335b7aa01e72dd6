"""Ensures that a file has one owner: a lock file beside it, which names the owner, and a lock on the file itself.

Both are system locks, so they end with the process, however it dies. The owner writes its addresses into `FILE.lock`
(filelock): a hint for people and for clients that attach. The lock on the file itself (`guard`) also holds if the file
has several names, or if `FILE.lock` is deleted.
"""

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from sandbox.kafka.errors import FileInUse, FileRefused
from sandbox.storage.file.failure import advice
from sandbox.storage.file.guard import FileGuard

if sys.platform != "win32":
    import fcntl

PATIENCE_SECONDS = 0.1


def lock_path(path: str | os.PathLike[str]) -> Path:
    """Return the path of a sandbox file's lock file."""
    real = Path(os.path.realpath(path))
    return real.with_name(real.name + ".lock")


class OwnerLock:
    """The lock of one sandbox file.

    Args:
        path: the sandbox file, which is created if it does not exist.

    Attributes:
        guard: holds the file itself.

    Raises:
        FileInUse: another process, or another sandbox of this process, owns it.
        FileRefused: the file or the lock file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = lock_path(path)
        if not self.path.parent.is_dir():
            # filelock would create the folder, and a mistyped path would silently create a new file elsewhere.
            raise FileRefused(f"{os.fspath(path)} can't be created: there is no folder {self.path.parent}.")
        self._text = b""
        self._token = False
        self._made = not self.path.exists()
        self._lock = FileLock(str(self.path), thread_local=False)
        try:
            # A process that checks who owns the file (`read_owner`) holds the lock for an instant.
            self._lock.acquire(timeout=PATIENCE_SECONDS, poll_interval=0.01)
        except Timeout:
            raise FileInUse(os.fspath(path), _read(self.path) or {}) from None
        except OSError as error:
            hint = advice(error, self.path.parent)
            raise FileRefused(f"{self.path} cannot be locked: {error.strerror or error}. {hint}") from error
        try:
            self.guard = FileGuard(Path(os.path.realpath(path)))
        except BaseException:
            self._release()
            raise
        self.publish()

    def publish(
        self,
        *,
        kafka: str | None = None,
        web: str | None = None,
        registry: str | None = None,
        listeners: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> None:
        """Write the owner's process id and addresses into the lock file; None for a port that is not open.

        Args:
            token: the page's access token. With a token, only the lock file's owner may read the lock file.
        """
        owner: dict[str, object] = {"pid": os.getpid(), "kafka": kafka, "web": web}
        if registry:
            owner["registry"] = registry
        if listeners:
            owner["listeners"] = dict(listeners)
        if token:
            owner["token"] = token
        self._text, self._token = (json.dumps(owner) + "\n").encode(), bool(token)
        self._write()

    def _write(self) -> None:
        descriptor = os.open(self.path, os.O_WRONLY)
        try:
            if self._token:
                os.chmod(self.path, 0o600)
            os.pwrite(descriptor, self._text, 0)
            os.ftruncate(descriptor, len(self._text))
        finally:
            os.close(descriptor)

    def renew(self) -> None:
        """Create the lock file again if it was deleted, so that others find the owner. May be called at any time."""
        if self.path.exists() or not self._lock.is_locked:
            return
        again = FileLock(str(self.path), thread_local=False)
        try:
            again.acquire(timeout=0)
        except (Timeout, OSError):
            return
        before, self._lock = self._lock, again
        with suppress(OSError):
            self._write()
        with suppress(OSError):
            before.release()

    def release(self, *, refused: bool = False) -> None:
        """Release the file. Close all connections to it before this call. May be called again.

        Args:
            refused: True if the file was not used; deletes the lock file if this object created it.
        """
        self.guard.close()
        self._release(leave=not refused)

    def _release(self, *, leave: bool = False) -> None:
        if self._lock.is_locked:
            # The lock file may have been deleted.
            with suppress(OSError):
                if self._made and not leave:
                    self.path.unlink()
                else:
                    os.truncate(self.path, 0)
        self._lock.release()


def read_owner(path: str | os.PathLike[str]) -> dict[str, object] | None:
    """Return the current owner of a sandbox file. Takes the lock for an instant, and never waits.

    Returns:
        `pid`, `kafka` and `web` (addresses, None if not open) as the owner wrote them, and `listeners` and `token` if
        it has any; `{}` while the owner starts; None if the file has no owner.
    """
    place = lock_path(path)
    if not place.exists():
        return None
    probe = FileLock(str(place), thread_local=False)
    try:
        probe.acquire(timeout=0)
    except Timeout:
        return _read(place) or {}
    except PermissionError:
        return (_read(place) or {}) if _is_locked(place) else None
    except OSError:
        return None
    probe.release()
    return None


def _is_locked(place: Path) -> bool:
    """Return whether another user's lock file, which this user can only read, is locked."""
    if sys.platform == "win32":
        return False
    try:
        with place.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _read(place: Path) -> dict[str, object] | None:
    try:
        owner = json.loads(place.read_text())
    except (OSError, ValueError):
        return None
    return owner if isinstance(owner, dict) else None
