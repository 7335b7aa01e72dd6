"""One owner per file: a lock on the file beside it, which names its owner, and one on the file itself.

Both are system locks, so they end with the process however that dies. The owner writes its addresses into `FILE.lock`
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
    """Where the lock of a sandbox file lies."""
    real = Path(os.path.realpath(path))
    return real.with_name(real.name + ".lock")


class OwnerLock:
    """The lock of one file.

    Args:
        path: the sandbox file, which is created if it does not exist.

    Attributes:
        guard: holds the file itself.

    Raises:
        FileInUse: another process, or another sandbox of this one, owns it.
        FileRefused: the file or the lock file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = lock_path(path)
        if not self.path.parent.is_dir():
            # filelock would make the folder: a mistyped path would then work, somewhere else.
            raise FileRefused(f"{os.fspath(path)} cannot be made: there is no folder {self.path.parent}.")
        self._text = b""
        self._token = False
        self._made = not self.path.exists()
        self._lock = FileLock(str(self.path), thread_local=False)
        try:
            # Somebody who looks who owns the file holds the lock for an instant.
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
        """If the lock file was deleted, make it again, so that others find the owner. It may be called any time."""
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
        """Release the file. The connections to it are closed by now. May be called again.

        Args:
            refused: True if the file was not used; then a lock file that was not there before is deleted.
        """
        self.guard.close()
        self._release(leave=not refused)

    def _release(self, *, leave: bool = False) -> None:
        if self._lock.is_locked:
            # Somebody may have deleted it.
            with suppress(OSError):
                if self._made and not leave:
                    self.path.unlink()
                else:
                    os.truncate(self.path, 0)
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
    except PermissionError:
        return (_read(place) or {}) if _is_locked(place) else None
    except OSError:
        return None
    probe.release()
    return None


def _is_locked(place: Path) -> bool:
    """Whether somebody holds a lock file of another user, which this one may only read."""
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
