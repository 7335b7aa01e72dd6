"""The exit statuses of commands, and their error messages."""

import errno
import os
from enum import IntEnum
from typing import Any

import click

from sandbox.cli.display import printable


class Status(IntEnum):
    """The exit statuses of `sandbox`."""

    OK = 0
    FAILED = 1
    USAGE = 2
    FILE_IN_USE = 3
    PORT_IN_USE = 4
    FILE_REFUSED = 5


MEANINGS = {
    Status.OK: "done",
    Status.FAILED: "Kafka refused it, not every event was stored, or a file is damaged; the text says which",
    Status.USAGE: "invalid usage",
    Status.FILE_IN_USE: "another process owns the file; the text says which, and where it listens",
    Status.PORT_IN_USE: "a port is taken; 0 picks a free one",
    Status.FILE_REFUSED: "the file is not a sandbox, or cannot be used; it was not changed",
}


_NOT_WRITTEN = (errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EBADF, errno.EDQUOT)


class Failed(click.ClickException):
    """Ends the command with a status and one line of text on stderr.

    Args:
        message: what happened, and what to do.
        status: see `Status`.
    """

    def __init__(self, message: str, status: Status = Status.FAILED) -> None:
        super().__init__(message)
        self.status = status

    exit_code = property(lambda self: int(self.status))

    def format_message(self) -> str:
        """The text as it is shown: it may repeat names and words that a broker sent."""
        return "\n".join(map(printable, self.message.split("\n")))


def failure(error: Exception) -> Failed | None:
    """Convert a known error to `Failed`. Returns None for an unexpected error."""
    from sandbox.kafka.errors import FileInUse, FileRefused, SandboxError

    if isinstance(error, FileInUse):
        return Failed(str(error), Status.FILE_IN_USE)
    if isinstance(error, FileRefused):
        return Failed(str(error), Status.FILE_REFUSED)
    if isinstance(error, SandboxError):
        return Failed(str(error))
    if isinstance(error, OSError):
        return Failed(_system_text(error))
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        # Text of the command line is checked before; this is from an environment variable or the name of a file.
        return Failed(f"'{printable(error.object)}' is not UTF-8.", Status.USAGE)
    # Compared by name instead of imported: if their modules were never imported, the error can't be theirs.
    if type(error).__name__ == "KafkaException" and error.args:
        return Failed(kafka_text(error.args[0]))
    if type(error).__name__ == "StorageFailed":
        return Failed(f"{error}.")
    return None


def _system_text(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    if error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {reason}"
    return f"The output cannot be written: {reason}" if error.errno in _NOT_WRITTEN else reason


def kafka_text(error: Any) -> str:
    """Format a `confluent_kafka.KafkaError` as one line: Kafka's name for it, and its text."""
    from sandbox.kafka.errors import BY_CODE

    # librdkafka names some of Kafka's errors differently (MSG_SIZE_TOO_LARGE). Its own errors are negative.
    known = BY_CODE.get(error.code()) if error.code() > 0 else None
    name = known.name if known else error.name()
    if name in ("_TRANSPORT", "_ALL_BROKERS_DOWN", "_TIMED_OUT", "_RESOLVE"):
        return f"Kafka does not answer ({name}: {error.str()}). Is it running, and is the address right?"
    return f"{name}: {error.str()}"
