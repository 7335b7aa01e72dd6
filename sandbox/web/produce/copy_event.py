"""Fills the Produce form with a stored event, to send it again with changes: "edit and send".

A part that a form can't hold as text without changing it (bytes that are not UTF-8, carriage returns, NUL, a line break
in a key) is filled in as base64, and the page names the part and the reason: sent unchanged, it has the same bytes. A
value that starts like JSON is filled in as JSON, so that invalid JSON is reported and not sent.
"""

import base64
import json
import re
from dataclasses import dataclass

from sandbox.kafka.event import Event, Headers
from sandbox.model.jsonl import to_line
from sandbox.web.json_text import json_error
from sandbox.web.messages.dead_letters import dead_letter, letters_of, sent_back, without_refusal

BROKEN = "The value looks like JSON, but is not. Correct it; or choose “text” beside it, to send it as it stands."


@dataclass(frozen=True, slots=True)
class Copied:
    """The form filled with an event.

    Attributes:
        form: the fields.
        notes: the parts that can't be edited as text, one sentence each.
        place: topic, partition and offset of the event.
        only_key: True if only the key was copied.
        origin: a dead letter's original topic, None for another event.
        left_out: how many headers were omitted because a dead letter's refusal added them.
        partition: a dead letter's original partition; None if its headers don't contain it.
        untold: True for an event of a dead-letter topic (by its name) whose headers name no original topic.
    """

    form: dict[str, str]
    notes: tuple[str, ...]
    place: tuple[str, int, int]
    only_key: bool
    origin: str | None
    left_out: int = 0
    partition: int | None = None
    untold: bool = False

    @property
    def broken(self) -> str:
        """The note about a value that looks like JSON but is not. It goes as soon as the value is right."""
        return BROKEN


def address_of(text: str) -> tuple[str, int, int] | None:
    """Parse the address `T/P/O` into topic, partition and offset; None if it is invalid."""
    found = re.fullmatch(r"([A-Za-z0-9._-]{1,249})/([0-9]{1,9})/([0-9]{1,18})", text)
    return (found[1], int(found[2]), int(found[3])) if found else None


def copied(event: Event, *, target: str | None = None, only_key: bool = False, whole: bool = False) -> Copied:
    """Fill the form with an event.

    Args:
        event: the stored event.
        target: the topic that the form sends to. A dead letter that returns to its original topic gets a header with
            its address.
        only_key: copy only the key.
        whole: keep the headers that a dead letter's refusal added.
    """
    letter = None if only_key else dead_letter(event)
    left_out = 0
    if letter is not None and not whole:
        kept = without_refusal(event.headers)
        left_out = len(event.headers) - len(kept)
        event = event._replace(headers=sent_back(event) if letter.topic == target else kept)
    origin = letter.topic if letter is not None else None
    partition = letter.place[0] if letter is not None and letter.place is not None else None
    form: dict[str, str] = {}
    notes: list[str] = []
    form["key_kind"], form["key"] = _field("key", event.key, notes, one_line=True)
    if not only_key:
        kind, form["value"] = _field("value", event.value, notes)
        if kind == "text" and form["value"].lstrip()[:1] in ("{", "["):
            kind = "json"
            if json_error(form["value"]) is not None:
                notes.append(BROKEN)
        form["value_kind"] = "null" if kind == "none" else kind
        form["headers_kind"], form["headers"] = _headers(event, notes)
    place = (event.topic, event.partition, event.offset)
    untold = letter is None and not only_key and letters_of(event.topic) is not None
    return Copied(form, tuple(notes), place, only_key, origin, left_out, partition, untold)


def _field(what: str, data: bytes | None, notes: list[str], *, one_line: bool = False) -> tuple[str, str]:
    if not data:
        return ("none" if data is None else "empty"), ""
    why = _not_text(data, one_line)
    if why is None:
        return "text", data.decode()
    notes.append(
        f"The {what} cannot be edited as text: {why}. It is here as base64; sent as it stands, it is the same."
    )
    return "base64", base64.b64encode(data).decode()


def _not_text(data: bytes, one_line: bool) -> str | None:
    """Return why a form would change the bytes, None if it keeps them."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return f"byte 0x{data[error.start]:02x} at position {error.start} is not UTF-8"
    if b"\r" in data:
        return "it has a carriage return, which a form turns into a line break"
    if b"\0" in data:
        return "it has a NUL character, which a browser replaces"
    return "it has a line break, which this field drops" if one_line and b"\n" in data else None


def _headers(event: Event, notes: list[str]) -> tuple[str, str]:
    if all(_plain_name(name) and _plain_value(value) for name, value in event.headers):
        return "lines", _lines(event.headers)
    notes.append("The headers do not fit into lines of text. They are here as JSON, which keeps every byte.")
    return "json", json.dumps(json.loads(to_line(event))["headers"], ensure_ascii=False)


def _plain_name(name: str) -> bool:
    encoded = name.encode("utf-8", "surrogateescape")
    return bool(name) and name == name.strip() and ":" not in name and _not_text(encoded, True) is None


def _plain_value(value: bytes | None) -> bool:
    if not value:
        return True
    return _not_text(value, True) is None and value.decode() == value.decode().strip()


def _lines(headers: Headers) -> str:
    return "\n".join(
        name if value is None else f"{name}: {value.decode()}" if value else f"{name}:" for name, value in headers
    )
