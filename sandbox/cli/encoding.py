"""Encodes keys and values that commands send, with the schemas of a registry."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import click

from sandbox.cli.status import Failed, Status
from sandbox.cli.target import Target
from sandbox.model.registry import AVRO, LATEST, PROTOBUF

if TYPE_CHECKING:
    from sandbox.cli.registry_access import Registry
    from sandbox.schemas.encoding import EventEncoder, SchemaName
    from sandbox.schemas.schema import ParsedSchema

F = TypeVar("F", bound=Callable[..., Any])
SCHEMA_TEXT = (
    "Write {part}s with this schema of the registry: SUBJECT, SUBJECT:VERSION, or a file (.avsc, .json, .proto), which "
    "is registered as TOPIC-{part}. #MESSAGE after it names a Protobuf message."
)


def registry_option(command: F) -> F:
    """Add --schema-registry to a command that sends events, as `registry_url`."""
    option = click.option(
        "--schema-registry", "registry_url", metavar="URL", help="The registry; with --file, the file's own is used."
    )
    return option(command)


class SchemaEncoders:
    """Looks up schemas by name in the registry of a command, which is asked at the first one.

    Args:
        stack: closes the registry.
        target: the sandbox file or cluster of the command.
        url: the registry's URL; None for the one of the sandbox file.
    """

    def __init__(self, stack: ExitStack, target: Target, url: str | None) -> None:
        self._stack = stack
        self._target = target
        self._url = url
        self._registry: Registry | None = None
        self._known: dict[str, EventEncoder] = {}

    def find(self, name: str) -> "EventEncoder":
        """Return the encoder with a registered schema, SUBJECT or SUBJECT:VERSION.

        Raises:
            InvalidValue: it is not registered, or can't be parsed.
            Failed: no registry is named, or it does not answer.
        """
        from sandbox.schemas.encoding import parse_schema_name

        if name not in self._known:
            self._known[name] = self._encoder(parse_schema_name(name))
        return self._known[name]

    def named(self, name: str, topic: str, part: str, *, register: bool = True) -> "EventEncoder":
        """Return the encoder for an option's value; `find` then knows it under this value.

        Args:
            name: a registered schema, or a file.
            topic: the target topic.
            part: "key" or "value".
            register: True registers the schema of a file; False only parses it, and its id is 0.

        Raises:
            Failed: the schema does not exist, or is refused.
        """
        from sandbox.cli.schemas import TYPE_OF_SUFFIX
        from sandbox.schemas.schema import InvalidSchema, InvalidValue, MissingLibrary

        file, _, message = name.partition("#")
        path = Path(file)
        schema_type = TYPE_OF_SUFFIX.get(path.suffix.lower())
        try:
            if schema_type is None:
                return self.find(name)
            text, subject = _text(path), f"{topic}-{part}"
            if register:
                body = {"schema": text, "schemaType": schema_type}
                place = f"/subjects/{quote(subject, safe='')}"
                self._asked().ask("POST", f"{place}/versions", body)
                # The file's schema may be an earlier version than the latest.
                version = self._asked().ask("POST", place, body)["version"]
                found = self.find(f"{subject}:{version}{f'#{message}' if message else ''}")
            else:
                found = _unregistered(schema_type, text, subject, message)
        except (InvalidSchema, InvalidValue, MissingLibrary) as error:
            raise Failed(f"{name}: {error}") from None
        self._known[name] = found
        return found

    def _asked(self) -> "Registry":
        from sandbox.cli.registry_access import opened

        if self._registry is None:
            if self._url is None and self._target.file is None:
                raise Failed("No schema registry is named: --schema-registry URL.", Status.USAGE)
            file = None if self._target.file is None or self._url is not None else str(self._target.file)
            self._registry = self._stack.enter_context(opened(file, self._url))
        return self._registry

    def _encoder(self, name: "SchemaName") -> "EventEncoder":
        from sandbox.cli.decoding import parsed_schema
        from sandbox.schemas.encoding import EventEncoder
        from sandbox.schemas.schema import InvalidValue

        registry = self._asked()
        version = "latest" if name.version == LATEST else name.version
        try:
            found: dict[str, Any] = registry.ask("GET", f"/subjects/{quote(name.subject, safe='')}/versions/{version}")
        except Failed as error:
            raise InvalidValue(error.message) from error
        schema: ParsedSchema = parsed_schema(registry, found)
        indexes = schema.message_indexes(name.message) if name.message else (0,)
        if found.get("schemaType", AVRO) == PROTOBUF and not schema.message_names():
            raise InvalidValue(f"{name} has no message: it only defines enums or imports")
        return EventEncoder(schema, int(found["id"]), str(found["subject"]), int(found["version"]), indexes)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.", Status.USAGE) from None


def _unregistered(schema_type: str, text: str, subject: str, message: str) -> "EventEncoder":
    from sandbox.schemas.encoding import EventEncoder
    from sandbox.schemas.parsing import parse_schema

    schema = parse_schema(schema_type, text)
    return EventEncoder(schema, 0, subject, 0, schema.message_indexes(message) if message else (0,))


@contextmanager
def schema_encoders(target: Target, url: str | None) -> Iterator[SchemaEncoders]:
    """Return the encoders of a command. Open the producer first: it decides who has the file."""
    with ExitStack() as stack:
        yield SchemaEncoders(stack, target, url)
