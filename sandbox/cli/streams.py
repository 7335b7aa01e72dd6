"""Standard output and standard error: any text can be written, and a failed write ends the command cleanly."""

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
            # Otherwise the next file that is opened gets the number of a standard stream.
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def is_utf8(encoding: str | None) -> bool:
    """Whether an encoding, by any of its names, is UTF-8."""
    try:
        return codecs.lookup(encoding or "utf-8").name in ("utf-8", "utf-8-sig")
    except LookupError:
        return False


def json_text(text: str) -> str:
    """JSON as it can be written to standard output: with escapes instead of characters if that is not UTF-8."""
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
    """Write what is still buffered; OSError if it cannot be written."""
    if not sys.stdout.closed:
        sys.stdout.flush()


def discard_output() -> None:
    """Send standard output to nowhere, so that the interpreter does not fail to write it again at its end."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
