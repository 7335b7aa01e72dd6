"""The headers of an event as JSON text: how their column holds them."""

import base64
import json

from sandbox.kafka.event import Headers


def headers_to_json(headers: Headers | None) -> str | None:
    """The `headers` column: NULL for none, else a JSON array of [name, value]."""
    if not headers:
        return None
    return json.dumps(
        [[_name_to_json(name), _bytes_to_json(value)] for name, value in headers],
        ensure_ascii=False,
        separators=(",", ":"),
    )


def headers_from_json(text: str | None) -> Headers:
    """What `headers_to_json` wrote, exactly."""
    if text is None:
        return ()
    return tuple((_name_from_json(name), _bytes_from_json(value)) for name, value in json.loads(text))


def _name_to_json(name: str) -> object:
    try:
        name.encode()
    except UnicodeEncodeError:
        return {"base64": base64.b64encode(name.encode("utf-8", "surrogateescape")).decode()}
    return name


def _name_from_json(name: object) -> str:
    if isinstance(name, dict):
        return base64.b64decode(name["base64"]).decode("utf-8", "surrogateescape")
    return str(name)


def _bytes_to_json(value: bytes | None) -> object:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _bytes_from_json(value: object) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, dict):
        return base64.b64decode(value["base64"])
    return str(value).encode()
