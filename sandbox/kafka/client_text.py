"""Limits the length of names that clients choose.

The protocol's own limit is 32,767 bytes per string, checked when messages are read. For ids that are stored and shown,
the sandbox has a lower limit: longer ones have no use, and a list of them must fit on a page.
"""

STRING_BYTES_MAX = 32_767
"""The protocol's longest string."""
NAME_CHARACTERS_MAX = 255
"""The longest group id, member id, instance id, transactional id, rack or user name that is stored."""


def shortened(text: str) -> str:
    """Cut a text to the length that is shown and logged."""
    return text if len(text) <= NAME_CHARACTERS_MAX else text[: NAME_CHARACTERS_MAX - 1] + "…"


def within_protocol(text: str) -> str:
    """Cut a text of a file that another program has changed to the protocol's longest string."""
    if len(text) * 3 <= STRING_BYTES_MAX:
        return text
    return text.encode("utf-8", "surrogatepass")[:STRING_BYTES_MAX].decode("utf-8", "ignore")
