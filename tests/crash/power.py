"""A disk that loses what was not synced, rebuilt from the system calls that strace saw.

A program's writes are kept apart from what it has synced: the content of a file with `fsync` and `fdatasync` of it, its
name with those of its folder. `PowerCut.leave` then makes the folder as it may be after a loss of power.
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
    """What to put before a command, so that its calls are written to a file that `calls` reads. It ends with "+++"."""
    # -D: the command keeps its process id. -s: a page of the file and a frame of a socket must be whole.
    how = ["-D", "-f", "-yy", "-q", "--seccomp-bpf", "-xx", "-s", "70000"]
    return ["strace", *how, "-e", f"trace={CALLS}", "-o", str(log)]


@dataclass(frozen=True, slots=True)
class Call:
    """One system call.

    Attributes:
        name: of it, such as pwrite64.
        place: the path of the file, or "TCP:[us->them]".
        data: what was written or sent.
        rest: the other arguments, as strace writes them.
    """

    name: str
    place: str
    data: bytes
    rest: bytes


def calls(log: Path) -> Iterator[Call]:
    """The calls of a log of strace that did what was asked.

    A call that another thread's came into counts when it had ended, but what is sent when it began: who is told may
    have heard it by then.
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
    """Of one file: what is synced, and what was done to it since: (offset, data), data None to cut it there."""

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
    """The files of one folder, as they are and as a loss of power would leave them.

    Args:
        folder: whose files are looked at; it is empty when the first call is made.

    Attributes:
        changes: how many calls changed what a loss of power would leave.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._files: dict[str, _Content] = {}
        self._named: dict[str, _Content] = {}
        self.changes = 0

    def see(self, call: Call) -> None:
        """Take one call into account."""
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
        """Make the files as they may be after a loss of power.

        Args:
            folder: a new one.
            dice: which of the writes that were not synced are there all the same, some in part; None for none of them.
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
