"""Runs sandboxes inside this process, shared by the clients that name their file.

Problem: a program names a file in three producers and a consumer. There is one owner per file, so they must find each
other, and the sandbox must end with the last of them, or with the program.
Here: a table of the sandboxes that this process started, by real path, each with its number of users. A client that is
closed releases the sandbox immediately. A client that is only dropped releases it a moment later, in a separate thread:
its destructor, which may run in any thread, must neither wait for the sandbox nor find it closed while it disconnects.
"""

import atexit
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from socket import create_connection
from typing import Any

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import FileInUse
from sandbox.storage.file.lock import read_owner

ATTACH_WAIT_S = 10.0
"""Seconds to wait for an owner that has the file, but doesn't accept connections yet."""
DROPPED_GRACE_S = 1.0
"""Seconds for which a sandbox stays open after the last client was dropped without close()."""
_RETRY_S = 0.02
SERVER_THREADS = ("page-", "asyncio_")
"""How the names of threads begin that a sandbox starts later, for its schema registry."""


@dataclass(slots=True)
class _Running:
    """A sandbox of this process, and its number of clients."""

    sandbox: Sandbox
    address: str
    users: int = 0


class Attachment:
    """A client's reference to the sandbox of a file.

    Attributes:
        address: "host:port" of its Kafka port.
        registry: the URL of its schema registry, "" if its port is not open.
        token: the token that the registry requires, None for none.
        held: True while this client keeps a sandbox of this process open.
    """

    __slots__ = ("_pid", "_real", "address", "held", "registry", "token")

    def __init__(self, address: str, real: Path, held: bool, registry: str = "", token: str | None = None) -> None:
        self.address = address
        self.registry = registry
        self.token = token
        self._real = real
        self.held = held
        self._pid = os.getpid()

    def release(self) -> None:
        """Release the sandbox. The last release closes a sandbox of this process. Idempotent. Not for destructors."""
        with _table_lock:
            if not self.held or self._pid != os.getpid():
                return
            self.held = False
            running = _table.get(self._real)
            if running is None:
                return
            running.users -= 1
            if running.users == 0:
                # Closed under the lock, so that the next client finds the file free.
                del _table[self._real]
                running.sandbox.close()

    def release_soon(self) -> None:
        """Release the sandbox after a moment, in another thread. For destructors: it doesn't wait."""
        if self.held:
            _dropped.put((time.monotonic(), self))


_table: dict[Path, _Running] = {}
_table_lock = threading.Lock()
_dropped: SimpleQueue[tuple[float, Attachment]] = SimpleQueue()
_closer: list[threading.Thread] = []
_sandbox_threads: set[threading.Thread] = set()
_before_exit: list[Callable[[], None]] = []
_of_the_parent: list[Any] = []


def attach(path: str | os.PathLike[str], wait_s: float = ATTACH_WAIT_S) -> Attachment:
    """Find the Kafka port of a sandbox file, and start the sandbox in this process if it isn't running.

    Args:
        path: the file; created if it doesn't exist.
        wait_s: seconds to wait for an owner that doesn't accept connections yet.

    Returns:
        The sandbox's address, and the reference to it.

    Raises:
        FileInUse: another process owns the file and its Kafka port doesn't answer in that time.
        FileRefused: the file can't be a sandbox.
    """
    real = Path(os.path.realpath(path))
    deadline = time.monotonic() + wait_s
    while True:
        with _table_lock:
            attachment = _shared(real)
            owner = None if attachment else read_owner(real)
            if attachment is None and owner is None:
                try:
                    attachment = _start(real)
                except FileInUse as lost_the_race:
                    owner = lost_the_race.owner
        if attachment is not None:
            return attachment
        address = str(owner.get("kafka") or "") if owner else ""
        if owner and address and _answers(address):
            token = owner.get("token")
            registry = str(owner.get("registry") or "")
            return Attachment(address, real, False, registry, token if isinstance(token, str) else None)
        if time.monotonic() > deadline:
            raise FileInUse(os.fspath(path), owner or {}, silent=bool(address))
        time.sleep(_RETRY_S)


def before_exit(callback: Callable[[], None]) -> None:
    """Call `callback` when the program ends, before the sandboxes are closed."""
    _before_exit.append(callback)


def alone() -> bool:
    """True if only the calling thread and the sandboxes' own threads are left.

    At exit, only daemon threads are left. One of them may be using a client, which must then not be closed.
    """
    ours = {thread.ident for thread in _closer} | {thread.ident for thread in _sandbox_threads}
    return all(
        thread.ident in ours
        or thread is threading.current_thread()
        or not thread.is_alive()
        or thread.name.startswith(SERVER_THREADS)
        for thread in threading.enumerate()
    )


def _shared(real: Path) -> Attachment | None:
    running = _table.get(real)
    if running is None:
        return None
    running.users += 1
    return _held(real, running)


def _held(real: Path, running: _Running) -> Attachment:
    return Attachment(running.address, real, True, running.sandbox.registry_address or "")


def _start(real: Path) -> Attachment:
    before = set(threading.enumerate())
    sandbox = Sandbox(real)
    try:
        sandbox.serve(kafka_port=0, web_port=None)
    except BaseException:
        sandbox.close()
        raise
    _sandbox_threads.update(set(threading.enumerate()) - before)
    address = sandbox.kafka_address
    assert address is not None
    _table[real] = running = _Running(sandbox, address, users=1)
    if not _closer:
        _closer.append(threading.Thread(target=_close_dropped, name="sandbox-closer", daemon=True))
        _closer[0].start()
    return _held(real, running)


def _answers(address: str) -> bool:
    # The lock file's text outlives a killed owner, until the next owner has started.
    host, _, port = address.rpartition(":")
    try:
        create_connection((host.strip("[]"), int(port)), timeout=1.0).close()
    except (OSError, ValueError):
        return False
    return True


def _close_dropped() -> None:
    while True:
        dropped_at, attachment = _dropped.get()
        time.sleep(max(0.0, dropped_at + DROPPED_GRACE_S - time.monotonic()))
        attachment.release()


def _close_all() -> None:
    for callback in _before_exit:
        callback()
    with _table_lock:
        while _table:
            _table.popitem()[1].sandbox.close()


def _forget_the_parents() -> None:
    # After a fork, the sandboxes, their lock and their threads belong to the parent. The child attaches to them like
    # any other process. It must not close them, so it keeps references to what it inherited.
    global _table_lock, _dropped
    _of_the_parent.append(dict(_table))
    _table.clear()
    _closer.clear()
    _sandbox_threads.clear()
    _table_lock = threading.Lock()
    _dropped = SimpleQueue()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_parents)
