"""Values that other tools get wrong."""

BIG_INTEGER = b'{"id": 9007199254740993, "price": 1.10, "id": -18446744073709551616}'
INVALID = b"\xff\xfe\x00abc"
EMOJI = '{"name": "Zoë 🥪 \u202e"}'.encode()
SCRIPT = b"<script>alert('x')</script>"
LARGE = b'{"blob": "' + b"x" * 900_000 + b'"}'

VALUES: dict[str, bytes | None] = {
    "big integer": BIG_INTEGER,
    "empty": b"",
    "null": None,
    "invalid UTF-8": INVALID,
    "emoji": EMOJI,
    "script": SCRIPT,
    "large": LARGE,
    "control characters": b"a\x00b\x1b[31m\r\n",
}
