"""Simulates a disk that loses everything that was not synced, from the system calls that strace logged.

A program's writes and syncs are tracked separately: a file's content is synced by its `fsync` and `fdatasync`, its name
by its folder's. `PowerCut.leave` then creates the folder as it may be after a loss of power.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

CALLS = "openat,unlink,ftruncate,write,pwrite64,fsync,fdatasync,sendto,sendmsg"
SECTOR_BYTES = 512

UNFINISHED = b" <unfinished ...>"
RESUMED = b" resumed>"
FILE = re.compile(rb"(?:\d+|AT_FDCWD)<((?:->|[^>])*)>")
DATA = re.compile(rb'"([^"]*)"(\.\.\.)?')


def strace(log: Path) -> list[str]:
    """Return a command prefix that logs the command's system calls for `calls`. The complete log ends with "+++"."""
    # -D: the command keeps its process id. -s: file pages and socket frames must be complete.
    how = ["-D", "-f", "-yy", "-q", "--seccomp-bpf", "-xx", "-s", "70000"]
    return ["strace", *how, "-e", f"trace={CALLS}", "-o", str(log)]


@dataclass(frozen=True, slots=True)
class Call:
    """One system call.

    Attributes:
        name: the call's name, such as pwrite64.
        place: the path of the file, or "TCP:[us->them]".
        data: the bytes that were written or sent.
        rest: the other arguments, in strace's notation.
    """

    name: str
    place: str
    data: bytes
    rest: bytes


def calls(log: Path) -> Iterator[Call]:
    """Yield the successful calls in a log of strace.

    A call that another thread's call interrupted counts when it ended, except that a send counts when it began: the
    receiver may have the data by then.
    """
    begun: dict[bytes, bytes] = {}
    for line in log.read_bytes().splitlines():
        process, _, text = line.partition(b" ")
        text = text.strip()
        sent_before = False
        if text.endswith(UNFINISHED):
            begun[process] = text.removesuffix(UNFINISHED)
            if text.startswith(b"send"):
                yield _call(begun[process])
            continue
        if text.startswith(b"<..."):
            text = begun.pop(process) + text.partition(RESUMED)[2]
            sent_before = text.startswith(b"send")
        call, _, result = text.rpartition(b" = ")
        if call.rstrip().endswith(b")") and not result.startswith(b"-") and not sent_before:
            yield _call(call.rstrip())


def _call(text: bytes) -> Call:
    name, _, arguments = text.partition(b"(")
    data = DATA.search(arguments)
    assert not (data and data[2]), "strace cut the data short"
    content = _bytes(data[1]) if data else b""
    if name in (b"openat", b"unlink"):
        return Call(name.decode(), content.decode(), b"", arguments)
    found = FILE.search(arguments)
    place = found[1] if found else b""
    rest = arguments[data.end() :] if data else arguments[found.end() :] if found else arguments
    return Call(name.decode(), (_bytes(place) if place.startswith(b"\\x") else place).decode(), content, rest)


def _bytes(escaped: bytes) -> bytes:
    return bytes.fromhex(escaped.translate(None, b"\\x").decode())


@dataclass(slots=True)
class _Content:
    """One file's synced content, and later changes: (offset, data), or (offset, None) for a truncation."""

    synced: bytearray = field(default_factory=bytearray)
    since: list[tuple[int, bytes | None]] = field(default_factory=list)

    def after(self, changes: list[tuple[int, bytes | None]]) -> bytearray:
        found = bytearray(self.synced)
        for offset, data in changes:
            if data is None:
                del found[offset:]
                found.extend(bytes(offset - len(found)))
            else:
                found.extend(bytes(max(0, offset - len(found))))
                found[offset : offset + len(data)] = data
        return found


class PowerCut:
    """The files of one folder, in their current state and after a loss of power.

    Args:
        folder: the folder to track; empty before the first call.

    Attributes:
        changes: number of calls that changed what remains after a loss of power.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._files: dict[str, _Content] = {}
        self._named: dict[str, _Content] = {}
        self.changes = 0

    def see(self, call: Call) -> None:
        """Apply one call."""
        if call.place == self._folder and call.name in ("fsync", "fdatasync"):
            self._named = dict(self._files)
            self.changes += 1
            return
        parent, _, name = call.place.rpartition("/")
        if parent != self._folder:
            return
        if call.name == "openat":
            if b"O_CREAT" in call.rest:
                self._files.setdefault(name, _Content())
                if b"O_TRUNC" in call.rest:
                    self._files[name].since.append((0, None))
        elif call.name == "unlink":
            self._files.pop(name, None)
        elif name in self._files:
            self._change(self._files[name], call)

    def _change(self, content: _Content, call: Call) -> None:
        numbers = [int(number) for number in re.findall(rb"\b\d+\b", call.rest)]
        if call.name == "pwrite64":
            content.since.append((numbers[-1], call.data))
        elif call.name == "ftruncate":
            content.since.append((numbers[-1], None))
        elif call.name in ("fsync", "fdatasync"):
            self.changes += 1
            content.synced, content.since = content.after(content.since), []

    def leave(self, folder: Path, dice: random.Random | None = None) -> None:
        """Write the files as they may be after a loss of power.

        Args:
            folder: a new folder.
            dice: chooses unsynced writes that reached the disk anyway, some of them partially; None for none.
        """
        folder.mkdir()
        names = self._named if dice is None or dice.random() < 0.5 else self._files
        for name, content in names.items():
            kept = [] if dice is None else [_torn(change, dice) for change in content.since if dice.random() < 0.5]
            (folder / name).write_bytes(content.after(kept))


def _torn(change: tuple[int, bytes | None], dice: random.Random) -> tuple[int, bytes | None]:
    offset, data = change
    if data is None or len(data) <= SECTOR_BYTES or dice.random() < 0.8:
        return change
    return offset, data[: SECTOR_BYTES * dice.randrange(1, len(data) // SECTOR_BYTES + 1)]
