"""Names of subjects, and the contexts that they are in.

A context is a namespace of subjects with separate ids. `:.test:orders-value` is the subject `orders-value` in the
context `.test`; without the prefix, the context is the default one, `.`. `:.test:` is the context itself. Settings of
the context `.__GLOBAL` apply to all contexts that have none.
"""

from collections.abc import Callable

from sandbox.model.registry import DEFAULT_CONTEXT, Subject
from sandbox.registry.errors import RegistryError, invalid_subject

PREFIX = ":."
WILDCARD = ":*:"
"""Stands for every context in a prefix of subjects."""
GLOBAL_CONTEXT = ".__GLOBAL"
RESERVED = ("__GLOBAL", "__EMPTY")
NAME_BYTES_MAX = 32_767
REGISTRY = Subject(DEFAULT_CONTEXT, "")
"""Stands for the registry itself in settings."""
GLOBAL = Subject(GLOBAL_CONTEXT, "")


def parse_subject(text: str) -> Subject:
    """Split a name into its context and the name within it."""
    if text.startswith(PREFIX):
        context, _, name = text[1:].partition(":")
        return Subject(context, name)
    if text.startswith(WILDCARD):
        return Subject("*", text[len(WILDCARD) :])
    return Subject(DEFAULT_CONTEXT, text)


def is_qualified(text: str) -> bool:
    """Return True if a name begins with a context."""
    return text.startswith((PREFIX, WILDCARD))


def within(parent: Subject, text: str) -> Subject:
    """Return the subject of a relative name, such as a reference's: in the parent's context unless it names one."""
    subject = parse_subject(text)
    return Subject(parent.context, text) if subject.context == DEFAULT_CONTEXT else subject


def normalized_context(text: str) -> str:
    """Return the prefix of a context's subjects, such as ":.test:"; empty for the default context.

    Args:
        text: the context with or without its dot and colons.

    Raises:
        RegistryError: 400 if it has another colon.
    """
    name = text.removeprefix(":").removesuffix(":")
    if ":" in name:
        raise RegistryError(400, f"Context name '{name}' cannot contain a colon")
    if not name.startswith("."):
        name = "." + name
    return "" if name == DEFAULT_CONTEXT else f":{name}:"


def check_subject(text: str, *, for_settings: bool = False) -> Subject:
    """Return the subject of a name that is registered or configured.

    Args:
        for_settings: True allows the context `.__GLOBAL`, which has settings but no subjects.

    Raises:
        RegistryError: 42208 if the name is not allowed.
    """
    subject = parse_subject(text)
    control = any(ord(char) < 0x20 or 0x7F <= ord(char) <= 0x9F for char in text)
    outside = subject.context == GLOBAL_CONTEXT and not for_settings
    long = len(text.encode("utf-8", "surrogatepass")) > NAME_BYTES_MAX
    if control or outside or long or subject.name in RESERVED:
        raise invalid_subject(text)
    return subject


def prefix_matcher(prefix: str) -> Callable[[Subject], bool]:
    """Return whether a subject begins with a prefix.

    Args:
        prefix: `:*:` and the beginning of a name in any context; `:.test:` and the beginning of a name in that context;
            otherwise the beginning of a name in the default context.
    """
    if prefix.startswith(WILDCARD):
        name = prefix[len(WILDCARD) :]
        return lambda subject: subject.name.startswith(name)
    place = parse_subject(prefix)
    if place.context != DEFAULT_CONTEXT and ":" not in prefix[1:]:
        return lambda subject: subject.context.startswith(place.context)
    return lambda subject: subject.context == place.context and subject.name.startswith(place.name)
