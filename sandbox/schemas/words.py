"""Plausible random text for fields of example events."""

import random

_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "harbor", "iris", "jade", "koala", "lilac")


def random_text(rng: random.Random, name: str) -> str:
    """Return text for a field of this name: an identifier, an address or two words."""
    lower = name.lower()
    if "email" in lower:
        return f"{rng.choice(_WORDS)}@example.com"
    if lower.endswith(("id", "key", "code", "number")):
        return f"{rng.choice(_WORDS)}-{rng.randrange(10_000):04}"
    return f"{rng.choice(_WORDS)} {rng.choice(_WORDS)}"
