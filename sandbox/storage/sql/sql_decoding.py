"""Decodes keys and values in SQL queries, as pages show them.

The functions `decoded_part(data, headers, topic, is_key)` and `decoded_field(..., name)` are on the connection of each
query, and the topics' views use them. Views in the file have the stored bytes: other programs lack these functions.
"""

import sqlite3
from collections.abc import Callable

from sandbox.model.json_values import SqlFields
from sandbox.schemas.decoding import EventDecoder
from sandbox.storage.log.log import headers_from_json

Cell = None | int | float | str | bytes


class SqlDecoder:
    """Decodes keys and values for the queries of one connection. The last key and the last value are cached: each field
    of a row needs them.

    Args:
        decoder: decodes keys and values; None leaves them as they are.
    """

    def __init__(self, decoder: EventDecoder | None) -> None:
        self._decoder = decoder
        self._last: dict[bool, tuple[tuple[Cell, str | None, str], Cell]] = {}

    def is_chosen(self, topic: str, *, is_key: bool) -> bool:
        """Return True if a deserializer was chosen for a topic's keys or values."""
        return self._decoder is not None and self._decoder.chosen(topic, is_key=is_key) is not None

    def text(self, data: Cell, headers: str | None, topic: str, *, is_key: bool) -> Cell:
        """Return what a key or value holds as JSON text; as it is if it can't be decoded."""
        if self._decoder is None or not isinstance(data, str | bytes):
            return data
        asked = (data, headers, topic)
        known = self._last.get(is_key)
        if known is not None and known[0] == asked:
            return known[1]
        fields = headers_from_json(headers) if headers is not None and "_schema_id" in headers else ()
        stored = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        decoded = self._decoder.decode(topic, stored, fields, is_key=is_key)
        text = None if decoded is None else decoded.text
        found = data if text is None else text
        self._last[is_key] = (asked, found)
        return found


def add_decoding(
    connection: sqlite3.Connection, decoder: SqlDecoder, on_exact: Callable[[str], object], look: Callable[[], None]
) -> None:
    """Add the functions to a connection.

    Args:
        on_exact: called with the name of each number that is text because SQL cannot represent it.
        look: called by each of them; an exception that it raises ends the query.
    """
    fields = {is_key: SqlFields(on_exact) for is_key in (False, True)}

    def part(data: Cell, headers: str | None, topic: str, is_key: int) -> Cell:
        look()
        return decoder.text(data, headers, topic, is_key=bool(is_key))

    def field(data: Cell, headers: str | None, topic: str, is_key: int, name: str) -> Cell:
        look()
        text = decoder.text(data, headers, topic, is_key=bool(is_key))
        return fields[bool(is_key)].field(text, name) if isinstance(text, str) else None

    connection.create_function("decoded_part", 4, part, deterministic=True)
    connection.create_function("decoded_field", 5, field, deterministic=True)
