"""Restricts objects to the process that created them.

Problem: a fork copies a sandbox's memory, but not its threads, and the state of SQLite and librdkafka must not be used,
or even closed, on both sides. A child that appends would assign the same offsets as its parent; a child that waits for
a thread of the parent would wait forever.

Solution: after a fork, the child's copies of such objects refuse every call immediately, except `close` and the end of
a `with`, which do nothing. The objects that they hold are never destroyed in the child.
"""

import os
import threading
import time
import weakref
from typing import Any

from sandbox.kafka.errors import SandboxError

_bound: "weakref.WeakSet[Any]" = weakref.WeakSet()
_pid = os.getpid()


def bind_to_process(one: Any) -> None:
    """Restrict an object to this process. If it has a method `leave_to_parent`, a forked child calls that first."""
    _bound.add(one)


def is_inherited(one: object) -> bool:
    """Return whether an object belongs to the process that this one was forked from."""
    return getattr(type(one), "_inherited", False)


def never_destroy(one: object) -> None:
    """Keep an object alive until the process has ended, including interpreter shutdown."""
    try:
        import ctypes
    except ImportError:
        return
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(one))


def _refusing(kind: type, pid: int) -> type:
    words = (
        f"This {kind.__name__} belongs to process {pid}, and this is its forked child, process {os.getpid()}. "
        "In the child, use a Kafka client: it connects to the parent's sandbox if that serves a Kafka port."
    )

    def get(self: object, name: str) -> Any:
        if name == "close":
            return _nothing
        if name.startswith("__"):
            return object.__getattribute__(self, name)
        raise SandboxError(words)

    def enter(self: object) -> None:
        raise SandboxError(words)

    methods = {"__getattribute__": get, "__enter__": enter, "__exit__": _nothing, "__slots__": (), "_inherited": True}
    return type(kind.__name__, (kind,), methods)


def _nothing(*_: object) -> None:
    """Does nothing: the object's resources belong to the parent."""


def _after_fork() -> None:
    global _pid
    parent, _pid = _pid, os.getpid()
    inherited = list(_bound)
    _bound.clear()
    for one in inherited:
        never_destroy(one)
        if hasattr(one, "leave_to_parent"):
            one.leave_to_parent()
    for one in inherited:
        one.__class__ = _refusing(type(one), parent)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


LOOK_S = 0.25


def wait_for_death(parent: int) -> None:
    """Return when the parent of this process is no longer the process `parent`; on Windows, never return."""
    while os.name != "posix" or os.getppid() == parent:
        time.sleep(LOOK_S)


def exit_after(grace_s: float) -> None:
    """End this process after a time if it has not ended by then, even if its other threads are blocked."""

    def end() -> None:
        time.sleep(grace_s)
        os._exit(1)

    threading.Thread(target=end, name="exit", daemon=True).start()
