"""Decoded values as JSON text."""

from typing import Any

from sandbox.schemas.json_text import compact


def value_text(value: Any) -> str:
    """Return a decoded value as compact JSON. Decimals are numbers with all their digits."""
    return compact(value)
