"""A stored event put into the Produce form, to be sent again with a change: "edit and send".

What a form cannot hold as text without changing it (bytes that are not UTF-8, carriage returns, NUL, a line break in a
key) is put there as base64, and the page says which part that is and why: sent as it stands, it is the same bytes. A
value that begins as JSON does is put there as JSON, so that one which is broken is seen to be, and is not sent so.
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
    """An event in the form.

    Attributes:
        form: the fields.
        notes: what cannot be edited as text, one sentence for each part.
        place: topic, partition and offset of the event.
        only_key: True where the key alone was taken.
        origin: the topic that it was in before it became a dead letter, None for another event.
        left_out: how many headers are left out, because they tell of the refusal of a dead letter.
        partition: that it was in before it became one; None where its headers do not say it.
        untold: True for an event of a topic that is called like one of dead letters, whose headers name no other topic.
    """

    form: dict[str, str]
    notes: tuple[str, ...]
    place: tuple[str, int, int]
    only_key: bool
    origin: str | None
    left_out: int = 0
    partition: int | None = None
    untold: bool = False


def address_of(text: str) -> tuple[str, int, int] | None:
    """Topic, partition and offset of `T/P/O`, or None where the text is no such address."""
    found = re.fullmatch(r"([A-Za-z0-9._-]{1,249})/([0-9]{1,9})/([0-9]{1,18})", text)
    return (found[1], int(found[2]), int(found[3])) if found else None


def copied(event: Event, *, target: str | None = None, only_key: bool = False, whole: bool = False) -> Copied:
    """Fill the form from an event.

    Args:
        event: as stored.
        target: the topic that the form sends to: a dead letter that goes back to its own is given a header that says
            from where.
        only_key: take its key alone.
        whole: keep the headers that tell of the refusal of a dead letter.
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
    """Why a form would change the bytes, None where it keeps them."""
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
