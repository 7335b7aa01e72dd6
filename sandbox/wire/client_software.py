"""Validates the name and version of a client's library (KIP-511), like Kafka."""

import re

_VALID = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")


def is_software(name: str, version: str) -> bool:
    """Return True if both consist of letters, digits, hyphens and dots, and begin and end with a letter or digit."""
    return _VALID.fullmatch(name) is not None and _VALID.fullmatch(version) is not None
