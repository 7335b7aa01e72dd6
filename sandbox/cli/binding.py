"""Chooses the deserializers of a topic from the command line: in the process that owns the file, or in the file."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

from sandbox.cli.page_address import of_owner
from sandbox.cli.status import Failed, Status
from sandbox.model.deserializers import AUTOMATIC, Deserializer


def read_deserializer(
    source: Path | None, kind: str | None, message: str | None, folders: tuple[str, ...], files: tuple[str, ...]
) -> Deserializer:
    """Return the checked deserializer of a schema file or a format. Raises Failed with the cause."""
    from sandbox.api.deserializers import deserializer_from_files
    from sandbox.schemas.schema import InvalidSchema, MissingLibrary

    try:
        return deserializer_from_files(source, format=kind, message=message, files=files, folders=folders)
    except (InvalidSchema, MissingLibrary) as error:
        raise Failed(f"{source or kind}: {error}.", Status.USAGE) from error
    except OSError as error:
        raise Failed(f"{error.filename} cannot be read: {error.strerror}.", Status.USAGE) from error


def stored_deserializers(path: Path, topic: str) -> dict[str, dict[str, Any]]:
    """Return what is chosen for a topic in a file, whichever process owns it."""
    from sandbox.storage.deserializers import load_deserializers
    from sandbox.storage.file.database import Reader, check_file
    from sandbox.storage.file.read_only import read_only

    check_file(path, to_write=False)
    with read_only(path) as connection:
        found = load_deserializers(Reader(connection), topic)
    return {part: {"format": one.format, "message": one.message} for part, one in found.items()}


def choose_deserializer(path: Path, topic: str, part: str, chosen: Deserializer | None) -> None:
    """Store the choice for a topic's keys or values; None removes it."""
    from sandbox.storage.file.lock import read_owner

    owner = read_owner(path)
    if owner is None:
        from sandbox.api.sandbox import Sandbox

        with Sandbox(path) as sandbox:
            sandbox.topic(topic)
            sandbox.deserializers.set(topic, part, chosen)
        return
    page = of_owner(owner)
    if page is None:
        raise Failed(
            f"Process {owner.get('pid', 'unknown')} owns {path} and has no page open. Start it with one, or stop it "
            "first.",
            Status.FILE_IN_USE,
        )
    fields: dict[str, Any] = {"part": part, "format": AUTOMATIC if chosen is None else chosen.format}
    if chosen is not None:
        fields |= {"schema": chosen.schema, "files": dict(chosen.files), "message": chosen.message}
    page.post(f"/topics/{quote(topic, safe='')}/deserializers.json", fields)
