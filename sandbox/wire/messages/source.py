"""Lines of generated Python code, each mapped to the fields that it reads or writes.

Generated functions for one version of one message avoid a loop over a schema and a call per field. Error texts come
from the traceback: the failed line identifies the field, and the function's local ``p`` the position. This costs
nothing unless something fails.
"""

import struct
from collections.abc import Sequence
from types import TracebackType
from typing import Any

# Fixed-size numbers: name in Kafka's definitions to format code of ``struct``. A bool is written as a number, so null
# is refused, and read as a bool.
CODES = {
    "bool": "b",
    "int8": "b",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "int64": "q",
    "float64": "d",
    "uuid": "16s",
}

SIZES = {kind: struct.calcsize(">" + code) for kind, code in CODES.items()}


class Refusal(ValueError):
    """Raised by generated code: what is wrong with one field, without the field's name."""


class FunctionSource:
    """A function in the making."""

    def __init__(self, title: str, header: str) -> None:
        """``title`` names the message in tracebacks; ``header`` is the ``def`` line."""
        self.title = title
        self.lines = [header]
        self.fields: list[Sequence[tuple[str, int]]] = [()]
        self.indent = 1
        self.names = 0
        self.constants: dict[str, Any] = {}

    def add(self, line: str, *fields: tuple[str, int]) -> None:
        """Append a line at the current indent. ``fields``: the path of each field that it handles, with the number of
        bytes from the line's position to the field's end (0 if unknown).
        """
        self.lines.append("    " * self.indent + line)
        self.fields.append(fields or self.fields[-1])

    def name(self, prefix: str) -> str:
        """A local name that was not used before."""
        self.names += 1
        return f"{prefix}{self.names}"

    def constant(self, prefix: str, value: object) -> str:
        """A name for a value that the function needs."""
        name = f"{prefix}_{len(self.constants)}"
        self.constants[name] = value
        return name

    def function(self, known: dict[str, Any]) -> Any:
        """The compiled function. ``known``: the names that its lines use."""
        scope = {**known, **self.constants}
        # The source comes from schemas.json alone, never from a peer.
        exec(compile("\n".join(self.lines), self.title, "exec"), scope)  # noqa: S102
        made = scope[self.lines[0].removeprefix("def ").partition("(")[0]]
        made.fields_by_line = self.fields
        return made


def failing_frame(error: BaseException, title: str) -> TracebackType | None:
    """The part of the error's traceback that is in the generated function."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != title:
        trace = trace.tb_next
    return trace


def failing_field(made: Any, error: BaseException) -> tuple[str, int | None]:
    """Return the field at which a generated function failed.

    Args:
        made: the function, created by :meth:`FunctionSource.function`.
        error: the exception that it raised.

    Returns:
        The field's path, such as ``topics.partitions.index``, and the position in the message, or None if the function
        writes.
    """
    trace = failing_frame(error, made.__code__.co_filename)
    if trace is None:
        return "message", None
    position = trace.tb_frame.f_locals.get("p")
    fields = made.fields_by_line[trace.tb_lineno - 1]
    if position is None or len(fields) < 2:
        return (fields[0][0] if fields else "message"), position
    remaining = trace.tb_frame.f_locals["end"] - position
    return next((path for path, stop in fields if stop > remaining), fields[0][0]), position
