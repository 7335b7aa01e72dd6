"""How long a text that a client chooses may be.

Kafka's own bound is that of its protocol: 32,767 bytes for each string, checked where messages are read. For ids that
are kept and shown, the sandbox has a shorter one: nobody has use for more, and a list of them must stay a page.
"""

STRING_BYTES_MAX = 32_767
"""The longest string of the protocol."""
NAME_CHARACTERS_MAX = 255
"""The longest group id, member id, instance id, transactional id, rack or user name that is kept."""


def shortened(text: str) -> str:
    """A text as it is kept for display and in the log: its end is left out if it is too long."""
    return text if len(text) <= NAME_CHARACTERS_MAX else text[: NAME_CHARACTERS_MAX - 1] + "…"
