"""Registers the schemas of a folder before a test."""

from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.kafka.errors import SandboxError

if TYPE_CHECKING:
    from sandbox.api.sandbox import Sandbox

TYPES = {".avsc": "AVRO", ".json": "JSON", ".proto": "PROTOBUF"}


def register_folder(sandbox: "Sandbox", folder: Path) -> int:
    """Register each schema file of a folder, in the order of their names. Returns how many.

    The file's name without its suffix is the subject: `orders-value.avsc`, `orders-key.json`, `users-value.proto`.

    Raises:
        SandboxError: a schema is refused, or the folder has none; the text names the file.
    """
    from sandbox.model.registry import SchemaRequest
    from sandbox.registry.subjects import parse_subject

    files = sorted(file for file in folder.iterdir() if file.suffix in TYPES) if folder.is_dir() else []
    if not files:
        raise SandboxError(f"{folder} is not a folder with schemas: files named SUBJECT{', SUBJECT'.join(TYPES)}.")
    for file in files:
        try:
            request = SchemaRequest(file.read_text(encoding="utf-8"), TYPES[file.suffix])
            sandbox.schemas.register(parse_subject(file.stem), request)
        except (SandboxError, ValueError) as error:
            raise SandboxError(f"{file}: {error}") from error
    return len(files)
