"""Names of dead-letter topics."""

import re

LETTERS_TOPIC = re.compile(r"(?:(.+?)[._-])?(?:dlq|dlt|dead[._-]?letters?)(?:[._-](.+))?", re.IGNORECASE)
"""Names of dead-letter topics: one of these words, usually with another topic's name before it."""


def letters_of(topic: str) -> str | None:
    """Return the topic that a dead-letter topic belongs to, according to its name: "" if the name contains no other
    topic, None if it isn't the name of a dead-letter topic.
    """
    found = LETTERS_TOPIC.fullmatch(topic)
    return None if found is None else found[1] or found[2] or ""
