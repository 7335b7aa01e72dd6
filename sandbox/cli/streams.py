"""Prepares standard output and standard error: any text can be written, and a failed write ends the command cleanly."""

import codecs
import io
import json
import os
import re
import sys
from contextlib import suppress

_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def prepare_streams() -> None:
    """Make the streams accept every character, and open those that the parent process closed.

    A character that a stream's encoding lacks (cp1252 is the default on Windows) is written as an escape: \\u20ac.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # Otherwise the next opened file would get the number of a standard stream.
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def is_utf8(encoding: str | None) -> bool:
    """True if an encoding name, including aliases, means UTF-8."""
    try:
        return codecs.lookup(encoding or "utf-8").name in ("utf-8", "utf-8-sig")
    except LookupError:
        return False


def json_text(text: str) -> str:
    """Return JSON for standard output. If its encoding isn't UTF-8, all other than ASCII characters are escaped."""
    if text.isascii() or is_utf8(sys.stdout.encoding):
        return text
    return _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text)


def printable(text: str) -> str:
    """Escape control characters: an event, a name or an error must not move the cursor or color the terminal."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text
    )


def flush_output() -> None:
    """Write buffered output. Raises OSError if it can't be written."""
    if not sys.stdout.closed:
        sys.stdout.flush()


def discard_output() -> None:
    """Redirect standard output to the null device, so that the interpreter doesn't fail to write it again at exit."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
